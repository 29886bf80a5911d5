"""What the types of the links to operators promise. Read by the type checkers, never run."""

from collections.abc import Sequence
from pathlib import Path
from typing import assert_type

from abonent import (
    AsyncIdentifier,
    FeedState,
    FeedWatch,
    Identifier,
    LateAnswer,
    Observed,
    Received,
    Reconciled,
    Standing,
    WatchedFeed,
)
from abonent.engine.observing import Observer
from abonent.errors import AbonentError
from abonent.gateways.camara import (
    AsyncCamaraGateway,
    AsyncCamaraLink,
    AsyncCamaraRecycling,
    AsyncRecordKeeper,
    CamaraGateway,
    CamaraLink,
    CamaraProfile,
    CamaraRecycling,
    RecordKeeper,
)
from abonent.gateways.camara.hints import SimSwapped, SubscriptionEnded, read_event
from abonent.gateways.files import FilesGateway, Settled, Taken
from abonent.ports import (
    AsyncOperatorGateway,
    AsyncPossessionCheck,
    AsyncRecyclingCheck,
    AsyncSilentCheck,
    OperatorGateway,
    PossessionCheck,
    RecyclingCheck,
    SilentCheck,
)
from abonent.possession.camara import (
    AsyncCamaraCodes,
    AsyncCamaraVerification,
    AuthorizationCode,
    CamaraCodes,
    CamaraVerification,
)
from abonent.transport import AsyncTransport, Request, Response, Transport
from abonent.transport.http import AsyncHttpTransport, HttpTransport


def links_fit_their_ports(profile: CamaraProfile, folder: Path) -> list[object]:
    transport: Transport = HttpTransport()
    async_transport: AsyncTransport = AsyncHttpTransport()
    assert_type(transport.send(Request(url="https://a.example")), Response)
    link = CamaraLink(profile, transport=transport)
    async_link = AsyncCamaraLink(profile, transport=async_transport)
    files = FilesGateway("mts", outgoing=folder, incoming=folder, aside=folder)
    gateways: list[OperatorGateway] = [CamaraGateway(link), files]
    async_gateway: AsyncOperatorGateway = AsyncCamaraGateway(async_link, records=files)
    keeper: RecordKeeper = files
    async_keeper: AsyncRecordKeeper = async_gateway
    codes: PossessionCheck = CamaraCodes(link, message="{{code}}")
    async_codes: AsyncPossessionCheck = AsyncCamaraCodes(async_link, message="{{code}}")
    silent: SilentCheck = CamaraVerification(link)
    async_silent: AsyncSilentCheck = AsyncCamaraVerification(async_link)
    recycling: RecyclingCheck = CamaraRecycling(link)
    async_recycling: AsyncRecyclingCheck = AsyncCamaraRecycling(async_link)
    first = [gateways, keeper, async_keeper, codes, async_codes]
    return [*first, silent, async_silent, recycling, async_recycling]


def in_use(identifier: Identifier, check: RecyclingCheck, files: FilesGateway) -> None:
    proof = AuthorizationCode(code="a", verifier="b", redirect_uri="c")
    assert_type(identifier.prove("alice", proof), Standing)
    found = identifier.reconcile("mts", check, limit=10, after=b"")
    assert_type(found, Reconciled)
    assert_type(found.cursor, bytes)
    assert_type(found.failed, str | None)
    assert_type(files.collect(identifier.receive_many), Settled)
    taken = files.take()
    assert_type(taken, Taken)
    assert_type(taken.items, tuple[LateAnswer, ...])
    results: Sequence[Received | AbonentError] = identifier.receive_many(taken.items)
    assert_type(files.settle(taken, results), Settled)


async def awaited(identifier: AsyncIdentifier, check: AsyncRecyclingCheck) -> None:
    proof = AuthorizationCode(code="a", verifier="b", redirect_uri="c")
    assert_type(await identifier.prove("alice", proof), Standing)
    assert_type(await identifier.reconcile("mts", check), Reconciled)


def watched(feed: WatchedFeed, fact: Observed) -> None:
    watch = FeedWatch([feed], alarm=print)
    observer: Observer = watch.observe
    observer(fact)
    assert_type(watch.look(), list[FeedState])
    assert_type(read_event(b""), SimSwapped | SubscriptionEnded | None)

"""The two processes of a link: an operator's, and a messenger's with its users.

Knows how each lives on what its last life left, in real time, and what it tells meanwhile. Refuses
to know when it dies, and which of them is killed.
"""

from __future__ import annotations

import logging
import random
import signal
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import define, frozen
from joserfc import jwk

from abonent import (
    Agreement,
    Identifier,
    MemoryKeys,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    Policy,
    SqliteStorage,
    Standing,
    Status,
    SubscriberNumber,
    parse_number,
)
from abonent.core.owed import owed
from abonent.errors import AbonentError
from abonent.gateways.camara import (
    Api,
    Breaker,
    CamaraGateway,
    CamaraLink,
    CamaraProfile,
    PrivateKeyJwt,
    Rate,
    Service,
    SigningKey,
)
from abonent.operator import AsyncOperatorDesk, DeskPolicy
from abonent.ports import CodeMessage, Keys, OneTimeCode, RecordEntry
from abonent.simulation import SimulatedRouter
from abonent.simulation.reference import (
    Client,
    Fault,
    ReferenceOperator,
    Running,
    Setup,
    Subscriber,
    SubscriberState,
    What,
    app_of,
    inbox_app,
    listening,
    public_keys,
    serve,
)
from abonent.transport.http import HttpTransport
from abonent.wire import FetchedJwks, HttpReply, Inbox
from abonent.wire.inbox import Headers
from tests.crash.contents import SPACE
from tests.crash.life import reason_of
from tests.crash.messages import Failed, Mark, Message, Returned

OPERATOR = "mts"
PAIR = jwk.generate_key("EC", "P-256")
KEYS = MemoryKeys(Keys(current="k1", roots={"k1": bytes(range(32))}))
QUICK = timedelta(milliseconds=20)
LEASE = timedelta(seconds=1.5)
POLICY = Policy(
    resend_after=timedelta(seconds=1),
    failures_per_day=100,
    sends_per_user=1000,
    sends_per_number=1000,
    inline_wait=timedelta(seconds=1),
    lease=LEASE,
    retry_first=timedelta(milliseconds=50),
    retry_longest=timedelta(milliseconds=400),
    settle_after=QUICK,
)
DESK_POLICY = DeskPolicy(
    inline_wait=timedelta(milliseconds=300),
    lease=LEASE,
    retry_first=timedelta(milliseconds=50),
    retry_longest=timedelta(milliseconds=400),
    settle_after=QUICK,
)
FAULTS = (
    Fault(at="*", what=What.UNAVAILABLE, share=0.03),
    Fault(at="*", what=What.LOST, share=0.03),
    Fault(at="base", what=What.SLOW, share=0.05, seconds=0.4),
    Fault(at="notices", what=What.LOST, share=0.1),
    Fault(at="notices", what=What.TWICE, share=0.1),
    Fault(at="notices", what=What.WRONG_SIGNATURE, share=0.05),
)
CROWDS, USERS_EACH = 4, 4
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def numbers_of(crowd: int, user: int) -> list[SubscriberNumber]:
    """Those that a user claims: two that are held at first, and one that never is."""
    tail = crowd * 100_000 + user * 100
    return [SubscriberNumber(f"+7916{tail + each:07d}") for each in range(3)]


MOVING = [
    number
    for crowd in range(CROWDS)
    for user in range(USERS_EACH)
    for number in numbers_of(crowd, user)[:2]
]
"""The numbers whose subscriptions end and begin."""
NEVER_HELD = frozenset(
    numbers_of(crowd, user)[2] for crowd in range(CROWDS) for user in range(USERS_EACH)
)


@frozen
class Place:
    """Where both sides are, over all their lives."""

    folder: Path
    operator_port: int
    chat_port: int

    @property
    def operator_url(self) -> str:
        return f"http://127.0.0.1:{self.operator_port}"

    @property
    def inbox_url(self) -> str:
        return f"http://127.0.0.1:{self.chat_port}/operators/notices"

    @property
    def chat_store(self) -> Path:
        return self.folder / "chat.db"

    @property
    def operator_folder(self) -> Path:
        return self.folder / "operator"


# --- sides that break a promise: the judge must see it ----------------------------------


class Wrong(Enum):
    """How a side goes wrong."""

    LOSES_NOTICES = "it acknowledges a notice that it does not take"
    LOSES_RECORDS = "it acknowledges a record that it does not keep"


class _LosesNotices:
    def receive_http(self, method: str, url: str, headers: Headers, body: bytes) -> HttpReply:
        return HttpReply(204, {}, b"")


class _LosesRecords:
    def __init__(self, desk: AsyncOperatorDesk) -> None:
        self._desk = desk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._desk, name)

    async def record(self, entry: RecordEntry) -> None:
        """Keep nothing."""


# --- the operator -----------------------------------------------------------------------


def setup_of(place: Place, seed: int = 0) -> Setup:
    """What the operator is made from, in each of its lives."""
    held = dict.fromkeys(MOVING, Subscriber(since=LONG_AGO))
    never = dict.fromkeys(NEVER_HELD, Subscriber(since=LONG_AGO, state=SubscriberState.ENDED))
    client = Client(
        messenger=SPACE,
        client_id=SPACE,
        keys=public_keys(PAIR.as_dict(private=False)),
        inbox=place.inbox_url,
        agreed_from=LONG_AGO,
    )
    return Setup(
        operator=OPERATOR,
        url=place.operator_url,
        folder=place.operator_folder,
        clients=(client,),
        subscribers=held | never,
        policy=DESK_POLICY,
        faults=FAULTS,
        seed=seed,
    )


def operate(place: Place, seed: int, wrong: Wrong | None, tell: Callable[[Message], None]) -> None:
    """Serve the operator until SIGTERM. Or die before."""
    _hush()
    listener = listening("127.0.0.1", place.operator_port)
    operator = ReferenceOperator(setup_of(place, seed))
    if wrong is Wrong.LOSES_RECORDS:
        operator.desk = _LosesRecords(operator.desk)  # type: ignore[assignment]  # it has what is called
    serve(app_of(operator), listener, lambda: tell(Mark("open")))
    tell(Mark("closed"))


# --- the messenger ----------------------------------------------------------------------


class Phones:
    """The users' phones: what came to one is there, whatever becomes of who sent it."""

    test_double = True

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = threading.Lock()
        self._codes: dict[str, OneTimeCode] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                number, _, digits = line.partition(" ")
                if len(digits) == POLICY.code_length:  # the last one may be cut off
                    self._codes[number] = OneTimeCode(digits)

    def send(self, message: CodeMessage) -> None:
        with self._mutex, self._path.open("a") as file:
            file.write(f"{message.number.e164} {message.code.digits}\n")
            self._codes[message.number.e164] = message.code

    def read(self, number: SubscriberNumber) -> OneTimeCode | None:
        return self._codes.get(number.e164)


def profile_of(place: Place) -> CamaraProfile:
    url = place.operator_url
    return CamaraProfile(
        operator=OPERATOR,
        authentication=PrivateKeyJwt(
            token_url=f"{url}/token",
            client_id=SPACE,
            key=SigningKey(PAIR.as_pem(private=True), alg="ES256"),
        ),
        purpose="dpv:FraudPreventionAndDetection",
        apis={
            Service.TENURE: Api(root=url, version="v0.2"),
            Service.RECORDS: Api(root=url, version="v1"),
        },
        timeout=timedelta(seconds=1),
        rate=Rate(calls=10_000),
        breaker=Breaker(failures=5, rest=timedelta(milliseconds=200)),
    )


def identifier_at(place: Place, transport: HttpTransport, phones: Phones) -> Identifier:
    return Identifier(
        messenger=Messenger(id=SPACE, kind=MessengerKind.FOREIGN),
        storage=SqliteStorage(place.chat_store, territory="RU"),
        keys=KEYS,
        possession=OneTimeCodes(phones, prompt=True),
        agreements=[Agreement(id="a", messenger=SPACE, operator=OPERATOR, starts=LONG_AGO)],
        gateways={OPERATOR: CamaraGateway(CamaraLink(profile_of(place), transport=transport))},
        router=SimulatedRouter(OPERATOR),
        policy=POLICY,
        unsafe_test_doubles=True,
    )


@define
class Crowd:
    """A few users who act one after the other."""

    name: int
    identifier: Identifier
    phones: Phones
    chance: random.Random
    tell: Callable[[Message], None]

    def act(self) -> None:
        """One user looks where they stand, and does something about it."""
        place = self.chance.randrange(USERS_EACH)
        user = f"user-{self.name}-{place}"
        number = self.chance.choice(numbers_of(self.name, place))
        try:
            standing = self._stood(user, "standing", lambda: self.identifier.standing(user))
            if standing.status is Status.IDENTIFIED and self.chance.random() < 0.9:
                self._ask_gate(user)
                return
            self._stood(user, "claim", lambda: self.identifier.claim(user, number.e164))
            code = self.phones.read(number)
            if code is not None:
                self._stood(user, "prove", lambda: self.identifier.prove(user, code))
        except AbonentError:
            pass  # refused, by name: nothing was done, and nothing is told

    def _stood(self, user: str, call: str, work: Callable[[], Standing]) -> Standing:
        at = datetime.now(UTC)
        standing = work()
        self.tell(
            Returned(
                user=user,
                call=call,
                at=at,
                status=standing.status.value,
                reason=reason_of(standing),
                code=standing.identification_code,
            )
        )
        return standing

    def _ask_gate(self, user: str) -> None:
        at = datetime.now(UTC)
        self.tell(Returned(user=user, call="gate", at=at, open=self.identifier.gate(user).open))


def chat(
    place: Place,
    seed: str,
    wrong: Wrong | None,
    tell: Callable[[Message], None],
    *,
    calm: bool = False,
) -> None:
    """Identify users, and hear the operator, until SIGTERM. Or die before.

    A calm life has no users: it says `owing` or `quiet`, whenever that changes.
    """
    _hush()
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    phones = Phones(place.folder / "phones")
    with HttpTransport() as transport, identifier_at(place, transport, phones) as identifier:
        keys = FetchedJwks(
            f"{place.operator_url}/.well-known/jwks.json",
            transport,
            at_most_every=timedelta(milliseconds=100),
            timeout=1.0,
        )
        inbox = Inbox(identifier, url=place.inbox_url, keys={OPERATOR: keys})
        takes = _LosesNotices() if wrong is Wrong.LOSES_NOTICES else inbox
        listener = listening("127.0.0.1", place.chat_port)
        with Running(inbox_app(takes, place.inbox_url), listener):
            tell(Mark("open"))
            crowds = [
                Crowd(each, identifier, phones, random.Random(f"{seed} {each}"), tell)
                for each in range(0 if calm else CROWDS)
            ]
            threads = [
                threading.Thread(target=_act, args=(each, over, tell), daemon=True)
                for each in crowds
            ]
            for thread in threads:
                thread.start()
            said = ""
            while not over.wait(QUICK.total_seconds()):
                identifier.sweep()
                if calm:
                    found = "owing" if debts(identifier) else "quiet"
                    if found != said:
                        said = found
                        tell(Mark(said))
            for thread in threads:
                thread.join()
    tell(Mark("closed"))


def _act(crowd: Crowd, over: threading.Event, tell: Callable[[Message], None]) -> None:
    try:
        while not over.is_set():
            crowd.act()
    except BaseException:
        tell(Failed(traceback.format_exc()))
        raise


def debts(identifier: Identifier) -> int:
    """How much the messenger still owes, or waits for."""
    ever = datetime.max.replace(tzinfo=UTC)
    return sum(len(owed(held.aggregate, ever)) for held in identifier._feed._rows())


def _hush() -> None:
    logging.getLogger().addHandler(logging.NullHandler())  # what goes wrong, goes wrong on purpose


def warm_up() -> None:
    """Import and build what a life needs, so that a fork begins at once; leave no thread."""
    for name in ("abonent.operator.aio", "uvicorn.lifespan.on", "uvicorn.protocols.http.h11_impl"):
        import_module(name)
    HttpTransport().close()
    parse_number("+79160000000")

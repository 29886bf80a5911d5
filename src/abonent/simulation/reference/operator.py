"""A reference operator: a desk with its subscribers, its clients and its keys, in one folder.

Knows what lies in the folder and how the parts are put together. Refuses to know requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from attrs import field, frozen

from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Operator
from abonent.engine.assembly import SystemClock
from abonent.engine.observing import cause_of
from abonent.errors import AbonentError
from abonent.operator import AsyncOperatorDesk, DeskPolicy
from abonent.ports import Clock
from abonent.sealing import FileKeys
from abonent.simulation.reference.assertions import Assertions, Used
from abonent.simulation.reference.carrying import FaultyBase, FaultyCarrier
from abonent.simulation.reference.clients import Client
from abonent.simulation.reference.devices import Network, Phones
from abonent.simulation.reference.faults import Fault, Faults
from abonent.simulation.reference.operations import SCOPES
from abonent.simulation.reference.subscribers import Subscriber, Subscribers, SubscriberState
from abonent.simulation.reference.tokens import Granted, Tokens
from abonent.stores import SqliteStorage
from abonent.transport import AsyncTransport
from abonent.transport.http import AsyncHttpTransport
from abonent.wire import FileSigningKeys

_LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
log: Final = logging.getLogger("abonent")
_PAUSE: Final = 0.05
"""Seconds between two sweeps that find much to do; and the least time between any two."""


@frozen(kw_only=True)
class Setup:
    """What a reference operator is made from.

    `url` is where it is reached, without a slash at its end: assertions and tokens name it.
    `folder` holds its store and its keys, and everything that outlives the process.
    """

    operator: str
    url: str
    folder: Path
    clients: tuple[Client, ...]
    subscribers: Mapping[SubscriberNumber, Subscriber]
    policy: DeskPolicy = field(factory=DeskPolicy)
    faults: tuple[Fault, ...] = ()
    seed: int = 0


class ReferenceOperator:
    """An operator that answers, records and gives notice, for others to be developed against.

    It is a double, although a desk works in it: whoever reaches its control endpoints may end
    subscriptions and read codes. Use it in one event loop, as an async context manager.

    Args:
        setup: what it is made from.
        clock: tells the time; None for the system's.
        transport: what notices leave by; None for HTTP.

    Raises:
        AbonentError: its folder cannot be used, or its parts do not fit together.
    """

    test_double = True

    def __init__(
        self, setup: Setup, *, clock: Clock | None = None, transport: AsyncTransport | None = None
    ) -> None:
        self.setup = setup
        self.clock = clock or SystemClock()
        self.url = setup.url
        folder, name = setup.folder, setup.operator
        folder.mkdir(parents=True, exist_ok=True)
        keys = FileKeys(made(folder / "operator.keys", FileKeys.create))
        self.signing = FileSigningKeys(
            made(folder / "signing.keys", lambda path: FileSigningKeys.create(path, at=_LONG_AGO))
        )
        self._store = SqliteStorage(folder / "operator.db", territory="RU")
        self.subscribers = Subscribers(name, setup.subscribers, self._store, keys)
        self.phones = Phones(self.clock)
        self.network = Network(self.clock)
        self.faults = Faults(setup.faults, seed=setup.seed)
        self.requests: Counter[str] = Counter()
        self._used = Used(name, self._store, keys)
        self._tokens = Tokens(
            Assertions(setup.clients, self._used, self.clock),
            self.network,
            SCOPES,
            url=setup.url,
            clock=self.clock,
        )
        self._http = AsyncHttpTransport()
        inboxes = {each.messenger: each.inbox for each in setup.clients if each.inbox is not None}
        self.carrier = FaultyCarrier(
            inboxes,
            self.signing,
            transport or self._http,
            self.faults,
            clock=self.clock,
            timeout=setup.policy.lease.total_seconds() / 3,
        )
        self.desk = AsyncOperatorDesk(
            operator=Operator(id=name),
            storage=self._store,
            keys=keys,
            base=FaultyBase(self.subscribers, self.faults),
            carrier=self.carrier,
            agreements=[each.agreement(name) for each in setup.clients],
            policy=setup.policy,
            clock=self.clock,
            unsafe_test_doubles=True,
        )
        self._news = asyncio.Event()
        self._closing = False
        self._sweeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sweeping = asyncio.create_task(self._sweep())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._news.set()
        if self._sweeping is not None:
            await self._sweeping
        await self.desk.close()
        await self._http.close()

    async def grant(self, form: bytes) -> dict[str, Any]:
        """Answer a request for a token; see `Tokens.grant`."""
        return await asyncio.to_thread(self._tokens.grant, form)

    async def ask_subscriber(self, form: bytes) -> dict[str, Any]:
        """Begin to ask a subscriber; see `Tokens.ask`."""
        return await asyncio.to_thread(self._tokens.ask, form, self._serves)

    def token(self, header: str) -> Granted | None:
        """Return what a token stands for; see `Tokens.known`."""
        return self._tokens.known(header)

    def _serves(self, number: SubscriberNumber) -> bool:
        found = self.subscribers.find(number)
        return found is not None and found.state is not SubscriberState.PORTED

    async def put(self, number: SubscriberNumber, subscriber: Subscriber) -> None:
        """Change what is known of a number; see `Subscribers.put`."""
        await asyncio.to_thread(self.subscribers.put, number, subscriber)

    def look(self) -> None:
        """Sweep soon: something is owed."""
        self._news.set()

    async def _sweep(self) -> None:
        """Settle what is due and try what is owed, every second or when there is news."""
        pause = self.setup.policy.settle_after.total_seconds()
        while not self._closing:
            try:
                await self.desk.sweep()
                await asyncio.to_thread(self._used.clear, self.clock.now())
            except AbonentError as error:
                log.warning("abonent.sweep_failed cause=%s", error.code)
            except Exception as error:
                log.error("abonent.sweep_failed cause=%s", cause_of(error))
            await asyncio.sleep(_PAUSE)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
            self._news.clear()


def made(path: Path, create: Callable[[Path], Any]) -> Path:
    """Return a file that is made if it is not there: wholly, or not at all.

    Whoever is killed while making it has left nothing that the next one would stumble over.
    """
    if not path.exists():
        beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            create(beside)
            with contextlib.suppress(FileExistsError):  # another process was faster
                os.link(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    return path

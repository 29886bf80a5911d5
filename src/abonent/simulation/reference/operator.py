"""A reference operator: a desk with its subscribers, its clients and its keys, in one folder.

Knows what lies in the folder and how the parts are put together. Refuses to know requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
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
from abonent.operator import AsyncOperatorDesk, DeskPolicy, Holding
from abonent.ports import Clock, GatewayFeatures
from abonent.sealing import FileKeys
from abonent.simulation.reference.clients import Client
from abonent.simulation.reference.operations import SCOPES
from abonent.simulation.reference.subscribers import Subscriber, Subscribers
from abonent.simulation.reference.tokens import Assertions, Tokens
from abonent.stores import SqliteStorage
from abonent.transport.http import AsyncHttpTransport
from abonent.wire import AsyncSignedCarrier, FileSigningKeys

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


class _Base:
    """The subscribers, as the desk asks for them."""

    test_double = True

    def __init__(self, subscribers: Subscribers) -> None:
        self.features = GatewayFeatures(prompt=True, concurrency=64)
        self._subscribers = subscribers

    async def holds(self, number: SubscriberNumber) -> Holding:
        """See `SubscriberBase.holds`."""
        return self._subscribers.holding(number)


class ReferenceOperator:
    """An operator that answers, records and gives notice, for others to be developed against.

    It is a double, although a desk works in it: whoever reaches its control endpoints may end
    subscriptions and read codes. Use it in one event loop, as an async context manager.

    Raises:
        AbonentError: its folder cannot be used, or its parts do not fit together.
    """

    test_double = True

    def __init__(self, setup: Setup, *, clock: Clock | None = None) -> None:
        self.setup = setup
        self.clock = clock or SystemClock()
        self.url = setup.url
        folder, name = setup.folder, setup.operator
        folder.mkdir(parents=True, exist_ok=True)
        keys = FileKeys(made(folder / "operator.keys", FileKeys.create))
        self.signing = FileSigningKeys(
            made(folder / "signing.keys", lambda path: FileSigningKeys.create(path, at=_LONG_AGO))
        )
        self._store = SqliteStorage(folder / "operator.db")
        self.subscribers = Subscribers(name, setup.subscribers, self._store, keys)
        self.assertions = Assertions(name, self._store, keys)
        self.tokens = Tokens(
            setup.clients,
            SCOPES,
            url=f"{setup.url}/token",
            assertions=self.assertions,
            clock=self.clock,
        )
        self._transport = AsyncHttpTransport()
        inboxes = {each.messenger: each.inbox for each in setup.clients if each.inbox is not None}
        self.desk = AsyncOperatorDesk(
            operator=Operator(id=name),
            storage=self._store,
            keys=keys,
            base=_Base(self.subscribers),
            carrier=AsyncSignedCarrier(
                addresses=inboxes,
                keys=self.signing,
                transport=self._transport,
                clock=self.clock,
                timeout=setup.policy.lease.total_seconds() / 3,
            ),
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
        await self._transport.close()

    async def grant(self, form: bytes) -> dict[str, Any]:
        """Answer a request for a token; see `Tokens.grant`."""
        return await asyncio.to_thread(self.tokens.grant, form)

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
                await asyncio.to_thread(self.assertions.clear, self.clock.now())
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

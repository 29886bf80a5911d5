"""AsyncOperatorDesk: the same desk for services that use asyncio.

Knows what is awaited. Refuses to know rules or stores; it drives the same flows as `OperatorDesk`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import Self

from abonent.core.agreements import Agreement
from abonent.core.parties import Operator
from abonent.core.rules import Rules
from abonent.engine.awaiting import AsyncDriver
from abonent.engine.effects import Alarm
from abonent.engine.observing import Observer
from abonent.engine.rounds import SweepReport
from abonent.feed import ReplayReport
from abonent.operator.core.policy import DeskPolicy
from abonent.operator.desk import KeptRecord, OwedNotice, assemble, kept_records, owed_notices
from abonent.operator.loop import Base, Carrier
from abonent.operator.ports import Movement
from abonent.ports import Answer, Clock, KeyProvider, Query, RecordEntry, Storage, WithdrawEntry


class AsyncOperatorDesk(AsyncDriver):
    """`OperatorDesk` for asyncio: the same names and promises, with `await`.

    Adapters may be async or not; those that are not are called in threads. Use it in one event
    loop.

    Args, Raises: as for `OperatorDesk`.
    """

    def __init__(
        self,
        *,
        operator: Operator,
        storage: Storage,
        keys: KeyProvider,
        base: Base,
        carrier: Carrier,
        agreements: Iterable[Agreement],
        rules: Rules | None = None,
        policy: DeskPolicy | None = None,
        clock: Clock | None = None,
        alarm: Callable[[Alarm], object] | None = None,
        observer: Observer | None = None,
        unsafe_test_doubles: bool = False,
    ) -> None:
        self._loop = assemble(
            operator=operator,
            storage=storage,
            keys=keys,
            base=base,
            carrier=carrier,
            agreements=agreements,
            rules=rules,
            policy=policy,
            clock=clock,
            alarm=alarm,
            observer=observer,
            unsafe_test_doubles=unsafe_test_doubles,
        )
        super().__init__(self._loop.commits, self._loop.policy.inline_wait)
        self._books = self._loop.books

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """See `OperatorDesk.close`."""
        await self._rest()
        try:
            await self._finish()
        finally:
            self._books.storage.close()
            self._let_go()

    async def ask(self, query: Query, *, received_at: datetime | None = None) -> Answer:
        """See `OperatorDesk.ask`."""
        return await self._drive(self._loop.ask(query, self._loop.arrived(received_at)))

    async def record(self, entry: RecordEntry, *, received_at: datetime | None = None) -> None:
        """See `OperatorDesk.record`."""
        await self._drive(self._loop.record(entry, self._loop.arrived(received_at)))

    async def withdraw(self, entry: WithdrawEntry, *, received_at: datetime | None = None) -> None:
        """See `OperatorDesk.withdraw`."""
        await self._drive(self._loop.withdraw(entry, self._loop.arrived(received_at)))

    async def subscription_moved(self, movement: Movement) -> int:
        """See `OperatorDesk.subscription_moved`."""
        return await self._drive(self._loop.moved(movement, self._loop.clock.now()))

    async def sweep(self, *, limit: int = 10_000) -> SweepReport:
        """See `OperatorDesk.sweep`."""
        return await self._drive(self._loop.sweep(limit))

    async def owed_notices(self) -> list[OwedNotice]:
        """See `OperatorDesk.owed_notices`."""
        return await self._in_thread(self._readers, owed_notices, self._books)

    async def overdue(self, now: datetime | None = None) -> list[OwedNotice]:
        """See `OperatorDesk.overdue`."""
        at = self._loop.arrived(now)
        return [each for each in await self.owed_notices() if each.due < at]

    async def records(self, messenger: str) -> AsyncIterator[KeptRecord]:
        """See `OperatorDesk.records`; with `async for`."""
        after: bytes | None = b""
        while after is not None:
            files, after = await self._in_thread(self._readers, self._books.page, after)
            for file in files:
                for each in kept_records(file, messenger):
                    yield each

    async def replay(self) -> ReplayReport:
        """See `OperatorDesk.replay`."""
        return await self._in_thread(self._readers, self._books.replay)

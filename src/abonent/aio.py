"""AsyncIdentifier: the same library for services that use asyncio.

Knows event loops: what is awaited and what goes to a thread. Refuses to know rules or stores; it
drives the same flows as `Identifier`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, Self
from weakref import WeakSet

from abonent.core.agreements import Agreement
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import Gate
from abonent.core.parties import Consent, Messenger, check_instant
from abonent.core.policy import Policy
from abonent.core.retention import RetentionPolicy
from abonent.core.rules import Rules
from abonent.core.standing import Standing
from abonent.engine.assembly import SystemClock, assemble
from abonent.engine.awaiting import AsyncDriver
from abonent.engine.calls import require_open
from abonent.engine.effects import Alarm, Gateway, Limiter, Possession, Router
from abonent.engine.importing import DeclaredUser, ImportReport, RejectedUser
from abonent.engine.inbound import Received
from abonent.engine.observing import Observer
from abonent.engine.reconciling import Reconciled
from abonent.engine.resealing import KeyUse, Resealed
from abonent.engine.retaining import Retained
from abonent.engine.rounds import SweepReport
from abonent.errors import AbonentError, CallerError
from abonent.feed import Feed, GateChanged, Happening, ReplayReport
from abonent.gates import GateCache
from abonent.holding import Holding, held_about
from abonent.ports import (
    AsyncRecyclingCheck,
    Clock,
    KeyProvider,
    LateAnswer,
    NetworkProof,
    Notice,
    OneTimeCode,
    RecyclingCheck,
    Storage,
)


class PendingGate:
    """A gate that was asked and not awaited yet. It has no truth value (P25)."""

    def __init__(self, ask: Callable[[], Generator[Any, Any, Gate]]) -> None:
        self._ask = ask

    def __await__(self) -> Generator[Any, Any, Gate]:
        return self._ask()

    def __bool__(self) -> NoReturn:
        raise CallerError("await the gate before asking whether it is open")


class AsyncGateCache:
    """`GateCache` for asyncio: what is in memory is answered without leaving the loop."""

    def __init__(self, gates: GateCache, in_thread: Callable[..., Awaitable[Any]]) -> None:
        self._gates = gates
        self._in_thread = in_thread

    def gate(self, user_id: str) -> PendingGate:
        """See `GateCache.gate`. To be awaited: before that, it has no truth value (P25)."""
        return PendingGate(lambda: self._ask(user_id).__await__())

    async def _ask(self, user_id: str) -> Gate:
        found = self._gates.kept(user_id)
        if found is None:
            found = await self._in_thread(self._gates.read, user_id)
        return found

    @property
    def age(self) -> timedelta | None:
        """See `GateCache.age`."""
        return self._gates.age

    async def close(self) -> None:
        """See `GateCache.close`."""
        await asyncio.to_thread(self._gates.close)


class AsyncIdentifier(AsyncDriver):
    """`Identifier` for asyncio: the same names and promises, with `await`.

    Adapters may be async or not; those that are not are called in threads. Use it in one event
    loop.

    Args, Raises: as for `Identifier`.
    """

    def __init__(
        self,
        *,
        messenger: Messenger,
        storage: Storage,
        keys: KeyProvider,
        possession: Possession,
        agreements: Iterable[Agreement] = (),
        gateways: Mapping[str, Gateway] | None = None,
        router: Router | None = None,
        limiter: Limiter | None = None,
        rules: Rules | None = None,
        policy: Policy | None = None,
        clock: Clock | None = None,
        alarm: Callable[[Alarm], object] | None = None,
        observer: Observer | None = None,
        unsafe_test_doubles: bool = False,
    ) -> None:
        self._engine = assemble(
            messenger=messenger,
            storage=storage,
            keys=keys,
            possession=possession,
            agreements=agreements,
            gateways=dict(gateways or {}),
            router=router,
            limiter=limiter,
            rules=rules,
            policy=policy or Policy(),
            clock=clock or SystemClock(),
            alarm=alarm,
            observer=observer,
            unsafe_test_doubles=unsafe_test_doubles,
        )
        self._loop = self._engine.loop
        super().__init__(self._loop.commits, self._loop.policy.inline_wait)
        self._calls = self._engine.calls
        self._feed = Feed(self._engine.archive, self._loop.commits.check)
        self._gates: WeakSet[GateCache] = WeakSet()

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
        """Finish what runs, settle it, and close the store. Closing twice is allowed."""
        await self._rest()
        for gates in list(self._gates):
            await asyncio.to_thread(gates.close)
        try:
            await self._finish()
        finally:
            self._engine.archive.storage.close()
            self._let_go()

    # --- the person who is identified ------------------------------------------------

    async def claim(self, user_id: str, number: str, *, locale: str = "") -> Standing:
        """See `Identifier.claim`."""
        return await self._drive(self._calls.claim(user_id, number, locale))

    async def prove(self, user_id: str, proof: OneTimeCode | NetworkProof | str) -> Standing:
        """See `Identifier.prove`."""
        return await self._drive(self._calls.prove(user_id, proof))

    async def standing(self, user_id: str) -> Standing:
        """See `Identifier.standing`."""
        return await self._in_thread(self._readers, self._calls.standing, user_id)

    async def row_key(self, user_id: str) -> bytes | None:
        """See `Identifier.row_key`."""
        return await self._in_thread(self._readers, self._calls.row_key, user_id)

    def gate(self, user_id: str) -> PendingGate:
        """See `Identifier.gate`. To be awaited: before that, it has no truth value (P25)."""
        asked = partial(self._in_thread, self._readers, self._calls.gate, user_id)
        return PendingGate(lambda: asked().__await__())

    def gate_cache(
        self,
        *,
        max_staleness: timedelta = timedelta(seconds=1),
        max_users: int = 1_000_000,
    ) -> AsyncGateCache:
        """See `Identifier.gate_cache`."""
        self._loop.commits.check()
        clock = self._loop.clock
        made = GateCache(self._engine.archive, clock.now, max_staleness, max_users)
        self._gates.add(made)
        return AsyncGateCache(made, partial(self._in_thread, self._readers))

    async def require_open(self, user_id: str) -> None:
        """See `Identifier.require_open`."""
        require_open(await self.gate(user_id))

    async def disclose(
        self, user_id: str, *, to: str, purpose: str, consent: Consent | None
    ) -> SubscriberNumber:
        """See `Identifier.disclose`."""
        return await self._drive(self._calls.disclose(user_id, to, purpose, consent))

    async def forget(self, user_id: str) -> bool:
        """See `Identifier.forget`."""
        return await self._drive(self._calls.forget(user_id))

    # --- operators and time ----------------------------------------------------------

    async def receive(
        self,
        item: Notice | LateAnswer,
        *,
        received_at: datetime | None = None,
        event_id: str | None = None,
    ) -> Received:
        """See `Identifier.receive`."""
        at = self._arrived(received_at)
        return await self._drive(self._engine.inbound.receive(item, at, event_id))

    async def receive_many(
        self, items: Iterable[Notice | LateAnswer], *, received_at: datetime | None = None
    ) -> list[Received | AbonentError]:
        """See `Identifier.receive_many`."""
        at = self._arrived(received_at)
        results: list[Received | AbonentError] = []
        for item in items:
            try:
                results.append(await self._drive(self._engine.inbound.receive(item, at)))
            except AbonentError as error:
                results.append(error)
        return results

    async def sweep(self, *, limit: int = 10_000) -> SweepReport:
        """See `Identifier.sweep`."""
        return await self._drive(self._loop.sweep(limit))

    async def reconcile(
        self,
        operator: str,
        check: RecyclingCheck | AsyncRecyclingCheck,
        *,
        limit: int = 100,
        after: bytes | None = None,
    ) -> Reconciled:
        """See `Identifier.reconcile`."""
        return await self._drive(self._engine.reconciler.walk(operator, check, limit, after))

    async def retain(
        self,
        policy: RetentionPolicy,
        *,
        dry_run: bool,
        limit: int = 10_000,
        after: bytes | None = None,
    ) -> Retained:
        """See `Identifier.retain`."""
        walk = self._engine.retainer.walk(policy, dry_run=dry_run, limit=limit, after=after)
        return await self._drive(walk)

    async def import_identified(
        self,
        rows: Iterable[DeclaredUser],
        *,
        rejected: Callable[[RejectedUser], object] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> ImportReport:
        """See `Identifier.import_identified`."""
        return await self._drive(self._engine.importer.run(rows, rejected, progress))

    # --- keys that turn ----------------------------------------------------------------

    async def reseal(self, *, after: bytes = b"", limit: int = 500) -> Resealed:
        """See `Identifier.reseal`."""
        self._loop.commits.check()
        return await self._in_thread(self._readers, self._engine.resealer.page, after, limit)

    async def key_uses(self) -> tuple[KeyUse, ...]:
        """See `Identifier.key_uses`."""
        self._loop.commits.check()
        return await self._in_thread(self._readers, self._engine.resealer.uses)

    async def check_retirable(self, key_id: str) -> None:
        """See `Identifier.check_retirable`."""
        self._loop.commits.check()
        await self._in_thread(self._readers, self._engine.resealer.check_retirable, key_id)

    async def retire_key(self, key_id: str) -> None:
        """See `Identifier.retire_key`."""
        self._loop.commits.check()
        await self._in_thread(self._readers, self._engine.resealer.retire, key_id)

    def _arrived(self, received_at: datetime | None) -> datetime:
        return self._loop.clock.now() if received_at is None else check_instant(received_at)

    # --- the journal -----------------------------------------------------------------

    async def changes(self, *, after: int = 0, limit: int = 1000) -> list[GateChanged]:
        """See `Identifier.changes`."""
        return await self._in_thread(self._readers, self._feed.changes, after, limit)

    async def history(self, user_id: str) -> list[Happening]:
        """See `Identifier.history`."""
        return await self._in_thread(self._readers, self._feed.history, user_id)

    async def held_about(self, user_id: str) -> Holding:
        """See `Identifier.held_about`."""
        self._loop.commits.check()
        now, archive = self._loop.clock.now(), self._engine.archive
        return await self._in_thread(self._readers, held_about, archive, user_id, now)

    async def standings(self) -> AsyncIterator[Standing]:
        """See `Identifier.standings`; with `async for`."""
        after: bytes | None = b""
        while after is not None:
            now = self._loop.clock.now()
            page, after = await self._in_thread(self._readers, self._feed.standings, after, now)
            for each in page:
                yield each

    async def replay(self) -> ReplayReport:
        """See `Identifier.replay`."""
        await self._in_thread(self._readers, self._loop.commits.flush)
        return await self._in_thread(self._readers, self._feed.replay)

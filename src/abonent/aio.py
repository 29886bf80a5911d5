"""AsyncIdentifier: the same library for services that use asyncio.

Knows event loops: what is awaited and what goes to a thread. Refuses to know rules or stores; it
drives the same flows as `Identifier`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar
from weakref import WeakSet

from abonent.core.agreements import Agreement
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import Gate
from abonent.core.parties import Consent, Messenger, check_instant
from abonent.core.policy import Policy
from abonent.core.rules import Rules
from abonent.core.standing import Standing
from abonent.engine.assembly import SystemClock, assemble
from abonent.engine.calls import require_open
from abonent.engine.commits import Task
from abonent.engine.effects import (
    HERE,
    QUEUED_PER_PLACE,
    Alarm,
    Call,
    Flow,
    Gateway,
    Lane,
    Limiter,
    Possession,
    Read,
    Router,
    Spawn,
    Submit,
    SubmitAll,
    guarded,
    translated,
)
from abonent.engine.importing import DeclaredUser, ImportReport, RejectedUser
from abonent.engine.inbound import Received
from abonent.engine.loop import SweepReport
from abonent.engine.observing import Observer
from abonent.engine.reconciling import Reconciled
from abonent.errors import AbonentError, CallerError
from abonent.feed import Feed, GateChanged, Happening, ReplayReport
from abonent.gates import GateCache
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

T = TypeVar("T")


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


class AsyncIdentifier:
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
        self._calls = self._engine.calls
        self._feed = Feed(self._engine.archive, self._loop.commits.check)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="abonent-writer")
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="abonent-reader")
        self._gates: WeakSet[GateCache] = WeakSet()
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._places: dict[str, asyncio.Semaphore] = {}
        self._queued: dict[str, int] = {}
        self._running: set[asyncio.Task[Any]] = set()

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
        while self._running:
            await asyncio.wait(set(self._running))
        for gates in list(self._gates):
            await asyncio.to_thread(gates.close)
        try:
            if not self._loop.commits.closed:
                await self._in_thread(self._readers, self._loop.commits.close)
        finally:
            self._engine.archive.storage.close()
            for pool in (self._writer, self._readers, *self._lanes.values()):
                pool.shutdown(wait=False)

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

    async def import_identified(
        self,
        rows: Iterable[DeclaredUser],
        *,
        rejected: Callable[[RejectedUser], object] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> ImportReport:
        """See `Identifier.import_identified`."""
        return await self._drive(self._engine.importer.run(rows, rejected, progress))

    def _arrived(self, received_at: datetime | None) -> datetime:
        return self._loop.clock.now() if received_at is None else check_instant(received_at)

    # --- the journal -----------------------------------------------------------------

    async def changes(self, *, after: int = 0, limit: int = 1000) -> list[GateChanged]:
        """See `Identifier.changes`."""
        return await self._in_thread(self._readers, self._feed.changes, after, limit)

    async def history(self, user_id: str) -> list[Happening]:
        """See `Identifier.history`."""
        return await self._in_thread(self._readers, self._feed.history, user_id)

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

    # --- driving flows ---------------------------------------------------------------

    async def _in_thread(
        self, pool: ThreadPoolExecutor, function: Callable[..., T], *arguments: Any
    ) -> T:
        self._loop.commits.check()
        return await asyncio.get_running_loop().run_in_executor(pool, partial(function, *arguments))

    async def _drive(self, flow: Flow[T]) -> T:
        answer: Any = None
        error: AbonentError | None = None
        while True:
            try:
                request = flow.send(answer) if error is None else flow.throw(error)
            except StopIteration as end:
                result: T = end.value
                return result
            answer, error = None, None
            try:
                answer = await self._answer(request)
            except AbonentError as raised:
                error = raised

    async def _answer(self, request: Any) -> Any:
        if type(request) is Submit:
            return (await self._settle([request]))[0].outcome()
        if type(request) is Read:
            return await self._in_thread(self._readers, request.function, *request.arguments)
        if type(request) is Call:
            return await self._call(request)
        if type(request) is Spawn:
            return await self._spawn(request.flows)
        if type(request) is SubmitAll:
            return [task.error or task.result for task in await self._settle(request.tasks)]
        raise TypeError(f"a flow asked for {type(request).__name__}")

    async def _settle(self, submits: Iterable[Submit]) -> list[Task]:
        loop = asyncio.get_running_loop()
        tasks: list[Task] = []
        futures: list[asyncio.Future[None]] = []
        leads = False
        for each in submits:
            task = Task(each.keys, each.work, each.aliases)
            future = loop.create_future()
            task.notify = partial(_tell, loop, future)
            leads = self._loop.commits.enqueue(task) or leads
            tasks.append(task)
            futures.append(future)
        if leads:
            self._writer.submit(self._loop.commits.lead)
        for future in futures:
            await future
        return tasks

    async def _call(self, request: Call) -> Any:
        if not inspect.iscoroutinefunction(request.function):
            if request.prompt and request.lane != "router":
                return guarded(request.lane, request.function, request.arguments)
            call = partial(guarded, request.lane, request.function, request.arguments)
            return await self._in_thread(self._pool(request.lane), call)
        try:
            return await request.function(*request.arguments)
        except BaseException as error:
            raise translated(request.lane, error) from None

    def _pool(self, lane: str) -> ThreadPoolExecutor:
        pool = self._lanes.get(lane)
        if pool is None:
            pool = ThreadPoolExecutor(8, thread_name_prefix=f"abonent-{lane}")
            self._lanes[lane] = pool
        return pool

    async def _spawn(self, lanes: tuple[Lane, ...]) -> list[Any]:
        started: list[tuple[int, asyncio.Task[Any]]] = []
        results: list[Any] = [None] * len(lanes)
        for position, lane in enumerate(lanes):
            if lane.name == HERE.get():
                results[position] = await self._drive(lane.flow())
                continue
            queued = self._queued.get(lane.name, 0)
            if queued >= lane.width * (1 + QUEUED_PER_PLACE):
                continue
            self._queued[lane.name] = queued + 1
            task = asyncio.create_task(self._in_lane(lane))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            started.append((position, task))
        if started:
            seconds = self._loop.policy.inline_wait.total_seconds()
            done, _ = await asyncio.wait([task for _, task in started], timeout=seconds)
            for position, task in started:
                if task in done:
                    results[position] = task.result()
        return results

    async def _in_lane(self, lane: Lane) -> Any:
        """Run a flow in its lane, which has so many places and no more (P26)."""
        places = self._places.get(lane.name)
        if places is None:
            places = self._places[lane.name] = asyncio.Semaphore(lane.width)
        try:
            async with places:
                HERE.set(lane.name)  # this task's own context
                return await self._drive(lane.flow())
        finally:
            self._queued[lane.name] -= 1


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    def done() -> None:
        if not future.done():
            future.set_result(None)

    loop.call_soon_threadsafe(done)

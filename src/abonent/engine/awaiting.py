"""Driving flows with asyncio.

Knows what each request of a flow means in an event loop: what would block goes to a thread, and
what is spawned runs as tasks, so many of a lane at a time. Refuses to know what a flow is about.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from abonent.engine.commits import GroupCommit, Task
from abonent.engine.effects import (
    HERE,
    QUEUED_PER_PLACE,
    Call,
    Flow,
    Lane,
    Read,
    Spawn,
    Submit,
    SubmitAll,
    guarded,
    translated,
)
from abonent.errors import AbonentError

T = TypeVar("T")


class AsyncDriver:
    """Drives flows; the root of the shells for asyncio."""

    def __init__(self, commits: GroupCommit, inline_wait: timedelta) -> None:
        self._commits = commits
        self._inline_wait = inline_wait.total_seconds()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="abonent-writer")
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="abonent-reader")
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._places: dict[str, asyncio.Semaphore] = {}
        self._queued: dict[str, int] = {}
        self._running: set[asyncio.Task[Any]] = set()

    async def _rest(self) -> None:
        """Wait until nothing runs in any lane."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def _finish(self) -> None:
        """Settle what is left, and refuse what comes later."""
        if not self._commits.closed:
            await self._in_thread(self._readers, self._commits.close)

    def _let_go(self) -> None:
        """Let the threads end."""
        for pool in (self._writer, self._readers, *self._lanes.values()):
            pool.shutdown(wait=False)

    async def _in_thread(
        self, pool: ThreadPoolExecutor, function: Callable[..., T], *arguments: Any
    ) -> T:
        self._commits.check()
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
            leads = self._commits.enqueue(task) or leads
            tasks.append(task)
            futures.append(future)
        if leads:
            self._writer.submit(self._commits.lead)
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
            seconds = self._inline_wait
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

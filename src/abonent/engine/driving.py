"""Driving flows with threads.

Knows what each request of a flow means where a thread may wait: it commits, reads and calls by
itself, and gives what is spawned to the threads of its lane. Refuses to know what a flow is about.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
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
)
from abonent.errors import AbonentError

T = TypeVar("T")


class Driver:
    """Drives flows; the root of the shells for threads."""

    def __init__(self, commits: GroupCommit, inline_wait: timedelta) -> None:
        self._commits = commits
        self._inline_wait = inline_wait.total_seconds()
        self._lanes: dict[str, ThreadPoolExecutor] = {}
        self._lanes_mutex = threading.Lock()

    def _rest(self) -> None:
        """Wait until nothing runs in any lane, and start nothing there any more."""
        for lane in self._lanes.values():
            lane.shutdown(wait=True)

    def _drive(self, flow: Flow[T]) -> T:
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
                answer = self._answer(request)
            except AbonentError as raised:
                error = raised

    def _answer(self, request: Any) -> Any:
        if type(request) is Submit:
            return self._commits.submit(Task(request.keys, request.work, request.aliases))
        if type(request) is Call:
            return guarded(request.lane, request.function, request.arguments)
        if type(request) is Read:
            return request.function(*request.arguments)
        if type(request) is Spawn:
            return self._spawn(request.flows)
        if type(request) is SubmitAll:
            tasks = [Task(each.keys, each.work, each.aliases) for each in request.tasks]
            self._commits.submit_all(tasks)
            return [task.error or task.result for task in tasks]
        raise TypeError(f"a flow asked for {type(request).__name__}")

    def _spawn(self, lanes: tuple[Lane, ...]) -> list[Any]:
        started: list[tuple[int, Future[Any]]] = []
        results: list[Any] = [None] * len(lanes)
        for position, lane in enumerate(lanes):
            if lane.prompt or lane.name == HERE.get():
                results[position] = self._drive(lane.flow())
                continue
            future = self._start(lane)
            if future is not None:
                started.append((position, future))
        if started:
            seconds = self._inline_wait
            done, _ = wait([future for _, future in started], timeout=seconds)
            for position, future in started:
                if future in done:
                    results[position] = future.result()
        return results

    def _start(self, lane: Lane) -> Future[Any] | None:
        """Start a flow in its lane's own threads, unless too much waits there already (P26)."""
        with self._lanes_mutex:
            pool = self._lanes.get(lane.name)
            if pool is None:
                pool = ThreadPoolExecutor(lane.width, thread_name_prefix=f"abonent-{lane.name}")
                self._lanes[lane.name] = pool
        if pool._work_queue.qsize() >= lane.width * QUEUED_PER_PLACE:
            return None
        try:
            return pool.submit(self._in_lane, lane)
        except RuntimeError:  # we are being closed: what is owed stands
            return None

    def _in_lane(self, lane: Lane) -> Any:
        HERE.set(lane.name)  # the pool's threads belong to this lane
        return self._drive(lane.flow())

"""Where the time of many callers goes: `python -m benchmarks.shares [callers]`.

Knows the rooms that a call passes: settling a batch, within it the store, and everything else. It
takes the times by wrapping the calls, so it costs a little itself. Refuses to look into functions.

Settling is done by one thread at a time, so that its wall time is what nobody else can use. The
processor time is of the whole process, whose threads share one interpreter; what the server takes
is told apart.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from abonent import SqliteStorage
from abonent.engine.commits import Task
from abonent.ports import Storage
from benchmarks.callers import FAR, WARM_UP, per_second
from benchmarks.identifications import Service
from benchmarks.servers import server, storage

COUNT = 3_200
_CALLS = ("load", "find", "commit")


class Shares:
    """Wall and processor seconds by room."""

    def __init__(self, opened: Storage) -> None:
        self.wall: Counter[str] = Counter()
        self.processor: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.tasks = 0
        for name in _CALLS:
            setattr(opened, name, self._timed(name, getattr(opened, name)))
        self.service = Service(opened)
        commits = self.service.identifier._loop.commits
        settle = self._timed("settle", commits._process)

        def counted(batch: Sequence[Task]) -> None:
            self.tasks += len(batch)
            settle(batch)

        commits._process = counted  # type: ignore[method-assign]

    def _timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            wall, processor = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments)
            finally:
                self.wall[name] += time.perf_counter() - wall
                self.processor[name] += time.thread_time() - processor
                self.calls[name] += 1

        return timed

    def tell(self, store: str, callers: int) -> None:
        """Run, and print a table."""
        self.service.identify(FAR, WARM_UP)
        for each in (self.wall, self.processor, self.calls):
            each.clear()
        self.tasks = 0
        began, whole = time.perf_counter(), time.process_time()
        reached = per_second(self.service, COUNT, callers)
        wall, processor = time.perf_counter() - began, time.process_time() - whole
        self.service.close()
        batches = max(1, self.calls["settle"])
        print(
            f"{store}, {callers} callers: {reached:.0f} identifications/s, "
            f"{self.tasks / batches:.0f} tasks a batch, {wall:.2f} s, processor {processor:.2f} s"
        )
        kept = sum(self.wall[name] for name in _CALLS)
        taken = sum(self.processor[name] for name in _CALLS)
        rooms = {name: (self.wall[name], self.processor[name]) for name in _CALLS}
        rooms["settling apart from the store"] = (
            self.wall["settle"] - kept,
            self.processor["settle"] - taken,
        )
        rooms["outside of settling"] = (
            wall - self.wall["settle"],
            processor - self.processor["settle"],
        )
        for name, (seconds, spent) in rooms.items():
            print(
                f"  {name:30} wall {seconds / wall:6.1%}   processor {spent / processor:6.1%}"
                f"   {spent / COUNT * 1e6:6.0f} µs an identification"
            )


def main(callers: int) -> None:
    """Both stores, one after the other."""
    if os.cpu_count() == 1:
        print("one core: server and callers take turns")
    with tempfile.TemporaryDirectory() as folder, server() as conninfo:
        Shares(SqliteStorage(Path(folder) / "shares.db", territory="RU")).tell("SQLite", callers)
        with storage(conninfo) as opened:
            Shares(opened).tell("PostgreSQL", callers)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64)

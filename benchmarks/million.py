"""A messenger's million users: taken over, listed, their gates asked; and what memory it takes.

python -m benchmarks.million                   on SQLite
python -m benchmarks.million --postgres        on PostgreSQL
python -m benchmarks.million --users 20000     fewer
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from abonent import (
    DeclaredUser,
    Identifier,
    MemoryKeys,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    SqliteStorage,
)
from abonent.ports import CodeMessage, Storage
from benchmarks.servers import server, storage


class Silent:
    """A sender of codes that is never asked for one."""

    def send(self, message: CodeMessage) -> None:
        """Nobody claims."""


def resident() -> float:
    """MiB of this process that are in memory."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096 / 2**20


def rows(users: int) -> Iterator[DeclaredUser]:
    """They come one by one."""
    since = datetime.now(UTC) - timedelta(days=400)
    for each in range(users):
        yield DeclaredUser(user_id=f"user-{each:08d}", number=f"+79{each:09d}", proven_at=since)


def run(opened: Storage, users: int) -> None:
    """Do all of it on a store and tell."""
    identifier = Identifier(
        messenger=Messenger(id="messenger", kind=MessengerKind.DOMESTIC),
        storage=opened,
        keys=MemoryKeys.random(),
        possession=OneTimeCodes(Silent()),
    )
    tenth: list[float] = []

    def tell(done: int) -> None:
        if not tenth and done >= users // 10:
            tenth.append(resident())

    began = time.perf_counter()
    report = identifier.import_identified(rows(users), progress=tell)
    taken = time.perf_counter() - began
    print(f"{report.imported:,} users taken over in {taken:.0f} s, {users / taken:,.0f} a second")
    print(f"resident: {tenth[0]:.0f} MiB after a tenth, {resident():.0f} MiB after all")
    began = time.perf_counter()
    listed = sum(1 for _ in identifier.standings())
    taken = time.perf_counter() - began
    print(f"{listed:,} standings in {taken:.0f} s; resident {resident():.0f} MiB")
    gates = identifier.gate_cache(max_users=100_000)
    asked = [f"user-{each:08d}" for each in range(0, users, max(1, users // 20_000))]
    for time_of in ("the first time", "again"):
        began = time.perf_counter()
        if not all(gates.gate(user) for user in asked):
            raise RuntimeError("the gate of a user who was taken over is closed")
        taken = time.perf_counter() - began
        print(f"{len(asked):,} gates asked {time_of}: {taken / len(asked) * 1e6:.2f} µs each")
    print(f"resident {resident():.0f} MiB")
    identifier.close()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.million")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        if options.postgres:
            opened: Storage = stack.enter_context(storage(stack.enter_context(server())))
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            opened = SqliteStorage(Path(folder) / "million.db", territory="RU")
        run(opened, options.users)


if __name__ == "__main__":
    main()

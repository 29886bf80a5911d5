"""What auditing costs those who are served: `python -m benchmarks.audited [--rounds 6]`.

Knows a service with 64 callers, and a process beside it that publishes a checkpoint of its journal
every second, as `abonent audit watch` does in production. Refuses to judge a single run: rounds
take turns, and each has a second run without auditing, whose ratio to the first is the noise.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from abonent import Identifier, MemoryKeys, Messenger, MessengerKind, OneTimeCodes, SqliteStorage
from abonent.audit.signing import create_key
from benchmarks.callers import FAR, WARM_UP, per_second
from benchmarks.identifications import KeptCodes, Service

CALLERS: Final = 64
_ROOT: Final = Path(__file__).parents[1]
_DATABASE: Final = "ABONENT_AUDITED"
_PATIENCE: Final = 60.0


def make_identifier() -> Identifier:
    """The service, as the process that watches it opens it."""
    return Identifier(
        messenger=Messenger(id="messenger", kind=MessengerKind.DOMESTIC),
        storage=SqliteStorage(os.environ[_DATABASE], territory="RU"),
        keys=MemoryKeys.random(),  # entries are logged as they are, sealed
        possession=OneTimeCodes(KeptCodes()),
    )


class Run(NamedTuple):
    """Identifications a second, and the share of a core that the other process took meanwhile."""

    per_second: float
    share: float = 0.0


@contextmanager
def watching(folder: Path) -> Iterator[Callable[[], float]]:
    """Have a process watch the database of a folder; it has published once when this begins.

    Gives what tells the processor seconds that it has used.
    """
    create_key(folder / "log.key", "example.com/benchmark")
    where = ["--log", str(folder / "log"), "--key", str(folder / "log.key"), "--every", "1"]
    command = ["audit", "watch", "benchmarks.audited:make_identifier", *where]
    paths = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
    process = psutil.Popen(
        [sys.executable, "-m", "abonent.cli", *command],
        env={**os.environ, _DATABASE: str(folder / "service.db"), "PYTHONPATH": paths},
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _PATIENCE
        while not (folder / "log" / "checkpoint").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the journal is not watched")
            time.sleep(0.02)
        yield lambda: sum(process.cpu_times()[:2])
        if process.poll() is not None:
            raise RuntimeError("the journal was not watched until the end")
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def run(count: int, *, audited: bool) -> Run:
    """Identify so many users, 64 at a time, in a fresh file."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        service = Service(SqliteStorage(folder / "service.db", territory="RU"))
        try:
            service.identify(FAR, WARM_UP)
            with watching(folder) if audited else nullcontext(lambda: 0.0) as used:
                began, spent = time.perf_counter(), used()
                reached = per_second(service, count, CALLERS)
                taken, spent = time.perf_counter() - began, used() - spent
        finally:
            service.close()
    return Run(reached, spent / taken)


def ratios(count: int, turn: int) -> dict[str, float]:
    """One round of three runs, of which each comes first in turn.

    `audited_64` is the one with auditing ÷ the mean of the two without; `audited_64_noise` is one
    of these two ÷ the other; `audited_64_core` is what the other process took of a core.
    """
    seen = {each: run(count, audited=each == 1) for each in ((turn + at) % 3 for at in range(3))}
    without, audited, again = (seen[each] for each in range(3))
    plain = (without.per_second + again.per_second) / 2
    return {
        "audited_64": audited.per_second / plain,
        "audited_64_noise": again.per_second / without.per_second,
        "audited_64_core": audited.share,
    }


def main() -> None:
    """Read the command line, run, and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audited")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--count", type=int, default=6_400)
    options = parser.parse_args()
    rounds = [ratios(options.count, turn) for turn in range(options.rounds)]
    for name in rounds[0]:
        values = [each[name] for each in rounds]
        print(
            f"{name:22} {statistics.median(values):6.3f}"
            f"   {min(values):.3f} to {max(values):.3f} in {len(values)} rounds"
        )


if __name__ == "__main__":
    main()

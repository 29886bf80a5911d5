"""Run the benchmarks: `python -m benchmarks [--quick]`.

Knows the order of a run, and writes `results.json` and `results.svg`. Refuses to know how anything
is measured.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

from abonent import SqliteStorage
from abonent.ports import Storage
from benchmarks import (
    core_step,
    deadlines,
    figures,
    floors,
    identifications,
    imports,
    size,
    worlds,
)
from benchmarks.callers import Identifies, measured
from benchmarks.deadlines import Pending
from benchmarks.identifications import Service
from benchmarks.peers import THREADS, event_sourced, hand_made, queued
from benchmarks.servers import schema, server, storage

FEW, MANY, MANY_QUICK = 10_000, 1_000_000, 100_000
CLAIMS = 1_000


class Run:
    """One run: rounds in which the contestants take turns, and what was seen in each."""

    def __init__(self, conninfo: str, scale: float) -> None:
        self.conninfo = conninfo
        self.scale = scale
        self.seen: defaultdict[str, list[float]] = defaultdict(list)

    def count(self, full: int) -> int:
        """How many, in a run of this scale."""
        return max(64, int(full * self.scale))

    def round(self, folder: Path) -> None:
        """All that is repeated."""
        sqlite = self._sqlite(folder)
        postgres = self._postgres()
        self._peers("sqlite", sqlite[0], sqlite[1], self._on_sqlite(folder))
        self._peers("postgres", postgres[0], postgres[1], self._on_postgres())
        self._gates(folder)
        command, event = core_step.microseconds(self.count(2000))
        self._saw(core_command_us=command, core_step_us=event)
        self._saw(world_steps_per_s=worlds.steps_per_second(max(2, int(10 * self.scale))))
        self._saw(calibration_us=floors.calibration_us())

    def once(self, folder: Path, most: int, imported: int) -> None:
        """All that takes its medians itself."""
        with ExitStack() as stack:

            def pending(opened: Storage, upto: int) -> Pending:
                return stack.enter_context(closing(Pending(opened, upto)))

            few, many = (
                pending(SqliteStorage(folder / f"{upto}.db", territory="RU"), upto)
                for upto in (FEW, most)
            )
            costs = {"sqlite": deadlines.costs(few, many, CLAIMS)}
            few, many = (
                pending(stack.enter_context(storage(self.conninfo)), upto) for upto in (FEW, most)
            )
            costs["postgres"] = deadlines.costs(few, many, CLAIMS)
        for store, (first, second) in costs.items():
            self._saw(
                **{
                    f"deadline_cost_us_{store}_few": first,
                    f"deadline_cost_us_{store}_many": second,
                    f"sweep_growth_{store}": second / first,
                    f"sweep_per_s_{store}": 1e6 / second,
                }
            )
        self._saw(
            sweep_growth=max(second / first for first, second in costs.values()),
            sweep_per_s=min(1e6 / second for _, second in costs.values()),
            deadlines_pending=most,
        )
        with storage(self.conninfo) as opened:
            on_postgres = size.on_postgres(self.conninfo, opened, most)
        self._saw(bytes_sqlite=size.on_sqlite(folder, most), bytes_postgres=on_postgres)
        with schema(self.conninfo, "queue") as name:
            jobs = queued.jobs_per_second(self.conninfo, name, self.count(1000))
        with schema(self.conninfo, "parked") as name:
            parked = queued.jobs_per_second(self.conninfo, name, self.count(200), parked=100_000)
        self._saw(procrastinate_jobs_per_s=jobs, procrastinate_parked_jobs_per_s=parked)
        for name, statement in (
            ("import", "import abonent"),
            ("import_identifier", "from abonent import Identifier"),
        ):
            milliseconds, mebibytes = imports.cost(statement, imported)
            self._saw(**{f"{name}_ms": milliseconds, f"{name}_mb": mebibytes})

    def medians(self) -> dict[str, float]:
        """The figures."""
        return {name: round(statistics.median(values), 3) for name, values in self.seen.items()}

    # --- small parts of the above ----------------------------------------------------

    def _saw(self, **values: float) -> None:
        for name, value in values.items():
            self.seen[name].append(value)

    def _sqlite(self, folder: Path) -> tuple[float, float]:
        """The floor, and ours with 64 callers."""

        def ours(name: str, full: int, callers: int) -> float:
            service = Service(SqliteStorage(folder / name, territory="RU"))
            return measured(service, self.count(full), callers)

        floor = floors.rows_per_second(folder, self.count(2000))
        alone = ours("single.db", 500, 1)
        together = ours("grouped.db", 3200, 64)
        self._saw(floor_rows_per_s=floor)
        self._saw(sqlite_single=3 * alone / floor, sqlite_grouped_64=3 * together / floor)
        return floor, together

    def _postgres(self) -> tuple[float, float]:
        """The same there, and with 256 callers."""

        def ours(full: int, callers: int) -> float:
            with storage(self.conninfo) as opened:
                return measured(Service(opened), self.count(full), callers)

        with schema(self.conninfo, "floor") as name:
            floor = floors.postgres_rows_per_second(self.conninfo, name, self.count(2000))
        alone, together, crowd = ours(500, 1), ours(3200, 64), ours(5120, 256)
        self._saw(postgres_floor_rows_per_s=floor, postgres_single=3 * alone / floor)
        self._saw(postgres_grouped_64=3 * together / floor)
        self._saw(postgres_grouped_256=3 * crowd / floor)
        return floor, together

    def _on_sqlite(self, folder: Path) -> dict[str, Callable[[int], float]]:
        def measuring(name: str, make: Callable[[Path], Identifies]) -> Callable[[int], float]:
            def one(callers: int) -> float:
                service = make(folder / f"{name}-{callers}.db")
                return measured(service, self._share(callers), callers)

            return one

        return {
            "eventsourcing": measuring("eventsourcing", event_sourced.on_sqlite),
            "diy": measuring("diy", hand_made.on_sqlite),
        }

    def _on_postgres(self) -> dict[str, Callable[[int], float]]:
        def measuring(make: Callable[[str, str], Identifies]) -> Callable[[int], float]:
            def one(callers: int) -> float:
                with schema(self.conninfo, "peer") as name:
                    return measured(make(self.conninfo, name), self._share(callers), callers)

            return one

        return {
            "eventsourcing": measuring(event_sourced.on_postgres),
            "diy": measuring(hand_made.on_postgres),
        }

    def _peers(
        self, store: str, floor: float, ours: float, peers: dict[str, Callable[[int], float]]
    ) -> None:
        for peer, identifications_per_second in peers.items():
            reached = {callers: identifications_per_second(callers) for callers in THREADS}
            for callers, each in reached.items():
                size = "single" if callers == 1 else str(callers)
                self._saw(**{f"{peer}_{store}_{size}": 3 * each / floor})
            self._saw(**{f"vs_{peer}_{store}": ours / max(reached.values())})

    def _share(self, callers: int) -> int:
        """Enough for a peer that starting the threads does not count."""
        return max(self.count(600), 8 * callers)

    def _gates(self, folder: Path) -> None:
        users, asked = self.count(1000), self.count(10_000)
        stored = SqliteStorage(folder / "gate.db", territory="RU")
        gates, keys = identifications.gates_per_second(stored, users, asked)
        selects = floors.selects_per_second(folder, keys, asked)
        kept = identifications.gate_ns(SqliteStorage(folder / "kept.db", territory="RU"), users, 30)
        self._saw(gate_store_ratio=selects / gates, gate_ns=kept)


def measure(*, quick: bool) -> dict[str, float]:
    """Return the medians of interleaved rounds, so that a machine that drifts drifts for all."""
    rounds, scale, many = (2, 0.3, MANY_QUICK) if quick else (5, 1.0, MANY)
    with server() as conninfo:
        run = Run(conninfo, scale)
        for turn in range(rounds):
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as name:
                run.round(Path(name))
            print(f"round {turn + 1} of {rounds}: {time.monotonic() - began:.0f} s", flush=True)
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as name:
            run.once(Path(name), many, rounds * 3)
        print(f"deadlines and imports: {time.monotonic() - began:.0f} s", flush=True)
    return run.medians()


def main() -> None:
    """Measure, write, draw, and show the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    quick = parser.parse_args().quick
    results = measure(quick=quick)
    about = {
        "machine": f"{platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    path = Path(__file__).with_name("results.json")
    path.write_text(json.dumps({**results, **about}, indent=2) + "\n", "utf-8")
    figures.plot(results, path.with_suffix(".svg"))
    for name, value in results.items():
        print(figures.line(name, value))


if __name__ == "__main__":
    main()

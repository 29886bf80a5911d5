"""Run the benchmarks and write `results.json`: `python -m benchmarks [--quick]`."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import core_step, floors, identifications, imports, worlds

GOALS = {
    "sqlite_single": (">=", 0.8),
    "sqlite_grouped_64": (">=", 3.4),
    "gate_store_ratio": ("<=", 1.5),
    "core_step_us": ("<=", 8.0),
    "world_steps_per_s": (">=", 20_000.0),
    "import_ms": ("<=", 80.0),
    "import_mb": ("<=", 20.0),
}


def measure(rounds: int, scale: float) -> dict[str, float]:
    """Return the medians of interleaved rounds, so that a machine that drifts drifts for all."""
    seen: defaultdict[str, list[float]] = defaultdict(list)

    def count(full: int) -> int:
        return max(64, int(full * scale))

    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            floor = floors.rows_per_second(folder, count(2000))
            seen["floor_rows_per_s"].append(floor)
            alone = identifications.single(folder, count(500))
            seen["sqlite_single"].append(3 * alone / floor)
            together = identifications.grouped(folder, count(3200), 64)
            seen["sqlite_grouped_64"].append(3 * together / floor)
            gates, keys = identifications.gates_per_second(folder, count(1000), count(10_000))
            selects = floors.selects_per_second(folder, keys, count(10_000))
            seen["gate_store_ratio"].append(selects / gates)
            command, event = core_step.microseconds(count(2000))
            seen["core_command_us"].append(command)
            seen["core_step_us"].append(event)
            seen["world_steps_per_s"].append(worlds.steps_per_second(max(2, int(10 * scale))))
            seen["calibration_us"].append(floors.calibration_us())
    milliseconds, mebibytes = imports.cost("import abonent", rounds * 3)
    seen["import_ms"].append(milliseconds)
    seen["import_mb"].append(mebibytes)
    milliseconds, mebibytes = imports.cost("from abonent import Identifier", rounds * 3)
    seen["import_identifier_ms"].append(milliseconds)
    seen["import_identifier_mb"].append(mebibytes)
    return {name: round(statistics.median(values), 3) for name, values in seen.items()}


def main() -> None:
    """Measure, write, and show the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    quick = parser.parse_args().quick
    results = measure(2 if quick else 5, 0.3 if quick else 1.0)
    about = {
        "machine": f"{platform.machine()}, {platform.system()}",
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }
    path = Path(__file__).with_name("results.json")
    path.write_text(json.dumps({**results, **about}, indent=2) + "\n", "utf-8")
    for name, value in results.items():
        goal = GOALS.get(name)
        print(f"{name:24} {value:12.3f}" + (f"   goal {goal[0]} {goal[1]}" if goal else ""))


if __name__ == "__main__":
    main()

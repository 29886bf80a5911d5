"""Run many worlds and say what was found: `python -m tests.worlds --seeds 200`.

Exit status 0 only if every invariant held in every world and every rare branch was seen.
"""

# ruff: noqa: T201 - tells on standard output

from __future__ import annotations

import argparse
import os
import sys
import time

from abonent.simulation.world import RARE
from tests.worlds.running import Findings, run_many, together


def main() -> int:
    """Run them and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.worlds", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many worlds (200)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--subscribers", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    began = time.perf_counter()
    lots: list[Findings] = []
    for lot in run_many(
        options.first,
        options.seeds,
        days=options.days,
        subscribers=options.subscribers,
        jobs=options.jobs,
    ):
        lots.append(lot)
        for seed, broken in lot.broken:
            print(f"seed {seed}: {broken.invariant}: {broken.what}")
            print("\n".join(f"    {line}" for line in broken.history))
        done = sum(each.worlds for each in lots)
        if sys.stderr.isatty() or done % 1000 == 0:
            print(f"{done} of {options.seeds} worlds", file=sys.stderr)
    found, seconds = together(lots), time.perf_counter() - began
    print(
        f"{found.worlds} worlds of {options.days:g} days and {options.subscribers} subscribers: "
        f"{len(found.broken)} violations"
    )
    print(
        f"{found.steps} steps in {seconds:.0f} s: {found.steps / seconds:,.0f} a second with "
        f"{options.jobs} processes, {found.steps / found.seconds:,.0f} a second of one processor"
    )
    print(f"rare branches seen: {len(RARE) - len(found.unseen)} of {len(RARE)}")
    for name in sorted(RARE, key=lambda name: found.seen[name]):
        print(f"  {found.seen[name]:>9,}  {name}")
    return 1 if found.broken or found.unseen else 0


if __name__ == "__main__":
    sys.exit(main())

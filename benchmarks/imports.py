"""What importing costs, over bare Python, in fresh processes."""

from __future__ import annotations

import statistics
import subprocess
import sys

_PROGRAM = """
import pathlib, time
def resident():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096
before = resident()
started = time.perf_counter()
{statement}
taken = time.perf_counter() - started
print(taken * 1000, (resident() - before) / 2**20)
"""


def cost(statement: str, runs: int) -> tuple[float, float]:
    """Return the median milliseconds and MiB of a statement."""
    times, sizes = [], []
    for _ in range(runs):
        program = _PROGRAM.format(statement=statement)
        answer = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        taken, size = answer.stdout.split()
        times.append(float(taken))
        sizes.append(float(size))
    return statistics.median(times), statistics.median(sizes)

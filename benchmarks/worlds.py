"""How fast a simulated world goes: protocol steps, which are events committed to journals."""

from __future__ import annotations

import time

from abonent.simulation.world import run_world


def steps_per_second(worlds: int) -> float:
    """Run worlds of 30 days and 50 subscribers in this process; steps a second of wall time."""
    began = time.perf_counter()
    steps = sum(run_world(seed=seed, shrink_tries=0).steps for seed in range(worlds))
    return steps / (time.perf_counter() - began)

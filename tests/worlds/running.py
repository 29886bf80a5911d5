"""Running many worlds, in as many processes as there are cores, until one breaks an invariant."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

from attrs import frozen

from abonent.simulation.world import RARE, Violation, run_world

_TOGETHER = 10
"""Seeds that a process runs before it reports."""


@frozen(kw_only=True)
class Findings:
    """What came of some worlds: how many, their steps, processor time, and what was seen."""

    worlds: int
    steps: int
    seconds: float
    seen: Counter[str]
    broken: tuple[tuple[int, Violation], ...]

    @property
    def unseen(self) -> list[str]:
        """The rare branches that no world met."""
        return [name for name in RARE if not self.seen[name]]


def run_some(seeds: Iterable[int], days: float, subscribers: int) -> Findings:
    """Run a world for each seed, one after the other."""
    began = time.process_time()
    seen: Counter[str] = Counter()
    broken: list[tuple[int, Violation]] = []
    steps = worlds = 0
    for seed in seeds:
        outcome = run_world(seed=seed, days=days, subscribers=subscribers)
        worlds += 1
        steps += outcome.steps
        seen.update(outcome.seen)
        if outcome.violation is not None:
            broken.append((seed, outcome.violation))
    return Findings(
        worlds=worlds,
        steps=steps,
        seconds=time.process_time() - began,
        seen=seen,
        broken=tuple(broken),
    )


def together(some: Iterable[Findings]) -> Findings:
    """Add up what came of several lots of worlds."""
    several = list(some)
    return Findings(
        worlds=sum(each.worlds for each in several),
        steps=sum(each.steps for each in several),
        seconds=sum(each.seconds for each in several),
        seen=sum((each.seen for each in several), Counter()),
        broken=tuple(sorted(found for each in several for found in each.broken)),
    )


def run_many(
    first: int, count: int, *, days: float, subscribers: int, jobs: int
) -> Iterator[Findings]:
    """Run worlds in processes of their own, and tell of each lot as it is done."""
    lots = [
        range(start, min(start + _TOGETHER, first + count))
        for start in range(first, first + count, _TOGETHER)
    ]
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        futures = [pool.submit(run_some, lot, days, subscribers) for lot in lots]
        for future in as_completed(futures):
            yield future.result()

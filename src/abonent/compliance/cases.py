"""The worst cases, however many there are.

Knows which of two is worse. Refuses to keep more than it was told to.
"""

from __future__ import annotations

from collections import Counter
from heapq import heappush, heappushpop
from math import inf
from typing import Final

from abonent.compliance.figures import Case, Duty

MOST: Final = 10_000


class Worst:
    """The worst cases of each duty. What never came is worst; of equals, the earlier entry is."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heaps: dict[Duty, list[tuple[float, int, int, Case]]] = {each: [] for each in Duty}
        self.found: Counter[Duty] = Counter()

    def add(self, case: Case) -> None:
        """Take a case, or let the least bad go."""
        self.found[case.duty] += 1
        heap = self._heaps[case.duty]
        badness = inf if case.seconds is None else case.seconds
        # The count tells apart two of one entry: a case has no order of its own.
        ranked = (badness, -case.cursor, -self.found[case.duty], case)
        if len(heap) < self._most:
            heappush(heap, ranked)
        elif heap:
            heappushpop(heap, ranked)

    def cases(self) -> tuple[Case, ...]:
        """Return what was kept, by duty, the worst first."""
        return tuple(
            ranked[3] for heap in self._heaps.values() for ranked in sorted(heap, reverse=True)
        )

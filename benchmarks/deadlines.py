"""What an expired claim costs, while many others are pending.

Knows a clock that is set: claims are made, two days pass, and sweeps settle what is due. Refuses to
wait. The users that are pending meanwhile are ballast: records in the same space with a deadline
far away and a body of the usual size, written by the store itself; nobody opens them.
"""

from __future__ import annotations

import os
import statistics
import time
from datetime import UTC, datetime, timedelta

from abonent.ports import Put, Storage, Unit
from abonent.simulation import SimulatedClock
from benchmarks.identifications import Service

_BODY = 135
_FAR = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000
_BATCH = 1_000
_TURNS = 5
_CALLERS = 16


class Pending:
    """A messenger with many pending users in one store."""

    def __init__(self, storage: Storage, upto: int) -> None:
        self.clock = SimulatedClock()
        self.storage = storage
        self.service = Service(storage, clock=self.clock)
        self.space = self.service.identifier._engine.archive.space
        self.claimed = 0
        self._fill(upto)

    def _fill(self, upto: int) -> None:
        for start in range(0, upto, _BATCH):
            size = min(_BATCH, upto - start)
            puts = [Put(os.urandom(16), 0, os.urandom(_BODY), _FAR) for _ in range(size)]
            if not all(self.storage.commit([Unit(self.space, (put,)) for put in puts])):
                raise RuntimeError("a unit conflicted")

    def microseconds(self, claims: int) -> float:
        """What one expired claim costs in a sweep, with all that falls due by it.

        Besides the claim, its code and the number's budget of codes run out: two records of the
        store and two events a claim. All of it is in the figure.
        """
        self.service.claim(self.claimed, claims, _CALLERS)
        self.claimed += claims
        self.clock.advance(timedelta(days=2))
        started = time.perf_counter()
        report = self.service.identifier.sweep(limit=10 * claims)
        taken = time.perf_counter() - started
        if report.events.get("IdentificationNotPassed") != claims:
            raise RuntimeError(f"not all of {claims} claims expired: {dict(report.events)}")
        return taken / claims * 1e6

    def close(self) -> None:
        """Close it."""
        self.service.close()


def costs(few: Pending, many: Pending, claims: int) -> tuple[float, float]:
    """Microseconds an expired claim costs with few users pending, and with many; medians, in turns.

    The first sweep of each is not counted: it finds the store's own upkeep of the filling going on.
    """
    found: dict[Pending, list[float]] = {few: [], many: []}
    for turn in range(_TURNS + 1):
        for pending, taken in found.items():
            cost = pending.microseconds(claims)
            if turn:
                taken.append(cost)
    return statistics.median(found[few]), statistics.median(found[many])

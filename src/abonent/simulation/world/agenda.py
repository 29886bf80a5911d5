"""Virtual time: what happens when, and the draws by which it is decided.

Knows instants and order. Refuses to know what happens at them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Final

Act = Callable[[], object]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ALL: Final = 2**48
_DEEPEST: Final = 3
"""How many waits may be open at once: each is somebody who waits while the world goes on."""


class Agenda:
    """What is to happen, in the order of instants; of equal ones, what was entered first."""

    def __init__(self, start: datetime) -> None:
        self.now = start
        self._items: list[tuple[datetime, int, Act]] = []
        self._order = count()
        self._waits = 0

    def at(self, instant: datetime, act: Act) -> None:
        """Enter what happens at an instant, or now if that is past."""
        heappush(self._items, (instant, next(self._order), act))

    def after(self, wait: timedelta, act: Act) -> None:
        """Enter what happens after a time."""
        self.at(self.now + wait, act)

    def run(self, until: datetime) -> None:
        """Let everything happen up to an instant, inclusive."""
        while self._items and self._items[0][0] <= until:
            at, _, act = heappop(self._items)
            self.now = max(self.now, at)
            act()
        self.now = max(self.now, until)

    def wait(self, duration: timedelta) -> None:
        """Let time pass in the middle of something; the rest of the world goes on meanwhile."""
        if self._waits >= _DEEPEST:
            return
        self._waits += 1
        try:
            self.run(self.now + duration)
        finally:
            self._waits -= 1


class Chance:
    """Draws that depend on the seed and on what is asked about, and on nothing else.

    So what is left of a world when part of it is taken away goes on as before.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def share(self, *topic: object) -> float:
        """Return a figure in [0, 1) for a topic: one draw, cheaper than a generator of them."""
        text = f"{self._seed}/{'/'.join(map(str, topic))}".encode()
        return int.from_bytes(blake2b(text, digest_size=6).digest(), "big") / _ALL

    def of(self, *topic: object) -> Random:
        """Return the generator of draws for a topic, always the same for the same topic."""
        return Random(f"{self._seed}/{'/'.join(map(str, topic))}")

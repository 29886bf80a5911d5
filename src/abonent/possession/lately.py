"""A memory that forgets: so many entries, for so long.

Knows how old an entry is. Refuses to know what it is about, and the time: that is handed in.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from abonent.ports import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lately(Generic[K, V]):
    """What was put during the last `kept`, at most `most` entries; the oldest give way.

    `forgotten` is called with each entry that is dropped. Who is not safe for threads is the
    caller.
    """

    def __init__(
        self,
        *,
        most: int,
        kept: timedelta,
        forgotten: Callable[[K, V], object] | None = None,
    ) -> None:
        self._most = most
        self._kept = kept
        self._forgotten = forgotten
        self._entries: OrderedDict[K, tuple[datetime, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, key: K, value: V, now: datetime) -> None:
        """Remember, as the youngest."""
        self._entries.pop(key, None)
        self._entries[key] = (now, value)
        while len(self._entries) > self._most or self._oldest_is_stale(now):
            dropped, (_, old) = self._entries.popitem(last=False)
            if self._forgotten is not None:
                self._forgotten(dropped, old)

    def get(self, key: K, now: datetime) -> V | None:
        """Return what was put, unless that is too long ago."""
        found = self._entries.get(key)
        if found is None or now - found[0] > self._kept:
            return None
        return found[1]

    def _oldest_is_stale(self, now: datetime) -> bool:
        return bool(self._entries) and now - next(iter(self._entries.values()))[0] > self._kept


def time_of(clock: Clock | None) -> Callable[[], datetime]:
    """Return how a sender learns the time: from the clock it was given, or this machine's."""
    return clock.now if clock is not None else _now


def _now() -> datetime:
    return datetime.now(UTC)

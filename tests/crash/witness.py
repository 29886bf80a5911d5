"""A store with a witness: what is to be written is told before, what was written after.

Knows the two calls that write. Refuses to change what they do.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from abonent.errors import StoreUnavailable
from abonent.ports import Entry, Record, Storage, StorageFeatures, Unit
from tests.crash.messages import Applied, Asking, Due, Message, Trying


class Witness:
    """Hands every call on. Writes come one at a time, so that their order is the order told.

    After one that failed none is handed on: what became of that one has to be found out first.
    """

    def __init__(self, inner: Storage, tell: Callable[[Message], None]) -> None:
        self._inner = inner
        self._tell = tell
        self._one_at_a_time = threading.Lock()
        self._failed = False

    @property
    def features(self) -> StorageFeatures:
        return self._inner.features

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        return self._inner.load(space, keys)

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        with self._writing():
            self._tell(Trying(tuple(units)))
            applied = self._inner.commit(units)
            self._tell(Applied(tuple(applied)))
        return applied

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._one_at_a_time:
            if self._failed:
                raise StoreUnavailable("a write failed before")
            self._failed = True
            yield
            self._failed = False

    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        return self._inner.find(space, aliases)

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        with self._writing():
            self._tell(Asking(now, limit, lease))
            keys = self._inner.due(space, now, limit, lease)
            self._tell(Due(tuple(keys)))
        return keys

    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        return self._inner.journal(space, after, limit)

    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        return self._inner.scan(space, after, limit)

    def close(self) -> None:
        self._inner.close()

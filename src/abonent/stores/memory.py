"""A store in memory: the reference for what `Storage` promises.

Knows the promises, in as few words as they take. Refuses to know durability, other processes and
speed: where another store and this one disagree, this one is meant to be obviously right.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence

from attrs import Factory, define

from abonent.errors import IdentifierClosed
from abonent.ports import AliasChange, Entry, Put, Record, StorageFeatures, Unit


@define
class _Space:
    """What is held for one messenger."""

    records: dict[bytes, Record] = Factory(dict[bytes, Record])
    deadlines: dict[bytes, int] = Factory(dict[bytes, int])
    owners: dict[bytes, set[bytes]] = Factory(dict[bytes, set[bytes]])
    journal: list[Entry] = Factory(list[Entry])


class MemoryStorage:
    """Keeps everything in dictionaries, under one lock, until it is closed.

    Nothing that it holds or returns can be changed in place, so nothing is copied.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spaces: defaultdict[str, _Space] = defaultdict(_Space)
        self._closed = False

    @property
    def features(self) -> StorageFeatures:
        """Neither durable nor shared."""
        return StorageFeatures(durable=False, shared=False)

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        """See `Storage.load`."""
        with self._lock:
            records = self._open(space).records
            return [records.get(key) for key in keys]

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        """See `Storage.commit`."""
        with self._lock:
            return [self._apply(self._open(unit.space), unit) for unit in units]

    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        """See `Storage.find`."""
        with self._lock:
            owners = self._open(space).owners
            return [tuple(sorted(owners.get(alias, ()))) for alias in aliases]

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        """See `Storage.due`. Of equal deadlines the smaller key comes first."""
        with self._lock:
            deadlines = self._open(space).deadlines
            ripe = sorted((at, key) for key, at in deadlines.items() if at <= now)
            claimed = [key for _, key in ripe[: max(limit, 0)]]
            deadlines.update(dict.fromkeys(claimed, now + lease))
            return claimed

    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        """See `Storage.journal`. Cursors count from 1 in each space."""
        with self._lock:
            first = max(after, 0)
            return self._open(space).journal[first : first + max(limit, 0)]

    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        """See `Storage.scan`."""
        with self._lock:
            records = self._open(space).records
            beyond = sorted(key for key in records if key > after or not after)
            return [(key, records[key]) for key in beyond[: max(limit, 0)]]

    def close(self) -> None:
        """Forget everything. Closing twice is allowed."""
        with self._lock:
            self._closed = True
            self._spaces.clear()

    def _open(self, space: str) -> _Space:
        if self._closed:
            raise IdentifierClosed("the store was closed")
        return self._spaces[space]

    def _apply(self, held: _Space, unit: Unit) -> bool:
        """Judge the whole unit on what would be, and only then let it be."""
        records = _after_puts(held.records, unit.puts)
        owners = _after_changes(held.owners, unit.aliases)
        if records is None or owners is None:
            return False
        for key, record in records.items():
            if record is None:
                held.records.pop(key, None)
            else:
                held.records[key] = record
        for put in unit.puts:
            if put.body is None or put.wake is None:
                held.deadlines.pop(put.key, None)
            else:
                held.deadlines[put.key] = put.wake
        held.owners.update(owners)
        for new in unit.appends:
            cursor = len(held.journal) + 1
            held.journal.append(Entry(cursor, new.subject, new.number, new.body))
        return True


def _after_puts(
    records: dict[bytes, Record], puts: Iterable[Put]
) -> dict[bytes, Record | None] | None:
    """What the puts make of the records they name; None if one does not find what it expects."""
    after: dict[bytes, Record | None] = {}
    for put in puts:
        found = after[put.key] if put.key in after else records.get(put.key)
        if put.expected != (0 if found is None else found.version):
            return None
        after[put.key] = None if put.body is None else Record(put.expected + 1, put.body)
    return after


def _after_changes(
    owners: dict[bytes, set[bytes]], changes: Sequence[AliasChange]
) -> dict[bytes, set[bytes]] | None:
    """What the changes make of the aliases they name; None if a sole owner is not alone."""
    after = {change.alias: set(owners.get(change.alias, ())) for change in changes}
    for change in changes:
        if change.present:
            after[change.alias].add(change.owner)
        else:
            after[change.alias].discard(change.owner)
    if any(change.sole and after[change.alias] - {change.owner} for change in changes):
        return None
    return after

"""Comparing a journal with its log: what was done to it after it was signed.

Knows the traces that a change leaves. Refuses to know a database: it is given entries.

The tiles still hold the hash of every entry at its cursor. What stands in the journal now is hashed
for the place where it stands, and, where that does not fit, for the places where it may have stood.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from abonent.audit.leaves import leaf_data
from abonent.audit.tiles import Tiles
from abonent.audit.tree import leaf_hash
from abonent.errors import EvidenceTampered, LogRolledBack
from abonent.ports import Entry, Storage

_PAGE: Final = 4_096
_FAR: Final = 64
"""How many entries that do not fit are looked at together, to find what changed places."""


@frozen
class _Misfit:
    """An entry that is not what was logged at its cursor."""

    cursor: int
    entry: Entry

    def fits(self, cursor: int, tiles: Tiles) -> bool:
        """Tell whether it is what was logged at another cursor."""
        if not 0 < cursor <= tiles.size:
            return False
        return leaf_hash(leaf_data(self.entry, cursor)) == tiles.node(0, cursor - 1)


def compare(storage: Storage, space: str, tiles: Tiles) -> None:
    """Compare every logged entry with the journal. Reads both as a whole.

    Raises:
        EvidenceTampered: an entry was changed, taken away, put in, or changed places.
        LogRolledBack: the journal ends before the log.
        StorageError: the store is out of reach.
    """
    misfits: list[_Misfit] = []
    last = 0
    for entry in _entries(storage, space, tiles.size + 1):
        cursor = last + 1
        if entry.cursor != cursor:
            _judge(misfits, tiles)
            raise _tampered("row_deleted", cursor, "an entry was taken away")
        if not (found := _Misfit(cursor, entry)).fits(cursor, tiles):
            misfits.append(found)  # the first one beyond the log may have moved there
            if len(misfits) == _FAR:
                break
        last = cursor
    if misfits and misfits[0].cursor <= tiles.size:
        _judge(misfits, tiles)
    if last < tiles.size:
        message = f"the journal ends at {last}, and {tiles.size} was signed"
        raise LogRolledBack(message, finding="journal_behind", where=f"cursor {last + 1}")


def _entries(storage: Storage, space: str, most: int) -> Iterator[Entry]:
    after = 0
    while after < most:
        page = storage.journal(space, after, min(_PAGE, most - after))
        yield from page
        if not page:
            return
        after = page[-1].cursor


def _judge(misfits: list[_Misfit], tiles: Tiles) -> None:
    """Name what was done at the first place that does not fit."""
    if not misfits:
        return
    first, *others = misfits
    cursor = first.cursor
    for other in others:
        if first.fits(other.cursor, tiles) and other.fits(cursor, tiles):
            places = f"{cursor} and {other.cursor}"
            raise _tampered("rows_swapped", cursor, f"the entries {places} changed places")
    if first.fits(cursor + 1, tiles):
        raise _tampered("row_deleted", cursor, "an entry was taken away, and the rest moved up")
    if others and others[0].fits(cursor, tiles):
        raise _tampered("row_inserted", cursor, "an entry was put in, and the rest moved down")
    raise _tampered("row_changed", cursor, "an entry is not the one that was logged")


def _tampered(finding: str, cursor: int, message: str) -> EvidenceTampered:
    return EvidenceTampered(message, finding=finding, where=f"cursor {cursor}")

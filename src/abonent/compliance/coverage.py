"""Whether a published checkpoint covers the entries of a period.

Knows how to check that the first and the last entry are in the log. Refuses to take a checkpoint
whose signature was not checked: it is given a `Published`, which has done so.
"""

from __future__ import annotations

from datetime import datetime

from attrs import frozen

from abonent.audit.evidence import Published, entry_at
from abonent.compliance.figures import Entries
from abonent.engine.archive import Archive


@frozen(kw_only=True)
class Coverage:
    """A checkpoint, and how much of a period it covers.

    `published_at` is when its file was written, by the clock of that machine; None if that is not
    known. `uncovered` counts entries of the period that it does not reach.
    """

    origin: str
    size: int
    root: str
    published_at: datetime | None
    uncovered: int

    @property
    def covers(self) -> bool:
        """Whether every entry of the period is covered."""
        return not self.uncovered


def coverage(
    archive: Archive, published: Published, entries: Entries, published_at: datetime | None
) -> Coverage:
    """Say what a checkpoint covers, and check the first and the last entry that it has to hold.

    A log holds the entries in their order: what lies between two of them lies there too. Whether
    each is still what was logged, `abonent audit verify --journal` checks.

    Raises:
        EvidenceTampered: an entry is not the one that was logged.
        EvidenceDamaged: a tile is missing, or cut off.
    """
    size = published.checkpoint.size
    first, last = entries.first, entries.last
    if first is not None and last is not None and first <= size:
        for cursor in sorted({first, min(last, size)}):
            published.prove(entry_at(archive.storage, archive.space, cursor))
    return Coverage(
        origin=published.checkpoint.origin,
        size=size,
        root=published.checkpoint.root.hex(),
        published_at=published_at,
        uncovered=entries.unlogged,
    )

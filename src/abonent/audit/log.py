"""The log of a journal: read from the feed, away from the way of messages, and signed.

Knows in which order things are written, and how what was left by a crash goes on. Refuses to go on
where journal, tiles or signatures do not fit each other.

1. Tiles are written and flushed.
2. The signer's memory is written and flushed; only then is there a signature.
3. The checkpoint is put into the folder.

Whatever was written beyond the last signature is written over: it was never promised to anybody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from abonent.audit.disk import flush, put, reached, read
from abonent.audit.leaves import leaf_data
from abonent.audit.notes import LONGEST, Checkpoint
from abonent.audit.signing import Signer
from abonent.audit.tiles import Edge, Tiles
from abonent.audit.tree import consistency_path, leaf_hash
from abonent.errors import EvidenceDamaged, EvidenceTampered, InvalidValue, LogRolledBack
from abonent.ports import Entry, Storage

_PAGE: Final = 4_096
_PAGES: Final = 64
"""Pages after which a checkpoint is due, so that little has to be done again after a crash."""


class Log:
    """A folder of tiles with the last checkpoint, over one messenger's journal.

    The entry with cursor 1 is leaf 0, and so on: a store whose cursors do not count one by one
    cannot be logged. `rebuild` makes the tiles anew from the journal; what they give must still
    extend what was signed.

    Raises:
        LogRolledBack: folder or memory are older than what was signed.
        EvidenceError: they do not fit each other.
    """

    def __init__(
        self, folder: str | os.PathLike[str], signer: Signer, *, rebuild: bool = False
    ) -> None:
        self.folder = Path(folder).absolute()
        self.signer = signer
        with reached(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            if rebuild and any(self.folder.iterdir()):
                raise InvalidValue("a log is rebuilt in an empty folder")
        flush([self.folder.parent])
        self._published = self._look()
        self._edge = Edge(self.folder) if rebuild else self._resumed()
        size = self._edge.size
        self._tail = Tiles(self.folder, size).node(0, size - 1) if size else b""

    @property
    def checkpoint(self) -> Checkpoint | None:
        """What was signed last."""
        return self.signer.last

    def extend(self, storage: Storage, space: str) -> Checkpoint:
        """Log what the journal has beyond the last checkpoint; return the new one.

        Raises:
            LogRolledBack: the journal ends before what was signed.
            EvidenceTampered: an entry is missing, or the last one is another by now.
            StorageError: the store is out of reach.
        """
        for count, page in enumerate(self._pages(storage, space), 1):
            self._edge.extend(page)
            self._tail = page[-1]
            if count % _PAGES == 0 and self._edge.size >= self._signed:
                self._publish()
        if self._edge.size < self._signed:
            raise _behind("journal", self._edge.size, self._signed)
        return self._publish()

    @property
    def _signed(self) -> int:
        return 0 if self.signer.last is None else self.signer.last.size

    # --- where it stands --------------------------------------------------------------

    def _look(self) -> Checkpoint | None:
        """Return what was published; refuse a folder that does not fit the signer's memory."""
        note, last = read(self.folder / "checkpoint", LONGEST), self.signer.last
        if note is None:
            return None
        found = Checkpoint.open(note, self.signer.key, "checkpoint")
        if last is None or found.size > last.size:
            message = "the key's memory is older than what the key has signed"
            raise LogRolledBack(message, finding="memory_behind", where=self.signer.memory.name)
        if found.size == last.size and found.root != last.root:
            message = "the key has signed two trees of this size"
            raise EvidenceTampered(message, finding="fork", where=f"size {found.size}")
        return found

    def _resumed(self) -> Edge:
        """Read the edge of the tree that was signed last."""
        last = self.signer.last
        if last is None:
            return Edge(self.folder)
        try:
            edge = Edge.of(Tiles(self.folder, last.size))
        except EvidenceDamaged:
            if self._published != last:  # for tiles are flushed before anything is signed
                size = 0 if self._published is None else self._published.size
                raise _behind("folder", size, last.size) from None
            raise
        if edge.root() != last.root:
            message = "the tiles at the right edge do not give the signed root"
            raise EvidenceTampered(message, finding="root", where=f"size {last.size}")
        return edge

    # --- going on ---------------------------------------------------------------------

    def _pages(self, storage: Storage, space: str) -> Iterator[list[bytes]]:
        """Yield hashes of new entries. Reading begins with the last one that is known."""
        size = self._edge.size
        after = max(size - 1, 0)
        while True:
            entries = storage.journal(space, after, _PAGE)
            leaves = hashed(entries, after)
            if after < size:
                if not leaves:
                    raise _behind("journal", _end(storage, space, after), size)
                if leaves.pop(0) != self._tail:
                    message = "the last entry that was logged is another one by now"
                    raise EvidenceTampered(message, finding="row_changed", where=f"cursor {size}")
            if leaves:
                yield leaves
            if len(entries) < _PAGE:
                return
            after = entries[-1].cursor

    def _publish(self) -> Checkpoint:
        """Write, sign, publish: in this order."""
        self._edge.save()
        size, old = self._edge.size, self._signed
        path = consistency_path(Tiles(self.folder, size).node, old, size)
        note = self.signer.sign(size, self._edge.root(), path)
        made = Checkpoint.open(note, self.signer.key)
        if made != self._published:
            put(self.folder / "checkpoint", note)
            flush([self.folder])
            self._published = made
        self._edge.tidy()
        return made


def hashed(entries: list[Entry], after: int) -> list[bytes]:
    """Return the leaves of entries that come after a cursor, one by one.

    Raises:
        EvidenceTampered: one is missing among them, or is what no commit can have left.
    """
    leaves: list[bytes] = []
    for cursor, entry in enumerate(entries, after + 1):
        if entry.cursor != cursor:
            message = "the journal lacks an entry"
            raise EvidenceTampered(message, finding="row_deleted", where=f"cursor {cursor}")
        leaves.append(leaf_hash(leaf_data(entry, cursor)))
    return leaves


def _end(storage: Storage, space: str, most: int) -> int:
    """Return the cursor of the last entry, which is known to be at most so great."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if storage.journal(space, middle - 1, 1):
            least = middle
        else:
            most = middle - 1
    return least


def _behind(what: str, size: int, signed: int) -> LogRolledBack:
    message = f"the {what} ends at {size}, and {signed} was signed"
    return LogRolledBack(message, finding=f"{what}_behind", where=f"size {size}")

"""Making proofs for others: of one entry, of a user's history, of the log's growth.

Knows where an entry is in the log, and which entries are a user's. Refuses to open any: who may
read them is given an `Opening`, apart from the proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import field, frozen

from abonent.aio import AsyncIdentifier
from abonent.audit.disk import read
from abonent.audit.leaves import Opening, leaf_data
from abonent.audit.notes import LONGEST, Checkpoint, VerifierKey
from abonent.audit.proofs import EntryProof, Extension
from abonent.audit.tiles import Tiles
from abonent.audit.tree import consistency_path, inclusion_path, is_included, leaf_hash
from abonent.core.parties import check_user_id
from abonent.engine.archive import Archive
from abonent.errors import EvidenceTampered, EvidenceUnavailable, InvalidValue, UnknownUser
from abonent.identifier import Identifier
from abonent.ports import Entry, Storage

_PAGE: Final = 4_096


class Published:
    """A log's folder, as it is now.

    Raises:
        EvidenceError: its checkpoint is not there, or not this key's.
    """

    def __init__(self, folder: Path, key: VerifierKey) -> None:
        note = read(folder / "checkpoint", LONGEST)
        if note is None:
            message = "there is no checkpoint in the folder"
            raise EvidenceUnavailable(message, finding="file", where="checkpoint")
        self.note = note
        self.checkpoint = Checkpoint.open(note, key, "checkpoint")
        self.tiles = Tiles(folder, self.checkpoint.size)

    def prove(self, entry: Entry) -> EntryProof:
        """Return the proof that an entry is in the log. It holds the entry, sealed.

        Raises:
            InvalidValue: it is not logged yet.
            EvidenceTampered: another one is logged in its place.
            EvidenceDamaged: a tile is missing, or cut off.
        """
        index, size = entry.cursor - 1, self.checkpoint.size
        if not 0 <= index < size:
            raise InvalidValue(f"the log ends at {size}: publish a checkpoint first")
        leaf = leaf_data(entry, entry.cursor)
        path = inclusion_path(self.tiles.node, index, size)
        if not is_included(leaf_hash(leaf), index, size, path, self.checkpoint.root):
            message = "the entry is not the one that was logged, or a tile was changed"
            raise EvidenceTampered(message, finding="not_included", where=f"cursor {entry.cursor}")
        return EntryProof(index=index, leaf=leaf, path=path, note=self.note)

    def prove_extension(self, since: Checkpoint) -> Extension:
        """Return the proof that the log extends what it was.

        Raises:
            InvalidValue: it was longer than it is.
        """
        old, new = since.size, self.checkpoint.size
        if old > new:
            raise InvalidValue(f"the log ends at {new}, the older checkpoint at {old}")
        path = consistency_path(self.tiles.node, old, new)
        return Extension(old=old, path=path, note=self.note)


@frozen(kw_only=True)
class History:
    """A user's entries that are logged, each with its proof, and how many are not logged yet."""

    proofs: tuple[EntryProof, ...]
    unlogged: int
    opening: Opening = field(repr=False)

    @property
    def text(self) -> bytes:
        """The proofs as one file. It holds the entries, sealed."""
        return b"".join(each.text for each in self.proofs)


def entry_at(storage: Storage, space: str, cursor: int) -> Entry:
    """Return the entry with this cursor.

    Raises:
        InvalidValue: there is none.
    """
    found = storage.journal(space, cursor - 1, 1) if cursor > 0 else []
    if not found or found[0].cursor != cursor:
        raise InvalidValue("the journal has no entry with this cursor")
    return found[0]


def history_of(
    published: Published, identifier: Identifier | AsyncIdentifier, user_id: str
) -> History:
    """Return the proofs of all entries about a user. Reads the whole journal.

    Raises:
        UnknownUser: nothing is held about them, or they were forgotten.
        InvalidValue: nothing about them is logged yet.
    """
    archive = identifier._engine.archive
    held = archive.user(check_user_id(user_id))
    if held is None or held.row.user_id is None:
        raise UnknownUser("nothing is held about this user")
    entries = [each for each in _journal(archive) if each.subject == held.subject]
    logged = [each for each in entries if each.cursor <= published.checkpoint.size]
    if not logged:
        raise InvalidValue("nothing about this user is logged yet: publish a checkpoint first")
    return History(
        proofs=tuple(published.prove(each) for each in logged),
        unlogged=len(entries) - len(logged),
        opening=Opening(messenger=archive.space, key=held.row.subject_key),
    )


def _journal(archive: Archive) -> Iterator[Entry]:
    after = 0
    while page := archive.storage.journal(archive.space, after, _PAGE):
        yield from page
        after = page[-1].cursor

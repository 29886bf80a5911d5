"""Checking what a log's owner shows, with files and a public key only.

Knows when a proof, a checkpoint or a folder of tiles holds. Refuses to know a database, a secret or
a network; nothing of the engine is imported here. Every function returns what is proven, or raises
an `EvidenceError` that names what is wrong and where.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from attrs import frozen

from abonent.audit.disk import read
from abonent.audit.leaves import Leaf, Opening
from abonent.audit.notes import LONGEST as LONGEST_NOTE
from abonent.audit.notes import Checkpoint, VerifierKey
from abonent.audit.proofs import ENTRY, EXTENSION, LONGEST, entry_proofs, extension
from abonent.audit.tiles import WIDTH, Tiles, tile_path
from abonent.audit.tree import (
    consistency_path,
    is_consistent,
    is_included,
    leaf_hash,
    root_of,
    span,
)
from abonent.errors import EvidenceDamaged, EvidenceTampered, EvidenceUnavailable, InvalidValue


@frozen(kw_only=True)
class Proven:
    """What a file proves. `entries` are in the log of `checkpoint`; `extends` is an older size.

    `whole`: all entries are one subject's, and none of its first ones is left out.
    """

    checkpoint: Checkpoint
    entries: Sequence[Leaf] = ()
    extends: int | None = None
    whole: bool = False


def verify(path: Path, key: VerifierKey, since: Checkpoint | None = None) -> Proven:
    """Check a proof, a checkpoint or a folder of tiles, whichever it is.

    Args:
        path: a file or folder.
        key: the log's public key, from who is to be believed about it.
        since: an older checkpoint, which has to be extended.

    Raises:
        EvidenceError: it does not hold.
        InvalidValue: what is given says nothing about `since`.
    """
    if path.is_dir():
        return verify_folder(path, key, since)
    data = read(path, LONGEST)
    if data is None:
        message = "there is no such file"
        raise EvidenceUnavailable(message, finding="file", where=path.name)
    if data.startswith(EXTENSION.encode()):
        return verify_extension(data, key, since)
    entries = data.startswith(ENTRY.encode())
    if not entries and ENTRY.encode() in data:
        message = "something stands before the proof"
        raise EvidenceDamaged(message, finding="proof", where="line 1")
    proven = verify_entries(data, key) if entries else Proven(checkpoint=Checkpoint.open(data, key))
    if since is None:
        return proven
    return _same(proven, since)


def checkpoint_in(path: Path, key: VerifierKey) -> Checkpoint:
    """Read a checkpoint from a file."""
    data = read(path, LONGEST_NOTE)
    if data is None:
        message = "there is no such checkpoint"
        raise EvidenceUnavailable(message, finding="file", where=path.name)
    return Checkpoint.open(data, key, path.name)


def _same(proven: Proven, since: Checkpoint) -> Proven:
    """Compare two checkpoints without a proof: that works only if they are of the same size."""
    if proven.checkpoint.size != since.size:
        raise InvalidValue("that one log extends another shows by the log's folder, or a proof")
    return _extended(proven.checkpoint, since, (), entries=proven.entries, whole=proven.whole)


def _extended(
    checkpoint: Checkpoint,
    since: Checkpoint,
    path: Sequence[bytes],
    *,
    entries: Sequence[Leaf] = (),
    whole: bool = False,
) -> Proven:
    old, new = since, checkpoint
    if not is_consistent(old.size, old.root, new.size, new.root, path):
        message = f"the log of size {new.size} does not extend that of size {old.size}"
        raise EvidenceTampered(message, finding="inconsistent", where=f"size {new.size}")
    return Proven(checkpoint=new, entries=entries, extends=old.size, whole=whole)


# --- proofs -------------------------------------------------------------------------


def verify_extension(data: bytes, key: VerifierKey, since: Checkpoint | None) -> Proven:
    """Check a proof that the log extends an older checkpoint of it.

    Raises:
        EvidenceError: it does not hold.
        InvalidValue: the older checkpoint is not given.
    """
    proof = extension(data)
    checkpoint = Checkpoint.open(proof.note, key)
    if since is None:
        raise InvalidValue("a proof of an extension is checked with the older checkpoint")
    if proof.old != since.size:
        message = f"the proof begins at size {proof.old}, the older checkpoint at {since.size}"
        raise EvidenceTampered(message, finding="other_proof", where="line 1")
    return _extended(checkpoint, since, proof.path)


def verify_entries(data: bytes, key: VerifierKey, opening: Opening | None = None) -> Proven:
    """Check a proof of one entry, or of several below the same checkpoint.

    Raises:
        EvidenceError: one of them does not hold, or does not open.
    """
    proofs = entry_proofs(data)
    note = proofs[0].note
    checkpoint = Checkpoint.open(note, key)
    entries: list[Leaf] = []
    for proof in proofs:
        where = f"index {proof.index}"
        if proof.note != note:
            message = "the proofs of one file are below several checkpoints"
            raise EvidenceTampered(message, finding="other_checkpoint", where=where)
        leaf = Leaf.read(proof.leaf, where)
        if leaf.cursor != proof.index + 1:
            message = f"this is the proof of entry {leaf.cursor}"
            raise EvidenceTampered(message, finding="other_entry", where=where)
        hashed = leaf_hash(proof.leaf)
        if not is_included(hashed, proof.index, checkpoint.size, proof.path, checkpoint.root):
            message = "the entry is not in the log"
            raise EvidenceTampered(message, finding="not_included", where=where)
        entries.append(leaf)
        if opening is not None:
            opening.open(leaf)
    return Proven(checkpoint=checkpoint, entries=entries, whole=_whole(entries))


def _whole(entries: Sequence[Leaf]) -> bool:
    """Tell whether these are the first entries of one subject, in order.

    Raises:
        EvidenceTampered: they are one subject's, and one is left out, doubled or moved.
    """
    if len({each.subject for each in entries}) > 1:
        return False
    for before, after in pairwise(entries):
        if after.number != before.number + 1 or after.cursor <= before.cursor:
            message = f"what comes after entry {before.number} of the subject is left out"
            raise EvidenceTampered(message, finding="gap", where=f"cursor {after.cursor}")
    return entries[0].number == 1


# --- folders ------------------------------------------------------------------------


def verify_folder(folder: Path, key: VerifierKey, since: Checkpoint | None = None) -> Proven:
    """Check all tiles of a log against its checkpoint: about 10⁶ entries a second.

    Raises:
        EvidenceError: one of them is not what was signed.
    """
    checkpoint = checkpoint_in(folder / "checkpoint", key)
    tiles = Tiles(folder, checkpoint.size)
    # From above: what a tile is compared with holds already, so that the right one is named.
    if span(tiles.node, 0, checkpoint.size) != checkpoint.root:
        message = "the tiles at the right edge do not give the signed root"
        raise EvidenceTampered(message, finding="root", where=f"size {checkpoint.size}")
    for level in reversed(range(tiles.levels())):
        for index in range(-(-(checkpoint.size >> 8 * level) // WIDTH)):
            tile = tiles.tile(level, index)
            if len(tile) == WIDTH and root_of(tile) != tiles.node(8 * (level + 1), index):
                above = tile_path(level + 1, index // WIDTH, tiles.width(level + 1, index // WIDTH))
                message = f"a tile does not give the hash that {above} has for it"
                raise EvidenceTampered(message, finding="tile", where=tile_path(level, index))
    if since is None:
        return Proven(checkpoint=checkpoint)
    if since.size > checkpoint.size:
        message = f"the log ends at {checkpoint.size}, and {since.size} was signed"
        raise EvidenceTampered(message, finding="rolled_back", where=f"size {checkpoint.size}")
    return _extended(checkpoint, since, consistency_path(tiles.node, since.size, checkpoint.size))

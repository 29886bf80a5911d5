"""What a third party is shown is checked by files and a key, and whatever is wrong is named."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abonent import MemoryStorage, SqliteStorage
from abonent.audit import proofs as proofs_room
from abonent.audit.comparing import compare
from abonent.audit.evidence import Published, entry_at
from abonent.audit.leaves import Leaf, leaf_data
from abonent.audit.notes import Checkpoint, VerifierKey
from abonent.audit.signing import create_key
from abonent.audit.tiles import Tiles
from abonent.audit.verifying import checkpoint_in, verify, verify_entries
from abonent.errors import (
    EvidenceDamaged,
    EvidenceError,
    EvidenceForeign,
    EvidenceTampered,
    EvidenceUnavailable,
    InvalidValue,
    LogRolledBack,
)
from abonent.ports import Append, Entry, Unit
from tests.audit.logs import NAME, SPACE, Ledger, entries

SIZE = 300
AT = 143
"""The cursor of the entry that is proven, tampered with, taken away …"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A log of 200 entries, then of 300, with all that its owner shows of it."""
    return Shown(tmp_path_factory.mktemp("shown"))


class Shown(Ledger):
    """What an auditor is given: the folder, two proofs, an older checkpoint and the key."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        made = entries(SIZE)
        self.append(*made[:200])
        self.publish()
        self.since = folder / "since"
        self.since.write_bytes(self.note())
        self.append(*made[200:])
        self.publish()
        published = Published(self.folder, self.key)
        self.entry = folder / "entry.tlog-proof"
        self.entry.write_bytes(published.prove(entry_at(self.storage, SPACE, AT)).text)
        self.growth = folder / "growth"
        self.growth.write_bytes(published.prove_extension(self.older()).text)

    def older(self) -> Checkpoint:
        return Checkpoint.open(self.since.read_bytes(), self.key)


def copied(shown: Shown, folder: Path) -> Shown:
    """The same, to be tampered with."""
    shutil.copytree(shown.root, folder, dirs_exist_ok=True)
    made = Shown.__new__(Shown)
    made.__dict__.update(shown.__dict__)
    for name in ("folder", "entry", "growth", "since"):
        setattr(made, name, folder / getattr(shown, name).relative_to(shown.root))
    made.root = folder
    return made


# --- what holds ---------------------------------------------------------------------------


def test_what_holds(shown):
    """Folder, checkpoint, growth and entry are each proven by themselves."""
    for path in (shown.folder, shown.folder / "checkpoint", shown.growth, shown.entry):
        proven = verify(
            path, shown.key, shown.older() if path in (shown.growth, shown.folder) else None
        )
        assert (NAME, SIZE) == (proven.checkpoint.origin, proven.checkpoint.size)
    assert 200 == verify(shown.growth, shown.key, shown.older()).extends
    assert 200 == verify(shown.folder, shown.key, shown.older()).extends
    (leaf,) = verify(shown.entry, shown.key).entries
    expected = entry_at(shown.storage, SPACE, AT)
    found = Entry(leaf.cursor, leaf.subject, leaf.number, leaf.body)
    assert expected == found
    assert leaf_data(expected, AT) == proofs_room.entry_proofs(shown.entry.read_bytes())[0].leaf


def test_the_same_checkpoint_twice(shown):
    """Without a proof, two checkpoints are compared only where they have the same size."""
    newest = checkpoint_in(shown.folder / "checkpoint", shown.key)
    assert SIZE == verify(shown.folder / "checkpoint", shown.key, newest).extends
    assert SIZE == verify(shown.entry, shown.key, newest).extends
    with pytest.raises(InvalidValue, match="or a proof"):
        verify(shown.folder / "checkpoint", shown.key, shown.older())
    with pytest.raises(InvalidValue, match="older checkpoint"):
        verify(shown.growth, shown.key)


def test_every_entry_is_proven(shown):
    """Each of the entries has a proof, and each proof is of its entry."""
    published = Published(shown.folder, shown.key)
    for entry in shown.storage.journal(SPACE, 0, SIZE):
        proven = verify_entries(published.prove(entry).text, shown.key)
        assert [entry.cursor] == [each.cursor for each in proven.entries]


def test_an_older_proof_still_holds(shown):
    """A proof below an older checkpoint is as good as it was."""
    assert 200 == verify(shown.since, shown.key).checkpoint.size


# --- what does not ------------------------------------------------------------------------


def rewrite(path: Path, change) -> None:
    path.write_bytes(change(path.read_bytes()))


def lines(change):
    """Change the lines of a file."""

    def changed(data: bytes) -> bytes:
        found = data.split(b"\n")
        change(found)
        return b"\n".join(found)

    return changed


def at(index, line):
    def change(found):
        found[index] = line if isinstance(line, bytes) else line(found[index])

    return lines(change)


def swapped(found):
    found[3], found[4] = found[4], found[3]


def other_log(case: Shown) -> None:
    """Put a checkpoint of another log into the folder, signed by another key."""
    key = case.root / "other.key"
    create_key(key, "example.com/other")
    other = Ledger.__new__(Ledger)
    other.__dict__.update(case.__dict__)
    other.folder, other.key_file = case.root / "other", key
    other.publish()
    shutil.copy(other.folder / "checkpoint", case.folder / "checkpoint")


def fork(case: Shown) -> None:
    """Have the log sign another history, as who owns the key can, and publish that one."""
    (case.root / "log.key.last").unlink()
    shutil.rmtree(case.folder)
    case.storage = MemoryStorage()
    case.append(*entries(150), *entries(200, seed=1))
    case.key_file = case.root / "log.key"
    case.publish()


def older_folder(case: Shown) -> None:
    """Put back what was there before the older checkpoint."""
    (case.root / "log.key.last").unlink()
    shutil.rmtree(case.folder)
    kept = case.storage.journal(SPACE, 0, 100)
    case.storage = MemoryStorage()
    case.append(*(Append(each.subject, each.number, each.body) for each in kept))
    case.key_file = case.root / "log.key"
    case.publish()


def leaf_changed(data: bytes) -> bytes:
    (proof,) = proofs_room.entry_proofs(data)
    leaf = bytearray(proof.leaf)
    leaf[-1] ^= 1
    return data.replace(b64encode(proof.leaf), b64encode(leaf))


def leaf_of_another(data: bytes) -> bytes:
    """Say another cursor in the leaf and in the index."""
    (proof,) = proofs_room.entry_proofs(data)
    leaf = proof.leaf[:1] + (AT + 1).to_bytes(8, "big") + proof.leaf[9:]
    data = data.replace(b64encode(proof.leaf), b64encode(leaf))
    return data.replace(b"index 142", b"index 143")


TILE = "tile/0/000"
TAMPERINGS = {
    # name: (which file or folder, what is done, how it is refused)
    "a tile's hash was changed": (
        "folder",
        lambda case: rewrite(case.folder / TILE, lambda data: bytes(32) + data[32:]),
        (EvidenceTampered, "tile", TILE),
    ),
    "two hashes of a tile changed places": (
        "folder",
        lambda case: rewrite(case.folder / TILE, lambda data: data[32:64] + data[:32] + data[64:]),
        (EvidenceTampered, "tile", TILE),
    ),
    "a hash of the last tile was changed": (
        "folder",
        lambda case: rewrite(case.folder / "tile/0/001.p/44", lambda data: bytes(32) + data[32:]),
        (EvidenceTampered, "root", f"size {SIZE}"),
    ),
    "a tile was cut off": (
        "folder",
        lambda case: rewrite(case.folder / TILE, lambda data: data[:-1]),
        (EvidenceDamaged, "tile_length", TILE),
    ),
    "a tile has trailing bytes": (
        "folder",
        lambda case: rewrite(case.folder / "tile/0/001.p/44", lambda data: data + b"\0"),
        (EvidenceDamaged, "tile_length", "tile/0/001.p/44"),
    ),
    "a tile is huge": (
        "folder",
        lambda case: os.truncate(case.folder / TILE, 1 << 40),
        (EvidenceDamaged, "too_long", TILE),
    ),
    "a tile is missing": (
        "folder",
        lambda case: (case.folder / TILE).unlink(),
        (EvidenceDamaged, "tile_missing", TILE),
    ),
    "a tile is a folder": (
        "folder",
        lambda case: [(case.folder / TILE).unlink(), (case.folder / TILE).mkdir()],
        (EvidenceUnavailable, "file", TILE),
    ),
    "the checkpoint is missing": (
        "folder",
        lambda case: (case.folder / "checkpoint").unlink(),
        (EvidenceUnavailable, "file", "checkpoint"),
    ),
    "the checkpoint's size was changed": (
        "folder",
        lambda case: rewrite(case.folder / "checkpoint", at(1, b"299")),
        (EvidenceTampered, "signature", "checkpoint, line 5"),
    ),
    "the checkpoint was forged": (
        "folder",
        lambda case: rewrite(case.folder / "checkpoint", at(2, b64encode(bytes(32)))),
        (EvidenceTampered, "signature", "checkpoint, line 5"),
    ),
    "the checkpoint is another log's": (
        "folder",
        other_log,
        (EvidenceForeign, "other_key", "checkpoint"),
    ),
    "the history was rewritten and signed": (
        "folder",
        fork,
        (EvidenceTampered, "inconsistent", "size 350"),
    ),
    "the log is shorter than what was signed": (
        "folder",
        older_folder,
        (EvidenceTampered, "rolled_back", "size 100"),
    ),
    "the checkpoint came by a system with other line ends": (
        "folder",
        lambda case: rewrite(case.folder / "checkpoint", lambda data: data.replace(b"\n", b"\r\n")),
        (EvidenceDamaged, "carriage_return", "checkpoint, line 1"),
    ),
    "a hash in a tile above was changed": (
        "folder",
        lambda case: rewrite(case.folder / "tile/1/000.p/1", lambda data: bytes(32)),
        (EvidenceTampered, "root", f"size {SIZE}"),
    ),
    "an editor has marked the checkpoint": (
        "folder",
        lambda case: rewrite(case.folder / "checkpoint", lambda data: b"\xef\xbb\xbf" + data),
        (EvidenceDamaged, "control_character", "checkpoint, line 1"),
    ),
    "an editor has marked the proof": (
        "entry",
        lambda case: rewrite(case.entry, lambda data: b"\xef\xbb\xbf" + data),
        (EvidenceDamaged, "proof", "line 1"),
    ),
    "something stands before the proof": (
        "entry",
        lambda case: rewrite(case.entry, lambda data: b"Here is your proof:\n\n" + data),
        (EvidenceDamaged, "proof", "line 1"),
    ),
    "the entry was changed": (
        "entry",
        lambda case: rewrite(case.entry, leaf_changed),
        (EvidenceTampered, "not_included", "index 142"),
    ),
    "the proof is said to be of another entry": (
        "entry",
        lambda case: rewrite(case.entry, at(2, b"index 143")),
        (EvidenceTampered, "other_entry", "index 143"),
    ),
    "the entry is said to be another one": (
        "entry",
        lambda case: rewrite(case.entry, leaf_of_another),
        (EvidenceTampered, "not_included", "index 143"),
    ),
    "the entry is beyond the log": (
        "entry",
        lambda case: rewrite(
            case.entry,
            lambda data: data.replace(b"index 142", b"index 9000").replace(
                data.split(b"\n")[1],
                b"extra " + b64encode(leaf_data(entry_at(case.storage, SPACE, AT), 9001)),
            ),
        ),
        (EvidenceTampered, "not_included", "index 9000"),
    ),
    "a hash of the path was changed": (
        "entry",
        lambda case: rewrite(case.entry, at(5, b64encode(bytes(32)))),
        (EvidenceTampered, "not_included", "index 142"),
    ),
    "two hashes of the path changed places": (
        "entry",
        lambda case: rewrite(case.entry, lines(swapped)),
        (EvidenceTampered, "not_included", "index 142"),
    ),
    "a hash of the path is missing": (
        "entry",
        lambda case: rewrite(case.entry, lines(lambda found: found.pop(3))),
        (EvidenceTampered, "not_included", "index 142"),
    ),
    "the proof's checkpoint is an older one": (
        "entry",
        lambda case: rewrite(
            case.entry,
            lambda data: data[: data.index(b"\n\n") + 2] + case.since.read_bytes(),
        ),
        (EvidenceTampered, "not_included", "index 142"),
    ),
    "the proof's checkpoint was forged": (
        "entry",
        lambda case: rewrite(case.entry, lambda data: data.replace(b"\n300\n", b"\n301\n")),
        (EvidenceTampered, "signature", "line 5"),
    ),
    "the proof is cut off": (
        "entry",
        lambda case: rewrite(case.entry, lambda data: data[:-3]),
        (EvidenceDamaged, "proof", "its end"),
    ),
    "the proof is cut off within its path": (
        "entry",
        lambda case: rewrite(case.entry, lambda data: b"\n".join(data.split(b"\n")[:6])),
        (EvidenceDamaged, "proof", "line 7"),
    ),
    "the proof has trailing bytes": (
        "entry",
        lambda case: rewrite(case.entry, lambda data: data + b"x\n"),
        (EvidenceDamaged, "note", "line 6"),
    ),
    "a hash has another spelling": (
        "entry",
        lambda case: rewrite(case.entry, at(4, lambda line: line[:-2] + b"B=")),
        (EvidenceDamaged, "base64", "line 5"),
    ),
    "a hash is too short": (
        "entry",
        lambda case: rewrite(case.entry, at(4, b64encode(bytes(31)))),
        (EvidenceDamaged, "length", "line 5"),
    ),
    "the path is longer than any": (
        "entry",
        lambda case: rewrite(
            case.entry, lines(lambda found: found.insert(3, b"\n".join([found[3]] * 64)))
        ),
        (EvidenceDamaged, "proof", "line 67"),
    ),
    "the index has a zero before it": (
        "entry",
        lambda case: rewrite(case.entry, at(2, b"index 0142")),
        (EvidenceDamaged, "size", "line 3"),
    ),
    "the index is huge": (
        "entry",
        lambda case: rewrite(case.entry, at(2, b"index " + b"9" * 100_000)),
        (EvidenceDamaged, "size", "line 3"),
    ),
    "the index is missing": (
        "entry",
        lambda case: rewrite(case.entry, lines(lambda found: found.pop(2))),
        (EvidenceDamaged, "proof", "line 3"),
    ),
    "the entry is missing": (
        "entry",
        lambda case: rewrite(case.entry, lines(lambda found: found.pop(1))),
        (EvidenceDamaged, "proof", "line 2"),
    ),
    "the entry is none": (
        "entry",
        lambda case: rewrite(case.entry, at(1, b"extra " + b64encode(b"short"))),
        (EvidenceDamaged, "entry", "index 142"),
    ),
    "the entry's subject is cut off": (
        "entry",
        lambda case: rewrite(
            case.entry, at(1, b"extra " + b64encode(b"\1" + bytes(16) + b"\0\x10" + bytes(9)))
        ),
        (EvidenceDamaged, "entry", "index 142"),
    ),
    "the entry has a later form": (
        "entry",
        lambda case: rewrite(case.entry, at(1, b"extra " + b64encode(b"\2" + bytes(40)))),
        (EvidenceDamaged, "entry", "index 142"),
    ),
    "the proof came by a system with other line ends": (
        "entry",
        lambda case: rewrite(case.entry, lambda data: data.replace(b"\n", b"\r\n")),
        (EvidenceDamaged, "carriage_return", "line 1"),
    ),
    "the file is a picture": (
        "entry",
        lambda case: case.entry.write_bytes(b"\x89PNG\r\n\x1a\n"),
        (EvidenceDamaged, "not_text", ""),
    ),
    "the file is a later kind of proof": (
        "entry",
        lambda case: rewrite(case.entry, at(0, b"c2sp.org/tlog-proof@v12")),
        (EvidenceDamaged, "proof", "line 1"),
    ),
    "the file is huge": (
        "entry",
        lambda case: os.truncate(case.entry, 1 << 40),
        (EvidenceDamaged, "too_long", "entry.tlog-proof"),
    ),
    "the file is not there": (
        "entry",
        lambda case: case.entry.unlink(),
        (EvidenceUnavailable, "file", "entry.tlog-proof"),
    ),
    "the file is a pipe": (
        "entry",
        lambda case: [case.entry.unlink(), os.mkfifo(case.entry)],
        (EvidenceUnavailable, "file", "entry.tlog-proof"),
    ),
    "the growth begins elsewhere": (
        "growth",
        lambda case: rewrite(case.growth, at(0, b"old 199")),
        (EvidenceTampered, "other_proof", "line 1"),
    ),
    "a hash of the growth was changed": (
        "growth",
        lambda case: rewrite(case.growth, at(1, b64encode(bytes(32)))),
        (EvidenceTampered, "inconsistent", f"size {SIZE}"),
    ),
    "the growth has no size": (
        "growth",
        lambda case: rewrite(case.growth, at(0, b"old two hundred")),
        (EvidenceDamaged, "size", "line 1"),
    ),
    "the older checkpoint is another log's": (
        "growth",
        lambda case: [other_log(case), shutil.copy(case.folder / "checkpoint", case.since)],
        (EvidenceForeign, "other_key", "since"),
    ),
    "the older checkpoint is not there": (
        "growth",
        lambda case: case.since.unlink(),
        (EvidenceUnavailable, "file", "since"),
    ),
}


def check(case: Shown, which: str, key: VerifierKey) -> None:
    since = None if which == "entry" else checkpoint_in(case.since, key)
    verify(getattr(case, which), key, since)


def refusal(case: Shown, which: str, key: VerifierKey | None = None) -> tuple[object, str, str]:
    with pytest.raises(EvidenceError) as caught:
        check(case, which, key or case.key)
    return type(caught.value), caught.value.finding, caught.value.where


@pytest.mark.parametrize("name", TAMPERINGS)
def test_each_tampering_is_named(shown, tmp_path, name):
    """What was done is refused by its kind and name, and the place is said."""
    which, tamper, expected = TAMPERINGS[name]
    case = copied(shown, tmp_path)
    tamper(case)
    assert expected == refusal(case, which)


@pytest.mark.parametrize(
    ("which", "where"), [("folder", "since"), ("entry", ""), ("growth", "since")]
)
def test_a_wrong_key(shown, tmp_path, which, where):
    """A key that did not sign is told from one whose signature was forged."""
    key = create_key(tmp_path / "k", NAME)
    assert (EvidenceForeign, "other_key", where) == refusal(shown, which, key)


def test_two_checkpoints_of_one_size(shown, tmp_path):
    """A log that signed two histories is convicted by two checkpoints of the same size."""
    case = copied(shown, tmp_path)
    fork(case)
    rewrite(case.since, lambda _: case.note())
    case.storage = MemoryStorage()
    case.append(*entries(350, seed=3))
    (case.root / "log.key.last").unlink()
    shutil.rmtree(case.folder)
    case.publish()
    with pytest.raises(EvidenceTampered, match="inconsistent"):
        verify(case.folder / "checkpoint", case.key, case.older())


@given(data=st.data())
@settings(max_examples=150)
@pytest.mark.parametrize("which", ["entry", "growth"])
def test_no_changed_proof_holds(shown, which, data):
    """Whatever byte of a proof is changed, put in or taken out, an error of ours refuses it."""
    good = getattr(shown, which).read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    byte = data.draw(st.binary(min_size=1, max_size=1))
    changed = data.draw(
        st.sampled_from(
            [
                good[:place] + byte + good[place + 1 :],
                good[:place] + byte + good[place:],
                good[:place] + good[place + 1 :],
                good[:place],
            ]
        )
    )
    path = shown.root / f"changed-{which}"
    path.write_bytes(changed)
    try:
        verify(path, shown.key, shown.older() if which == "growth" else None)
    except (EvidenceError, InvalidValue):
        return
    assert changed == good


@given(st.binary(max_size=400), st.sampled_from([b"", b"old ", b"c2sp.org/tlog-proof@v1\n"]))
def test_bytes_that_nobody_wrote(shown, data, head):
    """They are refused by an error of ours."""
    path = shown.root / "random"
    path.write_bytes(head + data)
    with pytest.raises(EvidenceError):
        verify(path, shown.key, shown.older())


# --- several entries in a file ------------------------------------------------------------


def proofs_of(shown: Shown, subject: bytes) -> list[bytes]:
    published = Published(shown.folder, shown.key)
    found = shown.storage.journal(SPACE, 0, SIZE)
    return [published.prove(each).text for each in found if each.subject == subject]


def test_a_subject_from_its_first_entry(shown):
    """All of one subject's entries are a whole; those from a later one on, or of two, are not."""
    one, two = sorted({each.subject for each in shown.storage.journal(SPACE, 0, SIZE)})[:2]
    history = proofs_of(shown, one)
    assert len(history) > 20
    proven = verify_entries(b"".join(history), shown.key)
    assert proven.whole
    assert list(range(1, len(history) + 1)) == [each.number for each in proven.entries]
    assert verify_entries(history[0], shown.key).whole
    assert not verify_entries(history[1], shown.key).whole
    assert not verify_entries(b"".join(history[1:]), shown.key).whole
    assert not verify_entries(history[0] + proofs_of(shown, two)[0], shown.key).whole


@pytest.mark.parametrize(
    "spoil",
    [
        lambda history: [*history[:4], *history[5:]],
        lambda history: [*history[:4], history[3], *history[4:]],
        lambda history: [history[1], history[0], *history[2:]],
    ],
    ids=["left out", "doubled", "moved"],
)
def test_a_history_that_was_changed(shown, spoil):
    """An entry that was left out, doubled or moved is named."""
    subject = min(each.subject for each in shown.storage.journal(SPACE, 0, SIZE))
    with pytest.raises(EvidenceTampered, match="gap, cursor"):
        verify_entries(b"".join(spoil(proofs_of(shown, subject))), shown.key)


def test_a_history_that_was_logged_the_wrong_way_round(tmp_path):
    """Entries whose numbers and places contradict each other are no history."""
    ledger = Ledger(tmp_path)
    ledger.append(Append(b"s", 2, b"later"), Append(b"s", 1, b"earlier"))
    ledger.publish()
    published = Published(ledger.folder, ledger.key)
    later, earlier = (
        published.prove(entry_at(ledger.storage, SPACE, each)).text for each in (1, 2)
    )
    with pytest.raises(EvidenceTampered, match="gap, cursor 1"):
        verify_entries(earlier + later, ledger.key)


def test_a_history_below_two_checkpoints(shown, tmp_path):
    """All proofs of a file are below the same checkpoint."""
    case = copied(shown, tmp_path)
    subject = min(each.subject for each in case.storage.journal(SPACE, 0, SIZE))
    first = proofs_of(case, subject)[0]
    case.key_file = tmp_path / "log.key"
    case.storage = MemoryStorage()
    kept = shown.storage.journal(SPACE, 0, SIZE)
    case.append(*(Append(each.subject, each.number, each.body) for each in kept))
    case.append(*entries(1, seed=5))
    case.publish()
    with pytest.raises(EvidenceTampered, match="other_checkpoint"):
        verify_entries(first + proofs_of(case, subject)[1], case.key)


# --- a journal that was changed after it was logged ----------------------------------------


def rows(store: SqliteStorage, *statements: str) -> None:
    for each in statements:
        store._writer.execute(each)


CHANGES = {
    "a row was changed": (
        (f"UPDATE journal SET body = zeroblob(length(body)) WHERE cursor = {AT}",),
        (EvidenceTampered, "row_changed", f"cursor {AT}"),
    ),
    "a row was given another subject": (
        (f"UPDATE journal SET subject = x'0011' WHERE cursor = {AT}",),
        (EvidenceTampered, "row_changed", f"cursor {AT}"),
    ),
    "a row was given another number": (
        (f"UPDATE journal SET number = -1 WHERE cursor = {AT}",),
        (EvidenceTampered, "row_changed", f"cursor {AT}"),
    ),
    "a row holds text": (
        (f"UPDATE journal SET body = 'text' WHERE cursor = {AT}",),
        (EvidenceTampered, "row_changed", f"cursor {AT}"),
    ),
    "a row has a subject that none has": (
        (f"UPDATE journal SET subject = zeroblob(70000) WHERE cursor = {AT}",),
        (EvidenceTampered, "row_changed", f"cursor {AT}"),
    ),
    "two rows changed places": (
        (
            f"UPDATE journal SET cursor = 9999 WHERE cursor = {AT}",
            f"UPDATE journal SET cursor = {AT} WHERE cursor = {AT + 40}",
            f"UPDATE journal SET cursor = {AT + 40} WHERE cursor = 9999",
        ),
        (EvidenceTampered, "rows_swapped", f"cursor {AT}"),
    ),
    "two neighbours changed places": (
        (
            f"UPDATE journal SET cursor = 9999 WHERE cursor = {AT}",
            f"UPDATE journal SET cursor = {AT} WHERE cursor = {AT + 1}",
            f"UPDATE journal SET cursor = {AT + 1} WHERE cursor = 9999",
        ),
        (EvidenceTampered, "rows_swapped", f"cursor {AT}"),
    ),
    "a row was deleted": (
        (f"DELETE FROM journal WHERE cursor = {AT}",),
        (EvidenceTampered, "row_deleted", f"cursor {AT}"),
    ),
    "a row was deleted and the rest moved up": (
        (
            f"DELETE FROM journal WHERE cursor = {AT}",
            f"UPDATE journal SET cursor = -cursor WHERE cursor > {AT}",
            f"UPDATE journal SET cursor = -cursor - 1 WHERE cursor < -{AT}",
        ),
        (EvidenceTampered, "row_deleted", f"cursor {AT}"),
    ),
    "a row was inserted and the rest moved down": (
        (
            f"UPDATE journal SET cursor = -cursor WHERE cursor >= {AT}",
            f"UPDATE journal SET cursor = -cursor + 1 WHERE cursor <= -{AT}",
            f"INSERT INTO journal VALUES ({AT}, x'00', 1, x'00')",
        ),
        (EvidenceTampered, "row_inserted", f"cursor {AT}"),
    ),
    "a row was inserted before the last": (
        (
            "UPDATE journal SET cursor = cursor + 1 WHERE cursor = 300",
            "INSERT INTO journal VALUES (300, x'00', 1, x'00')",
        ),
        (EvidenceTampered, "row_inserted", "cursor 300"),
    ),
    "the last row was deleted": (
        ("DELETE FROM journal WHERE cursor = 300",),
        (LogRolledBack, "journal_behind", "cursor 300"),
    ),
    "the database was put back": (
        ("DELETE FROM journal WHERE cursor > 100",),
        (LogRolledBack, "journal_behind", "cursor 101"),
    ),
    "the database was put back and went on": (
        ("UPDATE journal SET body = randomblob(60) WHERE cursor > 100",),
        (EvidenceTampered, "row_changed", "cursor 101"),
    ),
    "everything was deleted": (
        ("DELETE FROM journal",),
        (LogRolledBack, "journal_behind", "cursor 1"),
    ),
    "a row was changed, and a later one deleted": (
        (
            f"UPDATE journal SET body = x'00' WHERE cursor = {AT}",
            f"DELETE FROM journal WHERE cursor = {AT + 9}",
        ),
        (EvidenceTampered, "row_changed", f"cursor {AT}"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_of_the_journal_is_named(tmp_path, name):
    """What was done to the database after it was logged is named, with the cursor."""
    statements, expected = CHANGES[name]
    store = SqliteStorage(tmp_path / "j.db", territory="RU")
    ledger = Ledger(tmp_path, store)
    ledger.append(*entries(SIZE))
    ledger.publish()
    tiles = Tiles(ledger.folder, SIZE)
    compare(store, SPACE, tiles)
    rows(store, *statements)
    with pytest.raises(EvidenceTampered) as caught:
        compare(store, SPACE, tiles)
    store.close()
    assert expected == (type(caught.value), caught.value.finding, caught.value.where)


def test_what_comes_after_the_log_is_not_compared(shown):
    """Entries that are not logged yet are no misfits."""
    store = MemoryStorage()
    kept = shown.storage.journal(SPACE, 0, SIZE)
    store.commit([Unit(SPACE, appends=tuple(Append(e.subject, e.number, e.body) for e in kept))])
    store.commit([Unit(SPACE, appends=tuple(entries(100, seed=9)))])
    compare(store, SPACE, Tiles(shown.folder, SIZE))
    compare(store, SPACE, Tiles(shown.folder, 0))


def test_a_changed_entry_gets_no_proof(shown):
    """Who makes a proof of an entry that is not the logged one is told so."""
    published = Published(shown.folder, shown.key)
    entry = entry_at(shown.storage, SPACE, AT)
    with pytest.raises(EvidenceTampered, match="not_included, cursor 143"):
        published.prove(Entry(AT, entry.subject, entry.number, entry.body + b"x"))
    with pytest.raises(InvalidValue, match="log ends at 300"):
        published.prove(Entry(SIZE + 1, entry.subject, entry.number, entry.body))
    for cursor in (0, -1, SIZE + 1):
        with pytest.raises(InvalidValue, match="no entry"):
            entry_at(shown.storage, SPACE, cursor)


def test_a_folder_without_a_checkpoint_proves_nothing(tmp_path, shown):
    """It says so by name; and nothing extends what was longer."""
    with pytest.raises(EvidenceUnavailable):
        Published(tmp_path, shown.key)
    published = Published(shown.folder, shown.key)
    (tmp_path / "same").write_bytes(published.prove_extension(published.checkpoint).text)
    assert SIZE == verify(tmp_path / "same", shown.key, published.checkpoint).extends
    later = Checkpoint(origin=NAME, size=SIZE + 1, root=bytes(32))
    with pytest.raises(InvalidValue, match="log ends at 300"):
        Published(shown.folder, shown.key).prove_extension(later)


# --- the room itself ----------------------------------------------------------------------


def test_who_verifies_imports_nothing_of_the_engine():
    """No store, key ring, record or core, no database and no network comes with it."""
    script = (
        "import sys; before = set(sys.modules)\n"
        "import abonent.audit.verifying\n"
        "print([each for each in set(sys.modules) - before if each.startswith('abonent.')"
        " and not each.startswith('abonent.audit') and each != 'abonent.errors'"
        " or each in ('sqlite3', 'socket', 'phonenumbers', 'msgspec')])"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert "[]\n" == told.stdout


def test_a_leaf_reads_what_it_was_made_of():
    """The bytes of a leaf say each part of it, and a body may be empty."""
    entry = Entry(7, b"subject", -3, b"")
    leaf = Leaf.read(leaf_data(entry, 7), "")
    assert (7, b"subject", -3, b"") == (leaf.cursor, leaf.subject, leaf.number, leaf.body)
    assert "body" not in repr(leaf)

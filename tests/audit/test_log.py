"""The log only grows (I12): through crashes, two processes, and whatever was put back."""

from __future__ import annotations

import os
import secrets
import shutil
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

from abonent import MemoryStorage, SqliteStorage
from abonent.audit import log as logging_room
from abonent.audit import tiles as tiles_room
from abonent.audit.log import Log
from abonent.audit.notes import Checkpoint, to64
from abonent.audit.signing import Signer, create_key
from abonent.audit.tiles import Edge, Tiles, tile_path
from abonent.audit.verifying import verify
from abonent.errors import (
    EvidenceDamaged,
    EvidenceForeign,
    EvidenceTampered,
    EvidenceUnavailable,
    InvalidValue,
    LogRolledBack,
    StoreUnavailable,
)
from abonent.ports import Append, Put, Unit
from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import upgrade
from tests.audit import naive
from tests.audit.crashing import Crash, dying, watched
from tests.audit.logs import NAME, SPACE, Ledger, entries
from tests.postgres import run


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path)


def filled(ledger: Ledger, *counts: int) -> list[bytes]:
    """Append and publish so many entries at a time; return the notes."""
    made = entries(sum(counts))
    notes = []
    for count in counts:
        ledger.append(*made[:count])
        del made[:count]
        ledger.publish()
        notes.append(ledger.note())
    return notes


# --- what is written --------------------------------------------------------------------


def test_an_empty_journal_has_a_checkpoint(ledger):
    """The log of nothing has the root of the empty tree, and is extended like any other."""
    checkpoint = ledger.publish()
    assert (NAME, 0, sha256().digest()) == (checkpoint.origin, checkpoint.size, checkpoint.root)
    assert f"{NAME}\n0\n{to64(sha256().digest())}\n" == checkpoint.text
    filled(ledger, 3)
    assert 3 == verify(ledger.folder, ledger.key, checkpoint).checkpoint.size


@pytest.mark.parametrize("counts", [(1,), (255, 1), (256, 1), (100, 200, 300), (700, 0, 1)])
def test_the_root_is_that_of_the_definition(ledger, counts):
    """However the journal came, its checkpoint has the root that RFC 9162 defines."""
    filled(ledger, *counts)
    checkpoint = ledger.publish()
    assert sum(counts) == checkpoint.size
    assert naive.mth(ledger.leaves()) == checkpoint.root
    assert checkpoint == Checkpoint.open(ledger.note(), ledger.key)


@pytest.mark.parametrize(
    ("level", "index", "width", "path"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 999, 256, "tile/0/999"),
        (3, 1_000, 256, "tile/3/x001/000"),
        (0, 1_234_067, 256, "tile/0/x001/x234/067"),
        (63, 5, 1, "tile/63/005.p/1"),
        (1, 1_234_067, 255, "tile/1/x001/x234/067.p/255"),
    ],
)
def test_paths_of_tiles(level, index, width, path):
    """Tiles are where C2SP tlog-tiles has them."""
    assert path == tile_path(level, index, width)


def test_tiles_of_seventy_thousand(tmp_path):
    """The example of tlog-tiles: on its levels 273 full tiles and 112 hashes, 1 and 17, and 1."""
    edge = Edge(tmp_path)
    edge.extend([bytes(32)] * 70_000)
    edge.save()
    found = sorted(
        str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()
    )
    full = [f"tile/0/{each:03d}" for each in range(273)]
    assert (
        sorted([*full, "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"])
        == found
    )
    assert {8_192} == {(tmp_path / each).stat().st_size for each in full}
    tiles = Tiles(tmp_path, 70_000)
    assert [274, 2, 1] == [sum(tiles.width(level, n) > 0 for n in range(300)) for level in range(3)]


def test_few_tiles_are_kept_in_memory(tmp_path, monkeypatch):
    """A reader forgets tiles when it has many, and reads them again."""
    leaves = [bytes([each]) * 32 for each in range(256)] * 5
    edge = Edge(tmp_path)
    edge.extend(leaves)
    edge.save()
    monkeypatch.setattr(tiles_room, "_KEPT", 2)
    tiles = Tiles(tmp_path, len(leaves))
    for index in (0, 300, 700, 1_100, 5):
        assert leaves[index] == tiles.node(0, index)
        assert len(tiles._rows) <= 2


def test_partial_tiles_go_when_they_are_full(ledger):
    """What stood in for a tile stays while a checkpoint needs it, and goes with the full tile."""
    filled(ledger, 10, 10)
    assert {"10", "20"} == {each.name for each in (ledger.folder / "tile/0/000.p").iterdir()}
    ledger.append(*entries(300, seed=1))
    ledger.publish()
    assert not (ledger.folder / "tile/0/000.p").exists()
    assert (ledger.folder / "tile/0/000").exists()


def test_a_long_journal_has_checkpoints_on_the_way(ledger, monkeypatch):
    """After so many pages one is signed, so that a crash costs little."""
    monkeypatch.setattr(logging_room, "_PAGE", 10)
    monkeypatch.setattr(logging_room, "_PAGES", 3)
    ledger.append(*entries(75))
    with watched() as signed:
        ledger.publish()
    assert ["30", "60", "75"] == [each.split("\n")[1] for each in signed]
    assert naive.mth(ledger.leaves()) == Checkpoint.open(ledger.note(), ledger.key).root


def test_nothing_new_signs_nothing(ledger):
    """The same tree is not signed twice."""
    filled(ledger, 5)
    before = ledger.note()
    with watched() as signed:
        ledger.publish()
    assert [] == signed
    assert before == ledger.note()


# --- crashes ----------------------------------------------------------------------------


@cache
def root_over(leaves: tuple[bytes, ...]) -> bytes:
    return naive.mth(list(leaves))


def sound(ledger: Ledger, signed: list[str]) -> None:
    """Every text that was ever signed is a beginning of the one journal there is."""
    leaves = ledger.leaves()
    for text in signed:
        _, size, root = text.split()
        assert to64(root_over(tuple(leaves[: int(size)]))) == root
    if (ledger.folder / "checkpoint").exists():
        verify(ledger.folder, ledger.key)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("counts", [(0, 3), (250, 20), (3, 515)])
def test_a_crash_at_any_step(tmp_path, counts, after):
    """I12: whichever flush or renaming the process died at, no fork is signed, and it goes on."""
    for at in range(1, 200):
        folder = tmp_path / str(at)
        folder.mkdir()
        ledger = Ledger(folder)
        made = entries(sum(counts) + 2)
        with watched() as signed:
            ledger.append(*made[: counts[0]])
            ledger.publish()
            ledger.append(*made[counts[0] : -2])
            try:
                with dying(at, after):
                    ledger.publish()
            except Crash:
                died = True
            else:
                died = False
            sound(ledger, signed)
            ledger.append(made[-2])
            ledger.publish()
            ledger.append(made[-1])
            assert len(made) == ledger.publish().size
            sound(ledger, signed)
        if not died:
            break
    assert not died
    assert at > 6


def test_what_is_promised_is_flushed(ledger, monkeypatch):
    """A file is flushed before it gets its name, and all names before the next thing begins."""
    ledger.append(*entries(300))
    fsync, replace = os.fsync, Path.replace
    steps: list[str] = []

    def flushed(file):
        steps.append(f"flush {Path(f'/proc/self/fd/{file}').readlink().name}")
        fsync(file)

    def renamed(path, target):
        assert steps[-1] == f"flush {path.name}"
        steps.append(f"name {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    ledger.publish()
    assert f"flush {ledger.root.name}" == steps[0]  # the folder's own name
    named = [each for each in steps if each.startswith("name")]
    assert ["name 000", "name 44", "name 1", "name log.key.last", "name checkpoint"] == named
    tiles = steps[: steps.index("flush .log.key.last.draft")]
    folders = ["0", "000.p", "001.p", "1", "log", "tile"]
    assert [f"flush {each}" for each in folders] == sorted(tiles[-6:])
    after = steps[steps.index("name log.key.last") + 1]
    assert f"flush {ledger.root.name}" == after
    assert "flush log" == steps[-1]


def test_what_was_never_signed_is_written_over(ledger):
    """Tiles of a run that died before it signed bind nobody, not even to their entries."""
    filled(ledger, 3)
    other = MemoryStorage()
    copied = ledger.storage.journal(SPACE, 0, 10)
    ledger.append(*entries(300, seed=1))
    with pytest.raises(Crash), dying(7):
        ledger.publish()
    ledger.storage = other
    ledger.append(*(Append(each.subject, each.number, each.body) for each in copied))
    ledger.append(*entries(300, seed=2))
    assert 303 == ledger.publish().size
    verify(ledger.folder, ledger.key)


def test_a_full_disk_is_tried_again(ledger, monkeypatch):
    """A write that fails leaves the same log able to go on, with each entry in it once."""
    ledger.append(*entries(600))
    fsync = os.fsync
    with Signer(ledger.key_file) as signer:
        log = Log(ledger.folder, signer)
        for good in range(30):
            left = [None] * good

            def full(file, left=left):
                if not left:
                    raise OSError(28, "No space left on device")
                left.pop()
                fsync(file)

            with monkeypatch.context() as patch:
                patch.setattr(os, "fsync", full)
                if ended(log, ledger):
                    break
        assert good > 6
    assert naive.mth(ledger.leaves()) == verify(ledger.folder, ledger.key).checkpoint.root


def ended(log: Log, ledger: Ledger) -> bool:
    try:
        log.extend(ledger.storage, SPACE)
    except EvidenceUnavailable:
        return False
    return True


# --- the same journal, or none ----------------------------------------------------------


def test_a_store_out_of_reach_is_tried_again(ledger, monkeypatch):
    """What was read before it failed is not read twice."""
    monkeypatch.setattr(logging_room, "_PAGE", 10)
    ledger.append(*entries(35))

    class Shaky:
        def __init__(self):
            self.calls = 0

        def journal(self, space, after, limit):
            self.calls += 1
            if self.calls == 3:
                raise StoreUnavailable("away")
            return ledger.storage.journal(space, after, limit)

    with Signer(ledger.key_file) as signer:
        log, store = Log(ledger.folder, signer), Shaky()
        assert log.checkpoint is None
        with pytest.raises(StoreUnavailable):
            log.extend(store, SPACE)
        assert 35 == log.extend(store, SPACE).size
        assert 35 == log.checkpoint.size
    assert naive.mth(ledger.leaves()) == verify(ledger.folder, ledger.key).checkpoint.root


def refused(ledger: Ledger, kind: type, finding: str, where: str, **how) -> None:
    """Publishing is refused by name, and what is published stays."""
    path = ledger.folder / "checkpoint"
    before = path.read_bytes() if path.exists() else None
    with watched() as signed, pytest.raises(kind) as caught:
        ledger.publish(**how)
    assert (kind, finding, where) == (type(caught.value), caught.value.finding, caught.value.where)
    assert [] == signed
    assert before == (path.read_bytes() if path.exists() else None)


def test_a_database_that_was_put_back(ledger):
    """A journal that ends before what was signed is refused, even where only the last is gone."""
    made = entries(20)
    ledger.append(*made)
    ledger.publish()
    for kept in (0, 1, 7, 18, 19):
        ledger.storage = MemoryStorage()
        ledger.append(*made[:kept])
        refused(ledger, LogRolledBack, "journal_behind", f"size {kept}")


def test_a_database_that_was_put_back_and_went_on(ledger):
    """Other entries in the place of those that were signed are refused."""
    made = entries(20)
    ledger.append(*made)
    ledger.publish()
    ledger.storage = MemoryStorage()
    ledger.append(*made[:15], *entries(30, seed=1))
    refused(ledger, EvidenceTampered, "row_changed", "cursor 20")


def test_an_older_change_is_not_signed_when_all_is_made_anew(ledger, tmp_path):
    """To make the tiles anew from a journal that was changed gives no signature."""
    made = entries(20)
    ledger.append(*made)
    ledger.publish()
    ledger.storage = MemoryStorage()
    ledger.append(*made[:4], *entries(1, seed=1), *made[5:], *entries(9, seed=2))
    shutil.rmtree(ledger.folder)
    refused(ledger, EvidenceTampered, "fork", "size 29", rebuild=True)


@pytest.mark.parametrize("more", [0, 1, 300])
def test_a_lost_folder_is_rebuilt(ledger, more):
    """The tiles can be made anew from the journal; the checkpoint is the one that was signed."""
    *_, note = filled(ledger, 300)
    whole = {each.relative_to(ledger.folder): each.read_bytes() for each in files(ledger.folder)}
    shutil.rmtree(ledger.folder)
    refused(ledger, LogRolledBack, "folder_behind", "size 0")
    shutil.rmtree(ledger.folder)
    ledger.append(*entries(more, seed=1))
    made = ledger.publish(rebuild=True)
    assert 300 + more == made.size
    verify(ledger.folder, ledger.key, Checkpoint.open(note, ledger.key))
    if not more:
        assert whole == {
            each.relative_to(ledger.folder): each.read_bytes() for each in files(ledger.folder)
        }


def test_a_long_journal_is_rebuilt(ledger, monkeypatch):
    """On the way to what was signed last nothing is signed; beyond it, as always."""
    filled(ledger, 50)
    shutil.rmtree(ledger.folder)
    ledger.append(*entries(30, seed=1))
    monkeypatch.setattr(logging_room, "_PAGE", 10)
    monkeypatch.setattr(logging_room, "_PAGES", 2)
    with watched() as signed:
        ledger.publish(rebuild=True)
    assert ["60", "80"] == [each.split("\n")[1] for each in signed]


def test_a_short_journal_rebuilds_nothing(ledger):
    """A folder that cannot be made as long as it was is not published."""
    made = entries(20)
    ledger.append(*made)
    ledger.publish()
    shutil.rmtree(ledger.folder)
    ledger.storage = MemoryStorage()
    ledger.append(*made[:19])
    refused(ledger, LogRolledBack, "journal_behind", "size 19", rebuild=True)


def test_only_an_empty_folder_is_rebuilt(ledger):
    """What is there may be evidence, and is not written over."""
    filled(ledger, 3)
    with pytest.raises(InvalidValue, match="empty folder"):
        ledger.publish(rebuild=True)


def files(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


def test_a_folder_that_was_put_back(ledger, tmp_path):
    """Tiles and checkpoint of an earlier day are refused, and their own are not lost by it."""
    filled(ledger, 300)
    shutil.copytree(ledger.folder, tmp_path / "copy")
    ledger.append(*entries(300, seed=1))
    ledger.publish()
    shutil.rmtree(ledger.folder)
    shutil.copytree(tmp_path / "copy", ledger.folder)
    refused(ledger, LogRolledBack, "folder_behind", "size 300")


def test_a_memory_that_was_put_back(ledger, tmp_path):
    """A key that does not remember what it signed, or not all, signs nothing."""
    filled(ledger, 3)
    memory = tmp_path / "log.key.last"
    early = memory.read_bytes()
    ledger.append(*entries(3, seed=1))
    ledger.publish()
    memory.write_bytes(early)
    refused(ledger, LogRolledBack, "memory_behind", "log.key.last")
    memory.unlink()
    refused(ledger, LogRolledBack, "memory_behind", "log.key.last")


def test_a_memory_of_another_key(ledger, tmp_path):
    """A memory that the key did not sign is none."""
    filled(ledger, 3)
    create_key(tmp_path / "other", NAME)
    (tmp_path / "other.last").write_bytes(ledger.note())
    with pytest.raises(EvidenceForeign):
        Signer(tmp_path / "other")
    (tmp_path / "other.last").unlink()
    with Signer(tmp_path / "other"):
        pass  # who was refused does not keep the key
    with Signer(ledger.key_file):
        pass  # what failed has let go of nothing that was not its own


def test_a_folder_of_another_log(ledger, tmp_path):
    """Another key's folder is not gone on with."""
    filled(ledger, 3)
    other = Ledger.__new__(Ledger)
    other.__dict__.update(ledger.__dict__)
    other.key_file = tmp_path / "other"
    other.key = create_key(other.key_file, "example.com/other")
    refused(other, EvidenceForeign, "other_key", "checkpoint")


def test_two_trees_of_one_size(ledger, tmp_path):
    """A folder that shows another tree of the size that was signed last proves a fork."""
    filled(ledger, 3)
    other = Ledger.__new__(Ledger)
    other.__dict__.update(ledger.__dict__)
    other.folder, other.storage = tmp_path / "other", MemoryStorage()
    memory = tmp_path / "log.key.last"
    kept = memory.read_bytes()
    memory.unlink()  # as whoever wants to deceive would do
    other.append(*entries(3, seed=1))
    other.publish()
    memory.write_bytes(kept)
    refused(other, EvidenceTampered, "fork", "size 3")


def test_a_signature_that_was_not_published_yet(ledger):
    """Who died between signing and publishing publishes just that, and then goes on."""
    filled(ledger, 3)
    before = ledger.note()
    ledger.append(*entries(3, seed=1))
    ledger.publish()
    signed = ledger.note()
    (ledger.folder / "checkpoint").write_bytes(before)
    ledger.publish()
    assert signed == ledger.note()
    (ledger.folder / "checkpoint").unlink()
    ledger.publish()
    assert signed == ledger.note()


def test_signatures_of_witnesses_stay(ledger):
    """What others have signed below a checkpoint is not taken for another one."""
    filled(ledger, 3)
    cosigned = ledger.note() + f"— witness.example {to64(bytes(76))}\n".encode()
    (ledger.folder / "checkpoint").write_bytes(cosigned)
    ledger.publish()
    assert cosigned == ledger.note()


@pytest.mark.parametrize(
    ("damage", "kind", "finding"),
    [
        (lambda path: path.unlink(), EvidenceDamaged, "tile_missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), EvidenceDamaged, "tile_length"),
        (lambda path: path.write_bytes(path.read_bytes() + b"\0"), EvidenceDamaged, "tile_length"),
        (lambda path: path.write_bytes(bytes(9_000)), EvidenceDamaged, "too_long"),
    ],
)
def test_a_damaged_edge_is_not_extended(ledger, damage, kind, finding):
    """A tile that was cut off, lost or swollen is named, and nothing is signed over it."""
    filled(ledger, 300)
    damage(ledger.folder / "tile/0/001.p/44")
    ledger.append(*entries(1, seed=1))
    where = "tile/0/001" if finding == "tile_missing" else "tile/0/001.p/44"
    refused(ledger, kind, finding, where)


def test_a_changed_edge_is_not_extended(ledger):
    """Tiles that do not give the signed root are not built upon."""
    filled(ledger, 300)
    path = ledger.folder / "tile/0/001.p/44"
    path.write_bytes(bytes(32) + path.read_bytes()[32:])
    refused(ledger, EvidenceTampered, "root", "size 300")


def test_a_journal_with_a_gap(ledger):
    """An entry that is missing among the new ones is named by its cursor."""
    ledger.append(*entries(30))
    storage = Without(ledger.storage, 17)
    refused(ledger, EvidenceTampered, "row_deleted", "cursor 17", storage=storage)
    ledger.publish()
    ledger.append(*entries(1, seed=1))
    storage = Without(ledger.storage, 30)
    refused(ledger, EvidenceTampered, "row_deleted", "cursor 30", storage=storage)


class Without:
    """A store that lacks an entry, and does not hide it."""

    def __init__(self, store, cursor):
        self.store, self.cursor = store, cursor

    def journal(self, space, after, limit):
        found = self.store.journal(space, after, limit + 1)
        return [each for each in found if each.cursor != self.cursor][:limit]


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request, tmp_path):
    """One of the stores that the library has, empty."""
    if request.param != "postgres":
        made = SqliteStorage(tmp_path / "j.db") if request.param == "sqlite" else MemoryStorage()
        yield made
    else:
        conninfo, schema = request.getfixturevalue("conninfo"), f"test_{secrets.token_hex(6)}"
        upgrade(conninfo, schema=schema)
        made = PostgresStorage(conninfo, schema=schema)
        yield made
        run(conninfo, f"DROP SCHEMA {schema} CASCADE")
    made.close()


def test_every_store_can_be_logged(tmp_path, store):
    """Cursors count one by one in each space, also where units between were refused."""
    ledger = Ledger(tmp_path, store)
    for turn in range(20):
        appends = tuple(entries(3, seed=turn))
        refused = Put(b"none", 1, b"x")
        units = [
            Unit(SPACE, appends=appends),
            Unit(SPACE, puts=(refused,), appends=appends),
            Unit("other", appends=appends[:1]),
            Unit(SPACE, appends=appends[1:]),
        ]
        assert [True, False, True, True] == store.commit(units)
        ledger.publish()
    assert list(range(1, 101)) == [each.cursor for each in store.journal(SPACE, 0, 999)]
    assert list(range(1, 21)) == [each.cursor for each in store.journal("other", 0, 999)]
    assert naive.mth(ledger.leaves()) == verify(ledger.folder, ledger.key).checkpoint.root

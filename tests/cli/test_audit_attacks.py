"""Whoever can write to database and folder, and what `abonent audit` says of it.

Each attack is made with the tools that a stranger has: SQL, and a shell. What is refused is named,
with its place, and has a status; what is told of a place is where it was done.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from abonent import SqliteStorage
from abonent.audit.signing import create_key
from abonent.cli import main
from abonent.ports import Unit
from tests.audit.logs import NAME, SPACE, entries
from tests.audit.service import TARGET

SIZE = 600
"""Two full tiles and a bit, so that there is a level above."""
TAMPERED = "EVIDENCE_TAMPERED"
FILES = ["--log", "log", "--key", "log.key"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A database of 600 entries and its log; an older checkpoint, and a newer one."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        settle(patch, folder)
        create_key(folder / "log.key", NAME)
        for each in (entries(200), entries(SIZE - 200, seed=1)):
            with closing(SqliteStorage(folder / "users.db", territory="RU")) as storage:
                storage.commit([Unit(SPACE, appends=tuple(each))])
            assert 0 == main(["audit", "checkpoint", TARGET, *FILES])
            if not (folder / "kept").exists():
                shutil.copy("log/checkpoint", "kept")
        with closing(sqlite3.connect("users.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


def settle(patch, folder):
    patch.setenv("AUDITED", str(folder))
    patch.chdir(folder)


@pytest.fixture
def place(whole, tmp_path, monkeypatch):
    """A copy of it, to be attacked."""
    folder = tmp_path / "place"
    shutil.copytree(whole, folder)
    settle(monkeypatch, folder)
    return folder


def sql(*statements):
    """Run statements on the database, as its administrator."""
    with closing(sqlite3.connect("users.db")) as connection:
        for each in statements:
            connection.execute(each)
        connection.commit()


def told(capsys, *line):
    """Return status, code, finding and place."""
    capsys.readouterr()
    status = main(["audit", *line, "--json"])
    out, err = capsys.readouterr()
    if not out:
        return status, err.split("]")[0].removeprefix("abonent: ["), "", ""
    found = json.loads(out)
    return status, found.get("code", ""), found.get("finding", ""), found.get("where", "")


def verified(capsys, *more):
    return told(capsys, "verify", "log", "--key", "log.key.vkey", *more)


def published(capsys):
    return told(capsys, "checkpoint", TARGET, *FILES)


FINE = (0, "", "", "")
SHIFT = "UPDATE journal SET cursor = -cursor WHERE cursor >= 7"
ROWS = {
    "a body": (["UPDATE journal SET body = zeroblob(60) WHERE cursor = 7"], "row_changed"),
    "a body that is text": (["UPDATE journal SET body = 'x' WHERE cursor = 7"], "row_changed"),
    "a number": (["UPDATE journal SET number = number + 1 WHERE cursor = 7"], "row_changed"),
    "a number that is text": (["UPDATE journal SET number = 'x' WHERE cursor = 7"], "row_changed"),
    "whose it is": (["UPDATE journal SET subject = zeroblob(16) WHERE cursor = 7"], "row_changed"),
    "a name far too long": (
        ["UPDATE journal SET subject = zeroblob(70000) WHERE cursor = 7"],
        "row_changed",
    ),
    "two rows": (
        [
            "UPDATE journal SET cursor = -7 WHERE cursor = 7",
            "UPDATE journal SET cursor = 7 WHERE cursor = 500",
            "UPDATE journal SET cursor = 500 WHERE cursor = -7",
        ],
        "rows_swapped",
    ),
    "a row taken away": (["DELETE FROM journal WHERE cursor = 7"], "row_deleted"),
    "a row taken away, and no gap": (
        [
            "DELETE FROM journal WHERE cursor = 7",
            SHIFT,
            "UPDATE journal SET cursor = -cursor - 1 WHERE cursor < 0",
        ],
        "row_deleted",
    ),
    "a row put in": (
        [
            SHIFT,
            "UPDATE journal SET cursor = -cursor + 1 WHERE cursor < 0",
            "INSERT INTO journal VALUES (7, zeroblob(16), 1, zeroblob(60))",
        ],
        "row_inserted",
    ),
}


@pytest.mark.parametrize(("statements", "finding"), ROWS.values(), ids=ROWS)
def test_a_row_of_the_journal(place, capsys, statements, finding):
    """What was done to a row of the database is named, with the row."""
    sql(*statements)
    expected = (3, TAMPERED, finding, "cursor 7")
    assert expected == verified(capsys, "--journal", TARGET)
    assert FINE == verified(capsys)  # the log is what it was


GONE = {
    "rolled back": (["DELETE FROM journal WHERE cursor > 100"], 100),
    "all of it": (["DELETE FROM journal"], 0),
    "another messenger's": (["UPDATE space SET name = 'other'"], 0),
}


@pytest.mark.parametrize(("statements", "end"), GONE.values(), ids=GONE)
def test_a_database_that_was_rolled_back(place, capsys, statements, end):
    """Where the journal ends, and that it ended later, is told by who signs and who compares."""
    sql(*statements)
    expected = (3, "EVIDENCE_ROLLED_BACK", "journal_behind", f"cursor {end + 1}")
    assert expected == verified(capsys, "--journal", TARGET)
    expected = (3, "EVIDENCE_ROLLED_BACK", "journal_behind", f"size {end}")
    assert expected == published(capsys)


def test_a_database_that_is_not_there(place, capsys):
    """An empty one, made in its place, is told from the one that was signed."""
    (place / "users.db").unlink()
    assert (3, "journal_behind") == (verified(capsys, "--journal", TARGET))[0:3:2]


def test_a_database_that_was_rolled_back_and_went_on(place, capsys):
    """A journal that was lost in part and grew beyond its old end is no longer the one signed."""
    sql(
        "DELETE FROM journal WHERE cursor > 500",
        "INSERT INTO journal SELECT cursor + 400, subject, number, body FROM journal"
        " WHERE cursor BETWEEN 101 AND 400",
    )
    assert (3, TAMPERED, "row_changed", "cursor 501") == verified(capsys, "--journal", TARGET)
    assert (3, TAMPERED, "row_changed", f"cursor {SIZE}") == published(capsys)


@pytest.mark.parametrize("damage", [b"no database", b""], ids=["other bytes", "no bytes"])
def test_a_database_that_is_none(place, capsys, damage):
    """What cannot be compared is no finding: the store's own error says what it is."""
    (place / "users.db").write_bytes(damage)
    status, code, finding, _ = verified(capsys, "--journal", TARGET)
    assert (1, "STORE_FOREIGN", "") == (status, code, finding)


def flip(path):
    """Turn a bit over."""

    def done():
        data = bytearray(Path(path).read_bytes())
        data[5] ^= 1
        Path(path).write_bytes(data)

    return done


def cut(path):
    return lambda: Path(path).write_bytes(Path(path).read_bytes()[:60])


def changed(path, before, after):
    def done():
        text = Path(path).read_text()
        assert before in text
        Path(path).write_text(text.replace(before, after, 1))

    return done


def traded():
    """Let two tiles change places."""
    first, second = Path("log/tile/0/000"), Path("log/tile/0/001")
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def others():
    """Put the checkpoint of a log there that has the same name and another key."""
    create_key("other.key", NAME)
    assert 0 == main(["audit", "checkpoint", TARGET, "--log", "other", "--key", "other.key"])
    shutil.copy("other/checkpoint", "log/checkpoint")


EDGE = f"tile/0/002.p/{SIZE - 512}"
FOLDER = {
    "a bit of a tile": (flip("log/tile/0/000"), (3, TAMPERED, "tile", "tile/0/000")),
    "a bit of the last tile": (flip(f"log/{EDGE}"), (3, TAMPERED, "root", f"size {SIZE}")),
    "a bit of the tile above": (
        flip("log/tile/1/000.p/2"),
        (3, TAMPERED, "root", f"size {SIZE}"),
    ),
    "two tiles": (traded, (3, TAMPERED, "tile", "tile/0/000")),
    "a tile cut off": (cut("log/tile/0/001"), (4, "EVIDENCE_DAMAGED", "tile_length", "tile/0/001")),
    "a tile taken away": (
        Path("log/tile/0/001").unlink,
        (4, "EVIDENCE_DAMAGED", "tile_missing", "tile/0/001"),
    ),
    "a checkpoint with another size": (
        changed("log/checkpoint", f"\n{SIZE}\n", f"\n{SIZE - 1}\n"),
        (3, TAMPERED, "signature", "checkpoint, line 5"),
    ),
    "a checkpoint with another name": (
        changed("log/checkpoint", NAME, "example.com/forged"),
        (3, TAMPERED, "signature", "checkpoint, line 5"),
    ),
    "a checkpoint with another signer": (
        changed("log/checkpoint", f"— {NAME}", "— example.com/forged"),
        (5, "EVIDENCE_FOREIGN", "other_key", "checkpoint"),
    ),
    "a checkpoint with one more line": (
        changed("log/checkpoint", "\n\n", "\nmore\n\n"),
        (3, TAMPERED, "signature", "checkpoint, line 6"),
    ),
    "a checkpoint cut off": (
        cut("log/checkpoint"),
        (4, "EVIDENCE_DAMAGED", "note", "checkpoint"),
    ),
    "a checkpoint taken away": (
        Path("log/checkpoint").unlink,
        (1, "EVIDENCE_UNAVAILABLE", "file", "checkpoint"),
    ),
    "another log's checkpoint": (others, (5, "EVIDENCE_FOREIGN", "other_key", "checkpoint")),
    "the older checkpoint": (
        lambda: shutil.copy("kept", "log/checkpoint"),
        (3, TAMPERED, "rolled_back", "size 200"),
    ),
}


@pytest.mark.parametrize(("attack", "expected"), FOLDER.values(), ids=FOLDER)
def test_the_folder(place, capsys, attack, expected):
    """What was done to the folder is named, with the file."""
    shutil.copy("log/checkpoint", "newest")
    attack()
    assert expected == verified(capsys, "--since", "newest")


MEMORY = {
    "cut off": (cut("log.key.last"), (4, "EVIDENCE_DAMAGED", "note", "log.key.last")),
    "forged": (
        changed("log.key.last", f"\n{SIZE}\n", "\n7\n"),
        (3, TAMPERED, "signature", "log.key.last, line 5"),
    ),
    "put back": (
        lambda: shutil.copy("kept", "log.key.last"),
        (3, "EVIDENCE_ROLLED_BACK", "memory_behind", "log.key.last"),
    ),
    "taken away": (
        Path("log.key.last").unlink,
        (3, "EVIDENCE_ROLLED_BACK", "memory_behind", "log.key.last"),
    ),
}


@pytest.mark.parametrize(("attack", "expected"), MEMORY.values(), ids=MEMORY)
def test_the_memory_of_the_key(place, capsys, attack, expected):
    """A key that has forgotten what it signed is refused, and the file is named."""
    attack()
    assert expected == published(capsys)


def test_who_puts_back_everything(place, capsys):
    """Journal, tiles and memory together can be put back and signed anew; the kept one convicts."""
    Path("log.key.last").unlink()
    shutil.rmtree("log")
    sql("DELETE FROM journal WHERE cursor > 150")
    sql("UPDATE journal SET body = zeroblob(60) WHERE cursor = 7")
    assert FINE == published(capsys)
    assert FINE == verified(capsys)
    assert (3, TAMPERED, "rolled_back", "size 150") == verified(capsys, "--since", "kept")
    sql(
        "INSERT INTO journal SELECT cursor + 150, subject, number, body FROM journal",
    )
    assert FINE == published(capsys)
    assert (3, TAMPERED, "inconsistent", "size 300") == verified(capsys, "--since", "kept")

"""Whoever can write to the database and has no key: what is stopped, what is found, what is not.

The page on threats says each of these; here it is shown.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from abonent import Action, NoticeKind, OneTimeCode, Reason
from abonent.errors import RecordDamaged, TooManySends
from abonent.stores import SqliteStorage
from abonent.testing import Rehearsal

ALICE, BORIS = "+79160000001", "+79160000002"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "users.db"


@pytest.fixture
def life(file: Path) -> Generator[Rehearsal]:
    with Rehearsal(storage=SqliteStorage(file, territory="RU")) as made:
        made.identified("alice", ALICE)
        yield made


def rows(file: Path, statement: str, *values: object) -> list[tuple[object, ...]]:
    """Run a statement as somebody who can write to the file."""
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute(statement, values).fetchall()
        connection.commit()
    return found


def row_of(file: Path, life: Rehearsal, user: str) -> tuple[object, ...]:
    """Return a user's row as it lies there: version, body and id."""
    sql = "SELECT version, body, id FROM record WHERE id = (SELECT id FROM name WHERE key = ?)"
    return rows(file, sql, life.identifier.row_key(user))[0]


def put_row(file: Path, version: object, body: object, place: object) -> None:
    rows(file, "UPDATE record SET version = ?, body = ? WHERE id = ?", version, body, place)


def test_a_row_of_another_user_does_not_open(file: Path, life: Rehearsal) -> None:
    """A row is sealed for its place: moved to another user it closes their gate, by name (I1)."""
    life.claimed("boris", BORIS)
    version, body, _ = row_of(file, life, "alice")
    put_row(file, version, body, row_of(file, life, "boris")[2])
    gate = life.identifier.gate("boris")
    assert (False, Reason.CANNOT_SAY) == (gate.open, gate.reason)
    with pytest.raises(RecordDamaged):
        life.identifier.standing("boris")
    assert life.identifier.gate("alice")


def test_an_older_row_of_the_same_user_opens(file: Path, life: Rehearsal) -> None:
    """Put back with its version it is as good as new; a replay of the journal names the user."""
    older = row_of(file, life, "alice")
    life.end_subscription("alice")
    assert not life.identifier.gate("alice")
    assert life.identifier.replay().ok
    put_row(file, *older)
    assert life.identifier.gate("alice")
    assert ("alice",) == life.identifier.replay().differing


def test_guesses_on_an_older_row_are_named_for_ever(file: Path, life: Rehearsal) -> None:
    """Who takes each failure back by an older row guesses on; a replay names the user ever after.

    What was counted has run out a day later, and the record is what the journal gives. But the
    journal has several entries of one number.
    """
    life.claimed("boris", BORIS)
    older = row_of(file, life, "boris")
    for _ in range(20):
        assert not life.identifier.prove("boris", OneTimeCode("00000000")).gate
        put_row(file, *older)
    life.clock.advance(timedelta(hours=25))
    life.identifier.sweep()
    life.identified("boris", BORIS)
    assert ("boris",) == life.identifier.replay().differing


def test_an_older_row_that_was_taken_away_again(file: Path, life: Rehearsal) -> None:
    """While it lay there the gate was open; once the newest is back, nothing tells of it."""
    older = row_of(file, life, "alice")
    life.end_subscription("alice")
    newest = row_of(file, life, "alice")
    put_row(file, *older)
    assert life.identifier.gate("alice")
    put_row(file, *newest)
    assert not life.identifier.gate("alice")
    assert life.identifier.replay().ok


def test_a_row_that_was_deleted(file: Path, life: Rehearsal) -> None:
    """Its user is unknown, and their gate closed; what the journal has of them cannot be read."""
    assert 0 == life.identifier.replay().unreadable
    rows(file, "DELETE FROM name")
    gate = life.identifier.gate("alice")
    assert (False, Reason.NOT_IDENTIFIED) == (gate.open, gate.reason)
    assert life.identifier.replay().unreadable > 0


def test_counts_that_were_deleted(file: Path, life: Rehearsal) -> None:
    """How many codes went to a number today is forgotten with its row, and no replay sees it."""
    for each in range(9):  # the first was Alice's own
        life.claimed(f"stranger-{each}", ALICE)
    with pytest.raises(TooManySends):
        life.claimed("stranger-9", ALICE)
    for table in ("name", "deadline"):
        rows(file, f"DELETE FROM {table} WHERE length(key) > 16")
    life.claimed("stranger-9", ALICE)
    assert life.identifier.replay().ok


def test_failures_that_were_deleted(file: Path, life: Rehearsal) -> None:
    """They go with the row of who failed; what is left is entries that nobody can read."""
    life.claimed("boris", BORIS)
    for _ in range(4):
        life.identifier.prove("boris", OneTimeCode("00000000"))
    assert 1 == life.identifier.standing("boris").may(Action.PROVE).tries
    key = life.identifier.row_key("boris")
    for table in ("name", "deadline"):
        rows(file, f"DELETE FROM {table} WHERE key = ?", key)
    life.claimed("boris", BORIS)
    assert 5 == life.identifier.standing("boris").may(Action.PROVE).tries
    assert life.identifier.replay().unreadable > 0


def test_an_index_that_was_deleted(file: Path, life: Rehearsal) -> None:
    """Without the index of who holds a number a second user gets it; a replay names both (I3)."""
    rows(file, "DELETE FROM alias")
    life.identified("boris", ALICE)
    life.identified("carla")
    assert life.identifier.gate("alice")
    assert life.identifier.gate("boris")
    assert ("alice", "boris") == life.identifier.replay().differing


def test_a_deadline_that_was_deleted(file: Path, life: Rehearsal) -> None:
    """No sweep comes to settle it; the gate looks at the clock by itself and closes (I1)."""
    life.end_subscription("alice", kind=NoticeKind.PORTED)
    assert life.identifier.gate("alice")
    rows(file, "DELETE FROM deadline")
    life.clock.advance(timedelta(minutes=20))
    assert life.identifier.gate("alice")
    life.clock.advance(timedelta(microseconds=1))
    assert 0 == life.identifier.sweep().due
    assert not life.identifier.gate("alice")


def test_who_sees_the_file_sees_how_long_rows_are(file: Path, life: Rehearsal) -> None:
    """Rows are not padded: who is identified can be told from who has only claimed."""
    life.identified("carla")
    life.claimed("boris", BORIS)
    claimed, *identified = (
        len(row_of(file, life, user)[1]) for user in ("boris", "alice", "carla")
    )
    assert identified[0] == identified[1] != claimed


def test_codes_to_a_number_are_used_up_by_whoever_claims_it(life: Rehearsal) -> None:
    """Ten codes a day go to a number, whoever asks for them; who is identified stays so."""
    for each in range(9):  # the first was Alice's own
        life.claimed(f"stranger-{each}", ALICE)
    with pytest.raises(TooManySends):
        life.claimed("new-phone-of-alice", ALICE)
    assert life.identifier.gate("alice")


def test_a_clock_that_is_set_back_keeps_a_gate_open_for_longer(life: Rehearsal) -> None:
    """What closes at an instant closes by this clock; what was closed by a notice stays closed."""
    life.identified("boris", BORIS)
    life.end_subscription("alice", kind=NoticeKind.PORTED)
    life.end_subscription("boris")
    life.clock.advance(timedelta(minutes=15))
    life.clock.advance(timedelta(hours=-1))
    life.clock.advance(timedelta(minutes=15))
    assert life.identifier.gate("alice")
    assert not life.identifier.gate("boris")

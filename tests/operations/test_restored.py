"""What an older copy of the store does not know, and what brings it back into line."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from abonent import (
    Action,
    Agreement,
    Identifier,
    MemoryKeys,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    OneTimeCode,
    OneTimeCodes,
    Reason,
    SqliteStorage,
    Status,
    SubscriberNumber,
)
from abonent.errors import KeyUnavailable, StoreFull
from abonent.simulation import SimulatedClock, SimulatedOperator, SimulatedRouter, SimulatedSender

ALICE, BORIS, CAROL = (SubscriberNumber(f"+7916000000{each}") for each in (1, 2, 3))
WRONG = OneTimeCode("00000000")


class Life:
    """A foreign messenger over a file, its operator, and a copy of the file from this morning."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = MemoryKeys.random()
        self.clock = SimulatedClock()
        self.sender = SimulatedSender()
        self.operator = SimulatedOperator("mts")
        self.identifier = self.on("live.db")

    def on(self, name: str) -> Identifier:
        return Identifier(
            messenger=Messenger(id="chat", kind=MessengerKind.FOREIGN),
            storage=SqliteStorage(self.folder / name, territory="RU"),
            keys=self.keys,
            possession=OneTimeCodes(self.sender, prompt=True),
            agreements=[
                Agreement(
                    id="a",
                    messenger="chat",
                    operator="mts",
                    starts=datetime(2026, 1, 1, tzinfo=UTC),
                )
            ],
            gateways={"mts": self.operator},
            router=SimulatedRouter("mts"),
            clock=self.clock,
            unsafe_test_doubles=True,
        )

    def identify(self, user: str, number: SubscriberNumber) -> None:
        self.identifier.claim(user, number.e164)
        self.identifier.prove(user, self.sender.code_for(number))
        self.identifier.sweep()
        assert self.identifier.gate(user)

    def copy(self) -> None:
        with (
            closing(sqlite3.connect(self.folder / "live.db")) as live,
            closing(sqlite3.connect(self.folder / "copy.db")) as copy,
        ):
            live.backup(copy)

    def put_back(self) -> None:
        """Go on from the copy."""
        self.identifier.close()
        self.identifier = self.on("copy.db")

    def ended(self) -> Notice:
        return Notice(
            id="1",
            operator="mts",
            kind=NoticeKind.TERMINATED,
            number=ALICE,
            happened_at=self.clock.now(),
        )


@pytest.fixture
def life(tmp_path):
    made = Life(tmp_path)
    yield made
    made.identifier.close()


class Recycled:
    """An operator that says which numbers have had another holder."""

    test_double = True

    def __init__(self, *numbers: SubscriberNumber) -> None:
        self.numbers = numbers

    def recycled(self, number: SubscriberNumber, since: datetime) -> bool:
        return number in self.numbers


@pytest.mark.parametrize("how", ["sent again", "asked"])
def test_a_gate_that_was_closed_since_is_open_again(life, how):
    """A notice that came after the copy is not in it: have it sent again, or ask the operator."""
    life.identify("alice", ALICE)
    life.copy()
    life.clock.advance(60)
    notice = life.ended()
    life.identifier.receive(notice)
    assert not life.identifier.gate("alice")

    life.put_back()
    assert life.identifier.gate("alice")  # nothing here can know better
    if how == "sent again":
        life.identifier.receive(notice)
    else:
        found = life.identifier.reconcile("mts", Recycled(ALICE), limit=1_000, after=b"")
        assert (1, 1, b"") == (found.asked, found.changed, found.cursor)
    assert not life.identifier.gate("alice")


def test_who_was_identified_since_does_so_anew(life):
    """Who passed after the copy is closed, and passes again; the operator then has two records."""
    life.copy()
    life.identify("carol", CAROL)
    life.put_back()
    assert not life.identifier.gate("carol")
    life.identify("carol", CAROL)
    assert 2 == len(life.operator.recorded)  # of the first, nobody is left to withdraw it


def test_who_was_forgotten_since_is_there_again(life):
    """To forget is to be done again, from a list that is kept apart from the store."""
    life.identify("boris", BORIS)
    life.copy()
    assert life.identifier.forget("boris")
    life.put_back()
    assert life.identifier.gate("boris")
    assert life.identifier.forget("boris")
    assert not life.identifier.gate("boris")


def test_failures_since_are_not_counted(life):
    """The counts of failed proofs are those of the copy (I6 does not reach over a restore)."""
    life.identifier.claim("alice", ALICE.e164)
    life.copy()
    for _ in range(3):
        life.identifier.prove("alice", WRONG)
    before = life.identifier.standing("alice").may(Action.PROVE).tries
    life.put_back()
    assert before + 3 == life.identifier.standing("alice").may(Action.PROVE).tries


@pytest.mark.parametrize(("late", "works"), [(0, True), (1, False)])
def test_a_code_that_was_used_since_works_once_more(life, late, works):
    """What a claim of the copy waits for is still valid, if its ten minutes are not over."""
    life.identifier.claim("alice", ALICE.e164)
    life.copy()
    code = life.sender.code_for(ALICE)
    assert life.identifier.prove("alice", code).gate
    life.put_back()
    life.clock.advance(timedelta(minutes=10, microseconds=late))
    assert works is bool(life.identifier.prove("alice", code).gate)


def test_what_fell_due_meanwhile_is_settled_by_the_first_sweep(life):
    """Deadlines are instants: what ran out while the store was away has run out."""
    life.identify("alice", ALICE)
    life.identifier.receive(life.ended())
    life.copy()
    life.clock.advance(timedelta(hours=3))
    life.put_back()
    assert not life.identifier.gate("alice")
    life.identifier.sweep()
    assert Status.NOT_PASSED is life.identifier.standing("alice").status


def test_a_key_that_is_lost(life):
    """With another key no gate is open, nobody is taken for a new user, and nothing is written."""
    life.identify("alice", ALICE)
    life.identifier.receive(life.ended())
    life.identify("boris", BORIS)
    life.clock.advance(timedelta(hours=1))
    life.copy()
    life.keys = MemoryKeys.random("k2")
    before = bodies(life.folder / "copy.db")
    life.put_back()
    for user in ("alice", "boris"):
        gate = life.identifier.gate(user)
        assert (False, Reason.CANNOT_SAY) == (gate.open, gate.reason)
        with pytest.raises(KeyUnavailable):
            life.identifier.claim(user, ALICE.e164)
    with pytest.raises(KeyUnavailable):
        life.identifier.sweep()
    assert before == bodies(life.folder / "copy.db")


def test_a_store_that_cannot_be_written_takes_no_notice(life, monkeypatch):
    """The gate stays as it is, and whoever gives the notice is told to try again."""
    life.identify("alice", ALICE)
    storage = life.identifier._engine.archive.storage

    def full(_):
        raise StoreFull("there is no room to write")

    monkeypatch.setattr(storage, "commit", full)
    with pytest.raises(StoreFull):
        life.identifier.receive(life.ended())
    assert life.identifier.gate("alice")


def bodies(file):
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT id, body FROM record ORDER BY id").fetchall()

"""The invariants of the whole library, over a store, through crashes between any two steps."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from abonent import Reason, SqliteStorage
from abonent.ports import Put, Record, Storage, Unit
from tests.properties.parts import N1, N2, World, bounded
from tests.properties.service import Service


class OnSqlite(Service):
    """The same over a file, whose bytes can be searched."""

    def open_store(self) -> Storage:
        self.folder = tempfile.TemporaryDirectory()
        return SqliteStorage(Path(self.folder.name) / "kept.db", territory="RU")

    def stored_bytes(self) -> bytes:
        files = sorted(Path(self.folder.name).iterdir())
        return b"\xff".join(each.read_bytes() for each in files)

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            self.folder.cleanup()


def hold(invariant: str, examples: int = 150) -> None:
    machine = type(f"Service{invariant}", (Service,), {"focus": invariant})
    run_state_machine_as_test(machine, settings=bounded(examples, 50))


def test_i1_who_follows_the_feed_never_holds_a_gate_open_too_long():
    """I1: at the end of any run, the feed's last word on a gate is the gate."""
    hold("I1")


def test_i6_no_answered_failure_is_lost_by_a_crash():
    """I6: failed proofs are counted through crashes, restarts, resends and forgetting."""
    hold("I6")


def test_i7_the_journal_replays_after_crashes():
    """I7: replaying the journal gives every stored record, whatever died when."""
    hold("I7")


def test_i8_what_is_owed_is_performed_until_acknowledged():
    """I8: in the end operators hold just the codes that users are identified by; same ids."""
    hold("I8", 200)


def test_i9_nothing_is_shown_or_stored_in_the_clear():
    """I9: no number, code, user or key in the store; no number or code in logs, reprs, errors."""
    hold("I9", 80)


def test_i12_a_journal_is_only_extended():
    """I12: no entry that was committed is changed, removed or moved, whatever died when."""
    hold("I12", 60)


def test_i11_an_identification_code_names_one_identification():
    """I11: no code is ever given for two numbers, and each has 128 random bits."""
    hold("I11", 60)


@pytest.mark.slow
def test_all_invariants_over_sqlite():
    """I1, I6 to I9, I11: the same on a database file, bytes of file and log searched."""
    run_state_machine_as_test(OnSqlite, settings=bounded(30, 50))


@given(position=st.integers(0, 10_000), flip=st.integers(1, 255), cut=st.integers(0, 40))
@bounded(60)
def test_i1_a_damaged_row_closes_the_gate(position: int, flip: int, cut: int):
    """I1: whatever byte of a row is damaged or missing, its gate is closed and says why."""
    with World() as world:
        world.identify("alice")
        assert world.identifier.gate("alice").open
        (key,) = [key for key, _ in world.everything()[0] if len(key) == 16]
        (record,) = world.storage.load("m", [key])
        assert record is not None
        damaged = bytearray(record.body)
        damaged[position % len(damaged)] ^= flip
        body = bytes(damaged[: len(damaged) - cut])
        rewrite(world.storage, key, record.version, body)
        answer = world.identifier.gate("alice")
        assert not answer.open
        assert answer.reason is Reason.CANNOT_SAY


def rewrite(storage: Storage, key: bytes, version: int, body: bytes) -> None:
    """Put other bytes in the place of a record, at the same version."""
    record = storage.load("m", [key])[0]
    assert record is not None
    puts = [Put(key, record.version, None), *(Put(key, each, body) for each in range(version))]
    assert all(storage.commit([Unit("m", puts=(put,)) for put in puts]))
    assert storage.load("m", [key])[0] == Record(version, body)


@given(user=st.text(min_size=1, max_size=20), number=st.sampled_from([N1, N2]))
@bounded(40)
def test_i11_the_same_user_and_number_get_another_code(user: str, number):
    """I11: two identifications that agree in everything have codes with nothing in common."""
    if not user.isprintable():
        return
    codes = []
    for _ in range(2):
        with World() as world:
            codes.append(world.identify(user, number).identification_code)
    one, other = codes
    assert one != other
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 12

"""Behind an operator's notices it is asked whether numbers have changed hands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from attrs import define, field

from abonent import (
    AlarmKind,
    AsyncIdentifier,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    Status,
    SubscriberNumber,
)
from abonent.core.states import ReidentificationDue
from abonent.errors import (
    InvalidValue,
    Misconfigured,
    StoreUnavailable,
    Unavailable,
    UnknownOperator,
)
from abonent.simulation import SimulatedOperator, SimulatedRouter
from tests.properties.parts import KEYS, N1, N2, START, M, N, World, agreement


@define
class Hands:
    """Says of each number what it is told, and keeps what it was asked."""

    changed: set[SubscriberNumber] = field(factory=set)
    unknown: set[SubscriberNumber] = field(factory=set)
    fault: Exception | None = None
    asked: list[tuple[SubscriberNumber, datetime]] = field(factory=list)
    then: Callable[[], object] = field(default=lambda: None)

    def recycled(self, number: SubscriberNumber, since: datetime) -> bool | None:
        self.asked.append((number, since))
        if self.fault is not None:
            raise self.fault
        self.then()
        return None if number in self.unknown else number in self.changed


def numbers(count):
    return [SubscriberNumber(f"+7916{each:07d}") for each in range(count)]


@pytest.fixture
def world():
    with World() as world:
        yield world


def test_a_number_in_other_hands_is_heard_as_a_notice(world):
    """Its user has to be identified anew, and the gate closes at once; nobody else is touched."""
    world.identify("alice", N1)
    world.identify("bob", N2)
    found = world.identifier.reconcile(M, Hands(changed={N1}), after=b"")
    assert (2, 1, 0, None) == (found.asked, found.changed, found.unknown, found.failed)
    assert not world.identifier.gate("alice")
    assert world.identifier.gate("bob")
    state = world.kept("alice").state
    assert isinstance(state, ReidentificationDue)
    assert NoticeKind.REASSIGNED is state.cause


def test_it_is_asked_since_the_question_that_was_answered(world):
    """What happened before is no matter of this identification."""
    world.identify("alice", N1)
    hands = Hands()
    world.clock.advance(timedelta(days=30))
    world.identifier.reconcile(M, hands, after=b"")
    assert [(N1, START)] == hands.asked


def test_what_is_found_again_does_nothing_more(world):
    """One identification hears it once; who was identified anew is asked about anew."""
    world.identify("alice", N1)
    hands = Hands(changed={N1})
    world.identifier.reconcile(M, hands, after=b"")
    world.clock.advance(60)
    again = world.identifier.reconcile(M, hands, after=b"")
    assert 0 == again.asked
    world.identify("alice", N1)
    hands.changed.clear()
    world.identifier.reconcile(M, hands, after=b"")
    assert START + timedelta(seconds=60) == hands.asked[-1][1]
    assert world.identifier.gate("alice")


def test_whoever_is_identified_anew_while_it_is_asked_is_not_touched(world):
    """The answer is about the identification before (I4)."""
    world.identify("alice", N1)
    world.clock.advance(3600)
    hands = Hands(changed={N1})

    def anew():
        kind = NoticeKind.TERMINATED
        world.identifier.receive(Notice(id="notice-1", operator=M, kind=kind, number=N1))
        world.identify("alice", N1)

    hands.then = anew
    found = world.identifier.reconcile(M, hands, after=b"")
    assert 1 == found.changed
    assert world.identifier.gate("alice")
    assert "StaleNoticeIgnored" in world.events("alice")


def test_only_those_are_asked_about_whom_this_operator_identified(world):
    """Not those of another operator, who wait for an answer, or who were never identified."""
    world.identify("alice", N1)
    world.router.port(N2, N)
    world.identify("bob", N2)
    world.identifier.claim("carol", "+79160000001")
    hands = Hands()
    assert 1 == world.identifier.reconcile(M, hands, after=b"").asked
    assert [N1] == [number for number, _ in hands.asked]


def test_who_claims_another_number_is_still_asked_about_by_the_one_that_stands(world):
    """What stands behind a claim is looked after."""
    world.identify("alice", N1)
    world.clock.advance(3600)
    world.identifier.claim("alice", N2.e164)
    hands = Hands(changed={N1})
    world.identifier.reconcile(M, hands, after=b"")
    assert [N1] == [number for number, _ in hands.asked]
    assert not world.identifier.gate("alice")


def test_one_of_whom_the_operator_cannot_say_is_counted_and_left_alone(world):
    """Nothing is known, so nothing changes."""
    world.identify("alice", N1)
    found = world.identifier.reconcile(M, Hands(unknown={N1}), after=b"")
    assert (1, 0, 1) == (found.asked, found.changed, found.unknown)
    assert world.identifier.gate("alice")


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_each_has_their_turn_before_anybody_has_another(world, limit, monkeypatch):
    """From cursor to cursor every user is asked about once, then the round begins again."""
    monkeypatch.setattr("abonent.engine.reconciling._CHUNK", 3)
    for place, number in enumerate(numbers(8)):
        world.identify(f"user-{place}", number)
    hands, cursor, walks = Hands(), b"", 0
    while True:
        found = world.identifier.reconcile(M, hands, limit=limit, after=cursor)
        assert found.asked <= limit
        cursor, walks = found.cursor, walks + 1
        if cursor == b"":
            break
    first = [number for number, _ in hands.asked]
    assert sorted(numbers(8)) == sorted(first)
    world.identifier.reconcile(M, hands, limit=1, after=cursor)
    assert first[0] == hands.asked[-1][0]


def test_a_walk_without_a_cursor_begins_anywhere(world, monkeypatch):
    """So that a process that forgets where it was does not ask about the same users for ever."""
    for place, number in enumerate(numbers(8)):
        world.identify(f"user-{place}", number)
    begun = set()
    for byte in range(256):
        monkeypatch.setattr("os.urandom", lambda size, byte=byte: bytes([byte]) * size)
        hands = Hands()
        world.identifier.reconcile(M, hands, limit=1)
        begun |= {number for number, _ in hands.asked}
    assert set(numbers(8)) == begun


def test_a_walk_reads_so_many_records_and_no_more(world, monkeypatch):
    """However few of them are the operator's."""
    monkeypatch.setattr("abonent.engine.reconciling._CHUNK", 2)
    monkeypatch.setattr("abonent.engine.reconciling._MOST_READ", 4)
    for place, number in enumerate(numbers(8)):
        world.identify(f"user-{place}", number)
    found = world.identifier.reconcile(N, Hands(), after=b"")
    assert (0, None) == (found.asked, found.failed)
    assert b"" != found.cursor


@pytest.mark.parametrize(
    ("fault", "code", "alarms"),
    [
        (Unavailable("away"), "UNAVAILABLE", []),
        (Misconfigured("refused"), "MISCONFIGURED", [AlarmKind.MISCONFIGURED]),
        (ValueError("+79161234567"), "ADAPTER_FAULT", [AlarmKind.ADAPTER_FAULT]),
    ],
)
def test_an_operator_that_cannot_be_asked_ends_the_walk(world, fault, code, alarms):
    """It is not asked about everybody else as well; the next walk goes on behind (P26)."""
    for place, number in enumerate(numbers(3)):
        world.identify(f"user-{place}", number)
    hands = Hands(fault=fault)
    found = world.identifier.reconcile(M, hands, after=b"")
    assert (1, 0, code) == (found.asked, found.changed, found.failed)
    assert alarms == [each.kind for each in world.alarms]
    assert not [each for each in world.alarms if "9161234567" in repr(each)]
    hands.fault = None
    assert 2 == world.identifier.reconcile(M, hands, after=found.cursor).asked


@pytest.mark.parametrize("said", ["no", 1, 0, [], "true"])
def test_what_is_neither_yes_nor_no_is_a_fault_of_the_adapter(world, said):
    """Nothing is read into it (P21)."""
    world.identify("alice", N1)

    class Odd:
        def recycled(self, number, since):
            return said

    found = world.identifier.reconcile(M, Odd(), after=b"")
    assert "ADAPTER_FAULT" == found.failed
    assert world.identifier.gate("alice")


def test_a_record_that_is_damaged_holds_up_nobody(world, caplog):
    """It is named in the log, by its cause."""
    world.identify("alice", N1)
    world.identify("bob", N2)
    archive = world.identifier._engine.archive
    opened, damaged = archive.open, archive.user("alice").key

    def open_one(key, record):
        if key == damaged:
            from abonent.errors import RecordDamaged

            raise RecordDamaged("it does not open")
        return opened(key, record)

    archive.open = open_one
    assert 1 == world.identifier.reconcile(M, Hands(), after=b"").asked
    assert "abonent.reconcile_cannot_open cause=RECORD_DAMAGED" in caplog.text


def test_a_store_out_of_reach_is_not_the_operators_fault(world):
    """The caller hears of it, as of any call."""
    world.identify("alice", N1)
    storage = world.storage
    scan = storage.scan

    def away(*_):
        raise StoreUnavailable("away")

    storage.scan = away
    with pytest.raises(StoreUnavailable):
        world.identifier.reconcile(M, Hands(), after=b"")
    storage.scan = scan
    storage.commit = away
    with pytest.raises(StoreUnavailable):
        world.identifier.reconcile(M, Hands(changed={N1}), after=b"")
    del storage.commit


def test_wrong_calls_are_refused(world):
    """An operator that is not configured, and a walk that asks nobody."""
    with pytest.raises(UnknownOperator):
        world.identifier.reconcile("tele2", Hands())
    with pytest.raises(InvalidValue):
        world.identifier.reconcile(M, Hands(), limit=0)


def test_the_same_awaited():
    """The asyncio shell, with a check that is awaited."""

    class Awaited:
        async def recycled(self, number, since):
            return number == N1

    async def run():
        with World() as world:
            world.identify("alice", N1)
            world.flush()
            other = AsyncIdentifier(
                messenger=Messenger(id="m", kind=MessengerKind.FOREIGN),
                storage=world.storage,
                keys=KEYS,
                possession=world.identifier._calls._possession,
                agreements=[agreement(M)],
                gateways={M: SimulatedOperator(M)},
                router=SimulatedRouter(M),
                clock=world.clock,
                unsafe_test_doubles=True,
            )
            found = await other.reconcile(M, Awaited(), after=b"")
            standing = await other.standing("alice")
            return found.changed, standing.status

    assert (1, Status.REIDENTIFICATION_DUE) == asyncio.run(run())

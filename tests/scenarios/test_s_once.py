"""P13: what an operator sent once counts once, whoever sends it again, and how often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest

from abonent import AbonentError, Identifier, Ignored, LateAnswer, Notice, NoticeKind, Outcome
from abonent.core.events import LateAnswerIgnored, NoticeReceived
from abonent.core.numbers import SubscriberNumber
from abonent.errors import EventReused, InvalidValue, StoreUnavailable, UnknownOperator
from abonent.simulation import Reply
from tests.scenarios.conftest import Build
from tests.world import DAY, HOUR, KEY_2, MICROSECOND, MINUTE, SECOND, M, N, World, X, Y

TERMINATED, PORTED = NoticeKind.TERMINATED, NoticeKind.PORTED


def notice(
    name: str = "n-1",
    kind: NoticeKind = TERMINATED,
    number: str = X,
    operator: str = M,
    happened_at: datetime | None = None,
) -> Notice:
    return Notice(
        id=name,
        operator=operator,
        kind=kind,
        number=SubscriberNumber(number),
        happened_at=happened_at,
    )


def take(world: World, item: Notice | LateAnswer, event_id: str = "e-1") -> Any:
    return world.identifier.receive(item, event_id=event_id)


def test_a_message_again_changes_nothing(world: World):
    """P13: the same message is heard once, also when its user was forgotten and came back."""
    world.identify("alice")
    assert ("alice",) == take(world, notice()).users
    assert Ignored.REPEATED is take(world, notice()).ignored
    world.identifier.forget("alice")
    world.advance(MINUTE)
    world.identify("alice")

    again = take(world, notice())

    assert (Ignored.REPEATED, ()) == (again.ignored, again.users)
    assert world.gate("alice").open
    assert [] == world.happened("alice", NoticeReceived)


def test_without_an_id_a_forgotten_user_is_struck_again(world: World):
    """What the id is for: a notice that does not say when is fresh to whoever comes later."""
    world.identify("alice")
    world.identifier.receive(notice())
    world.identifier.forget("alice")
    world.advance(MINUTE)
    world.identify("alice")
    assert ("alice",) == world.identifier.receive(notice()).users


def test_a_message_about_nobody_is_remembered_too(world: World):
    """P22: it is taken like any other, and does not strike who comes later."""
    assert Ignored.STALE is take(world, notice()).ignored
    world.identify("alice")
    assert Ignored.REPEATED is take(world, notice()).ignored
    assert world.gate("alice").open


def test_another_message_under_the_same_id_is_refused(world: World):
    """Nothing is lost without a word: whoever reuses an id is told, and nothing changes."""
    world.identify("alice")
    world.identify("boris", Y)
    take(world, notice(kind=PORTED))
    for other in (
        notice(kind=TERMINATED),
        notice(kind=PORTED, number=Y),
        notice(kind=PORTED, happened_at=world.now),
        notice("n-2", kind=PORTED),
        LateAnswer(query_id="n-1", operator=M, outcome=Outcome.HELD),
    ):
        with pytest.raises(EventReused):
            take(world, other)
    assert world.gate("alice").open
    assert world.gate("boris").open
    assert Ignored.REPEATED is take(world, notice(kind=PORTED)).ignored


def test_ids_are_each_operators_own(world: World):
    """Two operators may count alike."""
    take(world, notice())
    assert Ignored.STALE is take(world, notice(operator=N)).ignored


def test_it_is_remembered_for_24_hours(world: World):
    """A microsecond short of 24 hours it is the same one; then it is dropped by the sweep."""
    before = world.rows()
    take(world, notice())
    assert 2 == world.rows() - before
    world.advance(DAY - MICROSECOND)
    world.sweep()
    assert Ignored.REPEATED is take(world, notice()).ignored
    world.advance(MICROSECOND)
    assert Ignored.STALE is take(world, notice()).ignored
    world.advance(DAY + SECOND)
    assert 0 == world.sweep().failed
    assert before == world.rows()


def test_it_is_remembered_under_a_key_that_was_current_before(world: World):
    """A rotation of our keys does not let a message count twice."""
    take(world, notice())
    world.restart(KEY_2)
    assert Ignored.REPEATED is take(world, notice()).ignored
    with pytest.raises(EventReused):
        take(world, notice(kind=PORTED))


def test_what_was_not_committed_was_not_taken(world: World):
    """While the store is out of reach nothing is remembered; the retry is heard."""
    world.identify("alice")
    world.link.cut = True
    with pytest.raises(StoreUnavailable):
        take(world, notice())
    world.link.cut = False
    assert ("alice",) == take(world, notice()).users
    assert not world.gate("alice").open


def test_what_was_refused_was_not_taken(world: World):
    """An operator that is not ours, or an id that is none, leaves nothing."""
    before = world.rows()
    with pytest.raises(UnknownOperator):
        take(world, notice(operator="tele2"))
    for name in ("", "x" * 257, "a\nb", "\ud800"):
        with pytest.raises(InvalidValue):
            take(world, notice(), name)
    with pytest.raises(InvalidValue):
        take(world, notice(""))
    assert before == world.rows()
    assert Ignored.STALE is take(world, notice(), "x" * 256).ignored


def test_one_unit_carries_message_and_consequence(world: World):
    """There is no moment in which one is committed and the other is not."""
    world.identify("alice")
    world.flush()
    world.link.units.clear()
    take(world, notice())
    (unit,) = [each for each in world.link.units if each.appends]
    assert 3 == len(unit.puts)


def test_two_processes_hear_it_once(world: World):
    """Whoever loses the put decides anew, and finds that it was taken."""
    world.identify("alice")
    other, _ = world.another()
    heard: list[Any] = []
    world.link.before_commit = lambda: heard.append(other.receive(notice(), event_id="e-1"))
    assert Ignored.REPEATED is take(world, notice()).ignored
    assert [("alice",)] == [each.users for each in heard]
    assert 1 == len(world.happened("alice", NoticeReceived))


def test_a_late_answer_again_changes_nothing(world: World):
    """An answer is taken once, whether it was asked for, came late, or nobody asked."""
    world.m.answer_with(Reply.LATER)
    world.identify("alice")
    asked = world.m.questions[-1].id
    held = LateAnswer(query_id=asked, operator=M, outcome=Outcome.HELD)
    assert ("alice",) == take(world, held).users
    assert Ignored.REPEATED is take(world, held).ignored
    assert [] == world.happened("alice", LateAnswerIgnored)
    stranger = LateAnswer(query_id="\ud800", operator=M, outcome=Outcome.HELD)
    assert Ignored.NOT_ASKED is take(world, stranger, "e-2").ignored
    before = len(world.journal())
    assert Ignored.REPEATED is take(world, stranger, "e-2").ignored
    assert before == len(world.journal())


def test_an_answer_after_its_time_is_taken_once(world: World):
    """What is late is journaled as late once."""
    world.m.answer_with(Reply.LATER)
    world.identify("alice")
    held = LateAnswer(query_id=world.m.questions[-1].id, operator=M, outcome=Outcome.HELD)
    world.advance(HOUR)
    assert Ignored.LATE is take(world, held).ignored
    assert Ignored.REPEATED is take(world, held).ignored
    assert 1 == len(world.happened("alice", LateAnswerIgnored))


def test_many_at_once_are_one(build: Build):
    """Sixteen threads with one message: one of them is heard."""
    world = build()
    if not isinstance(world.identifier.inner, Identifier):
        pytest.skip("one event loop has no threads")
    world.identify("alice")
    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(take, world, notice()) for _ in range(16)]
        results = [each.result() for each in futures]
    assert 1 == sum(each.users == ("alice",) for each in results)
    assert 15 == sum(each.ignored is Ignored.REPEATED for each in results)


def test_the_errors_name_nothing(world: World):
    """I9: neither the id nor the number is in the text."""
    take(world, notice("+79161234567"), "+79161234567")
    with pytest.raises(AbonentError) as refused:
        take(world, notice("+79161234567", PORTED), "+79161234567")
    assert "916" not in str(refused.value)

"""Crashes, several processes, and a store out of reach: S26, S27, S28 and S32."""

from __future__ import annotations

import pytest

from abonent import Gate, Reason, Status
from abonent.core.events import IdentificationNotPassed, Passed
from abonent.errors import GateClosed, StoreUnavailable
from abonent.simulation import Reply
from tests.world import MINUTE, SECOND, Crash, World, die

LEASE = 30 * SECOND


def test_s26_crash_before_the_code_was_sent(world: World):
    """S26: after a crash the sweep sends the same code under the same idempotency id."""
    world.sender.then = die
    with pytest.raises(Crash):
        world.claim("alice")
    assert [] == world.sender.messages
    world.restart()

    world.advance(LEASE)
    world.sweep()
    assert [] == world.sender.messages  # the lease may still be somebody's
    world.advance(SECOND)
    world.sweep()

    (message,) = world.sender.messages
    lost = world.sender.attempts[0]
    assert (lost.id, lost.code.digits) == (message.id, message.code.digits)
    assert Status.IDENTIFIED is world.identifier.prove("alice", message.code).status
    world.pass_time(MINUTE)
    assert 1 == len(world.sender.messages)


def test_s27_crash_before_the_answer_was_kept(world: World):
    """S27: after a crash the operator is asked again under the same id; one identification."""
    world.claim("alice")
    world.m.then = die
    with pytest.raises(Crash):
        world.prove("alice")
    assert 1 == len(world.m.questions)
    world.restart()
    assert Status.AWAITING_ANSWER is world.standing("alice").status
    assert not world.gate("alice")

    world.advance(LEASE + SECOND)
    world.sweep()

    assert Gate(True) == world.gate("alice")
    assert 2 == len(world.m.questions)
    assert 1 == len({query.id for query in world.m.questions})
    assert 1 == len(world.happened("alice", Passed))
    world.pass_time(MINUTE)
    assert (2, 1) == (len(world.m.questions), len(world.m.recorded))


def test_s27_the_commit_itself_is_lost(world: World):
    """S27: an answer whose commit is lost leaves nothing half-done, and the sweep asks again."""
    world.claim("alice")

    def cut() -> None:
        world.link.cut = True

    world.m.then = cut
    assert Status.AWAITING_ANSWER is world.prove("alice").status
    world.restart()
    assert not world.gate("alice")

    world.advance(LEASE + SECOND)
    world.sweep()

    assert 1 == len(world.happened("alice", Passed))
    assert [1, 2] == [len({query.id for query in world.m.questions}), len(world.m.questions)]
    assert Gate(True) == world.gate("alice")


def overdue(world: World) -> None:
    world.m.script(Reply.SILENCE)
    world.identify("alice")
    world.flush()
    world.advance(20 * MINUTE + SECOND)


def test_s28_two_processes_sweep_one_deadline(world: World):
    """S28: while one process settles a deadline, another finds nothing to do."""
    overdue(world)
    other, _ = world.another()
    reports = []

    def step_in() -> None:
        reports.append(other.sweep())

    world.link.before_commit = step_in
    reports.append(world.sweep())
    reports.append(other.sweep())

    assert [0, 1, 0] == [each.due for each in reports]
    assert 1 == len(world.happened("alice", IdentificationNotPassed))


def test_s28_the_other_was_faster(world: World):
    """S28: whose claim on a deadline ran out loses the commit, and decides that nothing is due."""
    overdue(world)
    other, _ = world.another()

    def step_in() -> None:
        world.advance(LEASE + SECOND)
        assert {"IdentificationNotPassed": 1} == other.sweep().events

    world.link.before_commit = step_in
    assert {} == world.sweep().events

    assert 1 == len(world.happened("alice", IdentificationNotPassed))
    assert Reason.NO_ANSWER is world.gate("alice").reason


def test_s32_the_store_is_out_of_reach(world: World):
    """S32: the gate is closed with a reason of its own; "cannot say" is not "not identified"."""
    world.identify("alice")
    world.claim("bob", "+79260000001")
    world.flush()
    world.link.cut = True

    for user in ("alice", "bob", "nobody"):
        assert Gate(False, None, Reason.CANNOT_SAY) == world.gate(user)
        with pytest.raises(StoreUnavailable):
            world.standing(user)
    with pytest.raises(GateClosed) as closed:
        world.identifier.require_open("alice")
    assert "cannot_say" == closed.value.reason

    world.link.cut = False
    assert Gate(True) == world.gate("alice")
    world.identifier.require_open("alice")
    assert Reason.NOT_IDENTIFIED is world.gate("nobody").reason


def test_s32_nothing_is_half_done(world: World):
    """S32: a call that cannot reach the store raises, and has sent and changed nothing."""
    world.link.cut = True

    with pytest.raises(StoreUnavailable):
        world.claim("alice")

    assert [] == world.sender.attempts
    world.link.cut = False
    assert Status.UNIDENTIFIED is world.standing("alice").status
    assert Status.IDENTIFIED is world.identify("alice").status

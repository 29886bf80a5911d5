"""Codes and failed proofs: S12–S15, S38 and S40."""

from __future__ import annotations

import pytest

from abonent import Action, Gate, MessengerKind, Reason, Status
from abonent.core.events import ProofFailed
from abonent.errors import CodeSpent, TooManyFailures, TooManySends
from abonent.simulation import Reply
from tests.scenarios.conftest import Build
from tests.world import DAY, KEY_2, MICROSECOND, MINUTE, SECOND, START, World, X, Y, Z


def tries_left(world: World, user: str = "alice") -> int | None:
    step = world.standing(user).may(Action.PROVE)
    return None if step is None else step.tries


def test_s12_five_wrong_codes(world: World):
    """S12: after five wrong codes the right one is refused, and the failures stay counted."""
    world.claim("alice")
    assert 5 == tries_left(world)
    standing = world.wrong("alice", 5)
    assert standing.may(Action.PROVE) is None
    resend = standing.may(Action.RESEND)
    assert resend is not None
    assert START + MINUTE == resend.since

    with pytest.raises(CodeSpent) as refused:
        world.prove("alice")
    assert START + MINUTE == refused.value.retry_at
    assert 5 == len(world.happened("alice", ProofFailed))

    world.advance(MINUTE - MICROSECOND)
    world.claim("alice")
    assert 1 == len(world.sender.messages)
    world.advance(MICROSECOND)
    world.claim("alice")
    assert 2 == len(world.sender.messages)
    ((_, failures),) = world.kept("alice").failures
    assert 5 == len(failures)
    assert 5 == tries_left(world)
    assert Status.IDENTIFIED is world.prove("alice").status


def test_s13_fifteen_failures(world: World):
    """S13: 15 failures end the claim; the next is refused for a day, but not another user's."""
    world.claim("alice")
    over = world.fail("alice", 15)
    assert (Status.NOT_PASSED, Reason.TOO_MANY_FAILURES) == (over.status, over.reason)
    again = over.may(Action.CLAIM)
    assert again is not None
    assert START + DAY == again.since

    with pytest.raises(TooManyFailures) as refused:
        world.claim("alice")
    assert START + DAY == refused.value.retry_at
    assert Status.IDENTIFIED is world.identify("bob").status

    world.clock.set(START + DAY - MICROSECOND)
    with pytest.raises(TooManyFailures):
        world.claim("alice")
    world.advance(MICROSECOND)
    world.claim("alice")
    assert 5 == tries_left(world)


def test_s13_another_number_is_not_affected(world: World):
    """S13: the budget is that of (user, number): the same user may claim another number."""
    world.claim("alice")
    world.fail("alice", 15)

    assert Status.IDENTIFIED is world.identify("alice", Y).status


def test_sends_to_a_number_are_counted_over_users(world: World):
    """Codes to one number are counted whoever claims it, for a day, and then forgotten (P20)."""
    for user in range(10):
        world.claim(f"user-{user}")
    assert 10 == len(world.sender.messages)

    with pytest.raises(TooManySends) as refused:
        world.claim("alice")

    assert START + DAY == refused.value.retry_at
    assert 10 == len(world.sender.messages)
    assert Status.UNIDENTIFIED is world.standing("alice").status
    world.claim("alice", Y)
    rows = world.rows()
    world.clock.set(START + DAY + SECOND)
    world.sweep()
    assert rows - 2 == world.rows()
    world.claim("alice")


def test_s14_the_last_instant_of_a_code(world: World):
    """S14: the right code passes at ten minutes sharp."""
    world.claim("alice")
    world.advance(10 * MINUTE)
    assert Status.IDENTIFIED is world.prove("alice").status


def test_s14_one_microsecond_later(world: World):
    """S14: one microsecond later a right code is refused exactly as a wrong one, and counted."""
    world.claim("alice", X)
    world.claim("bob", Y)
    world.advance(10 * MINUTE + MICROSECOND)

    right, wrong = world.prove("alice"), world.wrong("bob")

    assert (right.status, right.gate, right.reason, right.next) == (
        wrong.status,
        wrong.gate,
        wrong.reason,
        wrong.next,
    )
    assert Status.PROVING_POSSESSION is right.status
    assert world.events("alice") == world.events("bob")
    for user in ("alice", "bob"):
        ((_, failures),) = world.kept(user).failures
        assert 1 == len(failures)


@pytest.mark.parametrize("kind", MessengerKind)
def test_s15_the_same_code_again(build: Build, kind):
    """S15: the same right code again changes nothing and tells only one's own standing (P3)."""
    world = build(kind=kind)
    standing = world.identify("alice")
    before = world.events("alice"), world.kept("alice")

    assert standing == world.prove("alice")
    assert standing == world.wrong("alice")

    assert before == (world.events("alice"), world.kept("alice"))
    assert 1 == len(world.m.questions) + (kind is MessengerKind.DOMESTIC)


def test_s38_failures_survive_a_change_of_number(world: World):
    """S38: 14 failures on Y leave one try on Y, however often Z is claimed in between."""
    world.claim("alice", Y)
    world.fail("alice", 14)
    world.advance(MINUTE)
    world.claim("alice", Z)
    world.wrong("alice")
    assert 4 == tries_left(world)

    standing = world.claim("alice", Y)

    prove = standing.may(Action.PROVE)
    assert prove is not None
    assert 1 == prove.tries
    over = world.wrong("alice")
    assert Reason.TOO_MANY_FAILURES is over.reason


def test_s38_the_last_try_still_passes(world: World):
    """S38: the one try that is left is a real one."""
    world.claim("alice", Y)
    world.fail("alice", 14)
    world.advance(MINUTE)
    world.claim("alice", Y)
    assert 1 == tries_left(world)

    assert Status.IDENTIFIED is world.prove("alice").status


def test_s40_a_code_outlives_a_rotation(world: World):
    """S40: a code issued under key 1 passes after key 2 has become the current one."""
    world.claim("alice")
    world.restart(KEY_2)
    assert "k1" == world.kept("alice").state.code.key_id

    assert Status.IDENTIFIED is world.prove("alice").status

    assert Gate(True) == world.gate("alice")
    world.claim("bob", Y)
    assert "k2" == world.kept("bob").state.code.key_id


def test_s40_a_code_that_was_not_sent_yet(world: World):
    """S40: a code that is still to be sent after a rotation is the same code, and passes."""
    world.sender.fail(Reply.UNAVAILABLE)
    world.claim("alice")
    world.flush()
    world.restart(KEY_2)
    world.pass_time(MINUTE)

    first, second = world.sender.attempts
    assert (first.id, first.code.digits) == (second.id, second.code.digits)
    assert Status.IDENTIFIED is world.prove("alice").status


def test_s40_failures_outlive_a_rotation(world: World):
    """S40: the failures counted under key 1 count under key 2, and the number has one holder."""
    world.claim("alice")
    world.fail("alice", 14)
    world.identify("bob", Y)
    world.restart(KEY_2)
    world.advance(MINUTE)
    world.claim("alice", Z)

    assert 1 == world.claim("alice").may(Action.PROVE).tries
    world.identify("carol", Y)
    assert Reason.DISPLACED is world.gate("bob").reason

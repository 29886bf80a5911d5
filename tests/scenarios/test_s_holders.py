"""Who holds a number, and who keeps what while trying another: S22, S23 and S35."""

from __future__ import annotations

import pytest

from abonent import Gate, MessengerKind, NoticeKind, Reason, Status
from abonent.core.events import Displaced, IdentificationNotPassed, Passed
from abonent.engine.archive import is_sends_key
from abonent.simulation import Reply
from tests.scenarios.conftest import Build
from tests.world import DAY, HOUR, MINUTE, SECOND, World, X, Y

DISPLACED = Gate(False, None, Reason.DISPLACED)


@pytest.mark.parametrize("kind", MessengerKind)
def test_s22_a_reassigned_number(build: Build, kind):
    """S22: who proves a reassigned number displaces its former holder, in one atomic commit."""
    world = build(kind=kind)
    old = world.identify("alice")
    world.advance(DAY)

    new = world.identify("bob")

    assert Status.IDENTIFIED is new.status
    assert Gate(True) == world.gate("bob")
    assert DISPLACED == world.gate("alice")
    standing = world.standing("alice")
    assert (Status.NOT_PASSED, Reason.DISPLACED) == (standing.status, standing.reason)
    together = [
        unit
        for unit in world.link.units
        if len([put for put in unit.puts if not is_sends_key(put.key)]) > 1
    ]
    assert 1 == len(together)
    (displaced,), (passed,) = world.happened("alice", Displaced), world.happened("bob", Passed)
    assert passed.at == displaced.at
    told_bob = repr((new, world.standing("bob"), world.identifier.history("bob")))
    told_alice = repr((standing, world.identifier.history("alice")))
    assert "alice" not in told_bob
    assert str(old.identification_code) not in told_bob
    assert "bob" not in told_alice
    assert str(new.identification_code) not in told_alice
    world.pass_time(MINUTE)
    if kind is MessengerKind.FOREIGN:
        assert [old.identification_code] == [each.code for each in world.m.withdrawals]


def test_s22_both_or_neither(world: World):
    """S22: if the store fails at that commit, A still holds the number and B still waits."""
    world.identify("alice")
    world.claim("bob")
    code = world.right("bob")

    def cut() -> None:
        world.link.cut = True

    world.m.then = cut
    try:
        world.prove("bob", code)
    finally:
        world.link.cut = False

    assert Gate(True) == world.gate("alice")
    assert Status.AWAITING_ANSWER is world.standing("bob").status
    world.pass_time(MINUTE)
    assert (DISPLACED, Gate(True)) == (world.gate("alice"), world.gate("bob"))
    assert 1 == len(world.happened("bob", Passed))


def test_s22_displaced_while_trying_another(world: World):
    """S22: a holder who is proving another number loses this one and goes on proving (I3)."""
    world.identify("alice", X)
    world.claim("alice", Y)
    code = world.right("alice")
    world.advance(MINUTE)

    world.identify("bob", X)

    assert not world.gate("alice")
    assert Status.PROVING_POSSESSION is world.standing("alice").status
    assert Status.IDENTIFIED is world.prove("alice", code).status


def fail_by_guessing(world: World) -> None:
    world.claim("alice", Y)
    assert Gate(True) == world.fail("alice", 15).gate


def fail_by_waiting(world: World) -> None:
    world.claim("alice", Y)
    world.pass_time(DAY + SECOND, HOUR)


def fail_by_answer(reply: Reply):
    def fail(world: World) -> None:
        world.m.script(reply)
        world.identify("alice", Y)
        world.pass_time(HOUR, MINUTE)

    return fail


FAILURES = {
    "guesses": (fail_by_guessing, Reason.TOO_MANY_FAILURES),
    "expiry": (fail_by_waiting, Reason.CLAIM_EXPIRED),
    "not-held": (fail_by_answer(Reply.NOT_HELD), Reason.NOT_HELD),
    "undetermined": (fail_by_answer(Reply.UNDETERMINED), Reason.UNDETERMINED),
    "silence": (fail_by_answer(Reply.SILENCE), Reason.NO_ANSWER),
}


@pytest.mark.parametrize("how", FAILURES)
def test_s23_a_change_of_number_that_fails(world: World, how):
    """S23: whoever fails to prove another number stays identified by the old one throughout."""
    fail, reason = FAILURES[how]
    before = world.identify("alice", X)

    fail(world)

    (over,) = world.happened("alice", IdentificationNotPassed)
    assert reason is over.reason
    standing = world.standing("alice")
    assert (Status.IDENTIFIED, before.identification_code, Gate(True)) == (
        standing.status,
        standing.identification_code,
        standing.gate,
    )
    assert [True] == world.changes("alice")
    assert [] == world.m.withdrawals


@pytest.mark.parametrize("reply", [Reply.NOT_HELD, Reply.UNDETERMINED])
def test_s23_unless_it_is_the_same_number(world: World, reply):
    """S23: "not held" or "cannot tell" about the very number ends what stood behind as well."""
    old = world.identify("alice", X)
    world.notice(NoticeKind.PORTED, X)
    world.m.script(reply)

    standing = world.identify("alice", X)

    assert Status.NOT_PASSED is standing.status
    assert not world.gate("alice")
    world.pass_time(MINUTE)
    assert [old.identification_code] == [each.code for each in world.m.withdrawals]


def test_s23_silence_about_the_same_number_ends_nothing(world: World):
    """S23: no answer about the very number falls back to what stood behind, until it is due."""
    world.identify("alice", X)
    world.advance(HOUR)
    world.notice(NoticeKind.PORTED, X)
    due = world.now + 20 * MINUTE
    world.claim("alice", X)
    world.fail("alice", 15)

    assert Status.REIDENTIFICATION_DUE is world.standing("alice").status
    assert Gate(True, due, Reason.REIDENTIFICATION_DUE) == world.gate("alice")


def both_prove(world: World) -> None:
    """B proves possession, and A five seconds later; the operator answers both later."""
    world.answering(Reply.LATER)
    world.claim("bob", X)
    bobs = world.right("bob")
    world.claim("alice", X)
    world.prove("bob", bobs)
    world.advance(5 * SECOND)
    world.prove("alice")


def test_s35_the_later_prover_wins(world: World):
    """S35: A proved later and is answered first: A stays identified, B ends displaced."""
    both_prove(world)
    of_bob, of_alice = world.m.questions

    world.answer(to=of_alice)
    assert Gate(True) == world.gate("alice")
    world.answer(to=of_bob)

    assert Gate(True) == world.gate("alice")
    standing = world.standing("bob")
    assert (Status.NOT_PASSED, Reason.DISPLACED) == (standing.status, standing.reason)
    assert DISPLACED == world.gate("bob")
    assert [] == world.happened("bob", Passed)


def test_s35_whatever_order_the_answers_come_in(world: World):
    """S35: answered the other way round, A displaces B: the later prover is not locked out."""
    both_prove(world)
    of_bob, of_alice = world.m.questions

    world.answer(to=of_bob)
    assert Gate(True) == world.gate("bob")
    world.answer(to=of_alice)

    assert (Gate(True), DISPLACED) == (world.gate("alice"), world.gate("bob"))
    assert 1 == len(world.happened("bob", Displaced))

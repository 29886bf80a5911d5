"""From a claim to an operator's answer: S1–S11 and S42."""

from __future__ import annotations

from datetime import datetime

import pytest

from abonent import (
    Action,
    Alarm,
    AlarmKind,
    Basis,
    Gate,
    Ignored,
    MessengerKind,
    Outcome,
    Policy,
    Reason,
    Status,
)
from abonent.core.events import AnswerReceived, IdentificationNotPassed, LateAnswerIgnored, Passed
from abonent.errors import NoAgreement
from abonent.simulation import Reply
from tests.scenarios.conftest import Build
from tests.world import (
    COVERED,
    HOUR,
    MICROSECOND,
    MINUTE,
    SECOND,
    START,
    M,
    N,
    World,
    X,
    agreement,
)

TWENTY = 20 * MINUTE
OPEN = Gate(True, None, None)


def silent(world: World, user: str = "alice") -> datetime:
    """A user proves possession and the operator says nothing; returns when it was asked."""
    world.m.script(Reply.SILENCE)
    asked_at = world.now
    assert Status.AWAITING_ANSWER is world.identify(user).status
    return asked_at


def test_s01_own_determination(build: Build):
    """S1: a domestic messenger determines the number by itself and asks no operator."""
    world = build(kind=MessengerKind.DOMESTIC)
    claimed = world.claim("alice")
    assert Status.PROVING_POSSESSION is claimed.status
    assert Gate(False, None, Reason.NOT_IDENTIFIED) == world.gate("alice")

    standing = world.prove("alice")

    assert (Status.IDENTIFIED, Basis.OWN_DETERMINATION) == (standing.status, standing.basis)
    assert OPEN == standing.gate == world.gate("alice")
    assert [] == world.m.questions + world.n.questions + world.m.records
    (passed,) = world.happened("alice", Passed)
    assert (None, None, None, "1801") == (
        passed.operator,
        passed.agreement,
        passed.asked_at,
        passed.rules,
    )


def test_s02_domestic_that_asks_too(build: Build):
    """S2: a domestic messenger whose policy asks the operator too names it in what passed."""
    world = build(kind=MessengerKind.DOMESTIC, policy=Policy(ask_operator_too=True), agreements=())

    standing = world.identify("alice")

    assert (Status.IDENTIFIED, Basis.OPERATOR_ANSWER) == (standing.status, standing.basis)
    (passed,) = world.happened("alice", Passed)
    assert (M, None) == (passed.operator, passed.agreement)
    assert 1 == len(world.m.questions)
    assert OPEN == world.gate("alice")


def test_s03_foreign_and_covered(world: World):
    """S3: held after 3 s identifies, and the operator's record is retried until acknowledged."""
    world.m.takes.append(3 * SECOND)
    world.m.fail_records(Reply.UNAVAILABLE, Reply.UNAVAILABLE)

    standing = world.identify("alice")

    assert Status.IDENTIFIED is standing.status
    assert OPEN == world.gate("alice")
    (passed,) = world.happened("alice", Passed)
    assert (START, START + 3 * SECOND, M, "with-mts") == (
        passed.asked_at,
        passed.at,
        passed.operator,
        passed.agreement,
    )
    assert {} == world.m.recorded
    world.pass_time(HOUR, MINUTE)
    assert 3 == len(world.m.records)
    assert 1 == len({entry.id for entry in world.m.records})
    (entry,) = world.m.recorded.values()
    assert ("m", X, standing.identification_code) == (
        entry.messenger,
        entry.number.e164,
        entry.code,
    )
    assert 1 == world.events("alice").count("CodeRecorded")
    assert () == world.kept("alice").debts


def test_s04_no_agreement(build: Build):
    """S4: without an agreement with the serving operator a claim is refused, and nothing sent."""
    world = build(agreements=[agreement(N)])

    with pytest.raises(NoAgreement) as refused:
        world.claim("alice")

    assert "NO_AGREEMENT" == refused.value.reason
    assert [] == world.sender.attempts + world.m.questions + world.n.questions
    assert Status.UNIDENTIFIED is world.standing("alice").status
    assert 0 == world.rows()


def test_s05_agreement_ends_before_the_proof(build: Build):
    """S5: an agreement that ends between claim and proof: not passed, and nobody is asked."""
    world = build(agreements=[agreement(M, ends=START + 5 * MINUTE)])
    world.claim("alice")
    world.advance(5 * MINUTE)

    standing = world.prove("alice")

    assert (Status.NOT_PASSED, Reason.NO_AGREEMENT) == (standing.status, standing.reason)
    assert [] == world.m.questions
    assert Gate(False, None, Reason.NO_AGREEMENT) == world.gate("alice")


@pytest.mark.parametrize("late_by", [0 * MICROSECOND, MICROSECOND], ids=["in-time", "late"])
def test_s06_the_last_microsecond(world: World, late_by):
    """S6: held at 20:00.000000 identifies; one microsecond later it is ignored by name."""
    world.m.takes.append(TWENTY + late_by)

    standing = world.identify("alice")

    if late_by:
        assert (Status.NOT_PASSED, Reason.NO_ANSWER) == (standing.status, standing.reason)
        assert not world.gate("alice")
        (ignored,) = world.happened("alice", LateAnswerIgnored)
        assert (Ignored.LATE, Outcome.HELD) == (ignored.why, ignored.outcome)
        assert START + TWENTY == world.happened("alice", IdentificationNotPassed)[0].due
        assert [] == world.happened("alice", Passed) + world.m.records
    else:
        assert Status.IDENTIFIED is standing.status
        assert world.gate("alice")


@pytest.mark.parametrize("late_by", [0 * MICROSECOND, MICROSECOND], ids=["in-time", "late"])
def test_s06_an_answer_that_comes_by_itself(world: World, late_by):
    """S6: what counts is when we received it, also for an answer that comes by itself."""
    asked_at = silent(world)
    world.advance(TWENTY + late_by)

    received = world.answer(received_at=asked_at + TWENTY + late_by)

    assert (Ignored.LATE if late_by else None) is received.ignored
    assert bool(late_by) is not world.gate("alice").open
    world.pass_time(HOUR, MINUTE)
    assert bool(late_by) is not world.gate("alice").open


def test_s07_silence_settled_on_time(world: World):
    """S7: after 20 minutes of silence the sweep settles: not passed, with the due instant."""
    asked_at = silent(world)
    world.advance(TWENTY)
    world.sweep()
    assert Status.AWAITING_ANSWER is world.standing("alice").status
    assert not world.gate("alice")

    world.advance(SECOND)
    world.sweep()

    standing = world.standing("alice")
    assert (Status.NOT_PASSED, Reason.NO_ANSWER) == (standing.status, standing.reason)
    (over,) = world.happened("alice", IdentificationNotPassed)
    assert (asked_at + TWENTY, asked_at + TWENTY + SECOND) == (over.due, over.at)
    assert not any(world.changes("alice")), "her gate never opened"


def test_s07_silence_settled_late(world: World):
    """S7: a sweep that comes after 3 hours records the same due instant; the gate never opened."""
    asked_at = silent(world)
    for _ in range(12):
        assert not world.gate("alice")
        world.advance(15 * MINUTE)

    world.sweep()

    (over,) = world.happened("alice", IdentificationNotPassed)
    assert (Reason.NO_ANSWER, asked_at + TWENTY, asked_at + 3 * HOUR) == (
        over.reason,
        over.due,
        over.at,
    )
    assert Gate(False, None, Reason.NO_ANSWER) == world.gate("alice")
    assert True not in world.changes("alice")


def test_s08_not_ours_and_then_held(world: World):
    """S8: "not ours" asks the operator that the router names then, with 20 minutes of its own."""
    world.claim("alice")
    world.router.port(X, N)
    world.m.takes.append(15 * MINUTE)
    world.m.script(Reply.NOT_OURS)
    world.n.script(Reply.LATER)

    waiting = world.prove("alice")

    wait = waiting.may(Action.WAIT)
    assert wait is not None
    assert START + 15 * MINUTE + TWENTY == wait.until
    first, second = world.m.questions[0], world.n.questions[0]
    assert first.id != second.id
    assert START + 15 * MINUTE == second.asked_at
    world.advance(TWENTY)
    assert ("alice",) == world.answer(to=second, operator=N).users
    (passed,) = world.happened("alice", Passed)
    assert (N, "with-beeline", START) == (passed.operator, passed.agreement, passed.proven_at)
    assert world.gate("alice")


def test_s08_not_ours_twice(world: World):
    """S8: a second "not ours" is "not held": the router is asked once, not for ever."""
    world.claim("alice")
    world.router.port(X, N)
    world.m.script(Reply.NOT_OURS)

    def back_again():
        world.router.port(X, M)

    world.n.script(Reply.NOT_OURS)
    world.n.then = back_again

    standing = world.prove("alice")

    assert (Status.NOT_PASSED, Reason.NOT_HELD) == (standing.status, standing.reason)
    assert (1, 1) == (len(world.m.questions), len(world.n.questions))
    assert not world.gate("alice")


def test_s08_not_ours_and_the_router_insists(world: World):
    """S8: "not ours" from the very operator that the router still names is "not held"."""
    world.m.script(Reply.NOT_OURS)

    standing = world.identify("alice")

    assert Reason.NOT_HELD is standing.reason
    assert 1 == len(world.m.questions)


def test_s08_not_ours_by_itself(world: World):
    """S8: "not ours" that comes by itself sends the question on just the same."""
    silent(world)
    world.router.port(X, N)
    world.advance(MINUTE)

    world.answer(Outcome.NOT_OURS)

    assert START + MINUTE == world.n.questions[0].asked_at
    assert Status.IDENTIFIED is world.standing("alice").status


def test_s08_not_ours_and_the_next_is_not_covered(build: Build):
    """S8: the operator named second is asked only under an agreement with it (I5)."""
    world = build(agreements=[agreement(M)])
    world.claim("alice")
    world.router.port(X, N)
    world.m.script(Reply.NOT_OURS)

    standing = world.prove("alice")

    assert Reason.NO_AGREEMENT is standing.reason
    assert [] == world.n.questions


def test_s09_undetermined(world: World):
    """S9: an operator that cannot tell leaves the user not passed, for good."""
    world.m.script(Reply.UNDETERMINED)

    standing = world.identify("alice")

    assert (Status.NOT_PASSED, Reason.UNDETERMINED) == (standing.status, standing.reason)
    world.pass_time(HOUR, MINUTE)
    assert 1 == len(world.m.questions)
    assert Gate(False, None, Reason.UNDETERMINED) == world.gate("alice")


def test_s10_unavailable_four_times(world: World):
    """S10: unavailable four times, then held: identified, under one idempotency id."""
    world.m.script(*[Reply.UNAVAILABLE] * 4)
    assert Status.AWAITING_ANSWER is world.identify("alice").status

    world.pass_time(2 * MINUTE)

    assert Status.IDENTIFIED is world.standing("alice").status
    assert 5 == len(world.m.questions)
    assert 1 == len({query.id for query in world.m.questions})
    assert 1 == len({query.due for query in world.m.questions})
    assert 4 == world.events("alice").count("AttemptFailed")
    assert [] == world.alarms


def test_s11_misconfigured(world: World):
    """S11: refused credentials raise an alarm each time and end as no answer, never not held."""
    world.m.answer_with(Reply.MISCONFIGURED)
    world.identify("alice")
    assert [Alarm(kind=AlarmKind.MISCONFIGURED, adapter=M, cause="MISCONFIGURED")] == world.alarms

    world.pass_time(TWENTY + SECOND, SECOND)

    assert len(world.m.questions) == len(world.alarms) > 4
    standing = world.standing("alice")
    assert (Status.NOT_PASSED, Reason.NO_ANSWER) == (standing.status, standing.reason)
    assert [] == world.happened("alice", AnswerReceived)
    assert not world.gate("alice")


def test_s11_misconfigured_and_mended(world: World):
    """S11: credentials mended inside the 20 minutes let the answer come."""
    world.m.script(Reply.MISCONFIGURED)
    world.identify("alice")

    world.pass_time(MINUTE)

    assert world.gate("alice")


def test_s42_an_answer_in_time_is_not_overtaken(world: World):
    """S42: a sweep in the same second does not overtake an answer that arrived in time."""
    asked_at = silent(world)
    world.advance(TWENTY + SECOND / 2)
    world.sweep()

    received = world.answer(received_at=asked_at + TWENTY - MICROSECOND)

    assert ("alice",) == received.users
    assert Status.IDENTIFIED is world.standing("alice").status
    (passed,) = world.happened("alice", Passed)
    assert asked_at + TWENTY - MICROSECOND == passed.at
    assert world.gate("alice")


def test_every_operator_of_the_world_is_covered():
    """The default world says "foreign, covered" and means both operators."""
    assert {M, N} == {each.operator for each in COVERED}

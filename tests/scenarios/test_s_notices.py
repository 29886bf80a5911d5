"""An operator's notices, and what has to be done anew: S16–S21, S24, S36, S37, S39 and S43."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from abonent import Action, Gate, Ignored, MessengerKind, NoticeKind, Reason, Status
from abonent.core.events import (
    IdentificationNotPassed,
    Lapsed,
    LateAnswerIgnored,
    Passed,
    ReidentificationRequired,
    StaleNoticeIgnored,
)
from abonent.core.rules import MOSCOW
from abonent.errors import NoAgreement, NoRulesInForce
from abonent.simulation import Reply
from tests.scenarios.conftest import Build
from tests.world import (
    HOUR,
    MICROSECOND,
    MINUTE,
    SECOND,
    START,
    M,
    N,
    World,
    X,
    Y,
    agreement,
)

TWENTY = 20 * MINUTE
TERMINATED, PORTED = NoticeKind.TERMINATED, NoticeKind.PORTED
CLOSED = Gate(False, None, Reason.REIDENTIFICATION_DUE)


@pytest.mark.parametrize("kind", [each for each in NoticeKind if each is not PORTED])
def test_s16_the_subscription_ends(world: World, kind):
    """S16: the gate closes at once, and 20 minutes later the user is not identified any more."""
    world.identify("alice")
    world.advance(HOUR)

    assert ("alice",) == world.notice(kind).users

    assert CLOSED == world.gate("alice")
    standing = world.standing("alice")
    assert Status.REIDENTIFICATION_DUE is standing.status
    step = standing.may(Action.CLAIM)
    assert step is not None
    assert START + HOUR + TWENTY == step.until
    world.pass_time(TWENTY + SECOND, MINUTE)
    standing = world.standing("alice")
    assert (Status.NOT_PASSED, Reason.NOT_IDENTIFIED_ANEW) == (standing.status, standing.reason)
    (lapsed,) = world.happened("alice", Lapsed)
    assert START + HOUR + TWENTY == lapsed.due
    assert 1 == len(world.sender.attempts)
    assert [True, False, False] == world.changes("alice")
    assert 1 == len(world.m.withdrawals)


def test_s17_ported_and_identified_anew(world: World):
    """S17: ported, and identified at the new operator in time: the gate never closes."""
    world.m.fail_records(*[Reply.UNAVAILABLE] * 4)
    old = world.identify("alice")
    world.n.fail_records(Reply.UNAVAILABLE)
    world.pass_time(10 * SECOND)
    assert 2 == len(world.m.records)

    world.notice(PORTED)
    world.router.port(X, N)
    world.advance(10 * MINUTE)
    new = world.identify("alice")
    tried = len(world.m.records)
    assert {} == world.m.recorded

    assert Status.IDENTIFIED is new.status
    assert old.identification_code != new.identification_code
    assert N == world.happened("alice", Passed)[-1].operator
    assert Gate(True) == world.gate("alice")
    world.pass_time(HOUR, MINUTE)
    # The old record may have arrived without our hearing of it: it is withdrawn, never made again.
    assert tried == len(world.m.records)
    assert [old.identification_code] * 2 == [each.code for each in world.m.withdrawals]
    assert 1 == len({each.id for each in world.m.withdrawals})
    assert [new.identification_code] * 2 == [each.code for each in world.n.records]
    assert 1 == len({each.id for each in world.n.records})
    assert () == world.kept("alice").debts
    assert False not in world.changes("alice")


def test_s18_ported_to_who_is_not_covered(build: Build):
    """S18: ported to an operator without an agreement: the gate is open until due, then closed."""
    world = build(agreements=[agreement(M)])
    world.identify("alice")
    world.notice(PORTED)
    world.router.port(X, N)
    with pytest.raises(NoAgreement):
        world.claim("alice")

    due = START + TWENTY
    assert Gate(True, due, Reason.REIDENTIFICATION_DUE) == world.gate("alice")
    world.clock.set(due)
    world.sweep()
    assert Gate(True, due, Reason.REIDENTIFICATION_DUE) == world.gate("alice")
    world.advance(MICROSECOND)
    assert CLOSED == world.gate("alice")  # before any sweep
    world.pass_time(SECOND)
    assert Gate(False, None, Reason.NOT_IDENTIFIED_ANEW) == world.gate("alice")
    assert [] == world.n.questions


@pytest.mark.parametrize("age", [HOUR, MICROSECOND])
def test_s19_a_stale_notice(world: World, age):
    """S19: a notice about something before the identification is journaled and does nothing."""
    world.identify("alice")
    before = world.standing("alice")
    world.advance(MINUTE)

    received = world.notice(TERMINATED, happened_at=START - age)

    assert (Ignored.STALE, ()) == (received.ignored, received.users)
    (stale,) = world.happened("alice", StaleNoticeIgnored)
    assert (Ignored.STALE, START - age) == (stale.why, stale.happened_at)
    world.clock.set(START)
    assert before == world.standing("alice")


def test_s19_of_the_same_instant(world: World):
    """S19: a notice about the very instant of the asking is fresh."""
    world.identify("alice")

    world.notice(TERMINATED, happened_at=START)

    assert CLOSED == world.gate("alice")


def test_s19_by_own_determination(build: Build):
    """S19: where nobody was asked, a notice is stale if older than the proof (I4)."""
    world = build(kind=MessengerKind.DOMESTIC)
    world.identify("alice")

    assert Ignored.STALE is world.notice(TERMINATED, happened_at=START - MICROSECOND).ignored
    assert Ignored.OTHER_OPERATOR is world.notice(TERMINATED, operator=N).ignored
    assert world.gate("alice")
    assert ("alice",) == world.notice(TERMINATED, happened_at=START).users
    assert CLOSED == world.gate("alice")


def test_s20_the_same_notice_three_times(world: World):
    """S20: the same notice three times is one re-identification, due at its first instant."""
    world.identify("alice")
    world.notice(TERMINATED, name="n-1")
    for _ in range(2):
        world.advance(MINUTE)
        assert Ignored.REPEATED is world.notice(TERMINATED, name="n-1").ignored

    (required,) = world.happened("alice", ReidentificationRequired)
    assert START + TWENTY == required.due
    step = world.standing("alice").may(Action.CLAIM)
    assert step is not None
    assert START + TWENTY == step.until


def test_s20_even_after_identifying_anew(world: World):
    """S20: a notice that is delivered again later does not touch what was identified anew."""
    world.identify("alice")
    world.notice(PORTED, name="n-1")
    world.identify("alice")

    assert Ignored.REPEATED is world.notice(PORTED, name="n-1").ignored

    assert Gate(True) == world.gate("alice")


def awaiting(world: World) -> None:
    world.m.script(Reply.LATER)
    assert Status.AWAITING_ANSWER is world.identify("alice").status
    world.advance(MINUTE)


def test_s21_the_notice_comes_first(world: World):
    """S21: a notice about something after the asking ends the attempt; the answer is ignored."""
    awaiting(world)

    assert ("alice",) == world.notice(TERMINATED, happened_at=START + SECOND).users

    standing = world.standing("alice")
    assert (Status.NOT_PASSED, Reason.SUBSCRIPTION_ENDED) == (standing.status, standing.reason)
    assert Ignored.LATE is world.answer().ignored
    assert [] == world.happened("alice", Passed)
    assert 1 == len(world.happened("alice", LateAnswerIgnored))
    assert Gate(False, None, Reason.SUBSCRIPTION_ENDED) == world.gate("alice")


def test_s21_the_answer_comes_first(world: World):
    """S21: held first identifies, and the notice makes it due anew with the gate closed."""
    awaiting(world)

    world.answer()
    world.notice(TERMINATED, happened_at=START + SECOND)

    assert 1 == len(world.happened("alice", Passed))
    assert Status.REIDENTIFICATION_DUE is world.standing("alice").status
    assert CLOSED == world.gate("alice")
    assert [True, False] == world.changes("alice")


def test_s21_only_the_operator_asked_may_end_it(world: World):
    """S21: a notice of another operator, or of an earlier happening, leaves the question open."""
    awaiting(world)

    assert Ignored.OTHER_OPERATOR is world.notice(TERMINATED, operator=N).ignored
    assert Ignored.STALE is world.notice(TERMINATED, happened_at=START - MICROSECOND).ignored

    assert ("alice",) == world.answer().users
    assert world.gate("alice")


def test_s24_a_notice_about_what_stands_behind(world: World):
    """S24: while Y is being proven, X ends: the gate closes, the claim goes on and ends it."""
    old = world.identify("alice", X)
    world.claim("alice", Y)
    assert Gate(True) == world.gate("alice")
    world.advance(MINUTE)

    assert ("alice",) == world.notice(TERMINATED, X).users

    assert CLOSED == world.gate("alice")
    assert Status.PROVING_POSSESSION is world.standing("alice").status
    new = world.prove("alice")
    assert Status.IDENTIFIED is new.status
    assert Gate(True) == world.gate("alice")
    world.pass_time(HOUR, MINUTE)
    assert Gate(True) == world.gate("alice")
    assert [old.identification_code] == [each.code for each in world.m.withdrawals]
    assert [True, False, True] == world.changes("alice")


def test_s24_and_the_claim_comes_too_late(world: World):
    """S24: what stood behind lapses at its own due instant, and the claim still goes on."""
    world.identify("alice", X)
    world.claim("alice", Y)
    world.notice(TERMINATED, X)
    world.pass_time(TWENTY + SECOND, MINUTE)
    assert 1 == len(world.happened("alice", Lapsed))
    assert Gate(False, None, Reason.NOT_IDENTIFIED) == world.gate("alice")

    world.claim("alice", Y)
    assert Status.IDENTIFIED is world.prove("alice").status


def test_s36_the_old_operator_has_no_say(world: World):
    """S36: M reports the end of its contract after the user was identified anew at N: ignored."""
    world.identify("alice")
    world.notice(PORTED)
    world.router.port(X, N)
    world.identify("alice")
    world.advance(HOUR)

    received = world.notice(TERMINATED, operator=M, happened_at=START + HOUR)

    assert Ignored.OTHER_OPERATOR is received.ignored
    assert Ignored.OTHER_OPERATOR is world.happened("alice", StaleNoticeIgnored)[-1].why
    assert Gate(True) == world.gate("alice")
    assert ("alice",) == world.notice(TERMINATED, operator=N).users


def test_s37_a_graver_notice(world: World):
    """S37: ported, then terminated: the gate closes at once, the earlier due instant stays."""
    world.identify("alice")
    world.notice(PORTED)
    assert Gate(True, START + TWENTY, Reason.REIDENTIFICATION_DUE) == world.gate("alice")
    world.advance(5 * MINUTE)

    assert ("alice",) == world.notice(TERMINATED).users

    assert CLOSED == world.gate("alice")
    assert [START + TWENTY] * 2 == [
        each.due for each in world.happened("alice", ReidentificationRequired)
    ]
    world.clock.set(START + TWENTY + SECOND)
    world.sweep()
    assert Reason.NOT_IDENTIFIED_ANEW is world.standing("alice").reason


def test_s37_a_lighter_notice_reopens_nothing(world: World):
    """S37: terminated, then ported: nothing reopens and nothing is put off."""
    world.identify("alice")
    world.notice(TERMINATED)
    world.advance(5 * MINUTE)

    assert Ignored.ALREADY_DUE is world.notice(PORTED).ignored

    assert CLOSED == world.gate("alice")
    assert 1 == len(world.happened("alice", ReidentificationRequired))


def test_s39_after_the_rules_ran_out(build: Build):
    """S39: with no rules in force a notice counts under those of the basis; a claim is refused."""
    world = build(start=datetime(2028, 2, 20, tzinfo=UTC))
    world.identify("alice")
    notified = datetime(2028, 3, 2, tzinfo=MOSCOW)
    world.clock.set(notified.astimezone(UTC))

    assert ("alice",) == world.notice(TERMINATED).users

    (required,) = world.happened("alice", ReidentificationRequired)
    assert notified + TWENTY == required.due
    for user, number in (("alice", X), ("bob", Y)):
        with pytest.raises(NoRulesInForce):
            world.claim(user, number)
    assert CLOSED == world.gate("alice")


def test_s43_due_while_the_operator_is_asked(world: World):
    """S43: the gate closes when due, and opens again with the answer in its own 20 minutes."""
    world.identify("alice")
    world.notice(PORTED)
    due = START + TWENTY
    world.clock.set(due - 5 * MINUTE)
    world.m.script(Reply.LATER)
    awaiting_anew = world.identify("alice")
    assert Status.AWAITING_ANSWER is awaiting_anew.status
    assert Gate(True, due, Reason.REIDENTIFICATION_DUE) == awaiting_anew.gate

    world.clock.set(due + MICROSECOND)
    assert CLOSED == world.gate("alice")
    world.clock.set(due + SECOND)
    world.sweep()
    assert Gate(False, None, Reason.NOT_IDENTIFIED) == world.gate("alice")
    assert Status.AWAITING_ANSWER is world.standing("alice").status

    world.clock.set(due + 15 * MINUTE)
    assert ("alice",) == world.answer().users
    assert Gate(True) == world.gate("alice")
    assert [] == world.happened("alice", IdentificationNotPassed)

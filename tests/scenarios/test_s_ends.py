"""Forgetting, strangers, disclosure, and what outlives a user: S25, S29, S33, S34, S41 and S44."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from abonent import Action, Consent, Gate, Ignored, NoticeKind, Outcome, Reason, Status
from abonent.core.events import LateAnswerIgnored, NumberDisclosed, Passed, UserForgotten
from abonent.engine.archive import subject_alias
from abonent.errors import ConsentMissing, UnknownOperator, UnknownUser
from abonent.ports import LateAnswer
from abonent.simulation import Reply
from tests.scenarios.conftest import Build
from tests.world import DAY, HOUR, MICROSECOND, MINUTE, SECOND, START, M, N, World, X, Y, agreement


def awaiting(world: World, user: str = "alice", number: str = X) -> None:
    world.m.script(Reply.LATER)
    assert Status.AWAITING_ANSWER is world.identify(user, number).status


def test_s25_forgotten_stays_forgotten(world: World):
    """S25: an answer about a forgotten user changes nothing and is journaled without a number."""
    awaiting(world)
    assert world.identifier.forget("alice")
    before = world.kept("alice")

    received = world.answer()

    assert (Ignored.LATE, ()) == (received.ignored, received.users)
    assert Gate(False, None, Reason.FORGOTTEN) == world.gate("alice")
    assert Status.FORGOTTEN is world.standing("alice").status
    assert before == world.kept("alice")
    forgotten, ignored = world.journal()
    assert isinstance(forgotten, UserForgotten)
    assert isinstance(ignored, LateAnswerIgnored)
    assert (M, Outcome.HELD, Ignored.LATE) == (ignored.operator, ignored.outcome, ignored.why)
    assert X not in repr(ignored)
    assert [] == world.identifier.history("alice")


def test_s25_long_after(world: World):
    """S25: once nothing at all is left of the user, the answer is that of a stranger."""
    awaiting(world)
    world.identifier.forget("alice")
    world.pass_time(DAY + 2 * SECOND, HOUR)
    assert 0 == world.rows()

    assert Ignored.NOT_ASKED is world.answer().ignored

    assert 0 == world.rows()
    assert Gate(False, None, Reason.NOT_IDENTIFIED) == world.gate("alice")


def test_s29_nobody_asked(world: World):
    """S29: an answer to no question of ours is journaled without its id, and moves nobody."""
    awaiting(world)
    before = world.standing("alice")
    item = LateAnswer(query_id="made-up", operator=M, outcome=Outcome.HELD)

    received = world.identifier.receive(item)

    assert (Ignored.NOT_ASKED, ()) == (received.ignored, received.users)
    noted = world.journal()[-1]
    assert isinstance(noted, LateAnswerIgnored)
    assert (Ignored.NOT_ASKED, "", M) == (noted.why, noted.query_id, noted.operator)
    assert before == world.standing("alice")


def test_s29_another_operator(world: World):
    """S29: an answer from another operator than the one asked is ignored by name."""
    awaiting(world)
    before = world.standing("alice")

    assert Ignored.OTHER_OPERATOR is world.answer(operator=N).ignored

    (ignored,) = world.happened("alice", LateAnswerIgnored)
    assert (Ignored.OTHER_OPERATOR, N) == (ignored.why, ignored.operator)
    assert before == world.standing("alice")
    assert ("alice",) == world.answer(operator=M).users


def test_s29_an_operator_that_is_not_ours(world: World):
    """S29: an operator that was never configured is refused by name."""
    awaiting(world)
    entries = len(world.journal())

    with pytest.raises(UnknownOperator):
        world.answer(operator="stranger")
    with pytest.raises(UnknownOperator):
        world.notice(NoticeKind.TERMINATED, operator="stranger")

    assert entries == len(world.journal())
    assert Status.AWAITING_ANSWER is world.standing("alice").status


def test_s29_an_earlier_claim(world: World):
    """S29: an answer for an earlier claim is ignored by name; the later claim goes on."""
    awaiting(world, number=X)
    first = world.m.questions[0]
    world.advance(MINUTE)
    awaiting(world, number=Y)

    assert Ignored.LATE is world.answer(to=first).ignored

    assert [] == world.happened("alice", Passed)
    assert Status.AWAITING_ANSWER is world.standing("alice").status
    world.answer()
    (passed,) = world.happened("alice", Passed)
    assert Y == passed.number.e164


def test_s29_several_at_once(world: World):
    """S29: of several that arrive together, each is judged on its own."""
    awaiting(world)
    ids = ["made-up", world.m.questions[0].id, world.m.questions[0].id]
    operators = [M, "stranger", M]
    items = [
        LateAnswer(query_id=query_id, operator=operator, outcome=Outcome.HELD)
        for query_id, operator in zip(ids, operators, strict=True)
    ]

    stranger, refused, held = world.identifier.receive_many(items, received_at=world.now)

    assert Ignored.NOT_ASKED is stranger.ignored
    assert isinstance(refused, UnknownOperator)
    assert ("alice",) == held.users


def test_s33_the_agreement_ends(build: Build):
    """S33: who was identified stays so when the agreement ends: the duty was met."""
    world = build(
        start=datetime(2025, 1, 1, tzinfo=UTC),
        agreements=[agreement(M, ends=datetime(2025, 6, 1, tzinfo=UTC))],
    )
    world.identify("alice")

    world.advance(365 * DAY)
    world.sweep()

    assert Status.IDENTIFIED is world.standing("alice").status
    assert Gate(True) == world.gate("alice")
    assert [True] == world.changes("alice")


def consent(**changes) -> Consent:
    given = {
        "user_id": "alice",
        "recipient": "bank",
        "purpose": "delivery",
        "given_at": START,
        "until": START + DAY,
    }
    return Consent(**(given | changes))


@pytest.mark.parametrize(
    "given",
    [
        None,
        consent(user_id="bob"),
        consent(recipient="shop"),
        consent(purpose="marketing"),
        consent(given_at=START + HOUR + MICROSECOND),
        consent(until=START + HOUR),
    ],
    ids=["none", "of-another", "for-another", "for-else", "not-yet", "no-longer"],
)
def test_s34_without_a_consent(world: World, given):
    """S34: a disclosure without a consent that covers it is refused, and nothing is journaled."""
    world.identify("alice")
    world.advance(HOUR)

    with pytest.raises(ConsentMissing):
        world.identifier.disclose("alice", to="bank", purpose="delivery", consent=given)

    assert [] == world.happened("alice", NumberDisclosed)


def test_s34_with_a_consent(world: World):
    """S34: under a consent in date the number is returned, and that it was is journaled."""
    world.identify("alice")
    world.advance(HOUR)
    given = consent(given_at=START + HOUR, until=START + HOUR + MICROSECOND)

    number = world.identifier.disclose("alice", to="bank", purpose="delivery", consent=given)

    assert X == number.e164
    (told,) = world.happened("alice", NumberDisclosed)
    assert ("bank", "delivery", START + HOUR) == (told.recipient, told.purpose, told.consent_at)


def test_s34_nothing_to_disclose(world: World):
    """S34: a consent of somebody who is not identified discloses nothing."""
    world.claim("alice")

    with pytest.raises(UnknownUser):
        world.identifier.disclose("alice", to="bank", purpose="delivery", consent=consent())

    assert [] == world.happened("alice", NumberDisclosed)


def by_displacement(world: World) -> None:
    world.identify("bob")


def by_forgetting(world: World) -> None:
    world.identifier.forget("alice")


@pytest.mark.parametrize("end", [by_displacement, by_forgetting])
def test_s41_withdrawn_until_acknowledged(world: World, end):
    """S41: the record of who was displaced or forgotten is withdrawn until acknowledged."""
    old = world.identify("alice").identification_code
    world.flush()
    world.m.fail_records(*[Reply.UNAVAILABLE] * 3)
    if end is by_displacement:
        world.n.answer_with(Reply.HELD)
        world.router.port(X, N)
    end(world)

    world.pass_time(HOUR, MINUTE)

    withdrawals = [each for each in world.m.withdrawals if each.code == old]
    assert 4 == len(withdrawals) == len(world.m.withdrawals)
    assert 1 == len({each.id for each in withdrawals})
    assert old not in world.m.recorded
    assert () == world.kept("alice").debts
    world.pass_time(2 * DAY, HOUR)
    assert 4 == len(world.m.withdrawals)


def test_s41_forgotten_before_it_was_recorded(world: World):
    """S41: forgetting cancels a record that is still owed; only the withdrawal is made."""
    world.m.fail_records(Reply.UNAVAILABLE)
    world.identify("alice")
    world.identifier.forget("alice")

    world.pass_time(HOUR, MINUTE)

    assert (1, 1) == (len(world.m.records), len(world.m.withdrawals))
    assert {} == world.m.recorded
    world.pass_time(DAY, HOUR)
    assert 0 == world.rows()


def test_s44_the_same_user_id_again(world: World):
    """S44: after being forgotten the same user id is a new subject whose old failures count."""
    world.claim("alice")
    world.fail("alice", 14)
    world.flush()
    archive = world.identifier.inner._engine.archive
    old = archive.user("alice").subject
    assert world.identifier.forget("alice")
    assert not world.identifier.forget("nobody")
    world.advance(HOUR)

    standing = world.claim("alice")

    prove = standing.may(Action.PROVE)
    assert prove is not None
    assert 1 == prove.tries
    assert old != archive.user("alice").subject
    assert [()] == world.link.find("m", [subject_alias(old)])
    assert "UserForgotten" == world.events("alice")[0]
    assert 1 == world.events("alice").count("NumberClaimed")
    assert world.identifier.replay().unreadable > 0
    assert Reason.TOO_MANY_FAILURES is world.wrong("alice").reason


def test_s44_the_old_failures_run_out(world: World):
    """S44: a day later nothing is left of the failures, nor of the forgotten user at all."""
    world.claim("alice")
    world.fail("alice", 14)
    world.identifier.forget("alice")
    world.pass_time(DAY + MINUTE, HOUR)
    assert 0 == world.rows()

    prove = world.claim("alice").may(Action.PROVE)

    assert prove is not None
    assert 5 == prove.tries
    assert "NumberClaimed" == world.events("alice")[0]


def test_s44_forgetting_twice(world: World):
    """S44: forgetting again changes nothing and says so."""
    world.identify("alice")
    assert world.identifier.forget("alice")
    before = world.kept("alice")

    assert not world.identifier.forget("alice")

    assert before == world.kept("alice")

"""The rehearsal: an identifier whose users and operators obey the test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import abonent.testing
from abonent.core.events import Ignored, Outcome
from abonent.core.parties import MessengerKind
from abonent.core.policy import Policy
from abonent.core.standing import Status
from abonent.core.states import Basis, NoticeKind, Reason
from abonent.errors import DoubleRefused, IdentifierClosed, InvalidValue
from abonent.identifier import Identifier
from abonent.ports import Query
from abonent.simulation import Reply
from abonent.stores import MemoryStorage
from abonent.testing import Rehearsal


def test_a_user_is_identified_in_one_line() -> None:
    """`identified` claims a fresh number, proves it and returns the standing."""
    with abonent.testing.identifier() as app:
        standing = app.identified("alice")
        assert (standing.status, standing.basis) == (Status.IDENTIFIED, Basis.OPERATOR_ANSWER)
        assert app.identifier.gate("alice").open
        assert [app.number("alice")] == [each.number for each in app.operator.records]
        assert app.identified("bob").gate.open
        assert app.number("alice") != app.number("bob")


def test_the_domestic_messenger_asks_nobody() -> None:
    """A domestic messenger determines the number by itself (S1)."""
    with abonent.testing.identifier(messenger=MessengerKind.DOMESTIC) as app:
        assert app.identified("alice").basis is Basis.OWN_DETERMINATION
        assert app.operator.questions == []


def test_a_subscription_ends() -> None:
    """A notice closes the gate at once; not identified anew in time, the user has to claim."""
    with abonent.testing.identifier() as app:
        app.identified("alice")
        app.clock.advance(60)
        assert app.end_subscription("alice").users == ("alice",)
        assert app.identifier.gate("alice").reason is Reason.REIDENTIFICATION_DUE
        report = app.pass_time(timedelta(minutes=20, seconds=1))
        assert report.events["Lapsed"] == 1
        assert app.identifier.standing("alice").reason is Reason.NOT_IDENTIFIED_ANEW


def test_a_ported_number_keeps_the_gate_open_for_a_while() -> None:
    """The kind of notice is the test's choice (S17, S18)."""
    with abonent.testing.identifier() as app:
        app.identified("alice")
        app.end_subscription("alice", NoticeKind.PORTED)
        assert app.identifier.gate("alice").open
        app.clock.advance(timedelta(minutes=20, microseconds=1))
        assert not app.identifier.gate("alice").open


@pytest.mark.parametrize(
    ("reply", "status", "reason"),
    [
        (Reply.HELD, Status.IDENTIFIED, None),
        (Reply.NOT_HELD, Status.NOT_PASSED, Reason.NOT_HELD),
        (Reply.NOT_OURS, Status.NOT_PASSED, Reason.NOT_HELD),
        (Reply.UNDETERMINED, Status.NOT_PASSED, Reason.UNDETERMINED),
        (Reply.LATER, Status.AWAITING_ANSWER, Reason.NOT_IDENTIFIED),
        (Reply.SILENCE, Status.AWAITING_ANSWER, Reason.NOT_IDENTIFIED),
        (Reply.UNAVAILABLE, Status.AWAITING_ANSWER, Reason.NOT_IDENTIFIED),
        (Reply.MISCONFIGURED, Status.AWAITING_ANSWER, Reason.NOT_IDENTIFIED),
    ],
)
def test_answers_are_scripted(reply: Reply, status: Status, reason: Reason | None) -> None:
    """Every answer that an operator may give can be given, and leads where it must."""
    with abonent.testing.identifier(answers=reply) as app:
        app.claimed("alice")
        standing = app.proven("alice")
        assert (status, reason) == (standing.status, standing.reason)
        if status is Status.AWAITING_ANSWER:
            app.pass_time(timedelta(minutes=20, seconds=1))
            assert app.identifier.standing("alice").reason is Reason.NO_ANSWER


def test_an_answer_comes_later() -> None:
    """After LATER the operator answers when the test says so; after the time, in vain (S6)."""
    with abonent.testing.identifier(answers=Reply.LATER) as app:
        for user in ("alice", "bob"):
            app.claimed(user)
            app.proven(user)
        app.clock.advance(timedelta(minutes=19))
        assert app.answer("alice").ignored is None
        assert app.identifier.gate("alice").open
        app.pass_time(timedelta(minutes=2))
        assert app.answer("bob", Outcome.HELD).ignored is Ignored.LATE
        assert not app.identifier.gate("bob").open


def test_an_outage_ends() -> None:
    """Unavailable first, then held: the question is asked again by a sweep (S10)."""
    with abonent.testing.identifier() as app:
        app.operator.script(Reply.UNAVAILABLE, Reply.UNAVAILABLE)
        app.claimed("alice")
        app.proven("alice")
        for _ in range(3):
            app.pass_time(30)
        assert app.identifier.gate("alice").open
        assert len({each.id for each in app.operator.questions}) == 1


def test_answers_may_depend_on_the_question() -> None:
    """A callable decides by number."""
    with abonent.testing.identifier() as app:
        known = app.fresh_number()

        def only_known(query: Query) -> Reply:
            return Reply.HELD if query.number == known else Reply.NOT_HELD

        app.operator.answer_with(only_known)
        app.identified("alice", known.e164)
        with pytest.raises(InvalidValue, match="not_passed"):
            app.identified("bob")


def test_policy_storage_and_start_are_the_tests_choice() -> None:
    """What a test brings is used."""
    storage, start = MemoryStorage(), datetime(2027, 1, 1, tzinfo=UTC)
    policy = Policy(code_length=8)
    with abonent.testing.identifier(policy=policy, storage=storage, start=start) as app:
        app.claimed("alice")
        assert len(app.code("alice").digits) == 8
        assert start == app.clock.now()
        app.proven("alice")
        assert storage.journal("messenger", 0, 1)


def test_who_claimed_nothing_has_no_number() -> None:
    """What a rehearsal has not seen it says so, without a guess."""
    with abonent.testing.identifier() as app:
        for call in (app.number, app.code, app.proven, app.end_subscription, app.answer):
            with pytest.raises(InvalidValue):
                call("nobody")
        app.claimed("alice")
        with pytest.raises(InvalidValue, match="not asked"):
            app.answer("alice")


def test_it_is_closed_in_the_end() -> None:
    """Leaving the block closes the identifier."""
    with abonent.testing.identifier() as app:
        app.identified("alice")
    with pytest.raises(IdentifierClosed):
        app.identified("bob")


def test_its_parts_are_refused_for_real() -> None:
    """No part of a rehearsal gets into an identifier that is not for tests (P12)."""
    with abonent.testing.identifier() as app, pytest.raises(DoubleRefused):
        Identifier(
            messenger=abonent.Messenger(id="real", kind=MessengerKind.DOMESTIC),
            storage=MemoryStorage(),
            keys=abonent.MemoryKeys.random(),
            possession=abonent.OneTimeCodes(app.sender),
        )
    assert Rehearsal.test_double


def test_the_package_says_what_it_has() -> None:
    """Names are found when they are asked for, and only those that are there."""
    assert {"Rehearsal", "identifier"} <= set(dir(abonent.testing))
    assert [abonent.testing.__getattr__(each) for each in abonent.testing.__all__]
    with pytest.raises(AttributeError, match="nothing"):
        abonent.testing.__getattr__("nothing")

"""What a user is told: where they stand, and what they may do next and from when."""

from __future__ import annotations

import pytest

from abonent import Action, Basis, Gate, NextStep, NoticeKind, Policy, Reason, Status
from abonent.core.standing import standing
from abonent.core.states import Aggregate, Forgotten, Unidentified
from tests.core.samples import (
    CODE,
    DAY,
    MICROSECOND,
    NOW,
    TAG,
    at,
    awaiting,
    due_anew,
    identified,
    live_code,
    not_passed,
    proving,
    self_identified,
)

POLICY = Policy()


def told(state, at_=NOW, policy=POLICY, **parts):
    return standing("alice", Aggregate(state=state, **parts), at_, policy)


def step(action, since=NOW, until=None, tries=None):
    return NextStep(action=action, since=since, until=until, tries=tries)


HELD, OWN = Basis.OPERATOR_ANSWER, Basis.OWN_DETERMINATION
CLAIM_NOW = (step(Action.CLAIM),)
TOLD = [
    (Unidentified(), Status.UNIDENTIFIED, Reason.NOT_IDENTIFIED, None, None, CLAIM_NOW),
    (
        awaiting(),
        Status.AWAITING_ANSWER,
        Reason.NOT_IDENTIFIED,
        None,
        None,
        (step(Action.WAIT, until=at(20)),),
    ),
    (identified(), Status.IDENTIFIED, None, HELD, CODE, CLAIM_NOW),
    (self_identified(), Status.IDENTIFIED, None, OWN, CODE, CLAIM_NOW),
    (
        due_anew(),
        Status.REIDENTIFICATION_DUE,
        Reason.REIDENTIFICATION_DUE,
        HELD,
        CODE,
        (step(Action.CLAIM, until=at(10)),),
    ),
    (not_passed(), Status.NOT_PASSED, Reason.NO_ANSWER, None, None, CLAIM_NOW),
    (
        not_passed(reason=Reason.TOO_MANY_FAILURES, retry_at=at(5)),
        Status.NOT_PASSED,
        Reason.TOO_MANY_FAILURES,
        None,
        None,
        (step(Action.CLAIM, since=at(5)),),
    ),
    (
        not_passed(retry_at=at(-5)),
        Status.NOT_PASSED,
        Reason.NO_ANSWER,
        None,
        None,
        CLAIM_NOW,
    ),
    (Forgotten(at=NOW), Status.FORGOTTEN, Reason.FORGOTTEN, None, None, CLAIM_NOW),
]


@pytest.mark.parametrize(("state", "expected"), [(each[0], each[1:]) for each in TOLD])
def test_told(state, expected):
    """Each state has its status, its reason, what is held, and what comes next."""
    answer = told(state)

    assert "alice" == answer.user_id
    assert expected == (
        answer.status,
        answer.reason,
        answer.basis,
        answer.identification_code,
        answer.next,
    )


def test_what_stands_behind_is_told():
    """While another number is proven, the code and the gate are those of what stands."""
    answer = told(proving(identified()))
    assert (Status.PROVING_POSSESSION, Gate(True), None, HELD, CODE) == (
        answer.status,
        answer.gate,
        answer.reason,
        answer.basis,
        answer.identification_code,
    )
    due = told(awaiting(due_anew(NoticeKind.TERMINATED)))
    assert (Reason.REIDENTIFICATION_DUE, False) == (due.reason, due.gate.open)


def test_may():
    """A step is found by its action; what is not open is None."""
    answer = told(proving())
    assert step(Action.PROVE, until=at(5), tries=5) == answer.may(Action.PROVE)
    assert answer.may(Action.WAIT) is None


def prove_step(at_=NOW, *, code, failed=()):
    failures = ((TAG, failed),) if failed else ()
    return told(proving(code=code), at_, failures=failures).may(Action.PROVE)


def test_tries_left():
    """What is left is the lesser of the code's and the day's."""
    assert 5 == prove_step(code=live_code()).tries
    assert 1 == prove_step(code=live_code(tries=4)).tries
    assert prove_step(code=live_code(tries=5)) is None
    assert 3 == prove_step(code=live_code(tries=1), failed=tuple([at(-1)] * 12)).tries
    assert 0 == prove_step(code=live_code(), failed=tuple([at(-1)] * 15)).tries
    yesterday = tuple([NOW - DAY] * 10 + [at(-1)] * 11)
    assert 4 == prove_step(code=live_code(), failed=yesterday).tries


def test_a_code_may_be_used_until_it_runs_out():
    """The step is offered at the last instant of the code, and not after."""
    assert at(5) == prove_step(at(5), code=live_code()).until
    assert prove_step(at(5) + MICROSECOND, code=live_code()) is None
    assert prove_step(code=None) is None


def test_resending():
    """A new code may be had from the resend instant on, or when the day's sends allow it."""

    def resend(at_=NOW, sends=()):
        return told(proving(), at_, sends=sends).may(Action.RESEND)

    assert (at(1), at(30)) == (resend().since, resend().until)
    assert at(1) == resend(at(1)).since
    assert at(2) == resend(at(2)).since
    spent = tuple(at(minute) for minute in range(-10, 0))
    assert at(-10) + DAY == resend(sends=spent).since

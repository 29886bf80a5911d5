"""What is owed, when to look again, and the gate, for each sample state."""

from __future__ import annotations

import pytest

from abonent import Gate, NoticeKind, Reason
from abonent.core.owed import AskOperator, RecordCode, SendCode, WithdrawCode, gate, owed, wakes_at
from abonent.core.states import Aggregate, EffectKind, Forgotten, Unidentified
from tests.core.samples import (
    AGGREGATES,
    CLAIM,
    CODE,
    DAY,
    HOUR,
    MICROSECOND,
    NOW,
    OTHER_TAG,
    QUERY,
    RECORD,
    TAG,
    WITHDRAWAL,
    X,
    Y,
    at,
    awaiting,
    due_anew,
    identified,
    live_code,
    not_passed,
    proving,
    self_identified,
)

OPEN = Gate(True)
DUE = Gate(False, None, Reason.REIDENTIFICATION_DUE)
GRACE = Gate(True, at(10), Reason.REIDENTIFICATION_DUE)
NOBODY = Gate(False, None, Reason.NOT_IDENTIFIED)

GATES = [
    (Unidentified(), NOBODY),
    (proving(), NOBODY),
    (awaiting(), NOBODY),
    (proving(identified()), OPEN),
    (awaiting(identified()), OPEN),
    (proving(due_anew()), GRACE),
    (awaiting(due_anew()), GRACE),
    (proving(due_anew(NoticeKind.TERMINATED)), DUE),
    (identified(), OPEN),
    (self_identified(), OPEN),
    (due_anew(), GRACE),
    (due_anew(NoticeKind.TERMINATED), DUE),
    (due_anew(NoticeKind.REASSIGNED), DUE),
    (due_anew(NoticeKind.NUMBER_CHANGED), DUE),
    (not_passed(), Gate(False, None, Reason.NO_ANSWER)),
    (not_passed(reason=Reason.DISPLACED), Gate(False, None, Reason.DISPLACED)),
    (Forgotten(at=NOW), Gate(False, None, Reason.FORGOTTEN)),
]


@pytest.mark.parametrize(("state", "expected"), GATES)
def test_gate(state, expected):
    """The gate is open by an identification, or by grace, and says why it is not."""
    answer = gate(Aggregate(state=state), NOW)

    assert expected == answer
    assert expected.open is bool(answer)


@pytest.mark.parametrize("state", [due_anew(), proving(due_anew()), awaiting(due_anew())])
def test_grace_is_inclusive(state):
    """Grace holds at the due instant and not one microsecond longer."""
    aggregate = Aggregate(state=state)
    assert GRACE == gate(aggregate, at(10))
    assert DUE == gate(aggregate, at(10) + MICROSECOND)


def test_an_open_gate_names_its_ground():
    """No sample has an open gate without an identification behind it (I1)."""
    for aggregate in AGGREGATES:
        answer = gate(aggregate, NOW)
        assert answer.open is (answer in (OPEN, GRACE))


WAKES = [
    (Aggregate(), None),
    (Aggregate(state=proving()), at(1)),
    (Aggregate(state=proving(code=live_code(sending=None))), at(5)),
    (Aggregate(state=proving(code=None)), at(30)),
    (Aggregate(state=proving(identified(), code=None)), at(30)),
    (Aggregate(state=proving(due_anew(), code=None)), at(10)),
    (Aggregate(state=awaiting()), at(2)),
    (Aggregate(state=awaiting(asking=None)), at(20)),
    (Aggregate(state=awaiting(due_anew(), asking=None)), at(10)),
    (Aggregate(state=identified()), None),
    (Aggregate(state=identified(), debts=(WITHDRAWAL, RECORD)), at(3)),
    (Aggregate(state=due_anew()), at(10)),
    (Aggregate(state=due_anew(), debts=(RECORD,)), at(3)),
    (Aggregate(state=not_passed()), None),
    (Aggregate(state=not_passed(), debts=(WITHDRAWAL,)), at(4)),
    (Aggregate(state=Forgotten(at=NOW)), None),
    (Aggregate(state=Forgotten(at=NOW), sends=(at(-9), at(-8))), at(-8) + DAY),
    (
        Aggregate(
            state=Forgotten(at=NOW),
            failures=((TAG, (at(-9), at(-3))), (OTHER_TAG, (at(-7),))),
            sends=(at(-4),),
        ),
        at(-3) + DAY,
    ),
    (Aggregate(state=Forgotten(at=NOW), sends=(at(-4),), debts=(WITHDRAWAL,)), at(4)),
]


@pytest.mark.parametrize(("aggregate", "expected"), WAKES)
def test_wakes_at(aggregate, expected):
    """A record wakes at the earliest of its deadlines, those behind an attempt included (I10)."""
    assert expected == wakes_at(aggregate)


def test_a_code_that_is_to_be_sent():
    """An unsent code is owed from its next try on, under its claim and issue."""
    aggregate = Aggregate(state=proving(locale="ru", code=live_code(issue=3)))

    assert () == owed(aggregate, at(1) - MICROSECOND)
    (effect,) = owed(aggregate, at(1))
    assert effect == SendCode(
        id=f"{CLAIM}.3",
        number=X,
        claim=CLAIM,
        issue=3,
        key_id="k1",
        locale="ru",
        tries=0,
    )
    assert EffectKind.SEND_CODE is effect.kind


@pytest.mark.parametrize("code", [None, live_code(sending=None)])
def test_a_code_that_is_not(code):
    """A code that was sent, or that ran out, is not owed."""
    assert () == owed(Aggregate(state=proving(code=code)), at(60))


def test_a_question():
    """A question is owed from its next try on, unless the operator said "later"."""
    aggregate = Aggregate(state=awaiting(opaque=b"ticket"))

    assert () == owed(aggregate, at(2) - MICROSECOND)
    assert (
        AskOperator(
            id=QUERY,
            number=X,
            operator="mts",
            asked_at=NOW,
            due=at(20),
            opaque=b"ticket",
            tries=1,
        ),
    ) == owed(aggregate, at(2))
    assert () == owed(Aggregate(state=awaiting(asking=None)), at(60))


@pytest.mark.parametrize("state", [identified(), due_anew(), proving(identified(), number=Y)])
def test_debts(state):
    """A record is owed with the number it is about, a withdrawal without any."""
    aggregate = Aggregate(state=state, debts=(RECORD, WITHDRAWAL))

    record = RecordCode(
        id=f"{CODE}.record", number=X, operator="mts", code=CODE, since=at(-60), tries=0
    )
    withdrawal = WithdrawCode(
        id="code-0.withdraw", operator="beeline", code="code-0", since=at(-60), tries=2
    )
    found = [each for each in owed(aggregate, at(4)) if not isinstance(each, SendCode)]
    assert [record, withdrawal] == found
    early = [each for each in owed(aggregate, at(3)) if not isinstance(each, SendCode)]
    assert [record] == early


def test_a_record_without_its_identification_is_not_made():
    """There is no number left to record; such a debt is never tried."""
    aggregate = Aggregate(state=not_passed(), debts=(RECORD, WITHDRAWAL))

    (only,) = owed(aggregate, NOW + HOUR)

    assert EffectKind.WITHDRAW is only.kind


def test_nothing_owed_is_later_than_the_wake():
    """Whatever is owed at an instant was announced by the wake (I10)."""
    for aggregate in AGGREGATES:
        wake = wakes_at(aggregate)
        if wake is None:
            assert () == owed(aggregate, NOW + 365 * DAY)
        else:
            assert () == owed(aggregate, wake - MICROSECOND)

"""One pass over opened entries, in the order of the journal: what happened, and how long it took.

Knows what events mean for the three duties, for exposure and for who stands identified. Refuses to
read a store, to open anything, and to know a number beyond its last two digits.

What is remembered of a subject is what may still change a figure: the identification that stands,
questions without an answer, a re-identification that is due, and a gate that is open by grace.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from abonent.compliance.counting import Counting
from abonent.compliance.remembered import OpenGate, Question, Renewal, Subject, last_digits
from abonent.core.events import (
    AnswerReceived,
    AttemptFailed,
    Declared,
    Displaced,
    Event,
    IdentificationNotPassed,
    Lapsed,
    LateAnswerIgnored,
    NoticeReceived,
    NumberClaimed,
    OperatorAsked,
    Outcome,
    Passed,
    ReidentificationRequired,
    StaleNoticeIgnored,
)
from abonent.core.owed import Gate
from abonent.core.states import Basis, EffectKind


class Fold:
    """Takes entries one by one. What it counts goes to `counting`; `settle` counts what is left."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting
        self._subjects: dict[bytes, Subject] = {}

    def take(
        self, subject_id: bytes, cursor: int, events: tuple[Event, ...], gate: Gate | None
    ) -> None:
        """Take what one entry tells: at least one event, and the gate if it changed."""
        subject = self._subjects.get(subject_id)
        if subject is None:
            subject = self._subjects[subject_id] = Subject(id=subject_id)
        for event in events:
            step = _STEPS.get(type(event))
            if step is not None:
                step(self._counting, subject, event, cursor)
        if gate is not None:
            _gate_told(self._counting, subject, gate, events[-1].at)

    def settle(self, as_of: datetime) -> None:
        """Count what had not come to an end by an instant."""
        for subject in self._subjects.values():
            for question in subject.questions.values():
                self._counting.unanswered(subject.id, question, as_of)
            if subject.renewal is not None:
                self._counting.not_renewed(subject.id, subject.renewal, as_of)
            if subject.grace is not None:
                self._counting.exposed(subject.id, subject.grace, as_of, ended=False)

    def standing(self, at: datetime) -> Counter[tuple[Basis, str | None]]:
        """Count the users whose gate is open at an instant, by basis and operator on record."""
        return Counter(
            (each.basis, each.operator)
            for each in self._subjects.values()
            if each.basis is not None and each.is_open(at)
        )


# --- claims, questions and answers ---------------------------------------------------


def _claimed(_: Counting, subject: Subject, event: NumberClaimed, cursor: int) -> None:
    subject.overtake(event.at)
    subject.claimed_from = event.operator
    subject.asked = subject.asked_number = None


def _asked(counting: Counting, subject: Subject, event: OperatorAsked, cursor: int) -> None:
    subject.asked, subject.asked_number = event.operator, last_digits(event.number)
    if counting.counts(event.at):
        subject.questions[event.query_id] = Question(
            operator=event.operator,
            at=event.at,
            due=event.due,
            cursor=cursor,
            number=last_digits(event.number),
        )


def _try_failed(_: Counting, subject: Subject, event: AttemptFailed, cursor: int) -> None:
    if event.kind is EffectKind.ASK_OPERATOR and event.id in subject.questions:
        subject.questions[event.id].failed = True


def _answered(counting: Counting, subject: Subject, event: AnswerReceived, cursor: int) -> None:
    question = subject.questions.pop(event.query_id, None)
    if question is not None:
        counting.answered(subject.id, question, event.at)


def _answered_late(
    counting: Counting, subject: Subject, event: LateAnswerIgnored, cursor: int
) -> None:
    question = subject.questions.get(event.query_id)
    if question is None or event.outcome is Outcome.LATER or event.operator != question.operator:
        return
    del subject.questions[event.query_id]
    counting.answered(subject.id, question, event.at)


def _not_passed(
    counting: Counting, subject: Subject, event: IdentificationNotPassed, cursor: int
) -> None:
    method = None if subject.asked is None else Basis.OPERATOR_ANSWER
    operator = subject.asked or subject.claimed_from
    counting.outcome(event.at, method, operator, event.reason)
    subject.claimed_from = subject.asked = subject.asked_number = None
    subject.overtake(event.at)  # where no answer came, the question was due before


def _passed(counting: Counting, subject: Subject, event: Passed | Declared, cursor: int) -> None:
    basis = event.basis if isinstance(event, Passed) else Basis.DECLARED
    counting.outcome(event.at, basis, event.operator, None)
    subject.basis, subject.operator = basis, event.operator
    subject.number = last_digits(event.number)
    subject.claimed_from = subject.asked = subject.asked_number = None
    if subject.renewal is not None:
        counting.renewed(subject.id, subject.renewal, event.at)
        subject.renewal = None
    _end_grace(counting, subject, event.at)
    subject.opens(event.at)


# --- notices and what they lead to ---------------------------------------------------


def _noticed(counting: Counting, subject: Subject, event: NoticeReceived, cursor: int) -> None:
    subject.notice = event
    counting.noticed(subject.id, event, cursor, subject.told_of)


def _notice_ignored(
    counting: Counting, subject: Subject, event: StaleNoticeIgnored, cursor: int
) -> None:
    counting.noticed(subject.id, event, cursor, subject.told_of)


def _required(
    counting: Counting, subject: Subject, event: ReidentificationRequired, cursor: int
) -> None:
    told = subject.notice
    if told is None:
        return  # no decision requires it without a notice
    if subject.renewal is None:
        subject.renewal = Renewal(
            operator=told.operator,
            at=event.at,
            due=event.due,
            cursor=cursor,
            number=subject.number,
        )
    # What stands is open: a grace that has run out is settled before any notice is heard.
    grace = OpenGate(
        operator=told.operator,
        happened_at=event.happened_at,
        since=subject.open_since or event.at,
        noticed_at=event.at,
        due=event.due,
    )
    if event.cause.keeps_gate_open:
        subject.grace = grace
    else:
        counting.exposed(subject.id, grace, event.at, ended=True, number_kept=False)


def _displaced(counting: Counting, subject: Subject, event: Displaced, cursor: int) -> None:
    counting.ended(event)
    if subject.renewal is not None:
        counting.moot(subject.renewal)
        subject.renewal = None


def _lapsed(counting: Counting, subject: Subject, event: Lapsed, cursor: int) -> None:
    counting.ended(event)


def _gate_told(counting: Counting, subject: Subject, gate: Gate, at: datetime) -> None:
    if not gate.open:
        _end_grace(counting, subject, at)
        subject.open_since = subject.open_until = None
        return
    subject.open_until = gate.until


def _end_grace(counting: Counting, subject: Subject, at: datetime) -> None:
    if subject.grace is not None:
        counting.exposed(subject.id, subject.grace, at, ended=True)
        subject.grace = None


_STEPS: Final[dict[type[Event], Callable[[Counting, Subject, Any, int], None]]] = {
    NumberClaimed: _claimed,
    OperatorAsked: _asked,
    AttemptFailed: _try_failed,
    AnswerReceived: _answered,
    LateAnswerIgnored: _answered_late,
    IdentificationNotPassed: _not_passed,
    Passed: _passed,
    Declared: _passed,
    NoticeReceived: _noticed,
    StaleNoticeIgnored: _notice_ignored,
    ReidentificationRequired: _required,
    Displaced: _displaced,
    Lapsed: _lapsed,
}
"""Events that are not here bear on no figure."""

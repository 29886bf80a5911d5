"""The question to the operator and its answer: steps 5 and 6 of the procedure.

Knows who may be asked, what an answer leads to and who holds a number. Refuses to know how the
question travels.
"""

from __future__ import annotations

from datetime import datetime

from abonent.core.commands import Displace, GiveAnswer
from abonent.core.course import Course, not_passed
from abonent.core.events import (
    AnswerDeferred,
    AnswerReceived,
    Displaced,
    Ignored,
    LateAnswerIgnored,
    OperatorAsked,
    Outcome,
    Passed,
)
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import (
    AwaitingAnswer,
    Basis,
    Reason,
    identified_in,
    standing_identification,
)


def ask(
    course: Course,
    *,
    at: datetime,
    number: SubscriberNumber,
    proven_at: datetime,
    operator: str,
    query_id: str,
    rules: str,
    rerouted: bool,
) -> None:
    """Ask the serving operator, under an agreement in force now (I5, S5)."""
    agreement = course.terrain.agreements.in_force(operator, at)
    if agreement is None and course.terrain.needs_agreement:
        course.add(not_passed(at, Reason.NO_AGREEMENT))
        return
    course.add(
        OperatorAsked(
            at=at,
            number=number,
            proven_at=proven_at,
            operator=operator,
            agreement=None if agreement is None else agreement.id,
            query_id=query_id,
            due=at + course.terrain.terms_of(rules).answer_within,
            rerouted=rerouted,
            rules=rules,
        )
    )


def give_answer(course: Course, command: GiveAnswer) -> None:
    """Take an operator's answer, or ignore it by name (step 5)."""
    state = course.aggregate.state
    why = None
    if not isinstance(state, AwaitingAnswer) or state.query_id != command.query_id:
        why = Ignored.LATE
    elif state.operator != command.operator:
        why = Ignored.OTHER_OPERATOR
    if why is not None or not isinstance(state, AwaitingAnswer):
        course.add(
            LateAnswerIgnored(
                at=command.at,
                query_id=command.query_id,
                operator=command.operator,
                outcome=command.outcome,
                why=why or Ignored.LATE,
            )
        )
        return
    if command.outcome is Outcome.LATER:
        course.add(AnswerDeferred(at=command.at, query_id=command.query_id, opaque=command.opaque))
        return
    course.add(
        AnswerReceived(
            at=command.at,
            query_id=command.query_id,
            operator=command.operator,
            outcome=command.outcome,
        )
    )
    match command.outcome:
        case Outcome.HELD:
            _held(course, command, state)
        case Outcome.UNDETERMINED:
            course.add(not_passed(command.at, Reason.UNDETERMINED))
        case Outcome.NOT_HELD:
            course.add(not_passed(command.at, Reason.NOT_HELD))
        case _:
            _not_ours(course, command, state)


def _not_ours(course: Course, command: GiveAnswer, state: AwaitingAnswer) -> None:
    """Another operator serves the number: ask that one, once (S8, P18)."""
    if state.rerouted or command.serving is None or command.serving == state.operator:
        course.add(not_passed(command.at, Reason.NOT_HELD))
        return
    ask(
        course,
        at=command.at,
        number=state.number,
        proven_at=state.proven_at,
        operator=command.serving,
        query_id=command.next_query_id,
        rules=state.rules,
        rerouted=True,
    )


def _held(course: Course, command: GiveAnswer, state: AwaitingAnswer) -> None:
    pass_(
        course,
        rival_proven_at=command.rival_proven_at,
        passed=Passed(
            at=command.at,
            number=state.number,
            proven_at=state.proven_at,
            asked_at=state.asked_at,
            operator=state.operator,
            agreement=state.agreement,
            code=command.code,
            basis=Basis.OPERATOR_ANSWER,
            rules=state.rules,
        ),
    )


def pass_(course: Course, *, passed: Passed, rival_proven_at: datetime | None) -> None:
    """Pass, unless the present holder proved possession later (I3, S35)."""
    if rival_proven_at is not None and rival_proven_at > passed.proven_at:
        course.add(not_passed(passed.at, Reason.DISPLACED))
        return
    course.add(passed)


def displace(course: Course, command: Displace) -> None:
    """Give way to who proved possession later (step 6)."""
    identified = identified_in(standing_identification(course.aggregate.state))
    if identified is not None and identified.number == command.number:
        course.add(Displaced(at=command.at))

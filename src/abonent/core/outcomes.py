"""What became of effects: sent, failed, acknowledged, disclosed.

Knows which outcome still matters. Refuses to perform anything.
"""

from __future__ import annotations

from abonent.core.commands import Disclose, ReportAcknowledged, ReportFailed, ReportSent
from abonent.core.course import Course
from abonent.core.events import (
    AttemptFailed,
    CodeRecorded,
    CodeSent,
    NumberDisclosed,
    RecordWithdrawn,
)
from abonent.core.owed import send_id
from abonent.core.states import (
    Aggregate,
    AwaitingAnswer,
    EffectKind,
    ProvingPossession,
    identified_in,
    standing_identification,
)
from abonent.errors import UnknownUser


def report_sent(course: Course, command: ReportSent) -> None:
    """The code was taken for delivery."""
    state = course.aggregate.state
    if (
        isinstance(state, ProvingPossession)
        and state.claim == command.claim
        and state.code is not None
        and state.code.issue == command.issue
        and state.code.sending is not None
    ):
        course.add(
            CodeSent(at=command.at, claim=command.claim, issue=command.issue, opaque=command.opaque)
        )


def report_failed(course: Course, command: ReportFailed) -> None:
    """A try failed: set the next, twice as far away as the last."""
    tries = _tries(course.aggregate, command.kind, command.id)
    if tries is None:
        return
    policy = course.terrain.policy
    wait = min(policy.retry_first * 2 ** min(max(tries - 1, 0), 16), policy.retry_longest)
    course.add(
        AttemptFailed(
            at=command.at,
            kind=command.kind,
            id=command.id,
            cause=command.cause,
            next_try=command.at + wait,
        )
    )


def _tries(aggregate: Aggregate, kind: EffectKind, effect_id: str) -> int | None:
    """Return how often this was tried, or None if it is not owed any more."""
    state = aggregate.state
    if kind is EffectKind.SEND_CODE:
        if not isinstance(state, ProvingPossession) or not state.code or not state.code.sending:
            return None
        current = send_id(state.claim, state.code.issue) == effect_id
        return state.code.sending.tries if current else None
    if kind is EffectKind.ASK_OPERATOR:
        if isinstance(state, AwaitingAnswer) and state.asking and state.query_id == effect_id:
            return state.asking.tries
        return None
    return next((each.attempt.tries for each in aggregate.debts if each.id == effect_id), None)


def report_acknowledged(course: Course, command: ReportAcknowledged) -> None:
    """An operator acknowledged; what is not owed any more is passed over."""
    kind, operator, code = command.kind, command.operator, command.code
    if not any(each.kind is kind and each.code == code for each in course.aggregate.debts):
        return
    if kind is EffectKind.RECORD:
        course.add(CodeRecorded(at=command.at, operator=operator, code=code))
    else:
        course.add(RecordWithdrawn(at=command.at, operator=operator, code=code))


def disclose(course: Course, command: Disclose) -> None:
    """Journal that the number is given away, before it is."""
    if identified_in(standing_identification(course.aggregate.state)) is None:
        raise UnknownUser("this user is not identified: there is no number to disclose")
    course.add(
        NumberDisclosed(
            at=command.at,
            recipient=command.recipient,
            purpose=command.purpose,
            consent_at=command.consent_at,
        )
    )

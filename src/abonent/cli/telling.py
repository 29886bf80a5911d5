"""One user's history as a timeline of plain sentences.

Knows what each event means to a reader. Refuses to say numbers, codes and ids (I9).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from attrs import frozen

from abonent.core.events import (
    AnswerReceived,
    AttemptFailed,
    AttemptStarted,
    CodeRecorded,
    DebtGivenUp,
    Displaced,
    Event,
    IdentificationNotPassed,
    Lapsed,
    LateAnswerIgnored,
    NoticeReceived,
    NumberClaimed,
    OperatorAsked,
    Passed,
    RecordWithdrawn,
    ReidentificationRequired,
    StaleNoticeIgnored,
)
from abonent.core.states import EffectKind
from abonent.feed import Happening


@frozen
class Moment:
    """What happened at an instant, in words."""

    at: datetime
    words: str


def timeline(history: Iterable[Happening]) -> list[Moment]:
    """Tell a history; the starts of tries are left out, their outcomes are not."""
    return [
        Moment(each.at, words(each.event))
        for each in history
        if not isinstance(each.event, AttemptStarted)
    ]


def words(event: Event) -> str:
    """Say what happened."""
    match event:
        case NumberClaimed(operator=None):
            return "claims a number"
        case NumberClaimed(operator=operator):
            return f"claims a number that {operator} serves"
        case OperatorAsked(operator=operator, due=due, rerouted=rerouted):
            again = ", to which the number was ported," if rerouted else ""
            return f"{operator}{again} is asked; its answer counts until {due:%H:%M:%S}"
        case AnswerReceived(operator=operator, outcome=outcome):
            return f"{operator} answers: {_plain(outcome.value)}"
        case AttemptFailed(kind=kind, cause=cause, next_try=next_try):
            what = _ATTEMPTS[kind]
            return f"{what} failed ({cause}); tried again at {next_try:%H:%M:%S}"
        case Passed(operator=None, rules=rules):
            return f"identified, by own determination, under rules {rules}: the gate opens"
        case Passed(operator=operator, rules=rules):
            return f"identified, with {operator}, under rules {rules}: the gate opens"
        case IdentificationNotPassed(reason=reason):
            return f"not passed: {_plain(reason.value)}"
        case CodeRecorded(operator=operator):
            return f"{operator} has recorded the identification"
        case RecordWithdrawn(operator=operator):
            return f"{operator} has withdrawn its record of the earlier identification"
        case DebtGivenUp(operator=operator, kind=kind):
            return f"{_ATTEMPTS[kind]} is given up: {operator} never acknowledged it"
        case NoticeReceived(operator=operator, kind=kind):
            return f"{operator} gives notice: {_plain(kind.value)}"
        case ReidentificationRequired(cause=cause, due=due):
            gate = "stays open until then" if cause.keeps_gate_open else "closes at once"
            return f"to be identified anew by {due:%H:%M:%S}; the gate {gate}"
        case Displaced():
            return "displaced: somebody proved later to hold the number; the gate closes"
        case Lapsed():
            return "not identified anew in time; the gate is closed"
        case LateAnswerIgnored(operator=operator, why=why):
            return f"an answer of {operator} changes nothing: {_plain(why.value)}"
        case StaleNoticeIgnored(operator=operator, why=why):
            return f"a notice of {operator} changes nothing: {_plain(why.value)}"
        case _:
            return _PLAINLY.get(type(event).__name__, type(event).__name__)


_ATTEMPTS: Final = {
    EffectKind.SEND_CODE: "sending the code",
    EffectKind.ASK_OPERATOR: "asking the operator",
    EffectKind.RECORD: "having it recorded",
    EffectKind.WITHDRAW: "having the record withdrawn",
}
_PLAINLY: Final = {
    "AttemptStarted": "a try is begun",
    "CodeIssued": "a code is issued",
    "CodeSent": "the code is sent",
    "CodeExpired": "the code is not valid any more",
    "ProofTried": "enters a code",
    "ProofFailed": "it is the wrong one, and counted",
    "PossessionProven": "it is the right one: possession is proven",
    "AnswerDeferred": "the operator will answer later",
    "NumberDisclosed": "the number is given to a third party, by consent",
    "Declared": "the user is taken over, with a number that the messenger declares",
    "UserForgotten": "the user is forgotten",
    "TombstoneCleared": "nothing is left of the user",
}


def _plain(value: str) -> str:
    return value.replace("_", " ")

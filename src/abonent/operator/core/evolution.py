"""evolve(state, event): what an event makes of what an operator keeps.

Knows how each event changes a state. Refuses to judge: whatever the table allows is applied,
whatever it does not allow raises and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from msgspec.structs import replace as changed

from abonent.core.states import Attempt
from abonent.errors import TransitionRefused
from abonent.operator.core.events import (
    AnswerFound,
    AnswerGiven,
    AnswerLapsed,
    AnswerPromised,
    AttemptFailed,
    AttemptStarted,
    CodeRecorded,
    Event,
    HoldingTold,
    LineCleared,
    NoticeAcknowledged,
    NoticeOverdue,
    NoticeRequired,
    QuestionCleared,
    QuestionReceived,
    RecordListed,
    RecordUnlisted,
    RecordWithdrawn,
    SubscriptionEnded,
)
from abonent.operator.core.states import (
    BLANK,
    Answered,
    AnswerOwed,
    Asked,
    End,
    Lapsed,
    Line,
    NoticeOwed,
    Recorded,
    State,
    Told,
    Withdrawn,
    line_of,
)
from abonent.operator.core.transitions import TRANSITIONS

ENDS_KEPT: Final = 8
"""How many ends of a number's subscriptions are remembered."""


def evolve(state: State, event: Event) -> State:
    """Apply one event.

    Raises:
        TransitionRefused: the table does not allow it here; nothing changed.
    """
    allowed = TRANSITIONS[type(state)].get(type(event), ())
    after = _APPLY[type(event)](state, event) if allowed else state
    if type(after) not in allowed:
        before, happened = type(state).__name__, type(event).__name__
        raise TransitionRefused(
            f"{happened} may not happen in {before}", state=before, event=happened
        )
    return after


# The table has seen to it that each of these meets a state that it knows: hence `Any`.


def _question_received(_: Any, event: QuestionReceived) -> State:
    return Asked(
        query_id=event.query_id,
        messenger=event.messenger,
        number=event.number,
        asked_at=event.asked_at,
        received_at=event.at,
        due=event.due,
        promised=False,
        looking=Attempt(tries=0, next_try=event.at),
    )


def _answer_promised(state: Any, _: AnswerPromised) -> State:
    promised: Asked = changed(state, promised=True)
    return promised


def _attempt(state: Any, event: AttemptStarted | AttemptFailed) -> State:
    name = _ATTEMPTS[type(state)]
    tries = getattr(state, name).tries + isinstance(event, AttemptStarted)
    tried: State = changed(state, **{name: Attempt(tries=tries, next_try=event.next_try)})
    return tried


_ATTEMPTS: Final[dict[type[State], str]] = {
    Asked: "looking",
    AnswerOwed: "giving",
    NoticeOwed: "telling",
}


def attempt_of(state: State) -> Attempt | None:
    """Return the tries of what is owed in a state; None where nothing is."""
    name = _ATTEMPTS.get(type(state))
    return None if name is None else getattr(state, name)


def _answer_found(state: Any, event: AnswerFound) -> State:
    return AnswerOwed(
        query_id=state.query_id,
        messenger=state.messenger,
        number=state.number,
        outcome=event.outcome,
        received_at=state.received_at,
        due=state.due,
        giving=Attempt(tries=0, next_try=event.at),
    )


def _answer_given(state: Any, event: AnswerGiven) -> State:
    return Answered(
        number=state.number, outcome=event.outcome, at=event.at, kept_until=event.kept_until
    )


def _answer_lapsed(state: Any, event: AnswerLapsed) -> State:
    return Lapsed(number=state.number, due=event.due, kept_until=event.kept_until)


def _code_recorded(_: Any, event: CodeRecorded) -> State:
    return Recorded(
        messenger=event.messenger,
        number=event.number,
        code=event.code,
        since=event.at,
        hold=event.hold,
    )


def _notice_required(state: Any, event: NoticeRequired) -> State:
    return NoticeOwed(
        messenger=state.messenger,
        number=state.number,
        code=state.code,
        since=state.since,
        notice_id=event.notice_id,
        kind=event.kind,
        happened_at=event.happened_at,
        due=event.due,
        overdue=False,
        telling=Attempt(tries=0, next_try=event.at),
    )


def _notice_overdue(state: Any, _: NoticeOverdue) -> State:
    overdue: NoticeOwed = changed(state, overdue=True)
    return overdue


def _told(_: Any, event: NoticeAcknowledged) -> State:
    return Told(at=event.at)


def _withdrawn(_: Any, event: RecordWithdrawn) -> State:
    return Withdrawn(at=event.at)


# --- lines --------------------------------------------------------------------------


def _later(line: Line, until: datetime) -> datetime:
    return until if line.kept_until is None else max(line.kept_until, until)


def _holding_told(state: Any, event: HoldingTold) -> State:
    line = line_of(state)
    others = tuple(each for each in line.holds if each[0] != event.messenger)
    holds = (*others, (event.messenger, event.hold))
    return changed(line, holds=holds, kept_until=_later(line, event.kept_until))


def _subscription_ended(state: Any, event: SubscriptionEnded) -> State:
    line = line_of(state)
    end = End(
        id=event.movement_id,
        kind=event.kind,
        happened_at=event.happened_at,
        believed_until=event.believed_until,
    )
    ends = sorted((*line.ends, end), key=lambda each: each.happened_at)[-ENDS_KEPT:]
    return changed(line, ends=tuple(ends), kept_until=_later(line, event.kept_until))


def _record_listed(state: Any, event: RecordListed) -> State:
    line = line_of(state)
    return changed(line, records=(*line.records, event.key))


def _record_unlisted(state: Any, event: RecordUnlisted) -> State:
    left = tuple(each for each in state.records if each != event.key)
    return _or_blank(changed(state, records=left))


def _line_cleared(state: Any, _: LineCleared) -> State:
    return _or_blank(Line(records=state.records))


def _or_blank(line: Line) -> State:
    return BLANK if line == Line() else line


def _cleared(_: Any, event: QuestionCleared) -> State:
    return BLANK


_APPLY: Final[dict[type[Event], Callable[[Any, Any], State]]] = {
    QuestionReceived: _question_received,
    AnswerPromised: _answer_promised,
    AttemptStarted: _attempt,
    AttemptFailed: _attempt,
    AnswerFound: _answer_found,
    AnswerGiven: _answer_given,
    AnswerLapsed: _answer_lapsed,
    QuestionCleared: _cleared,
    CodeRecorded: _code_recorded,
    NoticeRequired: _notice_required,
    NoticeOverdue: _notice_overdue,
    NoticeAcknowledged: _told,
    RecordWithdrawn: _withdrawn,
    HoldingTold: _holding_told,
    SubscriptionEnded: _subscription_ended,
    RecordListed: _record_listed,
    RecordUnlisted: _record_unlisted,
    LineCleared: _line_cleared,
}

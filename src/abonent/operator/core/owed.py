"""What an operator owes to its messengers and has to find out, and when to look again.

Knows how to read a state at an instant. Refuses to change one: a state is moved by events.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import NoticeKind
from abonent.operator.core.evolution import attempt_of
from abonent.operator.core.states import (
    Answered,
    AnswerOwed,
    Asked,
    Lapsed,
    Line,
    NoticeOwed,
    State,
)


class LookUp(Struct, frozen=True, kw_only=True):
    """The subscriber base is to be asked about a number."""

    id: str
    number: SubscriberNumber


class DeliverAnswer(Struct, frozen=True, kw_only=True):
    """A messenger is to be given the answer that it was promised, by `due` or not at all."""

    id: str
    messenger: str
    outcome: Outcome
    due: datetime


class DeliverNotice(Struct, frozen=True, kw_only=True):
    """A messenger is to be told that a subscription is over."""

    id: str
    messenger: str
    number: SubscriberNumber
    kind: NoticeKind
    happened_at: datetime


Effect: TypeAlias = LookUp | DeliverAnswer | DeliverNotice


def owed(state: State, now: datetime) -> tuple[Effect, ...]:
    """Return the effects that may be tried at this instant, each with its idempotency id."""
    effect, attempt = _effect(state), attempt_of(state)
    if effect is None or attempt is None or attempt.next_try > now:
        return ()
    return (effect,)


def is_owed(state: State, effect: Effect) -> bool:
    """Tell whether an effect that was to be performed was not cancelled meanwhile."""
    return effect == _effect(state)


def _effect(state: State) -> Effect | None:
    if isinstance(state, Asked):
        return LookUp(id=state.query_id, number=state.number)
    if isinstance(state, AnswerOwed):
        return DeliverAnswer(
            id=state.query_id, messenger=state.messenger, outcome=state.outcome, due=state.due
        )
    if isinstance(state, NoticeOwed):
        return DeliverNotice(
            id=state.notice_id,
            messenger=state.messenger,
            number=state.number,
            kind=state.kind,
            happened_at=state.happened_at,
        )
    return None


def wakes_at(state: State) -> datetime | None:
    """Return the earliest instant at which this state must be looked at, if any."""
    attempt = attempt_of(state)
    wakes = [] if attempt is None else [attempt.next_try]
    if (deadline := deadline_of(state)) is not None:
        wakes.append(deadline)
    return min(wakes, default=None)


def deadline_of(state: State) -> datetime | None:
    """Return the instant, inclusive, up to which a state may stand as it is, if there is one."""
    if isinstance(state, Asked | AnswerOwed):
        return state.due
    if isinstance(state, NoticeOwed):
        return None if state.overdue else state.due
    if isinstance(state, Answered | Lapsed | Line):
        return state.kept_until
    return None

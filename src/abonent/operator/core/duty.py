"""decide(state, command): which events follow. The operator's duty, in one place.

Knows every rule. Refuses to know clocks, keys, stores and adapters: what it needs of them comes
with the command. The steps, numbered as the code below echoes them:

1. what is due by then is settled first, so no later step checks a deadline again;
2. a question is answered once, in time, or it lapses aloud;
3. an answer that was promised for later is delivered; one that was not is given in the reply;
4. a code is recorded once in its life, and a withdrawn one is never taken up;
5. whoever is recorded beside a subscription that is over must be told, until they acknowledge;
6. whatever is owed at the end takes its lease in the same commit.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace as changed

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import RESOLUTION
from abonent.core.states import NoticeKind
from abonent.errors import IdReused
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
from abonent.operator.core.evolution import attempt_of, evolve
from abonent.operator.core.owed import Effect, deadline_of, owed
from abonent.operator.core.policy import Ground
from abonent.operator.core.states import (
    Answered,
    AnswerOwed,
    Asked,
    Blank,
    Hold,
    Lapsed,
    Line,
    NoticeOwed,
    Recorded,
    State,
    line_of,
)

# --- what can be asked of it ----------------------------------------------------------


class Tick(Struct, frozen=True, kw_only=True):
    """Time has passed. Deadlines up to `settled`, inclusive, are settled; what is due is tried."""

    at: datetime
    settled: datetime


class Ask(Struct, frozen=True, kw_only=True):
    """A covered messenger's question, received at `at`."""

    at: datetime
    asked_at: datetime
    query_id: str
    messenger: str
    number: SubscriberNumber


class Promise(Struct, frozen=True, kw_only=True):
    """The messenger is about to be told that the answer comes later."""

    at: datetime


class HearBase(Struct, frozen=True, kw_only=True):
    """What the subscriber base said. `in_reply`: whoever asked still waits for the reply."""

    at: datetime
    outcome: Outcome
    in_reply: bool


class ReportFailed(Struct, frozen=True, kw_only=True):
    """A try of something owed failed; `id` is its idempotency id."""

    at: datetime
    id: str
    cause: str


class ReportDelivered(Struct, frozen=True, kw_only=True):
    """A messenger acknowledged an answer or notice."""

    at: datetime
    id: str


class Record(Struct, frozen=True, kw_only=True):
    """A covered messenger has a code recorded."""

    at: datetime
    messenger: str
    number: SubscriberNumber
    code: str
    hold: Hold | None


class Withdraw(Struct, frozen=True, kw_only=True):
    """A messenger withdraws a code."""

    at: datetime


class Require(Struct, frozen=True, kw_only=True):
    """The subscription that a record concerns is over; `notice_id` is a fresh id."""

    at: datetime
    notice_id: str
    kind: NoticeKind
    happened_at: datetime


class TellHolding(Struct, frozen=True, kw_only=True):
    """A messenger is told that the number is held."""

    at: datetime
    messenger: str
    hold: Hold


class EndSubscription(Struct, frozen=True, kw_only=True):
    """The subscription of this line is over; `shown`: the base showed it, nobody told us."""

    at: datetime
    movement_id: str
    kind: NoticeKind
    happened_at: datetime
    shown: bool = False


class ListRecord(Struct, frozen=True, kw_only=True):
    """A record stands beside the number, or not any more."""

    at: datetime
    key: bytes
    stands: bool


Command: TypeAlias = (
    Tick
    | Ask
    | Promise
    | HearBase
    | ReportFailed
    | ReportDelivered
    | Record
    | Withdraw
    | Require
    | TellHolding
    | EndSubscription
    | ListRecord
)


class Step(Struct, frozen=True, kw_only=True):
    """What a command leads to: events to commit, the state after them, effects to perform then."""

    events: tuple[Event, ...]
    state: State
    effects: tuple[Effect, ...]


class _Course:
    """Events as they are decided, with the state as it stands after each."""

    def __init__(self, state: State, ground: Ground) -> None:
        self.state = state
        self.ground = ground
        self.events: list[Event] = []

    def add(self, event: Event) -> None:
        self.state = evolve(self.state, event)
        self.events.append(event)


def decide(state: State, command: Command, ground: Ground) -> Step:
    """Decide one command.

    Raises:
        IdReused: a question or code came before, about another number; nothing changed.
    """
    course = _Course(state, ground)
    if type(command) is Tick:
        _settle(course, command.settled, command.at)
    else:
        # A command at an instant sees every earlier instant settled (step 1).
        _settle(course, command.at - RESOLUTION, command.at)
        _DECIDED_BY[type(command)](course, command)
    # Where nobody stands by to perform, what is owed is left to the next sweep.
    effects = _lease(course, command.at) if type(command) in _PERFORMED else ()
    return Step(events=tuple(course.events), state=course.state, effects=effects)


_PERFORMED: Final = frozenset({Tick, Ask})


def _settle(course: _Course, until: datetime, at: datetime) -> None:
    while (deadline := deadline_of(course.state)) is not None and deadline <= until:
        state = course.state
        if isinstance(state, Asked | AnswerOwed):
            kept_until = deadline + course.ground.policy.kept
            course.add(
                AnswerLapsed(at=at, messenger=state.messenger, due=deadline, kept_until=kept_until)
            )
        elif isinstance(state, NoticeOwed):
            course.add(NoticeOverdue(at=at, messenger=state.messenger, due=deadline))
        elif isinstance(state, Line):
            course.add(LineCleared(at=at))
        else:
            course.add(QuestionCleared(at=at))


def _lease(course: _Course, at: datetime) -> tuple[Effect, ...]:
    """Start a try of all that is owed now, in the commit that owes it (step 6)."""
    effects = owed(course.state, at)
    for _ in effects:
        course.add(AttemptStarted(at=at, next_try=at + course.ground.policy.lease))
    return effects


# --- questions (steps 2 and 3) --------------------------------------------------------


def _ask(course: _Course, command: Ask) -> None:
    state = course.state
    if isinstance(state, Blank):
        course.add(
            QuestionReceived(
                at=command.at,
                asked_at=command.asked_at,
                query_id=command.query_id,
                messenger=command.messenger,
                number=command.number,
                due=course.ground.answer_due(command.at),
                rules=course.ground.rules_at(command.at).id,
            )
        )
    elif isinstance(state, Asked | AnswerOwed | Answered | Lapsed):
        if state.number != command.number:
            raise IdReused("this question came before, about another number")
        if isinstance(state, AnswerOwed):
            _give(course, command.at, state.outcome)  # whoever asks again need not wait


def _give(course: _Course, at: datetime, outcome: Outcome) -> None:
    kept_until = at + course.ground.policy.kept
    course.add(AnswerGiven(at=at, outcome=outcome, kept_until=kept_until))


def _promise(course: _Course, command: Promise) -> None:
    if isinstance(course.state, Asked) and not course.state.promised:
        course.add(AnswerPromised(at=command.at))


def _hear_base(course: _Course, command: HearBase) -> None:
    state = course.state
    if not isinstance(state, Asked):
        return
    if command.in_reply and not state.promised:
        _give(course, command.at, command.outcome)
    else:
        course.add(AnswerFound(at=command.at, outcome=command.outcome))


# --- what became of a try -------------------------------------------------------------


def _owes(state: State, effect_id: str) -> bool:
    if isinstance(state, NoticeOwed):
        return state.notice_id == effect_id
    return isinstance(state, Asked | AnswerOwed) and state.query_id == effect_id


def _report_failed(course: _Course, command: ReportFailed) -> None:
    attempt = attempt_of(course.state)
    if attempt is None or not _owes(course.state, command.id):
        return
    policy = course.ground.policy
    doubled = policy.retry_first * 2 ** min(max(attempt.tries - 1, 0), 16)
    wait = min(doubled, policy.retry_longest)
    course.add(AttemptFailed(at=command.at, cause=command.cause, next_try=command.at + wait))


def _report_delivered(course: _Course, command: ReportDelivered) -> None:
    state = course.state
    if not _owes(state, command.id):
        return
    if isinstance(state, AnswerOwed):
        _give(course, command.at, state.outcome)
    elif isinstance(state, NoticeOwed):
        course.add(NoticeAcknowledged(at=command.at, notice_id=state.notice_id))


# --- records (steps 4 and 5) ----------------------------------------------------------


def _record(course: _Course, command: Record) -> None:
    state = course.state
    if isinstance(state, Blank):
        course.add(
            CodeRecorded(
                at=command.at,
                messenger=command.messenger,
                number=command.number,
                code=command.code,
                hold=command.hold,
                rules=course.ground.basis_at(command.at).id,
            )
        )
    elif isinstance(state, Recorded | NoticeOwed) and state.number != command.number:
        raise IdReused("this code was recorded before, beside another number")


def _withdraw(course: _Course, command: Withdraw) -> None:
    if isinstance(course.state, Blank | Recorded | NoticeOwed):
        course.add(RecordWithdrawn(at=command.at))


def _require(course: _Course, command: Require) -> None:
    state = course.state
    if isinstance(state, Recorded):
        happened_at = command.happened_at
        due = course.ground.notice_due(happened_at, state.since)
        if state.hold is not None:
            happened_at = max(happened_at, state.hold.asked_at)
        course.add(
            NoticeRequired(
                at=command.at,
                notice_id=command.notice_id,
                kind=command.kind,
                happened_at=happened_at,
                due=due,
            )
        )


# --- lines ----------------------------------------------------------------------------


def _tell_holding(course: _Course, command: TellHolding) -> None:
    hold = command.hold
    for messenger, known in line_of(course.state).holds:
        if messenger == command.messenger:
            # An earlier question may be answered after a later one; the messenger goes by either.
            hold = changed(hold, asked_at=max(hold.asked_at, known.asked_at))
    course.add(
        HoldingTold(
            at=command.at,
            messenger=command.messenger,
            hold=hold,
            kept_until=command.at + course.ground.policy.kept,
        )
    )


def _end_subscription(course: _Course, command: EndSubscription) -> None:
    policy = course.ground.policy
    if all(each.id != command.movement_id for each in line_of(course.state).ends):
        lag = timedelta(0) if command.shown else policy.base_lag
        course.add(
            SubscriptionEnded(
                at=command.at,
                movement_id=command.movement_id,
                kind=command.kind,
                happened_at=command.happened_at,
                believed_until=command.at + lag,
                kept_until=command.at + policy.kept,
            )
        )


def _list(course: _Course, command: ListRecord) -> None:
    listed = command.key in line_of(course.state).records
    if command.stands and not listed:
        course.add(RecordListed(at=command.at, key=command.key))
    elif listed and not command.stands:
        course.add(RecordUnlisted(at=command.at, key=command.key))


_DECIDED_BY: Final[dict[type[Command], Callable[[_Course, Any], None]]] = {
    Ask: _ask,
    Promise: _promise,
    HearBase: _hear_base,
    ReportFailed: _report_failed,
    ReportDelivered: _report_delivered,
    Record: _record,
    Withdraw: _withdraw,
    Require: _require,
    TellHolding: _tell_holding,
    EndSubscription: _end_subscription,
    ListRecord: _list,
}

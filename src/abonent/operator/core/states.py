"""The states of what an operator keeps: of a question, of a record, and of a number's line.

Knows what is true now. Refuses to know how it came to be (events) or what may follow (transitions).
Each row of the store is in one of these states. A question is answered or lapses; a record stands
until its messenger was told that the subscription ended, or withdrew it; a line is what is known
of one number, so that what comes late is judged rightly.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypeAlias, get_args

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import Attempt, Kept, NoticeKind


class Blank(Kept, frozen=True, kw_only=True, tag=1):
    """Nothing is kept."""


class Asked(Kept, frozen=True, kw_only=True, tag=2):
    """A question came at `received_at`, and the subscriber base has not said anything yet.

    `asked_at` is when it was asked by the messenger's clock. `promised`: the messenger was told
    that the answer comes later.
    """

    query_id: str
    messenger: str
    number: SubscriberNumber
    asked_at: datetime
    received_at: datetime
    due: datetime
    promised: bool
    looking: Attempt


class AnswerOwed(Kept, frozen=True, kw_only=True, tag=3):
    """The answer is known, was promised for later, and is to be delivered by `due`."""

    query_id: str
    messenger: str
    number: SubscriberNumber
    outcome: Outcome
    received_at: datetime
    due: datetime
    giving: Attempt


class Answered(Kept, frozen=True, kw_only=True, tag=4):
    """The answer was given in time; asked again, the operator says the same."""

    number: SubscriberNumber
    outcome: Outcome
    at: datetime
    kept_until: datetime


class Lapsed(Kept, frozen=True, kw_only=True, tag=5):
    """The time to answer ran out at `due`."""

    number: SubscriberNumber
    due: datetime
    kept_until: datetime


class Hold(Kept, frozen=True, kw_only=True, tag=20):
    """What a messenger was told to be held: the subscription that stands from `since` on.

    `asked_at` is when it had asked, by its own clock: news of earlier times are stale to it.
    """

    since: datetime
    asked_at: datetime


class Recorded(Kept, frozen=True, kw_only=True, tag=6):
    """Messenger and identification code stand beside the subscriber.

    `hold` is the subscription that they concern; None if the messenger was never told of one.
    """

    messenger: str
    number: SubscriberNumber
    code: str
    since: datetime
    hold: Hold | None


class NoticeOwed(Kept, frozen=True, kw_only=True, tag=7):
    """The subscription is over, and the messenger has to know it by `due`, or as soon as can be.

    `happened_at` is what it will be told; `due` counts from when it really happened.
    """

    messenger: str
    number: SubscriberNumber
    code: str
    since: datetime
    notice_id: str
    kind: NoticeKind
    happened_at: datetime
    due: datetime
    overdue: bool
    telling: Attempt


class Told(Kept, frozen=True, kw_only=True, tag=8):
    """The messenger acknowledged the notice: the record is closed, its code never comes back."""

    at: datetime


class Withdrawn(Kept, frozen=True, kw_only=True, tag=9):
    """The messenger withdrew the code, perhaps before it was recorded: it is never taken up."""

    at: datetime


class End(Kept, frozen=True, kw_only=True, tag=21):
    """A subscription of this number ended; `id` is the movement's.

    Up to `believed_until`, exclusive, a base that still shows it is taken to be behind.
    """

    id: str
    kind: NoticeKind
    happened_at: datetime
    believed_until: datetime


class Line(Kept, frozen=True, kw_only=True, tag=10):
    """One number: what each messenger was told to be held, how it ended, and which records stand.

    `holds` and `ends`, the oldest first, are forgotten at `kept_until`. `records` are keys.
    """

    holds: tuple[tuple[str, Hold], ...] = ()
    ends: tuple[End, ...] = ()
    records: tuple[bytes, ...] = ()
    kept_until: datetime | None = None


State: TypeAlias = (
    Blank | Asked | AnswerOwed | Answered | Lapsed | Recorded | NoticeOwed | Told | Withdrawn | Line
)
STATES: Final[tuple[type[State], ...]] = get_args(State)
BLANK: Final = Blank()


def line_of(state: State) -> Line:
    """Return what is known of a number, nothing if nothing is kept."""
    return state if isinstance(state, Line) else Line()


def hold_of(line: Line, messenger: str) -> Hold | None:
    """Return what this messenger was told to be held, if anything."""
    return dict(line.holds).get(messenger)


def concerns(happened_at: datetime, hold: Hold | None) -> bool:
    """Tell whether an end at this instant is one of the subscription that was said to be held.

    Of what was never said to be held, any end is one.
    """
    return hold is None or happened_at > hold.since


def ended(line: Line, hold: Hold | None) -> End | None:
    """Return the first known end of a subscription that was said to be held, if there is one."""
    return next((each for each in line.ends if concerns(each.happened_at, hold)), None)

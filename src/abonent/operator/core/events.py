"""What has happened at an operator's desk, in the past tense.

Knows facts. Refuses to know what they lead to; that is for `evolve`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypeAlias, get_args

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import Kept, NoticeKind
from abonent.operator.core.states import Hold


class QuestionReceived(Kept, frozen=True, kw_only=True, tag=32):
    """A messenger asked, at `asked_at` by its clock; `at` is when we received it.

    The answer is owed by `due`, inclusive.
    """

    at: datetime
    asked_at: datetime
    query_id: str
    messenger: str
    number: SubscriberNumber
    due: datetime
    rules: str


class AnswerPromised(Kept, frozen=True, kw_only=True, tag=33):
    """The messenger was told that the answer comes later."""

    at: datetime


class AttemptStarted(Kept, frozen=True, kw_only=True, tag=34):
    """A try of something owed begins; if nothing is heard of it, it is made again at `next_try`."""

    at: datetime
    next_try: datetime


class AttemptFailed(Kept, frozen=True, kw_only=True, tag=35):
    """A try of something owed failed; `cause` is the stable code of the error."""

    at: datetime
    cause: str
    next_try: datetime


class AnswerFound(Kept, frozen=True, kw_only=True, tag=36):
    """The subscriber base said what a messenger was promised to be told later."""

    at: datetime
    outcome: Outcome


class AnswerGiven(Kept, frozen=True, kw_only=True, tag=37):
    """The answer was given, in the reply or acknowledged later; it is kept until `kept_until`."""

    at: datetime
    outcome: Outcome
    kept_until: datetime


class AnswerLapsed(Kept, frozen=True, kw_only=True, tag=38):
    """The time to answer ran out: an alarm."""

    at: datetime
    messenger: str
    due: datetime
    kept_until: datetime


class QuestionCleared(Kept, frozen=True, kw_only=True, tag=39):
    """A settled question was kept for as long as the policy says."""

    at: datetime


class CodeRecorded(Kept, frozen=True, kw_only=True, tag=40):
    """A messenger had its identification code recorded beside the subscriber."""

    at: datetime
    messenger: str
    number: SubscriberNumber
    code: str
    hold: Hold | None
    rules: str


class NoticeRequired(Kept, frozen=True, kw_only=True, tag=41):
    """The subscription that a record concerns is over: its messenger must know by `due`.

    `happened_at` is what the messenger will be told: when it happened, but no earlier than it
    asked what we answered with HELD, for that is taken back.
    """

    at: datetime
    notice_id: str
    kind: NoticeKind
    happened_at: datetime
    due: datetime


class NoticeOverdue(Kept, frozen=True, kw_only=True, tag=42):
    """The time to tell the messenger ran out: an alarm. It is tried on."""

    at: datetime
    messenger: str
    due: datetime


class NoticeAcknowledged(Kept, frozen=True, kw_only=True, tag=43):
    """The messenger acknowledged the notice; the record is closed."""

    at: datetime
    notice_id: str


class RecordWithdrawn(Kept, frozen=True, kw_only=True, tag=44):
    """The messenger withdrew a code, whether or not it had been recorded yet."""

    at: datetime


class HoldingTold(Kept, frozen=True, kw_only=True, tag=45):
    """A messenger was told that the number is held."""

    at: datetime
    messenger: str
    hold: Hold
    kept_until: datetime


class SubscriptionEnded(Kept, frozen=True, kw_only=True, tag=46):
    """The subscription of a number ended, by the operator's systems or as the base showed."""

    at: datetime
    movement_id: str
    kind: NoticeKind
    happened_at: datetime
    believed_until: datetime
    kept_until: datetime


class RecordListed(Kept, frozen=True, kw_only=True, tag=47):
    """A record with this key stands beside the number from now on."""

    at: datetime
    key: bytes


class RecordUnlisted(Kept, frozen=True, kw_only=True, tag=48):
    """A record with this key does not stand beside the number any more."""

    at: datetime
    key: bytes


class LineCleared(Kept, frozen=True, kw_only=True, tag=49):
    """What was known of a number was kept for as long as the policy says."""

    at: datetime


Event: TypeAlias = (
    QuestionReceived
    | AnswerPromised
    | AttemptStarted
    | AttemptFailed
    | AnswerFound
    | AnswerGiven
    | AnswerLapsed
    | QuestionCleared
    | CodeRecorded
    | NoticeRequired
    | NoticeOverdue
    | NoticeAcknowledged
    | RecordWithdrawn
    | HoldingTold
    | SubscriptionEnded
    | RecordListed
    | RecordUnlisted
    | LineCleared
)
EVENTS: Final[tuple[type[Event], ...]] = get_args(Event)

"""What the operator's side needs from outside: its subscriber base, and the way to messengers.

Knows shapes and promises. Refuses to know a database, a network or a clock.

Adapters raise `Unavailable` when trying again may help and `Misconfigured` when it cannot;
anything else that escapes one is reported as `AdapterFault` and its text is dropped, because it
may carry a number.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Protocol

from attrs import field, frozen

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import check_instant, check_instant_field, check_member
from abonent.core.states import NoticeKind
from abonent.errors import InvalidValue
from abonent.ports import GatewayFeatures, LateAnswer, Notice

LONGEST_ID: Final = 128
"""Characters that the id of a question, entry or movement may have."""

# --- the operator's own systems -----------------------------------------------------


def _known(_: object, attribute: object, value: Any) -> None:
    check_member(Outcome)(_, attribute, value)
    if value is Outcome.LATER:
        raise InvalidValue("a base that cannot say yet raises Unavailable, or takes its time")


@frozen(kw_only=True)
class Holding:
    """What the subscriber base says of a number, now.

    `outcome` is what the messenger will be told; never LATER. `since` is from when on that is so,
    None if the base does not know: for HELD, since when the present subscriber has had the number
    here without a break; for the others, when the subscription ended or was ported out. Without
    it, a record of the former subscriber is told from one of the next less surely.

    Raises:
        InvalidValue: LATER, or no outcome at all.
        NaiveInstant: `since` has no time zone.
    """

    outcome: Outcome = field(validator=_known)
    since: datetime | None = field(default=None, validator=check_instant_field)


class SubscriberBase(Protocol):
    """The operator's database of subscribers, asked by number. It gives no name and no document.

    Raises:
        Unavailable: out of reach or overloaded: it is asked again inside the deadline.
        Misconfigured: it refuses our credentials or request: an alarm.
    """

    @property
    def features(self) -> GatewayFeatures:
        """Whether it answers without waiting, and how many questions it takes at once."""
        ...

    def holds(self, number: SubscriberNumber) -> Holding:
        """Say whether information about the subscriber is held, or who else serves the number."""
        ...


class AsyncSubscriberBase(Protocol):
    """The same for the async shell."""

    @property
    def features(self) -> GatewayFeatures:
        """See `SubscriberBase.features`."""
        ...

    async def holds(self, number: SubscriberNumber) -> Holding:
        """See `SubscriberBase.holds`."""
        ...


def _is_id(_: object, attribute: object, value: Any) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID:
        raise InvalidValue(f"an id has 1 to {LONGEST_ID} characters")


def _is_instant(_: object, attribute: object, value: Any) -> None:
    if not isinstance(value, datetime):
        raise InvalidValue("a movement says when it happened")
    check_instant(value)


@frozen(kw_only=True)
class Movement:
    """A subscription ended, was given to another, was ported out, or changed its number.

    Told by the operator's own systems. `id` is theirs, 1–128 characters: the same movement twice
    does nothing more. `number` is the one that the subscriber had until `happened_at`.

    Raises:
        InvalidValue: an id that is none, or no kind of notice.
        NaiveInstant: `happened_at` has no time zone.
    """

    id: str = field(validator=_is_id)
    number: SubscriberNumber
    kind: NoticeKind = field(validator=check_member(NoticeKind))
    happened_at: datetime = field(validator=_is_instant)


# --- the way to messengers ----------------------------------------------------------


class NoticeCarrier(Protocol):
    """Carries notices, and answers that come later, to messengers; which one is said by its id.

    Every call may come again under the same id (`notice.id`, `answer.query_id`), with the same
    contents, and must be harmless. `features.concurrency` is meant for each messenger.

    Raises, from either method:
        Unavailable: the messenger is out of reach: it is tried again.
        Misconfigured: the messenger refuses us: an alarm; it is tried again all the same.
    """

    @property
    def features(self) -> GatewayFeatures:
        """Whether it returns without waiting, and how many calls to one messenger run at once."""
        ...

    def deliver(self, messenger: str, notice: Notice) -> None:
        """Deliver a notice; returning means that the messenger acknowledged it."""
        ...

    def deliver_answer(self, messenger: str, answer: LateAnswer) -> None:
        """Deliver the answer to a question to which LATER was said; returning: acknowledged."""
        ...


class AsyncNoticeCarrier(Protocol):
    """The same for the async shell."""

    @property
    def features(self) -> GatewayFeatures:
        """See `NoticeCarrier.features`."""
        ...

    async def deliver(self, messenger: str, notice: Notice) -> None:
        """See `NoticeCarrier.deliver`."""
        ...

    async def deliver_answer(self, messenger: str, answer: LateAnswer) -> None:
        """See `NoticeCarrier.deliver_answer`."""
        ...

"""What an operator pushes that is no notice: a changed SIM, and the end of what it pushes by.

Knows the events of sim-swap-subscriptions 0.3.0. Refuses to take a changed SIM for a changed
subscriber: whoever loses a phone gets a new card for the same contract (P18). So a hint is a value
of its own kind, which `receive` does not take. A messenger may ask the user to be identified anew;
nothing here does. Who sent an event is to be verified before it is read.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import Enum
from typing import Any, Final, TypeAlias

import msgspec
from attrs import field, frozen

from abonent.core.numbers import SubscriberNumber
from abonent.errors import InvalidValue

_TYPE: Final = re.compile(
    # The released file names the API in some of its events, and a place for its name in others.
    r"org\.camaraproject\.(?:sim-swap-subscriptions|api-name)\.v[0-9a-z.]{1,16}\.([a-z-]{1,40})"
)
_ID: Final = re.compile(r"[\x20-\x7e]{1,256}", re.ASCII)
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{4,14}", re.ASCII)
LONGEST_EVENT: Final = 16_384


class EndOfFeed(Enum):
    """Why a subscription to events ended. The values are CAMARA's."""

    NETWORK_TERMINATED = "NETWORK_TERMINATED"
    SUBSCRIPTION_EXPIRED = "SUBSCRIPTION_EXPIRED"
    MAX_EVENTS_REACHED = "MAX_EVENTS_REACHED"
    ACCESS_TOKEN_EXPIRED = "ACCESS_TOKEN_EXPIRED"  # noqa: S105 - the name of a reason
    SUBSCRIPTION_DELETED = "SUBSCRIPTION_DELETED"
    OTHER = "OTHER"
    """A reason that we do not know."""


@frozen(kw_only=True)
class SimSwapped:
    """The SIM of a number was changed. It says nothing about who the subscriber is.

    `number` is None where the subscription is one number's: then the subscription names it.
    """

    id: str
    source: str
    subscription: str = field(repr=False)
    number: SubscriberNumber | None
    at: datetime


@frozen(kw_only=True)
class SubscriptionEnded:
    """The operator has stopped pushing events of a subscription: see to it (P19)."""

    id: str
    source: str
    subscription: str = field(repr=False)
    why: EndOfFeed
    at: datetime


Hint: TypeAlias = SimSwapped | SubscriptionEnded


def read_event(body: bytes) -> Hint | None:
    """Read a pushed event; None if it is of a kind that says nothing to us.

    Raises:
        InvalidValue: not an event of that form, longer than 16 KiB, or without a time zone. The
            text does not quote it.
    """
    event = _object(body)
    kind = _TYPE.fullmatch(_text(event, "type"))
    if _text(event, "specversion") != "1.0":
        raise InvalidValue("an event is a CloudEvent 1.0")
    if kind is None or kind[1] not in {"swapped", "subscription-ended"}:
        return None
    named = {"id": _text(event, "id"), "source": _text(event, "source")}
    at = _instant(_text(event, "time"))
    data = _data(event)
    subscription = _text(data, "subscriptionId")
    if kind[1] == "swapped":
        return SimSwapped(**named, subscription=subscription, number=_number(data), at=at)
    return SubscriptionEnded(**named, subscription=subscription, why=_why(data), at=at)


def _object(body: bytes) -> dict[str, Any]:
    if len(body) > LONGEST_EVENT:
        raise InvalidValue("an event has at most 16 KiB")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidValue("an event is a JSON object") from None


def _data(event: dict[str, Any]) -> dict[str, Any]:
    try:
        return msgspec.convert(event.get("data"), dict[str, Any])
    except msgspec.ValidationError:
        raise InvalidValue("an event of this kind has data") from None


def _text(of: dict[str, Any], name: str) -> str:
    value = of.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise InvalidValue(f"an event has a {name}: 1 to 256 visible characters")
    return value


def _instant(text: str) -> datetime:
    try:
        at = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise InvalidValue("the time of an event follows RFC 3339") from None
    if at.utcoffset() is None:
        raise InvalidValue("the time of an event has a time zone")
    return at


def _number(data: dict[str, Any]) -> SubscriberNumber | None:
    value = data.get("phoneNumber")
    if value is None:
        return None
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise InvalidValue("the number of an event is one that CAMARA knows")
    return SubscriberNumber(value)


def _why(data: dict[str, Any]) -> EndOfFeed:
    value = data.get("terminationReason")
    return EndOfFeed(value) if value in {each.value for each in EndOfFeed} else EndOfFeed.OTHER

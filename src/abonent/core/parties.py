"""Who takes part: messengers, operators and what a person is called here.

Knows ids and kinds. Refuses to know names of persons: there is no field to put one in.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from attrs import field, frozen

from abonent.errors import InvalidUserId, InvalidValue, NaiveInstant

_ID: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?", re.ASCII)
_TERRITORY: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_LONGEST_USER_ID: Final = 128


def check_id(_: object, attribute: object, value: str) -> None:
    """Refuse what is not 1–64 of `a-z 0-9 . _ -` between letters or digits."""
    if not _ID.fullmatch(value):
        raise InvalidValue("an id is 1 to 64 characters of a-z, 0-9, '.', '_' and '-'")


def check_user_id(value: str) -> str:
    """Return the user id, or refuse one that is empty, too long or holds control characters."""
    if not value or len(value) > _LONGEST_USER_ID:
        raise InvalidUserId(f"a user id has 1 to {_LONGEST_USER_ID} characters")
    if not value.isprintable():
        raise InvalidUserId("a user id holds no NUL, control or unprintable characters")
    return value


def check_territory(_: object, attribute: object, value: Any) -> None:
    """Refuse what is not two capital letters, as ISO 3166-1 alpha-2 has them; None passes."""
    if value is not None and not (isinstance(value, str) and _TERRITORY.fullmatch(value)):
        raise InvalidValue("a territory is two capital letters, as in ISO 3166-1 alpha-2")


def check_instant(value: datetime) -> datetime:
    """Return the instant, or refuse a naive one (P16).

    Raises:
        NaiveInstant: no time zone.
    """
    if value.utcoffset() is None:
        raise NaiveInstant("an instant needs a time zone")
    return value


def check_member(kind: type[Enum]) -> Callable[[object, object, Any], None]:
    """Return an attrs validator that takes members of an enumeration only, no look-alikes."""

    def check(_: object, attribute: object, value: Any) -> None:
        if not isinstance(value, kind):
            raise InvalidValue(f"this takes a member of {kind.__name__}")

    return check


def check_instant_field(_: object, attribute: object, value: Any) -> None:
    """The same as an attrs validator; None passes."""
    if value is not None:
        check_instant(value)


class MessengerKind(Enum):
    """Whose law the organizer of the service is under (149-FZ, art. 10.1)."""

    DOMESTIC = "domestic"
    """A Russian legal person or citizen; may determine the number by itself (part 4.3)."""
    FOREIGN = "foreign"
    """Anyone else; only under an agreement with the operator (part 4.2, item 1)."""


@frozen(kw_only=True)
class Messenger:
    """The organizer of the instant messaging service whose users are identified."""

    id: str = field(validator=check_id)
    kind: MessengerKind = field(validator=check_member(MessengerKind))


@frozen(kw_only=True)
class Operator:
    """A mobile radiotelephone operator.

    `names` are its spellings in the numbering plan, by which routing recognises it.
    """

    id: str = field(validator=check_id)
    names: tuple[str, ...] = ()


@frozen(kw_only=True)
class Consent:
    """A user's consent to have their number disclosed to one recipient for one purpose.

    Needed for disclosure only; identification itself rests on a legal duty. In force in
    `[given_at, until)`; `until=None` until it is withdrawn.
    """

    user_id: str
    recipient: str = field(validator=check_id)
    purpose: str = field(validator=check_id)
    given_at: datetime = field(validator=check_instant_field)
    until: datetime | None = field(default=None, validator=check_instant_field)

    def covers(self, user_id: str, recipient: str, purpose: str, at: datetime) -> bool:
        """Tell whether this consent allows exactly this disclosure at this instant."""
        return (
            (self.user_id, self.recipient, self.purpose) == (user_id, recipient, purpose)
            and self.given_at <= at
            and (self.until is None or at < self.until)
        )


RESOLUTION: Final = timedelta(microseconds=1)
"""The smallest step of time that is told apart."""

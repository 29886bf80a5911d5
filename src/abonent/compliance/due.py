"""One line of the calendar: what is due, until when, and on what that rests.

Knows kinds of duties and their order. Refuses to know whose a duty is: users are counted, and no
user id or number enters here (I9).
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from attrs import field, frozen

from abonent.core.parties import check_instant_field, check_member
from abonent.errors import InvalidValue


class DueKind(Enum):
    """What kind of thing is due. The values are stable."""

    ANSWER_AWAITED = "answer_awaited"
    """Operators are to answer whether they hold a subscriber; silence is not passed."""
    REIDENTIFICATION_DUE = "reidentification_due"
    """Users are to be identified anew after a notice."""
    REMEDY_ORDERED = "remedy_ordered"
    """The agency ordered a violation remedied."""
    RESTRICTION_POSSIBLE = "restriction_possible"
    """An order was not met: access may be restricted from now on."""
    AGREEMENT_ENDS = "agreement_ends"
    """An agreement ends, and no other follows it at once."""
    USERS_UNWATCHED = "users_unwatched"
    """Users whose operator sends no notices any more, since no agreement with it is in force."""
    RULES_END = "rules_end"
    """The rule set in force ends."""


def _check_latest(item: DueItem, _: object, value: datetime) -> None:
    if value < item.at:
        raise InvalidValue("the latest of several is not before the earliest")


@frozen(kw_only=True)
class DueItem:
    """One line of the calendar.

    Args:
        at: until when; where one line stands for several users, the earliest of theirs. UTC. It is
            inclusive where the rules give minutes; what runs in days ends before it, at 00:00
            Moscow time of the day that follows.
        latest: the latest of several; the same as `at` where there is one.
        kind: what kind of thing.
        what: the same in a sentence, in English.
        operator: which operator's, if any; None for users whom the messenger identified by itself.
        about: the id of the case, agreement or rule set, if it is about one.
        count: how many users it concerns; of a case 1; 0 where nobody in particular.
        source: the document or clause on which it rests; empty for an agreement, which is its own.
    """

    at: datetime = field(validator=check_instant_field)
    latest: datetime = field(validator=[check_instant_field, _check_latest])
    kind: DueKind = field(validator=check_member(DueKind))
    what: str
    operator: str | None = None
    about: str | None = None
    count: int = 0
    source: str = ""


def in_order(item: DueItem) -> tuple[datetime, int, str, str]:
    """Return what items are sorted by: the instant, then the kind, the operator and the id."""
    return item.at, _ORDER[item.kind], item.operator or "", item.about or ""


_ORDER = {kind: place for place, kind in enumerate(DueKind)}

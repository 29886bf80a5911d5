"""Days: what runs in days begins at 00:00 Moscow time and lasts the whole day.

Knows days and the instants at which they begin. Refuses an instant where a day is meant: the two
are never mixed, so that no fact is a time zone off (P16).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from abonent.core.parties import check_instant
from abonent.core.rules import MOSCOW
from abonent.errors import InvalidValue

FIRST: Final = date(2000, 1, 1)
LAST: Final = date(2199, 12, 31)
"""What lies outside of these is a slip of the pen; inside, no addition leaves the calendar."""
DAY: Final = timedelta(days=1)


def check_day(_: object, attribute: object, value: Any) -> None:
    """Refuse what is no day from 2000 to 2199; for what comes from outside."""
    if type(value) is not date:
        raise InvalidValue("this takes a day, without a time and without a time zone")
    if not FIRST <= value <= LAST:
        raise InvalidValue("this takes a day from 2000-01-01 to 2199-12-31")


def begins(day: date) -> datetime:
    """Return the instant, in UTC, at which a day begins in Moscow."""
    return datetime.combine(day, time(), MOSCOW).astimezone(UTC)


def day_of(at: datetime) -> date:
    """Return the day that it is in Moscow at an instant.

    Raises:
        NaiveInstant: no time zone.
    """
    return check_instant(at).astimezone(MOSCOW).date()

"""The period of a report, as it is written on a command line.

Knows dates and instants. Refuses a time without a zone (P16).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Final

from abonent.core.parties import check_instant
from abonent.core.rules import MOSCOW
from abonent.errors import InvalidValue

_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def instant_of(text: str) -> datetime:
    """Read `2026-10-01`, which begins at 00:00 Moscow time, or an instant with a time zone.

    Raises:
        InvalidValue: neither.
        NaiveInstant: a time without a zone.
    """
    try:
        if _DATE.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), time(), MOSCOW).astimezone(UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        message = "a date is 2026-10-01, an instant 2026-10-01T12:00:00+03:00"
        raise InvalidValue(message) from None
    return check_instant(found).astimezone(UTC)


def check_period(start: datetime, end: datetime) -> None:
    """Refuse a period that does not begin before it ends.

    Raises:
        InvalidValue: it does not.
        NaiveInstant: an instant without a time zone.
    """
    if check_instant(start) >= check_instant(end):
        raise InvalidValue("a period begins before it ends")

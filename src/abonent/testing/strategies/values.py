"""Numbers, ids and instants: the plain values of which records are made.

Knows the ranges that a plain `str` or `datetime` does not tell. Refuses to know records.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from hypothesis import strategies as st

from abonent.core.numbers import SubscriberNumber

_ASCII: Final = st.characters(codec="ascii")
_EARLIEST: Final = datetime(1971, 1, 1)  # noqa: DTZ001 - Hypothesis takes bounds without a zone
_LATEST: Final = datetime(2400, 1, 1)  # noqa: DTZ001
_BETWEEN: Final = (
    "",
    "",
    "",
    "-",
    " ",
    ".",
    "/",
    "\u00a0",
    "\u2009",
    "\u202f",
    "–",
    "—",
    "‑",
    " - ",
)
_ZEROS: Final = "00０٠۰०๐"
"""The zeros of several scripts: ASCII twice, full-width, Arabic-Indic, Persian and others."""


def text_of(pattern: str) -> st.SearchStrategy[str]:
    """ASCII text that matches a pattern as a whole."""
    return st.from_regex(pattern, fullmatch=True, alphabet=_ASCII)


def mobile_numbers() -> st.SearchStrategy[SubscriberNumber]:
    """Russian mobile numbers: those that `parse_number` reads under any policy."""
    numbers = st.integers(79_000_000_000, 79_999_999_999)
    return numbers.map(lambda each: SubscriberNumber(f"+{each}"))


def subscriber_numbers() -> st.SearchStrategy[SubscriberNumber]:
    """Any number in E.164, half of them Russian mobile ones."""
    return mobile_numbers() | text_of(r"\+[1-9][0-9]{4,14}").map(SubscriberNumber)


@st.composite
def spellings(draw: st.DrawFn, number: SubscriberNumber) -> str:
    """Ways in which people type one Russian mobile number, all read as this number (P9).

    `+7`, `8`, `7` or nothing in front, brackets, separators, `tel:`, blanks around, and digits of
    any script.
    """
    national = number.e164[2:]
    code = national[:3] if draw(st.booleans()) else f"({national[:3]})"
    typed = draw(st.sampled_from(["+7", "+7 ", "8", "8 ", "7", ""])) + code
    for digit in national[3:]:
        typed += draw(st.sampled_from(_BETWEEN)) + digit
    zero = ord(draw(st.sampled_from(_ZEROS)))
    script = {ord("0") + each: zero + each for each in range(10)}
    script[ord("+")] = ord(draw(st.sampled_from("+＋")))
    before = draw(st.sampled_from(["", " ", "\t", "\u00a0", "tel:", "TEL:"]))
    after = draw(st.sampled_from(["", " ", "\n", "\u3000"]))
    return before + typed.translate(script) + after


def ids() -> st.SearchStrategy[str]:
    """Ids of messengers, operators, agreements, recipients and purposes."""
    return text_of(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?")


def user_ids() -> st.SearchStrategy[str]:
    """User ids: 1 to 128 printable characters of any script."""
    letters = st.characters(exclude_categories=("C", "Z"), include_characters=" ")
    return st.text(letters, min_size=1, max_size=128)


def aware_instants(
    earliest: datetime = _EARLIEST, latest: datetime = _LATEST
) -> st.SearchStrategy[datetime]:
    """Instants with a time zone, half of them in UTC. The bounds are local times, without one."""
    offsets = st.integers(-14 * 60, 14 * 60)
    zones = st.just(UTC) | offsets.map(lambda each: timezone(timedelta(minutes=each)))
    return st.datetimes(earliest, latest, timezones=zones)


def naive_instants() -> st.SearchStrategy[datetime]:
    """Datetimes without a time zone: whatever takes an instant refuses them by `NaiveInstant`."""
    return st.datetimes(_EARLIEST, _LATEST)

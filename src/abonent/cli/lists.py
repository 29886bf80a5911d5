"""Reading a messy list of numbers: one a line, or the first column of a CSV file.

Knows encodings, columns and line numbers. Refuses to quote a line: a bad one is named by its
place and the code of the reason (I9).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from attrs import field, frozen

from abonent.core.numbers import SubscriberNumber, parse_number
from abonent.core.policy import Policy
from abonent.errors import CallerError, InvalidNumber

LARGEST: Final = 64 * 2**20
"""The largest file that is read, in bytes."""
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_SEPARATOR: Final = re.compile(r"[;,\t]")
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_HEADS: Final = re.compile(
    r"(?:subscriber |phone |mobile |телефонный |мобильный )?"
    r"(?:numbers?|phones?|telephones?|mobiles?|msisdn|tel|номера?|телефоны?)[.:]?"
)


class NumbersUnreadable(CallerError):
    """A list of numbers that cannot be read at all."""

    code = "NUMBERS_FILE"
    remedy = "Give a text file with one number a line, or a CSV file with numbers in column one."


@frozen
class ListedNumber:
    """A number from a list: its line, counted from 1, and how it was spelled there."""

    line: int
    number: SubscriberNumber
    spelling: str = field(repr=False)


@frozen
class RejectedNumber:
    """A line without a number that can be identified, and the stable code of the reason."""

    line: int
    reason: str


@frozen(repr=False)
class NumberList:
    """What a list gives. A number may stand in it more than once, in different spellings."""

    numbers: tuple[ListedNumber, ...]
    rejected: tuple[RejectedNumber, ...]


def read_numbers(path: Path, policy: Policy) -> NumberList:
    """Read a list in UTF-8, UTF-16 with a byte order mark, or cp1251.

    Empty lines, leading comments (`#`) and one head are passed over.

    Raises:
        NumbersUnreadable: no such file, not a file, too large, or nothing in it.
    """
    numbers: list[ListedNumber] = []
    rejected: list[RejectedNumber] = []
    leading = True
    for line, text in enumerate(_LINE_END.split(_text(path)), 1):
        stripped = text.strip()
        if not stripped or (leading and stripped.startswith("#")):
            continue
        spelling = _first_column(stripped)
        head, leading = leading and _is_head(spelling, stripped), False
        if head:
            continue
        try:
            parsed = parse_number(
                spelling, default_region=policy.default_region, regions=policy.regions
            )
        except InvalidNumber as error:
            rejected.append(RejectedNumber(line, error.code))
        else:
            numbers.append(ListedNumber(line, parsed.number, spelling))
    if not numbers and not rejected:
        raise NumbersUnreadable(f"there is no number in {path.name}")
    return NumberList(tuple(numbers), tuple(rejected))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or "not a path"
        raise NumbersUnreadable(f"{path.name or path} cannot be read: {why}") from None
    if len(raw) > LARGEST:
        raise NumbersUnreadable(f"{path.name} is larger than {LARGEST // 2**20} MiB")
    for encoding in ("utf-16",) if raw.startswith(_UTF_16) else ("utf-8-sig", "cp1251"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    # Neither fits, so at least one line is damaged: the others may still be good.
    return raw.decode("utf-8-sig", errors="replace")


def _first_column(line: str) -> str:
    """Return the first column, without the quotes that spreadsheets put around it."""
    quote = line[0]
    if quote in "\"'" and (end := line.find(quote, 1)) > 0:
        return line[1:end].strip()
    return _SEPARATOR.split(line, maxsplit=1)[0].strip()


def _is_head(column: str, line: str) -> bool:
    """Tell a head from a bad line: it has no digit, and names a column or has several."""
    if any(each.isdigit() for each in line):
        return False
    several = _SEPARATOR.search(line) is not None
    return several or _HEADS.fullmatch(column.casefold()) is not None

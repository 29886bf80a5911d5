"""Numbers that left the operator of their range: one whole number to a line, `number;operator`.

Knows the layout and keeps millions of numbers in eight bytes each. Refuses to show one: no repr,
no iteration, no error text (I9).
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from abonent.routing.lines import Rejections, rows
from abonent.routing.spelling import Roster

_NUMBER: Final = re.compile(r"(?:\+?7|8)?(9[0-9]{9})", re.ASCII)
# A national number has ten digits and fits in 34 bits; 30 are left for an index beside it.
_SHIFT: Final = 30
_LOW: Final = (1 << _SHIFT) - 1
_CODE_SIZE: Final = 10_000_000


class PortedNumbers:
    """A look-up from a ten-digit national number to the roster's index of its operator."""

    __slots__ = ("_entries",)

    def __init__(self, entries: array[int]) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"PortedNumbers({len(self)})"

    def operator(self, national: int) -> int | None:
        """Return the index of the operator that the number was ported to, if it was."""
        entries = self._entries
        at = bisect_left(entries, national << _SHIFT)
        if at < len(entries) and entries[at] >> _SHIFT == national:
            return entries[at] & _LOW
        return None


def read_ported(
    lines: Iterable[str | None], roster: Roster, rejections: Rejections
) -> PortedNumbers:
    """Read a file of ported numbers.

    Raises:
        NumberingPlanError: a bad line, unless bad lines are left out.
    """
    places: array[int] = array("I")
    operators: array[int] = array("I")
    # Sorting turns numbers into Python objects for a while; by code, never all of them at once.
    codes: list[array[int]] = [array("Q") for _ in range(100)]
    for line, number, operator in _parsed(lines, rejections):
        codes[number // _CODE_SIZE - 900].append(number << _SHIFT | len(places))
        places.append(line)
        operators.append(roster.index(operator, or_id=True))

    entries: array[int] = array("Q")
    for code in codes:
        for number, group in groupby(sorted(code), key=_number):
            same = list(group)
            if len(same) == 1 or not _contradict(same, roster, operators, places, rejections):
                entries.append(number << _SHIFT | operators[same[0] & _LOW])
        del code[:]
    return PortedNumbers(entries)


def _number(packed: int) -> int:
    return packed >> _SHIFT


def _parsed(lines: Iterable[str | None], rejections: Rejections) -> Iterator[tuple[int, int, str]]:
    first = True
    for line, columns in rows(lines, rejections):
        number = _NUMBER.fullmatch(columns[0].strip())
        head = first and not any(each.isdigit() for each in columns[0])
        first = False
        if head:
            continue
        if number is None:
            rejections.reject(line, "the first column is not a Russian mobile number")
        elif len(columns) < 2 or not (operator := columns[1].strip()):
            rejections.reject(line, "no operator in the second column")
        else:
            yield line, int(number[1]), operator


def _contradict(
    same: list[int],
    roster: Roster,
    operators: array[int],
    places: array[int],
    rejections: Rejections,
) -> bool:
    """Reject lines that send one number to different operators; saying the same twice is fine."""
    said = [(places[each & _LOW], roster.ids[operators[each & _LOW]]) for each in same]
    # The last line goes first: it is the one that an error is raised for.
    for line, operator in reversed(said):
        other = next((place for place, differs in said if differs != operator), None)
        if other is None:
            return False
        rejections.reject(line, f"another operator for the same number than in line {other}")
    return True

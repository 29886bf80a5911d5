"""How a figure is spelt, and which value of many stands for them.

Knows durations, quantiles and names as words. Refuses to know what was measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil
from typing import Final

_UNITS: Final = ((86_400, "d", 2), (3_600, "h", 1), (60, "min", 1))
"""Units, and from how many on they are used: 24 hours are the name of a duty."""
_REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the least value that so great a share of all do not exceed; None of no values."""
    return ordered[ceil(share * len(ordered)) - 1] if ordered else None


def duration(seconds: float) -> str:
    """Spell a duration in its greatest unit, with two digits that tell something."""
    for size, unit, least in _UNITS:
        amount = seconds / size
        if amount >= least:
            whole = amount >= 10 or amount.is_integer()
            return f"{amount:.0f} {unit}" if whole else f"{amount:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def in_words(name: str) -> str:
    """Spell the name of an event, a state or a reason as words: `NumberClaimed`, `NOT_HELD`."""
    apart = name if name.isupper() else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return apart.replace("_", " ").lower()


def printable(text: str) -> str:
    """Return text without what moves a cursor or turns the direction of writing; lines stay."""
    kept = (each if each.isprintable() or each == "\n" else _REPLACED for each in text)
    return "".join(kept)

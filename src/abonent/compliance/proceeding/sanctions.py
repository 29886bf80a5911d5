"""What the agency may do, as figures with their source.

Knows the figures. Refuses to know when they apply: that is in the table of transitions. Where no
clause is known, the document alone is cited.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from abonent.core.rules import DRAFT_2017, Cited
from abonent.errors import InvalidValue

FINE_LEAST: Final = Cited(800_000, DRAFT_2017.title)
"""The smallest fine for a legal person, in roubles."""
FINE_MOST: Final = Cited(1_000_000, DRAFT_2017.title)
"""The largest fine for a legal person, in roubles."""
REMEDY_WITHIN: Final = Cited(timedelta(days=15), DRAFT_2017.title)
"""The time that an order gives to remedy a violation; the last day counts as a whole."""


def check_fine(_: object, attribute: object, value: Any) -> None:
    """Refuse what is no whole number of roubles between the bounds, which are included."""
    if type(value) is not int:
        raise InvalidValue("a fine is a whole number of roubles")
    if not FINE_LEAST.value <= value <= FINE_MOST.value:
        raise InvalidValue(
            f"a fine is from {FINE_LEAST.value} to {FINE_MOST.value} roubles ({FINE_MOST.source})"
        )

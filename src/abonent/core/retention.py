"""How long somebody is kept who is not identified.

Knows what may be dropped, and from when. Refuses to drop anybody who was identified by a proof for
as long as that stands: the duty to identify asks that it be kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final

from attrs import Attribute, field, frozen

from abonent.core.commands import Terrain, Tick
from abonent.core.identification import decide
from abonent.core.parties import check_instant
from abonent.core.states import Aggregate, Basis, Identified, NotPassed, Reason
from abonent.errors import InvalidValue

SHORTEST: Final = timedelta(days=1)
LONGEST: Final = timedelta(days=36_525)


def _how_long(_: object, attribute: Attribute[Any], value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, timedelta) or not SHORTEST <= value <= LONGEST:
        raise InvalidValue(f"RetentionPolicy.{attribute.name} is from 1 day to 100 years, or None")


class RetentionRule(Enum):
    """Why somebody may be dropped. The values are the names of the policy's fields."""

    NEVER_PASSED = "never_passed"
    LOST = "lost"
    DECLARED = "declared"


@frozen(kw_only=True)
class RetentionPolicy:
    """After how long somebody is forgotten; None keeps them. From one day to 100 years each.

    Who was identified by a proof is kept for as long as that stands, also while it is due to be
    made anew and while an attempt runs. Everything is kept unless you say otherwise.
    """

    never_passed: timedelta | None = field(default=None, validator=_how_long)
    """Of whom the last claim did not pass, since it ended: it expired, was not held, was not
    answered, or took too many failures."""
    lost: timedelta | None = field(default=None, validator=_how_long)
    """Who was identified once, and was displaced or not identified anew in time, since then."""
    declared: timedelta | None = field(default=None, validator=_how_long)
    """Who was taken over and never identified since, since that. Their gate is open until they are
    dropped, and closed from then on."""

    def drops(self, aggregate: Aggregate, at: datetime, terrain: Terrain) -> RetentionRule | None:
        """Return by which rule a user may be dropped at this instant; None: they are kept.

        What is due by then is settled first, so that it does not matter when a sweep came by.
        """
        check_instant(at)
        found = _over_since(decide(aggregate, Tick(at=at, settled=at), terrain).aggregate)
        if found is None:
            return None
        rule, since = found
        kept_for: timedelta | None = getattr(self, rule.value)
        return rule if kept_for is not None and at - since >= kept_for else None


_LOST: Final = frozenset({Reason.NOT_IDENTIFIED_ANEW, Reason.DISPLACED})


def _over_since(aggregate: Aggregate) -> tuple[RetentionRule, datetime] | None:
    """By which rule, and since when, somebody's time runs; None for whoever has none."""
    state = aggregate.state
    if isinstance(state, NotPassed):
        # Ended at the deadline that ran out, however late it was settled.
        lost = state.reason in _LOST
        rule = RetentionRule.LOST if lost else RetentionRule.NEVER_PASSED
        return rule, state.due or state.at
    if isinstance(state, Identified) and state.basis is Basis.DECLARED:
        return RetentionRule.DECLARED, state.since
    return None

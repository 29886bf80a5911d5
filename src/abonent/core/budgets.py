"""Rolling budgets: how often something may happen within any 24 hours.

Knows instants. Refuses to know whose they are: a budget is keyed by an opaque tag.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

from msgspec import Struct

from abonent.core.policy import DAY

Instants: TypeAlias = tuple[datetime, ...]


class Unsendable(Struct, frozen=True, kw_only=True):
    """No code may be sent now, to whomever: a budget shared by many is spent (P20).

    `until` is when it may be; None: not before a person has looked.
    """

    until: datetime | None


def live(instants: Instants, at: datetime) -> Instants:
    """Return those that still count: younger than 24 hours."""
    if not instants or at - instants[0] < DAY:
        return instants  # oldest first, so the common case needs no copy
    return tuple(each for each in instants if at - each < DAY)


def free_at(instants: Instants, limit: int, at: datetime) -> datetime | None:
    """Return None if one more is within the limit, otherwise the instant from which it will be."""
    counted = live(instants, at)
    if len(counted) < limit:
        return None
    return counted[-limit] + DAY


def spend(instants: Instants, at: datetime) -> Instants:
    """Count one more. Clocks that step back keep the order, so the oldest stays first."""
    counted = live(instants, at)
    if counted and at < counted[-1]:
        return tuple(sorted((*counted, at)))
    return (*counted, at)


def refund(instants: Instants, at: datetime) -> Instants:
    """Take back one that was counted at this instant, if it still counts."""
    if at not in instants:
        return instants
    position = len(instants) - 1 - instants[::-1].index(at)
    return instants[:position] + instants[position + 1 :]

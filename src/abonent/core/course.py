"""A course of events: what was decided so far, and the record as it stands after each event.

Knows how to collect. Refuses to decide.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from abonent.core.commands import Terrain
from abonent.core.events import Event, IdentificationNotPassed
from abonent.core.evolution import evolve
from abonent.core.owed import Effect
from abonent.core.states import Aggregate, Reason


class Step(Struct, frozen=True, kw_only=True):
    """What a command leads to: events to commit, the record after them, effects to perform then."""

    events: tuple[Event, ...]
    aggregate: Aggregate
    effects: tuple[Effect, ...]


class Course:
    """Events as they are decided, with the record as it stands after each."""

    __slots__ = ("aggregate", "events", "terrain")

    def __init__(self, aggregate: Aggregate, terrain: Terrain) -> None:
        self.aggregate = aggregate
        self.terrain = terrain
        self.events: list[Event] = []

    def add(self, event: Event) -> None:
        """Let an event happen."""
        self.aggregate = evolve(self.aggregate, event)
        self.events.append(event)


def not_passed(
    at: datetime,
    reason: Reason,
    due: datetime | None = None,
    retry_at: datetime | None = None,
) -> IdentificationNotPassed:
    """Return the end of an attempt."""
    return IdentificationNotPassed(at=at, reason=reason, due=due, retry_at=retry_at)

"""Settling what is due (step 1), and starting what is owed (step 8).

Knows deadlines, leases and when a debt is given up. Refuses to know why something is owed.
"""

from __future__ import annotations

from datetime import datetime

from abonent.core.course import Course, not_passed
from abonent.core.events import (
    AttemptStarted,
    CodeExpired,
    DebtGivenUp,
    Event,
    Lapsed,
    TombstoneCleared,
)
from abonent.core.owed import Effect, owed, wakes_at
from abonent.core.states import (
    Aggregate,
    AwaitingAnswer,
    Forgotten,
    ProvingPossession,
    Reason,
    ReidentificationDue,
    standing_identification,
)


def settle(course: Course, until: datetime, at: datetime) -> None:
    """Apply every deadline up to `until`, in the order in which they fell due."""
    while (event := _due(course.aggregate, until, at)) is not None:
        course.add(event)


def _due(aggregate: Aggregate, until: datetime, at: datetime) -> Event | None:
    state = aggregate.state
    found: list[tuple[datetime, Event]] = []
    if type(state) is ProvingPossession:
        if state.expires_at <= until:
            found.append((state.expires_at, not_passed(at, Reason.CLAIM_EXPIRED, state.expires_at)))
        if state.code is not None and state.code.expires_at <= until:
            expired = CodeExpired(at=at, claim=state.claim, issue=state.code.issue)
            found.append((state.code.expires_at, expired))
    elif type(state) is AwaitingAnswer:
        if state.due <= until:
            found.append((state.due, not_passed(at, Reason.NO_ANSWER, state.due)))
    elif type(state) is Forgotten:
        wake = None if aggregate.debts else wakes_at(aggregate)
        if wake is not None and wake <= until:
            found.append((wake, TombstoneCleared(at=at)))
    standing = standing_identification(state)
    if type(standing) is ReidentificationDue and standing.due <= until:
        found.append((standing.due, Lapsed(at=at, due=standing.due)))
    return min(found, key=lambda each: each[0])[1] if found else None


def give_up(course: Course, at: datetime) -> None:
    """Give up what was owed for as long as the policy says: an alarm, not an oversight (P15)."""
    for debt in course.aggregate.debts:
        if debt.attempt.next_try <= at and debt.since + course.terrain.policy.debt_kept <= at:
            course.add(DebtGivenUp(at=at, kind=debt.kind, operator=debt.operator, code=debt.code))


def lease(course: Course, at: datetime) -> tuple[Effect, ...]:
    """Start a try of all that is owed now, in the commit that owes it."""
    next_try = at + course.terrain.policy.lease
    effects = owed(course.aggregate, at)
    for each in effects:
        course.add(AttemptStarted(at=at, kind=each.kind, id=each.id, next_try=next_try))
    return effects

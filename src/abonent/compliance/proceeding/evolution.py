"""evolve(state, event): what a fact makes of an entry or a proceeding; and what is due in one.

Knows how each event changes a state, and the one deadline. Refuses what the table does not allow,
and what is dated before what went before: that raises and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

import attrs

from abonent.compliance.proceeding.days import DAY, begins
from abonent.compliance.proceeding.events import (
    AccessRestricted,
    CaseClosed,
    EnteredInRegister,
    Event,
    FineImposed,
    NoticeDrawnUp,
    OrderLapsed,
    RemedyOrdered,
    RestrictionLifted,
    StruckFromRegister,
    ViolationRemedied,
)
from abonent.compliance.proceeding.sanctions import REMEDY_WITHIN
from abonent.compliance.proceeding.states import (
    Blank,
    Closed,
    Fine,
    Lifted,
    Matter,
    NoticeDrawn,
    Ordered,
    OrderUnmet,
    Proceeding,
    Registered,
    Remedied,
    Restricted,
    State,
    Struck,
)
from abonent.compliance.proceeding.transitions import TRANSITIONS
from abonent.errors import ProceedingRefused


def evolve(state: State, event: Event) -> State:
    """Apply one event.

    Raises:
        ProceedingRefused: the table does not allow it here, it is of another case, it is dated
            before what went before, or it came once already; nothing changed.
    """
    allowed = TRANSITIONS[type(state)].get(type(event))
    if allowed is None:
        raise _refused(state, event, "may not happen in")
    _check_place(state, event)
    after = _APPLY[type(event)](state, event)
    if type(after) not in allowed:
        raise _refused(state, event, "may not lead there from")
    return after


def due(state: State) -> date | None:
    """Return the last day on which something asked of the messenger counts, None if nothing is."""
    return state.due if isinstance(state, Ordered) else None


def wakes_at(state: State) -> datetime | None:
    """Return the instant from which on an order counts as not met: when its last day is over."""
    last = due(state)
    return None if last is None else begins(last + DAY)


def lapse(state: State, on: date) -> OrderLapsed | None:
    """Return what has happened by this day without anybody reporting it, if anything has."""
    if isinstance(state, Ordered) and on > state.due:
        return OrderLapsed(on=state.due + DAY, case=state.matter.case)
    return None


def _check_place(state: State, event: Event) -> None:
    """Judge case and day. An order's last day is kept by whatever happens, not by a clock."""
    if isinstance(state, Blank):
        return
    if isinstance(state, Registered | Struck):
        last = state.since
    else:
        last = state.matter.last
        if getattr(event, "case", None) != state.matter.case:
            raise _refused(state, event, "is of another case than")
    if event.on < last:
        raise _refused(state, event, "is dated before the last event of")
    if isinstance(state, Ordered) and (event.on > state.due) is not isinstance(event, OrderLapsed):
        raise _refused(state, event, "is dated on the wrong side of the last day of")


def _refused(state: State, event: Event, why: str) -> ProceedingRefused:
    names = type(state).__name__, type(event).__name__
    return ProceedingRefused(f"{names[1]} {why} {names[0]}", state=names[0], event=names[1])


# What each event may find is said by the table, so that its function takes these states only.


def _dated(state: Proceeding, event: Event) -> Matter:
    """Return the matter with the day of the event."""
    return attrs.evolve(state.matter, last=event.on)


def _entered(_: Blank | Struck, event: EnteredInRegister) -> State:
    return Registered(since=event.on)


def _struck(_: Registered, event: StruckFromRegister) -> State:
    return Struck(since=event.on)


def _noticed(_: Blank, event: NoticeDrawnUp) -> State:
    return NoticeDrawn(matter=Matter(case=event.case, noticed=event.on, last=event.on))


def _fined(state: Proceeding, event: FineImposed) -> State:
    if state.matter.fine is not None:
        raise _refused(state, event, "came once already in")
    fine = Fine(on=event.on, roubles=event.roubles)
    return attrs.evolve(state, matter=attrs.evolve(_dated(state, event), fine=fine))


def _ordered(state: NoticeDrawn, event: RemedyOrdered) -> State:
    due = event.on + REMEDY_WITHIN.value
    return Ordered(matter=_dated(state, event), since=event.on, due=due)


def _remedied(state: Ordered | OrderUnmet | Restricted, event: ViolationRemedied) -> State:
    matter = _dated(state, event)
    if not isinstance(state, Restricted):
        return Remedied(matter=matter, due=state.due, since=event.on)
    if state.remedied is not None:
        raise _refused(state, event, "came once already in")
    return attrs.evolve(state, matter=matter, remedied=event.on)


def _lapsed(state: Ordered, event: OrderLapsed) -> State:
    return OrderUnmet(matter=_dated(state, event), due=state.due, since=event.on)


def _restricted(state: OrderUnmet, event: AccessRestricted) -> State:
    return Restricted(matter=_dated(state, event), due=state.due, since=event.on)


def _lifted(state: Restricted, event: RestrictionLifted) -> State:
    return Lifted(matter=_dated(state, event), since=event.on)


def _closed(state: Proceeding, event: CaseClosed) -> State:
    return Closed(matter=_dated(state, event), since=event.on)


_APPLY: Final[dict[type[Event], Callable[[Any, Any], State]]] = {
    EnteredInRegister: _entered,
    StruckFromRegister: _struck,
    NoticeDrawnUp: _noticed,
    FineImposed: _fined,
    RemedyOrdered: _ordered,
    ViolationRemedied: _remedied,
    OrderLapsed: _lapsed,
    AccessRestricted: _restricted,
    RestrictionLifted: _lifted,
    CaseClosed: _closed,
}

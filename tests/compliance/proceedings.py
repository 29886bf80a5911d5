"""Samples of every state and event of the register and of a proceeding."""

from __future__ import annotations

from datetime import date, timedelta

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
from abonent.compliance.proceeding.states import (
    Blank,
    Closed,
    Lifted,
    Matter,
    NoticeDrawn,
    Ordered,
    OrderUnmet,
    Registered,
    Remedied,
    Restricted,
    State,
    Struck,
)

DAY = timedelta(days=1)
NOTICED, ORDERED = date(2027, 3, 1), date(2027, 3, 5)
DUE = date(2027, 3, 20)
AFTER = DUE + DAY
CASE = "2027-17"
ROUBLES = 900_000


def matter(last: date = ORDERED) -> Matter:
    return Matter(case=CASE, noticed=NOTICED, last=last)


STATES: list[State] = [
    Blank(),
    Registered(since=NOTICED),
    Struck(since=NOTICED),
    NoticeDrawn(matter=matter(NOTICED)),
    Ordered(matter=matter(), since=ORDERED, due=DUE),
    OrderUnmet(matter=matter(AFTER), due=DUE, since=AFTER),
    Restricted(matter=matter(AFTER), due=DUE, since=AFTER),
    Lifted(matter=matter(AFTER), since=AFTER),
    Remedied(matter=matter(), due=DUE, since=ORDERED),
    Closed(matter=matter(AFTER), since=AFTER),
]


def happening(kind: type[Event], on: date, case: str = CASE) -> Event:
    """An event of this kind on this day."""
    if kind in (EnteredInRegister, StruckFromRegister):
        return kind(on=on)
    if kind is FineImposed:
        return FineImposed(on=on, case=case, roubles=ROUBLES)
    return kind(on=on, case=case)


def fitting(state: State, kind: type[Event]) -> Event:
    """An event of this kind on a day on which it may happen in this state, if it may at all."""
    in_time = isinstance(state, Ordered) and kind is not OrderLapsed
    return happening(kind, DUE if in_time else AFTER)


UNMET_AND_RESTRICTED = [
    NoticeDrawnUp(on=NOTICED, case=CASE),
    RemedyOrdered(on=ORDERED, case=CASE),
    AccessRestricted(on=AFTER, case=CASE),
]
MET = [
    NoticeDrawnUp(on=NOTICED, case=CASE),
    RemedyOrdered(on=ORDERED, case=CASE),
    ViolationRemedied(on=DUE, case=CASE),
    CaseClosed(on=AFTER, case=CASE),
]
LIFTED = [*UNMET_AND_RESTRICTED, RestrictionLifted(on=AFTER, case=CASE)]

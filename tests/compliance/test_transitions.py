"""The table of a proceeding and what happens: every cell is tried, and no cell is untrue."""

from __future__ import annotations

from itertools import product

import pytest

from abonent.compliance.proceeding import transitions
from abonent.compliance.proceeding.events import (
    EVENTS,
    AccessRestricted,
    FineImposed,
    OrderLapsed,
    RemedyOrdered,
    ViolationRemedied,
)
from abonent.compliance.proceeding.evolution import due, evolve, lapse, wakes_at
from abonent.compliance.proceeding.states import (
    STATES,
    Blank,
    Closed,
    NoticeDrawn,
    Ordered,
    OrderUnmet,
    Restricted,
)
from abonent.compliance.proceeding.transitions import TRANSITIONS
from abonent.errors import ProceedingRefused
from tests.compliance import proceedings
from tests.compliance.proceedings import AFTER, CASE, DAY, DUE, fitting, happening

CELLS = [
    pytest.param(state, event, id=f"{state.__name__}-{event.__name__}")
    for state, event in product(STATES, EVENTS)
]
BY_KIND = {type(each): each for each in proceedings.STATES}
OF_A_CASE = [each for each in proceedings.STATES if hasattr(each, "matter")]


def test_every_state_has_a_sample():
    """No cell is tested by nothing."""
    assert set(STATES) == set(BY_KIND)


def test_the_table_is_total():
    """The table has a row for every state and names known states and events; each event happens."""
    assert set(STATES) == set(TRANSITIONS)
    assert set(EVENTS) == {event for row in TRANSITIONS.values() for event in row}
    for row in TRANSITIONS.values():
        for cell in row.values():
            assert 1 == len(cell)
            assert set(cell) <= set(STATES)


@pytest.mark.parametrize(("kind", "event"), CELLS)
def test_cell(kind, event):
    """An allowed event leads to the state of its cell; any other is refused by name and changes
    nothing."""
    state = BY_KIND[kind]
    happened = fitting(state, event)
    as_told = repr(state)
    if event in TRANSITIONS[kind]:
        assert TRANSITIONS[kind][event] == (type(evolve(state, happened)),)
    else:
        with pytest.raises(ProceedingRefused) as refused:
            evolve(state, happened)
        assert (kind.__name__, event.__name__) == (refused.value.state, refused.value.event)
        assert f"{event.__name__} may not happen in {kind.__name__}" in str(refused.value)
    assert as_told == repr(state)


@pytest.mark.parametrize(("kind", "event"), CELLS)
def test_nothing_is_dated_before_what_went_before(kind, event):
    """Wherever an event may happen, it may not happen a day before the last one."""
    state = BY_KIND[kind]
    if event not in TRANSITIONS[kind] or kind is Blank:
        return
    last = state.matter.last if hasattr(state, "matter") else state.since
    with pytest.raises(ProceedingRefused, match="dated before"):
        evolve(state, happening(event, last - DAY))
    if event is not OrderLapsed:
        assert evolve(state, happening(event, last))


@pytest.mark.parametrize("state", OF_A_CASE, ids=lambda each: type(each).__name__)
def test_an_event_of_another_case_is_refused(state):
    """A proceeding is moved by what is about it only."""
    for event in TRANSITIONS[type(state)]:
        with pytest.raises(ProceedingRefused, match="another case"):
            evolve(state, happening(event, fitting(state, event).on, "2027-18"))


def test_the_one_way_to_a_restriction_is_an_order_that_was_not_met():
    """No other state leads there, and to that one leads nothing but the order's last day."""
    assert {OrderUnmet} == {
        state
        for state, row in TRANSITIONS.items()
        for cell in row.values()
        if Restricted in cell and state is not Restricted
    }
    assert {(Ordered, OrderLapsed)} == {
        (state, event)
        for state, row in TRANSITIONS.items()
        for event, cell in row.items()
        if OrderUnmet in cell and state is not OrderUnmet
    }


def test_nothing_follows_a_proceeding_that_is_over():
    """The last state is a dead end; what comes after has another id."""
    assert {} == TRANSITIONS[Closed]


def test_the_last_day_counts_as_a_whole():
    """Ordered on the 5th, due by the end of the 20th in Moscow; a day later it was not met."""
    ordered = BY_KIND[Ordered]
    assert DUE == due(ordered)
    assert "2027-03-20T21:00:00+00:00" == wakes_at(ordered).isoformat()
    assert lapse(ordered, DUE) is None
    assert OrderLapsed(on=AFTER, case=CASE) == lapse(ordered, AFTER)
    assert OrderLapsed(on=AFTER, case=CASE) == lapse(ordered, AFTER + 9 * DAY)


@pytest.mark.parametrize("kind", [each for each in STATES if each is not Ordered])
def test_nothing_else_has_a_last_day(kind):
    """Where nothing is ordered, or it is over, the calendar brings nothing about."""
    state = BY_KIND[kind]
    assert (None, None, None) == (due(state), wakes_at(state), lapse(state, AFTER + 99 * DAY))


def test_a_last_day_is_kept_by_what_happens():
    """On it an order has not lapsed yet; past it nothing happens before it has."""
    ordered = BY_KIND[Ordered]
    with pytest.raises(ProceedingRefused, match="wrong side"):
        evolve(ordered, OrderLapsed(on=DUE, case=CASE))
    for kind in TRANSITIONS[Ordered]:
        if kind is not OrderLapsed:
            with pytest.raises(ProceedingRefused, match="wrong side"):
                evolve(ordered, happening(kind, AFTER))


def test_remedied_in_time_and_too_late():
    """The last day is in time; the day after, the order was not met, whatever is done then."""
    remedied = ViolationRemedied(on=DUE, case=CASE)
    assert evolve(BY_KIND[Ordered], remedied).in_time is True
    late = evolve(BY_KIND[OrderUnmet], ViolationRemedied(on=AFTER, case=CASE))
    assert late.in_time is False
    assert DUE == late.due


def test_an_order_gives_fifteen_days():
    """The day of the order is not counted."""
    ordered = evolve(BY_KIND[NoticeDrawn], RemedyOrdered(on=proceedings.ORDERED, case=CASE))
    assert BY_KIND[Ordered] == ordered


def test_a_proceeding_has_one_fine():
    """It is kept through all that follows, and a second one is refused."""
    fine = FineImposed(on=AFTER, case=CASE, roubles=1_000_000)
    fined = evolve(BY_KIND[OrderUnmet], fine)
    assert (AFTER, 1_000_000) == (fined.matter.fine.on, fined.matter.fine.roubles)
    with pytest.raises(ProceedingRefused, match="once already"):
        evolve(fined, fine)
    restricted = evolve(fined, AccessRestricted(on=AFTER, case=CASE))
    assert fined.matter.fine == restricted.matter.fine


def test_a_violation_is_remedied_once():
    """Remedied while access is restricted, it stays so until that is lifted."""
    remedied = ViolationRemedied(on=AFTER, case=CASE)
    restricted = evolve(BY_KIND[Restricted], remedied)
    assert (AFTER, DUE) == (restricted.remedied, restricted.due)
    with pytest.raises(ProceedingRefused, match="once already"):
        evolve(restricted, remedied)


def test_what_leads_elsewhere_than_the_table_says_is_refused(monkeypatch):
    """The table is checked against the outcome, too: contents cannot leave it unseen."""
    monkeypatch.setitem(transitions.TRANSITIONS[OrderUnmet], AccessRestricted, (Closed,))
    with pytest.raises(ProceedingRefused, match="may not lead"):
        evolve(BY_KIND[OrderUnmet], AccessRestricted(on=AFTER, case=CASE))

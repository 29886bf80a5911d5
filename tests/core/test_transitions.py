"""The table and what happens: every cell is tried, and the table claims no more than is true."""

from __future__ import annotations

import copy
from itertools import product

import pytest

from abonent.core.events import (
    EVENTS,
    CodeIssued,
    Displaced,
    Lapsed,
    NumberClaimed,
    ReidentificationRequired,
    UserForgotten,
)
from abonent.core.evolution import evolve
from abonent.core.states import (
    STATES,
    Aggregate,
    Forgotten,
    Identified,
    ReidentificationDue,
    Unidentified,
    standing_identification,
)
from abonent.core.transitions import TRANSITIONS
from abonent.errors import TransitionRefused
from tests.core.samples import AGGREGATES, NOW, SAMPLES, identified

CELLS = [
    pytest.param(state, event, id=f"{state.__name__}-{event.__name__}")
    for state, event in product(STATES, EVENTS)
]


def samples_of(state, event):
    for aggregate, happening in product(AGGREGATES, SAMPLES):
        if type(aggregate.state) is state and type(happening) is event:
            yield aggregate, happening


def lacks_what_it_ends(aggregate, happening) -> bool:
    """An event about an older identification has nothing to be about where none stands."""
    standing = standing_identification(aggregate.state)
    if isinstance(happening, Lapsed):
        return not isinstance(standing, ReidentificationDue)
    return isinstance(happening, (ReidentificationRequired, Displaced)) and standing is None


def test_every_state_and_event_has_a_sample():
    """No cell is tested by an empty loop."""
    assert set(STATES) == {type(each.state) for each in AGGREGATES}
    assert set(EVENTS) == {type(each) for each in SAMPLES}


def test_the_table_is_total():
    """The table has a row for every state, and names known states and events only."""
    assert set(STATES) == set(TRANSITIONS)
    for row in TRANSITIONS.values():
        assert set(row) <= set(EVENTS)
        for cell in row.values():
            assert cell
            assert set(cell) <= set(STATES)
            assert len(set(cell)) == len(cell)


def test_every_event_may_happen_somewhere():
    """No event is defined that can never happen."""
    assert set(EVENTS) == {event for row in TRANSITIONS.values() for event in row}


@pytest.mark.parametrize(("state", "event"), CELLS)
def test_cell(state, event):
    """An allowed event leads to each state that its cell lists and to no other; any other event
    is refused by name and changes nothing."""
    allowed = TRANSITIONS[state].get(event, ())
    reached = set()
    for aggregate, happening in samples_of(state, event):
        as_it_was = copy.deepcopy(aggregate)
        if allowed and not lacks_what_it_ends(aggregate, happening):
            reached.add(type(evolve(aggregate, happening).state))
        else:
            with pytest.raises(TransitionRefused) as refused:
                evolve(aggregate, happening)
            assert (state.__name__, event.__name__) == (
                refused.value.state,
                refused.value.event,
            )
            assert state.__name__ in str(refused.value)
            assert event.__name__ in str(refused.value)
        assert as_it_was == aggregate
    assert set(allowed) == reached


def test_a_way_in_and_a_way_out_of_every_state():
    """Every state but the first is reached from another, and none is a dead end."""
    entered = {
        target
        for state, row in TRANSITIONS.items()
        for cell in row.values()
        for target in cell
        if target is not state
    }
    assert set(STATES) - {Unidentified} == entered
    for state, row in TRANSITIONS.items():
        assert NumberClaimed in row
        assert (UserForgotten in row) is (state is not Forgotten)


def test_what_leads_elsewhere_than_the_table_says_is_refused(monkeypatch):
    """The table is checked against the outcome, too: contents cannot leave it unseen."""
    monkeypatch.setitem(TRANSITIONS[Identified], Displaced, (Unidentified,))

    with pytest.raises(TransitionRefused):
        evolve(Aggregate(state=identified()), Displaced(at=NOW))


def test_contents_that_need_another_state_are_refused(monkeypatch):
    """A table that allows too much is caught by the event's own expectation."""
    monkeypatch.setitem(TRANSITIONS[Unidentified], CodeIssued, (Unidentified,))
    issued = next(each for each in SAMPLES if isinstance(each, CodeIssued))

    with pytest.raises(TransitionRefused) as refused:
        evolve(Aggregate(), issued)

    assert ("Unidentified", "CodeIssued") == (refused.value.state, refused.value.event)

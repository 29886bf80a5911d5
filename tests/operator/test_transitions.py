"""The table of a desk and what happens: every cell is tried, and it claims no more than is true."""

from __future__ import annotations

import copy
from itertools import product

import pytest

from abonent.errors import TransitionRefused
from abonent.operator.core.events import EVENTS, NoticeAcknowledged, RecordWithdrawn
from abonent.operator.core.evolution import ENDS_KEPT, evolve
from abonent.operator.core.states import STATES, Blank, Line, NoticeOwed, Told, Withdrawn
from abonent.operator.core.transitions import TRANSITIONS
from tests.operator.samples import EVENT_SAMPLES, STATE_SAMPLES, notice_owed

CELLS = [
    pytest.param(state, event, id=f"{state.__name__}-{event.__name__}")
    for state, event in product(STATES, EVENTS)
]


def test_every_state_and_event_has_a_sample():
    """No cell is tested by an empty loop."""
    assert set(STATES) == {type(each) for each in STATE_SAMPLES}
    assert set(EVENTS) == {type(each) for each in EVENT_SAMPLES}


def test_the_table_is_total():
    """The table has a row for every state, and names known states and events only."""
    assert set(STATES) == set(TRANSITIONS)
    assert set(EVENTS) == {event for row in TRANSITIONS.values() for event in row}
    for row in TRANSITIONS.values():
        for cell in row.values():
            assert cell
            assert set(cell) <= set(STATES)
            assert len(set(cell)) == len(cell)


@pytest.mark.parametrize(("state", "event"), CELLS)
def test_cell(state, event):
    """An allowed event leads to each state that its cell lists and to no other; any other event
    is refused by name and changes nothing."""
    allowed = TRANSITIONS[state].get(event, ())
    reached = set()
    for before, happening in product(STATE_SAMPLES, EVENT_SAMPLES):
        if type(before) is not state or type(happening) is not event:
            continue
        as_it_was = copy.deepcopy(before)
        if allowed:
            reached.add(type(evolve(before, happening)))
        else:
            with pytest.raises(TransitionRefused) as refused:
                evolve(before, happening)
            assert (state.__name__, event.__name__) == (refused.value.state, refused.value.event)
            assert f"{event.__name__} may not happen in {state.__name__}" in str(refused.value)
        assert as_it_was == before
    assert set(allowed) == reached


def test_nothing_leads_out_of_what_is_closed():
    """A code that was told about or withdrawn never comes back."""
    assert {} == TRANSITIONS[Told] == TRANSITIONS[Withdrawn]


def test_what_leads_elsewhere_than_the_table_says_is_refused(monkeypatch):
    """The table is checked against the outcome, too: contents cannot leave it unseen."""
    monkeypatch.setitem(TRANSITIONS[NoticeOwed], NoticeAcknowledged, (Blank,))
    acknowledged = next(each for each in EVENT_SAMPLES if isinstance(each, NoticeAcknowledged))
    with pytest.raises(TransitionRefused):
        evolve(notice_owed(), acknowledged)
    withdrawn = next(each for each in EVENT_SAMPLES if isinstance(each, RecordWithdrawn))
    assert isinstance(evolve(notice_owed(), withdrawn), Withdrawn)


def test_a_line_remembers_the_last_ends_in_their_order():
    """Ends are kept by when they happened, however late they are told, and only the last ones."""
    told = next(each for each in EVENT_SAMPLES if type(each).__name__ == "SubscriptionEnded")
    line = Blank()
    order = [3, 1, 2, *range(4, ENDS_KEPT + 3), 0]
    for each in order:
        happened_at = told.at.replace(microsecond=each)
        event = type(told)(
            at=told.at,
            movement_id=f"movement-{each}",
            kind=told.kind,
            happened_at=happened_at,
            believed_until=told.believed_until,
            kept_until=told.kept_until,
        )
        line = evolve(line, event)
    assert isinstance(line, Line)
    assert [each.happened_at.microsecond for each in line.ends] == list(range(3, ENDS_KEPT + 3))

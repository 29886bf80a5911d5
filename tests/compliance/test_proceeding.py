"""Facts of every kind in every order: what a register may come to, and what it may not."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import event as noted
from hypothesis import given
from hypothesis import strategies as st

from abonent.compliance import Register
from abonent.compliance.proceeding.days import begins, day_of
from abonent.compliance.proceeding.events import (
    EVENTS,
    AccessRestricted,
    EnteredInRegister,
    FineImposed,
    NoticeDrawnUp,
    OrderLapsed,
    RemedyOrdered,
    ViolationRemedied,
)
from abonent.compliance.proceeding.evolution import due, wakes_at
from abonent.compliance.proceeding.sanctions import FINE_LEAST, FINE_MOST, REMEDY_WITHIN
from abonent.compliance.proceeding.states import (
    Blank,
    Lifted,
    NoticeDrawn,
    Ordered,
    OrderUnmet,
    Registered,
    Remedied,
    Restricted,
    Struck,
)
from abonent.compliance.proceeding.transitions import TRANSITIONS
from abonent.errors import InvalidValue, NaiveInstant, ProceedingRefused
from tests.compliance.proceedings import (
    AFTER,
    CASE,
    DAY,
    DUE,
    LIFTED,
    MET,
    NOTICED,
    ORDERED,
    UNMET_AND_RESTRICTED,
    happening,
)

FIFTEEN = timedelta(days=15)
REPORTED = [each for each in EVENTS if each is not OrderLapsed]


def register(*events, messenger="messenger"):
    found = Register(messenger=messenger)
    for each in events:
        found = found.after(each)
    return found


@st.composite
def facts(draw):
    """Facts of two proceedings, in the order of their days; some of them cannot be."""
    day, found, told = date(2027, 1, 1), Register(messenger="messenger"), []
    steps = st.tuples(
        st.sampled_from("ab"), st.sampled_from([0, 1, 14, 15, 16, 17]), st.integers(0, 9)
    )
    for case, gap, oddity in draw(st.lists(steps, min_size=6, max_size=20)):
        day += gap * DAY
        state = found.on(day).case(case) or Blank()
        allowed = [each for each in REPORTED if each in TRANSITIONS[type(state)]]
        kind = draw(st.sampled_from(allowed if oddity < 8 and allowed else REPORTED))
        told.append(happening(kind, day, case))
        with suppress(ProceedingRefused):
            found = found.after(told[-1])
    return told


def accepted(events):
    """The register after all facts that it takes, and those; a refused one changes nothing."""
    found, taken = Register(messenger="messenger"), []
    for each in events:
        before = repr(found)
        try:
            found = found.after(each)
        except ProceedingRefused:
            assert before == repr(found)
        else:
            taken.append(each)
    return found, taken


def of(taken, case, *kinds):
    return [each for each in taken if isinstance(each, kinds) and each.case == case]


@given(facts())
def test_access_is_restricted_only_after_an_order_that_was_not_met(events):
    """Whatever is told in whatever order: fifteen whole days lay between, and no remedy in them."""
    found, taken = accepted(events)
    for each in of(taken, "a", AccessRestricted) + of(taken, "b", AccessRestricted):
        (order,) = of(taken, each.case, RemedyOrdered)
        assert each.on > order.on + FIFTEEN
        assert not [
            remedy
            for remedy in of(taken, each.case, ViolationRemedied)
            if remedy.on <= order.on + FIFTEEN
        ]
        noted("restricted")
    for state in found.cases:
        if isinstance(state, (Restricted, Lifted)):
            assert of(taken, state.matter.case, AccessRestricted)


@given(facts(), st.integers(0, 40))
def test_what_is_due_lies_fifteen_days_behind_its_order(events, later):
    """Never earlier than ordered, never moved; on a later day nothing is due that has passed."""
    found, taken = accepted(events)
    day = (found.last or date(2027, 1, 1)) + later * DAY
    for before, state in zip(found.cases, found.on(day).cases, strict=True):
        if isinstance(state, Ordered):
            (order,) = of(taken, state.matter.case, RemedyOrdered)
            assert order.on + FIFTEEN == due(state) >= day
            assert begins(day) < wakes_at(state) == begins(due(state)) + DAY
        elif isinstance(before, Ordered):
            assert isinstance(state, OrderUnmet)
            assert before.due + DAY == state.since <= day
            noted("lapsed")
        else:
            assert before == state


@given(facts())
def test_each_proceeding_goes_its_own_way(events):
    """What is told of one changes nothing of the other, nor of the entry."""
    both, taken = accepted(events)
    for case in "ab":
        alone, _ = accepted([each for each in taken if getattr(each, "case", case) == case])
        last = both.last or date(2027, 1, 1)
        assert (both.on(last).case(case), both.entry) == (alone.on(last).case(case), alone.entry)


def test_a_day_past_the_last_one_is_seen_by_whatever_comes_then():
    """The fact that the order was not met needs no telling: the days tell it."""
    noticed, ordered, restricted = UNMET_AND_RESTRICTED
    asked = register(noticed, ordered)
    assert isinstance(asked.on(DUE).case(CASE), Ordered)
    assert isinstance(asked.on(AFTER).case(CASE), OrderUnmet)
    assert Restricted(matter=asked.after(restricted).case(CASE).matter, due=DUE, since=AFTER) == (
        asked.after(restricted).case(CASE)
    )
    with pytest.raises(ProceedingRefused):
        asked.after(AccessRestricted(on=DUE, case=CASE))


def test_a_met_order_and_a_lifted_restriction():
    """Both ways end, each with its days."""
    assert DUE == register(*MET[:-1]).case(CASE).since
    assert register(*MET[:-1]).case(CASE).in_time
    assert "Closed" == type(register(*MET).case(CASE)).__name__
    assert isinstance(register(*LIFTED).case(CASE), Lifted)
    assert isinstance(register(*MET[:-1]).on(AFTER).case(CASE), Remedied)


def test_the_entry():
    """Entered, struck, and entered again; a proceeding neither needs an entry nor touches it."""
    entered = EnteredInRegister(on=NOTICED)
    struck = happening(EVENTS[1], ORDERED)
    assert Registered(since=NOTICED) == register(entered).entry
    assert Struck(since=ORDERED) == register(entered, struck).entry
    assert Registered(since=DUE) == register(entered, struck, EnteredInRegister(on=DUE)).entry
    assert Blank() == register(*MET).entry
    assert ORDERED == register(entered, struck).last


def test_facts_come_in_the_order_of_their_days():
    """Also where they are about different proceedings."""
    found = register(NoticeDrawnUp(on=ORDERED, case="a"))
    with pytest.raises(ProceedingRefused, match="before what stands before") as refused:
        found.after(NoticeDrawnUp(on=NOTICED, case="b"))
    assert ("Blank", "NoticeDrawnUp") == (refused.value.state, refused.value.event)
    several = found.after(NoticeDrawnUp(on=ORDERED, case="b"))
    assert ["a", "b"] == [each.matter.case for each in several.cases]
    assert isinstance(several.case("a"), NoticeDrawn)
    assert several.case("c") is None


def test_a_case_is_opened_once():
    """Two proceedings never share an id."""
    with pytest.raises(ProceedingRefused, match="NoticeDrawnUp may not happen in NoticeDrawn"):
        register(MET[0], MET[0])


def test_the_figures_and_their_source():
    """The facts as given: amounts, the time, and the document that they come from."""
    source = "draft of September 2017"
    assert (800_000, source) == (FINE_LEAST.value, FINE_LEAST.source)
    assert (1_000_000, source) == (FINE_MOST.value, FINE_MOST.source)
    assert (FIFTEEN, source) == (REMEDY_WITHIN.value, REMEDY_WITHIN.source)


@pytest.mark.parametrize("roubles", [800_000, 999_999, 1_000_000])
def test_a_fine_between_the_bounds(roubles):
    """Both bounds are included."""
    assert roubles == FineImposed(on=DUE, case=CASE, roubles=roubles).roubles


@pytest.mark.parametrize("roubles", [799_999, 1_000_001, 0, -900_000, 10**30])
def test_a_fine_outside_of_the_bounds(roubles):
    """It is refused, and the bounds are named with their source, the amount is not."""
    with pytest.raises(InvalidValue, match="800000 to 1000000 roubles") as refused:
        FineImposed(on=DUE, case=CASE, roubles=roubles)
    assert "draft of September 2017" in str(refused.value)


@pytest.mark.parametrize("roubles", [True, 900_000.0, "900000", None])
def test_what_is_no_amount(roubles):
    """Whole roubles only."""
    with pytest.raises(InvalidValue, match="whole number"):
        FineImposed(on=DUE, case=CASE, roubles=roubles)


@pytest.mark.parametrize("kind", REPORTED, ids=lambda each: each.__name__)
@pytest.mark.parametrize(
    "day",
    [
        datetime(2027, 3, 1),
        datetime(2027, 3, 1, tzinfo=UTC),
        "2027-03-01",
        None,
        date(1999, 12, 31),
        date(2200, 1, 1),
    ],
    ids=str,
)
def test_what_is_no_day(kind, day):
    """An instant is no day, naive or not, and a day of another century is a slip (P16)."""
    with pytest.raises(InvalidValue, match="a day"):
        happening(kind, day)


@pytest.mark.parametrize("day", [date(2000, 1, 1), date(2199, 12, 31)])
def test_at_the_ends_of_the_calendar(day):
    """Every day that is taken can be counted on from."""
    found = register(*(happening(each, day) for each in (NoticeDrawnUp, RemedyOrdered)))
    assert isinstance(found.on(day + 16 * DAY).case(CASE), OrderUnmet)


@pytest.mark.parametrize("case", ["", "a" * 65, "Дело", "a b", "-a", "a\n", "A"])
def test_what_is_no_id(case):
    """An id has no room for a name or a sentence."""
    for kind in REPORTED:
        if hasattr(kind, "case"):
            with pytest.raises(InvalidValue, match="1 to 64"):
                happening(kind, DUE, case)


def test_a_messenger_is_named_by_its_id():
    """As everywhere."""
    with pytest.raises(InvalidValue):
        Register(messenger="My Messenger")


def test_days_are_those_of_moscow():
    """A day begins at 00:00 there, three hours before it does in UTC (P16)."""
    assert datetime(2027, 3, 4, 21, tzinfo=UTC) == begins(ORDERED)
    assert UTC == begins(ORDERED).tzinfo
    assert ORDERED == day_of(begins(ORDERED))
    assert ORDERED - DAY == day_of(begins(ORDERED) - timedelta(microseconds=1))
    with pytest.raises(NaiveInstant):
        day_of(datetime(2027, 3, 5))

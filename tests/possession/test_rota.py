"""The order of senders follows from what they did, and from nothing else."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent import DeliveryState, SubscriberNumber
from abonent.possession.rota import Rota

START = datetime(2026, 6, 1, tzinfo=UTC)
FIRST, LONGEST, REMEMBERED = timedelta(seconds=10), timedelta(minutes=2), timedelta(minutes=30)
NUMBER, OTHER = SubscriberNumber("+79161234567"), SubscriberNumber("+79161234568")
JUST_BEFORE = timedelta(microseconds=1)
NAMES = ("a", "b", "c")


@pytest.fixture
def rota():
    return Rota(NAMES, first=FIRST, longest=LONGEST, remembered=REMEMBERED)


def test_at_first_it_is_the_order_given(rota):
    """Nothing is known of anybody."""
    assert NAMES == rota.order("1", NUMBER, START)


# --- who failed -------------------------------------------------------------------------


def test_who_failed_is_asked_last_for_a_while(rota):
    """Not never: where all fail, the one that may have recovered is worth a try."""
    rota.failed("a", START, None)
    assert ("b", "c", "a") == rota.order("1", NUMBER, START)
    assert ("b", "c", "a") == rota.order("1", NUMBER, START + FIRST - JUST_BEFORE)
    assert NAMES == rota.order("1", NUMBER, START + FIRST)


@given(st.integers(1, 40))
def test_the_while_doubles_up_to_a_longest(failures):
    """The n-th failure in a row costs 2 to the (n-1)th times the first, and no more than that."""
    rota = Rota(NAMES, first=FIRST, longest=LONGEST, remembered=REMEMBERED)
    for _ in range(failures):
        rota.failed("a", START, None)
    avoided = min(LONGEST, FIRST * 2 ** (failures - 1))
    assert "a" == rota.order("1", NUMBER, START + avoided - JUST_BEFORE)[-1]
    assert "a" == rota.order("1", NUMBER, START + avoided)[0]


def test_who_sends_again_is_as_good_as_new(rota):
    """A success ends the while, and the next failure is a first one."""
    for _ in range(5):
        rota.failed("a", START, None)
    rota.took("1", NUMBER, "a", START)
    rota.failed("a", START, None)
    assert "a" == rota.order("2", OTHER, START + FIRST)[0]


@pytest.mark.parametrize(
    ("retry_at", "until"),
    [
        (START + timedelta(seconds=1), START + FIRST),
        (START + timedelta(seconds=60), START + timedelta(seconds=60)),
        (START + timedelta(days=1), START + LONGEST),
    ],
)
def test_who_says_when_is_not_asked_before(rota, retry_at, until):
    """But no longer than the longest: what it says may be nonsense."""
    rota.failed("a", START, retry_at)
    assert "a" == rota.order("1", NUMBER, until - JUST_BEFORE)[-1]
    assert "a" == rota.order("1", NUMBER, until)[0]


# --- who took it (P14) ------------------------------------------------------------------


def test_a_message_goes_to_who_took_it(rota):
    """And to nobody else, even if that one fails now: another would be a second message."""
    rota.took("1", NUMBER, "b", START)
    rota.failed("b", START, None)
    assert ("b",) == rota.order("1", NUMBER, START)
    assert ("b",) == rota.order("1", NUMBER, START + REMEMBERED)
    assert 3 == len(rota.order("1", NUMBER, START + REMEMBERED + JUST_BEFORE))


@pytest.mark.parametrize("state", [each for each in DeliveryState if each.failed])
def test_a_message_that_did_not_arrive_goes_to_anybody(rota, state):
    """To who took it last of all."""
    rota.took("1", NUMBER, "a", START)
    rota.ended("1", "a", state, START)
    assert ("b", "c", "a") == rota.order("1", NUMBER, START)


@pytest.mark.parametrize("state", [each for each in DeliveryState if not each.failed])
def test_a_message_that_may_have_arrived_goes_to_nobody_else(rota, state):
    """What is not known is not known to have failed."""
    rota.took("1", NUMBER, "a", START)
    rota.ended("1", "a", state, START)
    assert ("a",) == rota.order("1", NUMBER, START)


def test_another_copy_that_failed_says_nothing_of_this_one(rota):
    """The first sender was too late and its message expired; the second's may have arrived."""
    rota.took("1", NUMBER, "b", START)
    rota.ended("1", "a", DeliveryState.EXPIRED, START)
    assert ("b",) == rota.order("1", NUMBER, START)


def test_an_end_may_be_told_before_it_is_known_who_took_it(rota):
    """A receipt can be quicker than the return of the call."""
    rota.ended("1", "a", DeliveryState.UNDELIVERABLE, START)
    rota.took("1", NUMBER, "a", START)
    assert ("b", "c", "a") == rota.order("1", NUMBER, START)
    rota.ended("2", "a", DeliveryState.DELIVERED, START)
    rota.took("2", OTHER, "a", START)
    assert NAMES == rota.order("3", OTHER, START)


def test_a_message_taken_after_it_failed_goes_to_the_last_who_took_it(rota):
    """What is remembered is who has it now."""
    rota.took("1", NUMBER, "a", START)
    rota.ended("1", "a", DeliveryState.UNDELIVERABLE, START)
    rota.took("1", NUMBER, "b", START)
    assert ("b",) == rota.order("1", NUMBER, START)


# --- the next code ----------------------------------------------------------------------


def test_the_next_code_goes_to_somebody_else(rota):
    """The last one has not come back: perhaps this sender does not reach this number."""
    rota.took("1", NUMBER, "a", START)
    assert ("b", "c", "a") == rota.order("2", NUMBER, START)
    assert NAMES == rota.order("2", OTHER, START)


def test_those_who_were_tried_take_turns(rota):
    """Whose turn is longest ago comes first."""
    served = []
    for serial in range(6):
        name = rota.order(str(serial), NUMBER, START)[0]
        rota.took(str(serial), NUMBER, name, START)
        served.append(name)
    assert ["a", "b", "c", "a", "b", "c"] == served


@pytest.mark.parametrize("how", ["proven", "delivered"])
def test_who_reached_the_number_stays_first(rota, how):
    """A code that came back, or a message that was delivered, is a reason to stay."""
    rota.took("1", NUMBER, "a", START)
    if how == "proven":
        rota.arrived("1", START)
    else:
        rota.ended("1", "a", DeliveryState.DELIVERED, START)
    assert NAMES == rota.order("2", NUMBER, START)


def test_a_copy_that_was_delivered_is_a_reason_too(rota):
    """Two had the message, and the one that was given up arrived."""
    rota.took("1", NUMBER, "b", START)
    rota.ended("1", "a", DeliveryState.DELIVERED, START)
    assert NAMES == rota.order("2", NUMBER, START)


def test_the_same_message_again_is_no_new_reason(rota):
    """A repeat of what came back does not count as one that has not."""
    rota.took("1", NUMBER, "a", START)
    rota.arrived("1", START)
    rota.took("1", NUMBER, "a", START)
    assert NAMES == rota.order("2", NUMBER, START)


def test_after_a_while_it_is_forgotten(rota):
    """What did not come back long ago is no reason any more."""
    rota.took("1", NUMBER, "a", START)
    assert NAMES == rota.order("2", NUMBER, START + REMEMBERED + JUST_BEFORE)


def test_who_fails_comes_after_who_was_in_vain(rota):
    """Somebody who cannot send at all is the last choice."""
    rota.took("1", NUMBER, "a", START)
    rota.failed("b", START, None)
    assert ("c", "a", "b") == rota.order("2", NUMBER, START)


def test_what_is_not_known_changes_nothing(rota):
    """A state or proof of a message that nobody took, as after a restart."""
    rota.ended("1", "a", DeliveryState.EXPIRED, START)
    rota.arrived("2", START)
    assert NAMES == rota.order("3", NUMBER, START)


# --- of any course ----------------------------------------------------------------------

SMALL = st.sampled_from(["1", "2", "3"])
DOINGS = st.lists(
    st.one_of(
        st.tuples(st.just("took"), SMALL, st.sampled_from(NAMES)),
        st.tuples(st.just("failed"), st.sampled_from(NAMES), st.none()),
        st.tuples(st.just("ended"), SMALL, st.sampled_from(NAMES), st.sampled_from(DeliveryState)),
        st.tuples(st.just("arrived"), SMALL),
    ),
    max_size=20,
)


@given(DOINGS)
def test_everybody_or_the_one_who_has_it(doings):
    """Of any course: an order is all senders once, or the last one who took just this message."""
    rota = Rota(NAMES, first=FIRST, longest=LONGEST, remembered=REMEMBERED)
    taken = {}
    for what, *given_values in doings:
        if what == "took":
            message, name = given_values
            name = name if len(rota.order(message, NUMBER, START)) > 1 else taken[message]
            taken[message] = name
            rota.took(message, NUMBER, name, START)
        elif what == "failed":
            rota.failed(given_values[0], START, None)
        else:
            getattr(rota, what)(*given_values, START)
    for message in ("1", "2", "3", "4"):
        order = rota.order(message, NUMBER, START)
        assert order == (taken.get(message),) or sorted(order) == list(NAMES)


def test_no_number_is_kept(rota):
    """What is kept of a number is a hash under a key that nobody else has (I9)."""
    rota.took("1", NUMBER, "a", START)
    another = Rota(NAMES, first=FIRST, longest=LONGEST, remembered=REMEMBERED)
    another.took("1", NUMBER, "a", START)
    kept = repr(list(rota._in_vain._entries)) + repr(list(rota._messages._entries.values()))
    assert NUMBER.e164[1:] not in kept
    assert list(rota._in_vain._entries) != list(another._in_vain._entries)

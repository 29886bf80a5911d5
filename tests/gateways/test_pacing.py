"""Requests leave at a rate, and none leaves into a link that is down."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from abonent.errors import InvalidValue
from abonent.gateways.camara.pacing import LONGEST_REST, Breaker, Circuit, Pace, Rate


@given(
    calls=st.integers(1, 20),
    per=st.integers(1, 60),
    gaps=st.lists(st.floats(0, 10), min_size=1, max_size=60),
    patience=st.floats(0, 100),
)
def test_no_window_holds_more_than_twice_a_rate_and_on_average_no_more_than_it(
    calls, per, gaps, patience
):
    """Of n requests that leave, the last leaves no sooner than the rate allows after a burst."""
    pace = Pace(Rate(calls=calls, per=timedelta(seconds=per)))
    now, left = 0.0, []
    for gap in gaps:
        now += gap
        wait = pace.take(now, patience)
        if wait is not None:
            assert 0 <= wait <= patience
            left.append(now + wait)
    for first in range(len(left)):
        for last in range(first, len(left)):
            count = last - first + 1
            assert left[last] - left[first] >= (count - calls) * per / calls - 1e-6


def test_as_many_as_the_rate_leave_at_once_and_the_next_one_waits_its_step():
    """The burst is the rate itself."""
    pace = Pace(Rate(calls=4, per=timedelta(seconds=2)))
    assert [0, 0, 0, 0, 0.5, 1.0] == [pace.take(100.0, 5) for _ in range(6)]


def test_whoever_would_wait_too_long_takes_no_place():
    """A refused request leaves the others where they were."""
    pace = Pace(Rate(calls=1))
    assert 0 == pace.take(0.0, 0)
    assert [None] * 9 == [pace.take(0.0, 0.5) for _ in range(9)]
    assert 1.0 == pace.take(0.0, 1.0)


def test_time_that_passed_is_not_saved_up():
    """After a long silence just one burst leaves at once."""
    pace = Pace(Rate(calls=2))
    pace.take(0.0, 0)
    assert [0, 0, 0.5] == [pace.take(1000.0, 9) for _ in range(3)]


@pytest.mark.parametrize("wrong", [{"calls": 0}, {"calls": 1, "per": timedelta(0)}])
def test_a_rate_is_some_calls_in_some_time(wrong):
    """Anything else is refused at building."""
    with pytest.raises(InvalidValue):
        Rate(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"failures": 0}, {"rest": timedelta(0)}, {"rest": timedelta(seconds=301)}]
)
def test_a_breaker_has_a_count_and_a_rest(wrong):
    """Anything else is refused at building."""
    with pytest.raises(InvalidValue):
        Breaker(**wrong)


# --- the circuit ----------------------------------------------------------------------------

BREAKER = Breaker(failures=3, rest=timedelta(seconds=10))


def down() -> Circuit:
    circuit = Circuit(BREAKER)
    for _ in range(3):
        assert circuit.rests(0.0) is None
        circuit.failed(0.0)
    return circuit


def test_it_rests_after_so_many_failures_and_then_one_request_probes():
    """While it rests none is admitted; then one is, and the others wait for what it finds."""
    circuit = down()
    assert 10 == circuit.rests(0.0)
    assert pytest.approx(0.5) == circuit.rests(9.5)
    assert circuit.rests(10.0) is None
    assert 10 == circuit.rests(10.0)


def test_a_probe_that_works_ends_it_and_one_that_fails_rests_anew():
    """What the probe finds holds for everybody."""
    circuit = down()
    circuit.rests(10.0)
    circuit.failed(11.0)
    assert 9 == circuit.rests(12.0)
    assert circuit.rests(21.0) is None
    circuit.worked()
    assert [None] * 3 == [circuit.rests(21.0) for _ in range(3)]


def test_a_probe_that_is_given_up_makes_room_for_another():
    """Whoever is cancelled while probing blocks nobody."""
    circuit = down()
    circuit.rests(10.0)
    circuit.left()
    assert circuit.rests(10.0) is None


def test_failures_count_in_a_row_only():
    """A reply in between begins the count anew."""
    circuit = Circuit(BREAKER)
    for _ in range(5):
        circuit.failed(0.0)
        circuit.failed(0.0)
        circuit.worked()
    assert circuit.rests(0.0) is None


def test_who_is_sent_away_stays_away_and_is_not_sent_away_for_long():
    """Retry-After is kept, up to five minutes; a shorter one does not shorten it."""
    circuit = Circuit(BREAKER)
    circuit.send_away(0.0, 1e9)
    circuit.send_away(0.0, 1)
    assert LONGEST_REST == circuit.rests(0.0)
    assert circuit.rests(LONGEST_REST) is None


class Links(RuleBasedStateMachine):
    """Whatever happens in whatever order, a link is never shut for longer than five minutes."""

    def __init__(self) -> None:
        super().__init__()
        self.circuit = Circuit(BREAKER)
        self.now = 0.0
        self.out = 0

    @rule(seconds=st.floats(0, 400))
    def passes(self, seconds):
        self.now += seconds

    @rule()
    def sends(self):
        if self.circuit.rests(self.now) is None:
            self.out += 1

    @rule(how=st.sampled_from(["worked", "failed", "left"]))
    def ends(self, how):
        if self.out:
            self.out -= 1
            getattr(self.circuit, how)(*([self.now] if how == "failed" else []))

    @rule(seconds=st.floats(0, 1e6))
    def is_sent_away(self, seconds):
        self.circuit.send_away(self.now, seconds)

    @invariant()
    def it_opens_again(self):
        if not self.out:
            ahead = self.now + LONGEST_REST
            assert self.circuit.rests(ahead) is None
            self.circuit.left()


TestLinks = Links.TestCase

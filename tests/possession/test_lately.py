"""What was put lately is there, and nothing else: neither what is old nor what is too much."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from abonent.possession.lately import Lately, time_of
from abonent.simulation import SimulatedClock

START = datetime(2026, 6, 1, tzinfo=UTC)
KEPT = timedelta(seconds=10)
MOST = 3
STEPS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), max_size=30)


@given(STEPS)
def test_it_is_the_last_few_of_the_last_while(steps):
    """Of any course: what it tells is what was put in time, the youngest so many of it."""
    dropped = []
    lately = Lately(most=MOST, kept=KEPT, forgotten=lambda key, value: dropped.append((key, value)))
    put, now = {}, START
    for serial, (key, seconds) in enumerate(steps):
        now += timedelta(seconds=seconds)
        lately.put(key, serial, now)
        put.pop(key, None)
        put[key] = (now, serial)
        expected = dict(
            list({k: v for k, (at, v) in put.items() if now - at <= KEPT}.items())[-MOST:]
        )
        assert expected == {k: v for k in range(5) if (v := lately.get(k, now)) is not None}
        assert len(lately) == len(expected)
    held = {lately.get(key, now) for key in range(5)} - {None}
    overwritten = len(steps) - len(held) - len(dropped)
    assert overwritten >= 0
    assert not held & {value for _, value in dropped}


def test_the_last_instant_counts():
    """What is as old as may be is there; one microsecond later it is not."""
    lately = Lately(most=MOST, kept=KEPT)
    lately.put("a", 1, START)
    assert 1 == lately.get("a", START + KEPT)
    assert lately.get("a", START + KEPT + timedelta(microseconds=1)) is None


def test_what_gives_way_need_not_be_told():
    """Nobody has to be interested."""
    lately = Lately(most=1, kept=KEPT)
    lately.put("a", 1, START)
    lately.put("b", 2, START)
    assert (None, 2) == (lately.get("a", START), lately.get("b", START))


def test_a_clock_that_steps_back_forgets_nothing():
    """An entry from what is now the future is there."""
    lately = Lately(most=MOST, kept=KEPT)
    lately.put("a", 1, START)
    assert 1 == lately.get("a", START - timedelta(days=1))


def test_the_time_is_that_of_the_clock_given():
    """Without a clock it is this machine's, aware."""
    clock = SimulatedClock()
    assert time_of(clock)() == clock.now()
    assert time_of(None)().utcoffset() == timedelta(0)

"""A feed that falls silent is reported, and one that soon will be, before it does (P19)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from abonent import AlarmKind, FeedWatch, Notice, NoticeKind, Observed, WatchedFeed
from abonent.errors import InvalidValue, NaiveInstant, UnknownOperator
from abonent.simulation import SimulatedClock
from tests.properties.parts import N1, M, World

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SILENT, LAPSING, ENDED = AlarmKind.FEED_SILENT, AlarmKind.FEED_LAPSING, AlarmKind.FEED_ENDED


class Watch:
    """A watch of one feed, and what it raised."""

    def __init__(self, **feed) -> None:
        self.clock = SimulatedClock()
        self.raised = []
        given = {"operator": "mts", "silent_after": 6 * HOUR} | feed
        self.watch = FeedWatch([WatchedFeed(**given)], alarm=self.raised.append, clock=self.clock)

    def after(self, time):
        """Let time pass and look; the kinds of the alarms that were raised."""
        self.clock.advance(time)
        self.raised.clear()
        self.watch.look()
        return [each.kind for each in self.raised]


def test_silence_is_an_alarm_at_its_age_and_again_a_day_later():
    """Inclusive; and not with every look."""
    on = Watch()
    assert [] == on.after(6 * HOUR - timedelta(microseconds=1))
    assert [SILENT] == on.after(timedelta(microseconds=1))
    assert ("mts", "silent for 6 h") == (on.raised[0].adapter, on.raised[0].cause)
    assert [] == on.after(DAY - timedelta(microseconds=1))
    assert [SILENT] == on.after(timedelta(microseconds=1))


def test_a_word_ends_the_silence_and_the_next_one_is_a_new_alarm():
    """An alarm begins anew with its cause."""
    on = Watch()
    assert [SILENT] == on.after(6 * HOUR)
    on.watch.heard("mts")
    assert [] == on.after(timedelta(0))
    assert [SILENT] == on.after(6 * HOUR)


def test_what_was_heard_earlier_does_not_count_as_heard_later():
    """Words come in any order, and none comes from the future."""
    on = Watch()
    start = on.clock.now()
    on.clock.advance(3 * HOUR)
    on.watch.heard("mts", start + 2 * HOUR)
    on.watch.heard("mts", start + HOUR)
    on.watch.heard("mts", start + 100 * DAY)
    assert [] == on.after(6 * HOUR - timedelta(microseconds=1))
    assert [SILENT] == on.after(timedelta(microseconds=1))


def test_when_it_was_heard_before_the_watch_began_may_be_known():
    """Otherwise silence is counted from the beginning of the watch."""
    heard = SimulatedClock().now() - 5 * HOUR
    assert [SILENT] == Watch(heard_at=heard).after(HOUR)
    assert [] == Watch().after(HOUR)


def test_what_runs_out_is_an_alarm_before_it_does():
    """A week before, unless said otherwise, and until it is renewed."""
    lapses = SimulatedClock().now() + 10 * DAY
    on = Watch(silent_after=1000 * DAY, lapses_at=lapses)
    assert [] == on.after(3 * DAY - timedelta(microseconds=1))
    assert [LAPSING] == on.after(timedelta(microseconds=1))
    assert "lapses at 2026-06-11T09:00:00+00:00" == on.raised[0].cause
    on.watch.renewed("mts", lapses + 10 * DAY)
    assert [] == on.after(9 * DAY)
    assert [LAPSING] == on.after(DAY)
    on.watch.renewed("mts", None)
    assert [] == on.after(100 * DAY)


def test_what_the_operator_ended_is_an_alarm_at_once():
    """Until it is renewed or heard."""
    for mend in (lambda on: on.watch.heard("mts"), lambda on: on.watch.renewed("mts", None)):
        on = Watch(silent_after=1000 * DAY)
        on.watch.ended("mts")
        assert [ENDED] == on.after(timedelta(0))
        assert [] == on.after(HOUR)
        mend(on)
        assert [] == on.after(2 * DAY)


def test_a_look_says_how_each_feed_is_doing():
    """All of them, with what is wrong."""
    clock = SimulatedClock()
    watch = FeedWatch(
        [
            WatchedFeed(operator="mts", silent_after=HOUR),
            WatchedFeed(operator="tele2", silent_after=DAY, lapses_at=clock.now()),
        ],
        clock=clock,
    )
    clock.advance(HOUR)
    watch.ended("tele2")
    mts, tele2 = watch.look()
    assert ("mts", HOUR, (SILENT,)) == (mts.operator, mts.silent_for, mts.alarms)
    assert ("tele2", (ENDED, LAPSING)) == (tele2.operator, tele2.alarms)


def test_a_clock_that_steps_back_keeps_no_alarm_quiet():
    """It is raised anew, rather than a day after an instant that is still to come."""
    on = Watch()
    assert [SILENT] == on.after(100 * DAY)
    assert [SILENT] == on.after(-50 * DAY)
    assert [] == on.after(-100 * DAY)  # before the watch began, nobody is silent


def test_a_hook_that_fails_is_logged_and_changes_nothing(caplog):
    """The others hear of theirs (P21)."""
    clock, raised = SimulatedClock(), []

    def alarm(each):
        raised.append(each.adapter)
        raise ValueError("+79161234567")

    feeds = [WatchedFeed(operator=each, silent_after=HOUR) for each in ("mts", "tele2")]
    watch = FeedWatch(feeds, alarm=alarm, clock=clock)
    clock.advance(HOUR)
    caplog.set_level(logging.DEBUG)
    watch.look()
    assert ["mts", "tele2"] == raised
    assert "abonent.alarm kind=feed_silent adapter=mts cause=silent for 1 h" in caplog.text
    assert "abonent.alarm_hook_failed cause=ValueError" in caplog.text
    assert "9161234567" not in caplog.text


def test_it_may_be_the_observer_of_an_identifier():
    """A notice is a sign of life, stale ones too; anything else is not."""
    on = Watch(operator=M)
    with World(clock=on.clock) as world:
        telling = world.identifier._loop.telling
        telling._observer, telling.heard = on.watch.observe, True
        world.identify("alice", N1)
        notice = Notice(id="n", operator=M, kind=NoticeKind.TERMINATED, number=N1)
        assert [SILENT] == on.after(6 * HOUR)
        world.identifier.receive(notice)
        assert [] == on.after(HOUR)
        assert [SILENT] == on.after(5 * HOUR)
        world.identifier.receive(notice)
        assert [] == on.after(HOUR)
    on.watch.observe(Observed(what="notice_received", operator="tele2"))
    on.watch.observe(Observed(what="answer_received", operator=M))
    assert [SILENT] == on.after(5 * HOUR)


def test_a_watch_without_a_clock_goes_by_that_of_the_machine():
    """As the identifier does."""
    (state,) = FeedWatch([WatchedFeed(operator="mts", silent_after=HOUR)]).look()
    assert state.silent_for < HOUR


def test_what_cannot_be_is_refused():
    """Times of nothing, instants without a zone, two feeds of one operator, strangers."""
    good = {"operator": "mts", "silent_after": HOUR}
    for wrong in ({"silent_after": timedelta(0)}, {"warn_before": -HOUR}, {"operator": "MTS"}):
        with pytest.raises(InvalidValue):
            WatchedFeed(**(good | wrong))
    naive = datetime(2026, 6, 1)
    for wrong in ({"lapses_at": naive}, {"heard_at": naive}):
        with pytest.raises(NaiveInstant):
            WatchedFeed(**(good | wrong))
    feed = WatchedFeed(**good)
    with pytest.raises(InvalidValue):
        FeedWatch([feed, feed])
    with pytest.raises(InvalidValue):
        FeedWatch([feed], repeat=timedelta(0))
    watch = FeedWatch([feed])
    for call in (watch.heard, watch.ended, lambda each: watch.renewed(each, None)):
        with pytest.raises(UnknownOperator):
            call("tele2")
    with pytest.raises(NaiveInstant):
        watch.heard("mts", naive)
    with pytest.raises(NaiveInstant):
        watch.renewed("mts", naive)
    watch.renewed("mts", datetime(2026, 6, 1, tzinfo=UTC))

"""Whether operators still tell us what happens: feeds of notices that fall silent, or soon will.

Knows when each feed was last heard, and when what it is pushed by runs out. Refuses to know what a
feed tells. It keeps nothing: after a restart a feed counts as heard when the watch began, unless it
is told otherwise.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import Attribute, evolve, field, frozen

from abonent.core.parties import check_id, check_instant, check_instant_field
from abonent.engine.assembly import SystemClock
from abonent.engine.effects import Alarm, AlarmKind, Alarms
from abonent.engine.observing import Observed
from abonent.errors import InvalidValue, UnknownOperator
from abonent.ports import Clock

_HEARD: Final = frozenset({"notice_received", "stale_notice_ignored"})


def _is_time(_: object, attribute: Attribute[Any], value: timedelta) -> None:
    if value <= timedelta(0):
        raise InvalidValue(f"{attribute.name} is longer than nothing")


@frozen(kw_only=True)
class WatchedFeed:
    """What is expected of one operator's feed.

    Attributes:
        operator: whose.
        silent_after: the age at which silence is an alarm. An operator with few subscribers of
            yours is silent for days; ask it for a heartbeat, and count that as heard.
        lapses_at: when its subscription, or the credential that it calls us with, runs out; None
            if it does not, or nobody knows.
        warn_before: how long before that it is an alarm.
        heard_at: when it was last heard, if that is known from before.

    Raises:
        InvalidValue: a time that is not longer than nothing.
    """

    operator: str = field(validator=check_id)
    silent_after: timedelta = field(validator=_is_time)
    lapses_at: datetime | None = field(default=None, validator=check_instant_field)
    warn_before: timedelta = field(default=timedelta(days=7), validator=_is_time)
    heard_at: datetime | None = field(default=None, validator=check_instant_field)


@frozen(kw_only=True)
class FeedState:
    """How a feed is doing. `silent_for` is since it was last heard, or since the watch began."""

    operator: str
    silent_for: timedelta
    lapses_at: datetime | None
    alarms: tuple[AlarmKind, ...]


class FeedWatch:
    """Watches feeds, and raises an alarm before they lapse (P19).

    Call `heard` for whatever an operator sends that was verified, a heartbeat included, or give
    `observe` to the identifier as its observer; and `look` now and then. An alarm is raised when
    its cause begins, and again every `repeat` while it lasts.

    Args:
        feeds: what is expected of whom.
        alarm: as for `Identifier`.
        clock: None for the clock of this machine.
        repeat: how often what lasts is an alarm again.

    Raises:
        InvalidValue: two feeds of one operator, or no time to repeat.
    """

    def __init__(
        self,
        feeds: Iterable[WatchedFeed],
        *,
        alarm: Callable[[Alarm], object] | None = None,
        clock: Clock | None = None,
        repeat: timedelta = timedelta(hours=24),
    ) -> None:
        self._clock = clock or SystemClock()
        self._alarms = Alarms(alarm)
        self._repeat = repeat
        self._mutex = threading.Lock()
        self._since = self._clock.now()
        self._feeds: dict[str, WatchedFeed] = {}
        self._raised: dict[tuple[str, AlarmKind], datetime] = {}
        self._ended: set[str] = set()
        if repeat <= timedelta(0):
            raise InvalidValue("repeat is longer than nothing")
        for each in feeds:
            if each.operator in self._feeds:
                raise InvalidValue(f"{each.operator} has more than one feed")
            self._feeds[each.operator] = each

    def heard(self, operator: str, at: datetime | None = None) -> None:
        """Note that an operator was heard, now or at an instant of our clock.

        Raises:
            UnknownOperator: its feed is not watched.
        """
        now = self._clock.now()
        at = now if at is None else min(check_instant(at), now)
        with self._mutex:
            feed = self._feed(operator)
            if feed.heard_at is None or feed.heard_at < at:
                self._feeds[operator] = evolve(feed, heard_at=at)
            self._ended.discard(operator)

    def observe(self, fact: Observed) -> None:
        """Take a fact that the identifier tells; a notice is a sign of life."""
        if fact.what in _HEARD and fact.operator in self._feeds:
            self.heard(fact.operator)

    def renewed(self, operator: str, lapses_at: datetime | None) -> None:
        """Note that a subscription or credential was renewed, and until when.

        Raises:
            UnknownOperator: its feed is not watched.
            NaiveInstant: an instant without a time zone.
        """
        with self._mutex:
            self._feeds[operator] = evolve(self._feed(operator), lapses_at=lapses_at)
            self._ended.discard(operator)

    def ended(self, operator: str) -> None:
        """Note that an operator says it has stopped; it is an alarm until it is heard or renewed.

        Raises:
            UnknownOperator: its feed is not watched.
        """
        with self._mutex:
            self._feed(operator)
            self._ended.add(operator)

    def look(self) -> list[FeedState]:
        """Look at all feeds, raise what alarms there are to raise, and say how each is doing."""
        now = self._clock.now()
        with self._mutex:
            states = [self._state(each, now) for each in self._feeds.values()]
            due = [alarm for state in states for alarm in self._due(state, now)]
        for each in due:
            self._alarms.raise_alarm(each.kind, each.adapter, each.cause)
        return states

    def _feed(self, operator: str) -> WatchedFeed:
        feed = self._feeds.get(operator)
        if feed is None:
            raise UnknownOperator(f"the feed of {operator!r} is not watched")
        return feed

    def _state(self, feed: WatchedFeed, now: datetime) -> FeedState:
        silent_for = max(timedelta(0), now - (feed.heard_at or self._since))
        alarms: list[AlarmKind] = []
        if feed.operator in self._ended:
            alarms.append(AlarmKind.FEED_ENDED)
        if silent_for >= feed.silent_after:
            alarms.append(AlarmKind.FEED_SILENT)
        if feed.lapses_at is not None and now >= feed.lapses_at - feed.warn_before:
            alarms.append(AlarmKind.FEED_LAPSING)
        return FeedState(
            operator=feed.operator,
            silent_for=silent_for,
            lapses_at=feed.lapses_at,
            alarms=tuple(alarms),
        )

    def _due(self, state: FeedState, now: datetime) -> list[Alarm]:
        found: list[Alarm] = []
        for kind in (AlarmKind.FEED_ENDED, AlarmKind.FEED_SILENT, AlarmKind.FEED_LAPSING):
            key = (state.operator, kind)
            if kind not in state.alarms:
                self._raised.pop(key, None)
                continue
            last = self._raised.get(key)
            # A clock that steps back must not keep an alarm quiet for longer than it would be.
            if last is None or not timedelta(0) <= now - last < self._repeat:
                self._raised[key] = now
                found.append(Alarm(kind=kind, adapter=state.operator, cause=_cause(kind, state)))
        return found


def _cause(kind: AlarmKind, state: FeedState) -> str:
    if kind is AlarmKind.FEED_SILENT:
        return f"silent for {state.silent_for // timedelta(hours=1)} h"
    if kind is AlarmKind.FEED_LAPSING and state.lapses_at is not None:
        return f"lapses at {state.lapses_at.isoformat(timespec='seconds')}"
    return "the operator says that it has ended"

"""When the next request may leave: so many in a time, and none into a link that is down.

Knows two small machines over a clock that only runs forward; the caller says what time it is, in
seconds. Refuses to wait and to repeat: what is owed is tried again by the library's own schedule.
Both are safe for threads.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Final

from attrs import field, frozen

from abonent.errors import InvalidValue

LONGEST_REST: Final = 300.0
"""Seconds for which an operator may send us away at most: an answer is due within 20 minutes."""


@frozen(kw_only=True)
class Rate:
    """So many requests in a time. At first as many leave at once; then they are spread evenly.

    Raises:
        InvalidValue: no request, or no time.
    """

    calls: int = field()
    per: timedelta = field(default=timedelta(seconds=1))

    def __attrs_post_init__(self) -> None:
        if self.calls < 1 or self.per <= timedelta(0):
            raise InvalidValue("a rate is at least one call in a time longer than nothing")


class Pace:
    """Keeps a rate, by the generic cell rate algorithm (ITU-T I.371, annex A).

    It holds one instant: when the next request would leave if all were spread evenly.
    """

    def __init__(self, rate: Rate) -> None:
        self._step = rate.per.total_seconds() / rate.calls
        self._burst = rate.per.total_seconds() - self._step
        self._next = float("-inf")
        self._mutex = threading.Lock()

    def take(self, now: float, patience: float) -> float | None:
        """Take a place and return the seconds to wait for it; None if that is beyond `patience`.

        A place that is beyond it is not taken.
        """
        with self._mutex:
            place = max(now, self._next)
            wait = max(0.0, place - self._burst - now)
            if wait > patience:
                return None
            self._next = place + self._step
            return wait


@frozen(kw_only=True)
class Breaker:
    """After so many failures in a row the link rests for a time; then one request probes it.

    Raises:
        InvalidValue: no failure, or a rest that is not in (0, 300] seconds.
    """

    failures: int = 5
    rest: timedelta = timedelta(seconds=15)

    def __attrs_post_init__(self) -> None:
        if self.failures < 1 or not 0 < self.rest.total_seconds() <= LONGEST_REST:
            raise InvalidValue("a breaker takes at least one failure and rests for up to 5 minutes")


class Circuit:
    """A link that is used, rests, or is being probed."""

    def __init__(self, breaker: Breaker) -> None:
        self._most = breaker.failures
        self._rest = breaker.rest.total_seconds()
        self._failures = 0
        self._rests_until = float("-inf")
        self._probing = False
        self._mutex = threading.Lock()

    def rests(self, now: float) -> float | None:
        """Admit a request (None), or return the seconds for which none is admitted.

        Whoever was admitted says what came of it, by `worked`, `failed` or `left`.
        """
        with self._mutex:
            if now < self._rests_until:
                return self._rests_until - now
            if self._failures < self._most:
                return None
            if self._probing:
                return self._rest
            self._probing = True
            return None

    def worked(self) -> None:
        """The other side did reply."""
        with self._mutex:
            self._failures = 0
            self._probing = False

    def failed(self, now: float) -> None:
        """The other side did not reply, or is down."""
        with self._mutex:
            self._failures += 1
            self._probing = False
            if self._failures >= self._most:
                self._rests_until = max(self._rests_until, now + self._rest)

    def left(self) -> None:
        """The request was given up without an outcome."""
        with self._mutex:
            self._probing = False

    def send_away(self, now: float, seconds: float) -> None:
        """The other side asked us not to come before a time; at most 5 minutes are believed."""
        with self._mutex:
            away = now + min(seconds, LONGEST_REST)
            self._rests_until = max(self._rests_until, away)

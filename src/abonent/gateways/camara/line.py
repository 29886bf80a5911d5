"""The line to one operator: each request leaves at its pace, and none while the line rests.

Knows the rate, the breaker and what a reply says about the line itself. Refuses to know tokens,
and to repeat anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from abonent.errors import Unavailable
from abonent.gateways.camara.pacing import Circuit, Pace
from abonent.gateways.camara.profile import CamaraProfile
from abonent.gateways.camara.replies import is_down, is_passing, retry_after
from abonent.gateways.camara.steps import Flow, Wait
from abonent.ports import Clock
from abonent.transport import Request, Response

_SOON = 1.0
"""Seconds for which nothing is sent after a 429 that does not say how long."""


class Line:
    """Sends requests to one operator. `monotonic` tells seconds by a clock that runs forward."""

    def __init__(
        self, profile: CamaraProfile, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self._pace = Pace(profile.rate)
        self._circuit = Circuit(profile.breaker)
        self._clock = clock
        self.now = monotonic

    def send(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        until: float,
    ) -> Flow[Response]:
        """Send a request that has to be over at an instant of the line's clock.

        Raises:
            Unavailable: the line rests, the pace leaves no place in time, or there is no reply.
            Misconfigured: the transport does not accept the other side.
        """
        rest = self._circuit.rests(self.now())
        if rest is not None:
            again = self._clock.now() + timedelta(seconds=rest)
            raise Unavailable("the line to this operator rests", retry_at=again)
        done = False
        try:
            wait = self._pace.take(self.now(), until - self.now())
            if wait is None:
                raise Unavailable("the agreed rate leaves no place in time")
            if wait > 0:
                yield Wait(wait)
            left = until - self.now()
            if left <= 0:
                raise Unavailable("the time for this call is over")
            try:
                response: Response = yield Request(
                    url=url, headers=headers, body=body, timeout=left
                )
            except Unavailable:
                done = True
                self._circuit.failed(self.now())
                raise
            done = True
            self._heard(response)
            return response
        finally:
            if not done:
                self._circuit.left()

    def _heard(self, response: Response) -> None:
        if is_down(response):
            self._circuit.failed(self.now())
        else:
            self._circuit.worked()
        if is_passing(response):
            asked = retry_after(response, self._clock.now())
            if asked is None and not is_down(response):
                asked = _SOON
            if asked is not None:
                self._circuit.send_away(self.now(), asked)

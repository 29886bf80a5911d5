"""The reference operator as a site: the same scenarios and files for it as for the double of ours.

It runs in this process, asked without a socket, and each of its replies is held to the description
that it publishes of itself as well.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from abonent import SubscriberNumber
from abonent.simulation import SimulatedClock
from abonent.simulation.reference import Subscriber
from abonent.simulation.reference.devices import MOST_CODES
from abonent.simulation.reference.tokens import TOKEN_LIFE
from abonent.transport import Request, Response
from tests.camara.site import Line, Token
from tests.simulation.reference.asgi import (
    BARRED,
    ENDED,
    HELD,
    MACHINE,
    ROOT,
    STRANGER,
    Reached,
    reached,
    subscribers,
)

OTHER, EXHAUSTED = "+79160000008", "+79160000009"
_ANOTHER = "number-recycling:check"


class ReferenceSite:
    """`abonent operator serve`, without the socket."""

    root = ROOT
    most_codes = MOST_CODES

    def __init__(self, operator: Reached, since: date) -> None:
        self.transport = self
        self.tenure_since = since
        self._operator = operator

    def send(self, request: Request) -> Response:
        reply = self._operator.checked(
            request.method,
            request.url,
            content=request.body,
            headers={name: value.encode("latin-1") for name, value in request.headers.items()},
        )
        return Response(
            status=reply.status_code, headers=dict(reply.headers.items()), body=reply.content
        )

    def number(self, line: Line) -> str | None:
        """Its numbers are all mobile."""
        return {
            Line.SERVED: HELD,
            Line.OTHER: OTHER,
            Line.UNKNOWN: STRANGER,
            Line.NOT_APPLICABLE: MACHINE,
            Line.NO_SMS: ENDED,
            Line.BARRED: BARRED,
            Line.EXHAUSTED: EXHAUSTED,
        }.get(line)

    def token(self, scope: str, token: Token, number: str) -> str | None:
        match token:
            case Token.VALID:
                return self._operator.token(scope)
            case Token.OF_NUMBER:
                return self._by_network(scope, number)
            case Token.EXPIRED:
                old = self._by_network(scope, number)
                self._operator.clock.advance(TOKEN_LIFE + timedelta(seconds=1))
                return old
            case Token.INVALID:
                return "nobody-gave-this-out"
            case Token.UNSCOPED:
                return self._by_network(_ANOTHER, number)
            case Token.NOT_BY_NETWORK:
                return str(self._operator.by_bearer(f"tel:{number}", scope).json()["access_token"])

    def _by_network(self, scope: str, number: str) -> str:
        given = self._operator.control("operator-tokens", {"phoneNumber": number})
        subject = f"operatortoken:{given.json()['operatorToken']}"
        return str(self._operator.by_bearer(subject, scope).json()["access_token"])


@contextmanager
def reference_site() -> Iterator[ReferenceSite]:
    """Have a reference operator, with numbers of each kind that it knows."""
    clock = SimulatedClock()
    listed = subscribers(clock.now())
    since = listed[SubscriberNumber(HELD)].since
    for number in (OTHER, EXHAUSTED):
        listed[SubscriberNumber(number)] = Subscriber(since=since)
    with (
        tempfile.TemporaryDirectory() as folder,
        reached(Path(folder), clock, subscribers=listed) as operator,
    ):
        yield ReferenceSite(operator, since.date())

"""What a tester of an operator is given: an address that answers, tokens, and numbers of each kind.

The scenarios of CAMARA presuppose a line with SMS barred, a token that has expired, and so on. A
`Site` provides them. What it cannot, it says by None, and the scenario is listed with that reason.
"""

from __future__ import annotations

from datetime import date
from enum import Enum
from typing import Protocol

from abonent.transport import Transport
from tests.camara.operator import MOST_CODES, CamaraOperator, Subscriber


class Line(Enum):
    """A number, by what is so of it."""

    SERVED = "a number that the service supports"
    OTHER = "another number that it supports"
    UNKNOWN = "a number that nobody here has"
    NOT_APPLICABLE = "a number for which the service is not applicable"
    NO_SMS = "a number that cannot receive SMS"
    LANDLINE = "a number of a landline"
    BARRED = "a number with SMS barred"
    EXHAUSTED = "a number that was sent as many codes as it may be"


class Token(Enum):
    """A token, by what is so of it."""

    VALID = "a valid token that names nobody"
    OF_NUMBER = "a valid token of a number, had by its network"
    EXPIRED = "a token that has expired"
    INVALID = "a token that nobody gave out"
    UNSCOPED = "a token without the scope"
    NOT_BY_NETWORK = "a token of a number, not had by its network"


class Site(Protocol):
    """An operator to be tested."""

    transport: Transport
    root: str
    most_codes: int
    tenure_since: date
    """Since when the number served has been its subscriber's."""

    def token(self, scope: str, token: Token, number: str) -> str | None:
        """Return such a token for a scope, or None."""
        ...

    def number(self, line: Line) -> str | None:
        """Return such a number, or None."""
        ...


_NUMBERS = {line: f"+7916000000{place}" for place, line in enumerate(Line)}
_CODES = "one-time-password-sms"


class OwnSite:
    """The operator of these tests."""

    tenure_since = date(2020, 1, 1)
    most_codes = MOST_CODES

    def __init__(self, operator: CamaraOperator, transport: Transport, root: str) -> None:
        self.transport = transport
        self.root = root
        self._operator = operator
        refuses = {
            Line.NOT_APPLICABLE: {"kyc-tenure": (422, "SERVICE_NOT_APPLICABLE")},
            Line.NO_SMS: {_CODES: (403, "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_NOT_ALLOWED")},
            Line.LANDLINE: {_CODES: (403, "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_NOT_ALLOWED")},
            Line.BARRED: {_CODES: (403, "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_BLOCKED")},
        }
        for line, number in _NUMBERS.items():
            operator.subscribers[number] = Subscriber(
                since=self.tenure_since, refused=refuses.get(line, {})
            )
        operator.subscribers[_NUMBERS[Line.UNKNOWN]] = None

    def number(self, line: Line) -> str | None:
        return _NUMBERS[line]

    def token(self, scope: str, token: Token, number: str) -> str | None:
        issue = self._operator.issue
        return {
            Token.VALID: lambda: issue(scope),
            Token.OF_NUMBER: lambda: issue(scope, number=number, by_network=True),
            Token.EXPIRED: lambda: issue(scope, life=-1),
            Token.INVALID: lambda: "nobody-gave-this-out",
            Token.UNSCOPED: lambda: issue("another:scope", number=number, by_network=True),
            Token.NOT_BY_NETWORK: lambda: issue(scope, number=number),
        }[token]()

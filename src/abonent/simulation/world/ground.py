"""The ground truth: who has which number with which operator, whatever anybody believes.

Knows every movement of every number. Refuses to know messengers.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import define, field, frozen

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber

OPERATORS: Final = ("alpha", "beta", "gamma")
_CODES: Final = {"alpha": "916", "beta": "903", "gamma": "926"}


@frozen(kw_only=True)
class Subscription:
    """A contract: whose number it is, with which operator, since when."""

    person: int
    operator: str
    since: datetime


@define
class Ground:
    """Numbers and subscriptions as they are."""

    subscriptions: dict[SubscriberNumber, Subscription] = field(
        factory=dict[SubscriberNumber, Subscription]
    )
    homes: dict[SubscriberNumber, str] = field(factory=dict[SubscriberNumber, str])
    _made: int = 0

    def fresh(self, operator: str) -> SubscriberNumber:
        """Return a number of an operator's range that nobody had before."""
        self._made += 1
        number = SubscriberNumber(f"+7{_CODES[operator]}{1_000_000 + 7919 * self._made:07d}")
        self.homes[number] = operator
        return number

    def holder(self, number: SubscriberNumber) -> int | None:
        """Return the person whose number this is now."""
        found = self.subscriptions.get(number)
        return None if found is None else found.person

    def number_of(self, person: int) -> SubscriberNumber | None:
        """Return a person's number."""
        for number, each in self.subscriptions.items():
            if each.person == person:
                return number
        return None

    def begin(self, number: SubscriberNumber, person: int, operator: str, at: datetime) -> None:
        """Let a contract begin."""
        self.subscriptions[number] = Subscription(person=person, operator=operator, since=at)

    def end(self, number: SubscriberNumber) -> None:
        """Let a contract end."""
        self.subscriptions.pop(number, None)

    def serving(self, number: SubscriberNumber) -> str:
        """Return the operator that serves a number: by contract, or by its range."""
        found = self.subscriptions.get(number)
        return self.homes[number] if found is None else found.operator

    def truth(self, operator: str, number: SubscriberNumber) -> Outcome:
        """Return what an operator that knows its subscribers says of a number."""
        if self.serving(number) != operator:
            return Outcome.NOT_OURS
        return Outcome.HELD if number in self.subscriptions else Outcome.NOT_HELD

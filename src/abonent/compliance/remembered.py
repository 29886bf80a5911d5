"""What is remembered of a subject of the journal while it is read: what may still change a figure.

Knows open ends. Refuses to know a number beyond its last two digits.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import define, field

from abonent.core.events import NoticeReceived
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import Basis

_SHOWN: Final = 2
"""How many digits of a number are remembered: the last ones."""


@define(kw_only=True)
class Question:
    """An operator was asked, and has not answered yet."""

    operator: str
    at: datetime
    due: datetime
    cursor: int
    number: str
    failed: bool = False
    overtaken: bool = False


@define(kw_only=True)
class Renewal:
    """A user has to be identified anew."""

    operator: str
    at: datetime
    due: datetime
    cursor: int
    number: str | None
    lapsed: bool = False


@define(kw_only=True)
class OpenGate:
    """A gate that stands open since a notice, by grace, until `due` at the latest."""

    operator: str
    happened_at: datetime | None
    since: datetime
    noticed_at: datetime
    due: datetime


@define(kw_only=True)
class Subject:
    """What is remembered of one subject of the journal."""

    id: bytes
    basis: Basis | None = None
    operator: str | None = None
    number: str | None = None
    open_since: datetime | None = None
    open_until: datetime | None = None
    claimed_from: str | None = None
    asked: str | None = None
    asked_number: str | None = None
    questions: dict[str, Question] = field(factory=dict[str, Question])
    renewal: Renewal | None = None
    grace: OpenGate | None = None
    notice: NoticeReceived | None = None
    """The last one that counted."""

    def is_open(self, at: datetime) -> bool:
        """Tell whether the gate was open at an instant."""
        since, until = self.open_since, self.open_until
        return since is not None and (until is None or at <= until)

    @property
    def told_of(self) -> str | None:
        """The last digits of the number that a notice is about, where that can only be one."""
        known = {each for each in (self.number, self.asked_number) if each is not None}
        return known.pop() if len(known) == 1 else None

    def opens(self, at: datetime) -> None:
        """The user is identified: from now on, unless the gate was open, and without an end."""
        if not self.is_open(at):
            self.open_since = at
        self.open_until = None

    def overtake(self, at: datetime) -> None:
        """What was asked and is not due yet does not matter any more."""
        for each in self.questions.values():
            each.overtaken = each.overtaken or at <= each.due


def last_digits(number: SubscriberNumber) -> str:
    """Return what is shown of a number."""
    return number.e164[-_SHOWN:]

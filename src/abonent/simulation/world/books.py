"""What the watch keeps of each service, and of what is being done there.

Knows accounts by key, user and subject. Refuses to judge.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from abonent.core.numbers import SubscriberNumber
from abonent.engine.importing import DeclaredUser, RejectedUser
from abonent.keys import MemoryKeys
from abonent.ports import LateAnswer, Notice
from abonent.sealing import Keyring
from abonent.simulation.world.ledger import Account

if TYPE_CHECKING:
    from abonent.simulation.world.services import Service

STALENESS: Final = timedelta(hours=12)
"""How old gates from memory may be here: as many questions fall into it as into a second of a
service with a hundred million users."""
STEPPED: Final = timedelta(minutes=25)
"""How far clocks are set at most: counts of a day are sure beyond that only."""


@frozen(kw_only=True)
class Listed:
    """A row of a messenger's old table, and the number that its text stands for, if any.

    `mistyped` is the code of the error by which it must be rejected.
    """

    row: DeclaredUser
    number: SubscriberNumber | None
    mistyped: str = ""


@define(kw_only=True, eq=False)
class Call:
    """What is being done: who calls, with what, and what the router said to it."""

    name: str
    user: str = ""
    number: SubscriberNumber | None = None
    offered: str = ""
    item: Notice | LateAnswer | None = None
    consented: bool = False
    mistyped: str = ""
    """The code of the error that what was passed must lead to."""
    serving: str | None = None
    routed: bool = False
    routes: dict[SubscriberNumber, set[str | None]] = field(
        factory=dict[SubscriberNumber, set[str | None]]
    )
    """What the router said of each number."""
    unreached: bool = False
    """Whether the router was out of reach."""
    rows: tuple[Listed, ...] = ()
    """What is imported; the others are what was rejected, who was known and who held what."""
    rejected: list[RejectedUser] = field(factory=list[RejectedUser])
    knew: set[str] = field(factory=set[str])
    held: dict[SubscriberNumber, str] = field(factory=dict[SubscriberNumber, str])
    again: bool = False
    """Whether the same rows were imported before, and that was ended."""
    ended: bool = False
    """Whether an attempt ended in the course of it."""
    shut: bool = False
    """Whether the store was found out of reach."""


@define(eq=False)
class Book:
    """All that the watch keeps of one service."""

    service: Service
    keyring: Keyring
    accounts: dict[bytes, Account] = field(factory=dict[bytes, Account])
    users: dict[str, Account] = field(factory=dict[str, Account])
    subjects: dict[bytes, Account] = field(factory=dict[bytes, Account])
    sends: defaultdict[SubscriberNumber, list[datetime]] = field(factory=lambda: defaultdict(list))
    codes: set[str] = field(factory=set[str])
    queries: set[str] = field(factory=set[str])
    narrowed: dict[str, datetime] = field(factory=dict[str, datetime])
    """When a commit last closed a user's gate, or set an instant at which it closes."""
    chain: bytes = b""
    entries: int = 0

    @property
    def unsure(self) -> timedelta:
        """How far the counts of a day may be off, since a clock was set."""
        return STEPPED if self.service.clocks_stepped else timedelta(0)

    def latest(self) -> datetime:
        """Return the latest instant on any clock of the service."""
        return max(each.clock.now() for each in self.service.processes)

    def asked(self, number: SubscriberNumber) -> bool:
        """Tell whether an operator was asked about a number and has not answered."""
        trials = (each.trial for each in self.accounts.values())
        return any(each and each.question and each.number == number for each in trials)

    def holder(self, number: SubscriberNumber) -> Account | None:
        """Return who holds a number."""
        for each in self.accounts.values():
            if each.holding is not None and each.holding.number == number:
                return each
        return None


def keyring_of(service: Service) -> Keyring:
    """Return what opens all that a service has sealed."""
    return Keyring(MemoryKeys(service.keys), service.messenger.id)

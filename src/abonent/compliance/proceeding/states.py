"""The states of an entry in the register, and of a proceeding, each holding just what it needs.

Knows what is so on a day. Refuses to know how it came to be (events) or what may follow
(transitions), and to judge: what a state holds was judged in the events that led to it. An entry
and a proceeding begin alike, with nothing. A proceeding is known by an id that the officer gives
it, and no text of anybody's has a place here.
"""

from __future__ import annotations

from datetime import date
from typing import Final, TypeAlias, get_args

from attrs import frozen


@frozen(kw_only=True)
class Blank:
    """Nothing is known yet."""


@frozen(kw_only=True)
class Registered:
    """The messenger is in the register of organizers of information dissemination."""

    since: date


@frozen(kw_only=True)
class Struck:
    """The messenger was struck from the register."""

    since: date


@frozen(kw_only=True)
class Fine:
    """A fine in whole roubles."""

    on: date
    roubles: int


@frozen(kw_only=True)
class Matter:
    """What all states of a proceeding hold: its id, its notice, its fine, and its last day so far.

    Nothing that happens later is dated before `last`.
    """

    case: str
    noticed: date
    last: date
    fine: Fine | None = None


@frozen(kw_only=True)
class NoticeDrawn:
    """A notice of an administrative offence was drawn up, and nothing is ordered."""

    matter: Matter


@frozen(kw_only=True)
class Ordered:
    """The violation is to be remedied by the end of the day `due`."""

    matter: Matter
    since: date
    due: date


@frozen(kw_only=True)
class OrderUnmet:
    """The order was not met by the end of the day `due`; access may be restricted."""

    matter: Matter
    due: date
    since: date


@frozen(kw_only=True)
class Restricted:
    """Access is restricted. `remedied` is when the violation was remedied after all, if it was."""

    matter: Matter
    due: date
    since: date
    remedied: date | None = None


@frozen(kw_only=True)
class Lifted:
    """Access is not restricted any more."""

    matter: Matter
    since: date


@frozen(kw_only=True)
class Remedied:
    """The violation was remedied, in time or too late, before access was restricted."""

    matter: Matter
    due: date
    since: date

    @property
    def in_time(self) -> bool:
        """Whether the order was met."""
        return self.since <= self.due


@frozen(kw_only=True)
class Closed:
    """The proceeding is over."""

    matter: Matter
    since: date


Entry: TypeAlias = Blank | Registered | Struck
Proceeding: TypeAlias = NoticeDrawn | Ordered | OrderUnmet | Restricted | Lifted | Remedied | Closed
State: TypeAlias = Entry | Proceeding
STATES: Final[tuple[type[State], ...]] = (*get_args(Entry), *get_args(Proceeding))

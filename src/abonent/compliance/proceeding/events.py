"""What has happened, by day: facts that an officer knows, and one that the calendar brings.

Knows facts. Refuses to know what they lead to; that is for `evolve`.
"""

from __future__ import annotations

from datetime import date
from typing import Final, TypeAlias, get_args

from attrs import field, frozen

from abonent.compliance.proceeding.days import check_day
from abonent.compliance.proceeding.sanctions import check_fine
from abonent.core.parties import check_id


@frozen(kw_only=True)
class EnteredInRegister:
    """The messenger was entered in the register."""

    on: date = field(validator=check_day)


@frozen(kw_only=True)
class StruckFromRegister:
    """The messenger was struck from the register."""

    on: date = field(validator=check_day)


@frozen(kw_only=True)
class NoticeDrawnUp:
    """The agency drew up a notice of an administrative offence: the proceeding begins."""

    on: date = field(validator=check_day)
    case: str = field(validator=check_id)


@frozen(kw_only=True)
class FineImposed:
    """A fine was imposed, in whole roubles."""

    on: date = field(validator=check_day)
    case: str = field(validator=check_id)
    roubles: int = field(validator=check_fine)


@frozen(kw_only=True)
class RemedyOrdered:
    """The agency ordered the violation remedied. The fifteen days begin with the day after."""

    on: date = field(validator=check_day)
    case: str = field(validator=check_id)


@frozen(kw_only=True)
class ViolationRemedied:
    """The messenger remedied the violation."""

    on: date = field(validator=check_day)
    case: str = field(validator=check_id)


@frozen(kw_only=True)
class OrderLapsed:
    """The last day of an order passed without the violation remedied. Nobody reports this."""

    on: date
    case: str


@frozen(kw_only=True)
class AccessRestricted:
    """Access was restricted, because an order was not met."""

    on: date = field(validator=check_day)
    case: str = field(validator=check_id)


@frozen(kw_only=True)
class RestrictionLifted:
    """Access was opened again."""

    on: date = field(validator=check_day)
    case: str = field(validator=check_id)


@frozen(kw_only=True)
class CaseClosed:
    """The proceeding ended."""

    on: date = field(validator=check_day)
    case: str = field(validator=check_id)


OfEntry: TypeAlias = EnteredInRegister | StruckFromRegister
OfProceeding: TypeAlias = (
    NoticeDrawnUp
    | FineImposed
    | RemedyOrdered
    | ViolationRemedied
    | OrderLapsed
    | AccessRestricted
    | RestrictionLifted
    | CaseClosed
)
Event: TypeAlias = OfEntry | OfProceeding
EVENTS: Final[tuple[type[Event], ...]] = (*get_args(OfEntry), *get_args(OfProceeding))

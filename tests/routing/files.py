"""Numbering-plan files as tests write them, and the plainest reading of one."""

from collections.abc import Sequence
from typing import NamedTuple

from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Operator

HEAD = "АВС/ DEF;От;До;Емкость;Оператор;Регион;Территория ГАР;ИНН"

ALPHA = Operator(id="alpha", names=("ПАО «Альфа»", "Alpha"))
BETA = Operator(id="beta", names=("Бета Мобайл",))
OPERATORS = (ALPHA, BETA)


class Span(NamedTuple):
    """A range as a person would note it down: national numbers and a spelling."""

    start: int
    end: int
    name: str


def row(code: int, first: int, last: int, name: str, region: str = "г. Москва") -> str:
    """One line of the registry."""
    return f"{code};{first:07d};{last:07d};{last - first + 1};{name};{region};{region};7700000000"


def lines_of(spans: Sequence[Span]) -> list[str]:
    """A whole file with these ranges."""
    return [
        HEAD,
        *(row(*divmod(each.start, 10_000_000), each.end % 10_000_000, each.name) for each in spans),
    ]


def number(national: int) -> SubscriberNumber:
    return SubscriberNumber(f"+7{national}")

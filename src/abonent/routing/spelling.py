"""Operators as the files spell them: one operator, many spellings.

Knows legal forms, quotes and letter case. Refuses to guess: what no configured name matches is an
unknown operator, however alike it looks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from abonent.core.parties import Operator
from abonent.errors import InvalidValue

_QUOTES: Final = str.maketrans("", "", "\"'`«»„“”‟‘’‚‹›")
_LEGAL_FORM: Final = re.compile(
    r"(?:(?:непубличное|публичное|открытое|закрытое) акционерное общество|акционерное общество"
    r"|общество с ограниченной ответственностью"
    r"|федеральное государственное (?:унитарное|казенное) предприятие"
    r"|ооо|оао|пао|зао|нао|ао|фгуп|фгкп) "
)


def normalised(spelling: str) -> str:
    """Return what two spellings of one name have in common.

    Case, quotes, repeated spaces, `ё` for `е` and one legal form in front do not tell names apart.
    """
    text = unicodedata.normalize("NFKC", spelling).translate(_QUOTES).casefold()
    text = " ".join(text.replace("ё", "е").split())
    return _LEGAL_FORM.sub("", text, count=1) if _LEGAL_FORM.match(text) else text


class Roster:
    """Gives each spelling met in the files a small index, and each index its operator's id.

    `names[i]` is the spelling as first met, `ids[i]` the operator's id, or None for an unknown.

    Raises:
        InvalidValue: two operators have the same id, or names that are the same once normalised;
            or a name is empty.
    """

    __slots__ = ("_by_id", "_by_name", "_seen", "ids", "names")

    def __init__(self, operators: Iterable[Operator]) -> None:
        self.names: list[str] = []
        self.ids: list[str | None] = []
        self._by_id: set[str] = set()
        self._by_name: dict[str, str] = {}
        self._seen: dict[tuple[str, bool], int] = {}
        for operator in operators:
            if operator.id in self._by_id:
                raise InvalidValue(f"operator {operator.id!r} is given twice")
            self._by_id.add(operator.id)
            for name in operator.names:
                self._learn(name, operator.id)

    def _learn(self, name: str, operator: str) -> None:
        key = normalised(name)
        if not key:
            raise InvalidValue(f"operator {operator!r} has an empty name")
        other = self._by_name.setdefault(key, operator)
        if other != operator:
            raise InvalidValue(f"operators {other!r} and {operator!r} share the name {name!r}")

    def index(self, spelling: str, *, or_id: bool = False) -> int:
        """Return the index of a spelling; with `or_id`, an operator's id is understood first."""
        found = self._seen.get((spelling, or_id))
        if found is None:
            found = self._seen[spelling, or_id] = len(self.ids)
            known = spelling if or_id and spelling in self._by_id else None
            self.names.append(spelling)
            self.ids.append(known or self._by_name.get(normalised(spelling)))
        return found

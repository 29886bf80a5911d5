"""Hypothesis learns of our types: `st.from_type(Notice)` works in any test, without an import.

Knows which rooms hold records. Refuses to import the strategies before one is used, and any room
that needs more than attrs and msgspec: Hypothesis loads this wherever abonent is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

from hypothesis import strategies as st
from msgspec import Struct

_ROOMS: Final = (
    "abonent.core.agreements",
    "abonent.core.budgets",
    "abonent.core.commands",
    "abonent.core.course",
    "abonent.core.events",
    "abonent.core.numbers",
    "abonent.core.owed",
    "abonent.core.parties",
    "abonent.core.policy",
    "abonent.core.rules",
    "abonent.core.standing",
    "abonent.core.states",
    "abonent.ports",
)

_NO_RECORDS: Final = frozenset({"Agreements", "SubscriberNumber"})


def records() -> Iterator[type[Any]]:
    """Return the record types of these rooms, and the two others that strategies make."""
    for room in _ROOMS:
        for each in vars(import_module(room)).values():
            if isinstance(each, type) and each.__module__ == room and _is_record(each):
                yield each


def _is_record(kind: type[Any]) -> bool:
    if getattr(kind, "__parameters__", ()):
        return False  # a generic record has no values of its own
    return (
        issubclass(kind, Struct) or hasattr(kind, "__attrs_attrs__") or kind.__name__ in _NO_RECORDS
    )


def register() -> None:
    """Register them; called by Hypothesis through its entry point."""
    for kind in records():
        st.register_type_strategy(kind, _values)


def _values(kind: type[Any]) -> st.SearchStrategy[Any]:
    from abonent.testing.strategies import of

    return of(kind)

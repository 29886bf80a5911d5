"""When two records are one state: the abstraction of the search.

Knows what no guard reads. Refuses to leave out anything that one does: `test_search.py` holds it to
that, by comparing what is merged with what a search without it sees.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from msgspec import Struct

from abonent.core import states
from abonent.core.states import Aggregate
from tests.search import words
from tests.search.core import ORIGIN, instant

UNREAD = frozenset(
    {
        (states.NotPassed, "at"),
        (states.NotPassed, "due"),
        (states.Identified, "since"),
        (states.ReidentificationDue, "noticed_at"),
        (states.ReidentificationDue, "happened_at"),
        (states.LiveCode, "issued_at"),
        (states.Forgotten, "at"),
    }
)
"""Instants that are kept for people to read: no decision depends on them."""
_COUNTED_NO_MORE = words.DAY + words.HOUR


Leaves = dict[type, Callable[[Any], Any]]


def rebuilt(value: Any, leaves: Leaves, unread: Any = frozenset()) -> Any:
    """The same record with every leaf of these types changed, and unread instants made alike."""
    kind = type(value)
    change = leaves.get(kind)
    if change is not None:
        return change(value)
    if kind is tuple:
        return tuple([rebuilt(each, leaves, unread) for each in value]) if value else value
    names = _fields_of(kind)
    if not names:
        return value
    parts: dict[str, Any] = {}
    for name in names:
        part = getattr(value, name)
        if part is not None:
            part = ORIGIN if (kind, name) in unread else rebuilt(part, leaves, unread)
        parts[name] = part
    return kind(**parts)


@cache
def _fields_of(kind: type[Any]) -> tuple[str, ...]:
    return kind.__struct_fields__ if issubclass(kind, Struct) else ()


def shifted(aggregate: Aggregate, by: int) -> Aggregate:
    """The record as it looks when so much time has passed and now is still called now."""
    step = by * timedelta(microseconds=1)
    return rebuilt(aggregate, {datetime: lambda at: at - step})


def canonical(
    aggregate: Aggregate, trials: tuple[words.Judge, ...], now: int
) -> tuple[Aggregate, tuple[words.Judge, ...]]:
    """The same for every guard: ids by order of appearance, unread instants alike.

    A charged try that waits for its verdict names a claim as well; both are renamed together.
    """
    names: dict[str, str] = {}
    codes: dict[str, str] = {}
    state = aggregate.state
    if isinstance(state, states.ProvingPossession):
        names[state.claim] = "c1"
    elif isinstance(state, states.AwaitingAnswer):
        names[state.query_id] = "q1"
    for trial in trials:
        names.setdefault(trial.claim, f"c{len(names) + 2}")
    held = states.identified_in(states.standing_identification(state))
    for code in (*((held.code,) if held else ()), *(each.code for each in aggregate.debts)):
        codes.setdefault(code, f"i{len(codes) + 1 if held else len(codes) + 2}")
    names |= codes

    alike = rebuilt(aggregate, {str: lambda name: names.get(name, name)}, UNREAD)
    last = instant(now - _COUNTED_NO_MORE)
    alike = Aggregate(
        state=alike.state,
        debts=alike.debts,
        failures=tuple(
            sorted((tag, tuple([max(at, last) for at in when])) for tag, when in alike.failures)
        ),
        sends=tuple([max(at, last) for at in alike.sends]),
        notices=_renamed_notices(alike.notices),
    )
    return alike, tuple(each._replace(claim=names[each.claim]) for each in trials)


def _renamed_notices(heard: tuple[str, ...]) -> tuple[str, ...]:
    """By how many came after: the newest is n1."""
    return tuple(
        f"{each.partition(' ')[0]} n{len(heard) - place}" for place, each in enumerate(heard)
    )

"""Values of every record, from the annotations of its fields.

Knows which names mean more than their type says, and which fields bind each other. Refuses to
know what makes sense one after another; that is for histories.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs
from hypothesis import strategies as st
from msgspec import Struct

from abonent.core.agreements import Agreement, Agreements
from abonent.core.commands import Terrain
from abonent.core.owed import OPEN, Gate
from abonent.core.parties import RESOLUTION, Consent, Messenger, MessengerKind
from abonent.core.policy import DAY, Policy
from abonent.core.retention import LONGEST, SHORTEST, RetentionPolicy
from abonent.core.rules import RULE_SETS, Rules
from abonent.core.states import Reason
from abonent.ports import Keys, Query
from abonent.testing.strategies.values import (
    aware_instants,
    ids,
    subscriber_numbers,
    text_of,
    user_ids,
)

T = TypeVar("T")
Arguments: TypeAlias = st.SearchStrategy[dict[str, Any]]

_SECOND: Final = timedelta(seconds=1)


def of(kind: type[T]) -> st.SearchStrategy[T]:
    """Values of a record: any that it accepts, whether its fields make sense together or not."""
    return arguments(kind).map(lambda each: kind(**each))


def arguments(kind: Callable[..., Any]) -> Arguments:
    """Keyword arguments from which a record is built."""
    bound = _BOUND.get(kind)
    return _each(kind) if bound is None else bound()


def _each(kind: Any, *left_out: str) -> Arguments:
    """Arguments made field by field."""
    hints = get_type_hints(kind)
    names: tuple[str, ...]
    if issubclass(kind, Struct):
        names = kind.__struct_fields__
    elif attrs.has(kind):
        names = tuple(each.name for each in attrs.fields(kind))
    else:  # a value that is no record: what it is built from
        hints = get_type_hints(kind.__init__)
        names = tuple(name for name in hints if name != "return")
    chosen = [name for name in names if name not in left_out]
    return st.fixed_dictionaries({name: _field(name, hints[name]) for name in chosen})


def _field(name: str, hint: Any) -> st.SearchStrategy[Any]:
    named = _NAMED.get((name, hint))
    return _values(hint) if named is None else named()


def _values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation; Hypothesis alone would make naive datetimes of some."""
    plain = _PLAIN.get(hint)
    if plain is not None:
        return plain()
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return st.one_of([_values(each) for each in inner])
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(_values(inner[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_values, inner))
    if _is_record(hint):
        return st.deferred(lambda: of(hint))
    return st.from_type(hint)


def _is_record(hint: Any) -> bool:
    return inspect.isclass(hint) and (issubclass(hint, Struct) or attrs.has(hint))


_PLAIN: Final[dict[Any, Callable[[], st.SearchStrategy[Any]]]] = {
    datetime: aware_instants,
    timedelta: lambda: st.timedeltas(_SECOND, 30 * DAY),
    str: lambda: st.text(max_size=12),
    bytes: lambda: st.binary(max_size=20),
    int: lambda: st.integers(0, 2**60),
    # What is counted in budgets is kept in order.
    tuple[datetime, ...]: lambda: st.lists(aware_instants(), max_size=3).map(sorted).map(tuple),
}


def _opaque_ids() -> st.SearchStrategy[str]:
    return text_of(r"[A-Za-z0-9_-]{1,40}")


def _tags() -> st.SearchStrategy[bytes]:
    return st.binary(min_size=16, max_size=16)


def _maybe_ids() -> st.SearchStrategy[str | None]:
    return st.none() | ids()


def _up_to(most: int) -> Callable[[], st.SearchStrategy[int]]:
    return lambda: st.integers(1, most)


_NAMED: Final[dict[tuple[str, Any], Callable[[], st.SearchStrategy[Any]]]] = {
    ("agreement", str | None): _maybe_ids,
    ("cause", str): lambda: st.sampled_from(["UNAVAILABLE", "MISCONFIGURED", "ADAPTER_FAULT"]),
    ("claim", str): _opaque_ids,
    ("code", str): lambda: text_of(r"[A-Za-z0-9_-]{22}"),
    ("code_length", int): lambda: st.integers(6, 10),
    ("code_valid", timedelta): lambda: st.timedeltas(_SECOND, timedelta(minutes=10)),
    ("concurrency", int): _up_to(1000),
    ("default_region", str): lambda: st.just("RU"),
    ("digits", str): lambda: text_of("[0-9]{4,10}"),
    ("e164", str): lambda: subscriber_numbers().map(lambda each: each.e164),
    ("failures_per_day", int): _up_to(100),
    ("id", str): ids,
    ("key_id", str): lambda: text_of(r"[a-z0-9-]{1,16}"),
    ("limit", int): _up_to(10**9),
    ("locale", str): lambda: st.sampled_from(["", "ru", "ru-RU", "kk", "en"]),
    ("messenger", str): ids,
    ("next_query_id", str): _opaque_ids,
    ("notice_id", str): _opaque_ids,
    ("opaque", bytes): lambda: st.binary(max_size=64) | st.just(b"\xff" * 4096),
    ("operator", str): ids,
    ("operator", str | None): _maybe_ids,
    ("purpose", str): ids,
    ("query_id", str): _opaque_ids,
    ("recipient", str): ids,
    ("regions", frozenset[str]): lambda: st.sampled_from(
        [frozenset({"RU"}), frozenset({"RU", "KZ", "BY"})]
    ),
    ("resend_after", timedelta): lambda: st.timedeltas(_SECOND, DAY),
    ("rules", str): lambda: st.sampled_from([each.id for each in RULE_SETS]),
    ("sends_per_number", int): _up_to(1000),
    ("sends_per_user", int): _up_to(1000),
    ("serving", str | None): _maybe_ids,
    ("space", str): ids,
    ("subject", bytes): _tags,
    ("tag", bytes): _tags,
    ("tags", tuple[bytes, ...]): lambda: st.lists(_tags(), min_size=1, max_size=3).map(tuple),
    ("territory", str | None): lambda: st.none() | text_of("[A-Z]{2}"),
    ("tries", int): lambda: st.integers(0, 20),
    ("tries_per_code", int): _up_to(10),
    ("user_id", str): user_ids,
    ("within", timedelta): lambda: st.timedeltas(timedelta(minutes=1), timedelta(days=31)),
    ("wake", int | None): lambda: st.none() | st.integers(-(2**50), 2**60),
}
"""Fields that are narrower than their type, by name and type."""


# --- records whose fields bind each other -------------------------------------------


def _with(values: Arguments, others: Arguments) -> Arguments:
    return st.tuples(values, others).map(lambda both: {**both[0], **both[1]})


def _span(starts: str, ends: str) -> Arguments:
    """A beginning, and an end after it or none."""

    def ended(start: datetime) -> Arguments:
        later = st.timedeltas(RESOLUTION, 3000 * DAY).map(start.__add__)
        return st.fixed_dictionaries({starts: st.just(start), ends: st.none() | later})

    return aware_instants().flatmap(ended)


def _agreement() -> Arguments:
    parties = {"id": ids(), "messenger": ids(), "operator": ids()}
    return _with(_span("starts", "ends"), st.fixed_dictionaries(parties))


def _agreements() -> Arguments:
    """Agreements of one messenger, one with each operator."""

    def among(messenger: str) -> Arguments:
        same = st.fixed_dictionaries({"messenger": st.just(messenger)})
        one = _with(_agreement(), same).map(lambda each: Agreement(**each))
        several = st.lists(one, max_size=3, unique_by=(_id, _operator))
        return st.fixed_dictionaries({"messenger": st.just(messenger), "agreements": several})

    return ids().flatmap(among)


def _id(agreement: Agreement) -> str:
    return agreement.id


def _operator(agreement: Agreement) -> str:
    return agreement.operator


def _terrain() -> Arguments:
    """A messenger with agreements of its own."""

    def around(parts: Mapping[str, Any]) -> Arguments:
        kinds = st.sampled_from(MessengerKind)
        return st.fixed_dictionaries(
            {
                "messenger": kinds.map(lambda kind: Messenger(id=parts["messenger"], kind=kind)),
                "policy": of(Policy),
                "agreements": st.just(Agreements(**parts)),
                "rules": st.none() | of(Rules),
            }
        )

    return _agreements().flatmap(around)


def _keys() -> Arguments:
    root = st.binary(min_size=32, max_size=32)
    several = st.dictionaries(text_of(r"[a-z0-9-]{1,16}"), root, min_size=1, max_size=3)
    return several.flatmap(
        lambda roots: st.fixed_dictionaries(
            {"current": st.sampled_from(sorted(roots)), "roots": st.just(roots)}
        )
    )


def _query() -> Arguments:
    """A question that is due after it was asked."""
    times = st.tuples(aware_instants(), st.timedeltas(_SECOND, DAY))
    due = times.map(lambda each: {"asked_at": each[0], "due": each[0] + each[1]})
    return _with(due, _each(Query, "asked_at", "due"))


def _gate() -> Arguments:
    closed = st.sampled_from(Reason).map(lambda reason: Gate(False, None, reason))
    grace = aware_instants().map(lambda end: Gate(True, end, Reason.REIDENTIFICATION_DUE))
    gates = st.just(OPEN) | grace | closed
    return gates.map(lambda each: {name: getattr(each, name) for name in each.__struct_fields__})


def _rules() -> Arguments:
    return st.sampled_from(RULE_SETS).map(lambda each: attrs.asdict(each, recurse=False))


def _retention() -> Arguments:
    kept = st.none() | st.timedeltas(min_value=SHORTEST, max_value=LONGEST)
    names = [each.name for each in attrs.fields(RetentionPolicy)]
    return st.fixed_dictionaries(dict.fromkeys(names, kept))


_BOUND: Final[dict[Callable[..., Any], Callable[[], Arguments]]] = {
    Agreement: _agreement,
    Agreements: _agreements,
    Consent: lambda: _with(_span("given_at", "until"), _each(Consent, "given_at", "until")),
    Gate: _gate,
    Keys: _keys,
    Query: _query,
    RetentionPolicy: _retention,
    Rules: _rules,
    Terrain: _terrain,
}

"""Values of every shape that is stored, made from the annotations of its fields."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from abonent import SubscriberNumber
from abonent.core import events as happened
from abonent.core import states
from abonent.core.events import EVENTS
from abonent.core.states import STATES, Aggregate

instants = st.datetimes(
    min_value=datetime(1971, 1, 1), max_value=datetime(2400, 1, 1), timezones=st.just(UTC)
)
texts = st.text(max_size=12)
blobs = st.binary(max_size=20)
numbers = st.from_regex(r"\+[1-9][0-9]{4,14}", fullmatch=True).map(SubscriberNumber)
ENUMS = {
    each.__name__: each
    for each in (
        states.Reason,
        states.NoticeKind,
        states.Basis,
        states.EffectKind,
        happened.Outcome,
        happened.Ignored,
    )
}
PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "datetime": instants,
    "str": texts,
    "int": st.integers(0, 2**60),
    "bytes": blobs,
    "bool": st.booleans(),
    "SubscriberNumber": numbers,
    "Instants": st.lists(instants, max_size=4).map(tuple),
    "tuple[bytes, ...]": st.lists(blobs, max_size=3).map(tuple),
    "tuple[str, ...]": st.lists(texts, max_size=3).map(tuple),
    "tuple[tuple[bytes, Instants], ...]": st.lists(
        st.tuples(blobs, st.lists(instants, max_size=3).map(tuple)), max_size=3
    ).map(tuple),
    **{name: st.sampled_from(kind) for name, kind in ENUMS.items()},
}


def of_annotation(annotation: str) -> st.SearchStrategy[Any]:
    if annotation.endswith(" | None"):
        return st.none() | of_annotation(annotation.removesuffix(" | None"))
    if annotation == "Before":
        return st.none() | of_type(states.Identified) | of_type(states.ReidentificationDue)
    if annotation == "tuple[Debt, ...]":
        return st.lists(of_type(states.Debt), max_size=3).map(tuple)
    if annotation in PLAIN:
        return PLAIN[annotation]
    return of_type(getattr(states, annotation))


def of_type(kind: type[Any]) -> st.SearchStrategy[Any]:
    fields = {name: kind.__annotations__[name] for name in kind.__struct_fields__}
    return st.deferred(
        lambda: st.fixed_dictionaries(
            {name: of_annotation(each) for name, each in fields.items()}
        ).map(lambda values: kind(**values))
    )


any_state = st.one_of([of_type(kind) for kind in STATES])
any_event = st.one_of([of_type(kind) for kind in EVENTS])
aggregates = st.builds(
    Aggregate,
    state=any_state,
    debts=of_annotation("tuple[Debt, ...]"),
    failures=PLAIN["tuple[tuple[bytes, Instants], ...]"],
    sends=PLAIN["Instants"],
    notices=PLAIN["tuple[str, ...]"],
)

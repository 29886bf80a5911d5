"""All that is held about one person: for the person who asks, and for who has to answer them.

Knows every field of what is kept, and what it is in plain words: two literal tables, one of what is
shown and one of what is not and why, which together are all of it. Refuses to change anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import Enum
from typing import Any, Final, TypeAlias

from attrs import field, frozen
from msgspec import Struct

from abonent.core.budgets import Instants, live
from abonent.core.events import NumberDisclosed
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import UNKNOWN_USER, Gate, gate, wakes_at
from abonent.core.parties import check_user_id
from abonent.core.policy import DAY
from abonent.core.rules import rules_by_id
from abonent.core.standing import Status, standing
from abonent.core.states import (
    Aggregate,
    Attempt,
    AwaitingAnswer,
    Debt,
    Forgotten,
    Identified,
    LiveCode,
    NotPassed,
    ProvingPossession,
    ReidentificationDue,
    Unidentified,
)
from abonent.engine.archive import Archive, Held, sends_key
from abonent.errors import InvalidValue
from abonent.feed import Happening
from abonent.records import Row, decode_entry, decode_instants

_CHUNK: Final = 500

Value: TypeAlias = SubscriberNumber | str | int | bool | datetime

# --- the record ---------------------------------------------------------------------------


@frozen(kw_only=True)
class HeldFact:
    """One thing that is held: of which part of the record, its stable name, in words, its value."""

    part: str
    name: str
    words: str
    value: Value


@frozen(kw_only=True)
class Counted:
    """How often something was counted in the last 24 hours, and until when any of it counts."""

    times: int
    until: datetime
    number: SubscriberNumber | None = None


@frozen(kw_only=True)
class Clause:
    """A figure of a rule set and the clause that gives it."""

    figure: str
    value: str
    source: str


@frozen(kw_only=True)
class Grounds:
    """A rule set under which something was done: its id, title and clauses.

    Of one that this release does not know, only the id.
    """

    id: str
    title: str = ""
    clauses: tuple[Clause, ...] = ()


@frozen(kw_only=True)
class Holding:
    """All that is held about a user at an instant; `status` is None where nothing is.

    `facts` are the record field by field; `grounds` the rule sets it rests on; `failures` and
    `sends` what is counted for a day; `notices` the operators' ids of notices that were heard;
    `deadlines` what happens next by itself, earliest first; `journal` what happened, in `entries`
    sealed entries; `numbers` those that the journal names, `disclosures` to whom one was given.
    """

    user_id: str
    at: datetime
    status: Status | None = None
    gate: Gate = UNKNOWN_USER
    facts: tuple[HeldFact, ...] = ()
    grounds: tuple[Grounds, ...] = ()
    failures: tuple[Counted, ...] = ()
    sends: tuple[Counted, ...] = ()
    notices: tuple[str, ...] = ()
    deadlines: tuple[tuple[datetime, str], ...] = ()
    entries: int = 0
    journal: tuple[Happening, ...] = field(default=(), repr=False)
    numbers: tuple[SubscriberNumber, ...] = ()
    disclosures: tuple[NumberDisclosed, ...] = ()


# --- every field --------------------------------------------------------------------------

SHOWN: Final[dict[type[Any], dict[str, str]]] = {
    Row: {"user_id": "the messenger's id of the user"},
    Unidentified: {},
    ProvingPossession: {
        "number": "the number claimed",
        "operator": "the operator that serves it",
        "rules": "the rule set of the claim",
        "locale": "the language of messages",
        "expires_at": "the claim waits for its proof until",
        "issued": "codes issued for this claim",
        "issued_at": "the last of them at",
    },
    LiveCode: {
        "issue": "which code it is",
        "issued_at": "issued at",
        "expires_at": "valid until",
        "tries": "tries that it took",
        "opaque": "bytes that the sender had stored",
    },
    Attempt: {"tries": "tries so far", "next_try": "the next try at"},
    AwaitingAnswer: {
        "number": "the number asked about",
        "proven_at": "possession proven at",
        "operator": "the operator asked",
        "agreement": "the agreement",
        "query_id": "the id of the question",
        "asked_at": "asked at",
        "due": "an answer counts until",
        "rerouted": "asked a second operator",
        "rules": "the rule set of the question",
        "opaque": "bytes that the operator's gateway had stored",
    },
    Identified: {
        "number": "the number",
        "proven_at": "possession proven at",
        "asked_at": "the operator asked at",
        "since": "identified since",
        "operator": "the operator that identified",
        "agreement": "the agreement",
        "code": "the identification code",
        "basis": "on what it rests",
        "rules": "the rule set of the identification",
    },
    ReidentificationDue: {
        "cause": "to be identified anew because the number was",
        "happened_at": "which happened at",
        "noticed_at": "notice came at",
        "due": "to be identified anew until",
    },
    NotPassed: {
        "reason": "not passed because of",
        "at": "ended at",
        "due": "the deadline that ran out",
        "retry_at": "may be tried again from",
    },
    Forgotten: {"at": "forgotten at"},
    Debt: {
        "kind": "what an operator is still told",
        "operator": "which operator",
        "code": "about the identification with the code",
        "since": "owed since",
    },
}
"""What is shown as a fact, in words."""

PARTS: Final[dict[tuple[type[Any], str], str]] = {
    (Aggregate, "state"): "state",
    (Aggregate, "debts"): "owed",
    (ProvingPossession, "code"): "code",
    (ProvingPossession, "before"): "standing",
    (LiveCode, "sending"): "sending",
    (AwaitingAnswer, "asking"): "asking",
    (AwaitingAnswer, "before"): "standing",
    (ReidentificationDue, "was"): "identification",
    (Debt, "attempt"): "trying",
}
"""Fields that are records of their own, and what their facts are a part of."""

ELSEWHERE: Final[dict[tuple[type[Any], str], str]] = {
    (Aggregate, "failures"): "failures",
    (Aggregate, "sends"): "sends",
    (Aggregate, "notices"): "notices",
}
"""Fields that are shown by an attribute of `Holding`."""

INTERNAL: Final[dict[tuple[type[Any], str], str]] = {
    (Row, "subject_key"): "the random key of the journal's entries: it says nothing by itself",
    (Row, "aggregate"): "the record, of which every field is listed",
    (Row, "begun"): "from where the entries of the journal are numbered",
    (ProvingPossession, "tag"): "a keyed hash of the number, which is shown",
    (ProvingPossession, "claim"): "a random id, from which codes are derived",
    (LiveCode, "key_id"): "the name of the key from which the code is derived",
}
"""What is not shown, and why."""


# --- reading it ---------------------------------------------------------------------------


def held_about(archive: Archive, user_id: str, now: datetime) -> Holding:
    """Return all that is held about a user. Reads the whole journal. Blocks on the store."""
    check_user_id(user_id)
    held = archive.user(user_id)
    if held is None:
        return Holding(user_id=user_id, at=now)
    entries, journal = _journal(archive, held)
    facts = (*_facts_of(held.row, "user"), *_facts(held.aggregate))
    numbers = _numbers(journal)
    counted = [_counted(held.aggregate.sends, now)]
    known = dict.fromkeys((*numbers, *_values(facts, SubscriberNumber)))
    counted += [_counted(_sent_to(archive, each), now, each) for each in known]
    aggregate = held.aggregate
    return Holding(
        user_id=user_id,
        at=now,
        status=standing(user_id, aggregate, now, archive.terrain.policy).status,
        gate=gate(aggregate, now),
        facts=facts,
        grounds=_grounds(facts, journal),
        failures=_some(_counted(instants, now) for _, instants in aggregate.failures),
        sends=_some(counted),
        notices=aggregate.notices,
        deadlines=_deadlines(aggregate, facts),
        entries=entries,
        journal=journal,
        numbers=numbers,
        disclosures=tuple(
            each.event for each in journal if isinstance(each.event, NumberDisclosed)
        ),
    )


def _facts(aggregate: Aggregate) -> Iterator[HeldFact]:
    yield from _facts_of(aggregate.state, PARTS[Aggregate, "state"])
    for place, debt in enumerate(aggregate.debts, 1):
        yield from _facts_of(debt, f"{PARTS[Aggregate, 'debts']} {place}")


def _facts_of(record: Struct, part: str) -> Iterator[HeldFact]:
    """The facts in a record and in the records within it; where nothing is held, there is none."""
    kind = type(record)
    for name in kind.__struct_fields__:
        value = getattr(record, name)
        words = SHOWN[kind].get(name)
        if value is None:
            continue
        if words is not None:
            yield HeldFact(part=part, name=name, words=words, value=_plain(value))
        elif isinstance(value, Struct) and (kind, name) in PARTS:
            yield from _facts_of(value, f"{part}, {PARTS[kind, name]}")


def _plain(value: Any) -> Value:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bytes):
        return len(value)
    plain: Value = value
    return plain


def _values(facts: tuple[HeldFact, ...], kind: type[Any]) -> list[Any]:
    return [each.value for each in facts if isinstance(each.value, kind)]


def _journal(archive: Archive, held: Held) -> tuple[int, tuple[Happening, ...]]:
    """The entries up to this version of the row, so that both tell of the same moment."""
    subject, last = held.subject, held.version - held.row.begun
    told: list[Happening] = []
    entries = after = 0
    while chunk := archive.storage.journal(archive.space, after, _CHUNK):
        after = chunk[-1].cursor
        for entry in chunk:
            if entry.subject != subject or entry.number > last:
                continue
            entries += 1
            body = archive.keyring.open_entry(held.row.subject_key, entry.number, entry.body)
            told += [Happening(at=each.at, event=each) for each in decode_entry(body).events]
    return entries, tuple(told)


def _numbers(journal: tuple[Happening, ...]) -> tuple[SubscriberNumber, ...]:
    found = (getattr(each.event, "number", None) for each in journal)
    return tuple(dict.fromkeys(each for each in found if isinstance(each, SubscriberNumber)))


# --- counts, grounds, deadlines -----------------------------------------------------------


def _counted(
    instants: Instants, now: datetime, number: SubscriberNumber | None = None
) -> Counted | None:
    counts = live(instants, now)
    if not counts:
        return None
    return Counted(times=len(counts), until=counts[-1] + DAY, number=number)


def _some(counted: Any) -> tuple[Counted, ...]:
    return tuple(each for each in counted if each is not None)


def _sent_to(archive: Archive, number: SubscriberNumber) -> Instants:
    """When codes were sent to a number, whoever claimed it."""
    keys = [sends_key(tag) for tag in archive.keyring.number_tags(number)]
    found: list[datetime] = []
    for key, record in zip(keys, archive.storage.load(archive.space, keys), strict=True):
        if record is not None:
            body = archive.keyring.open_row(key, record.version, record.body)
            found += decode_instants(body)
    return tuple(sorted(found))


_FIGURES: Final = (
    "consent_needed",
    "domestic_by_itself",
    "agreement_needed",
    "confirmed_by_action",
    "answer_within",
    "operator_records",
    "reidentify_within",
    "kept_only_in",
    "disclosure_needs_consent",
)


def _grounds(facts: tuple[HeldFact, ...], journal: tuple[Happening, ...]) -> tuple[Grounds, ...]:
    named = [str(each.value) for each in facts if each.name == "rules"]
    named += [each for happening in journal if (each := getattr(happening.event, "rules", None))]
    return tuple(_under(each) for each in dict.fromkeys(named))


def _under(rules_id: str) -> Grounds:
    try:
        rules = rules_by_id(rules_id)
    except InvalidValue:
        return Grounds(id=rules_id)
    cited = [(name, getattr(rules, name)) for name in _FIGURES]
    clauses = tuple(
        Clause(figure=name, value=str(each.value), source=each.source)
        for name, each in cited
        if each.value is not None
    )
    return Grounds(id=rules.id, title=rules.title, clauses=clauses)


_AHEAD: Final = frozenset({"expires_at", "next_try", "retry_at"})


def _deadlines(
    aggregate: Aggregate, facts: tuple[HeldFact, ...]
) -> tuple[tuple[datetime, str], ...]:
    over = isinstance(aggregate.state, NotPassed)
    found = [
        (each.value, f"{each.part}: {each.words}")
        for each in facts
        if isinstance(each.value, datetime)
        and (each.name in _AHEAD or (each.name == "due" and not over))
    ]
    wake = wakes_at(aggregate)
    if wake is not None:
        found.append((wake, "the record is looked at by itself"))
    return tuple(sorted(found))

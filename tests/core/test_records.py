"""What all records of the core have in common, and the values that others store and compare."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import Enum
from importlib import import_module
from typing import Any

import attrs
import pytest
from msgspec import Struct

import abonent.core
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import Gate
from abonent.core.rules import DRAFT_2017, RESOLUTION_1279, RESOLUTION_1801, Cited
from abonent.engine.effects import AlarmKind
from abonent.errors import NaiveInstant

POSITIONAL = (SubscriberNumber, Gate, Cited)
"""Values of one idea; everything else says at the call what is what."""


def classes(kind: Any) -> Iterator[type[Any]]:
    for info in pkgutil.iter_modules(abonent.core.__path__, "abonent.core."):
        for found in vars(import_module(info.name)).values():
            if isinstance(found, type) and found.__module__ == info.name and kind(found):
                yield found


def is_record(found: type[Any]) -> bool:
    return issubclass(found, Struct) or attrs.has(found)


@pytest.mark.parametrize("record", [*classes(is_record)], ids=lambda each: each.__name__)
def test_a_record_is_frozen_and_named_by_its_fields(record):
    """No record of the core can be changed, and no two of its fields can be mixed up."""
    if issubclass(record, Struct):
        assert record.__struct_config__.frozen
    else:
        blank = object.__new__(record)
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            setattr(blank, attrs.fields(record)[0].name, None)
    if record not in POSITIONAL:
        kinds = {each.kind for each in inspect.signature(record).parameters.values()}
        assert kinds <= {inspect.Parameter.KEYWORD_ONLY}


STABLE = {
    "Action": "claim prove resend wait",
    "Basis": "own_determination operator_answer declared",
    "EffectKind": "send_code ask_operator record withdraw",
    "Ignored": "late not_asked other_operator stale repeated already_due",
    "MessengerKind": "domestic foreign",
    "NoticeKind": "terminated reassigned ported number_changed",
    "Outcome": "held not_held not_ours undetermined later",
    "Reason": "no_agreement not_held no_answer undetermined too_many_failures claim_expired"
    " subscription_ended not_identified_anew displaced not_identified reidentification_due"
    " forgotten cannot_say",
    "RetentionRule": "never_passed lost declared",
    "Status": "unidentified proving_possession awaiting_answer identified reidentification_due"
    " not_passed forgotten",
}


def is_enumeration(found: type[Any]) -> bool:
    return issubclass(found, Enum)


def test_values_are_stable():
    """A released value of an enumeration never changes: it is stored, logged and compared."""
    found = {each.__name__: each for each in (*classes(is_enumeration), AlarmKind)}
    expected = {name: values.split() for name, values in STABLE.items()}
    expected["AlarmKind"] = [
        *("misconfigured", "adapter_fault", "debt_given_up"),
        *("feed_silent", "feed_lapsing", "feed_ended"),
        *("answer_lapsed", "notice_overdue", "key_worn"),
    ]
    assert expected == {name: [each.value for each in kind] for name, kind in found.items()}
    for kind in found.values():
        assert [each.name.lower() for each in kind] == [each.value for each in kind]


@pytest.mark.parametrize("rules", [DRAFT_2017, RESOLUTION_1279, RESOLUTION_1801])
def test_every_rule_is_cited(rules):
    """A rule set gives each of its figures with the clause that it comes from, known or not."""
    cited = [each.name for each in attrs.fields(type(rules)) if "Cited" in str(each.type)]
    assert len(cited) >= 12
    for name in cited:
        value = getattr(rules, name)
        assert isinstance(value, Cited), name
        assert value.source.strip(), name


@pytest.mark.parametrize("end", ["starts", "ends"])
def test_a_rule_set_begins_and_ends_at_instants(end):
    """The dates of a rule set have a time zone; an open end is said, never left out (P16)."""
    with pytest.raises(NaiveInstant):
        attrs.evolve(RESOLUTION_1801, **{end: datetime(2028, 3, 1)})
    assert attrs.NOTHING is getattr(attrs.fields(type(RESOLUTION_1801)), end).default


def test_a_rule_set_of_ours_changes_at_midnight_in_moscow():
    """Resolution No. 1801 took effect on 2022-03-01 in Moscow, and is kept in UTC."""
    starts = RESOLUTION_1801.starts
    assert starts is not None
    assert datetime(2022, 2, 28, 21, tzinfo=UTC) == starts
    assert UTC is starts.tzinfo

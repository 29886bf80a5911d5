"""The shipped strategies: what they give is accepted, what nearly fits is refused by name."""

import subprocess
import sys
from collections import Counter
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

import abonent
from abonent import SubscriberNumber, parse_number, ports
from abonent.core.course import Step
from abonent.core.events import (
    EVENTS,
    DebtGivenUp,
    Declared,
    Event,
    TombstoneCleared,
    UserForgotten,
)
from abonent.core.evolution import evolve
from abonent.core.states import BLANK, STATES, Aggregate, Forgotten
from abonent.errors import AbonentError
from abonent.records import decode_entry, encode_entry
from abonent.testing import strategies
from abonent.testing.registration import records
from abonent.testing.strategies import History, NearMiss
from tests.properties.parts import parts_of

EXAMPLES = settings(suppress_health_check=list(HealthCheck))


def is_record(value: Any) -> bool:
    return isinstance(value, type) and (issubclass(value, Struct) or attrs.has(value))


PUBLIC = [
    each
    for each in (getattr(abonent, name) for name in abonent.__all__)
    if is_record(each)
    and each not in (abonent.OneTimeCodes, abonent.AsyncOneTimeCodes, abonent.CodeTexts)
    and each is not abonent.MemoryKeys
    and each not in (abonent.FileKeys, abonent.EnvironmentKeys, abonent.WrappedKeys)
]
PORTS = [
    each for each in vars(ports).values() if is_record(each) and each.__module__ == "abonent.ports"
]


@pytest.mark.parametrize("kind", [*records()], ids=lambda each: each.__name__)
def test_hypothesis_makes_values_of_every_record(kind: type[Any]):
    """`st.from_type` gives values of each record of the core and the ports, without an import."""

    @settings(EXAMPLES, max_examples=20)
    @given(st.from_type(kind))
    def makes(value: Any) -> None:
        assert type(value) is kind

    makes()


@pytest.mark.parametrize("kind", [*PUBLIC, *PORTS], ids=lambda each: each.__name__)
def test_every_public_record_has_a_strategy(kind: type[Any]):
    """`strategies.of` gives values of every public record, and no datetime in them is naive."""

    @settings(EXAMPLES, max_examples=30)
    @given(strategies.of(kind))
    def makes(value: Any) -> None:
        assert type(value) is kind
        assert not [each for each in parts_of(value) if _is_naive(each)]

    makes()


def _is_naive(value: Any) -> bool:
    return hasattr(value, "utcoffset") and hasattr(value, "year") and value.utcoffset() is None


def test_nothing_public_is_left_out():
    """What is registered covers every state and event, and the records of the ports."""
    registered = set(records())
    assert set() == {*STATES, *EVENTS, *PORTS, Aggregate, Step} - registered


# --- numbers --------------------------------------------------------------------------------


@given(st.data())
def test_every_spelling_is_read_as_its_number(data: st.DataObject):
    """P9: however a number is typed, it is read as the one that it is a spelling of."""
    number = data.draw(strategies.mobile_numbers())
    text = data.draw(strategies.spellings(number))
    assert number == parse_number(text).number


def test_spellings_are_messy():
    """Among the spellings are 8, brackets, `tel:`, hyphens, and digits of other scripts."""
    number = SubscriberNumber("+79161234567")
    seen: Counter[str] = Counter()

    @settings(EXAMPLES, max_examples=300, derandomize=True)
    @given(strategies.spellings(number))
    def look(text: str) -> None:
        seen["eight"] += text.strip().startswith("8")
        seen["brackets"] += "(" in text
        seen["uri"] += text.lower().startswith("tel:")
        seen["separators"] += "-" in text
        seen["plain"] += text == number.e164
        seen["full-width"] += "９" in text
        seen["Arabic-Indic"] += "٩" in text

    look()
    assert set() == {what for what, times in seen.items() if not times}


# --- what is nearly valid -------------------------------------------------------------------


@settings(EXAMPLES, max_examples=300)
@given(strategies.near_misses())
def test_a_near_miss_is_refused_by_name(miss: NearMiss):
    """What has one thing wrong is refused by the error that the near miss names."""
    with pytest.raises(miss.error):
        miss()


@settings(EXAMPLES)
@given(strategies.nearly_valid(abonent.Agreement))
def test_a_near_miss_has_one_thing_wrong(miss: NearMiss):
    """All arguments are there, so nothing else can be the reason; the error is one of ours."""
    names = {each.name for each in attrs.fields(abonent.Agreement)}
    assert names == set(miss.arguments)
    assert issubclass(miss.error, AbonentError)


@settings(EXAMPLES)
@given(strategies.naive_instants(), strategies.aware_instants())
def test_instants_are_aware_or_they_are_not(naive: Any, aware: Any):
    """P16: the two kinds of datetimes are kept apart."""
    assert naive.utcoffset() is None
    assert aware.utcoffset() is not None


# --- histories ------------------------------------------------------------------------------


@settings(EXAMPLES)
@given(strategies.histories())
def test_every_command_of_a_history_is_accepted(history: History):
    """No command of a history is refused, and time never goes back."""
    assert len(history.commands) == len(list(history.steps()))
    instants = [each.at for each in history.commands]
    assert sorted(instants) == instants


@settings(EXAMPLES)
@given(strategies.histories())
def test_the_events_of_a_history_give_its_record(history: History):
    """I7: written, read back and applied, the events of a history give the record at its end."""
    aggregate = BLANK
    for step in history.steps():
        if step.events:
            for event in decode_entry(encode_entry(step.events, None)).events:
                aggregate = evolve(aggregate, event)
    assert history.aggregate == aggregate


def test_histories_go_everywhere():
    """Among some hundred histories, every state but Forgotten and most events are reached."""
    states: set[type[Any]] = set()
    events: set[type[Event]] = set()

    @settings(EXAMPLES, max_examples=300, derandomize=True, database=None)
    @given(strategies.histories())
    def look(history: History) -> None:
        for step in history.steps():
            states.add(type(step.aggregate.state))
            events.update(type(each) for each in step.events)

    look()
    assert {Forgotten} == {*STATES} - states - {type(BLANK.state)}
    assert {UserForgotten, TombstoneCleared, Declared} == {*EVENTS} - events - {DebtGivenUp}


# --- the entry point ------------------------------------------------------------------------

HEAVY = ("phonenumbers", "cryptography", "abonent.testing.strategies", "abonent.engine")


def test_hypothesis_learns_of_our_types_and_imports_nothing_heavy():
    """Importing Hypothesis registers our records, and loads no strategy, metadata or cipher."""
    code = f"""
import sys
from hypothesis import strategies as st
print([each for each in {HEAVY!r} if each in sys.modules])
from abonent import Notice
from hypothesis import find
print(type(find(st.from_type(Notice), lambda each: True)).__name__)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded, made = told.stdout.splitlines()
    assert ("[]", "Notice") == (loaded, made)

"""What is held about a person is told whole: every field, or why it is not."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import timedelta
from enum import Enum
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from abonent import AsyncIdentifier, Identifier, MemoryStorage, MessengerKind, Status
from abonent.cli import main
from abonent.cli.held import _shown, as_object, lines
from abonent.core.rules import rules_by_id
from abonent.core.states import STATES, Aggregate, Attempt, Debt, LiveCode
from abonent.errors import InvalidUserId
from abonent.holding import (
    ELSEWHERE,
    INTERNAL,
    PARTS,
    SHOWN,
    Clause,
    Counted,
    Grounds,
    _facts,
    _under,
)
from abonent.records import Row
from abonent.testing.strategies.records import of
from tests.engine.test_erasure import (
    ALICE,
    BANK,
    NOTICE,
    InFile,
    identified_under_an_older_key,
    in_the_middle_of_it,
)
from tests.properties.parts import HOUR, N1, N2, M, bounded
from tests.world import World as Scenario

KEPT = (Row, Aggregate, *STATES, Debt, Attempt, LiveCode)
"""Every record of which a row is made."""


# --- every field ----------------------------------------------------------------------------


def test_every_field_is_shown_or_explained():
    """Of every record that is kept, each field is shown, a part, elsewhere, or said to be internal.

    And exactly one of these; and nothing is explained that there is not.
    """
    there = {(kind, name) for kind in KEPT for name in kind.__struct_fields__}
    shown = {(kind, name) for kind, names in SHOWN.items() for name in names}
    told = [*shown, *PARTS, *ELSEWHERE, *INTERNAL]
    assert there == set(told)
    assert len(told) == len(set(told))
    assert all(INTERNAL.values())


def test_every_record_that_is_kept_is_known():
    """No record hides in a field: whatever a row can reach is one of those that are told."""
    assert set(_reach(Row)) == set(KEPT)


def _reach(kind: Any) -> Iterator[Any]:
    seen, waiting = set(), [kind]
    while waiting:
        each = waiting.pop()
        if isinstance(each, type) and issubclass(each, Struct) and each not in seen:
            seen.add(each)
            yield each
            waiting += get_type_hints(each).values()
        waiting += get_args(each)


def values(record: Any) -> Iterator[tuple[type, str, Any]]:
    """Every field of a record and of those within it, however they are nested."""
    for name in record.__struct_fields__:
        value = getattr(record, name)
        yield type(record), name, value
        for each in value if isinstance(value, tuple) else (value,):
            if isinstance(each, Struct):
                yield from values(each)


@bounded(200)
@given(of(Aggregate) | st.builds(Aggregate, state=st.one_of([of(kind) for kind in STATES])))
def test_every_value_of_every_field_is_told(aggregate):
    """Whatever a record holds is among the facts, with the words for its field."""
    facts = list(_facts(aggregate))
    expected = [
        (SHOWN[kind][name], _plain(value))
        for kind, name, value in values(aggregate)
        if value is not None and name in SHOWN.get(kind, {})
    ]
    assert sorted(expected, key=repr) == sorted(((f.words, f.value) for f in facts), key=repr)


def _plain(value):
    if isinstance(value, Enum):
        return value.value
    return len(value) if isinstance(value, bytes) else value


# --- a whole life ---------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path):
    with identified_under_an_older_key(InFile(tmp_path)) as world:
        in_the_middle_of_it(world)
        yield world


def fact(holding, part, name):
    (found,) = [f.value for f in holding.facts if (f.part, f.name) == (part, name)]
    return found


def test_all_that_is_held(world):
    """Record, identification behind it, counts, grounds, notices, deadlines and journal."""
    holding = world.identifier.held_about(ALICE)
    kept = world.kept(ALICE)

    assert (ALICE, Status.AWAITING_ANSWER) == (holding.user_id, holding.status)
    assert holding.gate == world.identifier.gate(ALICE)
    assert ALICE == fact(holding, "user", "user_id")
    assert N2 == fact(holding, "state", "number")
    assert kept.state.query_id == fact(holding, "state", "query_id")
    assert len(kept.state.opaque) == fact(holding, "state", "opaque") > 0
    assert "ported" == fact(holding, "state, standing", "cause")
    behind = "state, standing, identification"
    was = kept.state.before.was
    assert (N1, was.since) == (fact(holding, behind, "number"), fact(holding, behind, "since"))
    assert (M, was.code) == (fact(holding, behind, "operator"), fact(holding, behind, "code"))
    assert "operator_answer" == fact(holding, behind, "basis")
    assert ["1801"] == [each.id for each in holding.grounds]
    day = timedelta(days=1)
    assert [
        Counted(times=len(instants), until=instants[-1] + day) for _, instants in kept.failures
    ] == list(holding.failures)
    assert [3, 2, 1] == [each.times for each in holding.sends]
    assert [None, N1, N2] == [each.number for each in holding.sends]
    assert (f"{M} {NOTICE}",) == holding.notices
    assert list(holding.deadlines) == sorted(holding.deadlines)
    assert {kept.state.due, kept.state.before.due} <= {at for at, _ in holding.deadlines}
    assert world.identifier.history(ALICE) == list(holding.journal)
    assert (N1, N2) == holding.numbers
    subject = world.identifier._engine.archive.user(ALICE).subject
    journal = world.storage.journal("m", 0, 10_000)
    assert sum(each.subject == subject for each in journal) == holding.entries
    (given_,) = holding.disclosures
    assert (BANK, "delivery") == (given_.recipient, given_.purpose)


def test_what_was_forgotten_is_told_for_a_day(world):
    """Of who was forgotten, only the counts are told, and until when; then there is nothing."""
    world.identifier.forget(ALICE)
    world.flush()
    holding = world.identifier.held_about(ALICE)
    assert Status.FORGOTTEN is holding.status
    assert [1, 2] == sorted(each.times for each in holding.failures)
    assert {"forgotten at"} == {
        each.words for each in holding.facts if not each.part.startswith("owed")
    }
    assert () == holding.numbers == holding.disclosures == holding.notices
    assert ALICE not in "\n".join(lines(holding))
    for _ in range(26):
        world.clock.advance(HOUR)
        world.identifier.sweep()
    world.flush()
    assert world.identifier.held_about(ALICE).status is None


def test_nothing_is_held_about_a_stranger(world):
    """Of who is not known there is nothing to tell; an impossible id is refused."""
    holding = world.identifier.held_about("nobody")
    assert ["Nothing is held about this user."] == list(lines(holding))
    assert {"user": "nobody", "held": False} == as_object(holding)
    assert () == holding.facts == holding.journal == holding.sends
    with pytest.raises(InvalidUserId):
        world.identifier.held_about("")


def test_record_and_journal_are_of_one_moment(world, monkeypatch):
    """What is committed between reading the record and the journal is told the next time."""
    before = world.identifier.held_about(ALICE)
    journal = world.storage.journal
    meanwhile = [lambda: world.identifier.forget("bob") or world.identifier.claim(ALICE, N1.e164)]

    def later(*arguments):
        if meanwhile:
            meanwhile.pop()()
        return journal(*arguments)

    monkeypatch.setattr(world.storage, "journal", later)
    found = world.identifier.held_about(ALICE)
    assert (before.facts, before.journal) == (found.facts, found.journal)
    assert len(found.journal) < len(world.identifier.held_about(ALICE).journal)


def test_the_async_twin_tells_the_same():
    """Both shells tell the same of the same history."""
    told = []
    for shell in (Identifier, AsyncIdentifier):
        store = MemoryStorage()
        scene = Scenario(shell, lambda store=store: store, kind=MessengerKind.DOMESTIC)
        scene.identify("alice")
        holding = scene.identifier.held_about("alice")
        told.append([(f.part, f.name) for f in holding.facts])
        assert Status.IDENTIFIED is holding.status
        scene.close()
    assert told[0] == told[1]


def test_grounds_are_cited():
    """Each figure of a rule set comes with its clause; of one that is not known, only the id."""
    rules = rules_by_id("1801")
    found = _under("1801")
    assert rules.title == found.title
    for each in found.clauses:
        cited = getattr(rules, each.figure)
        assert Clause(figure=each.figure, value=str(cited.value), source=cited.source) == each
    assert "kept_only_in" in {each.figure for each in found.clauses}
    assert all(each.value != "None" for each in _under("draft-2017").clauses)
    assert Grounds(id="1999") == _under("1999")


# --- said -----------------------------------------------------------------------------------


def test_numbers_are_masked_unless_asked_for(world):
    """Neither text nor JSON shows more than two digits of a number, unless it is told to."""
    holding = world.identifier.held_about(ALICE)
    for shown in (False, True):
        text = "\n".join(lines(holding, shown)) + json.dumps(as_object(holding, shown))
        for number in (N1, N2):
            assert shown is (number.e164 in text)
            assert shown is (number.e164[2:] in text)
            assert shown or f"…{number.e164[-2:]}" in text
    assert all(each.e164 not in repr(holding) for each in (N1, N2))


def test_every_fact_is_said(world):
    """Each fact, ground, count, notice, deadline, disclosure and event has its line."""
    holding = world.identifier.held_about(ALICE)
    text, whole = "\n".join(lines(holding)), as_object(holding)
    for each in holding.facts:
        assert f"{each.part}: {each.words}: " in text
    assert len(holding.facts) == len(whole["facts"])
    for grounds in holding.grounds:
        assert grounds.title in text
        assert all(each.source in text for each in grounds.clauses)
    assert text.count("failed proofs: ") == len(holding.failures) == len(whole["failures"])
    assert text.count("codes sent: ") == len(holding.sends) == len(whole["sends"])
    assert all(each in text for each in holding.notices)
    assert len(holding.deadlines) == len(whole["deadlines"])
    assert all(words in text for _, words in holding.deadlines)
    assert f"to {BANK} for delivery" in text
    assert BANK == whole["disclosures"][0]["recipient"]
    assert f"{holding.entries} entries" in text
    assert len(holding.journal) == len(whole["journal"]["events"])
    assert "is asked; its answer counts until" in text
    json.dumps(whole)


def test_what_is_plain_is_said_plainly():
    """Yes and no, and a text as it is."""
    assert ["yes", "no", "3", "text", "…67"] == [
        _shown(each, False) for each in (True, False, 3, "text", N1)
    ]


# --- the command ----------------------------------------------------------------------------


def run(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    with redirect_stdout(out):
        status = main(["data", *arguments])
    return status, out.getvalue()


def test_the_command_reports(service):
    """It tells what is held, in words or as JSON; nothing held is an answer, too."""
    status, text = run("report", "held_service:make", "--user", "alice")
    assert 0 == status
    assert "identified" in text
    assert "…67" in text
    assert N1.e164[2:] not in text
    status, text = run("report", "held_service:make", "--user", "alice", "--json", "--show-number")
    assert (0, "alice", True) == (status, (whole := json.loads(text))["user"], whole["held"])
    assert [N1.e164] == whole["numbers"]
    status, text = run("report", "held_service:make", "--user", "nobody")
    assert (0, "Nothing is held about this user.\n") == (status, text)


def test_the_command_forgets(service, monkeypatch):
    """It asks first, and a no changes nothing; with --yes it does not ask."""
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    status, _ = run("forget", "held_service:make", "--user", "alice")
    assert 130 == status
    assert "identified" in run("report", "held_service:make", "--user", "alice")[1]
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    status, text = run("forget", "held_service:make", "--user", "alice")
    assert (0, True) == (status, text.endswith("forgotten\n"))
    status, text = run("forget", "held_service:make", "--user", "alice", "--yes")
    assert (0, "nothing was held about this user\n") == (status, text)
    assert "forgotten" in run("report", "held_service:make", "--user", "alice")[1]


def test_an_unusable_target_is_one_line(capsys):
    """What is no function that returns an identifier is told in a line."""
    assert 1 == main(["data", "report", "nothing", "--user", "alice"])
    assert "module:function" in capsys.readouterr().err

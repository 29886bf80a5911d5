"""Which rules apply: S30 and S31. And: every scenario has its test."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from abonent import DRAFT_2017, MessengerKind, NoticeKind, Policy, Status
from abonent.core.events import OperatorAsked, Passed, ReidentificationRequired
from abonent.core.rules import MOSCOW
from abonent.errors import NoRulesInForce, PolicyIncomplete
from tests.scenarios.conftest import Build
from tests.world import HOUR, MINUTE, SECOND, X, Y

LAST_MINUTE = datetime(2028, 2, 29, 23, 59, tzinfo=MOSCOW).astimezone(UTC)


@pytest.mark.parametrize("kind", MessengerKind)
def test_s30_finished_under_the_rules_it_began_under(build: Build, kind):
    """S30: a claim of the last minute in force finishes under those rules; a new one is refused."""
    world = build(kind=kind, start=LAST_MINUTE)
    world.claim("alice")
    world.advance(2 * MINUTE)

    assert Status.IDENTIFIED is world.prove("alice").status

    (passed,) = world.happened("alice", Passed)
    assert "1801" == passed.rules
    assert ["1801"] * len(world.m.questions) == [
        each.rules for each in world.happened("alice", OperatorAsked)
    ]
    with pytest.raises(NoRulesInForce):
        world.claim("bob", Y)
    with pytest.raises(NoRulesInForce):
        world.claim("alice", Y)
    assert world.gate("alice")


def test_s30_a_new_code_for_a_claim_that_began_in_time(build: Build):
    """S30: a claim that began in time may be sent another code after midnight."""
    world = build(start=LAST_MINUTE)
    world.claim("alice")
    world.advance(2 * MINUTE)

    world.claim("alice")

    assert 2 == len(world.sender.messages)
    assert Status.IDENTIFIED is world.prove("alice").status


def test_s30_refused_from_midnight_on(build: Build):
    """S30: at 00:00 Moscow time a new claim is refused."""
    world = build(start=LAST_MINUTE)
    world.advance(MINUTE)

    with pytest.raises(NoRulesInForce):
        world.claim("alice")

    assert [] == world.sender.attempts


@pytest.mark.parametrize(
    ("policy", "figure"),
    [
        (Policy(), "answer_within"),
        (Policy(reidentify_within=HOUR), "answer_within"),
        (Policy(answer_within=HOUR), "reidentify_within"),
    ],
)
def test_s31_the_draft_needs_the_policy(build: Build, policy, figure):
    """S31: under the draft of 2017 a policy without its open figures is refused by name."""
    with pytest.raises(PolicyIncomplete) as refused:
        build(rules=DRAFT_2017, policy=policy)

    assert figure == refused.value.figure
    assert figure in str(refused.value)


def test_s31_the_draft_with_a_whole_policy(build: Build):
    """S31: with both figures given, the draft runs, and its figures are the policy's."""
    world = build(
        rules=DRAFT_2017,
        policy=Policy(answer_within=90 * SECOND, reidentify_within=3 * HOUR),
    )
    world.identify("alice")
    world.notice(NoticeKind.TERMINATED, X)

    (asked,) = world.happened("alice", OperatorAsked)
    (required,) = world.happened("alice", ReidentificationRequired)
    assert (90 * SECOND, 3 * HOUR) == (asked.due - asked.at, required.due - required.at)
    assert "draft-2017" == asked.rules


def test_every_scenario_has_its_test():
    """S1 to S44: each is named by a test whose docstring begins with it."""
    named: set[int] = set()
    for path in Path(__file__).parent.glob("test_s_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            by_name = re.match(r"test_s(\d\d)_", node.name)
            if by_name:
                number = int(by_name[1])
                assert (ast.get_docstring(node) or "").startswith(f"S{number}: ")
                named.add(number)
    assert set(range(1, 45)) == named

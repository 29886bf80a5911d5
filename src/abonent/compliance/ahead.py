"""What lies ahead of users, counted: whose answers are awaited, and who is to be identified anew.

Knows which deadlines a state holds and on which figure each rests. Refuses to keep anything of a
user but the count: memory grows with the number of operators, not of users.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

from attrs import Factory, define, evolve, frozen

from abonent.compliance.due import DueKind
from abonent.core.rules import Cited, Rules, rules_by_id, rules_in_force
from abonent.core.states import (
    AwaitingAnswer,
    ReidentificationDue,
    State,
    identified_in,
    standing_identification,
)
from abonent.errors import NoRulesInForce


@frozen(kw_only=True)
class Group:
    """Which users are counted together."""

    kind: DueKind
    operator: str | None
    source: str


@frozen(kw_only=True)
class Span:
    """How many there are, and the earliest and latest of their deadlines."""

    count: int
    earliest: datetime
    latest: datetime


@define(kw_only=True)
class Ahead:
    """Counts users, one state at a time. `rules` is the set that is named for a what-if run.

    `identified` counts by operator who is identified by its answer, due anew or not.
    """

    until: datetime
    rules: Rules | None = None
    spans: dict[Group, Span] = Factory(dict[Group, Span])
    identified: Counter[str] = Factory(Counter[str])

    def add(self, state: State) -> None:
        """Count one user."""
        if isinstance(state, AwaitingAnswer):
            source = _source(rules_by_id(state.rules), lambda rules: rules.answer_within)
            self._count(DueKind.ANSWER_AWAITED, state.operator, source, state.due)
        standing = standing_identification(state)
        if isinstance(standing, ReidentificationDue):
            rules = self._rules_at(standing.noticed_at, standing.was.rules)
            source = _source(rules, lambda rules: rules.reidentify_within)
            operator = standing.was.operator
            self._count(DueKind.REIDENTIFICATION_DUE, operator, source, standing.due)
        identified = identified_in(standing)
        if identified is not None and identified.operator is not None:
            self.identified[identified.operator] += 1

    def _rules_at(self, at: datetime, basis: str) -> Rules:
        """Return the set under which a notice was heard (S39)."""
        try:
            return self.rules or rules_in_force(at)
        except NoRulesInForce:
            return rules_by_id(basis)

    def _count(self, kind: DueKind, operator: str | None, source: str, due: datetime) -> None:
        if due > self.until:
            return
        group = Group(kind=kind, operator=operator, source=source)
        span = self.spans.get(group)
        if span is None:
            self.spans[group] = Span(count=1, earliest=due, latest=due)
        else:
            earliest, latest = min(span.earliest, due), max(span.latest, due)
            self.spans[group] = evolve(span, count=span.count + 1, earliest=earliest, latest=latest)


def _source(rules: Rules, figure: Callable[[Rules], Cited[Any]]) -> str:
    """Return what a figure rests on: its source, or the policy where the source is silent."""
    cited = figure(rules)
    return cited.source if cited.value is not None else f"policy, for the {cited.source} is silent"

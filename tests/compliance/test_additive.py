"""Figures of a period are those of its parts together, and those that a naive recount gives."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from abonent.compliance import Report, report_of
from abonent.core.events import (
    AnswerReceived,
    IdentificationNotPassed,
    LateAnswerIgnored,
    NoticeReceived,
    OperatorAsked,
    Outcome,
    Passed,
    ReidentificationRequired,
    StaleNoticeIgnored,
)
from abonent.core.evolution import evolve
from abonent.core.owed import gate
from abonent.core.states import BLANK, Reason
from abonent.feed import Happening
from abonent.simulation.world import Faults
from abonent.simulation.world.people import People
from abonent.simulation.world.run import World
from tests.compliance.stories import END, START, Story, quarter

FIRST, LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@cache
def told() -> Story:
    made = Story()
    quarter(made)
    return made


def summed(report: Report) -> Counter[Any]:
    """Every figure of a report that is a sum over what happened."""
    found: Counter[Any] = Counter()
    for tally in report.identifications:
        found["passed or not", tally.method, tally.operator, tally.reason] += tally.count
    for name in ("asked", "in_time", "late", "never", "overtaken", "open", "failed_calls"):
        for each in report.answers:
            found["answers", each.operator, name] += getattr(each, name)
    for name in ("in_time", "late", "undated"):
        for each in report.notices:
            found["notices", each.operator, name] += getattr(each, name)
    for each in report.notices:
        found.update({("ignored", each.operator, why): n for why, n in each.ignored.items()})
    for name in ("required", "in_time", "late", "never", "moot", "open"):
        for each in report.reidentifications:
            found["reidentifications", each.operator, name] += getattr(each, name)
    for name in ("notices", "undated", "open", "before", "after"):
        for each in report.exposures:
            micros = round(1_000_000 * getattr(each, name))
            found["exposures", each.operator, each.number_kept, name] += micros
    for name in ("lapsed", "displaced"):
        found["ended", name] += getattr(report.ended, name)
    for name in ("readable", "unreadable", "strangers"):
        found["entries", name] += getattr(report.entries, name)
    found.update({("cases", duty): count for duty, count in report.found.items()})
    return +found


def longest(report: Report) -> dict[Any, float]:
    """Every figure of a report that is a maximum."""
    kinds = [("answers", it.operator, it.taken.longest) for it in report.answers]
    kinds += [("notices", it.operator, it.lag.longest) for it in report.notices]
    kinds += [("again", it.operator, it.taken.longest) for it in report.reidentifications]
    kinds += [(it.number_kept, it.operator, it.longest) for it in report.exposures]
    return {(kind, operator): value for kind, operator, value in kinds if value is not None}


@given(
    cut=st.datetimes(
        min_value=START.replace(tzinfo=None) + timedelta(microseconds=1),
        max_value=END.replace(tzinfo=None) - timedelta(microseconds=1),
        timezones=st.just(UTC),
    )
)
def test_a_period_is_the_sum_of_its_parts(cut):
    """Wherever it is cut, nothing is counted twice and nothing left out."""
    story = told().identifier
    whole = report_of(story, START, END)
    parts = [report_of(story, START, cut), report_of(story, cut, END)]
    assert summed(whole) == summed(parts[0]) + summed(parts[1])
    worst = [longest(each) for each in parts]
    either = {**worst[0], **worst[1]}
    assert longest(whole) == {key: max(each.get(key, 0.0) for each in worst) for key in either}
    assert whole.outlook == parts[0].outlook == parts[1].outlook


# --- worlds in which everything goes wrong -----------------------------------------------


@cache
def world(seed: int) -> World:
    """A world in which nobody is forgotten, and clocks do not step.

    Of who is forgotten the journal tells nothing, and a naive recount takes time as it comes.
    """
    made = World(seed=seed, days=30, subscribers=40, faults=Faults(clock_step=0, key_rotation=0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(People, "forget", lambda *_: None)
        made.run()
    assert made.watch.violation is None
    return made


def services(seed: int) -> list[tuple[Any, Report]]:
    found = []
    for service in world(seed).services:
        process = service.pick("report")
        assert process is not None
        found.append((process.identifier, report_of(process.identifier, FIRST, LAST)))
    return found


SEEDS = pytest.mark.parametrize("seed", range(4))


@SEEDS
def test_a_report_of_a_world_agrees_with_what_really_happened(seed):
    """Answers and how long they took, passes and failures, as the watch of the world saw them."""
    watch = world(seed).watch
    reports = [report for _, report in services(seed)]
    assert 0 == sum(each.entries.unreadable for each in reports)
    tallies = [each for report in reports for each in report.identifications]
    assert watch.events["Passed"] + watch.events["Declared"] == sum(
        each.count for each in tallies if each.reason is None
    )
    failures = Counter({name: n for name, n in watch.failures.items() if name.islower()})
    mine = Counter({Reason.NOT_IDENTIFIED_ANEW.value: sum(it.ended.lapsed for it in reports)})
    for each in tallies:
        if each.reason is not None:
            mine[each.reason.value] += each.count
    assert failures == +mine
    for operator in {each.operator for each in watch.answers}:
        seen = [each for each in watch.answers if each.operator == operator]
        told = [it for report in reports for it in report.answers if it.operator == operator]
        late = [each for each in seen if not each.in_time and each.seconds is not None]
        # The watch does not wait for an answer to a question that another event has ended.
        assert sum(each.in_time for each in seen) <= sum(it.in_time for it in told)
        assert len(late) == sum(it.late for it in told)
        assert sum(each.seconds is None for each in seen) == sum(it.never for it in told)


@SEEDS
def test_a_report_of_a_world_agrees_with_a_naive_recount(seed):
    """User by user, by what their history says and what the gate answers at each instant."""
    for identifier, report in services(seed):
        users = [each.user_id for each in identifier.standings()]
        histories = [identifier.history(each) for each in users]
        now = report.as_of
        answers = Counter(each for history in histories for each in naive_answers(history, now))
        assert answers == Counter(
            {
                (each.operator, name): count
                for each in report.answers
                for name in ("in_time", "late", "never")
                if (count := getattr(each, name))
            }
        )
        notices = Counter(each for history in histories for each in naive_notices(history))
        assert notices == Counter(
            {
                (each.operator, name): count
                for each in report.notices
                for name in ("in_time", "late", "undated")
                if (count := getattr(each, name))
            }
        )
        exposed = sum((naive_exposure(each, now) for each in histories), timedelta(0))
        mine = sum(each.before + each.after for each in report.exposures)
        assert exposed.total_seconds() == pytest.approx(mine, abs=1e-3)


def naive_answers(history: list[Happening], now: datetime) -> list[tuple[str, str]]:
    """For each question, look through all that followed."""
    events = [each.event for each in history]
    found = []
    for place, asked in enumerate(events):
        if not isinstance(asked, OperatorAsked):
            continue
        answer = next(
            (
                it.at
                for it in events[place:]
                if isinstance(it, AnswerReceived | LateAnswerIgnored)
                and (it.query_id, it.operator) == (asked.query_id, asked.operator)
                and it.outcome is not Outcome.LATER
            ),
            None,
        )
        if answer is not None:
            found.append((asked.operator, "in_time" if answer <= asked.due else "late"))
        elif now > asked.due and not overtaken(events[place + 1 :], asked.due):
            found.append((asked.operator, "never"))
    return found


def overtaken(later: list[Any], due: datetime) -> bool:
    """Whether something else ended the attempt before the question was due."""
    for each in later:
        name = type(each).__name__
        if name == "NumberClaimed" and each.at <= due:
            return True
        if isinstance(each, IdentificationNotPassed):
            return each.reason.value != "no_answer" and each.at <= due
    return False


def naive_notices(history: list[Happening]) -> list[tuple[str, str]]:
    found = []
    for event in (each.event for each in history):
        if isinstance(event, StaleNoticeIgnored) and event.why.value in {
            "repeated",
            "other_operator",
        }:
            continue
        if isinstance(event, NoticeReceived | StaleNoticeIgnored):
            if event.happened_at is None:
                found.append((event.operator, "undated"))
            else:
                late = event.at - event.happened_at > timedelta(hours=24)
                found.append((event.operator, "late" if late else "in_time"))
    return found


def naive_exposure(history: list[Happening], now: datetime) -> timedelta:
    """Sum up, for each notice, how long the gate answered “open” after what it tells of."""
    aggregate, spells, clock = BLANK, [], FIRST
    for event in (each.event for each in history):
        aggregate = evolve(aggregate, event)
        clock = max(clock, event.at)  # what was heard of late is told late
        spells.append((clock, aggregate))
    total = timedelta(0)
    for place, (at, _) in enumerate(spells):
        event = history[place].event
        if not isinstance(event, ReidentificationRequired):
            continue
        begins = min(at, event.happened_at or at)
        ends = next(
            (
                it.event.at
                for it in history[place + 1 :]
                if isinstance(it.event, Passed | ReidentificationRequired)
            ),
            now,
        )
        for (since, kept), (until, _) in zip(spells, [*spells[1:], (now, BLANK)], strict=True):
            first, last = max(since, begins), min(until, ends)
            if first < last and (answer := gate(kept, first)).open:
                total += min(last, answer.until or last) - first
    return total

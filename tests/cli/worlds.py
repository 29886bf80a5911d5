"""Outcomes of worlds made by hand: a full one, an empty one, and one that broke."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import evolve

from abonent.cli.simulate.plan import Plan, StoreKind
from abonent.simulation.world import Answered, Exposure, Noticed, Sample, Violation, WorldOutcome

STARTED = datetime(2026, 6, 1, 9, tzinfo=UTC)
PLAN = Plan(seed=7, days=2.0, subscribers=3, store=StoreKind.MEMORY)
HISTORY = (
    "2026-06-01 09:00:01.000000 user-1 claims a number of somebody at foreign",
    "2026-06-01 09:00:02.000000 foreign/0 dies after commit",
)


def empty() -> WorldOutcome:
    """Nobody lived in it."""
    return WorldOutcome(
        seed=7,
        days=2.0,
        subscribers=3,
        store="memory",
        started=STARTED,
        steps=0,
        seconds=0.0,
        events={},
        seen={"an answer in the last microsecond": 0, "keys rotated": 0},
        samples=(),
        answers=(),
        notices=(),
        exposures=(),
        failures={},
        crashes=0,
        violation=None,
    )


def full() -> WorldOutcome:
    """A bit of everything: answers late and never, notices late, gates still open."""
    taken = (0.0, 0.2, 0.4, 0.5, 0.9, 3.0, 40.0, 700.0, 1_200.0, 1_300.0)
    answers = [Answered(operator="alpha", seconds=each, in_time=each <= 1_200) for each in taken]
    silent = [Answered(operator="beta", seconds=None, in_time=False)] * 2
    lags = (30.0, 600.0, 7_200.0, 86_400.0, 90_000.0)
    return evolve(
        empty(),
        steps=1_234,
        seconds=0.5,
        events={"NumberClaimed": 30, "Passed": 12, "Displaced": 0},
        seen={"an answer in the last microsecond": 4, "keys rotated": 0},
        samples=tuple(_sample(each) for each in range(1, 9)),
        answers=(*answers, *silent),
        notices=tuple(Noticed(operator="alpha", kind="ported", lag=each) for each in lags),
        exposures=(
            Exposure(kind="terminated", seconds=0.0, closed=True),
            Exposure(kind="terminated", seconds=3_000.0, closed=True),
            Exposure(kind="reassigned", seconds=30_000.0, closed=True),
            Exposure(kind="reassigned", seconds=100_000.0, closed=True),
            Exposure(kind="number_changed", seconds=1e6, closed=True),
            Exposure(kind="number_changed", seconds=50_000.0, closed=False),
        ),
        failures={"not_held": 3, "too_many_failures": 2, "TOO_MANY_FAILURES": 5},
        crashes=9,
    )


def broken() -> WorldOutcome:
    """An invariant did not hold, and two lines of history show how."""
    violation = Violation(
        invariant="I2",
        what="an answer passed that came too late",
        at=STARTED + timedelta(hours=1),
        history=HISTORY,
    )
    return evolve(full(), violation=violation)


def _sample(turn: int) -> Sample:
    states = {"identified": turn, "not_passed": 2, "awaiting_answer": turn % 2, "forgotten": 1}
    return Sample(at=STARTED + turn * timedelta(hours=6), states=states, open=turn - 1)

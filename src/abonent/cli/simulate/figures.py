"""What a world's outcome says in figures: how long things took, and how often they happened.

Knows counts, quantiles and limits. Refuses to know how they are shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, cast

import attrs
from attrs import frozen

from abonent.core.rules import RESOLUTION_1801
from abonent.pages.words import duration, in_words, quantile
from abonent.simulation.world import WorldOutcome

ANSWER_WITHIN: Final = cast("timedelta", RESOLUTION_1801.answer_within.value).total_seconds()
"""How long an operator may take to answer, in seconds."""
NOTICE_WITHIN: Final = RESOLUTION_1801.notice_within.value.total_seconds()
"""How long an operator may take to give notice, in seconds. Exposure is held against it as well:
before the notice comes, a messenger cannot know."""


@frozen(kw_only=True)
class Times:
    """How long something took, in seconds. Quantiles are values that occurred; None without any.

    `beyond` counts what took longer than `limit`, `never` what had not happened when it was given
    up, or when the world ended.
    """

    count: int
    median: float | None
    p90: float | None
    p99: float | None
    longest: float | None
    limit: float
    beyond: int
    never: int


def times(values: Iterable[float], *, limit: float, never: int) -> Times:
    """Measure how long something took."""
    ordered = sorted(values)
    return Times(
        count=len(ordered),
        median=quantile(ordered, 0.5),
        p90=quantile(ordered, 0.9),
        p99=quantile(ordered, 0.99),
        longest=quantile(ordered, 1),
        limit=limit,
        beyond=sum(each > limit for each in ordered),
        never=never,
    )


def answer_times(outcome: WorldOutcome) -> Times:
    """Measure how long operators took to answer."""
    taken = [each.seconds for each in outcome.answers if each.seconds is not None]
    return times(taken, limit=ANSWER_WITHIN, never=len(outcome.answers) - len(taken))


def notice_lags(outcome: WorldOutcome) -> Times:
    """Measure how long after the fact notices came."""
    return times((each.lag for each in outcome.notices), limit=NOTICE_WITHIN, never=0)


def exposures(outcome: WorldOutcome) -> Times:
    """Measure how long former holders could send; what did not end counts up to the world's end."""
    still_open = sum(not each.closed for each in outcome.exposures)
    return times(
        (each.seconds for each in outcome.exposures), limit=NOTICE_WITHIN, never=still_open
    )


def times_in_words(outcome: WorldOutcome) -> list[tuple[str, ...]]:
    """Return rows of a figure's name, and what it is for answers, notices and exposure."""
    names = ("how many", "median", "90 %", "99 %", "longest", "limit", "beyond it", "never")
    measured = (answer_times(outcome), notice_lags(outcome), exposures(outcome))
    return list(zip(names, *map(_in_words, measured), strict=True))


def _in_words(measured: Times) -> list[str]:
    quantiles = (measured.median, measured.p90, measured.p99, measured.longest)
    return [
        f"{measured.count:,}",
        *("–" if each is None else duration(each) for each in quantiles),
        duration(measured.limit),
        f"{measured.beyond:,}",
        f"{measured.never:,}",
    ]


def steps_per_second(outcome: WorldOutcome) -> float:
    """Return how many steps a second of wall time took."""
    return outcome.steps / outcome.seconds if outcome.seconds > 0 else 0.0


def by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return in words what happened at all, the most frequent first, equals by name.

    What has the same words is one thing: a reason and the error that refuses for it.
    """
    happened: Counter[str] = Counter()
    for name, count in counts.items():
        happened[in_words(name)] += count
    return sorted((+happened).items(), key=lambda each: (-each[1], each[0]))


def as_object(outcome: WorldOutcome) -> dict[str, Any]:
    """Return an outcome as the object that `--json` prints. Times are in seconds."""
    violation = outcome.violation
    return {
        "seed": outcome.seed,
        "days": outcome.days,
        "subscribers": outcome.subscribers,
        "store": outcome.store,
        "started": outcome.started.isoformat(),
        "ok": outcome.ok,
        "steps": outcome.steps,
        "seconds": round(outcome.seconds, 3),
        "steps_per_s": round(steps_per_second(outcome)),
        "crashes": outcome.crashes,
        "events": dict(outcome.events),
        "seen": dict(outcome.seen),
        "failures": dict(outcome.failures),
        "answer_times": attrs.asdict(answer_times(outcome)),
        "notice_lags": attrs.asdict(notice_lags(outcome)),
        "exposures": attrs.asdict(exposures(outcome)),
        "violation": None
        if violation is None
        else {
            "invariant": violation.invariant,
            "what": violation.what,
            "at": violation.at.isoformat(),
            "history": list(violation.history),
        },
    }

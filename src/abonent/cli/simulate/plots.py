"""The five plots of a report: states, answers, notices, exposure, failures.

Knows which figure is drawn how, and what it says in words. Refuses to know the page around it.
"""

# matplotlib types its methods, but not their **kwargs.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from matplotlib.ticker import MaxNLocator

from abonent.cli.simulate.figures import (
    NOTICE_WITHIN,
    Times,
    answer_times,
    by_count,
    exposures,
    notice_lags,
)
from abonent.pages.drawing import INK, PAPER, Drawing, hue
from abonent.pages.plotting import Curve, Plot, draw_shares, finish_bars, plot
from abonent.pages.words import duration, in_words
from abonent.simulation.world import Exposure, WorldOutcome

_HEIGHT: Final = 250
_LINE: Final = 20
"""The height of a bar, and of a line of a legend."""
_DAY: Final = 86_400
_STATES: Final = (
    "identified",
    "reidentification due",
    "awaiting answer",
    "proving possession",
    "not passed",
    "unidentified",
    "forgotten",
)
"""From the bottom of the plot to its top; the place is the number of the hue."""
_SECONDS: Final = (0.1, 1, 10, 60, 1_200, 6 * 3_600)
_HOURS: Final = (60, 600, 3_600, 6 * 3_600, _DAY, 7 * _DAY)
_LENGTHS: Final = (
    ("closed already", 0.0),
    ("up to 1 h", 3_600.0),
    ("up to 24 h", NOTICE_WITHIN),
    ("up to 7 d", 7.0 * _DAY),
    ("longer", float("inf")),
)
_NEVER: Final = "still open"


def plots(outcome: WorldOutcome) -> tuple[Plot, ...]:
    """Draw all plots of a world."""
    return (
        _states(outcome),
        _answers(outcome),
        _notices(outcome),
        _exposure(outcome),
        _failures(outcome),
    )


# --- states -------------------------------------------------------------------------


def _states(outcome: WorldOutcome) -> Plot:
    name, title = "states", "States over time"
    samples = outcome.samples
    counted = [
        Counter({in_words(state): count for state, count in each.states.items()})
        for each in samples
    ]
    found = {state for each in counted for state in each}
    shown = [each for each in _STATES if each in found] + sorted(found.difference(_STATES))
    if not shown:
        return Plot(name=name, title=title, says="Nobody took part while it was watched.", svg=None)
    days = [(each.at - outcome.started).total_seconds() / _DAY for each in samples]
    gates = [each.open for each in samples]
    says = (
        f"Users of all messengers by state, and how many gates were open: {gates[-1]:,} of "
        f"{sum(counted[-1].values()):,} at the end, {max(gates):,} at most."
    )

    def draw(paper: Drawing) -> None:
        axes = paper.axes
        areas = axes.stackplot(
            days,
            [[each[state] for each in counted] for state in shown],
            colors=[hue(_place(state)) for state in shown],
            labels=shown,
            edgecolor=PAPER,
            linewidth=0.5,
        )
        for each in areas:
            paper.mark(each)
        (line,) = axes.plot(days, gates, color=INK, linewidth=1.5, label="gates open")
        paper.mark(line)
        axes.set_xlabel("days")
        axes.set_ylabel("users")
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.margins(x=0, y=0)
        axes.set_xlim(0, max(outcome.days, days[-1]))
        axes.set_ylim(bottom=0)
        paper.figure.legend(loc="outside lower center", ncols=2)

    return plot(name, title, says, _HEIGHT + _LINE * (len(shown) + 2) // 2, draw)


def _place(state: str) -> int:
    return _STATES.index(state) if state in _STATES else len(_STATES) - 1


# --- answers and notices ------------------------------------------------------------


def _answers(outcome: WorldOutcome) -> Plot:
    name, title = "answers", "Answer times against 20 minutes"
    if not outcome.answers:
        return Plot(name=name, title=title, says="No operator was asked.", svg=None)
    measured = answer_times(outcome)
    taken = [each.seconds for each in outcome.answers if each.seconds is not None]
    says = (
        f"The share of {len(outcome.answers):,} questions that were answered within a time. "
        f"{_quantiles(measured)} Too late: {measured.beyond:,}; never answered: {measured.never:,}."
    )
    return plot(name, title, says, _HEIGHT, _shares(taken, measured, _SECONDS))


def _notices(outcome: WorldOutcome) -> Plot:
    name, title = "notices", "Notice lag against 24 hours"
    if not outcome.notices:
        return Plot(name=name, title=title, says="No notice arrived.", svg=None)
    measured = notice_lags(outcome)
    says = (
        f"The share of {measured.count:,} notices that arrived within a time after what they tell "
        f"of. {_quantiles(measured)} Later than the duty allows: {measured.beyond:,}."
    )
    lags = [each.lag for each in outcome.notices]
    return plot(name, title, says, _HEIGHT, _shares(lags, measured, _HOURS))


def _shares(
    values: Sequence[float], measured: Times, ticks: Sequence[float]
) -> Callable[[Drawing], object]:
    total = measured.count + measured.never
    curve = Curve("", values, total, hue(3))
    return lambda paper: draw_shares(paper, [curve], limit=measured.limit, ticks=ticks)


def _quantiles(measured: Times) -> str:
    if measured.median is None or measured.p99 is None or measured.longest is None:
        return ""
    return (
        f"Half within {duration(measured.median)}, 99 % within {duration(measured.p99)}, "
        f"the longest {duration(measured.longest)}."
    )


# --- exposure and failures ----------------------------------------------------------


def _exposure(outcome: WorldOutcome) -> Plot:
    name, title = "exposure", "Exposure to former holders"
    if not outcome.exposures:
        says = "No identified user lost their number."
        return Plot(name=name, title=title, says=says, svg=None)
    measured = exposures(outcome)
    says = (
        f"How long {measured.count:,} former holders could still send after a number stopped being "
        f"theirs; the operator has 24 hours to tell. {_quantiles(measured)} Longer than "
        f"24 hours: {measured.beyond:,}; still open at the end: {measured.never:,}."
    )
    lengths = [*(length for length, _ in _LENGTHS), _NEVER]
    kinds = sorted({each.kind for each in outcome.exposures})
    found = Counter((each.kind, _length(each)) for each in outcome.exposures)

    def draw(paper: Drawing) -> None:
        places = range(len(lengths))
        left = [0] * len(lengths)
        for number, kind in enumerate(kinds):
            width = [found[kind, length] for length in lengths]
            bars = paper.axes.barh(
                places, width, left=left, color=hue(number), edgecolor=PAPER, label=in_words(kind)
            )
            for each in bars.patches:
                paper.mark(each)
            left = [so_far + more for so_far, more in zip(left, width, strict=True)]
        finish_bars(paper.axes, lengths, left, "gates")
        paper.figure.legend(loc="outside lower center", ncols=2)

    height = _LINE * (len(lengths) * 3 // 2 + (len(kinds) + 1) // 2 + 3)
    return plot(name, title, says, height, draw)


def _length(exposure: Exposure) -> str:
    if not exposure.closed:
        return _NEVER
    return next(name for name, longest in _LENGTHS if exposure.seconds <= longest)


def _failures(outcome: WorldOutcome) -> Plot:
    name, title = "failures", "Failures by reason"
    reasons = by_count(outcome.failures)
    if not reasons:
        says = "Nobody was refused, and every attempt passed."
        return Plot(name=name, title=title, says=says, svg=None)
    total = sum(count for _, count in reasons)
    says = (
        f"{total:,} attempts that ended without passing, and claims that were refused. "
        f"The most frequent: {reasons[0][0]}, {reasons[0][1]:,}."
    )

    def draw(paper: Drawing) -> None:
        names, counts = zip(*reasons, strict=True)
        bars = paper.axes.barh(range(len(names)), counts, color=hue(4), edgecolor=PAPER)
        for each in bars.patches:
            paper.mark(each)
        finish_bars(paper.axes, names, counts, "attempts and claims")

    return plot(name, title, says, _LINE * (len(reasons) + 3), draw)

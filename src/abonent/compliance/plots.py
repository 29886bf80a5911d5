"""The plots of a report: answers and notices against their limits, and exposure, by operator.

Knows which figure is drawn how, and that a late operator is to be seen at first sight. Refuses to
know the page around it.
"""

# matplotlib types its methods, but not their **kwargs.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from abonent.compliance.figures import Times
from abonent.compliance.report import Report
from abonent.pages.drawing import PAPER, Drawing, hue
from abonent.pages.plotting import Curve, Plot, draw_shares, finish_bars, plot
from abonent.pages.words import duration, printable

_HEIGHT: Final = 250
_LINE: Final = 20
_MOST: Final = 6
"""How many operators a plot shows: those that are late come first."""
_LONGEST: Final = 18
"""How many characters of a name a plot shows; the tables have all of it."""
_BESIDE: Final = 13
"""The longest name that has another beside it in a legend."""
_LATE: Final = 4
"""The hue of operators that are late."""
_OTHERS: Final = (3, 0, 2, 6, 1, 5)
_SECONDS: Final = (1, 10, 60, 1_200, 6 * 3_600)
_DAY: Final = 86_400
_HOURS: Final = (60, 600, 3_600, 6 * 3_600, _DAY, 7 * _DAY)


def plots(report: Report) -> tuple[Plot, ...]:
    """Draw all plots of a report."""
    return _answers(report), _notices(report), _exposure(report)


def _answers(report: Report) -> Plot:
    limit = report.limits.answer
    title = f"Answers against {duration(limit)}"
    asked = [each for each in report.answers if each.judged]
    if not asked:
        return Plot(name="plot-answers", title=title, says="No answer was due.", svg=None)
    worst = sorted(asked, key=lambda each: (-each.broken / each.judged, each.operator))
    shown = [(it.operator, it.taken, it.judged, it.broken > 0) for it in worst]
    says = (
        "Which part of the questions to each operator was answered within a time. A line that ends "
        "below 100 % is of an operator that left questions unanswered."
    )
    return _shares("plot-answers", title, says, shown, limit=limit, ticks=_SECONDS)


def _notices(report: Report) -> Plot:
    limit = report.limits.notice
    title = f"Notices against {duration(limit)}"
    heard = [each for each in report.notices if each.lag.count]
    if not heard:
        says = "No notice came that says when it happened."
        return Plot(name="plot-notices", title=title, says=says, svg=None)
    worst = sorted(heard, key=lambda each: (-each.late / each.lag.count, each.operator))
    shown = [(it.operator, it.lag, it.lag.count, it.late > 0) for it in worst]
    says = (
        "Which part of each operator's notices came within a time after what they tell of. What "
        "lies to the right of the line came too late."
    )
    return _shares("plot-notices", title, says, shown, limit=limit, ticks=_HOURS)


def _shares(
    name: str,
    title: str,
    says: str,
    shown: Sequence[tuple[str, Times, int, bool]],
    *,
    limit: float,
    ticks: Sequence[float],
) -> Plot:
    curves = [
        Curve(_named(operator, late), taken.values, total, colour)
        for (operator, taken, total, late), colour in zip(
            shown[:_MOST], _colours([late for *_, late in shown[:_MOST]]), strict=True
        )
    ]
    if len(shown) > _MOST:
        says += f" The {_MOST} worst of {len(shown)} operators are drawn."

    columns = 2 if max(len(each.name) for each in curves) <= _BESIDE else 1

    def draw(paper: Drawing) -> None:
        # The late ones lie on top, and first in the legend.
        draw_shares(paper, curves, limit=limit, ticks=ticks)
        lines = paper.axes.get_lines()[: len(curves)]
        for place, (line, *_) in enumerate(zip(lines, curves, strict=True)):
            line.set_zorder(3 - place / 10)
            line.set_linewidth(3 if shown[place][3] else 1.5)
        paper.figure.legend(handles=lines, loc="outside lower center", ncols=columns)

    height = _HEIGHT + _LINE * -(-len(curves) // columns)
    return plot(name, title, says, height, draw)


def _colours(late: Sequence[bool]) -> list[str]:
    others = iter(_OTHERS)
    return [hue(_LATE) if each else hue(next(others)) for each in late]


def _named(operator: str, late: bool = False) -> str:
    name = printable(operator)
    short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    return f"{short} (late)" if late else short


def _exposure(report: Report) -> Plot:
    title = "Exposure: gates open after the number was lost"
    lost = [each for each in report.exposures if not each.number_kept and each.before + each.after]
    if not lost:
        says = "No gate stood open for a number that was no longer its user's."
        return Plot(name="plot-exposure", title=title, says=says, svg=None)
    worst = sorted(lost, key=lambda each: (-(each.before + each.after), each.operator))[:_MOST]
    hours = [(each.before + each.after) / 3_600 for each in worst]
    late = {each.operator for each in report.late}
    says = (
        "Hours in all, by the operator that gave notice. Worst: "
        f"{printable(worst[0].operator)}, {duration(3_600 * hours[0])} in all, "
        f"{duration(worst[0].longest or 0)} at one gate."
    )
    if len(lost) > _MOST:
        says += f" The {_MOST} worst of {len(lost)} operators are drawn."

    def draw(paper: Drawing) -> None:
        colours = [hue(_LATE if each.operator in late else 3) for each in worst]
        bars = paper.axes.barh(range(len(worst)), hours, color=colours, edgecolor=PAPER)
        for each in bars.patches:
            paper.mark(each)
        names = [_named(each.operator, each.operator in late) for each in worst]
        finish_bars(paper.axes, names, hours, "hours")

    return plot("plot-exposure", title, says, _LINE * (len(worst) * 3 // 2 + 4), draw)

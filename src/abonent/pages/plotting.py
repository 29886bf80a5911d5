"""Shapes that several pages draw: shares within a time, and bars.

Knows how a figure of these shapes is drawn. Refuses to know what is drawn, and the page around it.
"""

# matplotlib types its methods, but not their **kwargs.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from attrs import frozen
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from abonent.pages.drawing import FAINT, INK, LIMIT, TEXT, Drawing, drawing
from abonent.pages.words import duration


@frozen(kw_only=True)
class Plot:
    """One plot: what it is called, what it says in words, and its SVG.

    None where there is nothing to draw; then the words say so.
    """

    name: str
    title: str
    says: str
    svg: str | None


def plot(name: str, title: str, says: str, height: int, draw: Callable[[Drawing], object]) -> Plot:
    """Draw on a paper of so many units of height."""
    with drawing(height) as paper:
        draw(paper)
        paper.done(name, title, says)
    return Plot(name=name, title=title, says=says, svg=paper.svg)


@frozen
class Curve:
    """One line of shares: the times that were measured, and of how many in all.

    Those that never happened are in `total` and not among `values`. `colour` is one of `drawing`.
    """

    name: str
    values: Sequence[float]
    total: int
    colour: str


def draw_shares(
    paper: Drawing, curves: Iterable[Curve], *, limit: float, ticks: Sequence[float]
) -> None:
    """Draw which share of all had happened within a time, on a logarithmic scale."""
    shown = list(curves)
    first = ticks[0]
    last = max(ticks[-1], *(max(each.values, default=0) for each in shown))
    for each in shown:
        ordered = sorted(max(value, first) for value in each.values)
        share = [100 * (place + 1) / each.total for place in range(len(ordered))]
        (line,) = paper.axes.plot(
            [first, *ordered, last],
            [0, *share, share[-1] if share else 0],
            color=each.colour,
            linewidth=2,
            drawstyle="steps-post",
            label=each.name,
        )
        paper.mark(line)
    paper.axes.set_xscale("log")
    paper.axes.set_xlim(first, last)
    paper.axes.set_ylim(0, 102)
    paper.axes.set_xticks(ticks, [f"≤ {duration(first)}", *map(duration, ticks[1:])])
    paper.axes.minorticks_off()
    paper.axes.set_xlabel("within")
    paper.axes.set_ylabel("% of all")
    _draw_limit(paper.axes, limit)


def _draw_limit(axes: Axes, limit: float) -> None:
    axes.axvline(limit, color=LIMIT, linewidth=1.5, linestyle="--")
    axes.annotate(
        f"limit: {duration(limit)}",
        xy=(limit, 1),
        xycoords=("data", "axes fraction"),
        xytext=(0, 3),
        textcoords="offset points",
        ha="center",
        va="bottom",
        color=LIMIT,
    )


def finish_bars(axes: Axes, names: Sequence[str], counts: Sequence[float], unit: str) -> None:
    """Put the first bar on top, its name before it and its count behind it."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True, min_n_ticks=1))
    axes.set_xlabel(unit)
    axes.margins(x=0.15)
    for place, count in enumerate(counts):
        axes.annotate(
            f"{count:,.0f}",
            xy=(count, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            color=INK if count else FAINT,
            fontsize=TEXT,
        )

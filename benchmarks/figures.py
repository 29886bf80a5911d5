"""The figures of a run: which have goals, how they are shown, and the plot.

Knows names, goals and bars. Refuses to measure.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

GOALS: Final[Mapping[str, tuple[str, float]]] = {
    "sqlite_single": (">=", 0.8),
    "sqlite_grouped_64": (">=", 3.4),
    "postgres_single": (">=", 0.5),
    "postgres_grouped_64": (">=", 5.3),
    "postgres_grouped_256": (">=", 6.5),
    "vs_eventsourcing_sqlite": (">=", 6.0),
    "vs_eventsourcing_postgres": (">=", 9.0),
    "vs_diy_sqlite": (">=", 15.0),
    "vs_diy_postgres": (">=", 20.0),
    "gate_ns": ("<=", 1_000.0),
    "gate_store_ratio": ("<=", 1.5),
    "sweep_growth": ("<=", 1.5),
    "sweep_per_s": (">=", 5_000.0),
    "bytes_sqlite": ("<=", 220.0),
    "bytes_postgres": ("<=", 300.0),
    "import_ms": ("<=", 80.0),
    "import_mb": ("<=", 20.0),
    "core_step_us": ("<=", 8.0),
    "world_steps_per_s": (">=", 20_000.0),
}

_HOLDS = {">=": operator.ge, "<=": operator.le}
_OURS, _THEIRS, _GOAL = "#1f5fa8", "#b0b7bf", "#c0392b"


class _Bar(NamedTuple):
    label: str
    figure: str
    colour: str


def line(name: str, value: float) -> str:
    """One line of the table."""
    shown = f"{name:28} {value:14,.3f}"
    if name not in GOALS:
        return shown
    sign, goal = GOALS[name]
    return f"{shown}   goal {sign} {goal:<9,g} {'met' if _HOLDS[sign](value, goal) else 'MISSED'}"


def _bars(store: str, crowds: Sequence[int]) -> list[_Bar]:
    """From below: the peers, then ours."""
    bars = []
    peers = {"diy": "transitions + SQLAlchemy", "eventsourcing": "eventsourcing + AES"}
    for peer, called in peers.items():
        bars += [
            _Bar(f"{called}, 64 callers", f"{peer}_{store}_64", _THEIRS),
            _Bar(f"{called}, 8 callers", f"{peer}_{store}_8", _THEIRS),
            _Bar(f"{called}, one caller", f"{peer}_{store}_single", _THEIRS),
        ]
    bars += [
        _Bar(f"abonent, {crowd} callers", f"{store}_grouped_{crowd}", _OURS) for crowd in crowds
    ]
    return [*bars, _Bar("abonent, one caller", f"{store}_single", _OURS)]


def _goal(bar: _Bar) -> float:
    return GOALS[bar.figure][1] if bar.figure in GOALS else 0.0


def plot(results: Mapping[str, float], path: Path) -> None:
    """Draw ours beside the peers and the goal, as multiples of the floor."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "abonent"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), constrained_layout=True)
    for axis, title, bars in (
        (axes[0], "SQLite: WAL, synchronous=FULL", _bars("sqlite", (64,))),
        (axes[1], "PostgreSQL: synchronous commit", _bars("postgres", (256, 64))),
    ):
        drawn = axis.barh(
            [bar.label for bar in bars],
            [results[bar.figure] for bar in bars],
            color=[bar.colour for bar in bars],
        )
        widest = max([results[bar.figure] for bar in bars] + [_goal(bar) for bar in bars])
        for place, (bar, patch) in enumerate(zip(bars, drawn, strict=True)):
            value, goal = results[bar.figure], _goal(bar)
            if goal:
                axis.vlines(goal, place - 0.45, place + 0.45, color=_GOAL, linewidth=2)
            hidden = 0 < goal - value < widest * 0.12
            axis.text(
                (goal if hidden else patch.get_width()) + widest * 0.015,
                place,
                f"{value:.2f}",
                va="center",
                fontsize=8,
            )
        axis.axvline(1, color="black", linewidth=0.8, linestyle=":")
        axis.margins(x=0.12)
        axis.tick_params(labelsize=8)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("durable steps ÷ rows of the raw driver (dotted: 1; red: goal)", fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Identifications, three durable steps each; longer is faster", fontsize=11)
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)

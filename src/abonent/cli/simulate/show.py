"""How a world looks in a terminal: a progress bar, tables, and the history of a violation.

Knows terminals. Refuses to know how anything came about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from abonent.cli.simulate import figures
from abonent.cli.simulate.figures import by_count
from abonent.cli.simulate.plan import Plan
from abonent.pages.words import in_words
from abonent.simulation.world import Violation, WorldOutcome


@contextmanager
def progress(days: float) -> Generator[Callable[[float], object]]:
    """Show the days that have passed as a bar on standard error, where that is a terminal."""
    console = Console(stderr=True)
    columns = (
        TextColumn("day {task.completed:.0f} of {task.total:g}"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        task = bars.add_task("world", total=days)
        yield lambda passed: bars.update(task, completed=min(passed, days))


def print_json(outcome: WorldOutcome) -> None:
    """Print the object, and nothing else."""
    print(json.dumps(figures.as_object(outcome)))


def print_tables(outcome: WorldOutcome, plan: Plan) -> None:
    """Print what happened, how long it took, and whether every invariant held."""
    console = Console(highlight=False)
    console.print(_counts("What happened", outcome.events))
    console.print(_counts("Rare branches seen", outcome.seen))
    unseen = [in_words(name) for name, count in outcome.seen.items() if not count]
    if unseen:
        console.print(Text(f" Not seen by this seed: {'; '.join(unseen)}.\n"))
    console.print(_counts("Not passed or refused", outcome.failures))
    console.print(_times(outcome))
    rate = f"{figures.steps_per_second(outcome):,.0f}"
    lines = [
        f"{outcome.steps:,} steps in {outcome.seconds:.2f} s, {rate} a second.",
        f"{outcome.crashes:,} crashes; store: {outcome.store}.",
        f"The same happens again with: {plan.command}",
        *_verdict(outcome.violation, outcome.seed),
    ]
    for line in lines:
        console.print(Text(line), soft_wrap=True)  # a command is to be copied in one piece


def _verdict(violation: Violation | None, seed: int) -> list[str]:
    if violation is None:
        return ["Every invariant held."]
    at = f"{violation.at:%Y-%m-%d %H:%M:%S.%f}"
    told = f"VIOLATED: {violation.invariant} with seed {seed}, at {at}: {violation.what}"
    if not violation.history:
        return [told]
    return [told, "The shortest history found that still breaks it:", *violation.history]


def _counts(title: str, counts: Mapping[str, int]) -> Table:
    table = Table(title=title, box=box.SIMPLE, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in by_count(counts):
        table.add_row(Text(name), f"{count:,}")
    if not table.rows:
        table.add_row("nothing", "0")
    return table


def _times(outcome: WorldOutcome) -> Table:
    table = Table(title="Times", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("")
    for head in ("answers", "notices", "exposure"):
        table.add_column(head, justify="right")
    for row in figures.times_in_words(outcome):
        table.add_row(*row)
    return table

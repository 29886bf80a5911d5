"""How the demo looks: a progress bar, a table and a timeline, or one JSON object.

Knows terminals. Refuses to know how anything came about.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import attrs
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from abonent.cli.demo import Outcome, Tell
from abonent.cli.link.figures import LinkFigures, LinkOutcome
from abonent.cli.telling import timeline

_LINES: Final = 20
"""Rejected lines that the table lists; the rest is counted. JSON has them all."""


@contextmanager
def progress() -> Generator[Tell]:
    """Show stages as bars on standard error, or nothing where that is not a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}
        latest = ""

        def tell(stage: str, done: int, total: int) -> None:
            nonlocal latest
            if stage not in tasks or (stage != latest and done == 1):
                tasks[stage] = bars.add_task(stage, total=total)
            latest = stage
            bars.update(tasks[stage], completed=done, total=total)

        yield tell


def as_object(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as the object that `--json` prints."""
    told: dict[str, Any] = {
        "users": outcome.users,
        "rejected": [{"line": each.line, "reason": each.reason} for each in outcome.rejected],
        "passed": outcome.passed,
        "not_passed": dict(outcome.not_passed),
        "notices": outcome.notices,
        "reidentified": outcome.reidentified,
        "gates_open": outcome.gates_open,
        "displaced": outcome.displaced,
        "journal_entries": outcome.journal_entries,
        "replay_ok": outcome.replay_ok,
        "database": str(outcome.database),
        "seconds": outcome.seconds,
    }
    if isinstance(outcome, LinkOutcome):
        told["link"] = attrs.asdict(outcome.link)
    return told


def print_json(outcome: Outcome) -> None:
    """Print the object, and nothing else."""
    print(json.dumps(as_object(outcome)))


def print_tables(outcome: Outcome, seed: int) -> None:
    """Print the table, one user's timeline, and whether the journal replays."""
    console = Console(highlight=False)
    console.print(_counts(outcome))
    if isinstance(outcome, LinkOutcome):
        console.print(_link(outcome.link))
    if outcome.history:
        console.print(_timeline(outcome))
    verdict = "gives every stored state" if outcome.replay_ok else "DOES NOT GIVE the stored states"
    events = f"{outcome.journal_entries:,}"
    whose = "both sides' journals" if isinstance(outcome, LinkOutcome) else "the journal"
    lines = (
        f"Replaying the {events} events of {whose} {verdict}.",
        f"Database: {outcome.database}",
        f"The same happens again with --seed {seed}. It took {outcome.seconds:.2f} s.",
    )
    for line in lines:
        console.print(Text(line), soft_wrap=True)  # a path is to be copied in one piece


def _counts(outcome: Outcome) -> Table:
    table = Table(title="What came of it", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("Users")
    table.add_column("", justify="right")
    rows: list[tuple[str, int]] = [("took part", outcome.users), ("passed", outcome.passed)]
    rows += [
        (f"not passed: {reason.replace('_', ' ')}", count)
        for reason, count in outcome.not_passed.items()
    ]
    rows += [
        ("displaced by a later holder", outcome.displaced),
        ("notices received", outcome.notices),
        ("identified anew", outcome.reidentified),
        ("gates open at the end", outcome.gates_open),
    ]
    for what, count in rows:
        table.add_row(what, f"{count:,}")
    if outcome.rejected:
        table.add_section()
        table.add_row("rejected lines", f"{len(outcome.rejected):,}")
        for each in outcome.rejected[:_LINES]:
            table.add_row(f"  line {each.line}: {each.reason}", "")
        if len(outcome.rejected) > _LINES:
            table.add_row(f"  and {len(outcome.rejected) - _LINES:,} more", "")
    return table


def _link(figures: LinkFigures) -> Table:
    table = Table(title="What the link did", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("Over HTTP, between two processes")
    table.add_column("", justify="right")
    rows = (
        ("requests to operators", figures.requests),
        ("went wrong on purpose", figures.faults),
        ("tries made again by the messenger", figures.retries),
        ("notices delivered", figures.notices_delivered),
        ("deliveries made again by operators", figures.deliveries_failed),
        ("records that no operator has", figures.unrecorded),
        ("notices still owed", figures.notices_owed),
        ("users who were not told", figures.untold),
        ("gates open for an ended number", figures.open_in_spite),
    )
    for what, count in rows:
        table.add_row(what, f"{count:,}")
    return table


def _timeline(outcome: Outcome) -> Table:
    clock = "times" if isinstance(outcome, LinkOutcome) else "times of the virtual clock"
    title = f"The history of {outcome.history_of} ({clock}, UTC)"
    table = Table(title=title, box=box.SIMPLE, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    before = ""
    for each in timeline(outcome.history):
        at = f"{each.at:%H:%M:%S}"
        table.add_row("" if at == before else at, Text(each.words))
        before = at
    return table

"""The command `abonent report`: what the journal tells of a period, for a compliance officer.

Knows its options and how a report looks on a terminal. Refuses to compute a figure.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from abonent.cli import writing

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from abonent.audit.evidence import Published
    from abonent.compliance import Report
    from abonent.pages.tables import Table


def report(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:FUNCTION", help="A function of yours that returns an Identifier."
        ),
    ],
    *,
    start: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="DATE",
            help="The first day, such as 2026-10-01, Moscow time; or an instant with a zone.",
        ),
    ],
    end: Annotated[
        str, typer.Option("--to", metavar="DATE", help="The day after the last, or an instant.")
    ],
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with plots; replaces what is there."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
    log: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A log, whose checkpoint may cover the period."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="VKEY", help="With --log: its public key, or a file that holds it."),
    ] = None,
    register: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The officer's facts: a TOML file of dated events."),
    ] = None,
    cases: Annotated[
        int, typer.Option(min=0, max=10_000, help="How many cases of each duty to name.")
    ] = 20,
    silent_after: Annotated[
        float, typer.Option(min=0.01, max=3_650, help="Days after which a feed counts as silent.")
    ] = 7.0,
    ends_within: Annotated[
        float, typer.Option(min=0, max=3_650, help="Days that the calendar reaches ahead.")
    ] = 30.0,
) -> None:
    """Say who was late in a period, how often and how badly, and what is to be done now.

    It reads the whole journal and writes nothing. No number is shown beyond its last two digits.
    Exit status 0 also where there is no data, and where somebody was late.
    """
    if (log is None) != (key is None):
        raise typer.BadParameter("--log and --key go together")
    if html is not None:
        if not writing.can_draw():
            sys.stderr.write(f"abonent: {writing.NEEDED}\n")
            raise typer.Exit(2)
        writing.check_writable(html)
    from abonent.cli.worker import found
    from abonent.compliance import instant_of, read_register, report_of
    from abonent.compliance.period import check_period

    period = instant_of(start), instant_of(end)
    check_period(*period)
    published = None if log is None or key is None else _published(log, key)
    with found(target)() as identifier:
        now = identifier._engine.loop.clock.now()
        made = report_of(
            identifier,
            *period,
            cases=cases,
            silent_after=timedelta(days=silent_after),
            ends_within=timedelta(days=ends_within),
            register=None if register is None else read_register(register, now=now),
            published=published,
            published_at=None if log is None else _written_at(log / "checkpoint"),
        )
    if as_json:
        from abonent.compliance.as_json import as_object

        print(json.dumps(as_object(made)))
    else:
        _print(made)
    if html is not None:
        writing.write_page(html, lambda: _page(made))


def _published(log: Path, key: str) -> Published:
    from abonent.audit.evidence import Published
    from abonent.cli.audit import _public

    return Published(log, _public(key))


def _written_at(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _page(made: Report) -> str:
    from abonent.compliance.page import page

    return page(made)


# --- on a terminal -------------------------------------------------------------------


def _print(made: Report) -> None:
    from rich.console import Console
    from rich.text import Text

    from abonent.compliance.sentences import headline, period, remarks, verdict
    from abonent.compliance.tables import tables
    from abonent.pages.words import printable

    console = Console(highlight=False)

    def say(words: str, style: str = "") -> None:
        console.print(Text(printable(words), style=style))

    say(headline(made), "bold red" if made.late else "bold")
    for operator, says in verdict(made):
        say(f"  {operator}: {says}.")
    say(f"Messenger {made.messenger}, {period(made)}.")
    for each in remarks(made):
        say(f"- {each}")
    if made.coverage is not None and made.coverage.covers:
        say(
            f"- Every entry of the period is covered by the checkpoint of {made.coverage.origin} "
            f"at {made.coverage.size:,}."
        )
    for table in tables(made):
        say(f"\n{table.title}", "bold")
        say(table.says)
        if table.rows:
            console.print(_rich(table))


def _rich(told: Table) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    from abonent.pages.words import printable

    shown = RichTable(box=box.SIMPLE_HEAD)
    for place, head in enumerate(told.heads):
        shown.add_column(
            Text(printable(head)),
            justify="left" if not place or head in told.words else "right",
            overflow="fold",
        )
    for row in told.rows:
        shown.add_row(
            *(Text(printable(it.words), style="bold red" if it.bad else "") for it in row)
        )
    return shown

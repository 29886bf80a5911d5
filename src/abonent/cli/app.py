"""The commands and their options.

Knows the command line and exit statuses. Refuses to know what a command does.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Sequence
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Final

import typer

from abonent.cli import audit, calendar, data, db, keys, operator, report, writing
from abonent.cli.simulate.plan import MOST_DAYS, MOST_SUBSCRIBERS, Plan, StoreKind, is_length
from abonent.errors import AbonentError

_MOST_USERS: Final = 100_000
_DIGITS: Final = re.compile(r"\+?\d[\d ()-]{4,}")
"""What may be a number or a code: a command line that is refused is not quoted so far (I9)."""
_SECRET: Final = re.compile(r"\S*(?:://|password=)\S*")
"""What may be a password."""


class Link(Enum):
    """What the sides of the demo may be linked by."""

    HTTP = "http"


app = typer.Typer(
    name="abonent",
    help="Identify a messenger's users by subscriber number, keep it true, and prove it.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(db.app, name="db")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")
app.add_typer(operator.app, name="operator")
app.add_typer(data.app, name="data")
app.command()(calendar.calendar)
app.command()(report.report)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit status. What goes wrong is one line on stderr."""
    try:
        status = app(args=list(arguments) or ["--help"], prog_name="abonent", standalone_mode=False)
    except AbonentError as error:
        return _complain(f"{error}. {error.remedy}", 1)
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except Exception as error:
        # What the parser of command lines raises; the class has another home in each release.
        told = getattr(error, "format_message", None)
        if told is None:
            raise
        line = _DIGITS.sub("…", _SECRET.sub("…", told()))
        return _complain(f"{line} See abonent --help.", 2) if line else 2  # help was shown
    return status if isinstance(status, int) else 0


def _complain(line: str, status: int) -> int:
    sys.stderr.write(f"abonent: {' '.join(line.split())}\n")
    return status


def _print_version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"abonent {version('abonent')}")
        except PackageNotFoundError:  # run from the source
            typer.echo("abonent, not installed")
        raise typer.Exit


@app.callback()
def _abonent(  # pyright: ignore[reportUnusedFunction]
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Identify a messenger's users by subscriber number, keep it true, and prove it."""


@app.command()
def demo(
    *,
    numbers: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A list of numbers, however messy: one a line, or the first column of a CSV file.",
        ),
    ] = None,
    users: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=_MOST_USERS,
            help="Without --numbers: how many users to draw from the numbering plan (1000).",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Makes what happens repeatable; drawn if not given.")
    ] = None,
    database: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Where to make the database, in place of a fresh temporary folder.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
    link: Annotated[
        Link | None,
        typer.Option(help="Have the operators in a process of their own, over this."),
    ] = None,
) -> None:
    """Identify simulated users, end their contracts, and identify them anew.

    A domestic and a foreign messenger and three simulated operators, on a virtual clock and a real
    SQLite file. Nothing is sent anywhere. Exit status 0 only if replaying the journal gives every
    stored state.

    With --link http: a foreign messenger and three operators in two processes, in real time, over
    HTTP on loopback. Exit status 0 only if both sides replay, every record and notice arrived, and
    no gate is open for a number whose subscription ended.
    """
    from abonent.cli import show
    from abonent.cli.demo import Casting, play

    if numbers is not None and users is not None:
        raise typer.BadParameter("give --numbers or --users, not both")
    drawn = secrets.randbelow(10_000) if seed is None else seed
    casting = Casting(seed=drawn, users=users or 1000, numbers=numbers, database=database)
    if link is not None:
        if numbers is not None:
            raise typer.BadParameter("--numbers is for the demo without a link")
        operator.check_installed()
        from abonent.cli.link.story import play as play_over_link

        play = play_over_link
    with show.progress() as tell:
        outcome = play(casting, tell)
    if as_json:
        show.print_json(outcome)
    else:
        show.print_tables(outcome, drawn)
    if not outcome.ok:
        raise typer.Exit(1)


@app.command()
def simulate(
    *,
    seed: Annotated[
        int | None, typer.Option(help="Makes what happens repeatable; drawn if not given.")
    ] = None,
    days: Annotated[float, typer.Option(help="How many days of virtual time to live.")] = 30.0,
    subscribers: Annotated[
        int, typer.Option(min=1, max=MOST_SUBSCRIBERS, help="How many people there are.")
    ] = 50,
    store: Annotated[
        StoreKind, typer.Option(help="Where state is kept; a database is made in a fresh folder.")
    ] = StoreKind.MEMORY,
    faults: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A TOML file: how often what goes wrong.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write a page with plots; replaces what is there."),
    ] = None,
) -> None:
    """Run a world in which everything goes wrong, and check that every promise is kept.

    Messengers, operators and people on virtual time, over links that lose, delay and double, with
    processes that crash. Nothing is sent anywhere. Exit status 1 if an invariant did not hold.
    """
    if not is_length(days):
        raise typer.BadParameter(f"--days is a number above 0, at most {MOST_DAYS}")
    from abonent.cli.simulate import course, show

    if report is not None:
        if not writing.can_draw():
            raise typer.Exit(_complain(writing.NEEDED, 2))
        writing.check_writable(report)
    drawn = secrets.randbelow(10_000) if seed is None else seed
    plan = Plan(seed=drawn, days=days, subscribers=subscribers, store=store, faults=faults)
    with show.progress(days) as tell:
        outcome = course.simulate(plan, tell)
    if as_json:
        show.print_json(outcome)
    else:
        show.print_tables(outcome, plan)
    if report is not None:
        course.write_report(report, outcome, plan)
    if not outcome.ok:
        raise typer.Exit(1)


@app.command()
def worker(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:FUNCTION", help="A function of yours that returns an Identifier."
        ),
    ],
    *,
    every: Annotated[
        float, typer.Option(min=0.01, max=60, help="Seconds between sweeps if nothing is due.")
    ] = 1.0,
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing more is due, as for cron.")
    ] = False,
    alive: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Touched at every turn of the loop.")
    ] = None,
) -> None:
    """Settle deadlines and try what is owed, until SIGTERM. Any number of workers share the work.

    A sweep that runs is finished first, and what waits is committed. A store that is out of reach
    is tried again, at growing pauses.
    """
    import logging

    from abonent.cli.worker import work

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    done = work(target, every=every, once=once, alive=alive)
    typer.echo(f"swept {done.swept}, failed {done.failed}")
    if once and done.failed:
        raise typer.Exit(1)

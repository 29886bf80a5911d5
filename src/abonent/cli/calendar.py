"""The command `abonent calendar`: what is due, for a compliance officer.

Knows its options and how a calendar is shown. Refuses to know what is due and why.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abonent.compliance import DueItem, Register
    from abonent.compliance.proceeding.states import Proceeding

HORIZON: Final = timedelta(days=90)
"""How far a calendar reaches that is not told."""
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_MINUTES: Final = "%Y-%m-%d %H:%M"


def calendar(
    target: Annotated[
        str,
        typer.Argument(
            metavar="MODULE:FUNCTION", help="A function of yours that returns an Identifier."
        ),
    ],
    *,
    register: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The officer's facts: a TOML file of dated events."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The last day, in Moscow; 90 days on if not given."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
) -> None:
    """Show what is due: answers, re-identifications, ends of agreements and rules, orders.

    Users are counted, not named. Nothing is changed, and nothing is filed anywhere.
    """
    from abonent.cli.worker import found
    from abonent.compliance import calendar_of, read_register
    from abonent.compliance.proceeding.days import DAY, begins, day_of

    last = None if until is None else _day(until)
    with found(target)() as identifier:
        now = identifier._engine.loop.clock.now()
        facts = None if register is None else read_register(register, now=now)
        # What may be done all through a day ends with the first instant of the next one.
        end = begins((last or day_of(now + HORIZON)) + DAY)
        items = calendar_of(identifier, until=end, register=facts)
    known = facts and facts.on(day_of(now))
    if as_json:
        print(json.dumps(_as_object(items, known, now, end)))
    else:
        _print_table(items, known, now)


def _day(text: str) -> date:
    from abonent.compliance.proceeding.days import FIRST, LAST

    try:
        day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None or not FIRST <= day <= LAST:
        raise typer.BadParameter("--until is a day, written YYYY-MM-DD")
    return day


def _as_object(
    items: Iterable[DueItem], register: Register | None, now: datetime, until: datetime
) -> dict[str, Any]:
    return {
        "now": now.isoformat(),
        "until": until.isoformat(),
        "items": [
            {
                "at": each.at.isoformat(),
                "latest": each.latest.isoformat(),
                "overdue": each.at < now,
                "kind": each.kind.value,
                "what": each.what,
                "operator": each.operator,
                "about": each.about,
                "count": each.count,
                "source": each.source,
            }
            for each in items
        ],
        "proceedings": [] if register is None else [_case(each) for each in register.cases],
    }


def _case(state: Proceeding) -> dict[str, Any]:
    fine = state.matter.fine
    return {
        "case": state.matter.case,
        "state": type(state).__name__,
        "noticed": state.matter.noticed.isoformat(),
        "last": state.matter.last.isoformat(),
        "fine": None if fine is None else fine.roubles,
    }


def _print_table(items: Iterable[DueItem], register: Register | None, now: datetime) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    table = Table(title="What is due, by Moscow time", title_justify="left")
    for name in ("Until", "What", "Whom or what", "How many", "Source"):
        table.add_column(name, justify="right" if name == "How many" else "left")
    for each in items:
        late = " (overdue)" if each.at < now else ""
        # Of several, the earliest and the latest, where the minutes tell them apart.
        spans = dict.fromkeys((_moscow(each.at), _moscow(each.latest)))
        cells = (
            f"{' to '.join(spans)}{late}",
            each.what,
            ", ".join(filter(None, (each.operator, each.about))),
            str(each.count or ""),
            each.source,
        )
        table.add_row(*map(Text, cells))
    console.print(table if table.row_count else "Nothing is due.")
    for state in () if register is None else register.cases:
        case = _case(state)
        fine = "" if case["fine"] is None else f", fine of {case['fine']} roubles"
        line = f"case {case['case']}: {case['state']}, last on {case['last']}{fine}"
        console.print(Text(line), soft_wrap=True)


def _moscow(at: datetime) -> str:
    from abonent.core.rules import MOSCOW

    return at.astimezone(MOSCOW).strftime(_MINUTES)

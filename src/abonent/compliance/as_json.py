"""A report as the object that `--json` prints: a stable schema, documented in the how-to.

Knows names of keys; they do not change within a schema. Instants are ISO 8601 in UTC, times are in
seconds. Refuses to spell anything for people.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final, cast

import attrs

from abonent.compliance.figures import Case, Duty, Times
from abonent.compliance.proceeding.states import Blank, Proceeding
from abonent.compliance.register import Register
from abonent.compliance.report import Report
from abonent.compliance.sentences import headline, remarks
from abonent.compliance.verdict import lateness_in_words

SCHEMA: Final = 1


def as_object(report: Report) -> dict[str, Any]:
    """Return a report as an object for JSON."""
    return {
        "schema": SCHEMA,
        "messenger": report.messenger,
        "from": _instant(report.start),
        "to": _instant(report.end),
        "as_of": _instant(report.as_of),
        "running": report.running,
        "empty": report.empty,
        "limits": _plain(report.limits),
        "verdict": {
            "says": headline(report),
            "late": [{**_plain(each), "says": lateness_in_words(each)} for each in report.late],
            "remarks": remarks(report),
        },
        "entries": _plain(report.entries),
        "identifications": _all(report.identifications),
        "ended": _plain(report.ended),
        "answers": _all(report.answers),
        "notices": _all(report.notices),
        "reidentifications": _all(report.reidentifications),
        "exposures": _all(report.exposures),
        "cases": {each.value: _cases(report, each) for each in Duty},
        "agreements_ending": _all(report.outlook.agreements),
        "unwatched": _all(report.outlook.unwatched),
        "feeds": _all(report.outlook.feeds),
        "users_without_operator": report.outlook.own,
        "ends_within": report.ends_within.total_seconds(),
        "silent_after": report.silent_after.total_seconds(),
        "calendar": [
            {**_plain(each), "overdue": each.at < report.as_of} for each in report.calendar
        ],
        "register": None if report.register is None else _register(report.register),
        "checkpoint": None
        if report.coverage is None
        else {**_plain(report.coverage), "covers": report.coverage.covers},
    }


def _register(register: Register) -> dict[str, Any]:
    entry = register.entry
    return {
        "entry": type(entry).__name__,
        "since": None if isinstance(entry, Blank) else entry.since.isoformat(),
        "proceedings": [_proceeding(each) for each in register.cases],
    }


def _proceeding(state: Proceeding) -> dict[str, Any]:
    fine = state.matter.fine
    return {
        "case": state.matter.case,
        "state": type(state).__name__,
        "noticed": state.matter.noticed.isoformat(),
        "last": state.matter.last.isoformat(),
        "fine": None if fine is None else fine.roubles,
    }


def _cases(report: Report, duty: Duty) -> dict[str, Any]:
    shown: list[Case] = [each for each in report.cases if each.duty is duty]
    return {"found": report.found[duty], "shown": _all(shown)}


def _all(records: Iterable[Any]) -> list[dict[str, Any]]:
    return [_plain(each) for each in records]


def _plain(record: Any) -> dict[str, Any]:
    known = attrs.fields(record.__class__)
    return {each.name: _value(getattr(record, each.name)) for each in known}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, Times):
        return {
            "count": value.count,
            "median": value.median,
            "p95": value.p95,
            "longest": value.longest,
        }
    if isinstance(value, dict):
        counts = cast("dict[Enum, int]", value)
        return {key.value: count for key, count in counts.items()}
    return getattr(value, "value", value)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()

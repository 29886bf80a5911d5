"""Reading an officer's facts: a TOML file of dated events, judged as a whole before it is used.

Knows the file. Refuses what it does not know, what is out of order and what is too large, and
names the place; what stands there is not quoted, for it may be anything (I9).
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, NoReturn, cast

import attrs
from attrs import frozen

from abonent.compliance.proceeding.days import check_day, day_of
from abonent.compliance.proceeding.events import (
    AccessRestricted,
    CaseClosed,
    EnteredInRegister,
    Event,
    FineImposed,
    NoticeDrawnUp,
    RemedyOrdered,
    RestrictionLifted,
    StruckFromRegister,
    ViolationRemedied,
)
from abonent.compliance.proceeding.sanctions import check_fine
from abonent.compliance.register import Register
from abonent.core.parties import check_id
from abonent.errors import AbonentError, InvalidValue, RegisterFileError

LARGEST: Final = 64 * 2**10
"""The largest file that is read, in bytes."""
MOST: Final = 1_000
"""The most events that a file may hold."""

FACTS: Final[Mapping[str, type[Event]]] = {
    "entered": EnteredInRegister,
    "struck": StruckFromRegister,
    "notice": NoticeDrawnUp,
    "fine": FineImposed,
    "order": RemedyOrdered,
    "remedied": ViolationRemedied,
    "restricted": AccessRestricted,
    "lifted": RestrictionLifted,
    "closed": CaseClosed,
}
"""What `fact` may say. That an order was not met is not said: it follows from the days."""

_HEAD: Final = re.compile(r"^[ \t]*\[\[[ \t]*event[ \t]*\]\]", re.MULTILINE)
_LINE: Final = re.compile(r"line (\d+)")


def _check_case(_: object, attribute: object, value: Any) -> None:
    check_id(_, attribute, value if isinstance(value, str) else "")


_CHECKS: Final[Mapping[str, Callable[[object, object, Any], None]]] = {
    "on": check_day,
    "case": _check_case,
    "roubles": check_fine,
}


def read_register(path: Path, *, now: datetime) -> Register:
    """Read the facts about a messenger's entry in the register and its proceedings.

    Args:
        path: a TOML file of at most 64 KiB and 1000 events, in the order of their days.
        now: no event is dated after the day that it is in Moscow then.

    Raises:
        RegisterFileError: it cannot be read or taken; `line` and `key` say where. None of it is
            used.
        NaiveInstant: `now` has no time zone.
    """
    today = day_of(now)
    text = _text(path)
    place = _Place(file=path.name, text=text)
    try:
        document = tomllib.loads(text)
    except RecursionError:
        place.refuse("it is nested too deeply")
    except ValueError as error:  # also a number of too many digits
        found = _LINE.search(str(error))
        line = None if found is None else int(found[1])
        raise RegisterFileError(
            f"{path.name} is no TOML" + ("" if line is None else f", from line {line} on"),
            file=path.name,
            line=line,
        ) from None
    return _judged(document, place, today)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or "not a path"
        raise RegisterFileError(f"{path.name} cannot be read: {why}", file=path.name) from None
    if len(raw) > LARGEST:
        raise RegisterFileError(
            f"{path.name} is larger than {LARGEST // 2**10} KiB", file=path.name
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RegisterFileError(f"{path.name} is not UTF-8", file=path.name) from None


@frozen(kw_only=True)
class _Place:
    """Where in the file something stands. `index` counts events from 0."""

    file: str
    text: str
    index: int | None = None

    def refuse(self, why: str, key: str | None = None) -> NoReturn:
        """Say what is wrong, and where."""
        line = self._line()
        where = "" if self.index is None else f", event {self.index + 1}"
        where += "" if line is None else f" (line {line})"
        where += "" if key is None else f", {key}"
        raise RegisterFileError(f"{self.file}{where}: {why}", file=self.file, line=line, key=key)

    def _line(self) -> int | None:
        """Return the line of the event's head. In a text of several lines there may be one too."""
        if self.index is None:
            return None
        heads = list(_HEAD.finditer(self.text))
        if self.index >= len(heads):
            return None
        return self.text.count("\n", 0, heads[self.index].start()) + 1


def _judged(document: dict[str, Any], place: _Place, today: date) -> Register:
    """Return what all events come to, or refuse the file."""
    unknown = document.keys() - {"messenger", "event"}
    if unknown:
        place.refuse("it holds messenger and events and nothing else", _shown(unknown))
    messenger = document.get("messenger")
    if not isinstance(messenger, str):
        place.refuse("it names no messenger", "messenger")
    listed = _listed(document, place)
    if len(listed) > MOST:
        place.refuse(f"it holds more than {MOST} events", "event")
    try:
        register = Register(messenger=messenger)
    except InvalidValue as error:
        place.refuse(str(error.args[0]), "messenger")
    for index, each in enumerate(listed):
        here = _Place(file=place.file, text=place.text, index=index)
        event = _event(each, here)
        if event.on > today:
            here.refuse("it is dated after today: facts only", "on")
        try:
            register = register.after(event)
        except AbonentError as error:
            here.refuse(str(error.args[0]))
    return register


def _listed(document: dict[str, Any], place: _Place) -> list[Any]:
    events: list[Any] | str = document.get("event", [])
    if not isinstance(events, list):
        place.refuse("events are written as [[event]]", "event")
    return events


def _event(given: Any, place: _Place) -> Event:
    """Return one event, or refuse it."""
    if not isinstance(given, dict):
        place.refuse("events are written as [[event]]", "event")
    table = cast("dict[str, Any]", given)
    fact: Any = table.get("fact")
    made = FACTS.get(fact) if isinstance(fact, str) else None
    if made is None:
        place.refuse(f"this takes one of {', '.join(FACTS)}", "fact")
    keys = [each.name for each in attrs.fields(made)]
    holds = f"{fact} takes {', '.join(keys)}"
    if missing := set(keys) - table.keys():
        place.refuse(holds, min(missing))
    if unknown := table.keys() - {"fact", *keys}:
        place.refuse(f"{holds} and nothing else", _shown(unknown))
    for key in keys:
        try:
            _CHECKS[key](None, None, table[key])
        except InvalidValue as error:
            place.refuse(str(error.args[0]), key)
    return made(**{key: table[key] for key in keys})


def _shown(unknown: set[str]) -> str | None:
    """Return a key that is not known, if it looks like one."""
    first = min(unknown)
    return first if re.fullmatch(r"[a-z_]{1,32}", first) else None

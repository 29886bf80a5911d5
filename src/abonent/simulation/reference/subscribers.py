"""The subscribers of a reference operator: a file of them, and what has changed since it was read.

Knows lines, dates and states, and keeps every change sealed in the operator's store, so that who
is killed has forgotten none. Refuses to quote a line: a bad one is named by its place (I9).
"""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from enum import Enum
from pathlib import Path
from typing import ClassVar, Final, Literal

import msgspec
from msgspec import Struct

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber, parse_number
from abonent.core.rules import MOSCOW
from abonent.errors import CallerError, Contended, InvalidNumber
from abonent.operator import Holding
from abonent.ports import KeyProvider, Put, Storage, Unit
from abonent.sealing import Keyring

LARGEST: Final = 64 * 2**20
"""The largest file that is read, in bytes."""
_PAGE: Final = 500
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_SEPARATOR: Final = re.compile(r"[;,\t]")

Contract = Literal["PAYG", "PAYM", "Business"]
_CONTRACTS: Final[dict[str, Contract]] = {
    "": "PAYM",
    "PAYG": "PAYG",
    "PAYM": "PAYM",
    "Business": "Business",
}


class SubscribersFileError(CallerError):
    """A file of subscribers that cannot be read; `line`, counted from 1, says where."""

    code: ClassVar[str] = "SUBSCRIBERS_FILE"
    remedy: ClassVar[str] = "Give lines of a number, a date or instant, and a state if it is over."

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class SubscriberState(Enum):
    """What the operator has to say of a number."""

    ACTIVE = "active"
    BARRED = "barred"
    """Held, and no message may go there."""
    ENDED = "ended"
    PORTED = "ported"
    """Another operator serves it now."""
    UNDETERMINED = "undetermined"
    """It cannot be said, for example of a number of a machine."""


_OUTCOMES: Final = {
    SubscriberState.ACTIVE: Outcome.HELD,
    SubscriberState.BARRED: Outcome.HELD,
    SubscriberState.ENDED: Outcome.NOT_HELD,
    SubscriberState.PORTED: Outcome.NOT_OURS,
    SubscriberState.UNDETERMINED: Outcome.UNDETERMINED,
}


class Subscriber(Struct, frozen=True, kw_only=True):
    """A number, and since when it is in its state."""

    since: datetime
    state: SubscriberState = SubscriberState.ACTIVE
    contract: Contract = "PAYM"

    @property
    def holding(self) -> Holding:
        """What the operator's desk hears of it."""
        return Holding(outcome=_OUTCOMES[self.state], since=self.since)


class _Kept(Struct, frozen=True, kw_only=True):
    number: str
    subscriber: Subscriber

    def __repr__(self) -> str:
        return "_Kept(…)"


class Subscribers:
    """The operator's database of subscribers. A number that it does not know is another's.

    What was changed while it ran stands over the file.

    Args:
        operator: whose they are.
        listed: those of the file.
        storage: where changes are kept.
        keys: what they are sealed under.
    """

    def __init__(
        self,
        operator: str,
        listed: Mapping[SubscriberNumber, Subscriber],
        storage: Storage,
        keys: KeyProvider,
    ) -> None:
        self._space = f"subscribers {operator}"
        self._storage = storage
        self._keyring = Keyring(keys, self._space)
        self._known = dict(listed)
        self._versions: dict[SubscriberNumber, int] = {}
        self._mutex = threading.Lock()
        for number, subscriber, version in self._changed():
            self._known[number] = subscriber
            self._versions[number] = version

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"Subscribers({len(self)})"

    def find(self, number: SubscriberNumber) -> Subscriber | None:
        """Return what is known of a number."""
        return self._known.get(number)

    def holding(self, number: SubscriberNumber) -> Holding:
        """Return what the desk is to hear of a number."""
        found = self._known.get(number)
        return Holding(outcome=Outcome.NOT_OURS) if found is None else found.holding

    def put(self, number: SubscriberNumber, subscriber: Subscriber) -> None:
        """Change what is known of a number; on return it is kept.

        Raises:
            StorageError: it is not.
        """
        key = self._keyring.number_tags(number)[0]
        body = msgspec.msgpack.encode(_Kept(number=number.e164, subscriber=subscriber))
        with self._mutex:
            version = self._versions.get(number, 0)
            sealed = self._keyring.seal_row(key, version + 1, body)
            (kept,) = self._storage.commit([Unit(self._space, (Put(key, version, sealed),))])
            if not kept:
                raise Contended("another process changes these subscribers as well")
            self._versions[number] = version + 1
            self._known[number] = subscriber

    def _changed(self) -> Iterator[tuple[SubscriberNumber, Subscriber, int]]:
        after = b""
        while page := self._storage.scan(self._space, after, _PAGE):
            for key, record in page:
                body = self._keyring.open_row(key, record.version, record.body)
                kept = msgspec.msgpack.decode(body, type=_Kept)
                yield SubscriberNumber(kept.number), kept.subscriber, record.version
            after = page[-1][0]


# --- the file ---------------------------------------------------------------------------


def read_subscribers(path: Path) -> dict[SubscriberNumber, Subscriber]:
    """Read a CSV file in UTF-8: number, since, and optionally a state and a kind of contract.

    Columns are separated by `,`, `;` or tabs. Empty lines, comments (`#`) and a head are passed
    over. A day begins at 00:00 Moscow time; an instant needs a time zone.

    Raises:
        SubscribersFileError: it cannot be read, or a line says something else.
    """
    found: dict[SubscriberNumber, Subscriber] = {}
    places: dict[SubscriberNumber, int] = {}
    for line, columns in _rows(path):
        try:
            number = parse_number(columns[0]).number
        except InvalidNumber as error:
            raise _bad(path, line, f"the first column is no mobile number ({error.code})") from None
        if number in places:
            raise _bad(path, line, f"the number stands in line {places[number]} already")
        places[number] = line
        found[number] = _subscriber(path, line, columns[1:])
    return found


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    head_may_come = True
    for line, text in enumerate(_LINE_END.split(_text(path)), 1):
        stripped = text.strip()
        if not stripped or stripped.startswith("#"):
            continue
        head, head_may_come = head_may_come and not re.search(r"\d", stripped), False
        if head:
            continue
        separator = _SEPARATOR.search(stripped)
        delimiter = "," if separator is None else separator[0]
        try:
            (columns,) = csv.reader([stripped], delimiter=delimiter)
        except csv.Error:
            raise _bad(path, line, "its columns cannot be told apart") from None
        yield line, [each.strip() for each in columns]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = getattr(error, "strerror", None) or "not a path"
        raise SubscribersFileError(f"{path.name or path} cannot be read: {why}") from None
    if len(raw) > LARGEST:
        raise SubscribersFileError(f"{path.name} is larger than {LARGEST // 2**20} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _bad(path, line, "this is not UTF-8") from None


def _subscriber(path: Path, line: int, columns: list[str]) -> Subscriber:
    since, state, contract, *more = (*columns, *("",) * max(0, 3 - len(columns)))
    if any(more):
        raise _bad(path, line, "there are more than four columns")
    try:
        said = SubscriberState(state.lower() or "active")
    except ValueError:
        names = ", ".join(each.value for each in SubscriberState)
        raise _bad(path, line, f"the third column is a state: {names}") from None
    kind = _CONTRACTS.get(contract)
    if kind is None:
        raise _bad(path, line, "the fourth column is PAYG, PAYM or Business")
    at = instant_of(since)
    if at is None:
        raise _bad(path, line, "the second column is a date, or an instant with a time zone")
    return Subscriber(since=at, state=said, contract=kind)


def instant_of(text: str) -> datetime | None:
    """Return the instant that a text names, None if it names none. A day begins in Moscow."""
    try:
        if len(text) == len("2026-01-01"):
            return datetime.combine(date.fromisoformat(text), time(), MOSCOW).astimezone(UTC)
        at = datetime.fromisoformat(text)
        return None if at.utcoffset() is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _bad(path: Path, line: int, reason: str) -> SubscribersFileError:
    return SubscribersFileError(f"{path.name}, line {line}: {reason}", line=line)

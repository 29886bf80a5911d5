"""The books of a desk: where rows are in the store, and what tasks have decided about them.

Knows places, seals and units. Refuses to know rules: it applies what `decide` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from abonent.core.numbers import SubscriberNumber
from abonent.engine.archive import micros
from abonent.engine.observing import Observed, name_of
from abonent.engine.reading import Batch
from abonent.errors import TransitionRefused
from abonent.feed import ReplayReport
from abonent.operator.core.duty import Command, Step, decide
from abonent.operator.core.events import (
    AnswerFound,
    AnswerGiven,
    AnswerLapsed,
    Event,
    NoticeAcknowledged,
    NoticeOverdue,
)
from abonent.operator.core.evolution import evolve
from abonent.operator.core.owed import wakes_at
from abonent.operator.core.policy import Ground
from abonent.operator.core.states import BLANK, AnswerOwed, Asked, Blank, NoticeOwed, State
from abonent.operator.records import (
    Row,
    decode_entry,
    decode_row,
    encode_entry,
    encode_row,
)
from abonent.ports import AliasChange, Append, KeyProvider, Put, Record, Storage, Unit
from abonent.sealing import Keyring, new_subject_key, subject_of

_CHUNK: Final = 500
OWED: Final = b"notice owed"
"""The alias under which the rows are found that owe a notice. It says nothing of anybody."""


class File(Struct, frozen=True, kw_only=True):
    """A row as it is held in memory. `others` are the places where it must not be as well."""

    key: bytes
    version: int
    row: Row
    others: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"File(version={self.version})"

    @property
    def state(self) -> State:
        """What it says."""
        return self.row.state


class Books:
    """Opens and seals the rows of one operator in one store.

    They lie in a space of their own, which no messenger's can be: an id holds no space.
    """

    def __init__(self, storage: Storage, keys: KeyProvider, ground: Ground) -> None:
        self.storage = storage
        self.ground = ground
        self.space = f"operator {ground.operator}"
        self.keyring = Keyring(keys, self.space)

    # places: a keyed hash each, under every live key, the current one first

    def question(self, messenger: str, query_id: str) -> tuple[bytes, ...]:
        """Return where a messenger's question is."""
        return self.keyring.user_tags(f"question\0{messenger}\0{query_id}")

    def code(self, messenger: str, code: str) -> tuple[bytes, ...]:
        """Return where the record of a messenger's identification code is."""
        return self.keyring.user_tags(f"code\0{messenger}\0{code}")

    def line(self, number: SubscriberNumber) -> tuple[bytes, ...]:
        """Return where that is which is known of a number."""
        return self.keyring.number_tags(number)

    # reading what is committed

    def open(self, key: bytes, record: Record) -> File:
        """Open one row."""
        body = self.keyring.open_row(key, record.version, record.body)
        return File(key=key, version=record.version, row=decode_row(body))

    def load(self, key: bytes) -> File | None:
        """Return the row with this key."""
        (record,) = self.storage.load(self.space, (key,))
        return None if record is None else self.open(key, record)

    def owing_notices(self) -> list[NoticeOwed]:
        """Return the rows that owe a notice."""
        (owners,) = self.storage.find(self.space, (OWED,))
        states: list[State] = []
        for start in range(0, len(owners), _CHUNK):
            keys = owners[start : start + _CHUNK]
            found = zip(keys, self.storage.load(self.space, keys), strict=True)
            states += [self.open(key, record).state for key, record in found if record is not None]
        return [each for each in states if isinstance(each, NoticeOwed)]

    def page(self, after: bytes) -> tuple[list[File], bytes | None]:
        """Return a page of rows, and what the next page comes after, if any."""
        found = self.storage.scan(self.space, after, _CHUNK)
        files = [self.open(key, record) for key, record in found]
        return files, found[-1][0] if len(found) == _CHUNK else None

    def pages(self) -> Iterator[File]:
        """Return every row."""
        after: bytes | None = b""
        while after is not None:
            files, after = self.page(after)
            yield from files

    def replay(self) -> ReplayReport:
        """Replay the journal and compare it with every row. What differs is named by its key."""
        files = {subject_of(each.row.subject_key): each for each in self.pages()}
        states: dict[bytes, State | None] = dict.fromkeys(files, BLANK)
        counted: Counter[bytes] = Counter()
        entries = events = unreadable = after = 0
        while chunk := self.storage.journal(self.space, after, _CHUNK):
            after = chunk[-1].cursor
            for entry in chunk:
                entries += 1
                file = files.get(entry.subject)
                if file is None:
                    unreadable += 1
                    continue
                sealed = (file.row.subject_key, entry.number, entry.body)
                told = decode_entry(self.keyring.open_entry(*sealed))
                events += len(told)
                counted[entry.subject] += 1
                # A number that comes again was given on an older row that was put back.
                in_order = entry.number == counted[entry.subject]
                before = states[entry.subject] if in_order else None
                states[entry.subject] = _replayed(before, told)
        differing = (file.key.hex() for own, file in files.items() if states[own] != file.state)
        return ReplayReport(
            records=len(files),
            entries=entries,
            events=events,
            unreadable=unreadable,
            differing=tuple(sorted(differing)),
        )


def _replayed(state: State | None, events: Iterable[Event]) -> State | None:
    for each in events:
        try:
            state = None if state is None else evolve(state, each)
        except TransitionRefused:
            return None
    return state


class Sheets(Batch["Draft"]):
    """What the tasks of one batch have read of the books; see `Batch`."""

    def __init__(self, books: Any) -> None:
        # Of its archive, a batch looks at the store, its space and the keyring, and no further
        # where nothing is foreseen and no row of a messenger is asked for.
        super().__init__(books)
        self.books: Books = books

    def foresee(self, aliases: Iterable[bytes]) -> None:
        """Foresee nothing: tasks of a desk name the keys that they look at."""


class _Change(Struct, frozen=True):
    """What a draft did to one row: from where, to what, and what it told the journal."""

    before: File
    after: File
    events: tuple[Event, ...]


class Draft:
    """What tasks that belong together do: it becomes one unit, or nothing."""

    def __init__(self, sheets: Sheets) -> None:
        self._sheets = sheets
        self._books = sheets.books
        self._changes: dict[bytes, _Change] = {}

    def row(self, key: bytes) -> File | None:
        """Return a row as this draft sees it."""
        change = self._changes.get(key)
        if change is not None:
            return change.after
        record = self._sheets.record(key)
        return None if record is None else self._books.open(key, record)

    def at(self, places: tuple[bytes, ...]) -> File:
        """Return the row at the first of these places that has one, or a blank one."""
        for key in places:
            found = self.row(key)
            if found is not None:
                return found
        row = Row(subject_key=new_subject_key(), state=BLANK)
        return File(key=places[0], version=0, row=row, others=places[1:])

    def apply(self, file: File, command: Command) -> tuple[File, Step]:
        """Decide a command on a row."""
        step = decide(file.state, command, self._books.ground)
        if not step.events:
            return file, step
        change = self._changes.get(file.key)
        before, events = (file, ()) if change is None else (change.before, change.events)
        after = File(
            key=file.key,
            version=before.version + 1,
            row=Row(subject_key=file.row.subject_key, state=step.state),
            others=before.others,
        )
        self._changes[file.key] = _Change(before, after, (*events, *step.events))
        return after, step

    # what a batch asks of a draft

    def absorb(self, other: Draft) -> None:
        """Take over what another draft did to other rows: both become one unit."""
        self._changes |= other._changes

    def attempt(self, work: Callable[[Draft], Any]) -> Any:
        """Let a task work here; if it raises, nothing of it stays."""
        changes = dict(self._changes)
        try:
            return work(self)
        except BaseException:
            self._changes = changes
            raise

    def unit(self) -> Unit | None:
        """Return what is to be committed, or None if nothing."""
        if not self._changes:
            return None
        changes = self._changes.values()
        return Unit(
            self._books.space,
            tuple(put for each in changes for put in self._puts(each)),
            tuple(alias for each in changes for alias in _aliases(each)),
            tuple(self._entry(each) for each in changes),
        )

    def merge(self, unit: Unit) -> None:
        """Let the rest of the batch see these changes, as if they were committed."""
        self._sheets.changed_by(self, unit)

    def observed(self) -> Iterator[Observed]:
        """Return what may be told of what happened here, once it is committed."""
        for change in self._changes.values():
            for event in change.events:
                yield _observed(self._books.ground.operator, change.before.state, event)

    def _puts(self, change: _Change) -> Iterator[Put]:
        after = change.after
        body, wake = None, wakes_at(after.state)
        if not isinstance(after.state, Blank):
            body = self._books.keyring.seal_row(after.key, after.version, encode_row(after.row))
        yield Put(after.key, change.before.version, body, None if wake is None else micros(wake))
        # While keys are rotated, another process may begin the same row in another place.
        for key in after.others:
            yield Put(key, 0, None)

    def _entry(self, change: _Change) -> Append:
        key, number = change.after.row.subject_key, change.after.version
        sealed = self._books.keyring.seal_entry(key, number, encode_entry(change.events))
        return Append(subject_of(key), number, sealed)


def _aliases(change: _Change) -> Sequence[AliasChange]:
    was, owes = (isinstance(each.state, NoticeOwed) for each in (change.before, change.after))
    return () if was is owes else (AliasChange(OWED, change.after.key, owes),)


def _observed(operator: str, before: State, event: Event) -> Observed:
    names = ("outcome", "kind", "cause")
    detail = next((value for name in names if (value := getattr(event, name, None))), None)
    since = getattr(event, "happened_at", None)
    if isinstance(event, AnswerGiven | AnswerFound) and isinstance(before, Asked | AnswerOwed):
        since = before.received_at
    elif isinstance(event, NoticeAcknowledged) and isinstance(before, NoticeOwed):
        since = before.happened_at
    elif isinstance(event, AnswerLapsed | NoticeOverdue):
        since = event.due
    return Observed(
        what=name_of(type(event)),
        operator=operator,
        detail=None if detail is None else str(getattr(detail, "value", detail)),
        seconds=None if since is None else (event.at - since).total_seconds(),
    )

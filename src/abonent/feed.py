"""What the journal tells: changes of gates, histories, and whether it replays.

Knows how to follow the journal and to open what may still be opened. Refuses to write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from attrs import frozen

from abonent.core.events import Event
from abonent.core.evolution import evolve
from abonent.core.owed import Gate
from abonent.core.parties import check_user_id
from abonent.core.standing import Standing, standing
from abonent.core.states import BLANK, Aggregate, Reason
from abonent.engine.archive import Archive, Held, is_sends_key, subject_alias
from abonent.engine.drafts import numbers_of
from abonent.errors import TransitionRefused
from abonent.ports import Entry
from abonent.records import JournalBody, decode_entry

_CHUNK: Final = 500
_LOOKS: Final = 4
"""How often a row is sought anew that was not where it had just been found."""


@frozen(kw_only=True)
class GateChanged:
    """A user's gate changed at an instant. `cursor` resumes the feed behind this change."""

    user_id: str
    open: bool
    until: datetime | None
    reason: Reason | None
    at: datetime
    cursor: int


@frozen(kw_only=True)
class Happening:
    """One event in a user's history."""

    at: datetime
    event: Event


@frozen(kw_only=True)
class ReplayReport:
    """Whether replaying the journal gives every stored record (I7).

    `entries` were read and told of `events`; `unreadable` entries belong to subjects whose key was
    destroyed or to nobody. How many events share an entry depends on which calls shared a commit.
    `differing` are the users whose record the journal does not give, whose entries are not numbered
    one by one, or who hold a number that another holds as well (I3).
    """

    records: int
    entries: int
    events: int
    unreadable: int
    differing: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every stored record was given by the journal."""
        return not self.differing


class Feed:
    """Reads the journal of one messenger."""

    def __init__(self, archive: Archive, check: Callable[[], None]) -> None:
        self._archive = archive
        self._check = check

    def changes(self, after: int, limit: int) -> list[GateChanged]:
        """Return up to `limit` gate changes beyond a cursor, in order, at least once.

        A forgotten user's changes are gone with the user.
        """
        self._check()
        found: list[GateChanged] = []
        for chunk in self._chunks(after):
            for entry, held, body in self._opened(chunk):
                if body.gate is None or held.row.user_id is None:
                    continue
                found.append(_changed(held.row.user_id, body.gate, body.events[-1].at, entry))
                if len(found) == limit:
                    return found
        return found

    def history(self, user_id: str) -> list[Happening]:
        """Return what the journal tells of a user, in order. Reads the whole journal."""
        self._check()
        check_user_id(user_id)
        held = self._archive.user(user_id)
        if held is None or held.row.user_id is None:
            return []
        subject = held.subject
        return [
            Happening(at=event.at, event=event)
            for chunk in self._chunks(0)
            for entry in chunk
            if entry.subject == subject
            for event in self._open(entry, held).events
        ]

    def standings(self, after: bytes, now: datetime) -> tuple[list[Standing], bytes | None]:
        """Return where a page of users stand, and what the next page comes after, if any."""
        self._check()
        page = self._archive.scan(after, _CHUNK)
        policy = self._archive.terrain.policy
        held = (self._archive.open(*each) for each in page if not is_sends_key(each[0]))
        found = [
            standing(each.row.user_id, each.aggregate, now, policy)
            for each in held
            if each.row.user_id is not None
        ]
        return found, page[-1][0] if len(page) == _CHUNK else None

    def replay(self) -> ReplayReport:
        """Replay the whole journal and compare it with every stored record, opened."""
        self._check()
        held = {each.subject: each for each in self._rows()}
        replayed: dict[bytes, Aggregate] = {}
        counted: Counter[bytes] = Counter()
        broken: set[bytes] = set()
        entries = events = unreadable = 0
        for chunk in self._chunks(0):
            for entry in chunk:
                entries += 1
                row = held.get(entry.subject)
                if row is None:
                    unreadable += 1
                elif entry.subject not in broken:
                    before = replayed.get(entry.subject, BLANK)
                    told = self._open(entry, row).events
                    events += len(told)
                    counted[entry.subject] += 1
                    after = _replay(before, told)
                    # A number that comes again was given on an older row that was put back.
                    if after is None or entry.number != counted[entry.subject]:
                        broken.add(entry.subject)
                    else:
                        replayed[entry.subject] = after
        numbers = {subject: numbers_of(each.aggregate)[0] for subject, each in held.items()}
        holders = Counter(numbers.values())
        del holders[None]
        differing = [
            each.row.user_id or "(forgotten)"
            for subject, each in held.items()
            if subject in broken
            or replayed.get(subject) != each.aggregate
            or holders[numbers[subject]] > 1
        ]
        return ReplayReport(
            records=len(held),
            entries=entries,
            events=events,
            unreadable=unreadable,
            differing=tuple(sorted(differing)),
        )

    def _rows(self) -> Iterator[Held]:
        after = b""
        archive = self._archive
        while True:
            found = archive.scan(after, _CHUNK)
            for key, record in found:
                if not is_sends_key(key):
                    yield archive.open(key, record)
            if len(found) < _CHUNK:
                return
            after = found[-1][0]

    def _chunks(self, after: int) -> Iterator[list[Entry]]:
        while True:
            chunk = self._archive.storage.journal(self._archive.space, after, _CHUNK)
            if chunk:
                yield chunk
            if len(chunk) < _CHUNK:
                return
            after = chunk[-1].cursor

    def _opened(self, chunk: list[Entry]) -> Iterator[tuple[Entry, Held, JournalBody]]:
        """Open the entries of subjects whose key is still there."""
        rows = self._rows_of({entry.subject for entry in chunk})
        for entry in chunk:
            held = rows.get(entry.subject)
            if held is not None:
                yield entry, held, self._open(entry, held)

    def _rows_of(self, subjects: set[bytes]) -> Mapping[bytes, Held]:
        archive = self._archive
        rows: dict[bytes, Held] = {}
        for _ in range(_LOOKS):
            aliases = [subject_alias(each) for each in sorted(subjects - rows.keys())]
            owners = archive.storage.find(archive.space, aliases)
            keys = [found[0] for found in owners if found]
            loaded = archive.load(keys)
            rows.update((held.subject, held) for held in loaded if held is not None)
            # Between the finding and the reading a row may have been moved to another place.
            if None not in loaded:
                break
        return rows

    def _open(self, entry: Entry, held: Held) -> JournalBody:
        keyring = self._archive.keyring
        return decode_entry(keyring.open_entry(held.row.subject_key, entry.number, entry.body))


def _changed(user_id: str, gate: Gate, at: datetime, entry: Entry) -> GateChanged:
    return GateChanged(
        user_id=user_id,
        open=gate.open,
        until=gate.until,
        reason=gate.reason,
        at=at,
        cursor=entry.cursor,
    )


def _replay(aggregate: Aggregate, events: tuple[Event, ...]) -> Aggregate | None:
    for event in events:
        try:
            aggregate = evolve(aggregate, event)
        except TransitionRefused:
            return None
    return aggregate

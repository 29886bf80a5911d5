"""Reading the journal from its beginning to its end, opening what may still be opened.

Knows which entries belong to a period. Refuses to judge what they tell.
"""

from __future__ import annotations

from datetime import datetime

from abonent.aio import AsyncIdentifier
from abonent.audit.evidence import entry_at
from abonent.compliance.counting import Counting
from abonent.compliance.figures import Entries
from abonent.compliance.fold import Fold
from abonent.engine.archive import subject_alias
from abonent.identifier import Identifier
from abonent.sealing import subject_of


class Placing:
    """Counts entries of the period, and those that a log of `logged` entries does not reach.

    When an entry was written that cannot be opened is not known: its neighbour before it is, or
    that behind it where all before cannot be opened either.
    """

    def __init__(self, counting: Counting, logged: int) -> None:
        self._counting = counting
        self._logged = logged
        self._now: datetime | None = None
        self._early: list[tuple[int, bool]] = []
        self._first: int | None = None
        self._last: int | None = None
        self._readable = self._unreadable = self._strangers = self._whole = self._unlogged = 0

    def opened(self, cursor: int, at: datetime) -> None:
        """An entry could be opened."""
        self._whole += 1
        if self._now is None and self._counting.counts(at):
            for early, stranger in self._early:
                self._sealed(early, stranger)
        self._now = at
        if self._counting.counts(at):
            self._readable += 1
            self._reach(cursor)

    def sealed(self, cursor: int, *, stranger: bool) -> None:
        """An entry was passed over: nobody has its key, or it tells of nobody."""
        self._whole += 1
        if self._now is None:
            self._early.append((cursor, stranger))
        elif self._counting.counts(self._now):
            self._sealed(cursor, stranger)

    def _sealed(self, cursor: int, stranger: bool) -> None:
        self._strangers += stranger
        self._unreadable += not stranger
        self._reach(cursor)

    def _reach(self, cursor: int) -> None:
        self._first = cursor if self._first is None else self._first
        self._last = cursor
        self._unlogged += cursor > self._logged

    def entries(self) -> Entries:
        """Return what was counted."""
        return Entries(
            readable=self._readable,
            unreadable=self._unreadable,
            strangers=self._strangers,
            unlogged=self._unlogged,
            first=self._first,
            last=self._last,
            whole_journal=self._whole,
            unplaced=len(self._early) if self._now is None else 0,
        )


def read(
    identifier: Identifier | AsyncIdentifier, counting: Counting, *, logged: int
) -> tuple[Fold, Entries]:
    """Read the whole journal; what it tells of later times settles what the period left open.

    `logged` is how many entries the published checkpoint covers, 0 without one.

    Raises:
        StorageError: the store is out of reach.
        RecordDamaged: an entry is not what was written.
    """
    feed, fold, placing = identifier._feed, Fold(counting), Placing(counting, logged)
    strangers = subject_of(identifier._engine.archive.keyring.stranger_key())
    for chunk in feed._chunks(0):
        opened = {entry.cursor: body for entry, _, body in feed._opened(chunk)}
        for entry in chunk:
            body = opened.get(entry.cursor)
            if body is None or not body.events:
                placing.sealed(entry.cursor, stranger=entry.subject == strangers)
                continue
            fold.take(entry.subject, entry.cursor, body.events, body.gate)
            placing.opened(entry.cursor, body.events[-1].at)
    return fold, placing.entries()


def user_at(identifier: Identifier | AsyncIdentifier, cursor: int) -> str | None:
    """Return whom an entry of the journal is about; None if they were forgotten, or it is nobody.

    It is how a case of a report is looked into: the user's id leads to `history`.

    Raises:
        InvalidValue: there is no such entry.
    """
    archive = identifier._engine.archive
    entry = entry_at(archive.storage, archive.space, cursor)
    (owners,) = archive.storage.find(archive.space, [subject_alias(entry.subject)])
    held = archive.load(list(owners[:1]))
    return held[0].row.user_id if held and held[0] is not None else None

"""What a batch has read of the store, and what its drafts have changed of that.

Knows who leans on whose change. Refuses to know what a draft is, or a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

from abonent.core.numbers import SubscriberNumber
from abonent.core.states import AwaitingAnswer, ProvingPossession
from abonent.engine.archive import Archive, Held, holder_aliases, is_sends_key
from abonent.errors import AbonentError
from abonent.ports import Record, Unit

D = TypeVar("D")


class Batch(Generic[D]):
    """What the tasks of one batch have read and decided so far; nothing of it is committed yet."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.records: dict[bytes, Record | None] = {}
        self.rows: dict[bytes, Held | None] = {}
        self.owners: dict[bytes, tuple[bytes, ...]] = {}  # as stored; what moved since is beside
        self._origins: dict[bytes, D] = {}
        self._moved: dict[bytes, dict[bytes, tuple[bool, D]]] = {}
        self._leant_on: dict[D, None] = {}
        self._tags: dict[str, tuple[bytes, ...]] = {}

    def leant_on(self) -> list[D]:
        """Return the drafts whose changes were seen since this was last asked.

        What leans on a change must share its fate: should the change lose to another writer, a
        version alone would not show that what was seen never came to be.
        """
        found = list(self._leant_on)
        self._leant_on.clear()
        return found

    def _lean(self, key: bytes) -> None:
        origin = self._origins.get(key)
        if origin is not None:
            self._leant_on[origin] = None

    def changed_by(self, draft: D, unit: Unit) -> None:
        """Let the rest of the batch see the changes of a unit, and note whose they are."""
        for put in unit.puts:
            self._origins[put.key] = draft
            gone = put.body is None
            self.records[put.key] = None if gone else Record(put.expected + 1, put.body or b"")
            self.rows.pop(put.key, None)
        for each in unit.aliases:
            self._moved.setdefault(each.alias, {})[each.owner] = (each.present, draft)

    def taken_over(self, draft: D) -> None:
        """Show nothing of a draft any more: the one that absorbed it shows its own instead.

        Both together may do less than the first had shown: an alias added, and removed again.
        """
        self._origins = {key: each for key, each in self._origins.items() if each is not draft}
        for alias, moved in self._moved.items():
            self._moved[alias] = {own: each for own, each in moved.items() if each[1] is not draft}

    def preload(self, keys: Iterable[bytes]) -> None:
        """Read the records of all tasks at once."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self.records]
        if wanted:
            found = self.archive.storage.load(self.archive.space, wanted)
            self.records.update(zip(wanted, found, strict=True))

    def foresee(self, aliases: Iterable[bytes]) -> None:
        """Read at once who owns these aliases, and who holds the numbers that are being proven."""
        awaited = (AwaitingAnswer,) if self.archive.terrain.asks_operator else (ProvingPossession,)
        wanted = list(aliases)
        for key, record in list(self.records.items()):
            if record is None or is_sends_key(key):
                continue
            with suppress(AbonentError):  # what is damaged hurts who needs it, later
                held = self.row(key)
                if held is not None and isinstance(held.aggregate.state, awaited):
                    wanted += holder_aliases(self.tags(held.aggregate.state.number))
        if len(wanted) > 1:
            self.owners_of(wanted)

    def tags(self, number: SubscriberNumber) -> tuple[bytes, ...]:
        """Return the blind indexes of a number."""
        found = self._tags.get(number.e164)
        if found is None:
            found = self._tags[number.e164] = self.archive.keyring.number_tags(number)
        return found

    def know(self, number: SubscriberNumber, tags: tuple[bytes, ...]) -> None:
        """Take over blind indexes that the caller has computed."""
        self._tags[number.e164] = tags

    def record(self, key: bytes) -> Record | None:
        """Return a record as this batch sees it."""
        self._lean(key)
        if key not in self.records:
            self.preload((key,))
        return self.records[key]

    def row(self, key: bytes) -> Held | None:
        """Return a row as this batch sees it."""
        self._lean(key)
        if key not in self.rows:
            record = self.record(key)
            self.rows[key] = None if record is None else self.archive.open(key, record)
        return self.rows[key]

    def owners_of(self, aliases: Sequence[bytes]) -> tuple[bytes, ...]:
        """Return the owners of any of these aliases as this batch sees them."""
        if any(alias not in self.owners for alias in aliases):
            # All of them anew: a user who moved from one to another between two readings would be
            # in neither, and what finds nobody has nothing by which it could lose.
            found = self.archive.storage.find(self.archive.space, aliases)
            self.owners.update(zip(aliases, found, strict=True))
        owners: dict[bytes, None] = {}
        for alias in aliases:
            moved = self._moved.get(alias, {})
            self._leant_on.update(dict.fromkeys(draft for _, draft in moved.values()))
            kept = [own for own in self.owners[alias] if own not in moved]
            owners.update(dict.fromkeys(kept))
            owners.update(dict.fromkeys(own for own, (present, _) in moved.items() if present))
        return tuple(owners)

    def look_again(self, aliases: Sequence[bytes], gone: Iterable[bytes]) -> None:
        """Read anew, when next asked, who owns these aliases, and what was not where it was found.

        A row that was moved between two readings would be in neither place.
        """
        for alias in aliases:
            self.owners.pop(alias, None)
        for key in gone:
            if key not in self._origins:
                self.records.pop(key, None)
                self.rows.pop(key, None)

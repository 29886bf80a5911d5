"""Stores that are wrong in what they answer: records, bytes, the journal. See stores.py."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from abonent.ports import Entry, Put, Record, Unit
from abonent.stores import MemoryStorage
from tests.faults.stores_changes import a_moment

# --- reading ----------------------------------------------------------------------------


class ReadsStale(MemoryStorage):
    """A record that was read once is answered from memory ever after."""

    named_by = "test_handles_share_what_is_committed"

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        cache = self.__dict__.setdefault("cache", {})
        found = super().load(space, keys)
        for key, record in zip(keys, found, strict=True):
            cache.setdefault((space, key), record)
        return [cache[space, key] for key in keys]


class AnswersInItsOwnOrder(MemoryStorage):
    """Records come in the order of their keys, each once, as a database returns them."""

    named_by = "test_records_come_in_the_order_asked"

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        return super().load(space, sorted(set(keys)))


class ReadsBitByBit(MemoryStorage):
    """Many keys are looked up some hundreds at a time, and others commit between."""

    named_by = "test_reading_many_is_of_one_instant"

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        found: list[Record | None] = []
        for start in range(0, len(keys), 500):
            found += super().load(space, keys[start : start + 500])
            a_moment()
        return found


class LeavesOutWhatIsMissing(MemoryStorage):
    """Where there is no record there is no answer."""

    named_by = "test_nothing_is_there_at_first"

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        return [record for record in super().load(space, keys) if record]


class ForgetsTheLastChunk(MemoryStorage):
    """Of many keys only the first thousand are looked up."""

    named_by = "test_a_question_may_be_large"

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        return super().load(space, keys[:1_000]) + [None] * len(keys[1_000:])


class ReturnsViews(MemoryStorage):
    """Bodies are views of a buffer, as drivers return them."""

    named_by = "test_what_was_bytes_comes_back_as_bytes"

    def load(self, space: str, keys: Sequence[bytes]) -> list[Any]:
        found = super().load(space, keys)
        return [Record(r.version, memoryview(r.body)) if r else None for r in found]


class MixesSpaces(MemoryStorage):
    """Messengers share one space."""

    named_by = "test_spaces_are_kept_apart"

    def _open(self, space: str) -> Any:
        return super()._open("")


class IgnoresPunctuation(MemoryStorage):
    """A space is a table, and its name what SQL allows."""

    named_by = "test_spaces_that_look_alike_are_different"

    def _open(self, space: str) -> Any:
        return super()._open(space.replace("-", "_").replace(".", "_"))


class ComparesText(MemoryStorage):
    """Keys are sorted as words, capital letters beside small ones."""

    named_by = "test_keys_are_ordered_as_bytes"

    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        found = super().scan(space, after, 100_000)
        return sorted(found, key=lambda pair: pair[0].lower())[:limit]


class ScansFromTheKeyOn(MemoryStorage):
    """A page begins with the record at which the last one ended."""

    named_by = "test_a_scan_gives_every_record_once"

    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        (found,) = self.load(space, [after])
        first = [(after, found)] if after and found else []
        return (first + super().scan(space, after, limit))[:limit]


class NumbersFromZero(MemoryStorage):
    """A new record has version 0."""

    named_by = "test_what_was_put_is_read"

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        return [r and Record(r.version - 1, r.body) for r in super().load(space, keys)]


class NumbersOnlyTheFirst(MemoryStorage):
    """A version says that there is a record, not how often it was changed."""

    named_by = "test_versions_grow_by_one"

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        return [r and Record(1, r.body) for r in super().load(space, keys)]


class NeedsAKey(MemoryStorage):
    """Nothing can be asked for no key at all, as in an empty IN ()."""

    named_by = "test_nothing_asked_nothing_answered"

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        return super().load(space, [keys[0], *keys[1:]])


class ScansStale(MemoryStorage):
    """A scan is answered from memory once it was made."""

    named_by = "test_everything_is_read_as_soon_as_it_is_committed"

    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        cache = self.__dict__.setdefault("cache", {})
        asked = (space, after, limit)
        return list(cache.setdefault(asked, super().scan(space, after, limit)))


class AlwaysFindsOne(MemoryStorage):
    """A limit of nothing is taken for a limit of one."""

    named_by = "test_a_page_of_nothing_is_empty"

    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        return super().scan(space, after, limit or 1)


# --- bytes ------------------------------------------------------------------------------


class CutsAtNul(MemoryStorage):
    """Bodies end at the first NUL, as C strings do."""

    named_by = "test_any_bytes_are_a_body[NUL within]"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        def cut(put: Put) -> Put:
            return replace(put, body=put.body and put.body.split(b"\x00")[0])

        return super().commit([replace(u, puts=tuple(map(cut, u.puts))) for u in units])


class TakesEmptyForNothing(MemoryStorage):
    """An empty body counts as none, and deletes the record."""

    named_by = "test_any_bytes_are_a_body[empty]"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        def emptied(put: Put) -> Put:
            return replace(put, body=put.body or None)

        return super().commit([replace(u, puts=tuple(map(emptied, u.puts))) for u in units])


class TakesTextForKeys(MemoryStorage):
    """Keys are kept as text, and what is not UTF-8 is not told apart."""

    named_by = "test_any_bytes_are_a_key[not UTF-8]"

    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        found = super().scan(space, after, limit)
        return [(key.decode(errors="replace").encode(), record) for key, record in found]


class CutsLongBodies(MemoryStorage):
    """A column has room for 64 KiB."""

    named_by = "test_a_body_may_be_a_mebibyte"

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        found = super().load(space, keys)
        return [record and Record(record.version, record.body[:65_535]) for record in found]


class HandsOutItsOwnList(MemoryStorage):
    """The whole journal is returned as the list that it is kept in."""

    named_by = "test_what_is_returned_is_the_callers[journal]"

    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        kept = self._open(space).journal
        return super().journal(space, after, limit) if after or limit < len(kept) else kept


class TrimsOwners(MemoryStorage):
    """Owners are padded text, and spaces at the end are lost."""

    named_by = "test_any_bytes_are_an_alias_and_an_owner[space at the end]"

    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        found = super().find(space, aliases)
        return [tuple(owner.rstrip(b" ") for owner in owners) for owners in found]


class CutsEntries(MemoryStorage):
    """The body of an entry ends at the first NUL."""

    named_by = "test_any_bytes_are_an_entry[NUL within]"

    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        page = super().journal(space, after, limit)
        return [replace(entry, body=entry.body.split(b"\x00")[0]) for entry in page]


# --- the journal ------------------------------------------------------------------------


class SkipsAnEntry(MemoryStorage):
    """Reading on leaves out the entry right after the cursor."""

    named_by = "test_the_journal_is_read_page_by_page"

    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        return super().journal(space, after + 1 if after else 0, limit)


class CountsEachPage(MemoryStorage):
    """Cursors begin anew with each page, and so go back."""

    named_by = "test_the_journal_is_read_page_by_page"

    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        page = super().journal(space, after, limit)
        return [replace(entry, cursor=i) for i, entry in enumerate(page, 1)]


class ReadsTheNewestFirst(MemoryStorage):
    """The journal comes in reverse."""

    named_by = "test_the_journal_is_in_order"

    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        return super().journal(space, after, limit)[::-1]


class CountsBeforeItCommits(MemoryStorage):
    """A batch draws its cursors first and commits later, so that a reader is past them."""

    named_by = "test_the_journal_never_skips"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        drawn = {u.space: len(self._open(u.space).journal) for u in units}
        a_moment()
        with self._lock:
            applied: list[bool] = []
            for unit in units:
                journal = self._open(unit.space).journal
                last = len(journal)
                applied.append(self._apply(self._open(unit.space), unit))
                new = journal[last:]
                del journal[last:]
                at = drawn[unit.space]
                journal[at:at] = new
                journal[:] = [replace(entry, cursor=i) for i, entry in enumerate(journal, 1)]
                drawn[unit.space] += len(new)
            return applied


class ForgetsWithTheRecord(MemoryStorage):
    """Deleting a record deletes its entries."""

    named_by = "test_the_journal_outlives_the_record"

    def _apply(self, held: Any, unit: Unit) -> bool:
        gone = {put.key for put in unit.puts if put.body is None}
        applied = super()._apply(held, unit)
        if applied:
            held.journal[:] = [entry for entry in held.journal if entry.subject not in gone]
        return applied


class DropsDoubles(MemoryStorage):
    """An entry that is there already is not appended again."""

    named_by = "test_the_same_entry_twice_is_two"

    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        page = super().journal(space, after, limit)
        return list({(e.subject, e.number, e.body): e for e in page}.values())

"""What every `Storage` must do, one behaviour a test.

Knows the port. Refuses to know where and how anything is kept.

Inherit from `StorageContract` and give it a fixture `open_storage`: a function that returns a new
handle to one and the same store, which is empty before the first. A store that is not shared
returns the same handle each time, or a new one after that was closed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final

import pytest

from abonent.errors import IdentifierClosed
from abonent.ports import Append, Entry, Put, Record, Storage, Unit
from abonent.testing.contracts.contract import needs
from abonent.testing.contracts.storage_bytes import BytesContract
from abonent.testing.contracts.storage_changes import ChangesContract
from abonent.testing.contracts.storage_parts import (
    ALICE,
    BORIS,
    CLARA,
    EVER,
    READS,
    SECOND,
    A,
    OpenStorage,
    at_once,
    disown,
    entry,
    everything,
    of_all_kinds,
    own,
    put,
)

CALLS: Final[Mapping[str, Callable[[Storage], object]]] = {
    **READS,
    "commit": lambda storage: storage.commit([put(ALICE, 0)]),
    "due": lambda storage: storage.due(A, 0, 1, SECOND),
}


class StorageContract(ChangesContract, BytesContract, shared_tests=True):
    """Everything the library relies on: the above, and deadlines, journal, scans, the whole."""

    # --- deadlines ---------------------------------------------------------------------------

    def test_a_deadline_is_due_from_its_instant_on(self, storage: Storage) -> None:
        """A record is reported at its deadline, not a microsecond earlier."""
        storage.commit([put(ALICE, 0, wake=SECOND)])
        assert storage.due(A, SECOND - 1, 10, SECOND) == []
        assert storage.due(A, SECOND, 10, SECOND) == [ALICE]

    def test_the_earliest_comes_first(self, storage: Storage) -> None:
        """What is due comes in the order of its deadlines, and no more than asked for."""
        storage.commit([put(ALICE, 0, wake=3), put(BORIS, 0, wake=2), put(CLARA, 0, wake=1)])
        assert storage.due(A, 5, 2, SECOND) == [CLARA, BORIS]
        assert storage.due(A, 5, 2, SECOND) == [ALICE]

    def test_what_is_claimed_is_not_reported_again(self, storage: Storage) -> None:
        """While its lease runs, a claimed record is not due, to the microsecond."""
        storage.commit([put(ALICE, 0, wake=5)])
        assert storage.due(A, 10, 10, 100) == [ALICE]
        assert storage.due(A, 10, 10, 100) == []
        assert storage.due(A, 109, 10, 100) == []

    def test_a_lease_expires(self, storage: Storage) -> None:
        """A claimed record that was not put is due again when its lease is over."""
        storage.commit([put(ALICE, 0, wake=5)])
        storage.due(A, 10, 10, 100)
        assert storage.due(A, 110, 10, 100) == [ALICE]
        assert storage.due(A, 209, 10, 100) == []
        assert storage.due(A, 210, 10, 100) == [ALICE]

    def test_what_was_not_taken_is_not_leased(self, storage: Storage) -> None:
        """A claim leases what it returns, and leaves the rest to the next."""
        storage.commit([put(ALICE, 0, wake=1), put(BORIS, 0, wake=2)])
        assert storage.due(A, 5, 1, SECOND) == [ALICE]
        assert storage.due(A, 5, 1, SECOND) == [BORIS]

    def test_a_lease_binds_every_handle(
        self, open_storage: OpenStorage, handles: list[Storage], storage: Storage
    ) -> None:
        """What one worker claimed, no other is given."""
        storage.commit([put(ALICE, 0, wake=5)])
        assert storage.due(A, 10, 10, 100) == [ALICE]
        assert [handle.due(A, 50, 10, 100) for handle in handles] == [[]] * 8

    def test_a_claim_changes_no_version(self, storage: Storage) -> None:
        """Claiming is not a change of the record."""
        storage.commit([put(ALICE, 0, wake=5)])
        storage.due(A, 10, 10, 100)
        assert storage.load(A, [ALICE]) == [Record(1, b"body")]
        assert storage.commit([put(ALICE, 1)]) == [True]

    def test_a_put_ends_the_lease(self, storage: Storage) -> None:
        """Whoever puts a claimed record sets its deadline anew, and no other's."""
        storage.commit([put(ALICE, 0, wake=4), put(BORIS, 0, wake=5)])
        assert storage.due(A, 10, 10, 1_000) == [ALICE, BORIS]
        storage.commit([put(ALICE, 1, wake=20)])
        assert storage.due(A, 19, 10, 1_000) == []
        assert storage.due(A, 20, 10, 1_000) == [ALICE]

    def test_a_put_may_clear_the_deadline(self, storage: Storage) -> None:
        """A record without a deadline is never due, whether its lease ran or not."""
        storage.commit([put(ALICE, 0, wake=5), put(BORIS, 0, wake=5)])
        storage.due(A, 10, 1, 100)
        assert storage.commit([put(ALICE, 1), put(BORIS, 1)]) == [True, True]
        assert storage.due(A, EVER, 10, 100) == []

    def test_a_deleted_record_is_not_due(self, storage: Storage) -> None:
        """A deadline goes with its record, also where the put names one."""
        storage.commit([put(ALICE, 0, wake=5)])
        storage.commit([put(ALICE, 1, None, wake=5)])
        assert storage.due(A, EVER, 10, SECOND) == []

    def test_a_failed_put_keeps_lease_and_deadline(self, storage: Storage) -> None:
        """A conflict changes no deadline."""
        storage.commit([put(ALICE, 0, wake=5)])
        assert storage.commit([put(ALICE, 7, wake=1)]) == [False]
        assert storage.due(A, 4, 10, SECOND) == []
        assert storage.due(A, 5, 10, SECOND) == [ALICE]

    def test_deadlines_may_lie_before_1970(self, storage: Storage) -> None:
        """A deadline is any count of microseconds; zero and negative ones are instants too."""
        storage.commit([put(ALICE, 0, wake=0), put(BORIS, 0, wake=-5)])
        assert storage.due(A, 0, 10, SECOND) == [BORIS, ALICE]

    def test_nothing_is_claimed_without_a_limit(self, storage: Storage) -> None:
        """A limit of nothing claims nothing."""
        storage.commit([put(ALICE, 0, wake=5)])
        assert storage.due(A, 9, 0, SECOND) == []
        assert storage.due(A, 9, 1, SECOND) == [ALICE]

    def test_workers_share_what_is_due(self, handles: list[Storage], storage: Storage) -> None:
        """Workers that sweep at once get each record exactly once among them."""
        keys = [b"%03d" % i for i in range(120)]
        storage.commit([put(key, 0, wake=5) for key in keys])

        def sweep(handle: Storage) -> list[bytes]:
            claims = (handle.due(A, 10, 7, SECOND) for _ in range(20))
            return [key for claimed in claims for key in claimed]

        assert sorted(key for mine in at_once(sweep, handles) for key in mine) == keys

    # --- the journal -------------------------------------------------------------------------

    def test_the_journal_is_in_order(self, storage: Storage) -> None:
        """Entries come in the order of units, and of appends within one."""
        pair = Unit(A, appends=(Append(ALICE, 2, b"b"), Append(BORIS, 3, b"c")))
        storage.commit([entry(9, body=b"a"), pair])
        storage.commit([entry(1, body=b"d")])
        assert [(e.subject, e.number, e.body) for e in everything(storage)] == [
            (ALICE, 9, b"a"),
            (ALICE, 2, b"b"),
            (BORIS, 3, b"c"),
            (ALICE, 1, b"d"),
        ]

    def test_cursors_grow(self, storage: Storage) -> None:
        """Each entry's cursor is greater than all before it, the first one's than 0."""
        storage.commit([entry(1), entry(2)])
        storage.commit([entry(3)])
        cursors = [0, *(e.cursor for e in everything(storage))]
        assert len(set(cursors)) == 4
        assert sorted(cursors) == cursors

    def test_entries_stay_as_they_were(self, storage: Storage) -> None:
        """What is appended later changes neither earlier entries nor their cursors."""
        storage.commit([entry(1), entry(2)])
        before = everything(storage)
        storage.commit([entry(3)])
        assert everything(storage)[:2] == before

    def test_the_journal_is_read_page_by_page(self, storage: Storage) -> None:
        """Reading on from the last cursor gives every entry once; at the end comes nothing."""
        storage.commit([entry(i) for i in range(10)])
        seen: list[Entry] = []
        for _ in range(4):
            page = storage.journal(A, seen[-1].cursor if seen else 0, 3)
            assert len(page) <= 3
            seen += page
        assert [e.number for e in seen] == list(range(10))
        assert storage.journal(A, seen[-1].cursor, 3) == []
        assert storage.journal(A, seen[-1].cursor + 1_000, 3) == []

    def test_a_page_of_nothing_is_empty(self, storage: Storage) -> None:
        """A limit of nothing reads nothing, from the journal as from a scan."""
        storage.commit([entry(1), put(ALICE, 0)])
        assert storage.journal(A, 0, 0) == []
        assert storage.scan(A, b"", 0) == []

    def test_the_same_entry_twice_is_two(self, storage: Storage) -> None:
        """The journal judges nothing: what is appended is there."""
        storage.commit([entry(1), entry(1)])
        assert len(everything(storage)) == 2

    def test_the_journal_outlives_the_record(self, storage: Storage) -> None:
        """Deleting a record leaves its entries."""
        storage.commit([put(ALICE, 0), entry(1)])
        storage.commit([put(ALICE, 1, None)])
        assert len(everything(storage)) == 1

    def test_the_journal_never_skips(self, handles: list[Storage], storage: Storage) -> None:
        """A reader that follows overlapping writers sees every entry, each once, in order."""
        batches = 12
        seen: list[Entry] = []
        written = threading.Event()

        def follow() -> None:
            while True:
                last = written.is_set()
                page = storage.journal(A, seen[-1].cursor if seen else 0, 7)
                seen.extend(page)
                # A journal that goes back never ends: it is to fail, not to be read for ever.
                if last and (not page or len(seen) > 10_000):
                    return

        def write(job: tuple[int, Storage]) -> list[bool]:
            # Long batches beside short ones: a short one that began later may end earlier.
            subject, size = b"%d" % job[0], 20 if job[0] % 2 else 1
            units = [entry(i, subject=subject) for i in range(batches * size)]
            ends = range(0, len(units), size)
            return [ok for at in ends for ok in job[1].commit(units[at : at + size])]

        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(follow)
            try:
                applied = at_once(write, list(enumerate(handles)))
            finally:
                written.set()
            following.result(60)
        assert all(all(mine) for mine in applied)
        assert seen == everything(storage)
        for writer, mine in enumerate(applied):
            numbers = [e.number for e in seen if e.subject == b"%d" % writer]
            assert numbers == list(range(len(mine)))

    # --- scans -------------------------------------------------------------------------------

    def test_a_scan_gives_every_record_once(self, storage: Storage) -> None:
        """Reading on from the last key gives all records of the space in the order of keys."""
        keys = [b"%02d" % i for i in range(10)]
        storage.commit([put(key, 0, key) for key in reversed(keys)])
        seen: list[tuple[bytes, Record]] = []
        for _ in range(4):
            page = storage.scan(A, seen[-1][0] if seen else b"", 3)
            assert len(page) <= 3
            seen += page
        assert seen == [(key, Record(1, key)) for key in keys]
        assert storage.scan(A, keys[-1], 3) == []

    def test_keys_are_ordered_as_bytes(self, storage: Storage) -> None:
        """A scan compares keys byte by byte, without regard to any language."""
        keys = [b"\x00", b"A", b"Z", b"a", b"a\x00", b"\xc3\xa9", b"\xff"]
        storage.commit([put(key, 0) for key in reversed(keys)])
        assert [key for key, _ in storage.scan(A, b"", 10)] == keys
        assert [key for key, _ in storage.scan(A, b"a", 2)] == [b"a\x00", b"\xc3\xa9"]

    # --- the whole ---------------------------------------------------------------------------

    def test_reading_never_sees_half_a_unit(self, handles: list[Storage], storage: Storage) -> None:
        """A reader sees all changes of a unit or none, never one without the other."""
        storage.commit([put(ALICE, 0, b"0"), put(BORIS, 0, b"0")])
        written = threading.Event()

        def write() -> list[bool]:
            try:
                changes = [
                    Unit(A, puts=(Put(ALICE, i, b"%d" % i), Put(BORIS, i, b"%d" % i)))
                    for i in range(1, 40)
                ]
                return [handles[0].commit([unit])[0] for unit in changes]
            finally:
                written.set()

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not written.is_set():
                alice, boris = storage.load(A, [ALICE, BORIS])
                assert alice == boris
            assert all(writing.result(60))

    def test_reading_many_is_of_one_instant(self, handles: list[Storage], storage: Storage) -> None:
        """A record that a unit moves from one key to another is found by who asks for both.

        Also among so many that a store may read them bit by bit: keys turn while others read.
        """
        between = [b"%06d" % each for each in range(1_200)]
        here, there = b"%06d" % -1, b"%06d" % 1_200
        storage.commit([Unit(A, (Put(here, 0, b"0"),), (own(b"n", here),))])
        enough = threading.Event()

        def move() -> list[bool]:
            moved: list[bool] = []
            while not enough.is_set():
                for old, new in ((here, there), (there, here)):
                    puts = (Put(old, 1, None), Put(new, 0, b"0"))
                    owners = (disown(b"n", old), own(b"n", new, sole=True))
                    moved += handles[0].commit([Unit(A, puts, owners)])
            return moved

        with ThreadPoolExecutor(1) as pool:
            moving = pool.submit(move)
            try:
                for _ in range(60):
                    first, *_, last = storage.load(A, [here, *between, there])
                    assert (first is None) != (last is None)
                    assert len(storage.find(A, [b"n"])[0]) == 1
            finally:
                enough.set()
            assert all(moving.result(60))

    @needs("durable")
    def test_reopening_keeps_records_and_aliases(
        self, open_storage: OpenStorage, storage: Storage
    ) -> None:
        """Whoever opens a durable store next finds the records and the aliases."""
        storage.commit([of_all_kinds(ALICE)])
        storage.close()
        with closing(open_storage()) as again:
            assert again.load(A, [ALICE]) == [Record(1, b"body")]
            assert again.scan(A, b"", 10) == [(ALICE, Record(1, b"body"))]
            assert again.find(A, [b"alias"]) == [(ALICE,)]
            assert again.commit([put(ALICE, 0), put(ALICE, 1)]) == [False, True]

    @needs("durable")
    def test_reopening_keeps_deadlines_and_leases(
        self, open_storage: OpenStorage, storage: Storage
    ) -> None:
        """Whoever opens a durable store next is given what is due, and not what is leased."""
        storage.commit([put(ALICE, 0, wake=4), put(BORIS, 0, wake=5)])
        assert storage.due(A, 10, 1, 100) == [ALICE]
        storage.close()
        with closing(open_storage()) as again:
            assert again.due(A, 10, 10, 200) == [BORIS]
            assert again.due(A, 110, 10, 100) == [ALICE]

    @needs("durable")
    def test_reopening_keeps_the_journal(self, open_storage: OpenStorage, storage: Storage) -> None:
        """Whoever opens a durable store next reads the same entries, and adds beyond them."""
        storage.commit([entry(1), entry(2)])
        before = everything(storage)
        storage.close()
        with closing(open_storage()) as again:
            assert everything(again) == before
            assert again.commit([entry(3)]) == [True]
            *kept, added = everything(again)
            assert kept == before
            assert added.cursor > before[-1].cursor

    def test_handles_share_what_is_committed(
        self, handles: list[Storage], storage: Storage
    ) -> None:
        """What one handle committed, another reads, in spaces that are new to it too."""
        other = handles[0]
        assert other.load(A, [ALICE]) == [None]
        storage.commit([of_all_kinds(ALICE)])
        assert other.load(A, [ALICE]) == [Record(1, b"body")]
        assert other.find(A, [b"alias"]) == [(ALICE,)]
        assert everything(other) == everything(storage)
        assert other.commit([put(ALICE, 1)]) == [True]
        assert storage.load(A, [ALICE]) == [Record(2, b"body")]

    @needs("shared")
    def test_closing_a_handle_closes_no_other(
        self, handles: list[Storage], storage: Storage
    ) -> None:
        """The other handles of a shared store go on reading and writing."""
        handles[0].close()
        assert storage.commit([put(ALICE, 0)]) == [True]
        assert handles[1].load(A, [ALICE]) == [Record(1, b"body")]

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_a_closed_store_refuses(
        self, storage: Storage, call: Callable[[Storage], object]
    ) -> None:
        """After `close` every method raises `IdentifierClosed`."""
        storage.commit([put(ALICE, 0)])
        storage.close()
        with pytest.raises(IdentifierClosed):
            call(storage)

    def test_closing_twice_is_closing_once(self, storage: Storage) -> None:
        """A second `close` does nothing and raises nothing."""
        storage.close()
        storage.close()

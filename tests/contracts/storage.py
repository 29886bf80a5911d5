"""What every `Storage` must do, one behaviour a test.

Inherit from `StorageContract` and give it a fixture `open_storage`: a function that returns a new
handle to one and the same store, which is empty before the first. A store that is not shared
returns the same handle each time.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from abonent.errors import IdentifierClosed
from abonent.ports import Append, Entry, Put, Record, Storage, Unit
from tests.contracts.storage_changes import ChangesContract
from tests.contracts.storage_parts import (
    ALICE,
    BORIS,
    CLARA,
    SECOND,
    A,
    close_all,
    entry,
    everything,
    own,
    put,
)


class StorageContract(ChangesContract):
    """Everything the library relies on: the above, and deadlines, journal, scans, the whole."""

    # --- deadlines ---------------------------------------------------------------------------

    def test_a_deadline_is_due_from_its_instant_on(self, storage):
        """A record is reported at its deadline, not a microsecond earlier."""
        storage.commit([put(ALICE, 0, wake=SECOND)])
        assert storage.due(A, SECOND - 1, 10, SECOND) == []
        assert storage.due(A, SECOND, 10, SECOND) == [ALICE]

    def test_the_earliest_comes_first(self, storage):
        """What is due comes in the order of its deadlines, and no more than asked for."""
        storage.commit([put(ALICE, 0, wake=3), put(BORIS, 0, wake=1), put(CLARA, 0, wake=2)])
        assert storage.due(A, 5, 2, SECOND) == [BORIS, CLARA]
        assert storage.due(A, 5, 2, SECOND) == [ALICE]

    def test_what_is_claimed_is_claimed_once(self, storage):
        """A claimed record is not reported again while its lease runs; then it is."""
        storage.commit([put(ALICE, 0, wake=5)])
        assert storage.due(A, 10, 10, 100) == [ALICE]
        assert storage.due(A, 109, 10, 100) == []
        assert storage.due(A, 110, 10, 100) == [ALICE]

    def test_a_claim_changes_no_version(self, storage):
        """Claiming is not a change of the record."""
        storage.commit([put(ALICE, 0, wake=5)])
        storage.due(A, 10, 10, 100)
        assert storage.load(A, [ALICE]) == [Record(1, b"body")]
        assert storage.commit([put(ALICE, 1)]) == [True]

    def test_a_put_ends_the_lease(self, storage):
        """Whoever puts a claimed record sets its deadline anew."""
        storage.commit([put(ALICE, 0, wake=5), put(BORIS, 0, wake=5)])
        assert storage.due(A, 10, 10, 1_000) == [ALICE, BORIS]
        storage.commit([put(ALICE, 1, wake=20)])
        assert storage.due(A, 20, 10, 1_000) == [ALICE]

    def test_a_put_may_clear_the_deadline(self, storage):
        """A record without a deadline is never due, whether its lease ran or not."""
        storage.commit([put(ALICE, 0, wake=5), put(BORIS, 0, wake=5)])
        storage.due(A, 10, 1, 100)
        assert storage.commit([put(ALICE, 1), put(BORIS, 1)]) == [True, True]
        assert storage.due(A, 1 << 60, 10, 100) == []

    def test_a_deleted_record_is_not_due(self, storage):
        """A deadline goes with its record, also where the put names one."""
        storage.commit([put(ALICE, 0, wake=5)])
        storage.commit([put(ALICE, 1, None, wake=5)])
        assert storage.due(A, 1 << 60, 10, SECOND) == []

    def test_a_failed_put_keeps_lease_and_deadline(self, storage):
        """A conflict changes no deadline."""
        storage.commit([put(ALICE, 0, wake=5)])
        assert storage.commit([put(ALICE, 7, wake=1)]) == [False]
        assert storage.due(A, 4, 10, SECOND) == []
        assert storage.due(A, 5, 10, SECOND) == [ALICE]

    def test_deadlines_may_lie_before_1970(self, storage):
        """A deadline is any count of microseconds; zero and negative ones are instants too."""
        storage.commit([put(ALICE, 0, wake=0), put(BORIS, 0, wake=-5)])
        assert storage.due(A, 0, 10, SECOND) == [BORIS, ALICE]

    def test_nothing_is_claimed_without_a_limit(self, storage):
        """A limit of nothing claims nothing."""
        storage.commit([put(ALICE, 0, wake=5)])
        assert storage.due(A, 9, 0, SECOND) == []
        assert storage.due(A, 9, 1, SECOND) == [ALICE]

    def test_workers_share_what_is_due(self, open_storage, storage):
        """Workers that sweep at once get each record exactly once among them."""
        keys = [b"%03d" % i for i in range(120)]
        storage.commit([put(key, 0, wake=5) for key in keys])
        handles = [open_storage() for _ in range(6)]

        def sweep(handle: Storage) -> list[bytes]:
            mine: list[bytes] = []
            while claimed := handle.due(A, 10, 7, SECOND):
                mine += claimed
            return mine

        with ThreadPoolExecutor(len(handles)) as pool:
            claimed = [key for mine in pool.map(sweep, handles) for key in mine]
        assert sorted(claimed) == keys
        close_all(handles)

    # --- the journal -------------------------------------------------------------------------

    def test_the_journal_is_in_order(self, storage):
        """Entries come in the order of units, and of appends within one; cursors grow."""
        pair = Unit(A, appends=(Append(ALICE, 2, b"b"), Append(ALICE, 3, b"c")))
        storage.commit([entry(1, body=b"a"), pair])
        storage.commit([entry(4, body=b"d")])
        entries = everything(storage)
        assert [(e.number, e.body) for e in entries] == [(1, b"a"), (2, b"b"), (3, b"c"), (4, b"d")]
        assert sorted({e.cursor for e in entries}) == [e.cursor for e in entries]
        assert entries[0].cursor > 0

    def test_the_journal_is_read_page_by_page(self, storage):
        """Reading on from the last cursor gives every entry once; at the end comes nothing."""
        storage.commit([entry(i) for i in range(10)])
        seen: list[int] = []
        cursor = 0
        while page := storage.journal(A, cursor, 3):
            assert len(page) <= 3
            seen += [e.number for e in page]
            cursor = page[-1].cursor
        assert seen == list(range(10))
        assert storage.journal(A, cursor + 1_000, 3) == []

    def test_a_page_of_nothing_is_empty(self, storage):
        """A limit of nothing reads nothing, from the journal as from a scan."""
        storage.commit([entry(1), put(ALICE, 0)])
        assert storage.journal(A, 0, 0) == []
        assert storage.scan(A, b"", 0) == []

    def test_the_same_entry_twice_is_two(self, storage):
        """The journal judges nothing: what is appended is there."""
        storage.commit([entry(1), entry(1)])
        assert len(everything(storage)) == 2

    def test_the_journal_outlives_the_record(self, storage):
        """Deleting a record leaves its entries."""
        storage.commit([put(ALICE, 0), entry(1)])
        storage.commit([put(ALICE, 1, None)])
        assert len(everything(storage)) == 1

    def test_the_journal_never_skips(self, open_storage, storage):
        """A reader that follows overlapping writers sees every entry, each once, in order."""
        writers, each = 6, 25
        handles = [open_storage() for _ in range(writers)]
        seen: list[Entry] = []
        done = threading.Event()

        def follow() -> None:
            while True:
                last = done.is_set()
                page = storage.journal(A, seen[-1].cursor if seen else 0, 7)
                seen.extend(page)
                if last and not page:
                    return

        def write(job: tuple[int, Storage]) -> None:
            for i in range(each):
                assert job[1].commit([entry(i, subject=b"%d" % job[0])]) == [True]

        with ThreadPoolExecutor(writers + 1) as pool:
            following = pool.submit(follow)
            try:
                list(pool.map(write, enumerate(handles)))
            finally:
                done.set()
            following.result(30)
        assert seen == everything(storage)
        for writer in range(writers):
            mine = [e.number for e in seen if e.subject == b"%d" % writer]
            assert mine == list(range(each))
        close_all(handles)

    # --- scans -------------------------------------------------------------------------------

    def test_a_scan_gives_every_record_once(self, storage):
        """Reading on from the last key gives all records of the space in the order of keys."""
        keys = [b"%02d" % i for i in range(10)]
        storage.commit([put(key, 0, key) for key in reversed(keys)])
        seen: list[tuple[bytes, Record]] = []
        while page := storage.scan(A, seen[-1][0] if seen else b"", 3):
            assert len(page) <= 3
            seen += page
        assert seen == [(key, Record(1, key)) for key in keys]

    def test_keys_are_ordered_as_bytes(self, storage):
        """A scan compares keys byte by byte, without regard to any language."""
        keys = [b"\x00", b"A", b"Z", b"a", b"a\x00", b"\xc3\xa9", b"\xff"]
        storage.commit([put(key, 0) for key in reversed(keys)])
        assert [key for key, _ in storage.scan(A, b"", 10)] == keys
        assert [key for key, _ in storage.scan(A, b"a", 2)] == [b"a\x00", b"\xc3\xa9"]

    # --- the whole ---------------------------------------------------------------------------

    def test_reading_never_sees_half_a_batch(self, open_storage, storage):
        """A reader sees all changes of a unit or none, never one without the other."""
        storage.commit([put(ALICE, 0, b"0"), put(BORIS, 0, b"0")])
        writer = open_storage()
        done = threading.Event()

        def write() -> None:
            try:
                for i in range(1, 60):
                    both = (Put(ALICE, i, b"%d" % i), Put(BORIS, i, b"%d" % i))
                    assert writer.commit([Unit(A, puts=both)]) == [True]
            finally:
                done.set()

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not done.is_set():
                alice, boris = storage.load(A, [ALICE, BORIS])
                assert alice == boris
            writing.result(30)
        close_all([writer])

    def test_reopening_keeps_everything(self, open_storage, storage):
        """What a durable store acknowledged is there for whoever opens it next."""
        if not storage.features.durable:
            pytest.skip("the store says that it is not durable")
        unit = Unit(A, (Put(ALICE, 0, b"a", 5),), (own(b"n", ALICE),), (Append(ALICE, 1, b"e"),))
        storage.commit([unit])
        journal = everything(storage)
        storage.close()
        again = open_storage()
        try:
            assert again.load(A, [ALICE]) == [Record(1, b"a")]
            assert again.find(A, [b"n"]) == [(ALICE,)]
            assert everything(again) == journal
            assert again.due(A, 5, 10, SECOND) == [ALICE]
            again.commit([entry(2)])
            assert everything(again)[0] == journal[0]
            assert everything(again)[1].cursor > journal[0].cursor
        finally:
            again.close()

    def test_handles_share_what_is_committed(self, open_storage, storage):
        """What one handle committed, another reads, in spaces that are new to it too."""
        other = open_storage()
        assert other.load(A, [ALICE]) == [None]
        storage.commit([put(ALICE, 0)])
        assert other.load(A, [ALICE]) == [Record(1, b"body")]
        assert other.commit([put(ALICE, 1)]) == [True]
        assert storage.load(A, [ALICE]) == [Record(2, b"body")]
        close_all([other])

    def test_a_closed_store_refuses(self, storage):
        """After `close`, which may be called twice, every method says so."""
        storage.close()
        storage.close()
        for call in (
            lambda: storage.load(A, [ALICE]),
            lambda: storage.commit([put(ALICE, 0)]),
            lambda: storage.find(A, [b"n"]),
            lambda: storage.due(A, 0, 1, SECOND),
            lambda: storage.journal(A, 0, 1),
            lambda: storage.scan(A, b"", 1),
        ):
            with pytest.raises(IdentifierClosed):
                call()

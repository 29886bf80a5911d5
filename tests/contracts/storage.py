"""What every `Storage` must do, one behaviour a test.

Inherit from `StorageContract` and give it a fixture `open_storage`: a function that returns a new
handle to one and the same store, which is empty before the first. A store that is not shared
returns the same handle each time.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from abonent.errors import IdentifierClosed
from abonent.ports import AliasChange, Append, Entry, Put, Record, Storage, Unit

SECOND = 1_000_000
A, B = "messenger-a", "messenger-b"
ALICE, BORIS, CLARA = b"alice", b"boris", b"clara"

OpenStorage = Callable[[], Storage]


def put(key: bytes, expected: int, body: bytes | None = b"body", wake: int | None = None) -> Unit:
    return Unit(A, puts=(Put(key, expected, body, wake),))


def own(alias: bytes, owner: bytes, *, sole: bool = False) -> AliasChange:
    return AliasChange(alias, owner, present=True, sole=sole)


def disown(alias: bytes, owner: bytes, *, sole: bool = False) -> AliasChange:
    return AliasChange(alias, owner, present=False, sole=sole)


def aliases(*changes: AliasChange) -> Unit:
    return Unit(A, aliases=changes)


def entry(number: int, *, subject: bytes = ALICE, body: bytes = b"event", space: str = A) -> Unit:
    return Unit(space, appends=(Append(subject, number, body),))


def everything(storage: Storage, space: str = A) -> list[Entry]:
    return storage.journal(space, 0, 100_000)


class StorageContract:
    """The behaviours that the library relies on."""

    @pytest.fixture
    def open_storage(self) -> OpenStorage:
        raise NotImplementedError("give the contract a store")

    @pytest.fixture
    def storage(self, open_storage: OpenStorage) -> Iterator[Storage]:
        storage = open_storage()
        yield storage
        storage.close()

    # --- records -----------------------------------------------------------------------------

    def test_nothing_is_there_at_first(self, storage):
        """A new store answers every question with nothing."""
        assert storage.load(A, [ALICE, BORIS]) == [None, None]
        assert storage.find(A, [b"alias"]) == [()]
        assert storage.due(A, 1 << 60, 10, SECOND) == []
        assert storage.journal(A, 0, 10) == []
        assert storage.scan(A, b"", 10) == []

    def test_nothing_asked_nothing_answered(self, storage):
        """Empty sequences are answered with empty lists."""
        assert storage.load(A, []) == []
        assert storage.commit([]) == []
        assert storage.find(A, []) == []

    def test_what_was_put_is_read(self, storage):
        """A record is read as soon as its commit returned, in its first version."""
        assert storage.commit([put(ALICE, 0, b"one")]) == [True]
        assert storage.load(A, [ALICE]) == [Record(1, b"one")]

    def test_versions_grow_by_one(self, storage):
        """Each change of a record makes its version one more."""
        for version in range(4):
            assert storage.commit([put(ALICE, version)]) == [True]
        assert storage.load(A, [ALICE]) == [Record(4, b"body")]

    def test_records_come_in_the_order_asked(self, storage):
        """`load` answers key by key, also where a key is missing or asked twice."""
        storage.commit([put(ALICE, 0, b"a"), put(CLARA, 0, b"c")])
        a, c = Record(1, b"a"), Record(1, b"c")
        assert storage.load(A, [CLARA, BORIS, ALICE, CLARA]) == [c, None, a, c]

    @pytest.mark.parametrize("expected", [0, 1, 3])
    def test_a_version_that_is_not_expected_conflicts(self, storage, expected):
        """A put that expects another version than the stored one changes nothing (P1)."""
        storage.commit([put(ALICE, 0), put(ALICE, 1, b"stored")])
        assert storage.commit([put(ALICE, expected, b"late")]) == [False]
        assert storage.load(A, [ALICE]) == [Record(2, b"stored")]

    def test_a_record_that_must_exist(self, storage):
        """A put that expects a version conflicts where there is no record."""
        assert storage.commit([put(ALICE, 1)]) == [False]
        assert storage.load(A, [ALICE]) == [None]

    def test_of_two_writers_one_wins(self, open_storage, storage):
        """Writers that read the same version at once do not both succeed (P1)."""
        storage.commit([put(ALICE, 0)])
        handles = [open_storage() for _ in range(8)]
        start = threading.Barrier(len(handles))

        def write(handle: Storage) -> bool:
            start.wait(10)
            return handle.commit([put(ALICE, 1)])[0]

        with ThreadPoolExecutor(len(handles)) as pool:
            won = list(pool.map(write, handles))
        assert sum(won) == 1
        assert storage.load(A, [ALICE]) == [Record(2, b"body")]
        close_all(handles)

    def test_no_change_is_lost(self, open_storage, storage):
        """Eight writers that retry after a conflict make exactly their number of changes (P1)."""
        handles = [open_storage() for _ in range(8)]

        def count(handle: Storage) -> None:
            for _ in range(5):
                while True:
                    (found,) = handle.load(A, [ALICE])
                    if handle.commit([put(ALICE, found.version if found else 0)]) == [True]:
                        break

        with ThreadPoolExecutor(len(handles)) as pool:
            list(pool.map(count, handles))
        assert storage.load(A, [ALICE])[0].version == 40
        close_all(handles)

    def test_a_record_is_deleted(self, storage):
        """A put without a body removes the record; the next one begins at version 1."""
        storage.commit([put(ALICE, 0)])
        assert storage.commit([put(ALICE, 1, None)]) == [True]
        assert storage.load(A, [ALICE]) == [None]
        assert storage.scan(A, b"", 10) == []
        assert storage.commit([put(ALICE, 1), put(ALICE, 0, b"new")]) == [False, True]
        assert storage.load(A, [ALICE]) == [Record(1, b"new")]

    def test_a_delete_may_conflict(self, storage):
        """A record is not deleted in another version than the expected one."""
        storage.commit([put(ALICE, 0), put(ALICE, 1)])
        assert storage.commit([put(ALICE, 1, None)]) == [False]
        assert storage.load(A, [ALICE]) == [Record(2, b"body")]

    def test_that_nothing_is_there_can_be_demanded(self, storage):
        """Deleting at version 0 demands that there is no record, and leaves none."""
        assert storage.commit([put(ALICE, 0, None)]) == [True]
        storage.commit([put(ALICE, 0)])
        assert storage.commit([put(ALICE, 0, None)]) == [False]

    @pytest.mark.parametrize(
        "text", [b"", b"\x00", b"a\x00b", b"'; --", bytes(range(256)), b"\xff" * 65_536]
    )
    def test_bytes_are_only_bytes(self, storage, text):
        """Any bytes, empty ones, NULs and 64 KiB included, come back as they were."""
        unit = Unit(
            A,
            puts=(Put(text, 0, text, 5),),
            aliases=(own(text, text, sole=True),),
            appends=(Append(text, 0, text),),
        )
        assert storage.commit([unit]) == [True]
        assert storage.load(A, [text]) == [Record(1, text)]
        assert storage.find(A, [text]) == [(text,)]
        assert storage.journal(A, 0, 10) == [Entry(everything(storage)[0].cursor, text, 0, text)]
        assert storage.scan(A, b"", 10) == [(text, Record(1, text))]
        assert storage.due(A, 5, 10, SECOND) == [text]

    def test_a_returned_list_is_the_callers(self, storage):
        """Changing what was returned does not change what is stored."""
        unit = Unit(A, (Put(ALICE, 0, b"body"),), (own(b"n", ALICE),), (Append(ALICE, 1, b"e"),))
        storage.commit([unit])
        for answer in (
            lambda: storage.load(A, [ALICE]),
            lambda: storage.find(A, [b"n"]),
            lambda: storage.journal(A, 0, 10),
            lambda: storage.scan(A, b"", 10),
        ):
            before = answer()
            answer().clear()
            assert answer() == before

    # --- units and batches -------------------------------------------------------------------

    def test_a_failed_unit_leaves_nothing(self, storage):
        """If one change of a unit conflicts, none of its changes is made."""
        storage.commit([put(ALICE, 0, b"old", 5)])
        unit = Unit(
            A,
            puts=(Put(BORIS, 0, b"new", 5), Put(ALICE, 0, b"conflict")),
            aliases=(own(b"n", BORIS),),
            appends=(Append(BORIS, 1, b"e"),),
        )
        assert storage.commit([unit]) == [False]
        assert storage.load(A, [ALICE, BORIS]) == [Record(1, b"old"), None]
        assert storage.find(A, [b"n"]) == [()]
        assert everything(storage) == []
        assert storage.due(A, 5, 10, SECOND) == [ALICE]

    def test_a_sole_alias_fails_the_whole_unit(self, storage):
        """If an alias conflicts, neither records nor journal nor other aliases are changed."""
        storage.commit([aliases(own(b"n", ALICE))])
        unit = Unit(
            A,
            puts=(Put(BORIS, 0, b"new"),),
            aliases=(own(b"m", BORIS), own(b"n", BORIS, sole=True)),
            appends=(Append(BORIS, 1, b"e"),),
        )
        assert storage.commit([unit]) == [False]
        assert storage.load(A, [BORIS]) == [None]
        assert storage.find(A, [b"m", b"n"]) == [(), (ALICE,)]
        assert everything(storage) == []

    def test_neighbours_of_a_failed_unit_are_whole(self, storage):
        """A conflict hurts neither the units before nor those after it."""
        batch = [
            Unit(A, (Put(ALICE, 0, b"a"),), (own(b"n", ALICE),), (Append(ALICE, 1, b"e"),)),
            Unit(A, (Put(BORIS, 7, b"b"),), (own(b"n", BORIS),), (Append(BORIS, 1, b"e"),)),
            Unit(A, (Put(CLARA, 0, b"c"),), (own(b"n", CLARA),), (Append(CLARA, 1, b"e"),)),
        ]
        assert storage.commit(batch) == [True, False, True]
        assert storage.load(A, [ALICE, BORIS, CLARA]) == [Record(1, b"a"), None, Record(1, b"c")]
        assert storage.find(A, [b"n"]) == [(ALICE, CLARA)]
        assert [e.subject for e in everything(storage)] == [ALICE, CLARA]

    def test_a_unit_sees_the_earlier_ones(self, storage):
        """Units of one batch are judged one after another, on what the earlier ones left."""
        batch = [
            put(ALICE, 0, b"1"),
            put(ALICE, 0, b"too late"),
            put(ALICE, 1, b"2"),
            put(ALICE, 2, None),
            put(ALICE, 3, b"gone"),
            put(ALICE, 0, b"again"),
        ]
        assert storage.commit(batch) == [True, False, True, True, False, True]
        assert storage.load(A, [ALICE]) == [Record(1, b"again")]

    def test_a_unit_does_not_see_failed_ones(self, storage):
        """What a failed unit would have written is not there for the next."""
        failed = Unit(
            A, puts=(Put(ALICE, 0, b"x"), Put(BORIS, 5, b"x")), aliases=(own(b"n", ALICE),)
        )
        batch = [failed, put(ALICE, 1), put(ALICE, 0), aliases(own(b"n", BORIS, sole=True))]
        assert storage.commit(batch) == [False, False, True, True]

    def test_a_record_may_change_twice_in_a_unit(self, storage):
        """Puts of a unit are applied in order; the last one stands."""
        unit = Unit(A, puts=(Put(ALICE, 0, b"1", 5), Put(ALICE, 1, b"2")))
        assert storage.commit([unit]) == [True]
        assert storage.load(A, [ALICE]) == [Record(2, b"2")]
        assert storage.due(A, 5, 10, SECOND) == []

    def test_a_batch_may_be_large(self, storage):
        """5,000 units of one batch are applied, each judged by itself."""
        storage.commit([put(b"7", 0)])
        batch = [
            Unit(
                A,
                puts=(Put(str(i).encode(), 0, b"b", i),),
                aliases=(own(b"n%d" % i, b"%d" % i, sole=True),),
                appends=(Append(b"s", i, b"e"),),
            )
            for i in range(5_000)
        ]
        applied = storage.commit(batch)
        assert [i for i, ok in enumerate(applied) if not ok] == [7]
        keys = [str(i).encode() for i in range(5_000)]
        assert None not in storage.load(A, keys)
        assert storage.find(A, [b"n%d" % i for i in range(5_000)]).count(()) == 1
        assert [e.number for e in everything(storage)] == [i for i in range(5_000) if i != 7]

    def test_an_empty_unit_is_applied(self, storage):
        """A unit without changes has nothing to conflict with."""
        assert storage.commit([Unit(A)]) == [True]

    def test_spaces_are_kept_apart(self, storage):
        """The same key, alias and deadline in two spaces are two, also in one batch."""
        unit = Unit(
            A, (Put(ALICE, 0, b"a", 5),), (own(b"n", ALICE, sole=True),), (Append(ALICE, 1, b"e"),)
        )
        other = Unit(
            B, (Put(ALICE, 0, b"b", 6),), (own(b"n", BORIS, sole=True),), (Append(BORIS, 1, b"f"),)
        )
        assert storage.commit([unit, other]) == [True, True]
        assert storage.load(A, [ALICE]) == [Record(1, b"a")]
        assert storage.load(B, [ALICE]) == [Record(1, b"b")]
        assert storage.find(A, [b"n"]) == [(ALICE,)]
        assert storage.find(B, [b"n"]) == [(BORIS,)]
        assert storage.scan(B, b"", 10) == [(ALICE, Record(1, b"b"))]
        assert [e.subject for e in everything(storage, A)] == [ALICE]
        assert [e.subject for e in everything(storage, B)] == [BORIS]
        assert storage.due(A, 9, 10, SECOND) == [ALICE]
        assert storage.due(B, 9, 10, SECOND) == [ALICE]

    # --- aliases -----------------------------------------------------------------------------

    def test_an_alias_may_have_several_owners(self, storage):
        """Owners are sorted, and adding one twice changes nothing."""
        storage.commit([aliases(own(b"n", CLARA), own(b"n", ALICE)), aliases(own(b"n", CLARA))])
        assert storage.find(A, [b"m", b"n", b"n"]) == [(), (ALICE, CLARA), (ALICE, CLARA)]

    def test_an_owner_is_removed(self, storage):
        """Removing one owner leaves the others; removing one that is not there is nothing."""
        storage.commit([aliases(own(b"n", ALICE), own(b"n", BORIS))])
        assert storage.commit([aliases(disown(b"n", ALICE), disown(b"n", CLARA))]) == [True]
        assert storage.find(A, [b"n"]) == [(BORIS,)]

    def test_a_sole_owner_must_be_alone(self, storage):
        """Who wants to be the only owner conflicts with an owner that is there (I3)."""
        storage.commit([aliases(own(b"n", ALICE))])
        assert storage.commit([aliases(own(b"n", BORIS, sole=True))]) == [False]
        assert storage.find(A, [b"n"]) == [(ALICE,)]

    def test_a_sole_owner_may_claim_again(self, storage):
        """The owner itself does not stand in its own way."""
        storage.commit([aliases(own(b"n", ALICE, sole=True))])
        assert storage.commit([aliases(own(b"n", ALICE, sole=True))]) == [True]

    @pytest.mark.parametrize("first", ["out", "in"])
    def test_a_sole_alias_is_handed_over(self, storage, first):
        """Within one unit an alias goes from one sole owner to the next, in either order (I3)."""
        storage.commit([aliases(own(b"n", ALICE, sole=True))])
        changes = [disown(b"n", ALICE), own(b"n", BORIS, sole=True)]
        if first == "in":
            changes.reverse()
        assert storage.commit([aliases(*changes)]) == [True]
        assert storage.find(A, [b"n"]) == [(BORIS,)]

    def test_of_two_sole_owners_in_a_batch_the_first_wins(self, storage):
        """A sole owner is judged against the earlier units of the batch (I3)."""
        batch = [aliases(own(b"n", ALICE, sole=True)), aliases(own(b"n", BORIS, sole=True))]
        assert storage.commit(batch) == [True, False]
        assert storage.find(A, [b"n"]) == [(ALICE,)]

    def test_an_alias_freed_in_the_batch_is_free(self, storage):
        """An owner who leaves in an earlier unit is in nobody's way."""
        storage.commit([aliases(own(b"n", ALICE))])
        batch = [aliases(disown(b"n", ALICE)), aliases(own(b"n", BORIS, sole=True))]
        assert storage.commit(batch) == [True, True]
        assert storage.find(A, [b"n"]) == [(BORIS,)]

    def test_two_sole_owners_in_a_unit_conflict(self, storage):
        """A unit that contradicts itself is not applied."""
        unit = aliases(own(b"n", ALICE, sole=True), own(b"n", BORIS, sole=True))
        assert storage.commit([unit]) == [False]
        assert storage.find(A, [b"n"]) == [()]

    def test_a_sole_owner_does_not_bind_later_units(self, storage):
        """Sole is a condition of the unit that says it, not a property of the alias."""
        batch = [aliases(own(b"n", ALICE, sole=True)), aliases(own(b"n", BORIS))]
        assert storage.commit(batch) == [True, True]
        assert storage.find(A, [b"n"]) == [(ALICE, BORIS)]

    def test_of_concurrent_sole_owners_one_wins(self, open_storage, storage):
        """However many claim an alias at once, one of them gets it (I3)."""
        handles = [open_storage() for _ in range(8)]

        def claim(job: tuple[int, Storage]) -> bool:
            return job[1].commit([aliases(own(b"n", b"%d" % job[0], sole=True))])[0]

        with ThreadPoolExecutor(len(handles)) as pool:
            won = list(pool.map(claim, enumerate(handles)))
        assert sum(won) == 1
        assert storage.find(A, [b"n"]) == [(b"%d" % won.index(True),)]
        close_all(handles)

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


def close_all(handles: list[Storage]) -> None:
    """Close handles of a shared store; one that is not shared is the test's own."""
    for handle in handles:
        if handle.features.shared:
            handle.close()

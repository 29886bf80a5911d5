"""What a `Storage` must do with changes: records, units and batches, aliases."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from abonent.ports import Append, Entry, Put, Record, Storage, Unit
from tests.contracts.storage_parts import (
    ALICE,
    BORIS,
    CLARA,
    SECOND,
    A,
    B,
    StorageFixtures,
    aliases,
    close_all,
    disown,
    everything,
    own,
    put,
)


class ChangesContract(StorageFixtures):
    """Versions, atomic units, sole owners."""

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

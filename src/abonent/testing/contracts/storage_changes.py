"""What a `Storage` must do with changes: records, units and batches, aliases.

Knows the port. Refuses to know where and how anything is kept.
"""

from __future__ import annotations

from itertools import islice

import pytest

from abonent.ports import AliasChange, Append, Put, Record, Storage, StorageFeatures, Unit
from abonent.testing.contracts.storage_parts import (
    ALICE,
    BORIS,
    CLARA,
    EVER,
    READS,
    SECOND,
    A,
    B,
    StorageFixtures,
    aliases,
    at_once,
    disown,
    everything,
    of_all_kinds,
    own,
    put,
    version,
)


class ChangesContract(StorageFixtures, shared_tests=True):
    """Versions, atomic units, sole owners."""

    # --- records -----------------------------------------------------------------------------

    def test_it_says_what_it_can_do(self, storage: Storage) -> None:
        """The features are the port's record, and the same however often they are read."""
        assert isinstance(storage.features, StorageFeatures)
        assert storage.features == storage.features

    def test_nothing_is_there_at_first(self, storage: Storage) -> None:
        """A new store answers every question with nothing."""
        assert storage.load(A, [ALICE, BORIS]) == [None, None]
        assert storage.find(A, [b"alias"]) == [()]
        assert storage.due(A, EVER, 10, SECOND) == []
        assert storage.journal(A, 0, 10) == []
        assert storage.scan(A, b"", 10) == []

    def test_nothing_asked_nothing_answered(self, storage: Storage) -> None:
        """Empty sequences are answered with empty lists."""
        assert storage.load(A, []) == []
        assert storage.commit([]) == []
        assert storage.find(A, []) == []

    def test_what_was_put_is_read(self, storage: Storage) -> None:
        """A record is read as soon as its commit returned, in its first version."""
        assert storage.commit([put(ALICE, 0, b"one")]) == [True]
        assert storage.load(A, [ALICE]) == [Record(1, b"one")]

    def test_everything_is_read_as_soon_as_it_is_committed(self, storage: Storage) -> None:
        """Scan, alias, journal and deadline show a commit at once, whatever was read before."""
        for read in READS.values():
            read(storage)
        assert storage.due(A, 5, 10, SECOND) == []
        storage.commit([of_all_kinds(ALICE)])
        assert storage.scan(A, b"", 10) == [(ALICE, Record(1, b"body"))]
        assert storage.find(A, [b"alias"]) == [(ALICE,)]
        assert [e.subject for e in everything(storage)] == [ALICE]
        assert storage.due(A, 5, 10, SECOND) == [ALICE]

    def test_versions_grow_by_one(self, storage: Storage) -> None:
        """Each change of a record makes its version one more."""
        for before in range(4):
            assert storage.commit([put(ALICE, before)]) == [True]
        assert storage.load(A, [ALICE]) == [Record(4, b"body")]

    def test_records_come_in_the_order_asked(self, storage: Storage) -> None:
        """`load` answers key by key, also where a key is missing or asked twice."""
        storage.commit([put(ALICE, 0, b"a"), put(CLARA, 0, b"c")])
        a, c = Record(1, b"a"), Record(1, b"c")
        assert storage.load(A, [CLARA, BORIS, ALICE, CLARA]) == [c, None, a, c]

    @pytest.mark.parametrize("expected", [0, 1, 3])
    def test_a_version_that_is_not_expected_conflicts(
        self, storage: Storage, expected: int
    ) -> None:
        """A put that expects another version than the stored one changes nothing (P1)."""
        storage.commit([put(ALICE, 0), put(ALICE, 1, b"stored")])
        assert storage.commit([put(ALICE, expected, b"late")]) == [False]
        assert storage.load(A, [ALICE]) == [Record(2, b"stored")]

    def test_a_record_that_must_exist(self, storage: Storage) -> None:
        """A put that expects a version conflicts where there is no record."""
        assert storage.commit([put(ALICE, 1)]) == [False]
        assert storage.load(A, [ALICE]) == [None]

    def test_of_two_writers_one_wins(self, handles: list[Storage], storage: Storage) -> None:
        """Of writers that read the same version and write at once, one succeeds (P1)."""
        storage.commit([put(ALICE, 0)])
        won = at_once(lambda handle: handle.commit([put(ALICE, 1)]), handles)
        assert sorted(won) == [[False]] * 7 + [[True]]
        assert storage.load(A, [ALICE]) == [Record(2, b"body")]

    def test_no_change_is_lost(self, handles: list[Storage], storage: Storage) -> None:
        """Eight writers that load again after a conflict make exactly their number of changes."""

        def count(handle: Storage) -> int:
            tries = (handle.commit([put(ALICE, version(handle, ALICE))]) for _ in range(1_000))
            return sum(1 for _ in islice((True for applied in tries if applied == [True]), 5))

        assert at_once(count, handles) == [5] * 8
        assert version(storage, ALICE) == 40

    def test_a_record_is_deleted(self, storage: Storage) -> None:
        """A put without a body removes the record; the next one begins at version 1."""
        storage.commit([put(ALICE, 0)])
        assert storage.commit([put(ALICE, 1, None)]) == [True]
        assert storage.load(A, [ALICE]) == [None]
        assert storage.scan(A, b"", 10) == []
        assert storage.commit([put(ALICE, 1), put(ALICE, 0, b"new")]) == [False, True]
        assert storage.load(A, [ALICE]) == [Record(1, b"new")]

    def test_a_delete_may_conflict(self, storage: Storage) -> None:
        """A record is not deleted in another version than the expected one."""
        storage.commit([put(ALICE, 0), put(ALICE, 1)])
        assert storage.commit([put(ALICE, 1, None)]) == [False]
        assert storage.load(A, [ALICE]) == [Record(2, b"body")]

    def test_that_nothing_is_there_can_be_demanded(self, storage: Storage) -> None:
        """Deleting at version 0 demands that there is no record, and leaves none."""
        assert storage.commit([put(ALICE, 0, None)]) == [True]
        storage.commit([put(ALICE, 0)])
        assert storage.commit([put(ALICE, 0, None)]) == [False]

    # --- units and batches -------------------------------------------------------------------

    def test_a_failed_unit_leaves_nothing(self, storage: Storage) -> None:
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

    def test_a_sole_alias_fails_the_whole_unit(self, storage: Storage) -> None:
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

    def test_neighbours_of_a_failed_unit_are_whole(self, storage: Storage) -> None:
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

    def test_a_unit_sees_the_earlier_ones(self, storage: Storage) -> None:
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

    def test_a_unit_does_not_see_failed_ones(self, storage: Storage) -> None:
        """What a failed unit would have written is not there for the next."""
        failed = Unit(
            A, puts=(Put(ALICE, 0, b"x"), Put(BORIS, 5, b"x")), aliases=(own(b"n", ALICE),)
        )
        batch = [failed, put(ALICE, 1), put(ALICE, 0), aliases(own(b"n", BORIS, sole=True))]
        assert storage.commit(batch) == [False, False, True, True]

    def test_a_record_may_change_twice_in_a_unit(self, storage: Storage) -> None:
        """Puts of a unit are applied in order; the last one stands."""
        unit = Unit(A, puts=(Put(ALICE, 0, b"1", 5), Put(ALICE, 1, b"2")))
        assert storage.commit([unit]) == [True]
        assert storage.load(A, [ALICE]) == [Record(2, b"2")]
        assert storage.due(A, 5, 10, SECOND) == []

    def test_an_empty_unit_is_applied(self, storage: Storage) -> None:
        """A unit without changes has nothing to conflict with."""
        assert storage.commit([Unit(A)]) == [True]

    def test_spaces_that_look_alike_are_different(self, storage: Storage) -> None:
        """Names of spaces are compared whole, up to 64 characters, punctuation included."""
        spaces = ["a-b", "a_b", "a.b", "ab", "a" * 63, "a" * 64]
        for space in spaces:
            assert storage.commit([Unit(space, puts=(Put(ALICE, 0, space.encode()),))]) == [True]
        for space in spaces:
            assert storage.load(space, [ALICE]) == [Record(1, space.encode())]

    def test_spaces_are_kept_apart(self, storage: Storage) -> None:
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

    def test_an_alias_may_have_several_owners(self, storage: Storage) -> None:
        """Owners are sorted, and adding one twice changes nothing."""
        storage.commit([aliases(own(b"n", CLARA), own(b"n", ALICE)), aliases(own(b"n", CLARA))])
        assert storage.find(A, [b"m", b"n", b"n"]) == [(), (ALICE, CLARA), (ALICE, CLARA)]

    def test_an_owner_is_removed(self, storage: Storage) -> None:
        """Removing one owner leaves the others; removing one that is not there is nothing."""
        storage.commit([aliases(own(b"n", ALICE), own(b"n", BORIS))])
        assert storage.commit([aliases(disown(b"n", ALICE), disown(b"n", CLARA))]) == [True]
        assert storage.find(A, [b"n"]) == [(BORIS,)]

    def test_a_sole_owner_must_be_alone(self, storage: Storage) -> None:
        """Who wants to be the only owner conflicts with an owner that is there (I3)."""
        storage.commit([aliases(own(b"n", ALICE))])
        assert storage.commit([aliases(own(b"n", BORIS, sole=True))]) == [False]
        assert storage.find(A, [b"n"]) == [(ALICE,)]

    def test_a_sole_owner_may_claim_again(self, storage: Storage) -> None:
        """The owner itself does not stand in its own way."""
        storage.commit([aliases(own(b"n", ALICE, sole=True))])
        assert storage.commit([aliases(own(b"n", ALICE, sole=True))]) == [True]

    @pytest.mark.parametrize("first", ["out", "in"])
    def test_a_sole_alias_is_handed_over(self, storage: Storage, first: str) -> None:
        """Within one unit an alias goes from one sole owner to the next, in either order (I3)."""
        storage.commit([aliases(own(b"n", ALICE, sole=True))])
        changes = [disown(b"n", ALICE), own(b"n", BORIS, sole=True)]
        if first == "in":
            changes.reverse()
        assert storage.commit([aliases(*changes)]) == [True]
        assert storage.find(A, [b"n"]) == [(BORIS,)]

    def test_of_two_sole_owners_in_a_batch_the_first_wins(self, storage: Storage) -> None:
        """A sole owner is judged against the earlier units of the batch (I3)."""
        batch = [aliases(own(b"n", ALICE, sole=True)), aliases(own(b"n", BORIS, sole=True))]
        assert storage.commit(batch) == [True, False]
        assert storage.find(A, [b"n"]) == [(ALICE,)]

    def test_an_alias_freed_in_the_batch_is_free(self, storage: Storage) -> None:
        """An owner who leaves in an earlier unit is in nobody's way."""
        storage.commit([aliases(own(b"n", ALICE))])
        batch = [aliases(disown(b"n", ALICE)), aliases(own(b"n", BORIS, sole=True))]
        assert storage.commit(batch) == [True, True]
        assert storage.find(A, [b"n"]) == [(BORIS,)]

    def test_two_sole_owners_in_a_unit_conflict(self, storage: Storage) -> None:
        """A unit that contradicts itself is not applied."""
        unit = aliases(own(b"n", ALICE, sole=True), own(b"n", BORIS, sole=True))
        assert storage.commit([unit]) == [False]
        assert storage.find(A, [b"n"]) == [()]

    def test_a_sole_owner_does_not_bind_later_units(self, storage: Storage) -> None:
        """Sole is a condition of the unit that says it, not a property of the alias."""
        batch = [aliases(own(b"n", ALICE, sole=True)), aliases(own(b"n", BORIS))]
        assert storage.commit(batch) == [True, True]
        assert storage.find(A, [b"n"]) == [(ALICE, BORIS)]

    def test_that_nobody_owns_an_alias_can_be_demanded(self, storage: Storage) -> None:
        """Who leaves an alias that nobody else may own conflicts with another owner (I3).

        While keys turn, a number is held under one of several aliases, and free under the others.
        """
        free = AliasChange(b"n", ALICE, False, True)
        assert storage.commit([aliases(free)]) == [True]
        assert storage.commit([aliases(own(b"n", ALICE)), aliases(free)]) == [True, True]
        assert storage.find(A, [b"n"]) == [()]
        assert storage.commit([aliases(own(b"n", BORIS)), aliases(free)]) == [True, False]
        unit = Unit(A, (Put(CLARA, 0, b"c"),), (own(b"m", ALICE, sole=True), free))
        assert storage.commit([unit]) == [False]
        assert storage.find(A, [b"m", b"n"]) == [(), (BORIS,)]
        assert storage.load(A, [CLARA]) == [None]

    def test_a_record_is_moved(self, storage: Storage) -> None:
        """One unit takes a record, its deadline and its aliases from one key to another."""
        storage.commit([Unit(A, (Put(ALICE, 0, b"a", 5),), (own(b"n", ALICE, sole=True),))])
        move = Unit(
            A,
            (Put(BORIS, 0, b"a", 5), Put(ALICE, 1, None), Put(CLARA, 0, None)),
            (disown(b"n", ALICE), own(b"n", BORIS, sole=True)),
        )
        assert storage.commit([move, move]) == [True, False]
        assert storage.scan(A, b"", 10) == [(BORIS, Record(1, b"a"))]
        assert storage.find(A, [b"n"]) == [(BORIS,)]
        assert storage.due(A, 5, 10, SECOND) == [BORIS]

    def test_a_record_is_not_moved_where_there_is_one(self, storage: Storage) -> None:
        """A unit that demands that nothing is elsewhere conflicts where something is."""
        storage.commit([put(ALICE, 0, b"a"), put(CLARA, 0, b"c")])
        move = Unit(A, (Put(BORIS, 0, b"a"), Put(ALICE, 1, None), Put(CLARA, 0, None)))
        assert storage.commit([move]) == [False]
        assert storage.load(A, [ALICE, BORIS]) == [Record(1, b"a"), None]
        batch = [put(CLARA, 1, None), move]
        assert storage.commit(batch) == [True, True]
        assert storage.scan(A, b"", 10) == [(BORIS, Record(1, b"a"))]

    def test_of_concurrent_sole_owners_one_wins(
        self, handles: list[Storage], storage: Storage
    ) -> None:
        """However many claim an alias at once, one of them gets it (I3)."""

        def claim(job: tuple[int, Storage]) -> bool:
            return job[1].commit([aliases(own(b"n", b"%d" % job[0], sole=True))])[0]

        won = at_once(claim, list(enumerate(handles)))
        assert sum(won) == 1
        assert storage.find(A, [b"n"]) == [(b"%d" % won.index(True),)]

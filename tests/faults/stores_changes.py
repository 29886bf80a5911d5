"""Stores that are wrong in how they change things: versions, units, aliases. See stores.py."""

import threading
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from msgspec.structs import replace

from abonent.ports import Put, Unit
from abonent.stores import MemoryStorage


def a_moment() -> None:
    """Let other threads come between, as a network would."""
    threading.Event().wait(0.002)


def expecting_what_is_there(store: MemoryStorage, unit: Unit) -> Unit:
    """The unit, holding nobody to a version."""
    puts: list[Put] = []
    for put in unit.puts:
        (found,) = MemoryStorage.load(store, unit.space, [put.key])
        earlier = sum(each.key == put.key for each in puts)
        puts.append(replace(put, expected=(found.version if found else 0) + earlier))
    return replace(unit, puts=tuple(puts))


# --- versions and units -----------------------------------------------------------------


class LosesUpdates(MemoryStorage):
    """A put is not held to the version that it expects."""

    named_by = "test_a_version_that_is_not_expected_conflicts[1]"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        return [
            super(LosesUpdates, self).commit([expecting_what_is_there(self, u)])[0] for u in units
        ]


class ChecksThenWrites(MemoryStorage):
    """Versions are judged before the lock is taken, and not again under it."""

    named_by = "test_of_two_writers_one_wins"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        applied: list[bool] = []
        for unit in units:
            fits = deepcopy(self._spaces)
            judge = MemoryStorage()
            judge._spaces = fits
            applied += judge.commit([unit])
            a_moment()
            if applied[-1]:
                super().commit([expecting_what_is_there(self, unit)])
        return applied


class DeletesWhateverIsThere(MemoryStorage):
    """A delete is not held to a version."""

    named_by = "test_a_delete_may_conflict"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        deleting = [
            expecting_what_is_there(self, u) if u.puts and u.puts[0].body is None else u
            for u in units
        ]
        return super().commit(deleting)


class TakesAbsenceForGranted(MemoryStorage):
    """Among other changes, that nothing is there is not judged: nothing is written for it."""

    named_by = "test_a_record_is_not_moved_where_there_is_one"

    def _apply(self, held: Any, unit: Unit) -> bool:
        kept = tuple(each for each in unit.puts if each.expected or each.body is not None)
        return super()._apply(held, replace(unit, puts=kept))


class MovesNoDeadline(MemoryStorage):
    """Of what is written and removed in one unit, the deadline is lost."""

    named_by = "test_a_record_is_moved"

    def _apply(self, held: Any, unit: Unit) -> bool:
        removes = any(each.body is None for each in unit.puts)
        kept = tuple(replace(each, wake=None if removes else each.wake) for each in unit.puts)
        return super()._apply(held, replace(unit, puts=kept))


class KeepsHalfAUnit(MemoryStorage):
    """If aliases conflict, the records of the unit are kept."""

    named_by = "test_a_sole_alias_fails_the_whole_unit"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        applied = super().commit(units)
        rest = [Unit(u.space, u.puts) for u, ok in zip(units, applied, strict=True) if not ok]
        super().commit(rest)
        return applied


class JournalsWhatFailed(MemoryStorage):
    """The journal gets the entries of a unit that conflicts."""

    named_by = "test_a_failed_unit_leaves_nothing"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        applied = super().commit(units)
        failed = [u for u, ok in zip(units, applied, strict=True) if not ok]
        super().commit([Unit(u.space, appends=u.appends) for u in failed])
        return applied


class HurtsNeighbours(MemoryStorage):
    """One conflict rolls the whole batch back."""

    named_by = "test_neighbours_of_a_failed_unit_are_whole"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        before = deepcopy(self._spaces)
        applied = super().commit(units)
        if all(applied):
            return applied
        self._spaces = before
        return [False] * len(units)


class StopsAtAConflict(MemoryStorage):
    """The units after one that conflicts are not applied."""

    named_by = "test_neighbours_of_a_failed_unit_are_whole"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        applied: list[bool] = []
        for unit in units:
            applied.append(all(applied) and super().commit([unit])[0])
        return applied


class JudgesTheBatchAtOnce(MemoryStorage):
    """Units do not see the earlier ones of their batch."""

    named_by = "test_a_unit_sees_the_earlier_ones"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        before = MemoryStorage()
        fits = []
        for unit in units:
            before._spaces = deepcopy(self._spaces)
            fits += before.commit([unit])
        held = [unit for unit, ok in zip(units, fits, strict=True) if ok]
        super().commit([expecting_what_is_there(self, unit) for unit in held])
        return fits


class ShowsHalfAUnit(MemoryStorage):
    """The records of a unit become visible one by one."""

    named_by = "test_reading_never_sees_half_a_unit"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        applied: list[bool] = []
        for unit in units:
            parts = [replace(unit, puts=(put,), aliases=(), appends=()) for put in unit.puts[:-1]]
            for part in parts:
                super().commit([part])
                a_moment()
            applied += super().commit([replace(unit, puts=unit.puts[-1:])])
        return applied


class CutsLargeBatches(MemoryStorage):
    """Of a batch, only as many units are applied as a statement has room for."""

    named_by = "test_a_batch_may_be_large"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        return super().commit(units[:1_000]) + [True] * len(units[1_000:])


class NeedsAList(MemoryStorage):
    """Any other sequence of units is refused."""

    named_by = "test_any_sequence_will_do"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        # The fault: a list and another sequence are not added.
        return super().commit([] + units)  # type: ignore[operator]  # noqa: RUF005


class TakesNothingForAConflict(MemoryStorage):
    """A unit that changed no row counts as one that conflicted."""

    named_by = "test_an_empty_unit_is_applied"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        applied = super().commit(units)
        return [ok and u != Unit(u.space) for u, ok in zip(units, applied, strict=True)]


class TakesOnePutOfARecord(MemoryStorage):
    """A second put of the same record in a unit conflicts."""

    named_by = "test_a_record_may_change_twice_in_a_unit"

    def _apply(self, held: Any, unit: Unit) -> bool:
        return len({put.key for put in unit.puts}) == len(unit.puts) and super()._apply(held, unit)


# --- aliases ----------------------------------------------------------------------------


class JudgesNoSoleOwner(MemoryStorage):
    """A sole owner is added beside another."""

    named_by = "test_a_sole_owner_must_be_alone"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        return super().commit(
            [
                replace(u, aliases=tuple(replace(change, sole=False) for change in u.aliases))
                for u in units
            ]
        )


class JudgesSoleOwnersTooSoon(MemoryStorage):
    """A sole owner is judged at its change, not after all changes of the unit."""

    named_by = "test_a_sole_alias_is_handed_over[in]"

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        def too_soon(unit: Unit) -> bool:
            gone: set[tuple[bytes, bytes]] = set()
            for change in unit.aliases:
                if not change.present:
                    gone.add((change.alias, change.owner))
                (owners,) = self.find(unit.space, [change.alias])
                left = {owner for owner in owners if (change.alias, owner) not in gone}
                if change.sole and left - {change.owner}:
                    return True
            return False

        return [
            not too_soon(u) and super(JudgesSoleOwnersTooSoon, self).commit([u])[0] for u in units
        ]


class JudgesOnlyWhoComes(MemoryStorage):
    """That an alias is to be somebody's alone is not judged for who leaves it."""

    named_by = "test_that_nobody_owns_an_alias_can_be_demanded"

    def _apply(self, held: Any, unit: Unit) -> bool:
        kept = tuple(replace(each, sole=each.sole and each.present) for each in unit.aliases)
        return super()._apply(held, replace(unit, aliases=kept))


class ReturnsOwnersAsAdded(MemoryStorage):
    """Owners are not sorted."""

    named_by = "test_an_alias_may_have_several_owners"

    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        return [tuple(reversed(owners)) for owners in super().find(space, aliases)]


class IsInItsOwnWay(MemoryStorage):
    """A sole owner conflicts with itself."""

    named_by = "test_a_sole_owner_may_claim_again"

    def _apply(self, held: Any, unit: Unit) -> bool:
        again = any(c.sole and c.owner in held.owners.get(c.alias, ()) for c in unit.aliases)
        return not again and super()._apply(held, unit)


class RemovesAllOwners(MemoryStorage):
    """Removing an owner removes the alias."""

    named_by = "test_an_owner_is_removed"

    def _apply(self, held: Any, unit: Unit) -> bool:
        applied = super()._apply(held, unit)
        for change in unit.aliases:
            if applied and not change.present:
                held.owners.pop(change.alias)
        return applied

"""Stores that are wrong in one thing: each overrides one method of a store that passes.

`named_by` is the test of `StorageContract` that must name it.
"""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from abonent.ports import Record, StorageFeatures, Unit
from abonent.stores import MemoryStorage, SqliteStorage
from abonent.testing import StorageContract
from tests.faults import stores_answers, stores_changes
from tests.faults.stores_changes import a_moment

# --- deadlines --------------------------------------------------------------------------


class LeasesForEver(MemoryStorage):
    """Who claims a record and dies keeps it."""

    named_by = "test_a_lease_expires"

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        return super().due(space, now, limit, 1 << 60)


class TakesNoLease(MemoryStorage):
    """What is due is told to whoever asks."""

    named_by = "test_what_is_claimed_is_not_reported_again"

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        return super().due(space, now, limit, 0)


class LeasesForSomebody(MemoryStorage):
    """Two workers that ask at once are given the same."""

    named_by = "test_workers_share_what_is_due"

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        found = super().due(space, now, limit, 0)
        a_moment()
        with self._lock:
            self._open(space).deadlines.update(dict.fromkeys(found, now + lease))
        return found


class LeasesWhatIsLeft(MemoryStorage):
    """All that is due is leased, however little is returned."""

    named_by = "test_what_was_not_taken_is_not_leased"

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        return super().due(space, now, 100_000, lease)[:limit]


class ClaimsByKey(MemoryStorage):
    """What is due comes in the order of keys."""

    named_by = "test_the_earliest_comes_first"

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        return sorted(super().due(space, now, limit, lease))


class LeavesDeadlines(MemoryStorage):
    """A deleted record leaves its deadline behind."""

    named_by = "test_a_deleted_record_is_not_due"

    def _apply(self, held: Any, unit: Unit) -> bool:
        before = dict(held.deadlines)
        applied = super()._apply(held, unit)
        for put in unit.puts:
            if applied and put.body is None and put.key in before:
                held.deadlines[put.key] = before[put.key]
        return applied


class KeepsTheLease(MemoryStorage):
    """Putting a claimed record leaves the end of its lease as its deadline."""

    named_by = "test_a_put_ends_the_lease"

    def _apply(self, held: Any, unit: Unit) -> bool:
        before = dict(held.deadlines)
        applied = super()._apply(held, unit)
        held.deadlines.update({k: max(at, before.get(k, at)) for k, at in held.deadlines.items()})
        return applied


class IsLate(MemoryStorage):
    """A deadline is due after its instant, not at it."""

    named_by = "test_a_deadline_is_due_from_its_instant_on"

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        return super().due(space, now - 1, limit, lease + 1)


class ChangesWhatItClaims(MemoryStorage):
    """A claim is a change of the record, and its version grows."""

    named_by = "test_a_claim_changes_no_version"

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        claimed = super().due(space, now, limit, lease)
        records = self._open(space).records
        records.update({key: Record(records[key].version + 1, b"body") for key in claimed})
        return claimed


class KeepsTheDeadline(MemoryStorage):
    """A put without a deadline leaves the one that is there."""

    named_by = "test_a_put_may_clear_the_deadline"

    def _apply(self, held: Any, unit: Unit) -> bool:
        before = dict(held.deadlines)
        applied = super()._apply(held, unit)
        for put in unit.puts:
            if put.body is not None and put.wake is None and put.key in before:
                held.deadlines[put.key] = before[put.key]
        return applied


# --- opening and closing ----------------------------------------------------------------


class ClaimsToBeDurable(MemoryStorage):
    """It says that it is durable, and is not."""

    named_by = "test_reopening_keeps_records_and_aliases"

    @property
    def features(self) -> StorageFeatures:
        return StorageFeatures(durable=True, shared=False)


class FailsRawWhenClosed(MemoryStorage):
    """A closed store raises what its driver raises."""

    named_by = "test_a_closed_store_refuses[load]"

    def _open(self, space: str) -> Any:
        if self._closed:
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")
        return super()._open(space)


class AnswersWhenClosed(MemoryStorage):
    """A closed store goes on answering."""

    named_by = "test_a_closed_store_refuses[find]"

    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        return [()] * len(aliases) if self._closed else super().find(space, aliases)


class ClosesOnce(MemoryStorage):
    """Closing a second time raises."""

    named_by = "test_closing_twice_is_closing_once"

    def close(self) -> None:
        self._open("")
        super().close()


class LosesTheJournal(SqliteStorage):
    """Opening a file empties its journal."""

    named_by = "test_reopening_keeps_the_journal"

    def _open(self) -> sqlite3.Connection:
        connection = super()._open()
        connection.execute("DELETE FROM journal")
        return connection


class ForgetsLeases(SqliteStorage):
    """Opening a file ends all leases."""

    named_by = "test_reopening_keeps_deadlines_and_leases"

    def _open(self) -> sqlite3.Connection:
        connection = super()._open()
        connection.execute("UPDATE deadline SET at = 5")
        connection.execute("UPDATE record SET wake = 5 WHERE wake IS NOT NULL")
        return connection


class DeletesItsFile(SqliteStorage):
    """Closing removes the file."""

    named_by = "test_reopening_keeps_records_and_aliases"

    def close(self) -> None:
        super().close()
        self._path.unlink(missing_ok=True)


class ClosesForAll(SqliteStorage):
    """Closing one handle shuts the file for the others."""

    named_by = "test_closing_a_handle_closes_no_other"

    def close(self) -> None:
        super().close()
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute("DROP TABLE IF EXISTS record")


class SaysInItsOwnWords(MemoryStorage):
    """Its features are a word, not the port's record."""

    named_by = "test_it_says_what_it_can_do"

    features: Any = property(lambda self: "in memory")


# --- under contract ---------------------------------------------------------------------

RIGHT = (MemoryStorage, SqliteStorage)
_FAULTS = (*vars(stores_changes).values(), *vars(stores_answers).values(), *vars().values())
WRONG = tuple(each for each in _FAULTS if hasattr(each, "named_by"))


def contract_of(adapter: type[Any]) -> type[StorageContract]:
    """The contract, with the adapter as an integrator would give it."""

    def open_storage(self: StorageContract, tmp_path: Path) -> Callable[[], Any]:
        if issubclass(adapter, SqliteStorage):
            # One that waits long: a busy machine is no fault of the store.
            return lambda: adapter(tmp_path / "abonent.db", busy_timeout=timedelta(minutes=1))
        store = adapter()
        return lambda: store

    fixtures = {"open_storage": pytest.fixture(open_storage)}
    return type(f"Test{adapter.__name__}", (StorageContract,), fixtures)


globals().update({f"Test{each.__name__}": contract_of(each) for each in (*RIGHT, *WRONG)})

"""What the parts of the contract for `Storage` share: fixtures, and short words for changes.

Knows the port. Refuses to know what is required of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import pytest

from abonent.ports import AliasChange, Append, Entry, Put, Storage, StorageFeatures, Unit
from abonent.testing.contracts.contract import Contract, to_provide

SECOND: Final = 1_000_000
EVER: Final = 1 << 60
A, B = "messenger-a", "messenger-b"
ALICE, BORIS, CLARA = b"alice", b"boris", b"clara"

OpenStorage = Callable[[], Storage]

# The ways of reading, each a question that `of_all_kinds(ALICE)` gives an answer to.
READS: Final[Mapping[str, Callable[[Storage], list[Any]]]] = {
    "load": lambda storage: storage.load(A, [ALICE]),
    "find": lambda storage: storage.find(A, [b"alias"]),
    "journal": lambda storage: storage.journal(A, 0, 10),
    "scan": lambda storage: storage.scan(A, b"", 10),
}

_Job = TypeVar("_Job")
_Result = TypeVar("_Result")


def put(key: bytes, expected: int, body: bytes | None = b"body", wake: int | None = None) -> Unit:
    """A unit that puts one record."""
    return Unit(A, puts=(Put(key, expected, body, wake),))


def own(alias: bytes, owner: bytes, *, sole: bool = False) -> AliasChange:
    """The change that makes somebody an owner of an alias."""
    return AliasChange(alias, owner, present=True, sole=sole)


def disown(alias: bytes, owner: bytes) -> AliasChange:
    """The change that makes somebody no longer an owner of an alias."""
    return AliasChange(alias, owner, present=False)


def aliases(*changes: AliasChange) -> Unit:
    """A unit that changes aliases only."""
    return Unit(A, aliases=changes)


def entry(number: int, *, subject: bytes = ALICE, body: bytes = b"event") -> Unit:
    """A unit that appends one entry to the journal."""
    return Unit(A, appends=(Append(subject, number, body),))


def of_all_kinds(key: bytes, wake: int | None = 5) -> Unit:
    """A unit that puts a record with a deadline, adds an alias and appends an entry."""
    return Unit(A, (Put(key, 0, b"body", wake),), (own(b"alias", key),), (Append(key, 1, b"e"),))


def everything(storage: Storage, space: str = A) -> list[Entry]:
    """The whole journal."""
    return storage.journal(space, 0, 100_000)


def version(storage: Storage, key: bytes) -> int:
    """The version of a record, 0 where there is none."""
    (found,) = storage.load(A, [key])
    return found.version if found else 0


def at_once(work: Callable[[_Job], _Result], jobs: Sequence[_Job]) -> list[_Result]:
    """Do the work for each of the jobs in a thread of its own, all released at one instant."""
    start = threading.Barrier(len(jobs))

    def released(job: _Job) -> _Result:
        start.wait(30)
        return work(job)

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(released, jobs))


class StorageFixtures(Contract, shared_tests=True):
    """One store, and more handles to it."""

    open_storage = to_provide(
        "Callable[[], Storage]",
        "a function that opens one more handle to the same store, empty before the first test. "
        "A store that is not shared returns its one handle, or a new one once that was closed",
        """
        @pytest.fixture
        def open_storage(self, tmp_path):
            return lambda: SqliteStorage(tmp_path / "abonent.db")
        """,
    )

    @pytest.fixture
    def storage(self, open_storage: OpenStorage) -> Iterator[Storage]:
        """The handle that most tests use."""
        storage = open_storage()
        yield storage
        storage.close()

    @pytest.fixture
    def features(self, storage: Storage) -> StorageFeatures:
        """What the store says it can do."""
        return storage.features

    @pytest.fixture
    def handles(self, open_storage: OpenStorage, storage: Storage) -> Iterator[list[Storage]]:
        """Eight handles beside `storage`, for as many threads."""
        handles = [open_storage() for _ in range(8)]
        yield handles
        if storage.features.shared:  # otherwise it may be one handle, and the others still need it
            for handle in handles:
                handle.close()

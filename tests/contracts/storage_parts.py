"""What the parts of the suite for `Storage` share: fixtures, and short words for changes."""

from collections.abc import Callable, Iterator

import pytest

from abonent.ports import AliasChange, Append, Entry, Put, Storage, Unit

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


def close_all(handles: list[Storage]) -> None:
    """Close handles of a shared store; one that is not shared is the test's own."""
    for handle in handles:
        if handle.features.shared:
            handle.close()


class StorageFixtures:
    """One store, and more handles to it."""

    @pytest.fixture
    def open_storage(self) -> OpenStorage:
        raise NotImplementedError("give the contract a store")

    @pytest.fixture
    def storage(self, open_storage: OpenStorage) -> Iterator[Storage]:
        storage = open_storage()
        yield storage
        storage.close()

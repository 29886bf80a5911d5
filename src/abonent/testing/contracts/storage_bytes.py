"""What a `Storage` must do with what passes its border: bytes, lists, and a great many of them.

Knows the port. Refuses to know what the bytes mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from abonent.ports import Append, Put, Record, Storage, Unit
from abonent.testing.contracts.storage_parts import (
    ALICE,
    BORIS,
    READS,
    SECOND,
    A,
    StorageFixtures,
    everything,
    of_all_kinds,
    own,
    put,
)

HOSTILE = [
    pytest.param(b"", id="empty"),
    pytest.param(b"\x00", id="NUL"),
    pytest.param(b"a\x00b", id="NUL within"),
    pytest.param(b"a ", id="space at the end"),
    pytest.param(b"'; --", id="quote"),
    pytest.param(b'"%s\\', id="escapes"),
    pytest.param(b"\xff\xfe", id="not UTF-8"),
    pytest.param(bytes(range(256)), id="every byte"),
]


class BytesContract(StorageFixtures, shared_tests=True):
    """Bytes are only bytes, lists belong to the caller, and large is only more."""

    # --- hostile bytes -----------------------------------------------------------------------

    @pytest.mark.parametrize("text", HOSTILE)
    def test_any_bytes_are_a_body(self, storage: Storage, text: bytes) -> None:
        """A body comes back byte for byte, from reading and from a scan."""
        assert storage.commit([put(ALICE, 0, text)]) == [True]
        assert storage.load(A, [ALICE]) == [Record(1, text)]
        assert storage.scan(A, b"", 10) == [(ALICE, Record(1, text))]

    @pytest.mark.parametrize("text", HOSTILE)
    def test_any_bytes_are_a_key(self, storage: Storage, text: bytes) -> None:
        """A record is found, scanned, claimed and changed under any key."""
        assert storage.commit([put(text, 0, b"one", 5)]) == [True]
        assert storage.load(A, [text]) == [Record(1, b"one")]
        assert storage.scan(A, b"", 10) == [(text, Record(1, b"one"))]
        assert storage.due(A, 5, 10, SECOND) == [text]
        assert storage.commit([put(text, 1, None)]) == [True]
        assert storage.load(A, [text]) == [None]

    @pytest.mark.parametrize("text", HOSTILE)
    def test_any_bytes_are_an_alias_and_an_owner(self, storage: Storage, text: bytes) -> None:
        """An alias is found under any bytes, and its owner is any bytes."""
        assert storage.commit([Unit(A, aliases=(own(text, text, sole=True),))]) == [True]
        assert storage.find(A, [text]) == [(text,)]

    @pytest.mark.parametrize("text", HOSTILE)
    def test_any_bytes_are_an_entry(self, storage: Storage, text: bytes) -> None:
        """Subject and body of an entry come back byte for byte."""
        storage.commit([Unit(A, appends=(Append(text, 0, text),))])
        assert [(e.subject, e.number, e.body) for e in everything(storage)] == [(text, 0, text)]

    def test_keys_that_look_alike_are_different(self, storage: Storage) -> None:
        """Keys differ by case, by a NUL or space at the end, and by their thousandth byte."""
        long = bytes(range(256)) * 4
        keys = [b"k", b"K", b"k\x00", b"k\x00a", b"k ", long, long + b"k"]
        assert storage.commit([put(key, 0, b"%d" % i) for i, key in enumerate(keys)]) == [
            True
        ] * len(keys)
        assert storage.load(A, keys) == [Record(1, b"%d" % i) for i in range(len(keys))]

    def test_a_body_may_be_a_mebibyte(self, storage: Storage) -> None:
        """Bodies of records and of entries come back whole when they are long."""
        body = bytes(range(256)) * 4096
        unit = Unit(A, puts=(Put(ALICE, 0, body),), appends=(Append(ALICE, 1, body),))
        assert storage.commit([unit]) == [True]
        assert storage.load(A, [ALICE]) == [Record(1, body)]
        assert [e.body for e in everything(storage)] == [body]

    def test_what_was_bytes_comes_back_as_bytes(self, storage: Storage) -> None:
        """Nothing returned is a view or a buffer that only compares like bytes."""
        storage.commit([of_all_kinds(ALICE)])
        (record,) = storage.load(A, [ALICE])
        ((key, scanned),) = storage.scan(A, b"", 10)
        ((owner,),) = storage.find(A, [b"alias"])
        (appended,) = everything(storage)
        (claimed,) = storage.due(A, 5, 10, SECOND)
        assert record is not None
        parts = (record.body, key, scanned.body, owner, appended.subject, appended.body, claimed)
        assert {type(part) for part in parts} == {bytes}

    # --- lists -------------------------------------------------------------------------------

    @pytest.mark.parametrize("read", READS.values(), ids=READS)
    def test_what_is_returned_is_the_callers(
        self, storage: Storage, read: Callable[[Storage], list[Any]]
    ) -> None:
        """Changing what was returned does not change what is stored, or what others were given."""
        storage.commit([of_all_kinds(ALICE)])
        kept = read(storage)
        before = list(kept)
        read(storage).clear()
        assert kept == before
        assert read(storage) == before

    def test_what_was_claimed_is_the_callers(self, storage: Storage) -> None:
        """Changing the list of what was claimed changes no deadline."""
        storage.commit([put(ALICE, 0, wake=5)])
        storage.due(A, 5, 10, 100).clear()
        assert storage.due(A, 6, 10, 100) == []
        assert storage.due(A, 105, 10, 100) == [ALICE]

    def test_what_is_passed_in_is_the_callers(self, storage: Storage) -> None:
        """A list of units or keys may be changed as soon as the call returned."""
        units = [put(ALICE, 0, b"a")]
        storage.commit(units)
        units[:] = [put(BORIS, 0, b"b")]
        keys = [ALICE]
        answer = storage.load(A, keys)
        keys[:] = [BORIS]
        assert answer == [Record(1, b"a")]
        assert storage.load(A, [ALICE, BORIS]) == [Record(1, b"a"), None]

    def test_any_sequence_will_do(self, storage: Storage) -> None:
        """Units, keys and aliases may come as tuples."""
        assert storage.commit((of_all_kinds(ALICE),)) == [True]
        assert storage.load(A, (ALICE,)) == [Record(1, b"body")]
        assert storage.find(A, (b"alias",)) == [(ALICE,)]

    # --- large -------------------------------------------------------------------------------

    def test_a_batch_may_be_large(self, storage: Storage) -> None:
        """3,000 units of one batch are applied, each judged by itself."""
        storage.commit([put(b"7", 0)])
        batch = [
            Unit(A, (Put(b"%d" % i, 0, b"b", i),), appends=(Append(b"s", i, b"e"),))
            for i in range(3_000)
        ]
        applied = storage.commit(batch)
        assert [i for i, ok in enumerate(applied) if not ok] == [7]
        assert len(applied) == 3_000
        assert [e.number for e in everything(storage)] == [i for i in range(3_000) if i != 7]

    def test_a_unit_may_be_large(self, storage: Storage) -> None:
        """1,000 changes of each kind in one unit are one unit."""
        numbers = range(1_000)
        unit = Unit(
            A,
            puts=tuple(Put(b"%d" % i, 0, b"b") for i in numbers),
            aliases=tuple(own(b"%d" % i, ALICE, sole=True) for i in numbers),
            appends=tuple(Append(ALICE, i, b"e") for i in numbers),
        )
        assert storage.commit([unit, unit]) == [True, False]
        assert len(storage.scan(A, b"", 10_000)) == 1_000
        assert storage.find(A, [b"%d" % i for i in numbers]) == [(ALICE,)] * 1_000
        assert [e.number for e in everything(storage)] == list(numbers)

    def test_a_question_may_be_large(self, storage: Storage) -> None:
        """3,000 keys or aliases of one call are answered one by one, in order."""
        names = [b"%d" % i for i in range(3_000)]
        storage.commit([Unit(A, (Put(b"2999", 0, b"b"),), (own(b"2999", BORIS),))])
        assert storage.load(A, names) == [None] * 2_999 + [Record(1, b"b")]
        assert storage.find(A, names) == [()] * 2_999 + [(BORIS,)]

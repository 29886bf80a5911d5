"""Compaction of an SQLite file: no old byte stays, nothing that is kept is lost, others go on."""

from __future__ import annotations

import secrets
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest

from abonent import SqliteStorage
from abonent.errors import IdentifierClosed, StoreUnavailable
from abonent.ports import AliasChange, Append, Put, Unit
from abonent.stores.sqlite_file import Compacted

HASTY = timedelta(milliseconds=50)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "abonent.db"


@pytest.fixture
def store(path):
    with closing(SqliteStorage(path, busy_timeout=HASTY)) as store:
        yield store


def raw(path):
    """All bytes that the store has on disk: the file, its log and its index."""
    return b"".join(each.read_bytes() for each in sorted(path.parent.iterdir()))


def fill(store, count=200):
    """Records and owners that are all deleted or replaced again; return what was in them."""
    old = [secrets.token_bytes(300) for _ in range(count)]
    keys = [b"key-%d" % number for number in range(count)]
    for key, body in zip(keys, old, strict=True):
        owner = AliasChange(body[:16], key, True)
        store.commit([Unit("m", (Put(key, 0, body, 7),), (owner,), (Append(b"s", 1, key),))])
    for number, (key, body) in enumerate(zip(keys, old, strict=True)):
        gone = AliasChange(body[:16], key, False)
        store.commit([Unit("m", (Put(key, 1, None if number % 2 else b"new"),), (gone,))])
    return old


def contents(store):
    return store.scan("m", b"", 10_000), store.journal("m", 0, 10_000)


def test_no_byte_of_what_was_deleted_stays(store, path):
    """Bodies and owners that were deleted or replaced are in no file; they were before."""
    old = fill(store)
    before = contents(store)
    pieces = [piece for body in old for piece in (body[:16], body[100:116], body[-16:])]
    data = raw(path)
    assert sum(each in data for each in pieces) > len(pieces) / 2

    done = store.compact()

    data = raw(path)
    assert [] == [each for each in pieces if each in data]
    assert before == contents(store)
    assert (path.stat().st_size, 0) == (done.after, path.with_name("abonent.db-wal").stat().st_size)
    assert done.before > done.after


def test_the_log_grows_again(store, path):
    """The commit after a compaction finds a log of the usual size, as the first one did."""
    log = path.with_name("abonent.db-wal")
    store.commit([Unit("m", (Put(b"k", 0, b"b"),))])
    usual = log.stat().st_size
    store.compact()
    assert 0 == log.stat().st_size
    store.commit([Unit("m", (Put(b"k", 1, b"b"),))])
    assert usual == log.stat().st_size


def test_the_file_is_the_same_one(store, path):
    """Another handle that is open sees what is there, writes, and may compact too."""
    fill(store, 10)
    before = contents(store)
    with closing(SqliteStorage(path, busy_timeout=HASTY)) as other:
        assert before == contents(other)
        store.compact()
        assert before == contents(other)
        assert [True] == other.commit([Unit("m", (Put(b"later", 0, b"b"),))])
        other.compact()
    assert [True] == store.commit([Unit("m", (Put(b"later", 1, b"c"),))])
    again = SqliteStorage(path)
    with closing(again):
        assert contents(store) == contents(again)


def test_twice_is_harmless(store):
    """What is compact stays as it is; an empty store can be compacted."""
    store.compact()
    fill(store, 10)
    once = store.compact()
    assert Compacted(before=once.after, after=once.after) == store.compact()


def test_who_reads_is_waited_for_and_named(store, path):
    """While another connection needs the log, it says so; nothing is lost, and then it is done."""
    old = fill(store)
    before = contents(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM record").fetchone()
        store.commit([Unit("m", (Put(b"key-0", 2, b"newer"),))])
        with pytest.raises(StoreUnavailable) as refused:
            store.compact()
        assert refused.value.retryable
        reader.execute("COMMIT")
        assert len(before[0]) == len(contents(store)[0])
    store.compact()
    assert [] == [each for each in old if each[:16] in raw(path)]


def test_who_writes_is_waited_for_and_named(store, path):
    """While another connection writes, it says so, and the writer goes on."""
    fill(store, 10)
    before = contents(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            store.compact()
        writer.execute("ROLLBACK")
    assert before == contents(store)


@pytest.mark.parametrize("which", ["_lock", "for_short", "for_long"])
def test_threads_of_this_store_are_waited_for(store, which):
    """A thread that keeps a connection for too long is named; its lock is the only one kept."""
    lock = store._lock if which == "_lock" else getattr(store, f"_{which}").lock
    with lock, pytest.raises(StoreUnavailable, match="other threads"):
        store.compact()
    store.compact()


@pytest.mark.parametrize("steps", [1, 10, 100])
def test_cut_short_it_leaves_everything(store, steps):
    """A compaction that is broken off at any step is said to be, and what is stored is whole."""
    fill(store, 50)
    before = contents(store)
    store._writer.set_progress_handler(lambda: 1, steps)
    try:
        with pytest.raises(StoreUnavailable):
            store.compact()
    finally:
        store._writer.set_progress_handler(None, 0)
    assert before == contents(store)
    store.compact()
    assert before == contents(store)


def test_threads_go_on_meanwhile(path):
    """Commits and reads beside compactions all succeed, and nothing of them is lost."""
    with closing(SqliteStorage(path)) as store, ThreadPoolExecutor(4) as pool:

        def write(thread):
            for number in range(50):
                key = b"%d-%d" % (thread, number)
                assert [True] == store.commit([Unit("m", (Put(key, 0, key),))])
                assert store.load("m", [key])[0].body == key

        writers = [pool.submit(write, thread) for thread in range(3)]
        compactions = 0
        while not all(each.done() for each in writers):
            store.compact()
            compactions += 1
        for each in writers:
            each.result()
        assert compactions
        assert 150 == len(store.scan("m", b"", 1000))


def test_a_closed_store_is_not_compacted(path):
    """It is refused as every other call is."""
    store = SqliteStorage(path)
    store.close()
    with pytest.raises(IdentifierClosed):
        store.compact()

"""SQLite keeps the contract, and fails in words of ours."""

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from abonent.errors import (
    IdentifierClosed,
    InvalidValue,
    RecordDamaged,
    StorageError,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    UsedAfterFork,
)
from abonent.ports import AliasChange, Append, Put, Record, StorageFeatures, Unit
from abonent.stores import SqliteStorage
from abonent.testing import StorageContract

AT_ONCE = timedelta(0)
SECRET = b"79161234567"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "abonent.db"


@pytest.fixture
def store(path):
    with closing(SqliteStorage(path)) as store:
        yield store


class TestSqliteStorage(StorageContract):
    @pytest.fixture
    def open_storage(self, path):
        # One that waits long: a busy machine is no reason for a test to fail.
        return lambda: SqliteStorage(path, busy_timeout=timedelta(seconds=60))


def put(key=b"k", expected=0, body=b"body"):
    return Unit("m", puts=(Put(key, expected, body),))


def test_it_says_what_it_can_do(store):
    """It promises to outlive a crash and to be shared by processes."""
    assert StorageFeatures(durable=True, shared=True) == store.features


def test_a_file_that_becomes_read_only_is_said(store):
    """A refusal to write says so and applies nothing."""
    store._writer.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreReadOnly):
        store.commit([put()])
    store._writer.execute("PRAGMA query_only = 0")
    assert store.commit([put()]) == [True]


# --- failing ----------------------------------------------------------------------------------


def test_a_locked_database_is_said_and_nothing_applied(path):
    """While another process keeps the lock, writing fails, reading goes on, retrying helps."""
    with (
        closing(SqliteStorage(path, busy_timeout=timedelta(milliseconds=10))) as store,
        closing(sqlite3.connect(path, isolation_level=None)) as other,
    ):
        store.commit([put(b"before")])
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable) as caught:
            store.commit([put()])
        assert caught.value.retryable
        assert store.load("m", [b"before", b"k"]) == [Record(1, b"body"), None]
        other.execute("ROLLBACK")
        assert store.commit([put()]) == [True]


def test_a_writer_that_is_kept_by_threads_is_said(path):
    """Waiting for other threads ends as waiting for other processes does."""
    with closing(SqliteStorage(path, busy_timeout=AT_ONCE)) as store, store._lock:
        with pytest.raises(StoreUnavailable):
            store.commit([put()])
        assert store.load("m", [b"k"]) == [None]


def test_a_full_disk_is_said_and_nothing_applied(store):
    """Where there is no room the batch is not applied; what fits afterwards is."""
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages + 2}").fetchall()
    with pytest.raises(StoreFull) as caught:
        store.commit([put(b"a"), put(b"b", body=SECRET * 10_000)])
    assert caught.value.retryable
    assert store.load("m", [b"a", b"b"]) == [None, None]
    assert store.commit([put(b"a")]) == [True]


def test_a_space_that_failed_is_not_remembered(store):
    """A space whose first commit failed is made by the next one."""
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages}").fetchall()
    with pytest.raises(StoreFull):
        store.commit([put(body=b"x" * 100_000)])
    store._writer.execute("PRAGMA max_page_count = 1000000").fetchall()
    assert store.commit([put()]) == [True]
    assert store._writer.execute("SELECT id, name FROM space").fetchall() == [(0, "m")]


def test_a_damaged_file_is_said(path):
    """Damage is reported as damage; nobody is told to delete the file."""
    with closing(SqliteStorage(path)) as store:
        store.commit([put(b"%d" % i, body=bytes(500)) for i in range(200)])
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = secrets.token_bytes(len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(RecordDamaged), closing(SqliteStorage(path)) as store:
        store.scan("m", b"", 1_000)


@pytest.mark.parametrize(
    "unit",
    [
        Unit("m", puts=(Put(b"k", 0, b"", 1 << 63),)),
        Unit("m", appends=(Append(b"s", 1 << 63, b""),)),
        Unit("\ud800", puts=(Put(b"k", 0, b""),)),
    ],
)
def test_what_cannot_be_held_is_refused(store, unit):
    """A number beyond 64 bits or a space that is not text is refused, and nothing applied."""
    with pytest.raises(InvalidValue):
        store.commit([put(b"neighbour"), unit])
    assert store.load("m", [b"neighbour", b"k"]) == [None, None]


def test_no_error_shows_what_is_stored(store):
    """Errors carry no row content, not even where SQLite quotes a table (I9)."""
    store._writer.execute("DROP TABLE journal")
    unit = Unit("m", puts=(Put(SECRET, 0, SECRET),), appends=(Append(SECRET, 1, SECRET),))
    with pytest.raises(StorageError) as caught:
        store.commit([unit])
    assert SECRET.decode() not in f"{caught.value!r} {caught.value} {caught.value.args}"
    assert caught.value.__cause__ is None
    assert store.load("m", [SECRET]) == [None]


def test_closing_while_others_read_and_write(path):
    """Calls that overlap a close end well or say that the store is closed, nothing else."""
    store = SqliteStorage(path)

    def use(i: int) -> None:
        for j in range(1_000):
            store.commit([put(b"%d-%d" % (i, j))])
            store.load("m", [b"%d" % n for n in range(30)])
            store.journal("m", 0, 10)

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(use, i) for i in range(4)]
        while not store.scan("m", b"", 20):
            pass
        store.close()
        for future in futures:
            assert isinstance(future.exception(30), IdentifierClosed)


def test_a_call_that_is_overtaken_by_a_close(path, monkeypatch):
    """What SQLite says of a connection that was closed in a call is said as what it is."""
    with closing(SqliteStorage(path)) as store:

        def closed(*_: object) -> None:
            store._closed = True
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")

        monkeypatch.setattr(store, "_space", closed)
        with pytest.raises(IdentifierClosed):
            store.load("m", [b"k"])


@pytest.mark.parametrize(
    ("lock", "call"),
    [
        ("_for_long", lambda store: store.journal("m", 0, 1)),
        ("_lock", lambda store: store.commit([put()])),
    ],
)
def test_who_waited_while_it_was_closed(path, lock, call):
    """Nothing is opened or written once the wait is over."""
    store = SqliteStorage(path)
    held = store._lock if lock == "_lock" else store._for_long.lock
    with ThreadPoolExecutor(1) as pool:
        with held:
            waiting = pool.submit(call, store)
            with pytest.raises(TimeoutError):
                waiting.result(0.1)
            store._closed = True
        assert isinstance(waiting.exception(30), IdentifierClosed)
    assert store._for_long.connection is None
    store.close()


def test_many_owners_are_read_as_of_one_instant(store):
    """An owner who moves between two statements of a reading is seen once."""
    aliases = [b"%03d" % each for each in range(501)]  # which takes two

    def owner(alias: bytes, present: bool) -> AliasChange:
        return AliasChange(alias, b"k", present)

    def moving(sql: str) -> None:
        reads.append(sql) if sql.startswith("SELECT alias") else None
        if len(reads) == 2:
            store.commit([Unit("m", (), (owner(aliases[0], True), owner(aliases[-1], False)))])

    reads: list[str] = []
    store.commit([Unit("m", (), (owner(aliases[-1], True),))])
    store.find("m", aliases)
    store._for_long.connection.set_trace_callback(moving)
    found = store.find("m", aliases)
    store._for_long.connection.set_trace_callback(None)
    assert 2 == len(reads)
    assert [(500, (b"k",))] == [(at, each) for at, each in enumerate(found) if each]
    assert [(b"k",), ()] == store.find("m", [aliases[0], aliases[-1]])


@pytest.mark.parametrize("after", [-1, -(1 << 40), -(1 << 62)])
def test_a_cursor_below_nothing_shows_no_other_journal(store, after):
    """Messengers share a table of entries, and neither sees the other's."""
    store.commit([Unit(space, appends=(Append(space.encode(), 1, b"e"),)) for space in "ab"])
    for space in "ab":
        assert [space.encode()] == [each.subject for each in store.journal(space, after, 9)]


def test_a_long_read_keeps_nobody(store):
    """While somebody reads at length, short reads and commits go on."""
    store.commit([put()])
    store.journal("m", 0, 1)
    with store._for_long.lock:
        assert store.load("m", [b"k"]) == [Record(1, b"body")]
        assert store.commit([put(expected=1)]) == [True]
        with store._lock:
            assert store.load("m", [b"k"]) == [Record(2, b"body")]


class Kept:
    """A connection of the parent's, which no child closes."""

    def close(self) -> None:
        os._exit(99)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_is_not_crossed(store):
    """In a forked child every method refuses; closing there leaves the parent's store alone."""
    store.commit([put()])
    calls = (
        lambda: store.load("m", [b"k"]),
        lambda: store.commit([put(b"child")]),
        lambda: store.find("m", [b"n"]),
        lambda: store.due("m", 0, 1, 1),
        lambda: store.journal("m", 0, 1),
        lambda: store.scan("m", b"", 1),
    )
    child = os.fork()
    if not child:
        refused = 0
        for call in calls:
            try:
                call()
            except UsedAfterFork:
                refused += 1
        store._writer = Kept()
        store.close()
        os._exit(refused)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == len(calls)
    assert store.load("m", [b"k", b"child"]) == [Record(1, b"body"), None]
    assert store.commit([put(expected=1)]) == [True]


# --- several processes ------------------------------------------------------------------------

PRELUDE = """
import sys
from datetime import timedelta
from abonent.ports import Append, Put, Unit
from abonent.stores import SqliteStorage
path, me = sys.argv[1], sys.argv[2].encode()
store = SqliteStorage(path, busy_timeout=timedelta(seconds=60))

def commit(unit):
    if store.commit([unit]) != [True]:
        sys.exit("a unit conflicted")
"""


def run(script: str, path: Path, me: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PRELUDE + script, str(path), me]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_create_and_write_at_once(path):
    """Processes that all create the file share one, and the journal skips nothing."""
    script = """
for i in range(20):
    commit(Unit("m", appends=(Append(me, i, b"e"),)))
store.close()
"""
    children = [run(script, path, str(i)) for i in range(4)]
    for child in children:
        child.communicate(timeout=60)
    assert [child.returncode for child in children] == [0] * 4
    with closing(SqliteStorage(path)) as store:
        entries = store.journal("m", 0, 1_000)
    assert list(range(1, 81)) == [e.cursor for e in entries]
    for me in range(4):
        assert list(range(20)) == [e.number for e in entries if e.subject == b"%d" % me]
    assert [path] == list(path.parent.iterdir())


def test_what_was_acknowledged_survives_a_kill(path):
    """A process killed at any moment loses no commit that returned, and leaves no half unit."""
    script = """
from itertools import count
for i in count(len(store.journal("m", 0, 1_000_000))):
    key = b"%d" % i
    unit = Unit("m", puts=(Put(key, 0, key, i),), appends=(Append(key, i, key),))
    commit(unit)
    print(i, flush=True)
"""
    for kill in range(5):
        child = run(script, path, "1")
        acknowledged = [int(child.stdout.readline()) for _ in range(3 + 7 * kill)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in child.communicate(timeout=60)[0].splitlines()]
        assert child.returncode == -signal.SIGKILL
        with closing(SqliteStorage(path)) as store:
            entries = store.journal("m", 0, 1_000_000)
            records = store.scan("m", b"", 1_000_000)
        assert set(acknowledged) <= {e.number for e in entries}
        assert list(range(len(entries))) == [e.number for e in entries]
        assert {e.subject for e in entries} == {key for key, _ in records}


# --- how it works -----------------------------------------------------------------------------


def test_every_commit_is_flushed(store):
    """The writer waits for the disk at each commit, and the log is a write-ahead log."""
    assert store._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._writer.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("secure_delete", 1), ("wal_autocheckpoint", 2000), ("journal_size_limit", 8 * 2000 * 4096)],
)
def test_how_a_file_is_written(store, pragma, value):
    """What was deleted is written over, and the log has a usual size and a greatest one."""
    assert (value,) == store._writer.execute(f"PRAGMA {pragma}").fetchone()


def test_readers_cannot_write(store):
    """A connection that reads refuses to write, whatever it is asked."""
    store.journal("m", 0, 1)
    with pytest.raises(sqlite3.OperationalError):
        store._for_long.connection.execute("DELETE FROM record")


def test_no_table_keeps_what_is_over(store):
    """After deleting records and owners nothing but the journal is left."""
    unit = Unit(
        "m", (Put(b"k", 0, b"b", 5),), (AliasChange(b"a", b"k", True),), (Append(b"s", 1, b"e"),)
    )
    store.commit([unit])
    store.due("m", 5, 1, 10)
    store.commit([Unit("m", (Put(b"k", 1, None),), (AliasChange(b"a", b"k", False),))])
    for table, rows in (("name", 0), ("record", 0), ("deadline", 0), ("alias", 0), ("journal", 1)):
        count = store._writer.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert (rows,) == count

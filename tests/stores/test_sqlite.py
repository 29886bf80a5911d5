"""SQLite keeps the contract, and fails in words of ours."""

import os
import secrets
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from abonent.errors import (
    AbonentError,
    IdentifierClosed,
    InvalidValue,
    RecordDamaged,
    StorageError,
    StoreForeign,
    StoreFull,
    StoreNewer,
    StoreReadOnly,
    StoreUnavailable,
    UsedAfterFork,
)
from abonent.ports import AliasChange, Append, Put, Record, StorageFeatures, Unit
from abonent.stores import SqliteStorage
from abonent.stores.sqlite_file import ours
from tests.contracts.storage import StorageContract

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


# --- the file ---------------------------------------------------------------------------------


def test_it_says_what_it_can_do(store):
    """It promises to outlive a crash and to be shared by processes."""
    assert StorageFeatures(durable=True, shared=True) == store.features


def test_the_files_are_for_their_owner_only(store, path):
    """Database, log and index are created with mode 0600, whatever the umask says."""
    store.commit([put()])
    modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in path.parent.iterdir()}
    expected = ("abonent.db", "abonent.db-shm", "abonent.db-wal")
    assert dict.fromkeys(expected, 0o600) == modes


def test_an_existing_mode_is_kept(path):
    """Opening changes no mode that somebody set on purpose."""
    SqliteStorage(path).close()
    path.chmod(0o640)
    SqliteStorage(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_creating_leaves_nothing_beside(path):
    """After creating and closing there is one file."""
    SqliteStorage(path).close()
    assert [path] == list(path.parent.iterdir())


def test_a_path_may_hold_any_character(tmp_path):
    """Characters that mean something in a URI or in SQL are only characters of a path."""
    path = tmp_path / "a?mode=memory&b#c%20 'Ж'.db"
    with closing(SqliteStorage(str(path))) as store:
        store.commit([put()])
    assert path.is_file()


def test_a_file_is_what_it_is(tmp_path):
    """SQLite's name for a database in memory is refused, not made a file of."""
    with pytest.raises(InvalidValue):
        SqliteStorage(":memory:")


@pytest.mark.parametrize(
    "content", [b"", b"x", b"not a database\n" * 1000, b"SQLite format 3\0", b"\0" * 4096]
)
def test_a_foreign_file_is_not_touched(path, content):
    """What is not a database is refused and stays as it was."""
    path.write_bytes(content)
    with pytest.raises(StoreForeign):
        SqliteStorage(path)
    assert path.read_bytes() == content
    assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_foreign_database_is_not_touched(path, mode):
    """A database of somebody else is refused and stays as it was, uncommitted log included."""
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
        other.execute("CREATE TABLE record (id INTEGER PRIMARY KEY)")
        other.commit()
        before = {f.name: f.read_bytes() for f in path.parent.iterdir() if f.suffix != ".db-shm"}
        with pytest.raises(StoreForeign):
            SqliteStorage(path)
        after = {f.name: f.read_bytes() for f in path.parent.iterdir() if f.suffix != ".db-shm"}
        assert before == after


def test_a_folder_is_not_a_database(tmp_path):
    """A path that is a folder is refused."""
    with pytest.raises(StoreForeign):
        SqliteStorage(tmp_path)


def test_a_newer_schema_is_refused(path):
    """A release does not write into a schema that it does not know."""
    SqliteStorage(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE schema SET version = 2")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(StoreNewer):
        SqliteStorage(path)
    assert before == path.read_bytes()


@pytest.mark.parametrize("statement", ["DELETE FROM schema", "UPDATE schema SET version = 'x'"])
def test_a_schema_without_a_version_is_refused(path, statement):
    """A database that bears our mark but does not say its version is not guessed at."""
    SqliteStorage(path).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute(statement)
        other.commit()
    with pytest.raises(StoreForeign):
        SqliteStorage(path)


def test_a_missing_folder_is_said(tmp_path):
    """A path in a folder that is not there cannot be opened."""
    with pytest.raises(StoreUnavailable):
        SqliteStorage(tmp_path / "missing" / "abonent.db")


@pytest.fixture
def unprivileged():
    """A folder for somebody whom file modes bind; the superuser becomes one for a while."""
    with tempfile.TemporaryDirectory() as name:
        if os.geteuid() == 0:
            os.chown(name, 65534, 65534)
            os.seteuid(65534)
            try:
                yield Path(name)
            finally:
                os.seteuid(0)
        else:
            yield Path(name)


def test_a_read_only_folder_is_said(unprivileged):
    """A database that cannot be created there is told apart from one that is out of reach."""
    unprivileged.chmod(0o500)
    try:
        with pytest.raises(StoreReadOnly):
            SqliteStorage(unprivileged / "abonent.db")
    finally:
        unprivileged.chmod(0o700)


def test_a_read_only_file_is_said(unprivileged):
    """A database that cannot be written is refused when it is opened, not at the first commit."""
    path = unprivileged / "abonent.db"
    SqliteStorage(path).close()
    path.chmod(0o400)
    with pytest.raises(StoreReadOnly):
        SqliteStorage(path)


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
    assert [(0, "m")] == store._writer.execute("SELECT id, name FROM space").fetchall()


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


def test_unknown_failures_are_still_ours():
    """An error of SQLite that has no meaning of its own becomes a `StorageError`."""
    for error in (sqlite3.ProgrammingError("no code"), sqlite3.DatabaseError("no code")):
        assert type(ours(error)) is StorageError
        assert "no code" not in str(ours(error))


@pytest.mark.parametrize("number", [28, 22, 13, 4095])
def test_system_errors_while_creating_are_ours(path, monkeypatch, number):
    """Whatever the operating system refuses while a file is created, no raw error crosses."""

    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageError):
        SqliteStorage(path)
    assert [] == list(path.parent.iterdir())


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
    assert not store._readers


def test_readers_are_kept_in_bounds(store):
    """However many threads read at once, only a few connections stay."""
    store.commit([put()])
    keys = [b"k"] * 50
    with ThreadPoolExecutor(32) as pool:
        for found in pool.map(lambda _: store.load("m", keys), range(500)):
            assert found == [Record(1, b"body")] * 50
    assert len(store._readers) <= 8


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
"""


def run(script: str, path: Path, me: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", PRELUDE + script, str(path), me]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_create_and_write_at_once(path):
    """Processes that all create the file share one, and the journal skips nothing."""
    script = """
for i in range(20):
    assert store.commit([Unit("m", appends=(Append(me, i, b"e"),))]) == [True]
store.close()
"""
    children = [run(script, path, str(i)) for i in range(4)]
    for child in children:
        child.communicate(timeout=60)
    assert [0] * 4 == [child.returncode for child in children]
    with closing(SqliteStorage(path)) as store:
        entries = store.journal("m", 0, 1_000)
    assert list(range(1, 81)) == [e.cursor for e in entries]
    for me in range(4):
        assert list(range(20)) == [e.number for e in entries if e.subject == b"%d" % me]
    assert [path] == list(path.parent.iterdir())


def test_many_handles_create_at_once(path):
    """Threads that all create the file share one."""
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: SqliteStorage(path), range(8)))
    for i, store in enumerate(stores):
        assert store.commit([put(b"%d" % i)]) == [True]
    assert len(stores[0].scan("m", b"", 100)) == 8
    for store in stores:
        store.close()


def test_what_was_acknowledged_survives_a_kill(path):
    """A process killed at any moment loses no commit that returned, and leaves no half unit."""
    script = """
from itertools import count
for i in count(len(store.journal("m", 0, 1_000_000))):
    key = b"%d" % i
    unit = Unit("m", puts=(Put(key, 0, key, i),), appends=(Append(key, i, key),))
    assert store.commit([unit]) == [True]
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
    assert ("wal",) == store._writer.execute("PRAGMA journal_mode").fetchone()
    assert (2,) == store._writer.execute("PRAGMA synchronous").fetchone()


def test_readers_cannot_write(store):
    """A connection that reads refuses to write, whatever it is asked."""
    store.journal("m", 0, 1)
    with pytest.raises(sqlite3.OperationalError):
        store._readers[0].execute("DELETE FROM record")


def test_the_log_is_grown_once(store, path):
    """The first commit gives the log its size; nothing of that change can be seen."""
    log = path.with_name(path.name + "-wal")
    store.commit([put()])
    size = log.stat().st_size
    assert size >= 2000 * 4096
    for i in range(1, 50):
        store.commit([put(expected=i)])
    assert log.stat().st_size == size
    assert path.stat().st_size < 1_000_000
    assert store.journal("m", 0, 10) == []


def test_a_log_that_cannot_be_grown_is_no_fault(path, monkeypatch):
    """Growing the log is an economy; a commit does not fail for it."""
    with closing(SqliteStorage(path)) as store:
        monkeypatch.setattr(Path, "stat", lambda _: (_ for _ in ()).throw(OSError("refused")))
        assert store.commit([put()]) == [True]


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


def test_every_error_is_of_the_family(path):
    """Opening a copy whose log belongs to another file fails in words of ours or not at all."""
    with closing(SqliteStorage(path)) as store:
        store.commit([put()])
        other = path.with_name("other.db")
        shutil.copy(path.with_name(path.name + "-wal"), other)
    with pytest.raises(AbonentError):
        SqliteStorage(other)

"""The file under the store: created whole, recognised before it is touched, refused in words."""

import os
import shutil
import sqlite3
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from abonent.errors import (
    AbonentError,
    InvalidValue,
    StorageError,
    StoreForeign,
    StoreNewer,
    StoreReadOnly,
    StoreUnavailable,
)
from abonent.ports import Put, Unit
from abonent.stores import SqliteStorage
from abonent.stores.sqlite_file import ours


@pytest.fixture
def path(tmp_path):
    return tmp_path / "abonent.db"


@pytest.fixture
def store(path):
    with closing(SqliteStorage(path)) as store:
        yield store


def put(key=b"k", expected=0, body=b"body"):
    return Unit("m", puts=(Put(key, expected, body),))


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


def test_the_name_of_a_new_file_is_flushed(path, monkeypatch):
    """Or a power cut takes it, with all that was acknowledged."""
    fsync, flushed = os.fsync, []
    monkeypatch.setattr(
        os, "fsync", lambda file: [flushed.append(os.fstat(file).st_ino), fsync(file)]
    )
    SqliteStorage(path).close()
    assert path.parent.stat().st_ino in flushed


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


def test_nobody_waits_for_less_than_no_time(path):
    """A negative time-out, which a lock takes for ever, is refused before a file is made."""
    with pytest.raises(InvalidValue, match="not negative"):
        SqliteStorage(path, busy_timeout=timedelta(seconds=-1))
    assert [] == list(path.parent.iterdir())


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


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM schema", "UPDATE schema SET version = 'x'", "UPDATE schema SET version = 0"],
)
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


def test_a_folder_that_became_read_only_is_said(unprivileged):
    """A database that is there needs its folder too, for the log beside it."""
    SqliteStorage(unprivileged / "abonent.db").close()
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


def test_many_handles_create_at_once(path):
    """Threads that all create the file share one."""
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: SqliteStorage(path), range(8)))
    for i, store in enumerate(stores):
        assert store.commit([put(b"%d" % i)]) == [True]
    assert len(stores[0].scan("m", b"", 100)) == 8
    for store in stores:
        store.close()


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


@pytest.mark.parametrize("number", [28, 22, 13, 4095])
def test_system_errors_while_creating_are_ours(path, monkeypatch, number):
    """Whatever the operating system refuses while a file is created, no raw error crosses."""

    def refuse(*_: object) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(StorageError):
        SqliteStorage(path)
    assert list(path.parent.iterdir()) == []


def test_unknown_failures_are_still_ours():
    """An error of SQLite that has no meaning of its own becomes a `StorageError`."""
    for error in (sqlite3.ProgrammingError("no code"), sqlite3.DatabaseError("no code")):
        assert type(ours(error)) is StorageError
        assert "no code" not in str(ours(error))


def test_every_error_is_of_the_family(path):
    """Opening a copy whose log belongs to another file fails in words of ours or not at all."""
    with closing(SqliteStorage(path)) as store:
        store.commit([put()])
        other = path.with_name("other.db")
        shutil.copy(path.with_name(path.name + "-wal"), other)
    with pytest.raises(AbonentError):
        SqliteStorage(other)

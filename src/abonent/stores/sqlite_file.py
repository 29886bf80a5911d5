"""The file under `SqliteStorage`: how it is created, recognised and opened, and how it fails.

Knows the schema, the settings of a connection, and what SQLite's refusals mean.
Refuses to know what is stored: no text of an error shows any of it.
"""

from __future__ import annotations

import errno
import os
import secrets
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from abonent.errors import (
    AbonentError,
    InvalidValue,
    RecordDamaged,
    StorageError,
    StoreForeign,
    StoreFull,
    StoreNewer,
    StoreReadOnly,
    StoreUnavailable,
)

APPLICATION_ID: Final = int.from_bytes(b"abon")
SCHEMA_VERSION: Final = 1
# Records and the journal grow at their ends and keys are looked up beside them, so that commits
# which fall together write the same few pages. A record remembers its deadline, so that deadlines
# need one index and no table. What else was measured: docs/adr/0002-storage-layout.md.
_SCHEMA: Final = """
    CREATE TABLE schema (version INTEGER NOT NULL);
    CREATE TABLE space (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE name (
        space INTEGER NOT NULL, key BLOB NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (space, key)
    ) WITHOUT ROWID;
    CREATE TABLE record (
        id INTEGER PRIMARY KEY, version INTEGER NOT NULL, wake INTEGER, body BLOB NOT NULL
    );
    CREATE TABLE deadline (
        space INTEGER NOT NULL, at INTEGER NOT NULL, key BLOB NOT NULL,
        PRIMARY KEY (space, at, key)
    ) WITHOUT ROWID;
    CREATE TABLE alias (
        space INTEGER NOT NULL, alias BLOB NOT NULL, owner BLOB NOT NULL,
        PRIMARY KEY (space, alias, owner)
    ) WITHOUT ROWID;
    CREATE TABLE journal (
        cursor INTEGER PRIMARY KEY, subject BLOB NOT NULL, number INTEGER NOT NULL,
        body BLOB NOT NULL
    );
"""

# Checkpoints come this many pages apart: pages written again in between are copied back once.
_LOG_PAGES: Final = 2000
_LOG_BYTES: Final = _LOG_PAGES * 4096
_LOG_LIMIT: Final = 8 * _LOG_BYTES
_WRITER_CACHE_KIB: Final = 16_384


def connect(path: Path, how: str, patience: float) -> sqlite3.Connection:
    """Open a connection that commits only when told; `how` is a parameter of SQLite's URI."""
    return sqlite3.connect(
        f"{path.as_uri()}?{how}",
        uri=True,
        timeout=patience,
        isolation_level=None,
        check_same_thread=False,
    )


def create(path: Path) -> None:
    """Build a database beside the path and link it there, unless somebody else was first."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    # Before SQLite does it: its own files would be readable by others. It gives log and index the
    # mode of the database.
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        connection = connect(draft, "mode=rw", 0)
        try:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
            connection.execute("INSERT INTO schema VALUES (?)", (SCHEMA_VERSION,))
        finally:
            connection.close()
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        for suffix in ("", "-journal", "-wal", "-shm"):
            draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # or a power cut takes the name, and with it what was acknowledged
    finally:
        os.close(folder)


def refuse_foreign(path: Path) -> None:
    """Refuse what is not ours before SQLite may recover, lock or convert it.

    An immutable connection only reads. The file is never opened by hand: closing it would drop
    the locks that this process holds on it through SQLite.
    """
    if not path.is_file():
        raise StoreForeign("the path is not a file")
    connection = connect(path, "immutable=1", 0)
    try:
        # Who died while copying the log back left a file shorter than its first page says. SQLite
        # calls that corrupt where it may not look into the log, except to who may mend a schema.
        connection.execute("PRAGMA writable_schema = 1")
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    finally:
        connection.close()
    if application != APPLICATION_ID:
        raise StoreForeign("the file is not an abonent database")
    effective = os.access in os.supports_effective_ids
    if not all(os.access(p, os.W_OK, effective_ids=effective) for p in (path, path.parent)):
        raise StoreReadOnly("the database or its folder cannot be written")


def prepare_writer(connection: sqlite3.Connection) -> None:
    """Check the schema's version and make the connection one that writes."""
    (version,) = connection.execute("SELECT max(version) FROM schema").fetchone()
    if not isinstance(version, int) or version < 1:
        raise StoreForeign("the database says nothing of its schema")
    if version > SCHEMA_VERSION:
        raise StoreNewer("the schema is newer than this release")
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "secure_delete = ON",  # what was forgotten is written over, not only let go
        f"wal_autocheckpoint = {_LOG_PAGES}",
        f"journal_size_limit = {_LOG_LIMIT}",
        f"cache_size = {-_WRITER_CACHE_KIB}",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def grow_log(connection: sqlite3.Connection, path: Path) -> None:
    """Let the log reach its usual size at once, by a big change that is taken back.

    Flushing a file that grows costs a half more than flushing one that is written over. Where
    this fails, for example for want of room, nothing is lost but that.
    """
    log = path.with_name(path.name + "-wal")
    try:
        if log.stat().st_size >= _LOG_BYTES:
            return
        connection.execute("PRAGMA cache_size = 16")  # so that the change does not stay in memory
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO journal VALUES (-1, x'', 0, zeroblob(?))", (_LOG_BYTES,))
    except (OSError, sqlite3.Error):
        pass
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute(f"PRAGMA cache_size = {-_WRITER_CACHE_KIB}")


# --- compaction -----------------------------------------------------------------------


@frozen(kw_only=True)
class Compacted:
    """What a compaction did: bytes of the file and its log, before and after."""

    before: int
    after: int


def compact(connection: sqlite3.Connection, path: Path) -> Compacted:
    """Write the file anew and empty its log.

    The new file is written into the log first, as any other change is: who dies in the middle
    leaves what was there. It counts only when the log was copied back whole and cut off.

    Raises:
        StoreUnavailable: another connection still needs what the log holds.
    """
    before = _size(path)
    _empty_log(connection)  # or the copy would be written behind all that is in it
    connection.execute("VACUUM")
    _empty_log(connection)
    return Compacted(before=before, after=_size(path))


def _empty_log(connection: sqlite3.Connection) -> None:
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreUnavailable("another connection keeps the log of the database")


def _size(path: Path) -> int:
    log = path.with_name(path.name + "-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


# --- errors -------------------------------------------------------------------------


def of_system(error: OSError) -> StorageError:
    """What an error of the operating system means."""
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreReadOnly("the database cannot be created there")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull("there is no room for the database")
    return StoreUnavailable(
        f"the database cannot be opened ({errno.errorcode.get(error.errno or 0)})"
    )


_MEANING: Final[dict[int, tuple[type[AbonentError], str]]] = {
    sqlite3.SQLITE_BUSY: (StoreUnavailable, "another process kept the database"),
    sqlite3.SQLITE_LOCKED: (StoreUnavailable, "another connection kept a table"),
    sqlite3.SQLITE_PROTOCOL: (StoreUnavailable, "the database could not be locked"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailable, "the database cannot be opened"),
    sqlite3.SQLITE_IOERR: (StoreUnavailable, "the file system failed"),
    sqlite3.SQLITE_NOMEM: (StoreUnavailable, "there is no memory"),
    sqlite3.SQLITE_INTERRUPT: (StoreUnavailable, "the statement was interrupted"),
    sqlite3.SQLITE_FULL: (StoreFull, "there is no room to write"),
    sqlite3.SQLITE_READONLY: (StoreReadOnly, "the database cannot be written"),
    sqlite3.SQLITE_PERM: (StoreReadOnly, "the database may not be written"),
    sqlite3.SQLITE_NOTADB: (StoreForeign, "the file is not a database"),
    sqlite3.SQLITE_CORRUPT: (RecordDamaged, "the database file is damaged"),
    sqlite3.SQLITE_TOOBIG: (InvalidValue, "a value is too big for SQLite"),
}


def ours(error: sqlite3.Error) -> AbonentError:
    """What an error of SQLite means, without its text: that may quote what was bound."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return StorageError(f"SQLite's driver refused the call ({type(error).__name__})")
    kind, text = _MEANING.get(code & 0xFF, (StorageError, "SQLite failed"))
    return kind(f"{text} ({error.sqlite_errorname})")

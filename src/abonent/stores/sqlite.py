"""A store in one SQLite file.

Knows tables, transactions, and the locks between threads.
Refuses to know what is in the bytes it keeps, and how the file under it came to be.

1. A file at the path is complete from its first moment: it is built beside it and then linked.
2. One connection writes, under one lock. Others read, and see only what was flushed.
3. A batch is judged in memory against what is stored, then written by a few statements.
"""

from __future__ import annotations

import functools
import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from abonent.errors import IdentifierClosed, InvalidValue, StoreUnavailable, UsedAfterFork
from abonent.ports import Entry, Record, StorageFeatures, Unit
from abonent.stores.batches import Batch, Name, aliases_judged, keys_put
from abonent.stores.sqlite_file import (
    Compacted,
    compact,
    connect,
    create,
    grow_log,
    of_one_instant,
    of_system,
    ours,
    prepare_writer,
    refuse_foreign,
)
from abonent.stores.sqlite_rows import (
    CURSOR_BITS,
    IN_ONE,
    LAST_CURSOR,
    MOVE_DEADLINE,
    Stored,
    owners_of,
    records_held,
    select_in,
    write_aliases,
    write_deadlines,
    write_journal,
    write_records,
)

# Reads up to this size are short: they never wait for a long one, and use the writer's connection
# if it is idle, whose pages are still in memory where a reader has to fetch them after a commit.
_SHORT: Final = 16

_RECORDS: Final = "SELECT n.key, r.version, r.body FROM name n JOIN record r ON r.id = n.id"

_P = ParamSpec("_P")
_T = TypeVar("_T")


def _guarded(
    method: Callable[Concatenate[SqliteStorage, _P], _T],
) -> Callable[Concatenate[SqliteStorage, _P], _T]:
    """Refuse a store that cannot be used, and let no error of SQLite or of binding cross."""

    @functools.wraps(method)
    def guarded(self: SqliteStorage, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        self._check_usable()
        try:
            return method(self, *args, **kwargs)
        except sqlite3.Error as error:
            self._check_usable()  # closed meanwhile, by another thread
            raise ours(error) from None
        except (OverflowError, UnicodeError):
            raise InvalidValue("a number or text that SQLite cannot hold") from None

    return guarded


class _Reader:
    """A connection for one thread at a time, opened when it is first needed.

    More of them would not read faster under one interpreter lock, but keep the writer from it.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connection: sqlite3.Connection | None = None


class SqliteStorage:
    """Keeps everything in one file, which several threads and processes may use at once.

    `path` names an abonent database, or nothing yet: then one is created that only its owner may
    read. `territory` is the country where the file lies, ISO 3166-1 alpha-2, as you declare: rules
    in force may demand one, and an identifier under them is refused without it. `busy_timeout` is
    how long a writer waits for the others.

    Raises:
        InvalidValue: not a path of a file, not a territory, or a negative time.
        StoreForeign: the file is not an abonent database; it was not touched.
        StoreNewer: it was written by a newer release.
        StoreReadOnly: file or folder cannot be written.
        StoreUnavailable, StoreFull: it cannot be opened or created now.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        territory: str | None = None,
        busy_timeout: timedelta = timedelta(seconds=5),
    ) -> None:
        self._features = StorageFeatures(durable=True, shared=True, territory=territory)
        if os.fspath(path) == ":memory:":
            raise InvalidValue("a SqliteStorage is a file; use MemoryStorage")
        if busy_timeout < timedelta(0):  # -1 would be for ever, to a lock
            raise InvalidValue("the time to wait for others is not negative")
        self._path = Path(path).absolute()
        self._patience = busy_timeout.total_seconds()
        self._pid = os.getpid()
        self._closed = False
        self._lock = threading.Lock()
        self._for_short = _Reader()
        self._for_long = _Reader()
        self._spaces: dict[str, int] = {}
        self._log_grown = False
        try:
            self._writer = self._open()
        except OSError as error:
            raise of_system(error) from None
        except sqlite3.Error as error:
            raise ours(error) from None

    @property
    def features(self) -> StorageFeatures:
        """Durable and shared, where its owner says."""
        return self._features

    # --- reading ---------------------------------------------------------------------

    @_guarded
    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        """See `Storage.load`."""
        sql = f"{_RECORDS} WHERE n.space = ? AND n.key"

        def work(connection: sqlite3.Connection) -> list[Record | None]:
            with of_one_instant(connection, len(keys) > IN_ONE):
                rows = select_in(connection, sql, self._space(connection, space), keys)
            found = {key: Record(version, body) for key, version, body in rows}
            return [found.get(key) for key in keys]

        return self._read(work, short=len(keys) <= _SHORT)

    @_guarded
    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        """See `Storage.find`."""

        def work(connection: sqlite3.Connection) -> list[tuple[bytes, ...]]:
            with of_one_instant(connection, len(aliases) > IN_ONE):
                found = owners_of(connection, self._space(connection, space), aliases)
            return [tuple(sorted(found.get(alias, ()))) for alias in aliases]

        return self._read(work, short=len(aliases) <= _SHORT)

    @_guarded
    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        """See `Storage.journal`. Cursors count from 1 in each space."""
        sql = (
            "SELECT cursor, subject, number, body FROM journal"
            " WHERE cursor > ? AND cursor <= ? ORDER BY cursor LIMIT ?"
        )

        def work(connection: sqlite3.Connection) -> list[Entry]:
            sid = self._space(connection, space)
            if sid is None:
                return []
            base = sid << CURSOR_BITS
            first = min(max(after, 0), LAST_CURSOR)
            rows = connection.execute(sql, (base + first, base + LAST_CURSOR, max(limit, 0)))
            return [Entry(row[0] - base, *row[1:]) for row in rows.fetchall()]

        return self._read(work)

    @_guarded
    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        """See `Storage.scan`."""
        # An empty key is a key; only an empty `after` means the beginning.
        sql = f"{_RECORDS} WHERE n.space = ? AND n.key >= ? AND (n.key > ? OR ? = x'')"
        sql += " ORDER BY n.key LIMIT ?"

        def work(connection: sqlite3.Connection) -> list[tuple[bytes, Record]]:
            sid = self._space(connection, space)
            rows = connection.execute(sql, (sid, after, after, after, max(limit, 0)))
            return [(key, Record(version, body)) for key, version, body in rows.fetchall()]

        return self._read(work)

    # --- writing ---------------------------------------------------------------------

    @_guarded
    def commit(self, units: Sequence[Unit]) -> list[bool]:
        """See `Storage.commit`."""
        if not units:
            return []

        def work(connection: sqlite3.Connection) -> tuple[list[bool], dict[str, int]]:
            ids = {space: self._made_space(connection, space) for space in {u.space for u in units}}
            held: dict[Name, Stored] = {}
            owners: dict[Name, set[bytes]] = {}
            for space, sid in ids.items():
                here = units if len(ids) == 1 else [u for u in units if u.space == space]
                held.update(records_held(connection, sid, keys_put(here)))
                if judged := aliases_judged(here):
                    found = owners_of(connection, sid, judged)
                    owners.update({(sid, alias): found.get(alias, set()) for alias in judged})
            batch = Batch({name: row[1] for name, row in held.items()}, owners)
            applied = [batch.take(ids[unit.space], unit) for unit in units]
            write_records(connection, held, batch.records)
            write_deadlines(connection, held, batch.records)
            write_aliases(connection, batch.aliases)
            write_journal(connection, batch.entries)
            return applied, ids

        applied, ids = self._write(work)
        self._spaces.update(ids)
        return applied

    @_guarded
    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        """See `Storage.due`. Of equal deadlines the smaller key comes first."""
        if limit <= 0 or not self._read(lambda c: self._ripe(c, space, now, 1), short=True):
            return []  # the usual answer, and it need not wait for a writer

        def work(connection: sqlite3.Connection) -> list[bytes]:
            ripe = self._ripe(connection, space, now, limit)
            connection.executemany(MOVE_DEADLINE, ((now + lease, *row) for row in ripe))
            connection.executemany(
                "UPDATE record SET wake = ?"
                " WHERE id = (SELECT id FROM name WHERE space = ? AND key = ?)",
                ((now + lease, sid, key) for sid, _, key in ripe),
            )
            return [key for _, _, key in ripe]

        return self._write(work)

    @_guarded
    def compact(self) -> Compacted:
        """Leave no byte of what was deleted or replaced in file, log or index; after `forget`.

        The file is written anew, without what is free in it, and its log is emptied. Others may use
        the store meanwhile: who writes waits, and where one of them still reads what was there
        before, it says so. It takes room for another copy of the file, and as long as copying it.

        Raises:
            StoreUnavailable: others kept the store for all of `busy_timeout`. What is stored is
                whole; old bytes may be left, so try again.
            StoreFull: there is no room for the copy.
        """
        with ExitStack() as held:
            for lock in (self._for_short.lock, self._for_long.lock, self._lock):
                if not lock.acquire(timeout=self._patience):
                    raise StoreUnavailable("other threads kept the store")
                held.callback(lock.release)
            self._log_grown = False  # it is emptied here, and grows again with the next commit
            return compact(self._writer, self._path)

    def close(self) -> None:
        """Release the connections. In a forked child nothing is: they are the parent's."""
        self._closed = True
        if os.getpid() != self._pid:
            return
        for reader in (self._for_short, self._for_long):
            with reader.lock, suppress(sqlite3.Error):
                if reader.connection is not None:
                    reader.connection.close()
        with self._lock, suppress(sqlite3.Error):
            self._writer.close()

    # --- connections -----------------------------------------------------------------

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise UsedAfterFork("the store was opened by the parent of this process")
        if self._closed:
            raise IdentifierClosed("the store was closed")

    def _open(self) -> sqlite3.Connection:
        if not self._path.exists():
            create(self._path)
        refuse_foreign(self._path)
        connection = connect(self._path, "mode=rw", self._patience)
        try:
            prepare_writer(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _read(self, work: Callable[[sqlite3.Connection], _T], *, short: bool = False) -> _T:
        """Read what is committed: the writer's lock is free only where no transaction is open."""
        if short and self._lock.acquire(blocking=False):
            try:
                return work(self._writer)
            finally:
                self._lock.release()
        reader = self._for_short if short else self._for_long
        with reader.lock:
            self._check_usable()
            if reader.connection is None:
                reader.connection = connect(self._path, "mode=rw", self._patience)
                reader.connection.execute("PRAGMA query_only = 1")
            return work(reader.connection)

    def _write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run `work` as one transaction, flushed when this returns."""
        if not self._lock.acquire(timeout=self._patience):
            raise StoreUnavailable("other threads kept the writer")
        try:
            self._check_usable()
            connection = self._writer
            if not self._log_grown:
                self._log_grown = True
                grow_log(connection, self._path)
            try:
                connection.execute("BEGIN IMMEDIATE")
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result
        finally:
            self._lock.release()

    # --- small parts of the above ----------------------------------------------------

    def _space(self, connection: sqlite3.Connection, space: str) -> int | None:
        """The id of a space; None, which equals nothing in SQL, where there is none."""
        sid = self._spaces.get(space)
        if sid is None:
            row = connection.execute("SELECT id FROM space WHERE name = ?", (space,)).fetchone()
            if row is None:
                return None
            sid = self._spaces[space] = row[0]
        return sid

    def _made_space(self, connection: sqlite3.Connection, space: str) -> int:
        """The same inside a transaction, where it is made; remembered only after the commit."""
        sid = self._spaces.get(space)
        if sid is None:
            connection.execute(
                "INSERT OR IGNORE INTO space SELECT ifnull(max(id) + 1, 0), ? FROM space", (space,)
            )
            row = connection.execute("SELECT id FROM space WHERE name = ?", (space,)).fetchone()
            sid = int(row[0])
        return sid

    def _ripe(
        self, connection: sqlite3.Connection, space: str, now: int, limit: int
    ) -> list[tuple[int, int, bytes]]:
        return connection.execute(
            "SELECT space, at, key FROM deadline WHERE space = ? AND at <= ?"
            " ORDER BY at, key LIMIT ?",
            (self._space(connection, space), now, limit),
        ).fetchall()

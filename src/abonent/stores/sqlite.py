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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from abonent.errors import IdentifierClosed, InvalidValue, StoreUnavailable, UsedAfterFork
from abonent.ports import Append, Entry, Record, StorageFeatures, Unit
from abonent.stores.batches import Batch, Name, Written, aliases_judged, keys_put
from abonent.stores.sqlite_file import (
    connect,
    create,
    grow_log,
    of_one_instant,
    of_system,
    ours,
    prepare_writer,
    refuse_foreign,
)

# A journal row's id is its space in the upper bits and its cursor in the lower 40: the entries of
# a space are one range of the table, and no index is needed to find them.
_CURSOR_BITS: Final = 40
_LAST_CURSOR: Final = (1 << _CURSOR_BITS) - 1
# Far below any limit on variables; few different lengths, so that statements are found prepared.
_CHUNKS: Final = (1, 8, 64, 500)
# Reads up to this size are short: they never wait for a long one, and use the writer's connection
# if it is idle, whose pages are still in memory where a reader has to fetch them after a commit.
_SHORT: Final = 16

_RECORDS: Final = "SELECT n.key, r.version, r.body FROM name n JOIN record r ON r.id = n.id"
_MOVE: Final = "UPDATE deadline SET at = ? WHERE space = ? AND at = ? AND key = ?"

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Row = tuple[object, ...]
_Held = tuple[int, int, int | None]  # id, version, wake


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
    read. `busy_timeout` is how long a writer waits for the others.

    Raises:
        StoreForeign: the file is not an abonent database; it was not touched.
        StoreNewer: it was written by a newer release.
        StoreReadOnly: file or folder cannot be written.
        StoreUnavailable, StoreFull: it cannot be opened or created now.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, busy_timeout: timedelta = timedelta(seconds=5)
    ) -> None:
        if os.fspath(path) == ":memory:":
            raise InvalidValue("a SqliteStorage is a file; use MemoryStorage")
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
        """Durable and shared."""
        return StorageFeatures(durable=True, shared=True)

    # --- reading ---------------------------------------------------------------------

    @_guarded
    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        """See `Storage.load`."""
        sql = f"{_RECORDS} WHERE n.space = ? AND n.key"

        def work(connection: sqlite3.Connection) -> list[Record | None]:
            with of_one_instant(connection, len(keys) > _CHUNKS[-1]):
                rows = _select_in(connection, sql, self._space(connection, space), keys)
            found = {key: Record(version, body) for key, version, body in rows}
            return [found.get(key) for key in keys]

        return self._read(work, short=len(keys) <= _SHORT)

    @_guarded
    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        """See `Storage.find`."""

        def work(connection: sqlite3.Connection) -> list[tuple[bytes, ...]]:
            with of_one_instant(connection, len(aliases) > _CHUNKS[-1]):
                found = _owners(connection, self._space(connection, space), aliases)
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
            base = sid << _CURSOR_BITS
            first = min(max(after, 0), _LAST_CURSOR)
            rows = connection.execute(sql, (base + first, base + _LAST_CURSOR, max(limit, 0)))
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
            held: dict[Name, _Held] = {}
            owners: dict[Name, set[bytes]] = {}
            for space, sid in ids.items():
                here = units if len(ids) == 1 else [u for u in units if u.space == space]
                held.update(_held(connection, sid, keys_put(here)))
                if judged := aliases_judged(here):
                    found = _owners(connection, sid, judged)
                    owners.update({(sid, alias): found.get(alias, set()) for alias in judged})
            batch = Batch({name: row[1] for name, row in held.items()}, owners)
            applied = [batch.take(ids[unit.space], unit) for unit in units]
            _write_records(connection, held, batch.records)
            _write_deadlines(connection, held, batch.records)
            _write_aliases(connection, batch.aliases)
            _write_journal(connection, batch.entries)
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
            connection.executemany(_MOVE, ((now + lease, *row) for row in ripe))
            connection.executemany(
                "UPDATE record SET wake = ?"
                " WHERE id = (SELECT id FROM name WHERE space = ? AND key = ?)",
                ((now + lease, sid, key) for sid, _, key in ripe),
            )
            return [key for _, _, key in ripe]

        return self._write(work)

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


def _write_records(
    connection: sqlite3.Connection, held: Mapping[Name, _Held], written: Mapping[Name, Written]
) -> None:
    """Sort what becomes of records by what is there, then run the few statements it takes."""
    born: list[_Row] = []
    named: list[_Row] = []
    changed: list[_Row] = []
    gone: list[_Row] = []
    unnamed: list[_Row] = []
    next_id = 0
    for name, (version, body, wake) in written.items():
        if name in held:
            if body is not None:
                changed.append((version, wake, body, held[name][0]))
            else:
                gone.append((held[name][0],))
                unnamed.append(name)
        elif body is not None:
            next_id = next_id or _after_last(connection, "SELECT max(id) FROM record")
            born.append((next_id, version, wake, body))
            named.append((*name, next_id))
            next_id += 1
    _run(connection, "INSERT INTO name VALUES (?, ?, ?)", named)
    _run(connection, "INSERT INTO record VALUES (?, ?, ?, ?)", born)
    _run(connection, "UPDATE record SET version = ?, wake = ?, body = ? WHERE id = ?", changed)
    _run(connection, "DELETE FROM name WHERE space = ? AND key = ?", unnamed)
    _run(connection, "DELETE FROM record WHERE id = ?", gone)


def _write_deadlines(
    connection: sqlite3.Connection, held: Mapping[Name, _Held], written: Mapping[Name, Written]
) -> None:
    begun: list[_Row] = []
    moved: list[_Row] = []
    ended: list[_Row] = []
    for name, (_, _, wake) in written.items():
        before = held[name][2] if name in held else None
        if before == wake:
            continue
        if before is None:
            begun.append((name[0], wake, name[1]))
        elif wake is None:
            ended.append((name[0], before, name[1]))
        else:
            moved.append((wake, name[0], before, name[1]))
    _run(connection, "INSERT INTO deadline VALUES (?, ?, ?)", begun)
    _run(connection, _MOVE, moved)
    _run(connection, "DELETE FROM deadline WHERE space = ? AND at = ? AND key = ?", ended)


def _write_aliases(
    connection: sqlite3.Connection, aliases: Mapping[tuple[int, bytes, bytes], bool]
) -> None:
    added = [row for row, present in aliases.items() if present]
    removed = [row for row, present in aliases.items() if not present]
    _run(connection, "INSERT OR IGNORE INTO alias VALUES (?, ?, ?)", added)
    _run(connection, "DELETE FROM alias WHERE space = ? AND alias = ? AND owner = ?", removed)


def _write_journal(connection: sqlite3.Connection, entries: Mapping[int, Sequence[Append]]) -> None:
    for sid, new in entries.items():
        base = sid << _CURSOR_BITS
        last = "SELECT max(cursor) FROM journal WHERE cursor >= ? AND cursor <= ?"
        first = _after_last(connection, last, base, base + _LAST_CURSOR) or base + 1
        rows = [(i, e.subject, e.number, e.body) for i, e in enumerate(new, first)]
        _run(connection, "INSERT INTO journal VALUES (?, ?, ?, ?)", rows)


# --- statements ---------------------------------------------------------------------


def _run(connection: sqlite3.Connection, sql: str, rows: Sequence[_Row]) -> None:
    if rows:
        connection.executemany(sql, rows)


def _after_last(connection: sqlite3.Connection, sql: str, *bounds: int) -> int:
    (last,) = connection.execute(sql, bounds).fetchone()
    return 0 if last is None else int(last) + 1


def _select_in(
    connection: sqlite3.Connection, sql: str, sid: int | None, values: Sequence[bytes]
) -> list[tuple[Any, ...]]:
    """Run a statement that ends in a column for all these values of it, in chunks."""
    if sid is None:
        return []
    if len(values) == 1:
        return connection.execute(f"{sql} = ?", (sid, values[0])).fetchall()
    rows: list[tuple[Any, ...]] = []
    wanted = list(dict.fromkeys(values))
    while wanted:
        size = next((size for size in _CHUNKS if size >= len(wanted)), _CHUNKS[-1])
        chunk, wanted = wanted[:size], wanted[size:]
        chunk += chunk[-1:] * (size - len(chunk))
        marks = ",".join("?" * size)
        rows += connection.execute(f"{sql} IN ({marks})", (sid, *chunk)).fetchall()
    return rows


def _held(connection: sqlite3.Connection, sid: int, keys: Sequence[bytes]) -> dict[Name, _Held]:
    sql = (
        "SELECT n.key, r.id, r.version, r.wake FROM name n JOIN record r ON r.id = n.id"
        " WHERE n.space = ? AND n.key"
    )
    return {(sid, row[0]): row[1:] for row in _select_in(connection, sql, sid, keys)}


def _owners(
    connection: sqlite3.Connection, sid: int | None, aliases: Sequence[bytes]
) -> dict[bytes, set[bytes]]:
    owners: dict[bytes, set[bytes]] = {}
    sql = "SELECT alias, owner FROM alias WHERE space = ? AND alias"
    for alias, owner in _select_in(connection, sql, sid, aliases):
        owners.setdefault(alias, set()).add(owner)
    return owners

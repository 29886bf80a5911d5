"""A store on PostgreSQL, for as many processes as there are.

Knows statements, and when the server has to be asked again. Refuses to know what is in the bytes.

1. A commit is taken to succeed: what it leads to is worked out here and sent as one statement, in
   which the server compares. Where something is not as it was taken to be, nothing was changed,
   and the batch is judged anew on what is stored, under the lock of its spaces.
2. Every other call is one statement as well. Nothing is kept in a session.
3. The server's word that it took a transaction back is the only one on which a commit is repeated.
   Neither an answer that does not come is such a word, nor a standby that does not confirm.
"""

# ruff: noqa: S608 - what is put into statements is the name of a schema, which was checked

from __future__ import annotations

import functools
import os
import secrets
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import psycopg

from abonent.core.parties import check_territory
from abonent.errors import IdentifierClosed, InvalidValue, StoreUnavailable, UsedAfterFork
from abonent.ports import AliasChange, Append, Entry, Record, StorageFeatures, Unit
from abonent.stores.batches import Batch, Name, aliases_judged, keys_put
from abonent.stores.postgres_link import (
    READ_ONLY,
    TRY_AGAIN,
    Blobs,
    Connection,
    Flags,
    Longs,
    connect,
    is_lost,
    open_pool,
    ours,
    settings,
)
from abonent.stores.postgres_schema import (
    CHANGED_MEANWHILE,
    NEVER,
    check_version,
    checked_name,
)

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Change = tuple[Any, ...]
"""What `commit_1` takes."""
_Rows = list[tuple[Any, ...]]
_BySpace = defaultdict[int, _Rows]

_MOST_VERSIONS: Final = 1 << 31
_MOST_SPACES: Final = 1 << 31


class _Sql:
    """The statements, for a schema."""

    def __init__(self, schema: str) -> None:
        records = f"SELECT key, version, body FROM {schema}.record WHERE space = %b"
        self.space = f"SELECT id FROM {schema}.space WHERE name = %s".encode()
        # Not the next number of a sequence: a failover may take a messenger back, and its number
        # must not become another's while somebody still goes by it.
        self.new_space = (
            f"INSERT INTO {schema}.space (id, name) OVERRIDING SYSTEM VALUE"
            " VALUES (%s, %s) ON CONFLICT DO NOTHING"
        ).encode()
        self.lock = (
            f"SELECT id FROM {schema}.space WHERE id = ANY(%b) ORDER BY id FOR UPDATE".encode()
        )
        self.load = f"{records} AND key = ANY(%b)".encode()
        self.scan = f"{records} AND key >= %b AND (key > %b OR %b) ORDER BY key LIMIT %b".encode()
        self.find = (
            f"SELECT alias, owner FROM {schema}.alias WHERE space = %b AND alias = ANY(%b)".encode()
        )
        self.journal = (
            f"SELECT cursor, subject, number, body FROM {schema}.journal"
            " WHERE space = %b AND cursor > %b ORDER BY cursor LIMIT %b"
        ).encode()
        self.due = (
            "WITH ripe AS MATERIALIZED ("
            f"SELECT key, at FROM {schema}.deadline WHERE space = %(space)s AND at <= %(now)s"
            # A lease that a failover takes back is only claimed anew: no standby is waited for.
            " AND (SELECT set_config('synchronous_commit', 'local', true)) = 'local'"
            " ORDER BY at, key LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"
            f" UPDATE {schema}.deadline d SET at = %(until)s FROM ripe"
            " WHERE d.space = %(space)s AND d.key = ripe.key RETURNING ripe.at, ripe.key"
        ).encode()
        self.commit = f"SELECT {schema}.commit_1({', '.join(['%b'] * 14)})".encode()


def _guarded(
    method: Callable[Concatenate[PostgresStorage, _P], _T],
) -> Callable[Concatenate[PostgresStorage, _P], _T]:
    """Refuse a store that cannot be used, try again what may be, let no error cross as it is."""
    reads = method.__name__ not in {"commit", "due"}

    @functools.wraps(method)
    def guarded(self: PostgresStorage, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        began = time.monotonic()
        lost = False
        refused = 0
        while True:
            self._check_usable()
            try:
                return method(self, *args, **kwargs)
            except psycopg.Error as error:
                self._check_usable()  # closed meanwhile, by another thread
                if error.sqlstate in TRY_AGAIN:
                    time.sleep(secrets.randbelow(5_000) / 1e6)  # or all who lost lose again
                    again = time.monotonic() - began < self._patience.total_seconds()
                elif error.sqlstate == READ_ONLY:
                    refused += 1
                    again = refused <= self._connections  # any of them may lead to a standby
                else:
                    again = reads and not lost and is_lost(error)
                    lost = True
                if not again:
                    raise ours(error) from None
            except (struct.error, OverflowError, UnicodeError):
                raise InvalidValue("a number or text that PostgreSQL cannot hold") from None

    return guarded


class PostgresStorage:
    """Keeps everything in one schema of a PostgreSQL database, from version 14 on.

    The schema is made by `abonent db upgrade`. Connections are its own, up to `connections` of
    them, and opened when they are needed. `patience` is how long a call waits for a connection, for
    locks and for a statement, by whole seconds; of a server that neither answers nor goes away it
    is told after twice that time.

    `territory` is the country where the server keeps its data, with its standbys and backups, ISO
    3166-1 alpha-2, as you declare: rules in force may demand one, and an identifier under them is
    refused without it.

    With `pooled`, for a transaction pooler such as PgBouncer, nothing is set on a session and no
    statement is prepared; give the role its time-outs then.

    Raises:
        StoreMissing: the schema has not been made.
        StoreNewer: it was made for newer releases only.
        StoreRefused: wrong password, role or database, or a privilege is lacking.
        StoreReadOnly: the server is a standby.
        StoreUnavailable: it cannot be reached now.
        InvalidValue: the connection string cannot be read, or an impossible schema or territory.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        schema: str = "abonent",
        territory: str | None = None,
        connections: int = 4,
        patience: timedelta = timedelta(seconds=5),
        pooled: bool = False,
    ) -> None:
        if connections < 1 or patience <= timedelta(0):
            raise InvalidValue("a store has at least one connection, and some patience")
        check_territory(None, None, territory)
        self.schema = checked_name(schema)
        self._sql = _Sql(schema)
        self._patience = patience
        self._pid = os.getpid()
        self._closed = False
        self._opening = threading.Lock()
        self._opened = False
        self._connections = connections
        self._pool = open_pool(conninfo, patience, connections, pooled=pooled)
        try:
            with connect(conninfo, **settings(conninfo, patience, pooled=pooled)) as connection:
                connection.answer_to(patience)
                check_version(connection, schema)
                self._features = _features(connection, territory)
        except psycopg.Error as error:
            raise ours(error) from None

    @property
    def features(self) -> StorageFeatures:
        """Shared, where its owner says; durable, unless the server answers before it has flushed.

        That is so if `synchronous_commit` of the role, or `fsync` of the server, is off.
        """
        return self._features

    # --- reading ---------------------------------------------------------------------

    @_guarded
    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        """See `Storage.load`."""
        rows = self._select(self._sql.load, space, Blobs(keys)) if keys else []
        found = {key: Record(version, body) for key, version, body in rows}
        return [found.get(key) for key in keys]

    @_guarded
    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        """See `Storage.find`."""
        rows = self._select(self._sql.find, space, Blobs(aliases)) if aliases else []
        found: dict[bytes, list[bytes]] = {}
        for alias, owner in rows:
            found.setdefault(alias, []).append(owner)
        return [tuple(sorted(found.get(alias, ()))) for alias in aliases]

    @_guarded
    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        """See `Storage.journal`. Cursors count from 1 in each space."""
        if limit <= 0:
            return []
        return [Entry(*row) for row in self._select(self._sql.journal, space, after, limit)]

    @_guarded
    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        """See `Storage.scan`."""
        if limit <= 0:
            return []
        # An empty key is a key; only an empty `after` means the beginning.
        rows = self._select(self._sql.scan, space, after, after, not after, limit)
        return [(key, Record(version, body)) for key, version, body in rows]

    # --- writing ---------------------------------------------------------------------

    @_guarded
    def commit(self, units: Sequence[Unit]) -> list[bool]:
        """See `Storage.commit`."""
        if not units:
            return []
        names = dict.fromkeys(unit.space for unit in units)
        with self._writing() as connection:
            try:
                return self._commit(connection, units, names)
            except psycopg.errors.NoDataFound:
                connection.spaces.clear()  # a failover or a restored backup took a messenger back
                return self._commit(connection, units, names)

    @_guarded
    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        """See `Storage.due`. Of equal deadlines the smaller key comes first."""
        with self._writing() as connection:
            sid = self._space(connection, space)
            if sid is None or limit <= 0:
                return []
            given = {"space": sid, "now": now, "limit": limit, "until": now + lease}
            rows = connection.execute(self._sql.due, given, binary=True).fetchall()
            return [key for _, key in sorted(rows)]

    def close(self) -> None:
        """Close the connections. In a forked child nothing is: they are the parent's."""
        self._closed = True
        if os.getpid() == self._pid:
            with self._opening:
                self._pool.close()

    # --- connections -----------------------------------------------------------------

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            raise UsedAfterFork("the store was opened by the parent of this process")
        if self._closed:
            raise IdentifierClosed("the store was closed")

    def _connected(self) -> AbstractContextManager[Connection]:
        if not self._opened:
            with self._opening:
                self._check_usable()
                self._pool.open()  # starts threads: not before there is work; twice is allowed
                self._opened = True
        return self._pool.connection()

    @contextmanager
    def _writing(self) -> Generator[Connection]:
        """A connection that is given up where it leads to a standby, or no standby confirms."""
        with self._connected() as connection:
            try:
                yield connection
            except psycopg.errors.ReadOnlySqlTransaction:
                connection.close()
                raise
            connection.check_confirmed()

    # --- small parts of the above ----------------------------------------------------

    def _select(self, sql: bytes, space: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement whose first value is the id of a space; nothing where there is none."""
        with self._connected() as connection:
            sid = self._space(connection, space)
            if sid is None:
                return []
            return connection.execute(sql, (sid, *values), binary=True).fetchall()

    def _space(self, connection: Connection, space: str) -> int | None:
        sid = connection.spaces.get(space)
        if sid is None:
            row = connection.execute(self._sql.space, (space,)).fetchone()
            if row is None:
                return None
            sid = connection.spaces[space] = row[0]
        return sid

    def _made_space(self, connection: Connection, space: str) -> int:
        sid = self._space(connection, space)
        if sid is None:
            connection.execute(self._sql.new_space, (secrets.randbelow(_MOST_SPACES), space))
            sid = self._space(connection, space)
        if sid is None:
            raise StoreUnavailable("a space was removed while it was used")
        return sid

    def _commit(
        self, connection: Connection, units: Sequence[Unit], names: Iterable[str]
    ) -> list[bool]:
        ids = {name: self._made_space(connection, name) for name in names}
        changes = _hoped_for(units, ids)
        if changes is not None:
            try:
                self._run(connection, changes)
            except psycopg.Error as error:
                if error.sqlstate != CHANGED_MEANWHILE:
                    raise
            else:
                return [True] * len(units)
        return self._judge(connection, units, ids)

    def _run(self, connection: Connection, changes: Sequence[_Change]) -> None:
        """Make all of these changes or none; the server refuses what does not match."""
        if len(changes) == 1:
            connection.execute(self._sql.commit, changes[0], binary=True)
            return
        with connection.transaction():
            for change in changes:
                connection.execute(self._sql.commit, change, binary=True)

    def _judge(
        self, connection: Connection, units: Sequence[Unit], ids: Mapping[str, int]
    ) -> list[bool]:
        """Judge each unit on what is stored, while nobody else commits to these spaces."""
        with connection.transaction():
            connection.execute(self._sql.lock, (Longs(ids.values()),))
            batch = Batch({}, {})
            for space, sid in ids.items():
                here = [unit for unit in units if unit.space == space]
                rows = connection.execute(self._sql.load, (sid, Blobs(keys_put(here))), binary=True)
                batch.versions.update({(sid, key): version for key, version, _ in rows})
                judged = aliases_judged(here)
                batch.owners.update({(sid, alias): set() for alias in judged})
                rows = connection.execute(self._sql.find, (sid, Blobs(judged)), binary=True)
                for alias, owner in rows:
                    batch.owners[sid, alias].add(owner)
            applied = [batch.take(ids[unit.space], unit) for unit in units]
            for change in _changes(batch):
                connection.execute(self._sql.commit, change, binary=True)
        return applied


def _features(connection: Connection, territory: str | None) -> StorageFeatures:
    names = ("transaction_read_only", "synchronous_commit", "fsync")
    asked = ", ".join(f"current_setting('{each}')" for each in names)
    read_only, committing, flushing = connection.execute(f"SELECT {asked}".encode()).fetchall()[0]
    if read_only == "on":
        raise psycopg.errors.ReadOnlySqlTransaction
    durable = committing != "off" and flushing == "on"
    return StorageFeatures(durable=durable, shared=True, territory=territory)


def _hoped_for(units: Sequence[Unit], ids: Mapping[str, int]) -> list[_Change] | None:
    """What a batch leads to if every unit succeeds; None where that cannot be known from here.

    The first to put a record is taken to be right about its version; a sole owner to be the only
    one. Both are compared by the server. Whether units conflict with each other shows here.
    """
    batch = Batch({}, {})
    touched: Counter[Name] = Counter()
    for unit in units:
        sid = ids[unit.space]
        for put in unit.puts:
            if not 0 <= put.expected < _MOST_VERSIONS:
                return None
            batch.versions.setdefault((sid, put.key), put.expected)
        touched.update({(sid, change.alias) for change in unit.aliases})
        batch.owners.update({(sid, c.alias): set() for c in unit.aliases if c.sole})
    if any(touched[name] > 1 for name in batch.owners):
        return None  # who else may own it at that moment is not known
    if not all(batch.take(ids[unit.space], unit) for unit in units):
        return None
    soles = [(ids[unit.space], change) for unit in units for change in unit.aliases if change.sole]
    return _changes(batch, soles)


def _changes(batch: Batch, soles: Iterable[tuple[int, AliasChange]] = ()) -> list[_Change]:
    """What came of a batch, by space, in the order in which `commit_1` takes it."""
    records: _BySpace = defaultdict(list)
    aliases: _BySpace = defaultdict(list)
    alone: _BySpace = defaultdict(list)
    for (sid, key), (version, body, wake) in batch.records.items():
        since = batch.versions.get((sid, key), 0)
        at = NEVER if wake is None else wake
        records[sid].append((key, since, version, body or b"", at))
    for (sid, alias, owner), present in batch.aliases.items():
        aliases[sid].append((alias, owner, present))
    for sid, change in soles:
        alone[sid].append((change.alias, change.owner))
    return [
        _change(sid, records[sid], aliases[sid], alone[sid], batch.entries.get(sid, ()))
        for sid in sorted({*records, *aliases, *alone, *batch.entries})
    ]


def _change(
    sid: int, records: _Rows, aliases: _Rows, alone: _Rows, entries: Sequence[Append]
) -> _Change:
    keys, since, upto, bodies, wakes = _columns(records, 5)
    alias, owner, present = _columns(aliases, 3)
    sole_alias, sole_owner = _columns(alone, 2)
    return (
        *(sid, Blobs(keys), Longs(since), Longs(upto), Blobs(bodies), Longs(wakes)),
        *(Blobs(alias), Blobs(owner), Flags(present), Blobs(sole_alias), Blobs(sole_owner)),
        Blobs([each.subject for each in entries]),
        Longs([each.number for each in entries]),
        Blobs([each.body for each in entries]),
    )


def _columns(rows: _Rows, width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]

"""All that lies in a store, and what ought to lie there.

Knows tables, and the memory store as the reference for what commits make of them. Refuses to know
who committed what, and why.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import psycopg
from attrs import frozen

from abonent import SqliteStorage
from abonent.ports import Entry, Record, Storage
from abonent.stores import MemoryStorage
from abonent.stores.postgres import PostgresStorage

SPACE = "m"
open_sqlite = partial(SqliteStorage, territory="RU")
"""What opens the store that is under test: a file, in the country that the rules demand."""
_CURSOR = (1 << 40) - 1


@frozen(kw_only=True)
class Contents:
    """Everything a store keeps for one messenger, as stored bytes. Compared, never opened."""

    records: Mapping[bytes, Record]
    deadlines: Mapping[bytes, int]
    owners: Mapping[bytes, frozenset[bytes]]
    journal: Sequence[Entry]


class Kept(Protocol):
    """What a death left behind."""

    def opened(self) -> Storage:
        """A store on it."""

    def contents(self) -> tuple[Contents, list[str]]:
        """What lies in it once a store has opened it, and what is wrong with its tables."""


@frozen
class KeptInFile:
    """An SQLite file."""

    path: Path

    def opened(self) -> Storage:
        return SqliteStorage(self.path, territory="RU")

    def contents(self) -> tuple[Contents, list[str]]:
        return stored_in(self.path)


@frozen
class KeptOnServer:
    """A schema of a PostgreSQL server, with one messenger in it."""

    conninfo: str
    schema: str

    def opened(self) -> Storage:
        return PostgresStorage(self.conninfo, schema=self.schema, territory="RU")

    def contents(self) -> tuple[Contents, list[str]]:
        with psycopg.connect(self.conninfo) as connection:

            def rows(sql: str) -> list[tuple[Any, ...]]:
                return connection.execute(sql.format(self.schema).encode()).fetchall()

            owners: dict[bytes, set[bytes]] = {}
            for alias, owner in rows("SELECT alias, owner FROM {}.alias"):
                owners.setdefault(alias, set()).add(owner)
            records = rows("SELECT key, version, body FROM {}.record")
            journal = rows("SELECT cursor, subject, number, body FROM {}.journal ORDER BY cursor")
            contents = Contents(
                records={key: Record(version, body) for key, version, body in records},
                deadlines=dict(rows("SELECT key, at FROM {}.deadline")),
                owners={alias: frozenset(several) for alias, several in owners.items()},
                journal=tuple(Entry(*row) for row in journal),
            )
            counted = [last for (last,) in rows("SELECT cursor FROM {}.space")]
        wrong = [] if counted in ([], [len(journal)]) else [f"cursors are counted to {counted}"]
        return contents, wrong


def kept_by(reference: MemoryStorage) -> Contents:
    """What the reference keeps."""
    space = reference._spaces[SPACE]
    return Contents(
        records=dict(space.records),
        deadlines=dict(space.deadlines),
        owners={alias: frozenset(owners) for alias, owners in space.owners.items() if owners},
        journal=tuple(space.journal),
    )


def stored_in(path: Path) -> tuple[Contents, list[str]]:
    """What lies in a database that a store has opened, and what is wrong with its tables."""
    with closing(sqlite3.connect(path)) as connection:
        wrong = list(_damage(connection))
        records = _all(
            connection,
            "SELECT n.key, r.version, r.body FROM name n JOIN record r ON r.id = n.id",
        )
        owners: dict[bytes, set[bytes]] = {}
        for alias, owner in _all(connection, "SELECT alias, owner FROM alias"):
            owners.setdefault(alias, set()).add(owner)
        journal = _all(
            connection, "SELECT cursor, subject, number, body FROM journal ORDER BY cursor"
        )
        contents = Contents(
            records={key: Record(version, body) for key, version, body in records},
            deadlines=dict(_all(connection, "SELECT key, at FROM deadline")),
            owners={alias: frozenset(several) for alias, several in owners.items()},
            journal=tuple(Entry(row[0] & _CURSOR, *row[1:]) for row in journal),
        )
    return contents, wrong


def _all(connection: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    return connection.execute(sql).fetchall()


def _damage(connection: sqlite3.Connection) -> Iterator[str]:
    """What a sound file never shows: broken pages, and rows without the other half of them."""
    for (line,) in _all(connection, "PRAGMA integrity_check"):
        if line != "ok":
            yield f"integrity check: {line}"
    pairs = (
        ("a record without its name", "record", "id NOT IN (SELECT id FROM name)"),
        ("a name without its record", "name", "id NOT IN (SELECT id FROM record)"),
    )
    for what, table, where in pairs:
        ((count,),) = _all(connection, f"SELECT count(*) FROM {table} WHERE {where}")
        if count:
            yield f"{what}: {count}"
    remembered = set(
        _all(
            connection,
            "SELECT n.space, r.wake, n.key FROM name n JOIN record r ON r.id = n.id"
            " WHERE r.wake IS NOT NULL",
        )
    )
    if remembered != set(_all(connection, "SELECT space, at, key FROM deadline")):
        yield "deadlines and what records remember of them differ"


def differences(expected: Contents, found: Contents) -> list[str]:
    """Where two differ, in a few words and without any content."""
    told: list[str] = []
    for name in ("records", "deadlines", "owners"):
        mine, theirs = getattr(expected, name), getattr(found, name)
        missing, extra = mine.keys() - theirs.keys(), theirs.keys() - mine.keys()
        other = [key for key in mine.keys() & theirs.keys() if mine[key] != theirs[key]]
        if missing or extra or other:
            told.append(f"{name}: {len(missing)} missing, {len(extra)} extra, {len(other)} other")
    if list(expected.journal) != list(found.journal):
        told.append(f"journal: {len(found.journal)} entries for {len(expected.journal)}, or others")
    return told

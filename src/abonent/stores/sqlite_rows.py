"""The rows under `SqliteStorage`: the few statements by which a batch is read and written.

Knows tables and statements. Refuses to know connections, locks and transactions.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final

from abonent.ports import Append
from abonent.stores.batches import Name, Written

# A journal row's id is its space in the upper bits and its cursor in the lower 40: the entries of
# a space are one range of the table, and no index is needed to find them.
CURSOR_BITS: Final = 40
LAST_CURSOR: Final = (1 << CURSOR_BITS) - 1
# Far below any limit on variables; few different lengths, so that statements are found prepared.
_CHUNKS: Final = (1, 8, 64, 500)
IN_ONE: Final = _CHUNKS[-1]
"""How many keys one statement reads; more are read by several, held together by a transaction."""
MOVE_DEADLINE: Final = "UPDATE deadline SET at = ? WHERE space = ? AND at = ? AND key = ?"

_Row = tuple[object, ...]
Stored = tuple[int, int, int | None]
"""Of a record that is there: id, version, wake."""


def write_records(
    connection: sqlite3.Connection, held: Mapping[Name, Stored], written: Mapping[Name, Written]
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


def write_deadlines(
    connection: sqlite3.Connection, held: Mapping[Name, Stored], written: Mapping[Name, Written]
) -> None:
    """Bring the index of deadlines to what records say now; equal ones are left alone."""
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
    _run(connection, MOVE_DEADLINE, moved)
    _run(connection, "DELETE FROM deadline WHERE space = ? AND at = ? AND key = ?", ended)


def write_aliases(
    connection: sqlite3.Connection, aliases: Mapping[tuple[int, bytes, bytes], bool]
) -> None:
    """Add owners and remove them; what is so already stays."""
    added = [row for row, present in aliases.items() if present]
    removed = [row for row, present in aliases.items() if not present]
    _run(connection, "INSERT OR IGNORE INTO alias VALUES (?, ?, ?)", added)
    _run(connection, "DELETE FROM alias WHERE space = ? AND alias = ? AND owner = ?", removed)


def write_journal(connection: sqlite3.Connection, entries: Mapping[int, Sequence[Append]]) -> None:
    """Append entries, each space's behind its last."""
    for sid, new in entries.items():
        base = sid << CURSOR_BITS
        last = "SELECT max(cursor) FROM journal WHERE cursor >= ? AND cursor <= ?"
        first = _after_last(connection, last, base, base + LAST_CURSOR) or base + 1
        rows = [(i, e.subject, e.number, e.body) for i, e in enumerate(new, first)]
        _run(connection, "INSERT INTO journal VALUES (?, ?, ?, ?)", rows)


# --- statements ---------------------------------------------------------------------


def _run(connection: sqlite3.Connection, sql: str, rows: Sequence[_Row]) -> None:
    if rows:
        connection.executemany(sql, rows)


def _after_last(connection: sqlite3.Connection, sql: str, *bounds: int) -> int:
    (last,) = connection.execute(sql, bounds).fetchone()
    return 0 if last is None else int(last) + 1


def select_in(
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


def records_held(
    connection: sqlite3.Connection, sid: int, keys: Sequence[bytes]
) -> dict[Name, Stored]:
    """Return what is there of these records, by space and key."""
    sql = (
        "SELECT n.key, r.id, r.version, r.wake FROM name n JOIN record r ON r.id = n.id"
        " WHERE n.space = ? AND n.key"
    )
    return {(sid, row[0]): row[1:] for row in select_in(connection, sql, sid, keys)}


def owners_of(
    connection: sqlite3.Connection, sid: int | None, aliases: Sequence[bytes]
) -> dict[bytes, set[bytes]]:
    """Return the owners of these aliases; one without any is not there."""
    owners: dict[bytes, set[bytes]] = {}
    sql = "SELECT alias, owner FROM alias WHERE space = ? AND alias"
    for alias, owner in select_in(connection, sql, sid, aliases):
        owners.setdefault(alias, set()).add(owner)
    return owners

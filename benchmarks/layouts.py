"""Measures the two layouts a store in SQLite can have, against the least that keeps one row.

`python -m benchmarks.layouts [users already there] [rounds]`

The floor is one INSERT and COMMIT of a sealed row, WAL, `synchronous=FULL`. One identification is
three units: each loads the user's record, then writes a new state, moves or clears a deadline,
changes an alias or two and appends to the journal. Layout A keeps a state row beside the journal.
Layout B keeps only the journal, each of whose rows carries the new state too; loading reads the
last row of a key. Both are written here by hand in the same way; `SqliteStorage`, which is A with
its judging of units, is measured beside them. All logs are grown first, because flushing a file
that grows is slower for everybody; how much slower, the second floor tells.

The contestants take turns, and every figure is the median of the rounds.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from abonent.ports import AliasChange, Append, Put, Unit
from abonent.stores import SqliteStorage

BODY, EVENT = 135, 150
SINGLE, GROUPED = 1, 64

Step = tuple[bytes, int, bytes]  # key, which of the three, the number's alias


class Floor:
    """One row, one commit."""

    schema = ("CREATE TABLE row (id INTEGER PRIMARY KEY, body BLOB NOT NULL)",)

    def __init__(self, path: Path) -> None:
        self.connection = opened(path)
        for statement in self.schema:
            self.connection.execute(statement)

    def fill(self, users: int) -> None:
        pass

    def step(self, steps: Sequence[Step]) -> None:
        for _ in steps:
            self.connection.execute("BEGIN")
            self.connection.execute("INSERT INTO row (body) VALUES (?)", (os.urandom(BODY),))
            self.connection.execute("COMMIT")

    def close(self) -> None:
        self.connection.close()


class GrowingFloor(Floor):
    """The same while the log grows, as in every new file until its first checkpoint."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()


class ByHand(Floor):
    """What both layouts share: aliases, deadlines, and the order of things."""

    schema = (
        (
            "CREATE TABLE alias (space INTEGER, alias BLOB, owner BLOB,"
            " PRIMARY KEY (space, alias, owner)) WITHOUT ROWID"
        ),
        (
            "CREATE TABLE deadline (space INTEGER, at INTEGER, key BLOB,"
            " PRIMARY KEY (space, at, key)) WITHOUT ROWID"
        ),
    )

    def fill(self, users: int) -> None:
        self.connection.execute("PRAGMA synchronous = OFF")
        for start in range(0, users, 1_000):
            size = min(1_000, users - start)
            fresh = [(os.urandom(16), 0, os.urandom(16)) for _ in range(size)]
            for number in range(3):
                self.step([(key, number, alias) for key, _, alias in fresh])
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.connection.execute("PRAGMA synchronous = FULL")
        grow(self.connection)

    def step(self, steps: Sequence[Step]) -> None:
        run = self.connection.executemany
        held = self.latest([key for key, _, _ in steps])
        at = time.time_ns() // 1_000
        self.connection.execute("BEGIN IMMEDIATE")
        held = self.latest([key for key, _, _ in steps])  # again: judged under the lock
        number = steps[0][1]
        wake = at if number < 2 else None
        self.write(steps, held, wake)
        before = [(held[key][1], key) for key, _, _ in steps if number]
        if number == 0:
            run("INSERT INTO deadline VALUES (0, ?, ?)", [(wake, key) for key, _, _ in steps])
        elif number == 1:
            moved = [(wake, *row) for row in before]
            run("UPDATE deadline SET at = ? WHERE space = 0 AND at = ? AND key = ?", moved)
        else:
            run("DELETE FROM deadline WHERE space = 0 AND at = ? AND key = ?", before)
        add = "INSERT OR IGNORE INTO alias VALUES (0, ?, ?)"
        if number == 0:
            run(add, [(alias, key) for key, _, alias in steps])
        elif number == 1:
            run(add, [(alias[::-1], key) for key, _, alias in steps])
        else:
            gone = [(alias[::-1], key) for key, _, alias in steps]
            run("DELETE FROM alias WHERE space = 0 AND alias = ? AND owner = ?", gone)
        self.connection.execute("COMMIT")

    def latest(self, keys: Sequence[bytes]) -> dict[bytes, tuple[int, int | None, int]]:
        raise NotImplementedError

    def write(self, steps: Sequence[Step], held: dict, wake: int | None) -> None:
        raise NotImplementedError


class StateAndJournal(ByHand):
    """Layout A."""

    schema = (
        *ByHand.schema,
        (
            "CREATE TABLE name (space INTEGER, key BLOB, id INTEGER, PRIMARY KEY (space, key))"
            " WITHOUT ROWID"
        ),
        "CREATE TABLE record (id INTEGER PRIMARY KEY, version INTEGER, wake INTEGER, body BLOB)",
        (
            "CREATE TABLE journal (cursor INTEGER PRIMARY KEY, subject BLOB, number INTEGER,"
            " body BLOB)"
        ),
    )

    def latest(self, keys: Sequence[bytes]) -> dict[bytes, tuple[int, int | None, int]]:
        marks = ",".join("?" * len(keys))
        rows = self.connection.execute(
            "SELECT n.key, r.version, r.wake, r.id, r.body FROM name n JOIN record r ON r.id = n.id"
            f" WHERE n.space = 0 AND n.key IN ({marks})",
            keys,
        )
        return {row[0]: row[1:4] for row in rows.fetchall()}

    def write(self, steps: Sequence[Step], held: dict, wake: int | None) -> None:
        run = self.connection.executemany
        if steps[0][1] == 0:
            (last,) = self.connection.execute("SELECT max(id) FROM record").fetchone()
            ids = range((last or 0) + 1, (last or 0) + 1 + len(steps))
            named = [(key, i) for i, (key, _, _) in zip(ids, steps, strict=True)]
            run("INSERT INTO name VALUES (0, ?, ?)", named)
            born = [(i, wake, os.urandom(BODY)) for i in ids]
            run("INSERT INTO record VALUES (?, 1, ?, ?)", born)
        else:
            changed = [
                (held[key][0] + 1, wake, os.urandom(BODY), held[key][2]) for key, _, _ in steps
            ]
            run("UPDATE record SET version = ?, wake = ?, body = ? WHERE id = ?", changed)
        new = [(key, number, os.urandom(EVENT)) for key, number, _ in steps]
        run("INSERT INTO journal (subject, number, body) VALUES (?, ?, ?)", new)


class JournalOnly(ByHand):
    """Layout B. The unique index finds the last row of a key and judges its version."""

    schema = (
        *ByHand.schema,
        (
            "CREATE TABLE journal (cursor INTEGER PRIMARY KEY, space INTEGER, key BLOB,"
            " version INTEGER, wake INTEGER, subject BLOB, number INTEGER, body BLOB, state BLOB)"
        ),
        "CREATE UNIQUE INDEX latest ON journal (space, key, version)",
    )

    def latest(self, keys: Sequence[bytes]) -> dict[bytes, tuple[int, int | None, int]]:
        found = {}
        for key in keys:
            row = self.connection.execute(
                "SELECT version, wake, cursor, state FROM journal WHERE space = 0 AND key = ?"
                " ORDER BY version DESC LIMIT 1",
                (key,),
            ).fetchone()
            if row is not None:
                found[key] = row[:3]
        return found

    def write(self, steps: Sequence[Step], held: dict, wake: int | None) -> None:
        self.connection.executemany(
            "INSERT INTO journal (space, key, version, wake, subject, number, body, state)"
            " VALUES (0, ?, ?, ?, ?, ?, ?, ?)",
            [
                (key, number + 1, wake, key, number, os.urandom(EVENT), os.urandom(BODY))
                for key, number, _ in steps
            ],
        )


class Shipped:
    """`SqliteStorage`."""

    def __init__(self, path: Path) -> None:
        self.storage = SqliteStorage(path, territory="RU")
        self.connection = self.storage._writer

    def fill(self, users: int) -> None:
        self.connection.execute("PRAGMA synchronous = OFF")
        for start in range(0, users, 1_000):
            size = min(1_000, users - start)
            fresh = [(os.urandom(16), os.urandom(16)) for _ in range(size)]
            for number in range(3):
                self.step([(key, number, alias) for key, alias in fresh])
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self.connection.execute("PRAGMA synchronous = FULL")
        self.storage._log_grown = False

    def step(self, steps: Sequence[Step]) -> None:
        records = self.storage.load("m", [key for key, _, _ in steps])
        at = time.time_ns() // 1_000
        units = []
        for (key, number, alias), found in zip(steps, records, strict=True):
            change = AliasChange(alias if number == 0 else alias[::-1], key, number < 2)
            expected = found.version if found else 0
            wake = at if number < 2 else None
            put = Put(key, expected, os.urandom(BODY), wake)
            units.append(Unit("m", (put,), (change,), (Append(key, number, os.urandom(EVENT)),)))
        if not all(self.storage.commit(units)):
            raise RuntimeError("a unit conflicted")

    def close(self) -> None:
        self.storage.close()


def opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 2000")
    connection.execute("PRAGMA cache_size = -16384")
    grow(connection)
    return connection


def grow(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA cache_size = 16")
    connection.execute("BEGIN")
    connection.execute("CREATE TABLE log (body BLOB)")
    connection.execute("INSERT INTO log VALUES (zeroblob(?))", (2_000 * 4_096,))
    connection.execute("ROLLBACK")
    connection.execute("PRAGMA cache_size = -16384")


def identify(contestant: Floor | Shipped, group: int, times: int) -> float:
    """Microseconds a step."""
    started = time.perf_counter()
    for _ in range(times):
        fresh = [(os.urandom(16), os.urandom(16)) for _ in range(group)]
        for number in range(3):
            contestant.step([(key, number, alias) for key, alias in fresh])
    return (time.perf_counter() - started) / (times * group * 3) * 1e6


def sizes(connection: sqlite3.Connection, users: int) -> str:
    """Bytes a user, journal apart and journal alone, as far as this SQLite can tell."""
    try:
        rows = connection.execute(
            "SELECT (SELECT tbl_name FROM sqlite_schema s WHERE s.name = d.name), sum(pgsize)"
            " FROM dbstat d GROUP BY 1"
        ).fetchall()
    except sqlite3.OperationalError:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        return f"{pages * 4_096 / users:.0f} B a user, journal included"
    journal = sum(size for table, size in rows if table == "journal")
    rest = sum(size for table, size in rows if table != "journal")
    return f"{rest / users:.0f} B a user, journal {journal / users:.0f} B"


def main(users: int, rounds: int) -> None:
    makers: dict[str, Callable[[Path], Floor | Shipped]] = {
        "floor": Floor,
        "floor, growing": GrowingFloor,
        "A by hand": StateAndJournal,
        "B by hand": JournalOnly,
        "SqliteStorage": Shipped,
    }
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        contestants = {}
        for name, make in makers.items():
            contestants[name] = make(Path(folder) / f"{name}.db")
            contestants[name].fill(users)
            if users and not name.startswith("floor"):
                print(f"{name:14} {sizes(contestants[name].connection, users)}", flush=True)
        for group, times in ((SINGLE, 120), (GROUPED, 10)):
            taken: dict[str, list[float]] = {name: [] for name in contestants}
            for _ in range(rounds):
                for name, contestant in contestants.items():
                    alone = name.startswith("floor")
                    size, count = (SINGLE, 120) if alone else (group, times)
                    taken[name].append(identify(contestant, size, count))
            floor = statistics.median(taken["floor"])
            for name, figures in taken.items():
                middle = statistics.median(figures)
                spread = f"{min(figures):.0f}–{max(figures):.0f}"
                ratio = floor / middle
                print(f"{users:>9} users, group of {group:2}  {name:14}", end="")
                print(f"{middle:8.1f} µs a step ({spread}), {ratio:5.2f} × floor", flush=True)
        for contestant in contestants.values():
            contestant.close()


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(*(arguments + [0, 9][len(arguments) :]))

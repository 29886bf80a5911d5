"""Stores that break a promise of durability, each in one way: the crash tests must catch them.

Knows how such adapters go wrong. Refuses to go wrong in any other way.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from abonent import SqliteStorage
from abonent.ports import Unit


class AcknowledgesTooSoon(SqliteStorage):
    """Returns from a commit while its transaction is open, and ends it with the fourth.

    It shows what it wrote to everybody in this process, so that no test without a crash can tell.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, territory="RU")
        self._whole = threading.RLock()
        self._writes = 0

    def _read(self, work: Callable[[sqlite3.Connection], Any], *, short: bool = False) -> Any:
        with self._whole:
            return work(self._writer)

    def _write(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        with self._whole:
            if not self._writer.in_transaction:
                self._writer.execute("BEGIN IMMEDIATE")
            result = work(self._writer)
            self._writes += 1
            if self._writes % 4 == 0:
                self._writer.execute("COMMIT")
            return result

    def close(self) -> None:
        with self._whole:
            if not self._closed and self._writer.in_transaction:
                self._writer.execute("COMMIT")
        super().close()


class TearsUnits(SqliteStorage):
    """Commits records and aliases first and the journal after them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, territory="RU")

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        applied: list[bool] = []
        for unit in units:
            (verdict,) = super().commit([Unit(unit.space, unit.puts, unit.aliases)])
            if verdict and unit.appends:
                time.sleep(0.001)  # a small window, so that few kills are needed
                super().commit([Unit(unit.space, appends=unit.appends)])
            applied.append(verdict)
        return applied

"""A backup made while callers write, and put back: what is lost is named, what is not is proven."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from abonent import SqliteStorage
from abonent.errors import LogRolledBack
from tests.operations.site import Site, is_complete, is_older, while_they_write


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def by_backup(source: Path, target: Path) -> None:
    """Use SQLite's online backup, as `.backup` of its shell does."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def by_vacuum(source: Path, target: Path) -> None:
    """Have it written anew, without what stands between rows."""
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))


@pytest.mark.parametrize("copy", [by_backup, by_vacuum])
def test_an_sqlite_file(tmp_path: Path, site: Site, copy: Callable[[Path, Path], None]) -> None:
    """A copy made meanwhile is one commit's state, named as too old; one made at rest extends."""
    live, older, newer = (tmp_path / f"{each}.db" for each in ("live", "older", "newer"))
    _, before = while_they_write(
        site, SqliteStorage(live, territory="RU"), lambda: copy(live, older)
    )
    copy(live, newer)
    is_older(site, lambda: SqliteStorage(older, territory="RU"), before)
    is_complete(site, lambda: SqliteStorage(newer, territory="RU"))


def test_a_file_that_was_copied_without_its_log(tmp_path: Path, site: Site) -> None:
    """Who copies the database file alone copies what SQLite has moved there, and no more."""
    live, alone = tmp_path / "live.db", tmp_path / "alone.db"
    _, before = while_they_write(
        site, SqliteStorage(live, territory="RU"), lambda: shutil.copy(live, alone)
    )
    assert before > 0
    with (
        closing(SqliteStorage(alone, territory="RU")) as storage,
        pytest.raises(LogRolledBack) as caught,
    ):
        site.publish(storage)
    assert ("journal_behind", "size 0") == (caught.value.finding, caught.value.where)

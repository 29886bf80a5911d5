"""The same on PostgreSQL: a dump, a base backup, and a base backup with what was written since."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import upgrade
from tests.operations.site import Site, is_complete, is_older, while_they_write
from tests.postgres import Copy, Server, run, wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Generator[Server]:
    with Server() as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, server: Server) -> Site:
    run(server.conninfo, "DROP SCHEMA IF EXISTS abonent CASCADE")
    upgrade(server.conninfo)
    return Site(tmp_path)


def dumped(server: Server, name: str) -> str:
    """Dump the schema, as it is, into a new database; return how to connect to that."""
    file = str(server.folder / f"{name}.sql")
    run(server.conninfo, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    server.execute("pg_dump", "-d", server.conninfo, "-n", "abonent", "-f", file)
    place = make_conninfo(server.conninfo, dbname=name)
    server.execute("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", place, "-f", file)
    return place


def test_a_dump(server: Server, site: Site) -> None:
    """A dump made meanwhile is named as too old; one made at rest is complete, and goes on."""
    opened = PostgresStorage(server.conninfo, territory="RU")
    older, before = while_they_write(site, opened, lambda: dumped(server, "older"))
    newer = dumped(server, "newer")
    is_older(site, lambda: PostgresStorage(older, territory="RU"), before)
    is_complete(site, lambda: PostgresStorage(newer, territory="RU"))


def test_a_base_backup(server: Server, site: Site) -> None:
    """A base backup alone ends where it was made; with the log of writes since, nothing is lost."""
    opened = PostgresStorage(server.conninfo, territory="RU")

    def twice() -> tuple[Copy, Copy]:
        return Copy(server), Copy(server)

    (alone, with_log), before = while_they_write(site, opened, twice)
    with alone, with_log:
        alone.start()
        is_older(site, lambda: PostgresStorage(alone.conninfo, territory="RU"), before)
        run(server.conninfo, "SELECT pg_switch_wal()")
        with_log.recover(server.folder / "pg_wal")
        with_log.start()
        wait_for(with_log.conninfo, "SELECT pg_is_in_recovery()", False)
        is_complete(site, lambda: PostgresStorage(with_log.conninfo, territory="RU"))

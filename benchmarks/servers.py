"""The PostgreSQL server of a run, and schemas in it.

Knows where a server comes from: `ABONENT_TEST_POSTGRES`, or one of its own in a temporary folder.
Refuses to know what is measured on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import psycopg

from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import upgrade
from tests.postgres import GIVEN, Server, run

_numbers = count()


@contextmanager
def server() -> Iterator[str]:
    """Have a server; how to connect to it as its superuser."""
    if GIVEN:
        yield GIVEN
        return
    with Server() as own:
        yield own.conninfo


@contextmanager
def schema(conninfo: str, purpose: str) -> Iterator[str]:
    """Have the name of an empty schema, dropped afterwards."""
    name = f"bench_{purpose}_{next(_numbers)}"
    run(conninfo, f"DROP SCHEMA IF EXISTS {name} CASCADE", f"CREATE SCHEMA {name}")
    try:
        yield name
    finally:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute(f"DROP SCHEMA {name} CASCADE".encode())


@contextmanager
def storage(conninfo: str) -> Iterator[PostgresStorage]:
    """Have an empty store in a schema of its own. Who uses it closes it."""
    with schema(conninfo, "ours") as name:
        upgrade(conninfo, schema=name)
        opened = PostgresStorage(conninfo, schema=name, territory="RU")
        try:
            yield opened
        finally:
            opened.close()

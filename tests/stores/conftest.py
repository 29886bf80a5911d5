"""Schemas on the PostgreSQL server of the tests."""

import secrets

import pytest
from psycopg.conninfo import make_conninfo

from tests.postgres import made, run


@pytest.fixture
def schema(conninfo):
    """A schema without partitions, empty."""
    return made(conninfo, 1)


@pytest.fixture
def named(conninfo):
    """A connection string whose sessions can be told from all others."""
    return make_conninfo(conninfo, application_name=f"test_{secrets.token_hex(6)}")


@pytest.fixture
def fresh(conninfo):
    """The name of a schema that does not exist."""
    name = f"test_{secrets.token_hex(6)}"
    yield name
    run(conninfo, f"DROP SCHEMA IF EXISTS {name} CASCADE")

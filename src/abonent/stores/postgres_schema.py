"""The tables and functions of a PostgreSQL store, and how they come to be.

Knows DDL, versions, and who may use a schema. Refuses to know what is kept in it.

1. Every primary key and unique constraint of the four big tables names the column by which the
   table is partitioned, so that an engine that distributes tables can take them as they are.
2. A commit is one call of one function: judged, written and flushed in one round trip.
3. Who commits holds the row of the space until the commit is flushed. So cursors are dense, no
   reader of the journal is ever overtaken, and two commits cannot deadlock.
4. What made a version is never changed: the next one is a step from it. So a new schema, made by
   all steps, is the same as one that was upgraded.
"""

# ruff: noqa: S608 - what is put into statements is the name of a schema, which was checked

from __future__ import annotations

import re
from typing import Final

from abonent.errors import InvalidValue, StoreForeign, StoreMissing, StoreNewer
from abonent.stores.postgres_link import Connection, connect, guarded
from abonent.stores.postgres_views import VIEWS

SCHEMA_VERSION: Final = 2
MOST_PARTITIONS: Final = 1024
CHANGED_MEANWHILE: Final = "AB001"
"""The SQLSTATE with which `commit_1` refuses: something is not as the caller took it to be."""

NEVER: Final = -(1 << 63)
"""Stands for no deadline among deadlines."""

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,47}", re.ASCII)

_START: Final = """\
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {schema}.version (
    version integer PRIMARY KEY,
    readable_by integer NOT NULL
);
COMMENT ON TABLE {schema}.version IS
    'abonent: the highest version is in force, and releases from readable_by on can use it';
CREATE TABLE {schema}.space (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    cursor bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
COMMENT ON TABLE {schema}.space IS 'one row a messenger; cursor is that of its last journal entry';
"""

# Columns, none of which may be null; what is unique; and by what rows are spread.
_TABLES: Final = {
    "record": ("space integer, version integer, key bytea, body bytea", "space, key", "key"),
    "deadline": ("at bigint, space integer, key bytea", "space, key", "key"),
    "alias": ("space integer, alias bytea, owner bytea", "space, alias, owner", "alias"),
    "journal": (
        "cursor bigint, number bigint, space integer, subject bytea, body bytea",
        "space, cursor, subject",
        "subject",
    ),
}
_FILL: Final = {"record": 80, "deadline": 80}
"""Percent: room in a page for the next version of a row that changes."""

_DUE: Final = "CREATE INDEX deadline_due ON {schema}.deadline (space, at, key);\n"

_COMMIT: Final = """\
CREATE FUNCTION {schema}.commit_1(
    of_space bigint,
    keys bytea[], since bigint[], upto bigint[], bodies bytea[], wakes bigint[],
    aliases bytea[], owners bytea[], present boolean[],
    sole_aliases bytea[], sole_owners bytea[],
    subjects bytea[], numbers bigint[], entries bytea[]
) RETURNS void LANGUAGE plpgsql
-- Row by row, each found by its primary key: a plan for many at once may be one that reads a table
-- from end to end, made when it was small, and for one it takes five times as long to begin.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    base bigint;
BEGIN
    UPDATE {schema}.space SET cursor = cursor + cardinality(subjects) WHERE id = of_space
        RETURNING cursor - cardinality(subjects) INTO STRICT base;
    FOR i IN 1 .. cardinality(keys) LOOP
        IF since[i] > 0 AND upto[i] > 0 THEN
            UPDATE {schema}.record SET version = upto[i], body = bodies[i]
                WHERE space = of_space AND key = keys[i] AND version = since[i];
        ELSIF since[i] > 0 THEN
            DELETE FROM {schema}.record
                WHERE space = of_space AND key = keys[i] AND version = since[i];
        ELSIF upto[i] > 0 THEN
            INSERT INTO {schema}.record (space, version, key, body)
                VALUES (of_space, upto[i], keys[i], bodies[i]) ON CONFLICT DO NOTHING;
        ELSE
            PERFORM WHERE NOT EXISTS (
                SELECT FROM {schema}.record WHERE space = of_space AND key = keys[i]
            );
        END IF;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a record is not as expected' USING ERRCODE = '{refusal}';
        END IF;
        IF wakes[i] <> {never} THEN
            INSERT INTO {schema}.deadline AS d (at, space, key)
                VALUES (wakes[i], of_space, keys[i])
                ON CONFLICT (space, key) DO UPDATE SET at = excluded.at
                    WHERE d.at <> excluded.at;
        ELSIF since[i] > 0 THEN
            DELETE FROM {schema}.deadline WHERE space = of_space AND key = keys[i];
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(aliases) LOOP
        IF present[i] THEN
            INSERT INTO {schema}.alias (space, alias, owner)
                VALUES (of_space, aliases[i], owners[i]) ON CONFLICT DO NOTHING;
        ELSE
            DELETE FROM {schema}.alias
                WHERE space = of_space AND alias = aliases[i] AND owner = owners[i];
        END IF;
    END LOOP;
    FOR i IN 1 .. cardinality(sole_aliases) LOOP
        PERFORM FROM {schema}.alias
            WHERE space = of_space AND alias = sole_aliases[i] AND owner <> sole_owners[i];
        IF FOUND THEN
            RAISE EXCEPTION 'an alias has another owner' USING ERRCODE = '{refusal}';
        END IF;
    END LOOP;
    INSERT INTO {schema}.journal (cursor, number, space, subject, body)
        SELECT base + e.place, e.number, of_space, e.subject, e.body
            FROM unnest(subjects, numbers, entries)
                WITH ORDINALITY AS e (subject, number, body, place);
END $$;
"""


def checked_name(schema: str) -> str:
    """Return the name of a schema if it needs no quoting.

    Raises:
        InvalidValue: it is not 1 to 48 of `a-z 0-9 _`, beginning with a letter or `_`.
    """
    if not _NAME.fullmatch(schema):
        raise InvalidValue("a schema is 1 to 48 of a-z, 0-9 and _, and begins with no digit")
    return schema


_STEPS: Final = {2: (VIEWS, 1)}
"""What makes a version of the one before it, and from which one on releases can use it."""


def ddl(*, schema: str = "abonent", partitions: int = 1, since: int = 0) -> str:
    """Return the SQL that makes or upgrades a schema, for a migration of Alembic or Django.

    Args:
        schema: its name.
        partitions: into how many hash partitions each big table is cut, 1 (not at all) to 1,024;
            counts only where the schema is new.
        since: the version that the schema has, 1 to `SCHEMA_VERSION`; 0 where there is none yet.

    Raises:
        InvalidValue: an impossible name, count or version.
    """
    checked_name(schema)
    if not 1 <= partitions <= MOST_PARTITIONS:
        raise InvalidValue(f"there are 1 to {MOST_PARTITIONS} partitions")
    if not 0 <= since <= SCHEMA_VERSION:
        raise InvalidValue(f"a schema has one of the versions 1 to {SCHEMA_VERSION}")
    parts = [] if since else [_first(schema, partitions)]
    for version, (statements, readable_by) in _STEPS.items():
        if version > since:
            parts.append(statements.format(schema=schema))
            # Last, so that a script that broke off leaves no version that says it is whole.
            parts.append(f"INSERT INTO {schema}.version VALUES ({version}, {readable_by});\n")
    return "".join(parts)


def _first(schema: str, partitions: int) -> str:
    """The statements that make version 1."""
    parts = [_START.format(schema=schema)]
    for table, (columns, key, spread_by) in _TABLES.items():
        fill = f" WITH (fillfactor = {_FILL[table]})" if table in _FILL else ""
        name = f"{schema}.{table}"
        demanded = ", ".join(f"{column} NOT NULL" for column in columns.split(", "))
        body = f"CREATE TABLE {name} ({demanded}, PRIMARY KEY ({key}))"
        if partitions == 1:
            parts.append(f"{body}{fill};\n")
            continue
        parts.append(f"{body} PARTITION BY HASH ({spread_by});\n")
        parts.extend(
            f"CREATE TABLE {name}_{each} PARTITION OF {name}"
            f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {each}){fill};\n"
            for each in range(partitions)
        )
    parts.append(_DUE.format(schema=schema))
    parts.append(_COMMIT.format(schema=schema, refusal=CHANGED_MEANWHILE, never=NEVER))
    parts.append(f"INSERT INTO {schema}.version VALUES (1, 1);\n")
    return "".join(parts)


def upgrade(conninfo: str, *, schema: str = "abonent", partitions: int = 1) -> bool:
    """Make the schema, or bring it to this release's version; return whether anything changed.

    Several processes may do so at once, and others use the schema meanwhile. `partitions` counts
    only where the schema is new.

    Raises:
        InvalidValue: an impossible name or count.
        StoreNewer: the schema is for newer releases only.
        StoreForeign: tables of others are in the schema.
        StorageError: the database cannot be reached or changed.
    """
    before, after = upgraded(conninfo, schema=schema, partitions=partitions)
    return before != after


def upgraded(conninfo: str, *, schema: str, partitions: int) -> tuple[int, int]:
    """Do what `upgrade` does; return the version before, 0 for none, and the one now."""
    ddl(schema=schema, partitions=partitions)  # refuses what is impossible before it connects
    with guarded(), connect(conninfo) as connection, connection.transaction():
        # Who waits for the lock has to see what the other did.
        connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (f"abonent {schema}",))
        try:
            before = check_version(connection, schema)
        except StoreMissing:
            row = connection.execute(
                "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace(%s)", (schema,)
            ).fetchone()
            if row != (0,):
                raise StoreForeign("the schema holds tables of others") from None
            before = 0
        if before >= SCHEMA_VERSION:
            return before, before
        statements = ddl(schema=schema, partitions=partitions, since=before)
        connection.execute(statements.encode())
        return before, SCHEMA_VERSION


def check_version(connection: Connection, schema: str) -> int:
    """Return the version of a schema, or refuse one that this release cannot use.

    One that is older than this release can be used: no version has done without what it needs.

    Raises:
        StoreMissing: there is none.
        StoreNewer: it was made for newer releases only.
    """
    row = connection.execute("SELECT to_regclass(%s)", (f"{schema}.version",)).fetchone()
    found = None
    if row is not None and row[0] is not None:
        found = connection.execute(
            f"SELECT version, readable_by FROM {schema}.version ORDER BY version DESC".encode()
        ).fetchone()
    if found is None:
        raise StoreMissing("the schema has not been made")
    if found[1] > SCHEMA_VERSION:
        raise StoreNewer("the schema is newer than this release")
    version: int = found[0]
    return version

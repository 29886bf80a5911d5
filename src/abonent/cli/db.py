"""The commands `abonent db`: the schema of a PostgreSQL store, the compaction of an SQLite file.

Knows their options and what they say. Refuses to know SQL.
"""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="The schema of a PostgreSQL store, and the file of an SQLite one.", no_args_is_help=True
)

Schema = Annotated[str, typer.Option(help="The name of the schema.")]
Partitions = Annotated[
    int, typer.Option(help="Into how many partitions a new schema's tables are cut: 1 to 1024.")
]


@app.command()
def upgrade(
    conninfo: Annotated[
        str,
        typer.Option(
            "--database",
            envvar="ABONENT_DATABASE",
            metavar="CONNINFO",
            help="How to connect, as libpq takes it. Passwords belong in PGPASSFILE.",
        ),
    ],
    schema: Schema = "abonent",
    partitions: Partitions = 1,
) -> None:
    """Make the schema, or bring it to this release's version. Twice is harmless."""
    _check_driver()
    from abonent.stores.postgres_schema import upgraded

    before, after = upgraded(conninfo, schema=schema, partitions=partitions)
    done = "was there" if before == after else "upgraded" if before else "made"
    typer.echo(f"schema {schema}: {done}, version {after}")


@app.command()
def sql(
    schema: Schema = "abonent",
    partitions: Partitions = 1,
    since: Annotated[
        int, typer.Option(help="The version that the schema has; 0 where there is none yet.")
    ] = 0,
) -> None:
    """Print the statements that make or upgrade a schema, for a migration of Alembic or Django."""
    _check_driver()
    from abonent.stores.postgres_schema import ddl

    typer.echo(ddl(schema=schema, partitions=partitions, since=since), nl=False)


@app.command()
def compact(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The file of an SQLite store.")],
    wait: Annotated[
        float, typer.Option(min=0, max=3600, help="Seconds to wait for who uses the file.")
    ] = 5.0,
) -> None:
    """Leave no byte of what was deleted in an SQLite file: after users were forgotten.

    The file is written anew and its log is emptied. Others may use it meanwhile; who writes waits.
    Exit status 1, and a word why, if they kept it for so long that it could not be done.
    """
    if not path.is_file():
        raise typer.BadParameter("there is no such file")
    from abonent.stores import SqliteStorage

    with closing(SqliteStorage(path, busy_timeout=timedelta(seconds=wait))) as store:
        done = store.compact()
    typer.echo(f"compacted: {done.before} bytes before, {done.after} after")


def _check_driver() -> None:
    if find_spec("psycopg") is None or find_spec("psycopg_pool") is None:
        sys.stderr.write("abonent: PostgreSQL needs psycopg: pip install 'abonent[postgres]'\n")
        raise typer.Exit(2)

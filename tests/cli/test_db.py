"""`abonent db` makes the schema of a PostgreSQL store, or says why it cannot."""

import re
import secrets
import sqlite3
from contextlib import closing

import pytest

from abonent import SqliteStorage
from abonent.cli import main
from abonent.ports import Put, Unit
from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import SCHEMA_VERSION
from tests.postgres import make_old, run


@pytest.fixture
def schema(conninfo):
    name = f"test_{secrets.token_hex(6)}"
    yield name
    run(conninfo, f"DROP SCHEMA IF EXISTS {name} CASCADE")


def test_a_schema_is_made_and_then_there(conninfo, schema, capsys):
    """The first call makes it, the second changes nothing; a store can use it."""
    line = ["db", "upgrade", "--database", conninfo, "--schema", schema, "--partitions", "3"]
    assert 0 == main(line)
    assert f"schema {schema}: made, version {SCHEMA_VERSION}\n" == capsys.readouterr().out
    assert 0 == main(line)
    assert f"schema {schema}: was there, version {SCHEMA_VERSION}\n" == capsys.readouterr().out
    with closing(PostgresStorage(conninfo, schema=schema)) as store:
        assert [None] == store.load("m", [b"k"])
    assert run(conninfo, f"SELECT count(*) FROM {schema}.record_2") == (0,)


def test_the_database_may_come_from_the_environment(conninfo, schema, monkeypatch):
    """A password given there shows in no list of processes."""
    monkeypatch.setenv("ABONENT_DATABASE", conninfo)
    assert 0 == main(["db", "upgrade", "--schema", schema])


def test_the_sql_is_printed_and_nothing_else(conninfo, schema, capsys):
    """A migration can take it as it is."""
    assert 0 == main(["db", "sql", "--schema", schema])
    run(conninfo, capsys.readouterr().out)
    with closing(PostgresStorage(conninfo, schema=schema)) as store:
        assert [None] == store.load("m", [b"k"])


def test_a_schema_of_an_older_release_is_upgraded(conninfo, schema, capsys):
    """It is said to be; the statements of a migration lead to the same place."""
    make_old(conninfo, schema, 1)
    assert 0 == main(["db", "sql", "--schema", schema, "--since", "1"])
    statements = capsys.readouterr().out
    assert "CREATE TABLE" not in statements
    assert 0 == main(["db", "upgrade", "--database", conninfo, "--schema", schema])
    assert f"schema {schema}: upgraded, version {SCHEMA_VERSION}\n" == capsys.readouterr().out
    assert 0 == main(["db", "sql", "--schema", schema, "--since", str(SCHEMA_VERSION)])
    assert "" == capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        (["db", "upgrade"], 2, "--database"),
        (["db", "upgrade", "--database", "host=/nowhere"], 1, "STORE_UNAVAILABLE"),
        (["db", "upgrade", "--database", "password=hush"], 1, "STORE_UNAVAILABLE"),
        (["db", "sql", "--schema", "A"], 1, "INVALID_VALUE"),
        (["db", "sql", "--partitions", "0"], 1, "INVALID_VALUE"),
        (["db", "sql", "--since", "99"], 1, "INVALID_VALUE"),
    ],
)
def test_what_goes_wrong_is_one_line(line, status, said, capsys, monkeypatch):
    """It says what, never the password, and exits as it does everywhere."""
    monkeypatch.delenv("ABONENT_DATABASE", raising=False)
    monkeypatch.setenv("PGHOST", "/nowhere")
    assert status == main(line)
    error = capsys.readouterr().err
    assert said in error
    assert 1 == error.count("\n")
    assert "hush" not in error


@pytest.mark.parametrize(
    "secret", ["postgresql://owner:hunter2secret@db/x", "host=db password=hunter2secret"]
)
def test_a_password_in_the_wrong_place(secret, capsys, monkeypatch):
    """A connection string that is no option is refused, and not quoted."""
    monkeypatch.setenv("ABONENT_DATABASE", "host=/nowhere")
    assert 2 == main(["db", "upgrade", secret])
    assert "hunter2" not in capsys.readouterr().err


def test_help_is_no_error_line(capsys):
    """Who gives no command is shown which there are."""
    assert 2 == main(["db"])
    shown = capsys.readouterr()
    assert "upgrade" in shown.out
    assert "" == shown.err


@pytest.mark.parametrize("command", ["upgrade", "sql"])
def test_without_the_driver(command, monkeypatch, capsys):
    """Who lacks it is told what to install."""
    monkeypatch.setattr("abonent.cli.db.find_spec", lambda name: None)
    line = ["db", command] + (["--database", "x"] if command == "upgrade" else [])
    assert 2 == main(line)
    assert "pip install 'abonent[postgres]'" in capsys.readouterr().err


# --- the file of an SQLite store -----------------------------------------------------------


def test_a_file_is_compacted(tmp_path, capsys):
    """It says how large file and log were and are; nothing else is made or changed."""
    path = tmp_path / "users.db"
    with closing(SqliteStorage(path)) as store:
        for number in range(1000):
            store.commit([Unit("m", (Put(b"%d" % number, 0, bytes(200)),))])
        units = [Unit("m", (Put(b"%d" % number, 1, None),)) for number in range(1, 1000)]
        assert all(store.commit(units))
        assert 0 == main(["db", "compact", str(path)])
        said = re.fullmatch(
            r"compacted: (\d+) bytes before, (\d+) after\n", capsys.readouterr().out
        )
        assert said
        assert path.stat().st_size == int(said[2]) < int(said[1])
        assert [b"0"] == [key for key, _ in store.scan("m", b"", 10)]


def test_a_file_that_is_used_is_refused_by_name(tmp_path, capsys):
    """Who keeps the database is told of, as what may pass; exit status 1."""
    path = tmp_path / "users.db"
    SqliteStorage(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert 1 == main(["db", "compact", str(path), "--wait", "0.05"])
    assert "STORE_UNAVAILABLE" in capsys.readouterr().err


def test_what_is_no_database_is_not_compacted(tmp_path, capsys):
    """No file is made where there is none, and a file of another kind is not touched."""
    assert 2 == main(["db", "compact", str(tmp_path / "missing.db")])
    assert [] == list(tmp_path.iterdir())
    other = tmp_path / "other.txt"
    other.write_text("of another kind")
    assert 1 == main(["db", "compact", str(other)])
    assert "STORE_FOREIGN" in capsys.readouterr().err
    assert "of another kind" == other.read_text()

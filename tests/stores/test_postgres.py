"""PostgreSQL keeps the contract, partitioned and not, at either isolation level."""

import os
import re
import resource
import secrets
import threading
import time
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import psycopg
import psycopg_pool
import pytest
from psycopg.conninfo import make_conninfo

from abonent.errors import (
    IdentifierClosed,
    InvalidValue,
    RecordDamaged,
    StorageError,
    StoreForeign,
    StoreFull,
    StoreMissing,
    StoreNewer,
    StoreReadOnly,
    StoreRefused,
    StoreUnavailable,
    UsedAfterFork,
)
from abonent.ports import AliasChange, Append, Put, Record, StorageFeatures, Unit
from abonent.stores import postgres_link
from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import SCHEMA_VERSION, ddl, upgrade
from abonent.testing import StorageContract
from tests.postgres import Server, cut_off, made, run, sessions, wait_for, with_options

PATIENT = timedelta(seconds=60)
HASTY = timedelta(seconds=1)
SECRET = b"79161234567"
WAITING = "AND wait_event_type = 'Lock'"


@pytest.fixture
def store(named, schema):
    with closing(PostgresStorage(named, schema=schema, patience=PATIENT)) as store:
        yield store


class OneTable(StorageContract):
    partitions = 1
    level = "read committed"

    @pytest.fixture
    def open_storage(self, conninfo):
        place = with_options(conninfo, default_transaction_isolation=self.level)
        name = made(conninfo, self.partitions)
        return lambda: PostgresStorage(place, schema=name, connections=2, patience=PATIENT)

    def test_the_level_is_that_of_the_role(self, storage):
        """The store asks for no isolation level of its own."""
        with storage._connected() as connection:
            assert connection.execute("SHOW transaction_isolation").fetchone() == (self.level,)


class TestReadCommitted(OneTable):
    pass


@pytest.mark.slow
class TestSerializable(OneTable):
    level = "serializable"


@pytest.mark.slow
class TestPartitioned(OneTable):
    partitions = 7


@pytest.mark.slow
class TestPartitionedSerializable(OneTable):
    partitions = 7
    level = "serializable"


class Forgetful(PostgresStorage):
    """As behind the strictest of poolers: every transaction is the first of its session."""

    def __init__(self, conninfo, **settings):
        super().__init__(conninfo, pooled=True, **settings)
        self._conninfo = conninfo

    @contextmanager
    def _connected(self):
        kwargs = self._pool.kwargs
        with postgres_link.Connection.connect(self._conninfo, **kwargs) as connection:
            yield connection


@pytest.mark.slow
class TestBehindAPooler(StorageContract):
    @pytest.fixture
    def open_storage(self, conninfo, schema):
        return lambda: Forgetful(conninfo, schema=schema, patience=PATIENT)


# --- behind a pooler -----------------------------------------------------------------


def test_nothing_is_prepared_behind_a_pooler(conninfo, schema):
    """What a session remembers would be missing from the next one."""
    with closing(PostgresStorage(conninfo, schema=schema, pooled=True)) as store:
        for _ in range(20):
            store.load("m", [b"k"])
            store.commit([put(body=None)])
        with store._connected() as connection:
            prepared = connection.execute("SELECT count(*) FROM pg_prepared_statements")
            assert prepared.fetchone() == (0,)
            assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_a_session_of_ours_does_not_wait_for_ever(conninfo, schema):
    """Statements, locks and idle transactions end when the caller's patience does."""
    given = with_options(conninfo, work_mem="1MB")
    store = PostgresStorage(given, schema=schema, patience=timedelta(seconds=7))
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    with closing(store), store._connected() as connection:
        for each in limits:
            assert connection.execute(f"SHOW {each}").fetchone() == ("7s",)
        assert connection.execute("SHOW work_mem").fetchone() == ("1MB",)


# --- the schema ----------------------------------------------------------------------


def put(key=b"k", expected=0, body=b"body", wake=None):
    return Unit("m", puts=(Put(key, expected, body, wake),))


def test_a_schema_is_made_once(conninfo, fresh):
    """Who comes second finds it made, and changes nothing."""
    assert upgrade(conninfo, schema=fresh)
    assert not upgrade(conninfo, schema=fresh, partitions=3)
    with closing(PostgresStorage(conninfo, schema=fresh)) as store:
        assert store.commit([put()]) == [True]
    assert not upgrade(conninfo, schema=fresh)
    with closing(PostgresStorage(conninfo, schema=fresh)) as store:
        assert store.load("m", [b"k"]) == [Record(1, b"body")]


@pytest.mark.parametrize("level", ["read committed", "serializable"])
def test_many_make_it_at_once(conninfo, fresh, level):
    """Of workers that start together one makes the schema."""
    came = []
    place = with_options(conninfo, default_transaction_isolation=level)
    threads = [
        threading.Thread(target=lambda: came.append(upgrade(place, schema=fresh))) for _ in range(6)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(came) == [False] * 5 + [True]


def test_the_sql_is_enough(conninfo, fresh):
    """A migration that runs what `ddl` returns makes what `upgrade` makes."""
    run(conninfo, ddl(schema=fresh, partitions=2))
    assert not upgrade(conninfo, schema=fresh)
    with closing(PostgresStorage(conninfo, schema=fresh)) as store:
        assert store.commit([put()]) == [True]


@pytest.mark.parametrize("schema", ["", "Abonent", "a-b", 'a"b', "1a", "a" * 49, "я"])
def test_a_schema_that_would_need_quoting(conninfo, schema):
    """The name goes into statements; it is refused before."""
    with pytest.raises(InvalidValue, match="a schema is"):
        PostgresStorage(conninfo, schema=schema)
    with pytest.raises(InvalidValue, match="a schema is"):
        ddl(schema=schema)


@pytest.mark.parametrize("partitions", [0, -1, 1025])
def test_an_impossible_number_of_partitions(partitions):
    """Tables are cut into 1 to 1,024."""
    with pytest.raises(InvalidValue, match="1 to 1024 partitions"):
        ddl(partitions=partitions)


def test_a_schema_of_others(conninfo, fresh):
    """Where somebody else's tables are, nothing is made."""
    run(conninfo, f"CREATE SCHEMA {fresh}", f"CREATE TABLE {fresh}.record (id int)")
    with pytest.raises(StoreForeign):
        upgrade(conninfo, schema=fresh)
    assert run(conninfo, f"SELECT to_regclass('{fresh}.version')") == (None,)


def test_no_schema_yet(conninfo, fresh):
    """Who forgot to make it is told how."""
    with pytest.raises(StoreMissing) as caught:
        PostgresStorage(conninfo, schema=fresh)
    assert "abonent db upgrade" in caught.value.remedy


def test_a_schema_for_newer_releases(conninfo, fresh):
    """It is refused before anything is read or written, by `upgrade` as well."""
    upgrade(conninfo, schema=fresh)
    newer = SCHEMA_VERSION + 1
    run(conninfo, f"INSERT INTO {fresh}.version VALUES ({newer}, {newer})")
    with pytest.raises(StoreNewer):
        PostgresStorage(conninfo, schema=fresh)
    with pytest.raises(StoreNewer):
        upgrade(conninfo, schema=fresh)


def test_a_newer_schema_that_this_release_can_use(conninfo, fresh):
    """While a fleet is being upgraded, old processes go on, on the schema of the new ones."""
    upgrade(conninfo, schema=fresh)
    with closing(PostgresStorage(conninfo, schema=fresh)) as old:
        assert old.commit([put()]) == [True]
        run(
            conninfo,
            f"ALTER TABLE {fresh}.record ADD COLUMN territory text",
            f"CREATE TABLE {fresh}.more (id int)",
            f"INSERT INTO {fresh}.version VALUES ({SCHEMA_VERSION + 1}, {SCHEMA_VERSION})",
        )
        assert old.commit([put(expected=1)]) == [True]
        with closing(PostgresStorage(conninfo, schema=fresh)) as started_later:
            assert started_later.load("m", [b"k"]) == [Record(2, b"body")]
            assert started_later.commit([put(expected=2)]) == [True]


# --- what goes wrong -----------------------------------------------------------------


@pytest.mark.parametrize("text", ["host", "postgresql://[", "nonsense=1"])
def test_a_connection_string_that_cannot_be_read(text):
    """It is refused without being quoted: it may hold a password."""
    with pytest.raises(InvalidValue, match="connection string"):
        PostgresStorage(text)


def test_a_server_that_is_not_there(tmp_path):
    """Nobody listens: it may be tried again."""
    with pytest.raises(StoreUnavailable, match="cannot be reached") as caught:
        PostgresStorage(make_conninfo(host=str(tmp_path)))
    assert caught.value.retryable


def test_a_database_that_is_not_there(conninfo):
    """The set-up is at fault, and trying again does not help."""
    with pytest.raises(StoreRefused, match="no such database") as caught:
        PostgresStorage(make_conninfo(conninfo, dbname="nowhere"))
    assert not caught.value.retryable


def test_a_role_that_is_not_there(conninfo):
    """So it is with a role."""
    with pytest.raises(StoreRefused, match="refuses the role"):
        PostgresStorage(make_conninfo(conninfo, user="nobody"))


def test_a_wrong_password(server):
    """A wrong password is called that, and is not repeated."""
    place = server.folder / "pg_hba.conf"
    before = place.read_text()
    run(server.conninfo, "DROP ROLE IF EXISTS guarded")
    run(server.conninfo, "CREATE ROLE guarded LOGIN PASSWORD 'right'")
    try:
        place.write_text(f"local all guarded scram-sha-256\n{before}")
        server.control("reload")
        deadline = time.monotonic() + 10
        wrong = make_conninfo(server.conninfo, user="guarded", password="wrong")
        while time.monotonic() < deadline:  # the server reads the file when it comes to it
            with pytest.raises(StorageError) as caught:
                PostgresStorage(wrong, schema="missing")
            if not isinstance(caught.value, StoreMissing):
                break
        assert isinstance(caught.value, StoreRefused)
        assert "password" in str(caught.value)
        assert "wrong" not in str(caught.value)
    finally:
        place.write_text(before)
        server.control("reload")
        run(server.conninfo, "DROP ROLE guarded")


def test_a_role_without_privileges(conninfo, schema):
    """What a role may not use it is told by name."""
    run(conninfo, "DROP ROLE IF EXISTS nobody_else")
    run(conninfo, "CREATE ROLE nobody_else LOGIN")
    try:
        with pytest.raises(StoreRefused, match="privilege"):
            PostgresStorage(make_conninfo(conninfo, user="nobody_else"), schema=schema)
    finally:
        run(conninfo, "DROP ROLE nobody_else")


def test_a_standby(conninfo, schema):
    """A server that takes no writes is refused when it is opened."""
    place = with_options(conninfo, default_transaction_read_only="on")
    with pytest.raises(StoreReadOnly):
        PostgresStorage(place, schema=schema)


def test_a_connection_that_was_cut_while_it_was_idle(conninfo, named, store):
    """The next call takes another connection, and nobody notices."""
    for expected in range(5):
        assert store.commit([put(expected=expected)]) == [True]
        assert store.load("m", [b"k"]) == [Record(expected + 1, b"body")]
        cut_off(conninfo, named)


class Breaking:
    """The next statement of a kind, or the next few, find their connection broken."""

    def __init__(self, monkeypatch, words, times=1):
        self.tries = 0
        real = psycopg.Connection.execute

        def execute(connection, query, *args, **kwargs):
            if words in query:
                self.tries += 1
                if self.tries <= times:
                    connection.close()
                    raise psycopg.OperationalError("consuming input failed")
            return real(connection, query, *args, **kwargs)

        monkeypatch.setattr(psycopg.Connection, "execute", execute)


def test_a_connection_that_breaks_in_a_reading(store, monkeypatch):
    """What was only read is asked again, once, on another connection."""
    store.commit([put()])
    breaking = Breaking(monkeypatch, b"version, body")
    assert store.load("m", [b"k"]) == [Record(1, b"body")]
    assert breaking.tries == 2


def test_connections_that_break_again_and_again(store, monkeypatch):
    """Whoever reads is told after the second one."""
    store.commit([put()])
    breaking = Breaking(monkeypatch, b"version, body", times=9)
    with pytest.raises(StoreUnavailable, match="was lost"):
        store.load("m", [b"k"])
    assert breaking.tries == 2


def test_a_call_that_is_overtaken_by_a_close(store, monkeypatch):
    """It says that the store is closed, not that trying again may help."""
    store.commit([put()])
    connection = store._pool.connection

    def closing():
        store.close()
        return connection()

    monkeypatch.setattr(store._pool, "connection", closing)
    with pytest.raises(IdentifierClosed):
        store.load("m", [b"k"])


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (b"commit_1", lambda store: store.commit([put(expected=1)])),
        (b"SKIP LOCKED", lambda store: store.due("m", 9, 1, 1)),
    ],
)
def test_a_connection_that_breaks_in_a_writing(store, monkeypatch, words, call):
    """What may have been taken is not sent again: the caller finds out."""
    store.commit([put(wake=5)])
    breaking = Breaking(monkeypatch, words)
    with pytest.raises(StoreUnavailable, match="was lost"):
        call(store)
    assert breaking.tries == 1


def test_the_role_of_a_service_needs_no_more_than_the_page_says(conninfo, schema):
    """What docs/how-to/postgresql.md grants is enough for everything that a store does."""
    page = (Path(__file__).parents[2] / "docs/how-to/postgresql.md").read_text("utf-8")
    grants = re.search(r"```sql\n(GRANT.*?)```", page, re.DOTALL)[1]
    role = f"service_{secrets.token_hex(4)}"
    grants = grants.replace("SCHEMA abonent", f"SCHEMA {schema}").replace(
        "TO abonent", f"TO {role}"
    )
    run(conninfo, f"CREATE ROLE {role} LOGIN", *filter(None, map(str.strip, grants.split(";"))))
    try:
        place = make_conninfo(conninfo, user=role)
        with closing(PostgresStorage(place, schema=schema)) as store:
            unit = Unit(
                "m",
                (Put(b"k", 0, b"body", 5),),
                (AliasChange(b"a", b"k", True, sole=True),),
                (Append(b"s", 1, b"e"),),
            )
            assert store.commit([unit, put(b"other")]) == [True, True]
            assert store.commit([put(expected=9), put(b"other", 1, None)]) == [False, True]
            assert store.due("m", 9, 9, 9) == [b"k"]
            assert store.find("m", [b"a"]) == [(b"k",)]
            assert store.load("m", [b"k"]) == [Record(1, b"body")]
            assert len(store.journal("m", 0, 9)) == len(store.scan("m", b"", 9)) == 1
    finally:
        run(conninfo, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_process_with_many_open_files(store):
    """A messenger holds thousands of sockets: the store goes on as with few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    opened = []
    try:
        opened += [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        for expected in range(3):
            assert store.commit([put(expected=expected)]) == [True]
            assert store.load("m", [b"k"]) == [Record(expected + 1, b"body")]
    finally:
        for each in opened:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_a_server_that_is_started_again():
    """While it is down calls fail; soon after it is back they succeed, on the same store."""
    with Server() as server:
        upgrade(server.conninfo)
        with closing(PostgresStorage(server.conninfo, patience=timedelta(seconds=2))) as store:
            assert store.commit([put()]) == [True]
            server.control("stop", "-m", "immediate")
            until = time.monotonic() + 8
            while time.monotonic() < until:
                with pytest.raises(StoreUnavailable):
                    store.load("m", [b"k"])
            server.start()
            began = time.monotonic()
            while True:
                with suppress(StoreUnavailable):
                    assert store.load("m", [b"k"]) == [Record(1, b"body")]
                    break
            assert time.monotonic() - began < 5
            assert store.commit([put(expected=1)]) == [True]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ('FATAL:  too many connections for role "x"', StoreUnavailable),
        ("FATAL:  sorry, too many clients already", StoreUnavailable),
        ("FATAL:  remaining connection slots are reserved", StoreUnavailable),
        ('root certificate file "/x/root.crt" does not exist', StoreUnavailable),
        ('FATAL:  role "x" does not exist', StoreRefused),
        ('FATAL:  database "x" does not exist', StoreRefused),
        ('FATAL:  no pg_hba.conf entry for host "h", user "u", database "d"', StoreRefused),
        ('FATAL:  permission denied for database "d"', StoreRefused),
        ("FATAL:  the database system is starting up", StoreUnavailable),
    ],
)
def test_what_is_said_when_connecting(said, error):
    """The fault is told apart by the server's words, where it gives nothing else."""
    assert type(postgres_link._unconnected(psycopg.OperationalError(said))) is error


@pytest.mark.parametrize(
    ("failed", "error", "lost"),
    [
        (psycopg.errors.IdleInTransactionSessionTimeout, StoreUnavailable, True),
        (psycopg.errors.AdminShutdown, StoreUnavailable, True),
        (psycopg.OperationalError, StoreUnavailable, True),
        (psycopg.errors.QueryCanceled, StoreUnavailable, False),
        (psycopg.errors.SerializationFailure, StoreUnavailable, False),
        (psycopg.DataError, InvalidValue, False),
        (psycopg.errors.DivisionByZero, InvalidValue, False),
        (psycopg.InterfaceError, StorageError, False),
        (psycopg_pool.PoolTimeout, StoreUnavailable, False),
        (psycopg_pool.PoolClosed, StoreUnavailable, False),
    ],
)
def test_what_a_failure_means(failed, error, lost):
    """Each error of the driver is one of ours; after some a read is asked again."""
    assert type(postgres_link.ours(failed("secret"))) is error
    assert "secret" not in str(postgres_link.ours(failed("secret")))
    assert postgres_link.is_lost(failed("secret")) is lost


@pytest.mark.parametrize(
    "wrong", [{"connections": 0}, {"connections": -1}, {"patience": timedelta(0)}]
)
def test_impossible_settings(conninfo, schema, wrong):
    """They are refused before anything is opened."""
    with pytest.raises(InvalidValue):
        PostgresStorage(conninfo, schema=schema, **wrong)


def test_options_of_the_environment_hold(conninfo, schema, monkeypatch):
    """What the environment sets for libpq is not overruled."""
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=1MB")
    monkeypatch.setenv("PGAPPNAME", "mine")
    store = PostgresStorage(conninfo, schema=schema)
    with closing(store), store._connected() as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("1MB",)
        assert connection.execute("SHOW application_name").fetchone() == ("mine",)
        assert connection.execute("SHOW lock_timeout").fetchone() == ("5s",)


def test_who_comes_while_it_is_closed(conninfo, schema, monkeypatch):
    """A first call that finds the store closed opens nothing."""
    store = PostgresStorage(conninfo, schema=schema)
    check = PostgresStorage._check_usable
    calls = []

    def closing_meanwhile(self):
        check(self)
        calls.append(1)
        if len(calls) == 1:
            store.close()

    monkeypatch.setattr(PostgresStorage, "_check_usable", closing_meanwhile)
    with pytest.raises(IdentifierClosed):
        store.load("m", [b"k"])
    assert store._pool.closed


def test_a_connection_that_is_cut_in_a_commit(conninfo, named, schema, store):
    """All or nothing was taken; the caller is told to try again, and finds out which."""
    store.commit([put()])
    with psycopg.connect(conninfo) as other:
        other.execute(f"SELECT FROM {schema}.space FOR UPDATE")
        failures = []

        def write():
            try:
                store.commit([put(expected=1)])
            except StorageError as error:
                failures.append(error)

        writing = threading.Thread(target=write)
        writing.start()
        wait_for(conninfo, f"SELECT count(*) {sessions(named, WAITING)}", 1)
        cut_off(conninfo, named)
        writing.join(30)
    assert [type(each) for each in failures] == [StoreUnavailable]
    assert store.load("m", [b"k"]) == [Record(1, b"body")]
    assert store.commit([put(expected=1)]) == [True]


def test_a_lock_that_others_keep(conninfo, schema):
    """After the caller's patience the call is over, and nothing of it is left."""
    with closing(PostgresStorage(conninfo, schema=schema, patience=HASTY)) as store:
        store.commit([put()])
        with psycopg.connect(conninfo) as other:
            other.execute(f"SELECT FROM {schema}.space FOR UPDATE")
            with pytest.raises(StoreUnavailable, match=r"lock|too long"):
                store.commit([put(expected=1)])
        assert store.load("m", [b"k"]) == [Record(1, b"body")]
        assert store.commit([put(expected=1)]) == [True]


def test_no_connection_becomes_free(conninfo, schema):
    """Who has to wait for longer than their patience is told so."""
    store = PostgresStorage(conninfo, schema=schema, connections=1, patience=HASTY)
    with closing(store), store._connected(), pytest.raises(StoreUnavailable, match="became free"):
        store.load("m", [b"k"])


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("53100", StoreFull),
        ("53200", StoreUnavailable),
        ("57P03", StoreUnavailable),
        ("58030", StoreUnavailable),
        ("XX001", RecordDamaged),
        ("XX000", StorageError),
        ("42501", StoreRefused),
    ],
)
def test_what_the_server_fails_with(conninfo, schema, store, state, error):
    """Each failure is told in words of ours, nothing of the batch is left, and it goes on."""
    store.commit([put()])
    quoting = f"RAISE EXCEPTION 'room for {SECRET.decode()}' USING ERRCODE = '{state}'"
    run(
        conninfo,
        f"CREATE FUNCTION {schema}.fail() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN {quoting}; END $$",
        f"CREATE TRIGGER fail BEFORE INSERT ON {schema}.journal"
        f" FOR EACH ROW EXECUTE FUNCTION {schema}.fail()",
    )
    try:
        unit = Unit("m", (Put(b"k", 1, b"new"),), appends=(Append(b"s", 1, b"e"),))
        with pytest.raises(error) as caught:
            store.commit([unit])
        assert type(caught.value) is error
        assert SECRET.decode() not in str(caught.value)
        assert caught.value.__cause__ is None
    finally:
        run(conninfo, f"DROP TRIGGER fail ON {schema}.journal", f"DROP FUNCTION {schema}.fail")
    assert store.load("m", [b"k"]) == [Record(1, b"body")]
    assert store.commit([unit]) == [True]


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.due("m", 1 << 70, 1, 1),
        lambda store: store.commit([put(wake=1 << 63)]),
        lambda store: store.commit([Unit("m", appends=(Append(b"s", 1 << 63, b""),))]),
        lambda store: store.load("a\x00b", [b"k"]),
        lambda store: store.load("\ud800", [b"k"]),
    ],
)
def test_what_postgresql_cannot_hold(store, call):
    """It is the caller's fault, and nothing is left half-done."""
    store.commit([put()])
    with pytest.raises(InvalidValue):
        call(store)
    assert store.load("m", [b"k"]) == [Record(1, b"body")]


@pytest.mark.parametrize("expected", [-1, 1 << 31, 1 << 70])
def test_a_version_that_no_record_has(store, expected):
    """To expect an impossible version is to expect the wrong one."""
    assert store.commit([put(), put(expected=expected), put(expected=1)]) == [True, False, True]


class Kept:
    """Connections of the parent's, which no child closes."""

    def close(self):
        os._exit(99)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of threads, from 3.12 on
def test_a_child_is_refused(store):
    """Connections belong to the process that opened them; a child that closes it hurts nobody."""
    store.commit([put()])
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with suppress(UsedAfterFork):
                store.load("m", [b"k"])
                status = 2
            store._pool = Kept()
            store.close()
            status = 0 if status == 1 else status
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert store.load("m", [b"k"]) == [Record(1, b"body")]


def test_without_the_driver(monkeypatch):
    """Who lacks it is told what to install."""
    import builtins
    import importlib

    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("psycopg"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    spec = importlib.util.spec_from_file_location("again", postgres_link.__file__)
    with pytest.raises(ModuleNotFoundError, match=r"abonent\[postgres\]"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


# --- how it works --------------------------------------------------------------------


def test_it_says_what_it_can_do(store):
    """It promises to outlive a crash and to be shared by processes."""
    assert StorageFeatures(durable=True, shared=True) == store.features


class Counting:
    """Counts what is asked of the server."""

    def __init__(self, store, monkeypatch):
        self.asked = []
        real = psycopg.Connection.execute

        def execute(connection, query, *args, **kwargs):
            self.asked.append(query)
            return real(connection, query, *args, **kwargs)

        monkeypatch.setattr(psycopg.Connection, "execute", execute)


def of_two(number):
    """What a pass does: two users change, one gives a number up to the other."""
    old, new = b"old%d" % number, b"new%d" % number
    return Unit(
        "m",
        (Put(old, 1, b"b", 5), Put(new, 1, b"b")),
        (AliasChange(b"n%d" % number, old, False), AliasChange(b"n%d" % number, new, True, True)),
        (Append(old, 1, b"e"), Append(new, 1, b"e")),
    )


def test_a_batch_is_one_statement(store, monkeypatch):
    """However many units there are, the server is asked once."""
    for number in range(30):
        alias = (AliasChange(b"n%d" % number, b"old%d" % number, True, True),)
        store.commit([Unit("m", (Put(b"old%d" % number, 0, b"b"),), alias)])
        store.commit([put(b"new%d" % number)])
    counting = Counting(store, monkeypatch)
    assert store.commit([of_two(number) for number in range(30)]) == [True] * 30
    assert len(counting.asked) == 1


def test_a_batch_in_which_one_loses_is_judged_under_a_lock(store, monkeypatch):
    """The server refuses the whole, and then says what it holds."""
    store.commit([put(b"a"), put(b"b")])
    counting = Counting(store, monkeypatch)
    assert store.commit([put(b"a", 1), put(b"b", 9), put(b"c")]) == [True, False, True]
    assert 5 >= len(counting.asked)


def test_who_is_judged_is_overtaken_by_nobody(conninfo, schema, store, monkeypatch):
    """Between reading and writing nobody else commits: a sole owner stays the only one (I3)."""

    def claim(owner):
        return Unit("m", aliases=(AliasChange(b"n", owner, True, sole=True),))

    def overtake():
        with closing(PostgresStorage(conninfo, schema=schema, patience=PATIENT)) as other:
            told.extend(other.commit([claim(b"two")]))

    real, told, others = psycopg.Connection.execute, [], []

    def execute(connection, query, *args, **kwargs):
        found = real(connection, query, *args, **kwargs)
        if not others and b"alias = ANY" in query:
            others.append(threading.Thread(target=overtake))
            others[0].start()
            others[0].join(1)  # it waits for us
        return found

    store.commit([put()])
    monkeypatch.setattr(psycopg.Connection, "execute", execute)
    assert store.commit([put(expected=9), claim(b"one")]) == [False, True]
    others[0].join(30)
    assert told == [False]
    assert store.find("m", [b"n"]) == [(b"one",)]


def test_an_alias_that_several_units_of_a_batch_move(store):
    """Who may have it depends on who had it at that moment, not at the end."""
    store.commit([Unit("m", aliases=(AliasChange(b"n", b"c", True),))])
    batch = [
        Unit("m", aliases=(AliasChange(b"n", b"a", True, sole=True),)),
        Unit("m", aliases=(AliasChange(b"n", b"c", False),)),
    ]
    assert store.commit(batch) == [False, True]
    assert store.find("m", [b"n"]) == [()]


@pytest.mark.parametrize("call", ["load", "find", "born", "changed", "gone"])
def test_what_is_asked_with_every_message_touches_one_partition(conninfo, call):
    """A statement of the hot path names what the tables are cut by; the others are not opened.

    The server counts index scans by table: those of a partition that is pruned stay at nothing.
    """
    name = made(conninfo, 7)
    with closing(PostgresStorage(conninfo, schema=name, connections=1)) as store:
        unit = Unit(
            "m",
            (Put(b"user", 0, b"b", 5),),
            (AliasChange(b"number", b"user", True, sole=True),),
            (Append(b"subject", 1, b"e"),),
        )
        assert store.commit([unit]) == [True]
        calls = {
            "load": lambda: store.load("m", [b"user"]),
            "find": lambda: store.find("m", [b"number"]),
            "born": lambda: store.commit([Unit("m", (Put(b"other", 0, b"b", 6),))]),
            "changed": lambda: store.commit(
                [Unit("m", (Put(b"user", 1, b"b", 7),), unit.aliases, unit.appends)]
            ),
            "gone": lambda: store.commit([Unit("m", (Put(b"user", 1, None),))]),
        }
        before = touched(conninfo, name, store)
        calls[call]()
        after = touched(conninfo, name, store)
    moved = {table for table in after if after[table] != before.get(table)}
    for table in ("record", "deadline", "alias", "journal"):
        parts = {each for each in moved if each.startswith(f"{table}_")}
        assert len(parts) <= 1, parts
    assert moved


def touched(conninfo, schema, store):
    """How often each table was read or written, flushed by the one session of the store."""
    with store._connected() as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.execute("SELECT 1")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT relname, seq_scan + coalesce(idx_scan, 0) + n_tup_ins + n_tup_upd + n_tup_del"
            " FROM pg_stat_all_tables WHERE schemaname = %s",
            (schema,),
        )
        return dict(rows.fetchall())

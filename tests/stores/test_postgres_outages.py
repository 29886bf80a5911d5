"""What a store on PostgreSQL does when the server hangs, forgets, or cannot confirm."""

import os
import secrets
import signal
import threading
import time
from contextlib import closing, contextmanager, suppress
from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from abonent.errors import StoreReadOnly, StoreRefused, StoreUnavailable
from abonent.ports import Append, Put, Record, StorageFeatures, Unit
from abonent.stores import postgres_link
from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import upgrade
from tests.postgres import Server, cut_off, run, sessions, with_options

PATIENT = timedelta(seconds=60)
HASTY = timedelta(seconds=1)


def put(key=b"k", expected=0, body=b"body", wake=None, space="m"):
    return Unit(space, puts=(Put(key, expected, body, wake),))


def within(seconds, call):
    """What a call gives or raises, as long as it does so in time."""
    told = []

    def act():
        try:
            told.append(call())
        except Exception as error:
            told.append(error)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(seconds)
    assert told, "it hangs"
    if isinstance(told[0], Exception):
        raise told[0]
    return told[0]


# --- servers that do not answer ------------------------------------------------------


@contextmanager
def stopped(conninfo, named):
    """The sessions of a store hang, as on a disk that does not answer."""
    pids = run(conninfo, f"SELECT array_agg(pid) {sessions(named)}")[0]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.load("m", [b"k"]),
        lambda store: store.commit([put(expected=1)]),
        lambda store: store.due("m", 9, 1, 1),
        # Two spaces are committed in a transaction of several statements.
        lambda store: store.commit([put(expected=1), put(space="n")]),
    ],
)
def test_a_server_that_does_not_answer(server, call):
    """Whoever asked hears of it after twice their patience, once, and others go on."""
    named = make_conninfo(server.conninfo, application_name=f"test_{secrets.token_hex(6)}")
    name = f"test_{secrets.token_hex(6)}"
    upgrade(server.conninfo, schema=name)
    with closing(PostgresStorage(named, schema=name, connections=1, patience=HASTY)) as store:
        store.commit([put(wake=5)])
        with stopped(server.conninfo, named):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match="did not answer") as caught:
                within(8, lambda: call(store))
            assert 2 <= time.monotonic() - began < 5
            assert caught.value.retryable
            assert store.load("m", [b"k"]) == [Record(1, b"body")]
    run(server.conninfo, f"DROP SCHEMA {name} CASCADE")


def test_nothing_more_is_asked_on_a_connection_without_an_answer(server):
    """What comes on it late would be taken for the answer to something else."""
    named = make_conninfo(server.conninfo, application_name=f"test_{secrets.token_hex(6)}")
    with postgres_link.connect(named) as connection:
        connection.answer_to(HASTY)
        with stopped(server.conninfo, named):
            with pytest.raises(postgres_link.Unanswered):
                within(8, lambda: connection.execute("SELECT 1"))
            assert connection.closed


def test_others_that_keep_winning(conninfo, schema, monkeypatch):
    """A transaction that loses is tried again, for as long as the caller's patience lasts."""
    real, tries = psycopg.Connection.execute, []

    def losing(connection, query, *args, **kwargs):
        if b"commit_1" in query:
            tries.append(query)
            raise psycopg.errors.SerializationFailure
        return real(connection, query, *args, **kwargs)

    with closing(PostgresStorage(conninfo, schema=schema, patience=HASTY)) as store:
        assert store.commit([put()]) == [True]
        monkeypatch.setattr(psycopg.Connection, "execute", losing)
        with pytest.raises(StoreUnavailable, match="kept winning"):
            within(8, lambda: store.commit([put(expected=1)]))
    assert len(tries) > 1


# --- standbys that do not confirm ----------------------------------------------------


@pytest.fixture(scope="module")
def lonely():
    """A server whose commits wait for a standby that is not there."""
    with Server() as server:
        upgrade(server.conninfo)
        # A role may not care for warnings; we do.
        run(server.conninfo, "ALTER ROLE postgres SET client_min_messages = error")
        yield server


@contextmanager
def waiting_for_a_standby(server):
    """From now on every commit waits."""
    server.set(synchronous_standby_names="nobody")
    try:
        yield
    finally:
        server.set(synchronous_standby_names="")


def opened(server, **settings):
    named = make_conninfo(server.conninfo, application_name=f"test_{secrets.token_hex(6)}")
    run(server.conninfo, "TRUNCATE abonent.space, abonent.record, abonent.deadline")
    return named, closing(PostgresStorage(named, **settings))


@pytest.mark.slow
@pytest.mark.parametrize("units", [[put(expected=1)], [put(expected=1), put(space="n")]])
def test_a_wait_for_the_standby_that_is_cancelled(lonely, units):
    """The server calls it a success with a warning; nobody is told that it is one."""
    named, opening = opened(lonely, patience=PATIENT)
    with opening as store:
        store.commit([put(), put(b"other", space="n")])
        with waiting_for_a_standby(lonely):
            told = []

            def write():
                with suppress(StoreUnavailable):
                    told.append(store.commit(units))
                told.append("ended")

            writing = threading.Thread(target=write, daemon=True)
            writing.start()
            while writing.is_alive():
                waits = sessions(named, "AND wait_event = 'SyncRep'")
                run(lonely.conninfo, f"SELECT count(pg_cancel_backend(pid)) {waits}")
                time.sleep(0.05)
        assert told == ["ended"]
        assert store.load("m", [b"k"]) == [Record(2, b"body")]
        assert store.commit([put(expected=2)]) == [True]


@pytest.mark.slow
def test_a_standby_that_is_gone(lonely):
    """Nobody waits for it for ever: not who commits, nor those after them; gates can be read."""
    _, opening = opened(lonely, patience=HASTY)
    with opening as store:
        store.commit([put(), put(b"due", wake=5)])
        with waiting_for_a_standby(lonely):
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    within(8, lambda: store.commit([put(expected=1)]))
            assert within(8, lambda: store.load("m", [b"k"])) == [Record(1, b"body")]
            assert within(8, lambda: store.due("m", 9, 9, 9)) == [b"due"]
        deadline = time.monotonic() + 20
        while store.load("m", [b"k"]) != [Record(2, b"body")]:
            assert time.monotonic() < deadline, "what waited was taken once the server could"
        assert store.commit([put(expected=2)]) == [True]


# --- servers that forgot -------------------------------------------------------------


def forget(conninfo, schema):
    """What a failover to a standby that lagged, or a restored backup, can do."""
    run(
        conninfo,
        f"TRUNCATE {schema}.space, {schema}.record, {schema}.deadline, {schema}.alias,"
        f" {schema}.journal RESTART IDENTITY",
    )


def journaled(key, space):
    return Unit(space, (Put(key, 0, b"b"),), appends=(Append(key, 1, b"e"),))


@pytest.mark.parametrize("conflict", [False, True])
def test_a_messenger_whose_row_was_lost(conninfo, schema, conflict):
    """It is made again, on a connection that knew it, and so where units are judged."""
    with closing(PostgresStorage(conninfo, schema=schema, connections=1)) as store:
        assert store.commit([put()]) == [True]
        forget(conninfo, schema)
        assert store.load("m", [b"k"]) == [None]
        units = [put(), put(b"other", 7)] if conflict else [put()]
        assert store.commit(units) == [True, False][: len(units)]
        assert store.load("m", [b"k"]) == [Record(1, b"body")]


def test_a_messenger_whose_row_was_lost_and_another_that_came(conninfo, named, schema):
    """The number by which one was known is not taken for that of another."""
    old = PostgresStorage(named, schema=schema, connections=1)
    new = PostgresStorage(conninfo, schema=schema, connections=1)
    with closing(old), closing(new):
        assert old.commit([journaled(b"old", "m")]) == [True]
        forget(conninfo, schema)
        cut_off(conninfo, named)
        assert new.commit([journaled(b"new", "n")]) == [True]
        assert old.load("m", [b"new"]) == [None]
        assert old.commit([journaled(b"old", "m")]) == [True]
        for space, key in (("m", b"old"), ("n", b"new")):
            assert [each.subject for each in new.journal(space, 0, 9)] == [key]


def test_the_same_without_a_failover(conninfo, schema):
    """Nor is it on a connection that lived through it, as those to a pooler do."""
    old = PostgresStorage(conninfo, schema=schema, connections=1)
    new = PostgresStorage(conninfo, schema=schema, connections=1)
    with closing(old), closing(new):
        assert old.commit([journaled(b"old", "m")]) == [True]
        forget(conninfo, schema)
        assert new.commit([journaled(b"new", "n")]) == [True]
        assert old.commit([journaled(b"old", "m")]) == [True]
        for space, key in (("m", b"old"), ("n", b"new")):
            assert [each.subject for each in new.journal(space, 0, 9)] == [key]


# --- servers that do not take writes -------------------------------------------------


def test_connections_that_lead_to_a_standby_are_given_up(store, named):
    """Where new ones lead to the primary, nobody notices that the old ones did not."""
    store.commit([put(wake=5)])
    with ready(store), ready(store), ready(store):
        pass
    assert store.load("m", [b"k"]) == [Record(1, b"body")]
    assert store.due("m", 9, 9, 9) == [b"k"]
    with ready(store), ready(store):
        pass
    assert store.commit([put(expected=1)]) == [True]


@contextmanager
def ready(store):
    with store._connected() as connection:
        connection.execute("SET default_transaction_read_only = on")
        yield


@pytest.fixture
def store(named, schema):
    with closing(PostgresStorage(named, schema=schema, connections=3, patience=PATIENT)) as store:
        yield store


def test_a_server_that_becomes_read_only(conninfo, schema):
    """What is being read can be read; what is to be written is refused until it can be."""
    role = f"becoming_{secrets.token_hex(4)}"
    run(conninfo, f"CREATE ROLE {role} SUPERUSER LOGIN")
    place = make_conninfo(conninfo, user=role)
    try:
        with closing(PostgresStorage(place, schema=schema)) as store:
            store.commit([put(wake=5)])
            run(conninfo, f"ALTER ROLE {role} SET default_transaction_read_only = on")
            with ready(store):
                pass
            for call in (lambda: store.commit([put(expected=1)]), lambda: store.due("m", 9, 1, 1)):
                with pytest.raises(StoreReadOnly):
                    call()
            assert store.load("m", [b"k"]) == [Record(1, b"body")]
            run(conninfo, f"ALTER ROLE {role} RESET default_transaction_read_only")
            assert store.commit([put(expected=1)]) == [True]
    finally:
        run(conninfo, f"DROP ROLE {role}")


# --- several hosts, and poolers ------------------------------------------------------

REFUSED = "connection to server failed: Connection refused"
STANDBY = "connection to server failed: session is read-only"
PASSWORD = 'FATAL:  password authentication failed for user "x"'


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([STANDBY], StoreReadOnly),
        (["FATAL:  server is in hot standby mode"], StoreReadOnly),
        ([STANDBY, STANDBY], StoreReadOnly),
        ([REFUSED, STANDBY], StoreUnavailable),
        ([STANDBY, REFUSED], StoreUnavailable),
        ([STANDBY, "FATAL:  the database system is starting up"], StoreUnavailable),
        ([REFUSED, PASSWORD], StoreRefused),
        ([PASSWORD, STANDBY], StoreRefused),
        (["FATAL:  unsupported startup parameter: statement_timeout"], StoreRefused),
        (["FATAL:  unsupported startup parameter in options: lock_timeout"], StoreRefused),
    ],
)
def test_what_several_hosts_say(said, error):
    """A fault of the set-up is told first; a standby only where nothing else may come up."""
    text = said[-1]
    if len(said) > 1:
        lines = "".join(f"\n- host: 'h', port: None, hostaddr: None: {each}" for each in said)
        text = f"{text}\nMultiple connection attempts failed. All failures were:{lines}"
    assert type(postgres_link._unconnected(psycopg.OperationalError(text))) is error


@pytest.mark.parametrize("state", ["26000", "42P05"])
def test_a_pooler_that_nobody_told_of(state):
    """Who prepares statements through one is told what to say."""
    error = psycopg.errors.lookup(state)("secret")
    told = postgres_link.ours(error)
    assert type(told) is StoreRefused
    assert "pooled=True" in str(told)


# --- what a server promises ----------------------------------------------------------


@pytest.mark.parametrize(("mode", "durable"), [("off", False), ("local", True), ("on", True)])
def test_a_role_whose_commits_are_not_flushed(conninfo, schema, mode, durable):
    """Where the server answers before it has flushed, the store does not call itself durable."""
    place = with_options(conninfo, synchronous_commit=mode)
    with closing(PostgresStorage(place, schema=schema)) as store:
        assert StorageFeatures(durable=durable, shared=True) == store.features


@pytest.mark.slow
def test_a_server_that_does_not_flush(lonely):
    """Nor where the server flushes nothing at all."""
    lonely.set(fsync="off")
    try:
        with closing(PostgresStorage(lonely.conninfo)) as store:
            assert not store.features.durable
    finally:
        lonely.set(fsync="on")

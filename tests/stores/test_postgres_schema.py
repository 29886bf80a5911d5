"""A schema of an older release is brought to this one's, and its views show what they may."""

import re
import secrets
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from abonent import Identifier, MemoryKeys, Messenger, MessengerKind, NoticeKind, OneTimeCodes
from abonent.engine.archive import holder_aliases, micros, pending_aliases, sends_key, subject_alias
from abonent.errors import StoreMissing
from abonent.ports import Append, Keys, Put, Record, Unit
from abonent.sealing import TAG_LENGTH
from abonent.simulation import SimulatedClock, SimulatedSender
from abonent.stores import postgres_schema
from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import SCHEMA_VERSION, ddl, upgrade
from abonent.testing import Rehearsal, StorageContract
from tests.postgres import empty, made, make_old, run

PAGE = Path(__file__).parents[2] / "docs/how-to/your-tables.md"
PATIENT = timedelta(seconds=60)
VIEWS = {
    "user_row": ["messenger", "row_key", "version", "wakes_at"],
    "holder": ["messenger", "row_key"],
    "feed": ["messenger", "last_cursor"],
}


def rows(conninfo, statement, *values):
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return connection.execute(statement, values).fetchall()


# --- upgrading -----------------------------------------------------------------------


def catalogue(conninfo, schema):
    """All that a schema holds, in the words of the server, apart from its name."""
    of_class = "FROM pg_class c WHERE c.relnamespace = %s::regnamespace"
    of_columns = of_class.replace("WHERE", "JOIN pg_attribute ON attrelid = c.oid WHERE")
    statements = (
        f"SELECT relname, relkind, reloptions, relpartbound, obj_description(oid) {of_class}",
        f"SELECT relname, pg_get_viewdef(oid) {of_class} AND relkind = 'v'",
        f"SELECT relname, pg_get_indexdef(oid) {of_class} AND relkind IN ('i', 'I')",
        f"SELECT relname, attname, attnum, atttypid, attnotnull, attidentity {of_columns}",
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = %s::regnamespace",
        "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = %s::regnamespace",
        f"SELECT version, readable_by FROM {schema}.version WHERE %s <> ''",
    )
    found = [sorted(map(repr, rows(conninfo, each, schema))) for each in statements]
    return [[line.replace(schema, "…") for line in each] for each in found]


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("by_hand", [False, True])
def test_what_was_upgraded_is_as_if_new(conninfo, fresh, partitions, by_hand):
    """Version 1, as it was made then, becomes what is made now, with all that is in it."""
    make_old(conninfo, fresh, 1, partitions)
    unit = Unit("m", (Put(b"k", 0, b"body", 5),), appends=(Append(b"s", 1, b"e"),))
    with closing(PostgresStorage(conninfo, schema=fresh)) as store:
        assert store.commit([unit]) == [True]
        if by_hand:
            run(conninfo, ddl(schema=fresh, since=1))
        else:
            assert upgrade(conninfo, schema=fresh, partitions=7)
        assert not upgrade(conninfo, schema=fresh)
        assert store.load("m", [b"k"]) == [Record(1, b"body")]
        assert store.commit([Unit("m", (Put(b"k", 1, b"new", 6),))]) == [True]
        assert store.due("m", 9, 9, 9) == [b"k"]
    assert run(conninfo, f"SELECT last_cursor FROM {fresh}.feed") == (1,)
    new = f"test_{secrets.token_hex(6)}"
    upgrade(conninfo, schema=new, partitions=partitions)
    try:
        assert catalogue(conninfo, fresh) == catalogue(conninfo, new)
    finally:
        run(conninfo, f"DROP SCHEMA {new} CASCADE")


def test_nobody_who_writes_meanwhile_notices(conninfo, fresh):
    """Older processes go on while the schema is upgraded, and after it."""
    make_old(conninfo, fresh, 1)
    over = threading.Event()
    with closing(PostgresStorage(conninfo, schema=fresh, patience=PATIENT)) as store:
        done = []

        def write():
            while not over.is_set():
                done.extend(store.commit([Unit("m", (Put(b"k", len(done), b"b"),))]))

        writing = threading.Thread(target=write)
        writing.start()
        try:
            while len(done) < 20:
                assert writing.is_alive()
            assert upgrade(conninfo, schema=fresh)
            enough = len(done) + 20
            while len(done) < enough:
                assert writing.is_alive()
        finally:
            over.set()
            writing.join(60)
        assert all(done)
        assert store.load("m", [b"k"]) == [Record(len(done), b"b")]


def test_many_upgrade_it_at_once(conninfo, fresh):
    """Of workers that start together one upgrades the schema."""
    make_old(conninfo, fresh, 1)
    came = []
    threads = [
        threading.Thread(target=lambda: came.append(upgrade(conninfo, schema=fresh)))
        for _ in range(6)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(came) == [False] * 5 + [True]


def test_an_upgrade_that_breaks_off(conninfo, fresh):
    """Nothing of it is left, and the version is the old one."""
    make_old(conninfo, fresh, 1)
    run(conninfo, f"CREATE TABLE {fresh}.feed (id int)")
    with pytest.raises(Exception, match="42P07"):
        upgrade(conninfo, schema=fresh)
    assert run(conninfo, f"SELECT max(version) FROM {fresh}.version") == (1,)
    assert run(conninfo, f"SELECT to_regclass('{fresh}.user_row')") == (None,)
    run(conninfo, f"DROP TABLE {fresh}.feed")
    assert upgrade(conninfo, schema=fresh)


@pytest.fixture
def of_version_1(monkeypatch):
    """A release that knows of no later version."""
    monkeypatch.setattr(postgres_schema, "SCHEMA_VERSION", 1)


@pytest.mark.slow
class TestAnOlderReleaseOnThisSchema(StorageContract):
    @pytest.fixture
    def open_storage(self, conninfo, schema, of_version_1):
        return lambda: PostgresStorage(conninfo, schema=schema, connections=2, patience=PATIENT)


@pytest.fixture(scope="module")
def old(conninfo):
    name = f"test_{secrets.token_hex(6)}"
    make_old(conninfo, name, 1)
    yield name
    run(conninfo, f"DROP SCHEMA {name} CASCADE")


@pytest.mark.slow
class TestThisReleaseOnAnOlderSchema(StorageContract):
    @pytest.fixture
    def open_storage(self, conninfo, old):
        empty(conninfo, old)
        return lambda: PostgresStorage(conninfo, schema=old, connections=2, patience=PATIENT)


def test_an_older_release_does_not_take_it_back(conninfo, schema, of_version_1):
    """To upgrade by it changes nothing."""
    assert not upgrade(conninfo, schema=schema)
    assert run(conninfo, f"SELECT max(version) FROM {schema}.version") == (SCHEMA_VERSION,)


def test_every_version_has_its_step():
    """None is left out, and a release can use what it makes."""
    steps = postgres_schema._STEPS
    assert list(range(2, SCHEMA_VERSION + 1)) == list(steps)
    assert all(1 <= readable_by <= version for version, (_, readable_by) in steps.items())
    assert "" == ddl(since=SCHEMA_VERSION)


def test_a_schema_that_was_begun_only(conninfo, fresh):
    """A script that broke off left no version: it is not taken for whole."""
    begun = ddl(schema=fresh).partition(f"INSERT INTO {fresh}.version")[0]
    run(conninfo, begun)
    with pytest.raises(StoreMissing):
        PostgresStorage(conninfo, schema=fresh)


# --- what the views show -------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_the_columns_are_an_interface(conninfo, schema, view):
    """These, in this order; a later version adds to them."""
    with psycopg.connect(conninfo) as connection:
        cursor = connection.execute(f"SELECT * FROM {schema}.{view}")
        assert VIEWS[view] == [each.name for each in cursor.description]


def test_they_know_how_keys_are_told_apart():
    """The lengths and endings that are written in them are those of the engine."""
    tag = bytes(TAG_LENGTH)
    assert (16, 17) == (TAG_LENGTH, len(sends_key(tag)))
    assert (tag + b"\x68",) == holder_aliases((tag,))
    others = (*pending_aliases((tag,)), subject_alias(tag))
    assert all(len(each) == 17 and each[16:] != b"\x68" for each in others)


@pytest.fixture(params=[1, 7])
def stand(conninfo, request):
    """A service on the server, and what its views show of its users."""
    schema = made(conninfo, request.param)
    store = PostgresStorage(conninfo, schema=schema, territory="RU")
    with Rehearsal(storage=store) as stand:
        stand.schema, stand.store = schema, store
        yield stand


def shown(conninfo, stand, view):
    found = rows(conninfo, f"SELECT * FROM {stand.schema}.{view} WHERE messenger = 'messenger'")
    return {bytes(row[1]): row[2:] for row in found}


def test_who_is_there_and_who_holds_a_number(conninfo, stand):
    """Everybody of whom something is kept has a row; who is identified holds, gate open or not."""
    identifier = stand.identifier
    stand.claimed("claiming")
    stand.identified("identified")
    stand.identified("ended")
    stand.end_subscription("ended", NoticeKind.TERMINATED)
    stand.identified("forgotten")
    identifier.forget("forgotten")
    key = {each: identifier.row_key(each) for each in ("claiming", "identified", "ended", "nobody")}
    assert key["nobody"] is None
    assert not identifier.gate("ended")
    users = shown(conninfo, stand, "user_row")
    assert {key["claiming"], key["identified"], key["ended"]} <= users.keys()
    assert {key["identified"], key["ended"]} == shown(conninfo, stand, "holder").keys()
    assert all(len(each) == 16 for each in users)


def test_what_is_said_of_a_row(conninfo, stand):
    """Its version, and the instant at which it is looked at next, to the microsecond."""
    stand.claimed("alice")
    key = stand.identifier.row_key("alice")
    (record,) = stand.store.load("messenger", [key])
    version, wakes_at = shown(conninfo, stand, "user_row")[key]
    assert record.version == version
    ((at,),) = rows(conninfo, f"SELECT at FROM {stand.schema}.deadline WHERE key = %s", key)
    assert at == micros(wakes_at)
    stand.identified("boris")
    stand.pass_time(1)
    assert shown(conninfo, stand, "user_row")[stand.identifier.row_key("boris")][1] is None


def test_nothing_by_which_a_number_is_found(conninfo, stand):
    """No alias and no budget of a number is shown, nor what is sealed."""
    stand.identified("alice")
    stand.claimed("boris")
    tags = stand.identifier._loop.keyring.number_tags(stand.number("alice"))
    kept = rows(conninfo, f"SELECT key FROM {stand.schema}.record")
    assert any(bytes(each[0]).startswith(tags[0]) for each in kept)
    for view in VIEWS:
        told = repr(rows(conninfo, f"SELECT * FROM {stand.schema}.{view}"))
        assert tags[0].hex() not in told
        assert repr(tags[0])[2:-1] not in told


def test_messengers_are_told_apart(conninfo, schema):
    """Each row says whose it is; the feed says how far the journal of each goes."""
    with closing(PostgresStorage(conninfo, schema=schema)) as store:
        store.commit([Unit("a", (Put(b"k" * 16, 0, b"b"),), appends=(Append(b"s", 1, b"e"),) * 2)])
        store.commit([Unit("b", (Put(b"k" * 16, 0, b"b"),))])
    assert [("a", 2), ("b", 0)] == rows(conninfo, f"SELECT * FROM {schema}.feed ORDER BY 1")
    found = rows(conninfo, f"SELECT messenger, version FROM {schema}.user_row ORDER BY 1")
    assert [("a", 1), ("b", 1)] == found


def test_a_user_keeps_the_key_when_keys_are_rotated(conninfo, schema):
    """What an application keeps beside its users stays right."""
    roots = {"k1": secrets.token_bytes(32)}
    sender = SimulatedSender()

    def opened(current):
        return Identifier(
            messenger=Messenger(id="chat", kind=MessengerKind.DOMESTIC),
            storage=PostgresStorage(conninfo, schema=schema, territory="RU"),
            keys=MemoryKeys(Keys(current=current, roots=roots)),
            possession=OneTimeCodes(sender),
            clock=SimulatedClock(),
            unsafe_test_doubles=True,
        )

    with opened("k1") as identifier:
        identifier.claim("alice", "+79161234567")
        key = identifier.row_key("alice")
    roots["k2"] = secrets.token_bytes(32)
    with opened("k2") as identifier:
        identifier.prove("alice", sender.code_for("+79161234567"))
        assert key == identifier.row_key("alice")
        assert [(key,)] == rows(conninfo, f"SELECT row_key FROM {schema}.holder")


@pytest.mark.parametrize("view", VIEWS)
def test_nobody_writes_through_them(conninfo, schema, view):
    """Not even who may do everything."""
    for statement in (
        f"UPDATE {schema}.{view} SET messenger = 'other'",
        f"DELETE FROM {schema}.{view}",
    ):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
            run(conninfo, statement)


@pytest.mark.parametrize("partitions", [1, 7])
def test_one_user_is_found_without_reading_all(conninfo, partitions):
    """By the primary keys, also where a table of the application says which user it is."""
    schema = made(conninfo, partitions)
    with closing(PostgresStorage(conninfo, schema=schema)) as store:
        store.commit([Unit("m", (Put(b"k" * 16, 0, b"b", 5),))])
    with psycopg.connect(conninfo) as connection:
        connection.execute("CREATE TEMPORARY TABLE app_user (id int PRIMARY KEY, row_key bytea)")
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(
            f"EXPLAIN SELECT * FROM app_user JOIN {schema}.user_row USING (row_key)"
            " WHERE messenger = 'm' AND id = 1"
        ).fetchall()
    told = "\n".join(line for (line,) in plan)
    assert re.search(r"Index Cond: .*\bkey = ", told), told
    assert not re.search(r"Seq Scan on (record|deadline)", told), told


def test_a_role_that_only_reads(conninfo, schema):
    """With what the page grants it reads the views, and nothing that they are made of."""
    page = PAGE.read_text("utf-8")
    grants = re.search(r"```sql\n(GRANT.*?)```", page, re.DOTALL)[1]
    role = f"reading_{secrets.token_hex(4)}"
    grants = grants.replace("abonent", schema).replace("TO reporting", f"TO {role}")
    run(conninfo, f"CREATE ROLE {role} LOGIN", *filter(None, map(str.strip, grants.split(";"))))
    try:
        place = make_conninfo(conninfo, user=role)
        for view in VIEWS:
            assert rows(place, f"SELECT * FROM {schema}.{view}") == []
        for table in ("space", "record", "deadline", "alias", "journal", "version"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                rows(place, f"SELECT * FROM {schema}.{table}")
        empty = ", ".join(["'{}'"] * 13)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            rows(place, f"SELECT {schema}.commit_1(1, {empty})")
    finally:
        run(conninfo, f"DROP OWNED BY {role}", f"DROP ROLE {role}")

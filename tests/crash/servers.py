"""Killing a database server under the processes that use it.

Knows how a server dies and is started again. Refuses to know what a store must hold.

The operating system lives on, so that what was written but not flushed survives the server's
processes. A server that is stopped at once throws away what it had in its own memory, though: a
commit that is acknowledged before it was written is lost, and found out.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from functools import partial

from psycopg.conninfo import make_conninfo

from abonent import Identifier
from abonent.errors import AbonentError, StorageError
from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import upgrade
from tests.crash.contents import KeptOnServer
from tests.crash.judging import Judge, Violation
from tests.crash.killing import HANGS, Tally
from tests.crash.life import Crowd, RacingClock, gathered
from tests.crash.messages import Failed, Message, Returned
from tests.postgres import Server, run

SCHEMA = "killed"
PATIENCE = timedelta(milliseconds=200)
"""For a connection: while the server is down there is none, and nobody need wait for it."""


class Way(Enum):
    """How a server dies."""

    IMMEDIATE = "pg_ctl stop -m immediate"
    SERVER = "SIGKILL to the server"
    SESSION = "SIGKILL to one of its sessions"


def kill_servers(server: Server, kills: int, seed: int, conninfo: str | None = None) -> Tally:
    """Kill a server so many times while crowds identify users on it, and judge after each."""
    conninfo = make_conninfo(conninfo or server.conninfo, application_name="killed")
    run(server.conninfo, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    upgrade(server.conninfo, schema=SCHEMA)
    kept = KeptOnServer(server.conninfo, SCHEMA)
    chance = random.Random(seed)
    clock, judge, tally = RacingClock(time.time()), Judge(), Tally()
    while tally.kills < kills and not tally.violations:
        way = chance.choice((Way.IMMEDIATE, Way.IMMEDIATE, Way.SERVER, Way.SESSION))
        told: list[Message] = []
        store = PostgresStorage(conninfo, schema=SCHEMA, territory="RU", patience=PATIENCE)
        identifier, crowds = gathered(store, clock, f"{seed}.{tally.kills}", chance, told.append)
        _live(identifier, crowds, told, partial(_kill, server, way, chance))
        server.start()
        tally.kills += 1
        tally.moments[way.value] = tally.moments.get(way.value, 0) + 1
        for each in told:
            if isinstance(each, Returned):
                tally.calls[each.call] = tally.calls.get(each.call, 0) + 1
        try:
            judge.hear(told)
            judge.judge(kept, clock)
        except Violation as violation:
            where = f"kill {tally.kills}, {way.value}"
            tally.violations += [f"{where}: {line}" for line in violation.lines]
    tally.acknowledged, tally.commits = judge.acknowledged, judge.commits
    tally.recovered = judge.recovered
    return tally


def _live(
    identifier: Identifier, crowds: list[Crowd], told: list[Message], kill: Callable[[], None]
) -> None:
    """Let crowds act until the server dies under them."""
    over = threading.Event()

    def act(crowd: Crowd) -> None:
        try:
            while not over.is_set():
                crowd.act()
        except StorageError:
            pass  # what it was doing was not acknowledged
        except BaseException:
            told.append(Failed(traceback.format_exc()))

    def sweep() -> None:
        try:
            while not over.is_set():
                identifier.sweep()
                over.wait(0.003)
        except StorageError:
            pass
        except BaseException:
            told.append(Failed(traceback.format_exc()))

    threads = [threading.Thread(target=act, args=(each,), daemon=True) for each in crowds]
    threads.append(threading.Thread(target=sweep, daemon=True))
    for each in threads:
        each.start()
    kill()
    over.set()
    for each in threads:
        each.join(HANGS)
        if each.is_alive():
            told.append(Failed("a caller hangs since the server died"))
    with suppress(AbonentError):
        identifier.close()


def _kill(server: Server, way: Way, chance: random.Random) -> None:
    time.sleep(chance.uniform(0.01, 0.3))
    if way is Way.IMMEDIATE:
        server.control("stop", "-m", "immediate")
        return
    pid = server.pid
    if way is Way.SESSION:
        found = run(
            server.conninfo,
            "SELECT array_agg(pid) FROM pg_stat_activity WHERE application_name = 'killed'",
        )
        pid = chance.choice(found[0] or [pid])
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

"""Workers in processes of their own that share the deadlines of one PostgreSQL store.

Knows how claims are made that expire, and what must be so when all have. Refuses to know how a
sweep works.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import frozen

from abonent import Identifier, MemoryKeys, Messenger, MessengerKind, OneTimeCodes, Policy
from abonent.cli.worker import Worker
from abonent.ports import CodeMessage, Keys
from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import upgrade
from tests.postgres import run

SPACE = "messenger"
START = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
LATER = timedelta(hours=2)
LEASE = timedelta(seconds=5)
KEYS = MemoryKeys(Keys(current="k1", roots={"k1": bytes(range(32))}))


@frozen
class Running:
    """A clock that runs from an instant on, the same in every process."""

    origin: float
    test_double = True

    def now(self) -> datetime:
        return START + LATER + timedelta(seconds=time.time() - self.origin)


class Standing:
    """A clock that stands, so that all claims expire at one instant."""

    test_double = True

    def now(self) -> datetime:
        return START


class Dropped:
    """A sender that sends nothing."""

    test_double = True

    def send(self, message: CodeMessage) -> None:
        pass


def opened(conninfo: str, schema: str, clock: Any) -> Identifier:
    """A domestic messenger whose claims are valid for an hour."""
    return Identifier(
        messenger=Messenger(id=SPACE, kind=MessengerKind.DOMESTIC),
        storage=PostgresStorage(conninfo, schema=schema, territory="RU"),
        keys=KEYS,
        possession=OneTimeCodes(Dropped(), prompt=True),
        policy=Policy(claim_valid=timedelta(hours=1), lease=LEASE),
        clock=clock,
        unsafe_test_doubles=True,
    )


def claim_all(conninfo: str, schema: str, count: int, threads: int = 64) -> None:
    """Have so many users claim numbers, and never prove them."""
    with opened(conninfo, schema, Standing()) as identifier:

        def claim(first: int) -> None:
            for each in range(first, count, threads):
                identifier.claim(f"user-{each}", f"+7916{each:07d}")

        crowd = [threading.Thread(target=claim, args=(each,)) for each in range(threads)]
        for each in crowd:
            each.start()
        for each in crowd:
            each.join()


def _work(conninfo: str, schema: str, origin: float, told: Any) -> None:
    with opened(conninfo, schema, Running(origin)) as identifier:
        worker = Worker(identifier, every=0.2)
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        told.put((os.getpid(), -1))
        worker.run()
        told.put((os.getpid(), worker.swept))


@frozen
class Shared:
    """What came of it: seconds, what each worker that lived swept, and how many were killed."""

    deadlines: int
    seconds: float
    swept: Sequence[int]
    killed: int
    wrong: Sequence[str]


def share(conninfo: str, deadlines: int, workers: int, *, kill: bool) -> Shared:
    """Let workers share the deadlines; kill one in the midst, if asked to."""
    schema = f"shared_{secrets.token_hex(6)}"
    upgrade(conninfo, schema=schema)
    try:
        return _share(conninfo, schema, deadlines, workers, kill=kill)
    finally:
        run(conninfo, f"DROP SCHEMA {schema} CASCADE")


def _share(conninfo: str, schema: str, deadlines: int, workers: int, *, kill: bool) -> Shared:
    claim_all(conninfo, schema, deadlines)
    entries = f"SELECT subject, count(*) AS entries FROM {schema}.journal GROUP BY subject"
    run(conninfo, f"CREATE TABLE {schema}.told AS {entries}")
    context = multiprocessing.get_context("spawn")
    told: Any = context.Queue()
    began = time.time()
    team = [
        context.Process(target=_work, args=(conninfo, schema, began, told)) for _ in range(workers)
    ]
    for each in team:
        each.start()
    for _ in team:
        told.get(timeout=60)
    killed = 0
    until = time.monotonic() + 600
    while (left := _left(conninfo, schema)) and time.monotonic() < until:
        if kill and not killed and left < deadlines * 0.8:
            team[0].kill()  # only a process that was started above
            killed = 1
        time.sleep(0.05)
    seconds = time.time() - began
    for each in team[killed:]:
        each.terminate()
    swept = sorted(told.get(timeout=60)[1] for _ in team[killed:])
    for each in team:
        each.join(60)
    wrong = list(_wrong(conninfo, schema, deadlines))
    if [each.exitcode for each in team[killed:]] != [0] * (workers - killed):
        wrong.append(f"workers ended with {[each.exitcode for each in team]}")
    if not killed and sum(swept) != deadlines:
        wrong.append(f"{sum(swept)} records were claimed for {deadlines} deadlines")
    return Shared(deadlines, seconds, swept, killed, wrong)


def _left(conninfo: str, schema: str) -> int:
    at = int((START + LATER).timestamp() * 1e6)
    # What is leased lies later, but not as late as the budgets, which count for a day.
    last = at + int(timedelta(hours=1).total_seconds() * 1e6)
    return int(run(conninfo, f"SELECT count(*) FROM {schema}.deadline WHERE at <= {last}")[0])


def _wrong(conninfo: str, schema: str, deadlines: int) -> list[str]:
    """Every user expired once, and nothing else happened to them."""
    wrong: list[str] = []
    if left := _left(conninfo, schema):
        wrong.append(f"{left} deadlines are left")
    after = f"SELECT subject, count(*) AS entries FROM {schema}.journal GROUP BY subject"
    users, fewest, most = run(
        conninfo,
        f"SELECT count(*), min(a.entries - b.entries), max(a.entries - b.entries)"
        f" FROM ({after}) a JOIN {schema}.told b USING (subject)",
    )
    if users != deadlines:
        wrong.append(f"{users} subjects for {deadlines} users")
    if (fewest, most) != (1, 1):
        wrong.append(f"{fewest} to {most} entries more for each user, not one")
    return wrong

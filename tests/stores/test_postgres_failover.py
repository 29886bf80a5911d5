"""A standby takes over from a primary that dies, and the store goes on with it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from abonent import (
    Identifier,
    MemoryKeys,
    Messenger,
    MessengerKind,
    OneTimeCodes,
)
from abonent.errors import InvalidValue, StorageError, StoreReadOnly, StoreUnavailable
from abonent.ports import Put, Unit
from abonent.simulation import SimulatedClock, SimulatedSender
from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import upgrade
from tests.postgres import Server, Standby, run, wait_for

pytestmark = pytest.mark.slow

PATIENCE = timedelta(seconds=2)
STREAMING = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
CAUGHT_UP = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()"
CANCELLED = (
    "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
)
CONFIRMED = f"{STREAMING} AND sync_state = 'sync'"


class Pair:
    """A primary, a standby that follows it, and the string by which a store finds either."""

    def __init__(self, primary: Server, standby: Standby) -> None:
        self.primary, self.standby = primary, standby
        wait_for(self.primary.conninfo, STREAMING, 1)
        hosts = [conninfo_to_dict(each.conninfo)["host"] for each in (self.primary, self.standby)]
        self.either = make_conninfo(self.primary.conninfo, host=",".join(hosts))
        self.conninfo = make_conninfo(self.either, target_session_attrs="read-write")

    def confirm(self) -> None:
        """From now on nobody is answered before the standby has it."""
        self.primary.set(synchronous_standby_names="*")
        wait_for(self.primary.conninfo, CONFIRMED, 1)

    def kill_primary(self) -> None:
        self.primary.control("stop", "-m", "immediate")

    @contextmanager
    def cut_off(self) -> Generator[None]:
        """From now on the standby gets nothing, and the primary does not know why."""
        children = Path(f"/proc/{self.standby.pid}/task/{self.standby.pid}/children")
        (receiver,) = [
            each
            for each in map(int, children.read_text().split())
            if b"walreceiver" in Path(f"/proc/{each}/cmdline").read_bytes()
        ]
        os.kill(receiver, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(receiver, signal.SIGKILL)


@pytest.fixture
def pair():
    with Server() as primary:
        upgrade(primary.conninfo)
        with Standby(primary) as standby:
            yield Pair(primary, standby)


class Service:
    """A messenger on the pair, whose callers remember what they were told."""

    def __init__(self, pair: Pair, messenger: str = "chat") -> None:
        self.sender = SimulatedSender()
        self.identifier = Identifier(
            messenger=Messenger(id=messenger, kind=MessengerKind.DOMESTIC),
            storage=PostgresStorage(pair.conninfo, territory="RU", patience=PATIENCE),
            keys=MemoryKeys.random(),
            possession=OneTimeCodes(self.sender),
            clock=SimulatedClock(),
            unsafe_test_doubles=True,
        )
        self.acknowledged: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._live, args=(n,)) for n in range(4)]

    def identify(self, user: str, number: str) -> None:
        """Identify a user; when this returns, it is so."""
        self.identifier.claim(user, number)
        self.identifier.prove(user, self.sender.code_for(number))
        self.acknowledged.append(user)

    def _live(self, line: int) -> None:
        turn = 0
        while not self._over.is_set():
            turn += 1
            with suppress(StorageError, InvalidValue):  # or no code was sent
                self.identify(f"user-{line}-{turn}", f"+7916{line}{turn:06d}")

    def begin(self) -> None:
        for each in self._threads:
            each.start()

    def end(self) -> None:
        self._over.set()
        for each in self._threads:
            each.join(60)
            assert not each.is_alive(), "a caller hangs"

    def until(self, users: int) -> None:
        """Wait until so many more users were identified."""
        enough, deadline = len(self.acknowledged) + users, time.monotonic() + 60
        while len(self.acknowledged) < enough:
            assert time.monotonic() < deadline, "it does not go on"
            time.sleep(0.01)


def test_nothing_acknowledged_is_lost(pair):
    """The primary dies under its callers; the standby takes over, and has all they were told.

    For a moment before, it gets nothing any more, and somebody cancels what waits for it.
    """
    pair.confirm()
    service = Service(pair)
    with service.identifier as identifier:
        service.begin()
        try:
            service.until(100)
            with pair.cut_off():
                until = time.monotonic() + 1
                while time.monotonic() < until:
                    run(pair.primary.conninfo, CANCELLED)
                pair.kill_primary()
            pair.standby.promote()
            service.until(100)
        finally:
            service.end()
        assert [each for each in service.acknowledged if not identifier.gate(each)] == []
        assert identifier.replay().ok
        identifier.sweep()


def test_a_standby_alone(pair):
    """It is called what it is, or that it may be tried again once it may become a primary."""
    for attrs in ("read-write", "primary", "any"):
        place = make_conninfo(pair.standby.conninfo, target_session_attrs=attrs)
        with pytest.raises(StoreReadOnly) as caught:
            PostgresStorage(place, patience=PATIENCE)
        assert "primary" in caught.value.remedy
    pair.kill_primary()
    with pytest.raises(StoreUnavailable) as caught:
        PostgresStorage(pair.conninfo, patience=PATIENCE)
    assert caught.value.retryable
    pair.standby.promote()
    with closing(PostgresStorage(pair.conninfo, patience=PATIENCE)) as store:
        assert store.commit([Unit("m", (Put(b"k", 0, b"b"),))]) == [True]


def test_a_store_that_asks_for_any_server(pair):
    """Whoever comes upon the standby first hears of it, and goes on once it is promoted."""
    with closing(PostgresStorage(pair.either, patience=PATIENCE)) as store:
        assert store.commit([Unit("m", (Put(b"k", 0, b"b"),))]) == [True]
        wait_for(pair.standby.conninfo, "SELECT count(*) FROM abonent.record", 1)
        pair.kill_primary()
        assert store.load("m", [b"k"])[0] is not None
        with pytest.raises(StoreReadOnly):
            store.commit([Unit("m", (Put(b"k", 1, b"b"),))])
        pair.standby.promote()
        assert store.commit([Unit("m", (Put(b"k", 1, b"b"),))]) == [True]


def test_a_standby_that_lagged(pair):
    """What it never had is lost, as nobody waited for it; what it had is right, and it goes on."""
    service, late = Service(pair), Service(pair, "late")
    with service.identifier as identifier, late.identifier:
        service.identify("early", "+79160000001")
        wait_for(pair.primary.conninfo, CAUGHT_UP, 1)
        with pair.cut_off():
            service.identify("lost", "+79160000002")
            late.identify("lost", "+79160000003")
            gates = identifier.gate_cache(max_staleness=timedelta(seconds=10))
            assert gates.gate("early")
            assert gates.gate("lost")
            pair.kill_primary()
        pair.standby.promote()
        deadline = time.monotonic() + 30
        while True:
            with suppress(StorageError):
                service.identify("next", "+79160000004")
                break
            assert time.monotonic() < deadline
        gates.follow()
        assert [bool(gates.gate(each)) for each in ("early", "lost", "next")] == [True, False, True]
        assert not identifier.gate("lost")
        assert identifier.replay().ok
        late.identify("new", "+79160000003")
        assert late.identifier.replay().ok
        assert {each.user_id for each in late.identifier.standings()} == {"new"}

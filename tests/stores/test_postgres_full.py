"""A disk that is really full: the store says so, nothing is half-done, and it goes on with room.

The disk is a small file system in memory. Only root may mount one, by itself or through `sudo`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from abonent import (
    Identifier,
    MemoryKeys,
    Messenger,
    MessengerKind,
    OneTimeCodes,
)
from abonent.errors import StorageError, StoreFull, StoreUnavailable
from abonent.ports import AliasChange, Append, Put, Unit
from abonent.simulation import SimulatedClock, SimulatedSender
from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import upgrade
from tests.postgres import Server, run, with_options

pytestmark = pytest.mark.slow

MIB = 1 << 20
AS_ROOT = () if os.geteuid() == 0 else ("sudo", "-n")


@contextmanager
def small_disk(mebibytes: int, owner: int) -> Iterator[Path]:
    """A file system of so many MiB, and a folder on it that belongs to the server."""
    with tempfile.TemporaryDirectory(prefix="disk-") as place:
        Path(place).chmod(0o755)
        options = f"size={mebibytes}m,mode=0777"
        mount = (*AS_ROOT, "mount", "-t", "tmpfs", "-o", options, "tmpfs", place)
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("nothing can be mounted here")
        try:
            folder = Path(place) / "server"
            folder.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(folder, owner, -1)
            yield folder
        finally:
            subprocess.run((*AS_ROOT, "umount", "--lazy", place), check=True)


def unit(number: int, size: int) -> Unit:
    """One of everything, with a body that takes room."""
    key = b"%d" % number
    return Unit(
        "m",
        (Put(key, 0, secrets.token_bytes(size), number),),
        (AliasChange(b"alias" + key, key, True, sole=True),),
        (Append(key, 1, b"entry"),),
    )


def check(store: PostgresStorage, acknowledged: int, *, doubtful: int = 0) -> int:
    """All that was acknowledged is there; of one that was not, all or nothing."""
    numbers = range(acknowledged + doubtful)
    keys = [b"%d" % each for each in numbers]
    there = [each is not None for each in store.load("m", keys)]
    owned = [bool(each) for each in store.find("m", [b"alias" + key for key in keys])]
    entries = store.journal("m", 0, acknowledged + 99)
    assert all(there[:acknowledged])
    assert there == owned
    kept = [key for key, is_there in zip(keys, there, strict=True) if is_there]
    assert [each.subject for each in entries] == kept
    assert [each.cursor for each in entries] == list(range(1, sum(there) + 1))
    return sum(there)


def fill(store: PostgresStorage, begin: int, size: int) -> tuple[int, StorageError]:
    """Commit until that fails; return how many there are then, and why."""
    for number in range(begin, begin + 5000):
        try:
            assert store.commit([unit(number, size)]) == [True]
        except StorageError as error:
            return number, error
    raise AssertionError("there is still room")


@pytest.fixture(scope="module")
def full_server() -> Iterator[str]:
    """A server whose tables, unlike its log of writes, are on a disk of 24 MiB."""
    with Server() as server, small_disk(24, server.folder.stat().st_uid) as folder:
        run(
            server.conninfo,
            f"CREATE TABLESPACE small LOCATION '{folder}'",
            "CREATE TABLE ballast TABLESPACE small AS"
            " SELECT i, md5(i::text) FROM generate_series(1, 100000) i",
        )
        yield server.conninfo
        server.control("stop", "-m", "immediate")


def test_no_room_for_rows(full_server):
    """Nothing of a unit is there that had no room; reading goes on, and writing once there is."""
    upgrade(with_options(full_server, default_tablespace="small"))
    with closing(PostgresStorage(full_server, territory="RU")) as store:
        count, full = fill(store, 0, 20_000)
        assert (type(full), full.retryable) == (StoreFull, True)
        assert count > 100
        assert count == check(store, count, doubtful=1)
        # Neighbours in a batch share its fate, whether they would have had room or not.
        with pytest.raises(StoreFull):
            store.commit([unit(count, 100), unit(count + 1, 8 * MIB)])
        assert count == check(store, count, doubtful=2)
        identify_without_room(store, full_server)
        assert store.commit([unit(count, 20_000)]) == [True]
        assert fill(store, count + 1, 20_000)[0] > count + 100


def identify_without_room(store: PostgresStorage, conninfo: str) -> None:
    """Nobody is identified while there is no room, and the same call succeeds when there is."""
    sender = SimulatedSender()
    identifier = Identifier(
        messenger=Messenger(id="chat", kind=MessengerKind.DOMESTIC),
        storage=store,
        keys=MemoryKeys.random(),
        possession=OneTimeCodes(sender),
        clock=SimulatedClock(),
        unsafe_test_doubles=True,
    )
    users = [f"user-{each}" for each in range(200)]
    claimed = []
    with suppress(StoreFull):  # the last pages have room for a few
        for each, user in enumerate(users):
            identifier.claim(user, f"+7916{each:07d}")
            claimed.append(user)
    assert len(claimed) < len(users)
    late = users[len(claimed)]
    assert not identifier.gate(late)
    assert identifier.replay().ok
    run(conninfo, "DROP TABLE ballast")
    number = f"+7916{len(claimed):07d}"
    identifier.claim(late, number)
    identifier.prove(late, sender.code_for(number))
    assert identifier.gate(late)
    assert identifier.replay().ok


def test_no_room_for_the_log_of_writes():
    """The server goes down for it: the store is out of reach, and right when it is back."""
    with Server() as server, small_disk(64, server.folder.stat().st_uid) as folder:
        upgrade(server.conninfo)
        run(
            server.conninfo,
            "ALTER SYSTEM SET max_wal_size = '32MB'",
            "ALTER SYSTEM SET min_wal_size = '32MB'",
        )
        server.control("stop", "-m", "fast")
        log = server.folder / "pg_wal"
        shutil.move(log, folder / "pg_wal")
        subprocess.run(("chown", "-R", "--reference", server.folder, folder), check=True)
        log.symlink_to(folder / "pg_wal")
        server.start()
        patience = timedelta(seconds=2)
        with closing(PostgresStorage(server.conninfo, patience=patience)) as store:
            for number in range(50):
                assert store.commit([unit(number, 100)]) == [True]
            ballast = folder / "ballast"
            with ballast.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(MIB))
            acknowledged, down = fill(store, 50, 100_000)
            assert type(down) is StoreUnavailable  # not StoreFull: the commit may be in the log
            ballast.unlink()
            server.start()
            deadline = time.monotonic() + 20
            while True:
                with suppress(StoreUnavailable):
                    there = check(store, acknowledged, doubtful=1)
                    break
                assert time.monotonic() < deadline
            assert store.commit([unit(there, 100)]) == [True]
        server.control("stop", "-m", "immediate")

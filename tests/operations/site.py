"""A messenger in operation: callers, a log of its journal, and copies of its store.

Knows who was told that they are identified, and when. Refuses to know a database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import TypeVar

import pytest

from abonent import (
    Identifier,
    MemoryKeys,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    Reason,
)
from abonent.audit.comparing import compare
from abonent.audit.log import Log
from abonent.audit.notes import Checkpoint
from abonent.audit.signing import Signer, create_key
from abonent.audit.tiles import Tiles
from abonent.audit.verifying import verify
from abonent.errors import LogRolledBack
from abonent.ports import Storage
from abonent.simulation import SimulatedSender

SPACE = "m"
_T = TypeVar("_T")


class Site:
    """One messenger, whose keys and log are kept apart from its store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "log"
        self.key_file = folder / "log.key"
        self.key = create_key(self.key_file, "example.com/abonent")
        self.keys = MemoryKeys.random()
        self.sender = SimulatedSender()
        self.told: list[str] = []
        self._users = count()

    def service(self, storage: Storage) -> Identifier:
        return Identifier(
            messenger=Messenger(id=SPACE, kind=MessengerKind.DOMESTIC),
            storage=storage,
            keys=self.keys,
            possession=OneTimeCodes(self.sender, prompt=True),
            unsafe_test_doubles=True,
        )

    def identify(self, identifier: Identifier) -> None:
        each = next(self._users)
        number = f"+7916{each:07d}"
        identifier.claim(f"user-{each}", number)
        identifier.prove(f"user-{each}", self.sender.code_for(number))
        self.told.append(f"user-{each}")

    def publish(self, storage: Storage) -> Checkpoint:
        with Signer(self.key_file) as signer:
            return Log(self.folder, signer).extend(storage, SPACE)

    def wait_for(self, more: int) -> list[str]:
        """Wait until so many more were told; return all who were told by now."""
        until, deadline = len(self.told) + more, time.monotonic() + 60
        while len(self.told) < until:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return list(self.told)

    @contextmanager
    def callers(self, identifier: Identifier) -> Generator[None]:
        """Four callers who identify users, one after the other."""
        over = threading.Event()
        failed: list[Exception] = []

        def call() -> None:
            try:
                while not over.is_set():
                    self.identify(identifier)
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=call) for _ in range(4)]
        for each in threads:
            each.start()
        try:
            yield
        finally:
            over.set()
            for each in threads:
                each.join()
        assert [] == failed


def while_they_write(site: Site, opened: Storage, back_up: Callable[[], _T]) -> tuple[_T, int]:
    """Make a backup while callers write; return it and how many had been told before it began."""
    with site.service(opened) as identifier:
        for _ in range(5):
            site.identify(identifier)
        site.publish(opened)
        with site.callers(identifier):
            before = site.wait_for(20)
            made = back_up()
            site.wait_for(20)
        site.publish(opened)
        assert identifier.replay().ok
    return made, len(before)


def is_older(site: Site, opened: Callable[[], Storage], before: int) -> None:
    """The copy ends before what was signed, by name and place; and is whole until there."""
    signed = (site.folder / "checkpoint").read_bytes()
    newest = Checkpoint.open(signed, site.key).size
    with closing(opened()) as storage:
        with pytest.raises(LogRolledBack) as caught:
            site.publish(storage)
        assert "journal_behind" == caught.value.finding
        end = int(caught.value.where.removeprefix("size "))
        assert 10 <= end < newest
        with pytest.raises(LogRolledBack) as caught:  # and nothing else is found before its end
            compare(storage, SPACE, Tiles(site.folder, newest))
        assert ("journal_behind", f"cursor {end + 1}") == (
            caught.value.finding,
            caught.value.where,
        )
    assert signed == (site.folder / "checkpoint").read_bytes()
    with site.service(opened()) as identifier:
        assert identifier.replay().ok
        assert all(identifier.gate(each) for each in site.told[:before])
        lost = [each for each in site.told if not identifier.gate(each)]
        assert lost
        assert {Reason.NOT_IDENTIFIED} == {identifier.gate(each).reason for each in lost}


def is_complete(site: Site, opened: Callable[[], Storage]) -> None:
    """The copy holds all that was signed, and the log goes on from it."""
    newest = Checkpoint.open((site.folder / "checkpoint").read_bytes(), site.key)
    with closing(opened()) as storage:
        compare(storage, SPACE, Tiles(site.folder, newest.size))
        assert newest == site.publish(storage)
    with site.service(opened()) as identifier:
        assert identifier.replay().ok
        assert all(identifier.gate(each) for each in site.told)
        site.identify(identifier)
    with closing(opened()) as storage:
        site.publish(storage)
    assert newest.size == verify(site.folder, site.key, newest).extends

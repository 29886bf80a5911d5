"""Whoever kills the process that publishes, whenever: no fork, and the next one goes on."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from abonent import SqliteStorage
from abonent.audit.log import Log
from abonent.audit.notes import Checkpoint
from abonent.audit.signing import Signer
from abonent.audit.verifying import verify
from abonent.cli import main
from abonent.cli.audit import watch
from abonent.ports import Unit
from tests.audit import naive
from tests.audit.logs import SPACE, Ledger, entries
from tests.audit.service import TARGET
from tests.crash.killing import born, warm_up
from tests.crash.messages import Mark, Message

KILLS = 30


@pytest.mark.slow
def test_a_killed_watch_never_forks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """I12: after each of thirty kills, all that was ever signed begins the one journal."""
    monkeypatch.setenv("AUDITED", str(tmp_path))
    with closing(SqliteStorage(tmp_path / "users.db", territory="RU")) as store:
        ledger = Ledger(tmp_path, store)
    warm_up()
    where = [TARGET, "--log", str(ledger.folder), "--key", str(ledger.key_file)]
    assert 0 == main(["audit", "checkpoint", *where])  # which imports all that is needed

    def watching(tell: Callable[[Message], None]) -> None:
        fsync = os.fsync
        os.fsync = lambda file: [tell(Mark("flush")), fsync(file)]
        watch(TARGET, log=ledger.folder, key=ledger.key_file, every=0.01)

    chance = random.Random(12)
    seen: dict[int, bytes] = {}
    died = 0
    for kill in range(KILLS):
        with closing(SqliteStorage(tmp_path / "users.db", territory="RU")) as store:
            made = entries(chance.choice([1, 40, 250]), seed=kill)
            store.commit([Unit(SPACE, appends=tuple(made))])
        life = born(watching)
        left = chance.randint(0, 16)
        while left > 0 and (heard := life.hear(0.3 if life.told else 9)):
            # it falls silent when it has nothing to do
            left -= len(heard)
        time.sleep(chance.uniform(0, 0.003))
        life.kill()
        life.end()
        died += life.killed
        for each in (published(ledger), signed(ledger)):
            if each is not None:
                assert seen.setdefault(each.size, each.root) == each.root
    assert KILLS == died
    assert len(seen) > 5
    with (
        closing(SqliteStorage(tmp_path / "users.db", territory="RU")) as store,
        Signer(ledger.key_file) as signer,
    ):
        newest = Log(ledger.folder, signer).extend(store, SPACE)
        ledger.storage = store
        leaves = ledger.leaves()
    assert len(leaves) == newest.size == verify(ledger.folder, ledger.key).checkpoint.size
    assert {size: naive.mth(leaves[:size]) for size in seen} == seen


def published(ledger: Ledger) -> Checkpoint | None:
    return read(ledger.folder / "checkpoint", ledger)


def signed(ledger: Ledger) -> Checkpoint | None:
    return read(ledger.root / "log.key.last", ledger)


def read(path: Path, ledger: Ledger) -> Checkpoint | None:
    return Checkpoint.open(path.read_bytes(), ledger.key) if path.exists() else None

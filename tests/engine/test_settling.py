"""What a batch does when a row is damaged or other writers keep winning."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from abonent import Identifier, MemoryKeys, Messenger, MessengerKind, OneTimeCodes
from abonent.engine.commits import Task
from abonent.engine.drafts import Draft
from abonent.errors import Contended, RecordDamaged
from abonent.ports import Put, Unit
from abonent.simulation import SimulatedSender
from abonent.stores import MemoryStorage

NUMBERS = {"alice": "+79161234567", "bob": "+79161234568"}


class Losing(MemoryStorage):
    """A store in which somebody else always wins."""

    losing = False
    commits = 0

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        """Refuse every unit while losing."""
        self.commits += 1
        return [False for _ in units] if self.losing else super().commit(units)


def service(storage: MemoryStorage) -> Identifier:
    return Identifier(
        messenger=Messenger(id="chat", kind=MessengerKind.DOMESTIC),
        storage=storage,
        keys=MemoryKeys.random(),
        possession=OneTimeCodes(SimulatedSender(), prompt=True),
        unsafe_test_doubles=True,
    )


def test_a_damaged_row_hurts_its_own_task_only():
    """Of a batch with a damaged row, only the task about that row fails."""
    storage = MemoryStorage()
    with service(storage) as identifier:
        for user, number in NUMBERS.items():
            identifier.claim(user, number)
        identifier.sweep()
        keyring = identifier._engine.archive.keyring
        keys = {user: keyring.user_tags(user)[0] for user in NUMBERS}
        (record,) = storage.load("chat", [keys["alice"]])
        assert record is not None
        storage.commit([Unit("chat", (Put(keys["alice"], record.version, b"\x02k1damage"),))])

        def read(draft: Draft, user: str) -> str | None:
            return draft.user((keys[user],)).row.user_id

        tasks = [
            Task((keys[user],), lambda draft, user=user: read(draft, user)) for user in NUMBERS
        ]
        identifier._loop.commits.submit_all(tasks)
        assert isinstance(tasks[0].error, RecordDamaged)
        assert "bob" == tasks[1].outcome()


def test_who_keeps_losing_is_told_so():
    """A task that loses to other writers every time ends as contended, and nothing is applied."""
    storage = Losing()
    with service(storage) as identifier:
        storage.losing = True
        with pytest.raises(Contended) as caught:
            identifier.claim("alice", NUMBERS["alice"])
        assert caught.value.retryable
        assert 64 == storage.commits
        storage.losing = False
        assert [] == storage.journal("chat", 0, 10)

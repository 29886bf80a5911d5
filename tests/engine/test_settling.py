"""What a batch does when a row is damaged or other writers keep winning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from abonent import Identifier, MemoryKeys, Messenger, MessengerKind, OneTimeCodes, parse_number
from abonent.core.commands import TryProof
from abonent.engine.commits import Task
from abonent.engine.drafts import Draft
from abonent.engine.loop import Done
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


def service(
    storage: MemoryStorage, keys: MemoryKeys | None = None, sender: SimulatedSender | None = None
) -> Identifier:
    return Identifier(
        messenger=Messenger(id="chat", kind=MessengerKind.DOMESTIC),
        storage=storage,
        keys=keys or MemoryKeys.random(),
        possession=OneTimeCodes(sender or SimulatedSender(), prompt=True),
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


class Preempted(MemoryStorage):
    """A store in which something else happens right before a commit."""

    meanwhile: Callable[[], object] | None = None

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        """Let the other be first."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().commit(units)

    def close(self) -> None:
        """Stay open: two identifiers share it."""


def test_what_saw_a_change_that_lost_loses_with_it():
    """Of two changes in one batch, the second is not applied on what another writer did to both.

    The store sees the version that the second expects, but another process made it: versions
    alone would let a code be used twice (P6).
    """
    storage, sender = Preempted(), SimulatedSender()
    keys = MemoryKeys.random()
    with service(storage, keys, sender) as one, service(storage, keys, sender) as other:
        one.claim("alice", NUMBERS["alice"])
        one.sweep()
        code = sender.code_for(NUMBERS["alice"])
        (key,) = one._engine.archive.keyring.user_tags("alice")

        def lose_a_try(draft: Draft) -> None:
            draft.apply(draft.user((key,)), TryProof(at=one._loop.clock.now()))

        def prove(draft: Draft) -> Done:
            at = one._loop.clock.now()
            held, _ = draft.apply(draft.user((key,)), TryProof(at=at))
            return one._calls._judge(draft, held, at, at, proven=True)

        # About one row, but known to the batch by different keys, as after a rotation of keys.
        tasks = [Task((key,), lose_a_try), Task((b"older key", key), prove)]
        storage.meanwhile = lambda: other.prove("alice", code)
        one._loop.commits.submit_all(tasks)
        told = [type(each.event).__name__ for each in one.history("alice")]
        assert 1 == told.count("Passed")
        assert one.replay().ok


def test_what_leans_on_a_change_is_committed_with_it():
    """Tasks of one batch that see one another's changes end up in one unit, others in their own."""
    storage = MemoryStorage()
    committed: list[int] = []
    with service(storage) as identifier:
        identifier.claim("zoe", "+79161234599")  # seals are counted with the first commit
        identifier.sweep()
        commit = storage.commit
        storage.commit = lambda units: committed.append(len(units)) or commit(units)
        number = parse_number(NUMBERS["alice"]).number
        calls = identifier._calls
        flows = [calls.claim(user, number.e164, "") for user in ("alice", "bob")]
        flows.append(calls.claim("clara", NUMBERS["bob"], ""))
        requests = [flow.send(None) for flow in flows]
        tasks = [Task(each.keys, each.work) for each in requests]
        identifier._loop.commits.submit_all(tasks)
        assert [2] == committed
        assert [None] * 3 == [each.error for each in tasks]

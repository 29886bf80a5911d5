"""Every store gives the same answers as the reference, whatever is asked in whatever order."""

import secrets

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from abonent.ports import Append, Put, Unit
from abonent.stores import MemoryStorage, SqliteStorage
from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import upgrade
from abonent.testing import StorageMachine
from tests.postgres import empty, run


class InMemory(StorageMachine):
    def open_store(self):
        return MemoryStorage()


class InAFile(StorageMachine):
    def open_store(self):
        return SqliteStorage(self.folder / "abonent.db")


TestInMemory = InMemory.TestCase
TestInMemory.settings = settings(max_examples=15, stateful_step_count=15)
TestInAFile = InAFile.TestCase
TestInAFile.settings = settings(max_examples=40, stateful_step_count=15)


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1, 5])
def test_on_postgresql(conninfo, partitions):
    """The same on a server, whose store hopes for the best before it asks what is there."""
    schema = f"agreement_{secrets.token_hex(6)}"
    upgrade(conninfo, schema=schema, partitions=partitions)

    class OnAServer(StorageMachine):
        def __init__(self):
            super().__init__()
            empty(conninfo, schema)

        def open_store(self):
            return PostgresStorage(conninfo, schema=schema)

    try:
        run_state_machine_as_test(
            OnAServer, settings=settings(max_examples=30, stateful_step_count=15)
        )
    finally:
        run(conninfo, f"DROP SCHEMA {schema} CASCADE")


def test_a_machine_without_a_store_says_what_to_provide():
    """Who forgets the one method is told its name, its type and what to return."""
    with pytest.raises(NotImplementedError) as caught:
        run_state_machine_as_test(StorageMachine, settings=settings(max_examples=1))
    assert "StorageMachine lacks the method open_store(self) -> Storage" in str(caught.value)


@pytest.mark.parametrize("make", [InMemory, InAFile])
def test_less_than_nothing_is_nothing(make):
    """Our stores agree also where the port is silent: on negative limits and cursors."""
    machine = make()
    machine.open()
    unit = Unit("a", (Put(b"k", 0, b"b", 5),), appends=(Append(b"s", 1, b"e"),))
    assert machine.store.commit([unit]) == [True]
    assert machine.store.due("a", 9, -1, 1) == []
    assert machine.store.scan("a", b"", -1) == []
    assert machine.store.journal("a", 0, -1) == []
    assert len(machine.store.journal("a", -1, 9)) == 1
    machine.teardown()

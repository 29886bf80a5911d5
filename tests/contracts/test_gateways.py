"""The simulated operator keeps the promises of its port, called from threads and awaited."""

from datetime import UTC, datetime

import pytest

from abonent import Outcome, SubscriberNumber
from abonent.errors import Unavailable
from abonent.ports import Answer, Query, RecordEntry, WithdrawEntry
from abonent.simulation import Reply, SimulatedOperator
from abonent.testing import AsyncOperatorGatewayContract, OperatorGatewayContract
from tests.contracts.stages import operator_stage


class TestSimulatedOperator(OperatorGatewayContract):
    @pytest.fixture
    def stage(self):
        return operator_stage(SimulatedOperator())


class AwaitedOperator:
    """A simulated operator that has to be awaited."""

    def __init__(self, operator: SimulatedOperator) -> None:
        self.operator = operator
        self.features = operator.features

    async def ask(self, query: Query) -> Answer:
        return self.operator.ask(query)

    async def record(self, entry: RecordEntry) -> None:
        self.operator.record(entry)

    async def withdraw(self, entry: WithdrawEntry) -> None:
        self.operator.withdraw(entry)


class TestAwaitedOperator(AsyncOperatorGatewayContract):
    @pytest.fixture
    def stage(self):
        operator = SimulatedOperator()
        return operator_stage(operator, AwaitedOperator(operator))


def test_a_slow_operator_has_done_what_it_was_asked():
    """What comes too late has happened all the same: asked again, the operator replies at once."""
    operator = SimulatedOperator()
    operator.show(Reply.SLOW)
    number, now = SubscriberNumber("+79161234567"), datetime(2026, 6, 1, 9, tzinfo=UTC)
    query = Query(id="query-1", messenger="messenger", number=number, asked_at=now, due=now)
    entry = RecordEntry(id="record-1", messenger="messenger", number=number, code="code-1")
    with pytest.raises(Unavailable):
        operator.ask(query)
    with pytest.raises(Unavailable):
        operator.record(entry)
    assert Outcome.HELD is operator.ask(query).outcome
    assert {"code-1": entry} == operator.recorded

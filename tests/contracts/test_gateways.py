"""Our gateways keep the promises of their port: the simulated operator, and a desk."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from abonent import MemoryStorage, Outcome, SubscriberNumber
from abonent.core.states import EffectKind
from abonent.errors import StoreUnavailable, Unavailable
from abonent.operator import DeskGateway, Holding
from abonent.ports import Answer, Query, RecordEntry, WithdrawEntry
from abonent.simulation import Reply, SimulatedOperator
from abonent.testing import AsyncOperatorGatewayContract, Heard, OperatorGatewayContract, Stage
from tests.contracts.stages import once, operator_stage
from tests.operator.parts import Desk, agreement


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


class Reception:
    """What is in front of a desk: it notes what the desk took, and turns away as it is told."""

    shows = frozenset(
        {
            *(Reply.HELD, Reply.NOT_HELD, Reply.NOT_OURS, Reply.UNDETERMINED),
            *(Reply.LATER, Reply.UNAVAILABLE, Reply.MISCONFIGURED),
        }
    )

    def __init__(self, open_desk: Callable[..., Desk]) -> None:
        self.desk = open_desk(agreements=[agreement("messenger")])
        self.without = open_desk(agreements=[agreement("other")])
        self.reply = Reply.HELD
        self.taken: list[Heard] = []

    def show(self, reply: Reply) -> None:
        self.reply = reply
        holding = Holding(outcome=OUTCOMES.get(reply, Outcome.HELD))
        self.desk.base.says = dict.fromkeys([OperatorGatewayContract.number], holding)
        self.desk.base.script.extend([Unavailable("away")] * (reply is Reply.LATER))

    def _desk(self):
        if self.reply is Reply.UNAVAILABLE:
            raise StoreUnavailable("the books cannot be reached")
        desk = self.without if self.reply is Reply.MISCONFIGURED else self.desk
        return desk.desk.inner

    def ask(self, query: Query) -> Answer:
        answer = self._desk().ask(query)
        asked = Heard(kind=EffectKind.ASK_OPERATOR, id=query.id, number=query.number.e164)
        self.taken.append(asked)
        return answer

    def record(self, entry: RecordEntry) -> None:
        self._desk().record(entry)
        self.taken.append(
            Heard(kind=EffectKind.RECORD, id=entry.id, number=entry.number.e164, code=entry.code)
        )

    def withdraw(self, entry: WithdrawEntry) -> None:
        self._desk().withdraw(entry)
        self.taken.append(Heard(kind=EffectKind.WITHDRAW, id=entry.id, code=entry.code))


OUTCOMES = {
    Reply.NOT_HELD: Outcome.NOT_HELD,
    Reply.NOT_OURS: Outcome.NOT_OURS,
    Reply.UNDETERMINED: Outcome.UNDETERMINED,
}


class TestDesk(OperatorGatewayContract):
    """The operator's own side, in this process: the contract as it is shipped."""

    @pytest.fixture
    def stage(self):
        desks: list[Desk] = []

        def open_desk(**parts):
            desks.append(Desk(storage=MemoryStorage(), **parts))
            return desks[-1]

        reception = Reception(open_desk)
        reception.show(Reply.HELD)
        yield Stage(
            adapter=DeskGateway(reception),
            tell=reception.show,
            shows=Reception.shows,
            heard=lambda: once(reception.taken),
        )
        for each in desks:
            each.desk.close()


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

"""Both sides in one process: identifiers ask a desk, and the desk tells them what happened."""

from __future__ import annotations

import pytest

from abonent import (
    Identifier,
    LateAnswer,
    MemoryStorage,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    OneTimeCodes,
    Outcome,
    Reason,
    Status,
)
from abonent.errors import (
    IdReused,
    Misconfigured,
    NoAgreement,
    StoreFull,
    StoreUnavailable,
    Unavailable,
    UnknownOperator,
)
from abonent.operator import DeskGateway, Holding, IdentifierCarrier
from abonent.ports import Answer, GatewayFeatures, Query, RecordEntry, WithdrawEntry
from abonent.simulation import SimulatedRouter, SimulatedSender
from tests.operator.parts import (
    CODE,
    DAY,
    HOUR,
    KEY_1,
    MINUTE,
    SECOND,
    START,
    Base,
    Desk,
    X,
    agreement,
)


class Town:
    """One operator, and a foreign messenger that has an agreement with it."""

    def __init__(self, *, base: Base | None = None) -> None:
        self.identifiers: dict[str, Identifier] = {}
        carrier = IdentifierCarrier(self.identifiers)
        self.desk = Desk(base=base, carrier=carrier)
        self.base, self.clock = self.desk.base, self.desk.clock
        self.base.hold(X, since=START - DAY)
        self.sender = SimulatedSender()
        self.alarms = []
        self.identifier = Identifier(
            messenger=Messenger(id="m", kind=MessengerKind.FOREIGN),
            storage=MemoryStorage(),
            keys=KEY_1,
            possession=OneTimeCodes(self.sender, prompt=True),
            agreements=[agreement("m")],
            gateways={"mts": DeskGateway(self.desk.desk.inner, prompt=True)},
            router=SimulatedRouter("mts"),
            clock=self.clock,
            alarm=self.alarms.append,
            unsafe_test_doubles=True,
        )
        self.identifiers["m"] = self.identifier

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.identifier.close()
        self.desk.desk.close()

    def identify(self, user="alice"):
        self.identifier.claim(user, X.e164)
        return self.identifier.prove(user, self.sender.code_for(X))

    def sweep(self, after=2 * SECOND):
        self.clock.advance(after)
        self.identifier.sweep()
        self.desk.desk.sweep()


@pytest.fixture
def town():
    with Town() as town:
        yield town


def test_a_user_is_identified_recorded_and_told_to_be_over(town):
    """Asked, held, recorded; the contract ends, and the gate closes with the desk's next sweep."""
    standing = town.identify()
    assert Status.IDENTIFIED is standing.status
    assert [standing.identification_code] == [e.code for e in town.desk.desk.records("m")]
    town.clock.advance(HOUR)
    assert 1 == town.desk.move()
    town.sweep()
    gate = town.identifier.gate("alice")
    assert (False, Reason.REIDENTIFICATION_DUE) == (gate.open, gate.reason)
    assert [] == town.desk.desk.owed_notices()


def test_a_user_who_is_forgotten_is_recorded_no_more(town):
    """What the messenger withdraws leaves the operator's books, and is not told about."""
    town.identify()
    town.identifier.forget("alice")
    town.sweep()
    assert [] == list(town.desk.desk.records("m"))
    assert 0 == town.desk.move()


def test_an_answer_that_was_promised_identifies(town):
    """The base is away for a while: *later*, and the answer follows inside the twenty minutes."""
    town.base.script.append(Unavailable("away"))
    assert Status.AWAITING_ANSWER is town.identify().status
    town.sweep(7 * SECOND)
    town.sweep()
    town.sweep()
    assert Status.IDENTIFIED is town.identifier.standing("alice").status
    assert 1 == len(list(town.desk.desk.records("m")))


def test_an_answer_that_lapses_identifies_nobody(town):
    """A base that stays away for twenty minutes: not passed, by both sides' clocks."""
    town.base.script.extend([Unavailable("away")] * 99)
    town.identify()
    for _ in range(25):
        town.sweep(MINUTE)
    standing = town.identifier.standing("alice")
    assert (Status.NOT_PASSED, Reason.NO_ANSWER) == (standing.status, standing.reason)
    assert [each.kind.value for each in town.desk.alarms] == ["answer_lapsed"]


def test_a_contract_that_ends_before_the_record_arrives_closes_the_gate(town):
    """HELD, then the end, then the record: the late record is told, and the notice counts."""
    record = town.desk.desk.inner.record
    held_up: list[RecordEntry] = []
    town.desk.desk.inner.record = held_up.append
    assert Status.IDENTIFIED is town.identify().status
    town.clock.advance(MINUTE)
    assert 0 == town.desk.move()
    record(held_up[0])
    town.sweep()
    assert not town.identifier.gate("alice").open


def test_a_base_that_lagged_is_made_good(town):
    """HELD was wrong, for the end was before the question: told later, it closes the gate."""
    assert Status.IDENTIFIED is town.identify().status
    town.clock.advance(HOUR)
    assert 1 == town.desk.move(at=START - HOUR)
    town.sweep()
    assert not town.identifier.gate("alice").open


def test_a_messenger_that_lost_its_agreement_is_misconfigured(town):
    """What the desk refuses is an alarm on the messenger's side, and never "not held" (S11)."""
    town.desk.desk.inner._loop.ground._agreements.clear()
    assert Status.AWAITING_ANSWER is town.identify().status
    assert ["misconfigured"] == [each.kind.value for each in town.alarms]


# --- the two adapters ---------------------------------------------------------------------

NUMBER_FREE = [
    (StoreUnavailable("x"), Unavailable),
    (StoreFull("x"), Unavailable),
    (Unavailable("x"), Unavailable),
    (NoAgreement("x"), Misconfigured),
    (IdReused("x"), Misconfigured),
    (UnknownOperator("x"), Misconfigured),
    (Misconfigured("x"), Misconfigured),
]


class Fails:
    """The other side, raising."""

    def __init__(self, error):
        self.error = error

    def _fail(self, *_, **__):
        raise self.error

    ask = record = withdraw = receive = _fail


@pytest.mark.parametrize(("error", "expected"), NUMBER_FREE, ids=lambda each: str(each)[:20])
def test_what_may_pass_is_unavailable_and_what_is_refused_misconfigured(error, expected):
    """Each side hears of the other's errors what its port allows, with the code and no cause."""
    gateway, carrier = DeskGateway(Fails(error)), IdentifierCarrier({"m": Fails(error)})
    query = Query(id="q", messenger="m", number=X, asked_at=START, due=START)
    record = RecordEntry(id="r", messenger="m", number=X, code=CODE)
    notice = Notice(id="n", operator="mts", kind=NoticeKind.PORTED, number=X, happened_at=START)
    answer = LateAnswer(query_id="q", operator="mts", outcome=Outcome.HELD)
    for call, arguments in (
        (gateway.ask, (query,)),
        (gateway.record, (record,)),
        (gateway.withdraw, (WithdrawEntry(id="w", messenger="m", code=CODE),)),
        (carrier.deliver, ("m", notice)),
        (carrier.deliver_answer, ("m", answer)),
    ):
        with pytest.raises(expected) as raised:
            call(*arguments)
        assert error.code in str(raised.value)
        assert raised.value.__suppress_context__
    with pytest.raises(Misconfigured):
        carrier.deliver("n", notice)


def test_errors_that_are_nobodys_pass():
    """A fault of the other side's own code is no outcome of this port: the engine reports it."""
    with pytest.raises(LookupError):
        DeskGateway(Fails(LookupError())).ask(None)


def test_what_the_adapters_can_do_is_data():
    """Both say how many calls they take at once, and whether they return without waiting."""
    assert GatewayFeatures(prompt=False, concurrency=8) == DeskGateway(None).features
    assert GatewayFeatures(prompt=True, concurrency=8) == IdentifierCarrier({}).features
    chosen = DeskGateway(None, prompt=True, concurrency=3).features
    assert GatewayFeatures(prompt=True, concurrency=3) == chosen


def test_a_holding_is_an_answer_that_is_known():
    """A base may say everything but *later*."""
    assert Answer(outcome=Outcome.HELD).outcome is Holding(outcome=Outcome.HELD).outcome

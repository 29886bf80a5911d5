"""What the types of the public API promise. Read by the type checkers, never run."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import assert_type

from abonent import (
    Action,
    Agreement,
    Alarm,
    AlarmKind,
    AsyncFallbackSender,
    AsyncIdentifier,
    AsyncOneTimeCodes,
    Basis,
    CodeTexts,
    Consent,
    DeliveryState,
    EnvironmentKeys,
    FallbackSender,
    FallbackTimes,
    FileKeys,
    Gate,
    GateChanged,
    Happening,
    Identifier,
    Ignored,
    KeyUse,
    LateAnswer,
    MemoryKeys,
    MemoryStorage,
    Messenger,
    MessengerKind,
    NextStep,
    Notice,
    NoticeKind,
    NumberingPlan,
    OneTimeCode,
    OneTimeCodes,
    Operator,
    Outcome,
    Policy,
    Reason,
    Received,
    ReplayReport,
    Resealed,
    Rules,
    SenderAlarm,
    SqliteStorage,
    Standing,
    Status,
    SubscriberNumber,
    SweepReport,
    SystemClock,
    WrappedKeys,
    parse_number,
    rules_in_force,
)
from abonent.compliance import DueItem, DueKind, Register, calendar_of, read_register
from abonent.compliance.proceeding.events import EnteredInRegister
from abonent.compliance.proceeding.evolution import due, evolve, wakes_at
from abonent.compliance.proceeding.states import Blank, Proceeding, State
from abonent.core.events import Event
from abonent.errors import AbonentError, AdapterFault, Fault, NumberNotAllowed, Refused
from abonent.operator import (
    AsyncNoticeCarrier,
    AsyncOperatorDesk,
    AsyncSubscriberBase,
    DeskGateway,
    DeskPolicy,
    Holding,
    IdentifierCarrier,
    KeptRecord,
    Movement,
    NoticeCarrier,
    OperatorDesk,
    OwedNotice,
    SubscriberBase,
)
from abonent.ports import (
    Answer,
    AsyncCodeSender,
    AsyncLocalCheck,
    AsyncNumberRouter,
    AsyncOperatorGateway,
    AsyncPossessionCheck,
    Begun,
    Clock,
    CodeMessage,
    CodeSender,
    GatewayFeatures,
    KeyProvider,
    Keys,
    KeyService,
    NumberRouter,
    OperatorGateway,
    PossessionCheck,
    PossessionClaim,
    PossessionFeatures,
    Query,
    RecordEntry,
    Storage,
    Unrouted,
    Verdict,
    WithdrawEntry,
)
from abonent.possession.smpp import AsyncSmppSender, Meaning, SmppLink, SmppSender
from abonent.transport import Transport
from abonent.wire import (
    AsyncInbox,
    FetchedJwks,
    FileSigningKeys,
    HttpReply,
    Inbox,
    JwksKeys,
    SignedCarrier,
    SigningKeys,
    VerificationKeys,
    decode_event,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)


# --- adapters, as an integrator writes them --------------------------------------------


class Sender:
    def send(self, message: CodeMessage) -> None:
        assert_type(message.number, SubscriberNumber)
        assert_type(message.code, OneTimeCode)


class AsyncSender:
    async def send(self, message: CodeMessage) -> None:
        assert_type(message.locale, str)


class Gateway:
    @property
    def features(self) -> GatewayFeatures:
        return GatewayFeatures(prompt=False, concurrency=4)

    def ask(self, query: Query) -> Answer:
        assert_type(query.due, datetime)
        return Answer(outcome=Outcome.HELD)

    def record(self, entry: RecordEntry) -> None:
        assert_type(entry.code, str)

    def withdraw(self, entry: WithdrawEntry) -> None:
        assert_type(entry.id, str)


class AsyncGateway:
    features = GatewayFeatures()

    async def ask(self, query: Query) -> Answer:
        return Answer(outcome=Outcome.LATER, opaque=query.opaque)

    async def record(self, entry: RecordEntry) -> None: ...

    async def withdraw(self, entry: WithdrawEntry) -> None: ...


class Possession:
    features = PossessionFeatures(local=False)

    def begin(self, claim: PossessionClaim) -> Begun:
        return Begun(opaque=claim.opaque)

    def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        return Verdict.FAILED


class AsyncPossession:
    features = PossessionFeatures()

    async def begin(self, claim: PossessionClaim) -> Begun:
        return Begun()

    async def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
        return Verdict.PROVEN


class Wrapping:
    def wrap(self, key_id: str, secret: bytes) -> bytes:
        return secret[::-1]

    def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        return wrapped[::-1]

    def wrapped_by(self, key_id: str, wrapped: bytes) -> str:
        return "service/1"


class AsyncRouter:
    async def serving(self, number: SubscriberNumber) -> str | Unrouted:
        return Unrouted.UNKNOWN_RANGE


def adapters_fit_their_ports() -> None:
    sender: CodeSender = Sender()
    gateway: OperatorGateway = Gateway()
    async_gateway: AsyncOperatorGateway = AsyncGateway()
    possession: PossessionCheck = Possession()
    own_codes: PossessionCheck = OneTimeCodes(sender)
    async_possession: AsyncPossessionCheck = AsyncPossession()
    router: NumberRouter = NumberingPlan.sample(operators=[Operator(id="mts", names=("МТС",))])
    async_router: AsyncNumberRouter = AsyncRouter()
    clock: Clock = SystemClock()
    storages: list[Storage] = [MemoryStorage(), SqliteStorage("kept.db", territory="RU")]
    keys: list[KeyProvider] = [FileKeys("keys.json"), EnvironmentKeys(), MemoryKeys.random()]
    service: KeyService = Wrapping()
    keys.append(WrappedKeys("keys.json", service))
    del gateway, async_gateway, possession, own_codes, async_possession
    del router, async_router, clock, storages, keys


def senders_of_codes(alarm: SenderAlarm) -> None:
    link = SmppLink(
        host="smsc.example", system_id="chat", source="Chat", meanings={0x0411: Meaning.SLOW_DOWN}
    )
    texts = CodeTexts({"": "{code}"})
    alarms: list[SenderAlarm] = [alarm]
    with SmppSender(link, texts, clock=SystemClock()) as sender:
        assert_type(sender, SmppSender)
        times = FallbackTimes(within=timedelta(seconds=15))
        several = FallbackSender(
            {"smpp": sender, "other": Sender()}, alarm=alarms.append, times=times
        )
        one: CodeSender = several
        several.watch(ended)
        several.ended("other", "claim.1", DeliveryState.EXPIRED)
        codes: PossessionCheck = OneTimeCodes(one, proven=several.proven)
    awaited = AsyncFallbackSender({"smpp": AsyncSmppSender(link), "other": AsyncSender()})
    async_one: AsyncCodeSender = awaited
    async_codes: AsyncLocalCheck = AsyncOneTimeCodes(async_one, proven=awaited.proven)
    assert_type(alarm.sender, str)
    assert_type(alarm.cause, str)
    del codes, async_codes


def ended(message_id: str, state: DeliveryState) -> None:
    assert_type(state.failed, bool)


# --- values ----------------------------------------------------------------------------


def values() -> None:
    parsed = parse_number("+7 916 123-45-67")
    assert_type(parsed.number, SubscriberNumber)
    assert_type(parsed.unlisted, bool)
    assert_type(parsed.number.e164, str)
    rules = rules_in_force(NOW)
    assert_type(rules, Rules)
    assert_type(rules.answer_within.value, timedelta | None)
    assert_type(rules.consent_needed.value, bool)
    assert_type(rules.answer_within.source, str)
    agreement = Agreement(id="a", messenger="m", operator="mts", starts=NOW)
    assert_type(agreement.ends, datetime | None)
    assert_type(agreement.in_force(NOW), bool)
    assert_type(Policy().code_valid, timedelta)
    assert_type(FileKeys.create("keys.json"), FileKeys)
    assert_type(FileKeys("keys.json").add(), str)
    assert_type(WrappedKeys.create("keys.json", Wrapping()), WrappedKeys)
    assert_type(WrappedKeys("keys.json", Wrapping()).keys(), Keys)


def errors(error: AbonentError, refused: Refused, fault: AdapterFault) -> None:
    assert_type(error.code, str)
    assert_type(error.fault, Fault)
    assert_type(error.remedy, str)
    assert_type(error.retryable, bool)
    assert_type(error.retry_at, datetime | None)
    assert_type(refused.reason, str)
    assert_type(fault.cause_type, str)
    assert_type(NumberNotAllowed("", region="KZ").region, str)


# --- the shells ------------------------------------------------------------------------


def build() -> Identifier:
    alarm: Callable[[Alarm], object] = print
    return Identifier(
        messenger=Messenger(id="m", kind=MessengerKind.FOREIGN),
        storage=MemoryStorage(),
        keys=MemoryKeys.random(),
        possession=OneTimeCodes(Sender()),
        agreements=[Agreement(id="a", messenger="m", operator="mts", starts=NOW)],
        gateways={"mts": Gateway()},
        router=NumberingPlan.sample(operators=[]),
        rules=None,
        policy=Policy(),
        clock=SystemClock(),
        alarm=alarm,
    )


def sync() -> None:
    with build() as identifier:
        assert_type(identifier, Identifier)
        standing = identifier.claim("alice", "8 916 123-45-67", locale="ru")
        assert_type(standing, Standing)
        assert_type(standing.status, Status)
        assert_type(standing.gate, Gate)
        assert_type(standing.reason, Reason | None)
        assert_type(standing.basis, Basis | None)
        assert_type(standing.identification_code, str | None)
        assert_type(standing.next, tuple[NextStep, ...])
        step = standing.may(Action.PROVE)
        assert_type(step, NextStep | None)
        if step is not None:
            assert_type(step.since, datetime)
            assert_type(step.until, datetime | None)
            assert_type(step.tries, int | None)
        assert_type(identifier.prove("alice", "123456"), Standing)
        assert_type(identifier.prove("alice", OneTimeCode("123456")), Standing)
        assert_type(identifier.standing("alice"), Standing)
        assert_type(identifier.row_key("alice"), bytes | None)
        gate = identifier.gate("alice")
        assert_type(gate, Gate)
        if gate:
            assert_type(gate.until, datetime | None)
        identifier.require_open("alice")
        assert_type(identifier.forget("alice"), bool)
        consent = Consent(user_id="alice", recipient="court", purpose="case", given_at=NOW)
        number = identifier.disclose("alice", to="court", purpose="case", consent=consent)
        assert_type(number, SubscriberNumber)
        inbound(identifier, number)


def inbound(identifier: Identifier, number: SubscriberNumber) -> None:
    notice = Notice(id="n", operator="mts", kind=NoticeKind.PORTED, number=number)
    late = LateAnswer(query_id="q", operator="mts", outcome=Outcome.HELD)
    received = identifier.receive(notice)
    assert_type(received, Received)
    assert_type(received.users, tuple[str, ...])
    assert_type(received.ignored, Ignored | None)
    assert_type(identifier.receive(late, received_at=NOW), Received)
    assert_type(identifier.receive_many([notice, late]), list[Received | AbonentError])
    assert_type(identifier.sweep(), SweepReport)
    assert_type(identifier.sweep(limit=10).due, int)
    assert_type(identifier.reseal(limit=10), Resealed)
    assert_type(identifier.reseal(after=b"k").cursor, bytes | None)
    assert_type(identifier.key_uses(), tuple[KeyUse, ...])
    assert_type(identifier.changes(after=7), list[GateChanged])
    assert_type(identifier.history("alice"), list[Happening])
    assert_type(identifier.history("alice")[0].event, Event)
    assert_type(identifier.replay(), ReplayReport)
    assert_type(identifier.replay().ok, bool)


async def asynchronous() -> None:
    async with AsyncIdentifier(
        messenger=Messenger(id="m", kind=MessengerKind.FOREIGN),
        storage=MemoryStorage(),
        keys=MemoryKeys.random(),
        possession=AsyncPossession(),
        gateways={"mts": AsyncGateway(), "beeline": Gateway()},
        router=AsyncRouter(),
    ) as identifier:
        assert_type(identifier, AsyncIdentifier)
        assert_type(await identifier.claim("alice", "+79161234567"), Standing)
        assert_type(await identifier.prove("alice", "123456"), Standing)
        assert_type(await identifier.standing("alice"), Standing)
        assert_type(await identifier.row_key("alice"), bytes | None)
        assert_type(await identifier.gate("alice"), Gate)
        await identifier.require_open("alice")
        assert_type(await identifier.forget("alice"), bool)
        assert_type(await identifier.sweep(), SweepReport)
        assert_type(await identifier.reseal(), Resealed)
        assert_type(await identifier.key_uses(), tuple[KeyUse, ...])
        assert_type(await identifier.changes(), list[GateChanged])
        assert_type(await identifier.history("alice"), list[Happening])
        assert_type(await identifier.replay(), ReplayReport)
        number = await identifier.disclose("alice", to="c", purpose="p", consent=None)
        assert_type(number, SubscriberNumber)
        notice = Notice(id="n", operator="mts", kind=NoticeKind.PORTED, number=number)
        assert_type(await identifier.receive(notice), Received)
        assert_type(await identifier.receive_many([notice]), list[Received | AbonentError])


def awaited_codes() -> AsyncIdentifier:
    return AsyncIdentifier(
        messenger=Messenger(id="m", kind=MessengerKind.DOMESTIC),
        storage=MemoryStorage(),
        keys=MemoryKeys.random(),
        possession=AsyncOneTimeCodes(AsyncSender()),
    )


def alarmed(alarm: Alarm) -> None:
    assert_type(alarm.kind, AlarmKind)
    assert_type(alarm.adapter, str)
    assert_type(alarm.cause, str)


def over_http(identifier: Identifier, keys: FileSigningKeys, transport: Transport) -> None:
    own: dict[str, VerificationKeys] = {
        "mts": JwksKeys(b""),
        "beeline": FetchedJwks("https://b.example/jwks", transport),
    }
    inbox = Inbox(identifier, url="https://chat.example/notices", keys=own)
    reply = inbox.receive_http("POST", "/notices", {"content-type": "x"}, b"")
    inbox.receive_http("POST", "/notices", [(b"content-type", b"x")], b"")
    assert_type(reply, HttpReply)
    status, headers, body = reply
    assert_type(status, int)
    assert_type(headers, dict[str, str])
    assert_type(body, bytes)
    carrier = SignedCarrier(addresses={"m": ""}, keys=keys, transport=transport)
    assert_type(carrier.deliver("m", a_notice()), None)
    assert_type(decode_event(b"").item, Notice | LateAnswer)
    assert_type(keys.signing_keys().jwks(datetime.now(UTC)), bytes)
    assert_type(identifier.receive(a_notice(), event_id="e"), Received)


async def over_http_in_a_loop(identifier: AsyncIdentifier, keys: SigningKeys) -> None:
    inbox = AsyncInbox(identifier, url="https://chat.example/notices", keys={})
    assert_type(await inbox.receive_http("POST", "/notices", {}, b""), HttpReply)
    await identifier.receive(a_notice(), event_id="e")


def a_notice() -> Notice:
    number = SubscriberNumber("+79161234567")
    return Notice(id="n", operator="mts", kind=NoticeKind.PORTED, number=number)


class Base:
    features = GatewayFeatures(prompt=True)

    def holds(self, number: SubscriberNumber) -> Holding:
        return Holding(outcome=Outcome.HELD, since=NOW)


class AsyncBase:
    features = GatewayFeatures()

    async def holds(self, number: SubscriberNumber) -> Holding:
        return Holding(outcome=Outcome.NOT_HELD)


class AsyncCarrier:
    features = GatewayFeatures()

    async def deliver(self, messenger: str, notice: Notice) -> None: ...

    async def deliver_answer(self, messenger: str, answer: LateAnswer) -> None: ...


def an_operators_side(identifier: Identifier, agreement: Agreement) -> None:
    base: SubscriberBase = Base()
    carrier: NoticeCarrier = IdentifierCarrier({"m": identifier})
    with OperatorDesk(
        operator=Operator(id="mts"),
        storage=MemoryStorage(),
        keys=MemoryKeys.random(),
        base=base,
        carrier=carrier,
        agreements=[agreement],
        policy=DeskPolicy(base_lag=timedelta(hours=1)),
    ) as desk:
        number = parse_number("+79161234567").number
        query = Query(id="q", messenger="m", number=number, asked_at=NOW, due=NOW)
        assert_type(desk.ask(query, received_at=NOW), Answer)
        gateway: OperatorGateway = DeskGateway(desk, prompt=True)
        assert_type(gateway.ask(query), Answer)
        movement = Movement(id="1", number=number, kind=NoticeKind.PORTED, happened_at=NOW)
        assert_type(desk.subscription_moved(movement), int)
        assert_type(desk.sweep(limit=10), SweepReport)
        assert_type(desk.owed_notices(), list[OwedNotice])
        assert_type(desk.overdue(NOW), list[OwedNotice])
        assert_type(next(desk.records("m")), KeptRecord)
        assert_type(desk.replay(), ReplayReport)


async def an_awaited_operators_side() -> None:
    base: AsyncSubscriberBase = AsyncBase()
    carrier: AsyncNoticeCarrier = AsyncCarrier()
    for each in (base, Base()):
        async with AsyncOperatorDesk(
            operator=Operator(id="mts"),
            storage=MemoryStorage(),
            keys=MemoryKeys.random(),
            base=each,
            carrier=carrier,
            agreements=[],
        ) as desk:
            assert_type(await desk.overdue(), list[OwedNotice])
            async for record in desk.records("m"):
                assert_type(record.notice, OwedNotice | None)


def a_calendar(identifier: Identifier | AsyncIdentifier) -> None:
    register = read_register(Path("register.toml"), now=NOW)
    assert_type(register, Register)
    assert_type(register.case("2027-17"), Proceeding | None)
    items = calendar_of(identifier, until=NOW, register=register)
    assert_type(items, tuple[DueItem, ...])
    assert_type(items[0].kind, DueKind)
    assert_type(evolve(Blank(), EnteredInRegister(on=date(2027, 3, 1))), State)
    assert_type(due(Blank()), date | None)
    assert_type(wakes_at(Blank()), datetime | None)

"""What must not type-check: a line that is accepted fails the typing session.

Every rejected line carries the error that mypy must find in it; basedpyright reads the same
comment. Both are told to report an ignore that is not needed, so a line that begins to pass is
found. See test_rejects.py.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=error
# ruff: noqa: E701

from datetime import UTC, datetime

from abonent import (
    Agreement,
    AsyncFallbackSender,
    AsyncIdentifier,
    AsyncOneTimeCodes,
    CodeTexts,
    FallbackSender,
    Gate,
    Identifier,
    LateAnswer,
    MemoryKeys,
    MemoryStorage,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    OneTimeCode,
    OneTimeCodes,
    Outcome,
    Policy,
    Standing,
    SubscriberNumber,
)
from abonent.operator import Holding, Movement, OperatorDesk, SubscriberBase
from abonent.ports import (
    Answer,
    CodeMessage,
    GatewayFeatures,
    OperatorGateway,
    PossessionCheck,
    Query,
    Storage,
)
from abonent.possession.smpp import SmppLink, SmppSender

NOW = datetime(2026, 6, 1, tzinfo=UTC)


class Sender:
    def send(self, message: CodeMessage) -> None: ...


class AsksOnly:
    """A gateway without `record` and `withdraw`."""

    features = GatewayFeatures()

    def ask(self, query: Query) -> Answer:
        return Answer(outcome=Outcome.HELD)


class SaysYes:
    """A gateway whose answer is a bool."""

    features = GatewayFeatures()

    def ask(self, query: Query) -> bool:
        return True

    def record(self, entry: object) -> None: ...

    def withdraw(self, entry: object) -> None: ...


MESSENGER = Messenger(id="m", kind=MessengerKind.FOREIGN)
CODES = OneTimeCodes(Sender())


def values_of_a_wrong_type(number: SubscriberNumber) -> None:
    Messenger(id="m", kind="foreign")  # type: ignore[arg-type]
    Messenger("m", MessengerKind.FOREIGN)  # type: ignore[call-arg]
    Agreement(id="a", messenger="m", operator="mts", starts="2026-01-01")  # type: ignore[arg-type]
    Agreement(id="a", messenger="m", operator="mts")  # type: ignore[call-arg]
    Notice(id="n", operator="mts", kind="ported", number=number)  # type: ignore[arg-type]
    Notice(id="n", operator="mts", kind=NoticeKind.PORTED, number="+79161234567")  # type: ignore[arg-type]
    LateAnswer(query_id="q", operator="mts", outcome=True)  # type: ignore[arg-type]
    OneTimeCode(123456)  # type: ignore[arg-type]
    Policy(code_valid=600)  # type: ignore[arg-type]
    Policy(code_lenght=6)  # type: ignore[call-arg]
    Answer(outcome="held")  # type: ignore[arg-type]
    Answer(Outcome.HELD)  # type: ignore[call-arg]


def values_do_not_change(standing: Standing, gate: Gate, number: SubscriberNumber) -> None:
    number.e164 = "+79161234567"  # type: ignore[misc]
    standing.reason = None  # type: ignore[misc]
    gate.open = True  # type: ignore[misc]
    MESSENGER.kind = MessengerKind.DOMESTIC  # type: ignore[misc]


def adapters_that_do_not_fit() -> None:
    half: OperatorGateway = AsksOnly()  # type: ignore[assignment]
    lax: OperatorGateway = SaysYes()  # type: ignore[assignment]
    store: Storage = {}  # type: ignore[assignment]
    OneTimeCodes(lambda message: None)  # type: ignore[arg-type]
    del half, lax, store


class AsyncSender:
    async def send(self, message: CodeMessage) -> None: ...


def senders_of_the_other_shell(sender: AsyncSender) -> None:
    OneTimeCodes(sender)  # type: ignore[arg-type]
    AsyncOneTimeCodes(Sender())  # type: ignore[arg-type]
    FallbackSender({"one": sender})  # type: ignore[dict-item]
    AsyncFallbackSender({"one": Sender()})  # type: ignore[dict-item]
    check: PossessionCheck = AsyncOneTimeCodes(sender)  # type: ignore[assignment]
    del check


def senders_of_a_wrong_setting(link: SmppLink) -> None:
    SmppLink(host="smsc.example", system_id="chat")  # type: ignore[call-arg]
    SmppLink(host="smsc.example", system_id="chat", source="Chat", timeout=10)  # type: ignore[arg-type]
    SmppSender(link, {"": "{code}"})  # type: ignore[arg-type]
    CodeTexts("{code}")  # type: ignore[arg-type]
    FallbackSender([Sender()])  # type: ignore[arg-type]
    link.password = "other"  # type: ignore[misc]


def an_async_gateway_in_the_sync_shell(gateway: "AsyncOnly") -> None:
    sync: OperatorGateway = gateway  # type: ignore[assignment]
    del sync


class AsyncOnly:
    features = GatewayFeatures()

    async def ask(self, query: Query) -> Answer:
        return Answer(outcome=Outcome.HELD)

    async def record(self, entry: object) -> None: ...

    async def withdraw(self, entry: object) -> None: ...


def calls(identifier: Identifier, number: SubscriberNumber) -> None:
    Identifier(storage=MemoryStorage(), keys=MemoryKeys.random(), possession=CODES)  # type: ignore[call-arg]
    identifier.claim("alice", number)  # type: ignore[arg-type]
    identifier.claim(4711, "+79161234567")  # type: ignore[arg-type]
    identifier.claim("alice", "+79161234567", "ru")  # type: ignore[call-arg]
    identifier.prove("alice", 123456)  # type: ignore[arg-type]
    identifier.prove("alice", b"made by a device")  # type: ignore[arg-type]
    identifier.disclose("alice", to="court", purpose="case")  # type: ignore[call-arg]
    identifier.disclose("alice", "court", "case", None)  # type: ignore[call-arg]
    identifier.receive("notice")  # type: ignore[arg-type]
    identifier.receive_many(NOW)  # type: ignore[arg-type]
    identifier.sweep(10)  # type: ignore[call-arg]
    identifier.gate("alice").opened  # type: ignore[attr-defined]


class SaysWhether:
    """A subscriber base whose answer is a bool."""

    features = GatewayFeatures()

    def holds(self, number: SubscriberNumber) -> bool:
        return True


def an_operators_side(desk: OperatorDesk, number: SubscriberNumber) -> None:
    Holding(outcome="held")  # type: ignore[arg-type]
    Holding(Outcome.HELD)  # type: ignore[call-arg]
    Movement(id="1", number=number, kind=NoticeKind.PORTED)  # type: ignore[call-arg]
    Movement(id="1", number=number, kind=NoticeKind.PORTED, happened_at=None)  # type: ignore[arg-type]
    desk.subscription_moved("1")  # type: ignore[arg-type]
    desk.ask("query")  # type: ignore[arg-type]
    base: SubscriberBase = SaysWhether()  # type: ignore[assignment]
    del base


async def a_forgotten_await(identifier: AsyncIdentifier) -> None:
    identifier.gate("alice").open  # type: ignore[attr-defined]
    gate: Gate = identifier.gate("alice")  # type: ignore[assignment]
    standing: Standing = identifier.claim("alice", "+79161234567")  # type: ignore[assignment]
    identifier.require_open("alice")  # type: ignore[unused-coroutine]
    with identifier:  # type: ignore[attr-defined]
        pass
    del gate, standing


def a_gate_not_awaited_as_a_condition(identifier: AsyncIdentifier) -> None:
    # On one line: mypy finds what follows unreachable, basedpyright the condition invalid.
    # fmt: off
    if identifier.gate("alice"): pass  # type: ignore[unreachable]
    # fmt: on

"""Performing what is owed, and the border that no stray exception of an adapter crosses.

Knows which port performs which effect and what its outcome is as a command. Refuses to decide
anything and to wait for anything: its flows are driven by a shell.

A flow is a generator. It yields requests and is sent their results:
`Submit` a task to the group commit, `Read` the store, `Call` an adapter, `Spawn` flows and wait a
little.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from enum import Enum
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

from attrs import frozen
from msgspec import Struct

from abonent.core.events import Outcome
from abonent.core.owed import AskOperator, Effect, RecordCode, SendCode, WithdrawCode
from abonent.errors import AbonentError, AdapterFault, Misconfigured, SetupError, Unavailable
from abonent.ports import (
    Answer,
    AsyncLocalCheck,
    AsyncNumberRouter,
    AsyncOperatorGateway,
    AsyncPossessionCheck,
    AsyncSendLimiter,
    AsyncSilentCheck,
    Begun,
    NumberRouter,
    OperatorGateway,
    PossessionCheck,
    Query,
    RecordEntry,
    SendLimiter,
    SilentCheck,
    WithdrawEntry,
)

T = TypeVar("T")
log: Final = logging.getLogger("abonent")
LONGEST_OPAQUE: Final = 4096
POSSESSION_PLACES: Final = 8
"""How many possession checks may begin at once."""
QUEUED_PER_PLACE: Final = 4
"""Effects that may queue for each place in a lane; the rest wait for the next sweep."""

Gateway: TypeAlias = OperatorGateway | AsyncOperatorGateway
Possession: TypeAlias = (
    PossessionCheck | AsyncPossessionCheck | AsyncLocalCheck | SilentCheck | AsyncSilentCheck
)
Router: TypeAlias = NumberRouter | AsyncNumberRouter
Limiter: TypeAlias = SendLimiter | AsyncSendLimiter
Flow: TypeAlias = Generator[Any, Any, T]


class Submit(Struct, frozen=True):
    """Settle a task; sent back is its result."""

    keys: tuple[bytes, ...]
    work: Callable[[Any], Any]
    aliases: tuple[bytes, ...] = ()


class SubmitAll(Struct, frozen=True):
    """Settle several tasks together; sent back are their results, errors as values."""

    tasks: tuple[Submit, ...]


class Read(Struct, frozen=True):
    """Read from the store, which may block; sent back is what was read."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Call(Struct, frozen=True):
    """Call an adapter; sent back is what it returned, thrown in is an `AdapterError`."""

    lane: str
    prompt: bool
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


class Spawn(Struct, frozen=True):
    """Drive flows, each in its lane; wait for them for at most the policy's inline wait.

    Sent back are their results, None for each that is still running or had no place.
    """

    flows: tuple[Lane, ...]


class Lane(Struct, frozen=True):
    """A flow, and the adapter it is bound to: a dead one must stall nobody else (P26)."""

    name: str
    width: int
    prompt: bool
    flow: Callable[[], Flow[Any]]


HERE: Final[ContextVar[str]] = ContextVar("abonent_lane", default="")
"""The lane that runs here. What follows from it runs on in its place, instead of waiting for
another of its own lane."""


class AlarmKind(Enum):
    """What a person has to look at. The values are stable."""

    MISCONFIGURED = "misconfigured"
    """An operator or sender refuses our credentials or requests (S11)."""
    ADAPTER_FAULT = "adapter_fault"
    """An adapter broke its contract."""
    DEBT_GIVEN_UP = "debt_given_up"
    """A record or withdrawal was tried for as long as the policy says (P15)."""
    FEED_SILENT = "feed_silent"
    """An operator has told us nothing for longer than was stated (P19)."""
    FEED_LAPSING = "feed_lapsing"
    """What an operator tells us by, a subscription or credential, runs out soon."""
    FEED_ENDED = "feed_ended"
    """An operator says that it has stopped telling us."""
    ANSWER_LAPSED = "answer_lapsed"
    """On the operator's side: the time to answer a messenger's question ran out."""
    NOTICE_OVERDUE = "notice_overdue"
    """On the operator's side: a messenger did not acknowledge a notice in the statutory time. It
    is tried on."""
    KEY_WORN = "key_worn"
    """A root key has made a quarter, or more, of the seals that one key may: make a new one."""


@frozen(kw_only=True)
class Alarm:
    """Something a person has to look at; it names no user and no number.

    `adapter` is who it is about: an operator, a sender, a root key by its id, or, on the operator's
    side, a messenger.
    """

    kind: AlarmKind
    adapter: str
    cause: str


def guarded(adapter: str, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    """Call an adapter; what it raises comes out as an `AdapterError` without its text."""
    try:
        return function(*arguments)
    except BaseException as error:
        raise translated(adapter, error) from None


def translated(adapter: str, error: BaseException) -> BaseException:
    """Return what may cross the border in place of what an adapter raised."""
    if isinstance(error, Unavailable):
        return Unavailable("the other side is unavailable", adapter=adapter)
    if isinstance(error, Misconfigured):
        return Misconfigured("the other side refuses us", adapter=adapter)
    if isinstance(error, Exception):
        name = type(error).__name__
        return AdapterFault(f"the adapter raised {name}", adapter=adapter, cause_type=name)
    return error  # KeyboardInterrupt and the like are not the adapter's


def _is_opaque(value: Any) -> bool:
    return isinstance(value, bytes) and len(value) <= LONGEST_OPAQUE


def _any(value: Any) -> Any:
    """Look at what an adapter gave without believing its annotations."""
    return value


class Alarms:
    """Tells a person what a person has to look at."""

    def __init__(self, alarm: Callable[[Alarm], object] | None) -> None:
        self._alarm = alarm

    def raise_alarm(self, kind: AlarmKind, adapter: str, cause: str) -> None:
        """Tell a person; an alarm hook that fails is logged and changes nothing."""
        log.error("abonent.alarm kind=%s adapter=%s cause=%s", kind.value, adapter, cause)
        if self._alarm is None:
            return
        try:
            self._alarm(Alarm(kind=kind, adapter=adapter, cause=cause))
        except Exception as error:
            log.error("abonent.alarm_hook_failed cause=%s", type(error).__name__)

    def failed_at(self, adapter: str, error: AbonentError) -> str:
        """Note a failed try and return its cause by name."""
        if isinstance(error, Misconfigured | SetupError):
            self.raise_alarm(AlarmKind.MISCONFIGURED, adapter, error.code)
        elif isinstance(error, AdapterFault):
            self.raise_alarm(AlarmKind.ADAPTER_FAULT, adapter, error.cause_type or error.code)
        return error.code


class Performer(Alarms):
    """Performs effects and turns their outcomes into commands."""

    def __init__(
        self,
        *,
        messenger: str,
        gateways: Mapping[str, Gateway],
        possession: Possession,
        alarm: Callable[[Alarm], object] | None,
    ) -> None:
        super().__init__(alarm)
        self._messenger = messenger
        self._gateways = gateways
        self._possession = possession

    def lane(self, effect: Effect, run: Callable[[bool], Flow[Any]], *, just_owed: bool) -> Lane:
        """Return the lane in which an effect runs.

        `run` is told whether the effect is performed at once, right after the commit that owes it:
        otherwise it may have been cancelled while it waited.
        """
        name, width, prompt = self._place(effect)
        return Lane(name, width, prompt, partial(run, just_owed and prompt))

    def _place(self, effect: Effect) -> tuple[str, int, bool]:
        if isinstance(effect, SendCode):
            return "possession", POSSESSION_PLACES, self._possession.features.prompt
        gateway = self._gateways.get(effect.operator)
        if gateway is None:
            return effect.operator, 1, True
        return effect.operator, gateway.features.concurrency, gateway.features.prompt

    def begin(self, claim: Any) -> Flow[Begun]:
        """Begin a possession check."""
        prompt = self._possession.features.prompt
        begun = yield Call("possession", prompt, self._possession.begin, (claim,))
        if not isinstance(begun, Begun) or not _is_opaque(begun.opaque):
            raise AdapterFault("begin returned no Begun", adapter="possession")
        return begun

    def ask(self, effect: AskOperator) -> Flow[Answer]:
        """Ask an operator."""
        query = Query(
            id=effect.id,
            messenger=self._messenger,
            number=effect.number,
            asked_at=effect.asked_at,
            due=effect.due,
            opaque=effect.opaque,
        )
        gateway = self._gateway(effect.operator)
        answer = yield Call(effect.operator, gateway.features.prompt, gateway.ask, (query,))
        if not isinstance(answer, Answer) or not _is_opaque(answer.opaque):
            raise AdapterFault("ask returned no Answer", adapter=effect.operator)
        if not isinstance(_any(answer.outcome), Outcome):
            raise AdapterFault("ask returned no Outcome", adapter=effect.operator)
        return answer

    def acknowledge(self, effect: RecordCode | WithdrawCode) -> Flow[None]:
        """Have a record made or removed."""
        gateway = self._gateway(effect.operator)
        prompt = gateway.features.prompt
        if isinstance(effect, RecordCode):
            entry = RecordEntry(
                id=effect.id, messenger=self._messenger, number=effect.number, code=effect.code
            )
            yield Call(effect.operator, prompt, gateway.record, (entry,))
        else:
            removal = WithdrawEntry(id=effect.id, messenger=self._messenger, code=effect.code)
            yield Call(effect.operator, prompt, gateway.withdraw, (removal,))

    def _gateway(self, operator: str) -> Gateway:
        gateway = self._gateways.get(operator)
        if gateway is None:
            raise Misconfigured("no gateway is configured for this operator", adapter=operator)
        return gateway

    def failed(self, effect: Effect, error: AbonentError) -> str:
        """Note a failed try of an effect and return its cause by name."""
        return self.failed_at(getattr(effect, "operator", "possession"), error)

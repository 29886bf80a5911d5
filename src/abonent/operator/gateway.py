"""Both sides in one process: a desk as a messenger's gateway, and identifiers as its messengers.

Knows what an error of one side is to the other. Refuses to know a network: for tests, demos, and a
service that is both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol, TypeVar

from abonent.errors import AbonentError, Misconfigured, Unavailable
from abonent.ports import (
    Answer,
    GatewayFeatures,
    LateAnswer,
    Notice,
    Query,
    RecordEntry,
    WithdrawEntry,
)

T = TypeVar("T")


class Desk(Protocol):
    """An `OperatorDesk`, as far as messengers see it."""

    def ask(self, query: Query, *, received_at: datetime | None = None) -> Answer:
        """See `OperatorDesk.ask`."""
        ...

    def record(self, entry: RecordEntry, *, received_at: datetime | None = None) -> None:
        """See `OperatorDesk.record`."""
        ...

    def withdraw(self, entry: WithdrawEntry, *, received_at: datetime | None = None) -> None:
        """See `OperatorDesk.withdraw`."""
        ...


class DeskGateway:
    """An `OperatorGateway` that leads to a desk in this process.

    `prompt`: the desk's base answers without waiting, so the caller's thread may ask it.
    """

    def __init__(self, desk: Desk, *, prompt: bool = False, concurrency: int = 8) -> None:
        self.features = GatewayFeatures(prompt=prompt, concurrency=concurrency)
        self._desk = desk

    def ask(self, query: Query) -> Answer:
        """See `OperatorGateway.ask`."""
        return _across(lambda: self._desk.ask(query))

    def record(self, entry: RecordEntry) -> None:
        """See `OperatorGateway.record`."""
        _across(lambda: self._desk.record(entry))

    def withdraw(self, entry: WithdrawEntry) -> None:
        """See `OperatorGateway.withdraw`."""
        _across(lambda: self._desk.withdraw(entry))


class Hears(Protocol):
    """An `Identifier`, as far as operators see it."""

    def receive(self, item: Notice | LateAnswer, *, received_at: datetime | None = None) -> object:
        """See `Identifier.receive`."""
        ...


class IdentifierCarrier:
    """A `NoticeCarrier` to identifiers in this process, by messenger id.

    The mapping is looked at with each delivery, so that it may be filled after the desk was built.
    """

    def __init__(
        self, identifiers: Mapping[str, Hears], *, prompt: bool = True, concurrency: int = 8
    ) -> None:
        self.features = GatewayFeatures(prompt=prompt, concurrency=concurrency)
        self._identifiers = identifiers

    def deliver(self, messenger: str, notice: Notice) -> None:
        """See `NoticeCarrier.deliver`."""
        self._hand_over(messenger, notice)

    def deliver_answer(self, messenger: str, answer: LateAnswer) -> None:
        """See `NoticeCarrier.deliver_answer`."""
        self._hand_over(messenger, answer)

    def _hand_over(self, messenger: str, item: Notice | LateAnswer) -> None:
        identifier = self._identifiers.get(messenger)
        if identifier is None:
            raise Misconfigured("there is no identifier of this messenger here")
        _across(lambda: identifier.receive(item))


def _across(call: Callable[[], T]) -> T:
    """Call the other side: what it refuses us is `Misconfigured`, what may pass `Unavailable`."""
    try:
        return call()
    except AbonentError as error:
        if error.retryable:
            raise Unavailable(f"the other side says {error.code}") from None
        raise Misconfigured(f"the other side says {error.code}") from None

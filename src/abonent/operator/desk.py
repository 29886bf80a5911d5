"""OperatorDesk: the operator's half of the duty, for threads. (Signatures first; bodies follow.)"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from attrs import field, frozen

from abonent.core.agreements import Agreement
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Operator
from abonent.core.rules import Rules
from abonent.core.states import NoticeKind
from abonent.engine.effects import Alarm
from abonent.engine.rounds import SweepReport
from abonent.engine.observing import Observer
from abonent.operator.ports import Movement, NoticeCarrier, SubscriberBase
from abonent.ports import Answer, Clock, KeyProvider, Query, RecordEntry, Storage, WithdrawEntry


@frozen(kw_only=True)
class OwedNotice:
    """A notice that its messenger has not acknowledged. It must have it by `due`."""

    id: str
    messenger: str
    kind: NoticeKind
    happened_at: datetime
    due: datetime
    tries: int


@frozen(kw_only=True)
class KeptRecord:
    """A record that stands: messenger and identification code beside the subscriber's number."""

    messenger: str
    number: SubscriberNumber
    code: str = field(repr=False)
    since: datetime


class OperatorDesk:
    """One operator's desk: answers questions, keeps records, gives notices."""

    def __init__(
        self,
        *,
        operator: Operator,
        storage: Storage,
        keys: KeyProvider,
        base: SubscriberBase,
        carrier: NoticeCarrier,
        agreements: Iterable[Agreement],
        rules: Rules | None = None,
        policy: Any = None,
        clock: Clock | None = None,
        alarm: Callable[[Alarm], object] | None = None,
        observer: Observer | None = None,
        unsafe_test_doubles: bool = False,
    ) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what runs, settle it, and close the store."""

    def ask(self, query: Query, *, received_at: datetime | None = None) -> Answer:
        """Answer a question, at once or with LATER.

        `query.messenger` is who asks, as authenticated by whoever calls this.

        Raises:
            NoAgreement: no agreement with this messenger is in force; for unknown messengers too.
            NoRulesInForce: none are.
            InvalidValue: the id is none.
            IdReused: the same id came with another number.
            Unavailable: the time to answer this question ran out.
        """
        raise NotImplementedError

    def record(self, entry: RecordEntry, *, received_at: datetime | None = None) -> None:
        """Record messenger and code beside the subscriber. (NoAgreement, InvalidValue, IdReused.)"""
        raise NotImplementedError

    def withdraw(self, entry: WithdrawEntry, *, received_at: datetime | None = None) -> None:
        """Remove a record. (NoAgreement: no agreement ever began; InvalidValue.)"""
        raise NotImplementedError

    def subscription_moved(self, movement: Movement) -> int:
        """Take a movement; return how many notices it made owed."""
        raise NotImplementedError

    def sweep(self, *, limit: int = 10_000) -> SweepReport:
        """Settle what is due now and try what is owed."""
        raise NotImplementedError

    def owed_notices(self) -> list[OwedNotice]:
        """Return the notices that were not acknowledged yet, the earliest due first."""
        raise NotImplementedError

    def overdue(self, now: datetime | None = None) -> list[OwedNotice]:
        """Return those of them that their messengers should have had by now."""
        raise NotImplementedError

    def records(self, messenger: str) -> Iterator[KeptRecord]:
        """Return the records of a messenger that stand, one after the other, in no order."""
        raise NotImplementedError

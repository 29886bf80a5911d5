"""OperatorDesk: the operator's half of the duty, for threads.

Knows what may be asked of a desk and how its parts fit together. Refuses to decide anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from types import TracebackType
from typing import Self

from attrs import field, frozen

from abonent.core.agreements import Agreement
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Operator
from abonent.core.rules import Rules
from abonent.core.states import NoticeKind
from abonent.engine.assembly import SystemClock, _refuse_double
from abonent.engine.driving import Driver
from abonent.engine.effects import Alarm, Alarms
from abonent.engine.observing import Observer, Telling
from abonent.engine.rounds import SweepReport
from abonent.feed import ReplayReport
from abonent.operator.books import Books, File
from abonent.operator.core.policy import DeskPolicy, Ground
from abonent.operator.core.states import NoticeOwed, Recorded
from abonent.operator.loop import Base, Carrier, Loop
from abonent.operator.ports import Movement, NoticeCarrier, SubscriberBase
from abonent.ports import Answer, Clock, KeyProvider, Query, RecordEntry, Storage, WithdrawEntry


@frozen(kw_only=True)
class OwedNotice:
    """A notice that its messenger has not acknowledged; the statutory time ends at `due`."""

    id: str
    messenger: str
    kind: NoticeKind
    happened_at: datetime
    due: datetime
    tries: int


@frozen(kw_only=True)
class KeptRecord:
    """A record that is open: messenger and identification code beside the subscriber's number.

    `notice` is what its messenger has yet to acknowledge, if the subscription is over.
    """

    messenger: str
    number: SubscriberNumber
    code: str = field(repr=False)
    since: datetime
    notice: OwedNotice | None


def assemble(
    *,
    operator: Operator,
    storage: Storage,
    keys: KeyProvider,
    base: Base,
    carrier: Carrier,
    agreements: Iterable[Agreement],
    rules: Rules | None,
    policy: DeskPolicy | None,
    clock: Clock | None,
    alarm: Callable[[Alarm], object] | None,
    observer: Observer | None,
    unsafe_test_doubles: bool,
) -> Loop:
    """Build the loop of a desk; see `OperatorDesk`."""
    told_by = clock or SystemClock()
    if not unsafe_test_doubles:
        for adapter in (storage, keys, base, carrier, told_by):
            _refuse_double(adapter)
    ground = Ground(operator.id, agreements, policy=policy or DeskPolicy(), rules=rules)
    return Loop(
        books=Books(storage, keys, ground),
        base=base,
        carrier=carrier,
        clock=told_by,
        alarms=Alarms(alarm),
        telling=Telling(observer),
    )


class OperatorDesk(Driver):
    """One operator's desk: it answers questions, keeps records, and gives notices.

    Safe for any number of threads; a context manager. Every call may raise `StorageError`; nothing
    is half-done then. What is owed is performed by `sweep`: call it every second. Any number of
    processes may share one store.

    Args:
        operator: whose desk this is.
        storage: where its books are; it is closed with the desk.
        keys: the root keys.
        base: the operator's database of subscribers.
        carrier: carries notices and later answers to messengers.
        agreements: those of this operator, with any number of messengers.
        rules: a rule set by name, for what-if runs; None takes the one in force.
        policy: the operator's own choices.
        clock: tells the time.
        alarm: called with what a person has to look at.
        observer: called with what happens, for metrics; it names nobody.
        unsafe_test_doubles: accept adapters that are for tests only (P12).

    Raises:
        SetupError, CallerError: the parts do not fit together; nothing was started.
    """

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
        policy: DeskPolicy | None = None,
        clock: Clock | None = None,
        alarm: Callable[[Alarm], object] | None = None,
        observer: Observer | None = None,
        unsafe_test_doubles: bool = False,
    ) -> None:
        self._loop = assemble(
            operator=operator,
            storage=storage,
            keys=keys,
            base=base,
            carrier=carrier,
            agreements=agreements,
            rules=rules,
            policy=policy,
            clock=clock,
            alarm=alarm,
            observer=observer,
            unsafe_test_doubles=unsafe_test_doubles,
        )
        super().__init__(self._loop.commits, self._loop.policy.inline_wait)
        self._books = self._loop.books

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
        """Finish what runs, settle it, and close the store. Closing twice is allowed."""
        self._rest()
        try:
            self._commits.close()
        finally:
            self._books.storage.close()

    # --- messengers --------------------------------------------------------------------

    def ask(self, query: Query, *, received_at: datetime | None = None) -> Answer:
        """Answer a question: at once, or with LATER where the base does not say so soon.

        The answer is owed within the statutory time of receipt (`Rules.answer_within`: 20 minutes).
        One that was promised is delivered in that time, or an alarm says that it lapsed. The same
        question again gets the same answer.

        Args:
            query: `messenger` is who asks, as whoever calls this has authenticated them. `due` and
                `opaque` are the messenger's own affair.
            received_at: when it arrived, by our clock; None for now.

        Raises:
            NoAgreement: no agreement with this messenger is in force, whoever it is.
            NoRulesInForce: no rule set is in force.
            InvalidValue: an id that is none.
            IdReused: the same id came before, about another number.
            Unavailable: the time to answer this question ran out.
        """
        return self._drive(self._loop.ask(query, self._loop.arrived(received_at)))

    def record(self, entry: RecordEntry, *, received_at: datetime | None = None) -> None:
        """Record messenger and identification code beside the subscriber, once in a code's life.

        If the subscription is over by then, a notice is owed at once.

        Raises:
            NoAgreement: no agreement with this messenger is in force, whoever it is.
            InvalidValue: a code that is none.
            IdReused: the code was recorded beside another number.
        """
        self._drive(self._loop.record(entry, self._loop.arrived(received_at)))

    def withdraw(self, entry: WithdrawEntry, *, received_at: datetime | None = None) -> None:
        """Remove a record; one that is not there yet is never made. Nothing is told of it again.

        Allowed to whoever has or had an agreement, so that what is recorded can be taken back.

        Raises:
            NoAgreement: there never was an agreement with this messenger, whoever it is.
            InvalidValue: a code that is none.
        """
        self._drive(self._loop.withdraw(entry, self._loop.arrived(received_at)))

    # --- the operator's own systems and time ---------------------------------------------

    def subscription_moved(self, movement: Movement) -> int:
        """Take it that a subscription is over; return how many notices that makes owed.

        Each messenger recorded there is to be told within the statutory time
        (`Rules.notice_within`: 24 hours); `sweep` tells them, again and again until they
        acknowledge. Repeat the call until it returns; the same movement twice does nothing more.

        Raises:
            InvalidValue: it has not happened yet.
        """
        return self._drive(self._loop.moved(movement, self._loop.clock.now()))

    def sweep(self, *, limit: int = 10_000) -> SweepReport:
        """Settle what is due now and try what is owed. Any number of processes may sweep."""
        return self._drive(self._loop.sweep(limit))

    # --- what is in the books ------------------------------------------------------------

    def owed_notices(self) -> list[OwedNotice]:
        """Return the notices that were not acknowledged yet, the earliest due first."""
        self._commits.check()
        return owed_notices(self._books)

    def overdue(self, now: datetime | None = None) -> list[OwedNotice]:
        """Return those that their messengers should have had by now, the earliest due first."""
        at = self._loop.arrived(now)
        return [each for each in self.owed_notices() if each.due < at]

    def records(self, messenger: str) -> Iterator[KeptRecord]:
        """Return the open records of a messenger, one after the other, in no particular order.

        All books are read for it, page by page.
        """
        self._commits.check()
        return (each for file in self._books.pages() for each in kept_records(file, messenger))

    def replay(self) -> ReplayReport:
        """Replay the journal and compare it with every stored row.

        While others write, what they have just changed may be among the differing: ask again.
        """
        self._commits.check()
        return self._books.replay()


def owed_notices(books: Books) -> list[OwedNotice]:
    """Return the notices that are owed, the earliest due first."""
    found = [_notice(each) for each in books.owing_notices()]
    return sorted(found, key=lambda each: (each.due, each.id))


def kept_records(file: File, messenger: str) -> Iterator[KeptRecord]:
    """Return what a row says, if it is an open record of this messenger."""
    state = file.state
    if isinstance(state, Recorded | NoticeOwed) and state.messenger == messenger:
        yield KeptRecord(
            messenger=state.messenger,
            number=state.number,
            code=state.code,
            since=state.since,
            notice=_notice(state) if isinstance(state, NoticeOwed) else None,
        )


def _notice(state: NoticeOwed) -> OwedNotice:
    return OwedNotice(
        id=state.notice_id,
        messenger=state.messenger,
        kind=state.kind,
        happened_at=state.happened_at,
        due=state.due,
        tries=state.telling.tries,
    )

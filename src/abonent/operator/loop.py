"""The loop of a desk: what messengers and the operator's systems call, and performing what is owed.

Knows the order of things: who is refused before anything is looked at, what is committed before
anything is performed. Refuses to know rules, threads and event loops.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeAlias

from msgspec.structs import replace as changed

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import check_instant
from abonent.engine.commits import GroupCommit
from abonent.engine.effects import AlarmKind, Alarms, Call, Flow, Lane, Read, Submit
from abonent.engine.observing import Telling
from abonent.engine.rounds import Decided, Rounds
from abonent.engine.settling import Settler
from abonent.errors import AbonentError, AdapterFault, InvalidValue, StorageError, Unavailable
from abonent.operator.books import Books, Draft, File, Sheets
from abonent.operator.core.duty import (
    Ask,
    Command,
    EndSubscription,
    HearBase,
    ListRecord,
    Promise,
    Record,
    ReportDelivered,
    ReportFailed,
    TellHolding,
    Tick,
    Withdraw,
)
from abonent.operator.core.events import (
    AnswerLapsed,
    Event,
    NoticeOverdue,
)
from abonent.operator.core.owed import (
    DeliverAnswer,
    DeliverNotice,
    Effect,
    LookUp,
    is_owed,
    wakes_at,
)
from abonent.operator.core.states import (
    Answered,
    AnswerOwed,
    Asked,
    Blank,
    Hold,
    Recorded,
    concerns,
    ended,
    hold_of,
    line_of,
)
from abonent.operator.endings import (
    CLOCKS_APART,
    end_subscription,
    is_news,
    required,
    shown_end,
    standing_since,
)
from abonent.operator.ports import (
    LONGEST_ID,
    AsyncNoticeCarrier,
    AsyncSubscriberBase,
    Holding,
    Movement,
    NoticeCarrier,
    SubscriberBase,
)
from abonent.ports import (
    Answer,
    Clock,
    LateAnswer,
    Notice,
    Query,
    RecordEntry,
    WithdrawEntry,
)

BASE: Final = "subscriber base"
"""The name of its lane and in alarms; no messenger has it, for an id holds no space."""
BASE_BEHIND: Final = "BASE_BEHIND"
"""The cause of a failed look-up: the base still shows a subscription that is known to be over."""

Base: TypeAlias = SubscriberBase | AsyncSubscriberBase
Carrier: TypeAlias = NoticeCarrier | AsyncNoticeCarrier
Done: TypeAlias = Decided[File, Effect, Event]


class Loop(Rounds[File, Effect, Event]):
    """The loop of one operator's desk on one store."""

    def __init__(
        self,
        *,
        books: Books,
        base: Base,
        carrier: Carrier,
        clock: Clock,
        alarms: Alarms,
        telling: Telling,
    ) -> None:
        self.books = books
        self.ground = books.ground
        self.policy = books.ground.policy
        of_books: Any = books
        super().__init__(
            storage=books.storage,
            space=books.space,
            # Every outcome here is waited for: none is posted, so nothing lingers.
            commits=GroupCommit(
                Settler(of_books, telling, batch=Sheets, draft=Draft).settle, linger=None
            ),
            clock=clock,
            pace=self.policy,
            telling=telling,
        )
        self._base = base
        self._carrier = carrier
        self._alarms = alarms

    def arrived(self, received_at: datetime | None) -> datetime:
        """Return an instant of our clock: the one that is given, or now.

        Raises:
            NaiveInstant: it has no time zone.
        """
        return self.clock.now() if received_at is None else check_instant(received_at)

    # --- what messengers call ----------------------------------------------------------

    def ask(self, query: Query, at: datetime) -> Flow[Answer]:
        """Answer a question, or promise to."""
        self.ground.check_covered(query.messenger, at)  # before anything else is looked at
        _check_id(query.id)
        _check_number(query.number)
        places = self.books.question(query.messenger, query.id)
        command = Ask(
            at=at,
            asked_at=min(_instant(query.asked_at), at + CLOCKS_APART),
            query_id=query.id,
            messenger=query.messenger,
            number=query.number,
        )
        done: Done = yield Submit(places, lambda draft: _decided(draft, draft.at(places), command))
        file: File | None = yield from self.perform(done)
        if file is not None and isinstance(file.state, Asked):
            file = yield from self._settled(file.key, Promise(at=self.clock.now()))
        state = None if file is None else file.state
        if isinstance(state, Answered | AnswerOwed):
            return Answer(outcome=state.outcome)
        if isinstance(state, Asked):
            return Answer(outcome=Outcome.LATER)
        raise Unavailable("the time to answer this question ran out")

    def record(self, entry: RecordEntry, at: datetime) -> Flow[None]:
        """Record messenger and code beside the subscriber."""
        self.ground.check_covered(entry.messenger, at)
        _check_id(entry.code)
        _check_number(entry.number)
        places = self.books.code(entry.messenger, entry.code)
        lines = self.books.line(entry.number)

        def work(draft: Draft) -> None:
            file, line = draft.at(places), draft.at(lines)
            known = line_of(line.state)
            hold = hold_of(known, entry.messenger)
            is_new = isinstance(file.state, Blank)
            command = Record(
                at=at,
                messenger=entry.messenger,
                number=entry.number,
                code=entry.code,
                hold=hold,
            )
            file, _ = draft.apply(file, command)
            end = ended(known, hold)
            if is_new and end is not None:
                draft.apply(file, required(at, end.kind, end.happened_at))
            elif is_new:
                draft.apply(line, ListRecord(at=at, key=file.key, stands=True))

        yield Submit((*lines, *places), work)

    def withdraw(self, entry: WithdrawEntry, at: datetime) -> Flow[None]:
        """Remove a record, or see to it that it is never made."""
        self.ground.check_begun(entry.messenger, at)
        _check_id(entry.code)
        places = self.books.code(entry.messenger, entry.code)

        def work(draft: Draft) -> None:
            file = draft.at(places)
            draft.apply(file, Withdraw(at=at))
            if isinstance(file.state, Recorded):
                line = draft.at(self.books.line(file.state.number))
                draft.apply(line, ListRecord(at=at, key=file.key, stands=False))

        yield Submit(places, work)

    # --- what the operator's systems tell ----------------------------------------------

    def moved(self, movement: Movement, at: datetime) -> Flow[int]:
        """Take a movement; return how many messengers have to be told of it."""
        if movement.happened_at > at + CLOCKS_APART:
            raise InvalidValue("a movement is told when it has happened, not before")
        places = self.books.line(movement.number)

        def work(draft: Draft) -> int:
            return end_subscription(
                draft,
                draft.at(places),
                EndSubscription(
                    at=at,
                    movement_id=movement.id,
                    kind=movement.kind,
                    happened_at=movement.happened_at,
                ),
            )

        owed: int = yield Submit(places, work)
        return owed

    def _hear_base(
        self, draft: Draft, *, key: bytes, holding: Holding, at: datetime, in_reply: bool
    ) -> Done | None:
        """Judge what the base said about a question; a task.

        It may show that a subscription is over beside which somebody is recorded.
        """
        file = draft.row(key)
        if file is None or not isinstance(file.state, Asked):
            return None
        asked = file.state
        line = draft.at(self.books.line(asked.number))
        known, held = line_of(line.state), holding.outcome is Outcome.HELD
        hold = Hold(since=standing_since(holding, asked), asked_at=asked.asked_at)
        over = [each for each in known.ends if concerns(each.happened_at, hold)]
        doubted = known.ends if holding.since is None else over
        if held and any(at < each.believed_until for each in doubted):
            return _decided(draft, file, ReportFailed(at=at, id=asked.query_id, cause=BASE_BEHIND))
        if over:  # the base insists that it stands: what was told before is no end of it
            hold = changed(hold, since=over[-1].happened_at)
        done = _decided(draft, file, HearBase(at=at, outcome=holding.outcome, in_reply=in_reply))
        found = shown_end(holding, at)
        if found is not None and is_news(draft, line, found.happened_at):
            end_subscription(draft, line, found)
        if held and isinstance(done.held.state, Answered | AnswerOwed):
            line = draft.at(self.books.line(asked.number))
            draft.apply(line, TellHolding(at=at, messenger=asked.messenger, hold=hold))
        return done

    # --- effects ----------------------------------------------------------------------

    def _lane(self, effect: Effect, key: bytes, until: datetime, *, just_owed: bool) -> Lane:
        looks_up = isinstance(effect, LookUp)
        features = self._base.features if looks_up else self._carrier.features
        name = BASE if isinstance(effect, LookUp) else effect.messenger
        run = partial(self._carry_out, key, effect, until, name, just_owed)
        return Lane(name, features.concurrency, features.prompt, run)

    def _carry_out(
        self, key: bytes, effect: Effect, until: datetime, adapter: str, in_reply: bool
    ) -> Flow[File | None]:
        """Perform one effect and feed its outcome back. `in_reply`: somebody waits for it."""
        try:
            file: File | None = yield Read(self.books.load, (key,))
            if file is None or not is_owed(file.state, effect) or self._is_late(effect, until):
                return None
            task = yield from self._performed(key, effect, adapter, in_reply)
            done: Done | None = yield task
        except StorageError:
            return None  # the debt stands and its lease runs out
        if done is None:
            return None
        self._raise_alarms(done.events)
        return done.held

    def _is_late(self, effect: Effect, until: datetime) -> bool:
        """It waited in its lane for longer than its lease, or is of no use any more."""
        now = self.clock.now()
        return now >= until or (isinstance(effect, DeliverAnswer) and now > effect.due)

    def _performed(self, key: bytes, effect: Effect, adapter: str, in_reply: bool) -> Flow[Submit]:
        """Perform an effect; return the task that settles what came of it."""
        try:
            if isinstance(effect, LookUp):
                holding = yield from self._look_up(effect)
                work = partial(
                    self._hear_base,
                    key=key,
                    holding=holding,
                    at=self.clock.now(),
                    in_reply=in_reply,
                )
                return Submit((*self.books.line(effect.number), key), work)
            yield from self._deliver(effect)
        except AbonentError as error:
            cause = self._alarms.failed_at(adapter, error)
            return _on(key, ReportFailed(at=self.clock.now(), id=effect.id, cause=cause))
        return _on(key, ReportDelivered(at=self.clock.now(), id=effect.id))

    def _look_up(self, effect: LookUp) -> Flow[Holding]:
        prompt = self._base.features.prompt
        holding = yield Call(BASE, prompt, self._base.holds, (effect.number,))
        if not isinstance(holding, Holding):
            raise AdapterFault("holds returned no Holding", adapter=BASE)
        return holding

    def _deliver(self, effect: DeliverAnswer | DeliverNotice) -> Flow[None]:
        messenger, operator = effect.messenger, self.ground.operator
        prompt = self._carrier.features.prompt
        if isinstance(effect, DeliverAnswer):
            answer = LateAnswer(query_id=effect.id, operator=operator, outcome=effect.outcome)
            deliver: Any = self._carrier.deliver_answer
            yield Call(messenger, prompt, deliver, (messenger, answer))
            return
        notice = Notice(
            id=effect.id,
            operator=operator,
            kind=effect.kind,
            number=effect.number,
            happened_at=effect.happened_at,
        )
        yield Call(messenger, prompt, self._carrier.deliver, (messenger, notice))

    def _settled(self, key: bytes, command: Command) -> Flow[File | None]:
        """Settle a command on one row and return it as it is then, None if it is gone."""
        done: Done | None = yield _on(key, command)
        if done is None:
            return None
        self._raise_alarms(done.events)
        return done.held

    def _raise_alarms(self, events: Iterable[Event]) -> None:
        for each in events:
            if isinstance(each, AnswerLapsed):
                self._alarms.raise_alarm(AlarmKind.ANSWER_LAPSED, each.messenger, "no answer")
            elif isinstance(each, NoticeOverdue):
                self._alarms.raise_alarm(AlarmKind.NOTICE_OVERDUE, each.messenger, "no receipt")

    def _tick(self, key: bytes, now: datetime, settled: datetime, draft: Draft) -> Done | None:
        file = draft.row(key)
        if file is None:
            return None
        due = wakes_at(file.state)
        return changed(_decided(draft, file, Tick(at=now, settled=settled)), due=due)


def _check_id(name: Any) -> None:
    """Refuse what cannot be an id or code, before it is looked up or stored."""
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_ID or not name.isprintable():
        raise InvalidValue(f"an id or code has 1 to {LONGEST_ID} printable characters")


def _check_number(number: Any) -> None:
    if not isinstance(number, SubscriberNumber):
        raise InvalidValue("a number is a SubscriberNumber")


def _instant(value: Any) -> datetime:
    if not isinstance(value, datetime):
        raise InvalidValue("a question says when it was asked")
    return check_instant(value)


# --- tasks ----------------------------------------------------------------------------


def _on(key: bytes, command: Command) -> Submit:
    return Submit((key,), lambda draft: _decide_on(draft, key, command))


def _decide_on(draft: Draft, key: bytes, command: Command) -> Done | None:
    file = draft.row(key)
    return None if file is None else _decided(draft, file, command)


def _decided(draft: Draft, file: File, command: Command) -> Done:
    file, step = draft.apply(file, command)
    return Decided(file, step.effects, step.events)

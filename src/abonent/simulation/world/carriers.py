"""Operators, the router and the sender of codes, over links that do what the faults say.

Knows what each of them does when called, and what it sends later by itself. Refuses to know what a
messenger makes of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import EffectKind, NoticeKind
from abonent.errors import Misconfigured, Unavailable
from abonent.ports import (
    Answer,
    CodeMessage,
    GatewayFeatures,
    LateAnswer,
    Notice,
    Query,
    RecordEntry,
    Unrouted,
    WithdrawEntry,
)
from abonent.simulation.world.agenda import EPOCH
from abonent.simulation.world.ground import OPERATORS

if TYPE_CHECKING:
    from abonent.simulation.world.processes import Process
    from abonent.simulation.world.services import Surroundings

MICROSECOND: Final = timedelta(microseconds=1)
_FINAL: Final = (Outcome.HELD, Outcome.NOT_HELD, Outcome.UNDETERMINED, Outcome.NOT_OURS)


@define
class _Habit:
    """How an operator deals with one question: decided when it is first heard."""

    failures: int
    misconfigured: bool
    later: bool
    silent: bool
    outcome: Outcome
    told: bool = False


@define(eq=False)
class Carrier:
    """An operator: its subscribers are the ground's, its book holds what messengers had recorded.

    `said` is all that it ever answered to a question, `acknowledged` what it said was done.
    """

    id: str
    around: Surroundings
    book: dict[str, tuple[str, SubscriberNumber]] = field(
        factory=dict[str, tuple[str, SubscriberNumber]]
    )
    said: defaultdict[str, list[Outcome]] = field(factory=lambda: defaultdict(list))
    acknowledged: set[tuple[EffectKind, str]] = field(factory=set[tuple[EffectKind, str]])
    deaf_until: datetime = EPOCH
    """Until when it acknowledges nothing."""
    _withdrawn: set[str] = field(factory=set[str])
    _habits: dict[str, _Habit] = field(factory=dict[str, _Habit])
    _heard: Counter[object] = field(factory=Counter[object])
    _notices: int = 0

    def _draw(self, topic: str, number: SubscriberNumber | None) -> Random:
        self._heard[topic, number] += 1
        about = "" if number is None else number.e164
        return self.around.chance.of(self.id, topic, about, self._heard[topic, number])

    # questions

    def habit(self, query: Query) -> _Habit:
        """Decide, once, how a question is dealt with."""
        habit = self._habits.get(query.id)
        if habit is None:
            faults, draw = self.around.faults, self._draw("ask", query.number)
            outcome = self.around.ground.truth(self.id, query.number)
            if draw.random() < faults.answer_wrong:
                outcome = draw.choice(_FINAL)
            if draw.random() < faults.answer_undetermined:
                outcome = Outcome.UNDETERMINED
            refuses = draw.random() < faults.operator_misconfigured
            fails = refuses or draw.random() < faults.operator_unavailable
            habit = self._habits[query.id] = _Habit(
                failures=draw.choice((1, 2, 4, 30)) if fails else 0,
                misconfigured=refuses,
                later=draw.random() < faults.answer_later,
                silent=draw.random() < faults.answer_lost,
                outcome=outcome,
            )
        return habit

    def ask(self, query: Query, process: Process) -> Answer:
        """Answer, fail, or say that the answer comes later."""
        habit = self.habit(query)
        if habit.failures:
            habit.failures -= 1
            _fail(habit.misconfigured)
        if not habit.later and not habit.silent:
            self.said[query.id].append(habit.outcome)
            return Answer(outcome=habit.outcome)
        if not habit.told:
            habit.told = True
            if not habit.silent:
                self._answer_later(query, habit.outcome, process)
        return Answer(outcome=Outcome.LATER, opaque=b"later")

    def _answer_later(self, query: Query, outcome: Outcome, process: Process) -> None:
        faults, draw = self.around.faults, self._draw("later", query.number)
        wait = timedelta(seconds=draw.choice((3, 40, 400, 1100, 1300, 5000)) * draw.random())
        at = self.around.agenda.now + wait
        if draw.random() < faults.answer_on_the_edge:
            at = query.due - process.clock.offset + draw.choice((timedelta(0), MICROSECOND))
        self._send_answer(query, outcome, at, process)
        if draw.random() < faults.answer_doubled:
            self._send_answer(query, outcome, at + draw.random() * wait, process)
        if draw.random() < faults.answer_contradicted:
            other = draw.choice([each for each in _FINAL if each is not outcome])
            self._send_answer(query, other, at + draw.random() * wait, process)
        if draw.random() < faults.answer_misattributed:
            another = draw.choice([each for each in OPERATORS if each != self.id])
            wrong = LateAnswer(query_id=query.id, operator=another, outcome=outcome)
            early = self.around.agenda.now + draw.random() * wait
            self.around.deliver(process.service, wrong, early, process)

    def _send_answer(self, query: Query, outcome: Outcome, at: datetime, process: Process) -> None:
        self.said[query.id].append(outcome)
        late = LateAnswer(query_id=query.id, operator=self.id, outcome=outcome)
        self.around.deliver(process.service, late, at, process)

    def recover(self) -> None:
        """Be in reach from now on, for questions that failed before too."""
        for habit in self._habits.values():
            habit.failures = 0

    # records

    def acknowledge(self, entry: RecordEntry | WithdrawEntry) -> None:
        """Record or withdraw, or fail."""
        recording = isinstance(entry, RecordEntry)
        if self.around.agenda.now < self.deaf_until:
            _fail(misconfigured=False)
        draw = self._draw("record" if recording else "withdraw", None)
        if draw.random() < self.around.faults.operator_unavailable:
            _fail(misconfigured=draw.random() < self.around.faults.operator_misconfigured)
        if isinstance(entry, WithdrawEntry):
            self._withdrawn.add(entry.code)
            self.book.pop(entry.code, None)
        elif entry.code in self._withdrawn:
            self.around.watch.saw("a record that its withdrawal overtook")
        else:
            self.book[entry.code] = (entry.messenger, entry.number)
        kind = EffectKind.RECORD if recording else EffectKind.WITHDRAW
        self.acknowledged.add((kind, entry.code))

    # notices

    def tell(self, kind: NoticeKind, number: SubscriberNumber, happened_at: datetime) -> None:
        """Give every messenger notice, within the statutory day or so."""
        self._notices += 1
        faults, draw = self.around.faults, self._draw("notice", number)
        wait = timedelta(seconds=draw.choice((5, 60, 900, 3600)) * draw.random())
        if draw.random() < faults.notice_delayed:
            wait = timedelta(hours=30 * draw.random())
        speaker = self.id
        if draw.random() < faults.notice_misattributed:
            speaker = draw.choice([each for each in OPERATORS if each != self.id])
        notice = Notice(
            id=f"{self.id}-{self._notices}",
            operator=speaker,
            kind=kind,
            number=number,
            happened_at=None if draw.random() < faults.notice_undated else happened_at,
        )
        for service in self.around.services:
            at = self.around.agenda.now + wait
            if draw.random() < faults.notice_lost:
                at += timedelta(hours=6 * draw.random())
            self.around.deliver(service, notice, at)
            if draw.random() < faults.notice_doubled:
                self.around.deliver(service, notice, at + timedelta(hours=draw.random()))


def _fail(misconfigured: bool) -> None:
    if misconfigured:
        raise Misconfigured("this operator refuses the credentials")
    raise Unavailable("this operator is out of reach")


@frozen
class Link:
    """One process's `OperatorGateway` to a carrier."""

    carrier: Carrier
    process: Process
    features: GatewayFeatures
    test_double = True

    def ask(self, query: Query) -> Answer:
        """Ask the carrier."""
        ask = self.carrier.ask
        return self.process.cross(
            EffectKind.ASK_OPERATOR, query.id, lambda: ask(query, self.process)
        )

    def record(self, entry: RecordEntry) -> None:
        """Have the carrier record."""
        acknowledge = self.carrier.acknowledge
        self.process.cross(EffectKind.RECORD, entry.id, lambda: acknowledge(entry))

    def withdraw(self, entry: WithdrawEntry) -> None:
        """Have the carrier withdraw."""
        acknowledge = self.carrier.acknowledge
        self.process.cross(EffectKind.WITHDRAW, entry.id, lambda: acknowledge(entry))


@define(eq=False)
class Registry:
    """A `NumberRouter`: what is known of ported numbers, which may be old news."""

    around: Surroundings
    test_double = True
    _asked: int = 0

    def serving(self, number: SubscriberNumber) -> str | Unrouted:
        """Name the operator that serves a number, as far as is known here."""
        self._asked += 1
        faults, draw = self.around.faults, self.around.chance.of("router", number.e164, self._asked)
        if draw.random() < faults.router_unavailable:
            if draw.random() < 0.5:
                self.around.watch.routed(number, None)
                return Unrouted.UNKNOWN_RANGE
            self.around.watch.call.unreached = True
            raise Unavailable("the registry is out of reach")
        stale = draw.random() < faults.router_stale
        ground = self.around.ground
        operator = ground.homes[number] if stale else ground.serving(number)
        self.around.watch.routed(number, operator)
        return operator


@frozen
class Sms:
    """One process's `CodeSender`: messages to phones."""

    process: Process
    test_double = True

    def send(self, message: CodeMessage) -> None:
        """Take a code for delivery."""
        arrive = self.process.service.around.arrive
        service = self.process.service
        self.process.cross(EffectKind.SEND_CODE, message.id, lambda: arrive(service, message))

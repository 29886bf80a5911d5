"""Histories made by hand, of three operators of which one is late."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count

from attrs import evolve

from abonent import (
    Agreement,
    DeclaredUser,
    Identifier,
    LateAnswer,
    MemoryKeys,
    MemoryStorage,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    OneTimeCodes,
    Outcome,
    Policy,
    Rules,
    SubscriberNumber,
)
from abonent.core.rules import MOSCOW
from abonent.ports import Storage
from abonent.simulation import (
    Reply,
    SimulatedClock,
    SimulatedOperator,
    SimulatedRouter,
    SimulatedSender,
)

START = datetime(2026, 10, 1, tzinfo=MOSCOW).astimezone(UTC)
END = datetime(2027, 1, 1, tzinfo=MOSCOW).astimezone(UTC)
OPERATORS = ("alpha", "beta", "gamma")
LATE = "beta"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Story:
    """An identifier with three operators, a clock, and what users and operators do."""

    def __init__(
        self,
        *,
        kind: MessengerKind = MessengerKind.FOREIGN,
        start: datetime = START,
        storage: Storage | None = None,
        agreements: list[Agreement] | None = None,
        policy: Policy | None = None,
        rules: Rules | None = None,
        gateways: tuple[str, ...] = OPERATORS,
    ) -> None:
        self.clock = SimulatedClock(start)
        self.operators = {each: SimulatedOperator(each) for each in gateways}
        self.router = SimulatedRouter("alpha")
        self.sender = SimulatedSender()
        self.numbers: dict[str, SubscriberNumber] = {}
        self.serving: dict[str, str] = {}
        self.codes: set[str] = set()
        self.keys = MemoryKeys.random()
        self._fresh = count(1)
        if agreements is None:
            agreements = [agreement(each, start=start - 90 * DAY) for each in gateways]
        self.storage = MemoryStorage() if storage is None else storage
        self.identifier = Identifier(
            messenger=Messenger(id="m", kind=kind),
            storage=self.storage,
            keys=self.keys,
            rules=rules,
            possession=OneTimeCodes(self.sender, prompt=True),
            agreements=agreements,
            gateways=self.operators,
            router=self.router,
            # Without the thread that flushes: other tests fork from this process.
            policy=evolve(policy or Policy(), flush_within=None),
            clock=self.clock,
            unsafe_test_doubles=True,
        )

    def wait(self, by: timedelta) -> None:
        """Time passes, and a sweep settles what is due."""
        self.clock.advance(by)
        self.identifier.sweep()

    def fresh(self) -> SubscriberNumber:
        """A number that nobody has had before."""
        return SubscriberNumber(f"+79{16_000_000_0 + 1_234_567 * next(self._fresh):09d}")

    def claimed(self, user: str, operator: str) -> None:
        """A user claims a number that an operator serves: the one they had, or a fresh one."""
        number = self.numbers.setdefault(user, self.fresh())
        self.serving[user] = operator
        self.router.port(number, operator)
        self.identifier.claim(user, number.e164)

    def asked(self, user: str, operator: str, reply: Reply = Reply.HELD) -> None:
        """A user claims a number that an operator serves, and proves it; the operator replies."""
        self.claimed(user, operator)
        if operator in self.operators:
            self.operators[operator].script(reply)
        code = self.sender.code_for(self.numbers[user])
        self.codes.add(code.digits)
        self.identifier.prove(user, code)
        for each in self.operators.values():
            each._script.clear()  # a domestic messenger asks nobody

    def taken_over(self, user: str, operator: str | None) -> None:
        """The messenger had this user before."""
        number = self.numbers[user] = self.fresh()
        row = DeclaredUser(
            user_id=user, number=number.e164, proven_at=self.clock.now(), operator=operator
        )
        self.identifier.import_identified([row])

    def answer(self, user: str, outcome: Outcome = Outcome.HELD) -> None:
        """The operator answers the last question about a user now."""
        operator = self.operators[self.serving[user]]
        query = next(
            each for each in reversed(operator.questions) if each.number == self.numbers[user]
        )
        self.answer_to(query.id, operator.id, outcome)

    def answer_to(self, query: str, operator: str, outcome: Outcome = Outcome.HELD) -> None:
        """An operator answers a question now."""
        late = LateAnswer(query_id=query, operator=operator, outcome=outcome)
        self.identifier.receive(late)

    def answered_after(self, user: str, operator: str, wait: timedelta) -> None:
        """A user is asked about, and the answer comes so much later."""
        self.asked(user, operator, Reply.LATER)
        self.wait(wait)
        self.answer(user)

    def notice(
        self,
        user: str,
        kind: NoticeKind = NoticeKind.TERMINATED,
        *,
        ago: timedelta | None = timedelta(0),
        operator: str | None = None,
        name: str | None = None,
        received: datetime | None = None,
    ) -> None:
        """The operator gives notice of what happened so long ago, or does not say when."""
        now = self.clock.now()
        self.identifier.receive(
            Notice(
                id=name or f"{user}-{now.timestamp():.6f}",
                operator=operator or self.serving[user],
                kind=kind,
                number=self.numbers[user],
                happened_at=None if ago is None else now - ago,
            ),
            received_at=received,
        )


def agreement(
    operator: str,
    *,
    start: datetime = START - 90 * DAY,
    ends: datetime | None = None,
    name: str | None = None,
) -> Agreement:
    return Agreement(
        id=name or f"with-{operator}", messenger="m", operator=operator, starts=start, ends=ends
    )


@contextmanager
def story(**about) -> Iterator[Story]:
    made = Story(**about)
    try:
        yield made
    finally:
        made.identifier.close()


def quarter(told: Story, *, seed: int = 7, users: int = 120) -> None:
    """A quarter in which beta is late: with answers now and then, and with most notices."""
    draw = random.Random(seed)
    gap = (END - START - 2 * DAY) / (users + 1)
    for place in range(users):
        told.wait(gap * draw.uniform(0.5, 1.0))
        user, operator = f"user-{place}", draw.choice(OPERATORS)
        luck = draw.random()
        if operator == LATE and luck < 0.25:
            told.answered_after(user, operator, timedelta(minutes=draw.uniform(25, 200)))
        elif operator == LATE and luck < 0.35:
            told.asked(user, operator, Reply.SILENCE)
        elif luck < 0.9:
            told.answered_after(user, operator, timedelta(seconds=draw.uniform(0.5, 600)))
        else:
            told.asked(user, operator, draw.choice((Reply.NOT_HELD, Reply.UNDETERMINED)))
        if not told.identifier.gate(user):
            continue
        fate = draw.random()
        slow = timedelta(hours=draw.uniform(26, 80) if operator == LATE else draw.uniform(0.1, 20))
        if fate < 0.25:
            told.wait(slow + HOUR)
            told.notice(user, NoticeKind.TERMINATED, ago=slow)
        elif fate < 0.4:
            told.wait(4 * HOUR)
            told.notice(user, NoticeKind.PORTED, ago=3 * HOUR)
            told.wait(timedelta(minutes=draw.uniform(1, 40)))
            told.asked(user, draw.choice(OPERATORS))
        elif fate < 0.45:
            told.notice(user, NoticeKind.REASSIGNED, ago=None)
        elif fate < 0.5:
            told.identifier.forget(user)
    told.clock.set(END - HOUR)
    told.identifier.sweep()

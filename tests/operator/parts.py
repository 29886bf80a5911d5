"""An operator for tests: a desk among doubles, in either shell, and what it keeps, laid open."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from abonent import (
    Agreement,
    Alarm,
    LateAnswer,
    MemoryKeys,
    MemoryStorage,
    Notice,
    NoticeKind,
    Operator,
    Outcome,
    SubscriberNumber,
)
from abonent.engine.observing import Observed
from abonent.operator import AsyncOperatorDesk, DeskPolicy, Holding, Movement, OperatorDesk
from abonent.operator.core.states import State
from abonent.operator.records import decode_entry
from abonent.ports import (
    GatewayFeatures,
    Keys,
    Query,
    RecordEntry,
    Storage,
    WithdrawEntry,
)
from abonent.simulation import SimulatedClock

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
START = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
X, Y = SubscriberNumber("+79161234567"), SubscriberNumber("+79262345678")
CODE, CODE_2 = "kD3vXo9rQ1-mYw_7ZtB2Ng", "Zr0aQ7mVb5K2xT8uYp1WcA"
ROOTS = {"k1": bytes(range(32)), "k2": bytes(range(100, 132))}
KEY_1 = MemoryKeys(Keys(current="k1", roots={"k1": ROOTS["k1"]}))
BOTH_1 = MemoryKeys(Keys(current="k1", roots=ROOTS))
BOTH_2 = MemoryKeys(Keys(current="k2", roots=ROOTS))
MTS = Operator(id="mts")


def agreement(
    messenger: str,
    *,
    starts: datetime = datetime(2020, 1, 1, tzinfo=UTC),
    ends: datetime | None = None,
) -> Agreement:
    name = f"with-{messenger}"
    return Agreement(id=name, messenger=messenger, operator="mts", starts=starts, ends=ends)


COVERED = (agreement("m"), agreement("n"))


class Base:
    """A subscriber base: first what was queued, then what it says of a number, else NOT_HELD."""

    test_double = True

    def __init__(self, *, prompt: bool = True, concurrency: int = 8) -> None:
        self.features = GatewayFeatures(prompt=prompt, concurrency=concurrency)
        self.says: dict[SubscriberNumber, Holding] = {}
        self.script: deque[Holding | BaseException | Callable[[], object]] = deque()
        self.asked: list[SubscriberNumber] = []

    def hold(self, number: SubscriberNumber = X, since: datetime | None = None) -> None:
        self.says[number] = Holding(outcome=Outcome.HELD, since=since)

    def holds(self, number: SubscriberNumber) -> Holding:
        self.asked.append(number)
        said: Any = self.script.popleft() if self.script else self.says.get(number)
        if isinstance(said, BaseException):
            raise said
        if callable(said):
            said = said()
        return said or Holding(outcome=Outcome.NOT_HELD)


class Carrier:
    """Takes notices and answers down, or fails: `faults` by messenger, used up one by one."""

    test_double = True

    def __init__(self, *, prompt: bool = True, concurrency: int = 8) -> None:
        self.features = GatewayFeatures(prompt=prompt, concurrency=concurrency)
        self.told: list[tuple[str, Notice]] = []
        self.answers: list[tuple[str, LateAnswer]] = []
        self.tries: list[tuple[str, str]] = []
        self.faults: dict[str, deque[BaseException]] = {}
        self.dead: dict[str, BaseException] = {}

    def fail(self, messenger: str, *faults: BaseException) -> None:
        self.faults.setdefault(messenger, deque()).extend(faults)

    def _reach(self, messenger: str, name: str) -> None:
        self.tries.append((messenger, name))
        faults = self.faults.get(messenger)
        if faults:
            raise faults.popleft()
        if messenger in self.dead:
            raise self.dead[messenger]

    def deliver(self, messenger: str, notice: Notice) -> None:
        self._reach(messenger, notice.id)
        self.told.append((messenger, notice))

    def deliver_answer(self, messenger: str, answer: LateAnswer) -> None:
        self._reach(messenger, answer.query_id)
        self.answers.append((messenger, answer))


class Awaited:
    """A base or carrier that has to be awaited."""

    test_double = True

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.features = inner.features

    async def holds(self, number: SubscriberNumber) -> Holding:
        return self.inner.holds(number)

    async def deliver(self, messenger: str, notice: Notice) -> None:
        self.inner.deliver(messenger, notice)

    async def deliver_answer(self, messenger: str, answer: LateAnswer) -> None:
        self.inner.deliver_answer(messenger, answer)


class Shell:
    """Both shells with one face: what has to be awaited is awaited in one event loop."""

    def __init__(self, desk: OperatorDesk | AsyncOperatorDesk) -> None:
        self.inner = desk
        self._runner = asyncio.Runner() if isinstance(desk, AsyncOperatorDesk) else None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            if self._runner is None:
                return answer
            if inspect.isasyncgen(answer):
                return self._runner.run(_collected(answer))
            return self._runner.run(answer) if inspect.iscoroutine(answer) else answer

        return call

    def close(self) -> None:
        try:
            self.__getattr__("close")()
        finally:
            if self._runner is not None:
                self._runner.close()


async def _collected(items: Any) -> list[Any]:
    return [each async for each in items]


class Desk:
    """A desk of `mts` with two covered messengers, `m` and `n`."""

    def __init__(
        self,
        shell: type[OperatorDesk] | type[AsyncOperatorDesk] = OperatorDesk,
        storage: Storage | None = None,
        *,
        agreements: Iterable[Agreement] = COVERED,
        base: Any = None,
        carrier: Any = None,
        clock: SimulatedClock | None = None,
        policy: DeskPolicy | None = None,
        keys: Any = KEY_1,
        rules: Any = None,
        start: datetime = START,
        awaited: bool = True,
    ) -> None:
        self.storage = MemoryStorage() if storage is None else storage
        self.clock = clock or SimulatedClock(start)
        self.base = Base() if base is None else base
        self.carrier = Carrier() if carrier is None else carrier
        self.alarms: list[Alarm] = []
        self.observed: list[Observed] = []
        awaits = awaited and shell is AsyncOperatorDesk
        self.desk = Shell(
            shell(
                operator=MTS,
                storage=self.storage,
                keys=keys,
                base=Awaited(self.base) if awaits else self.base,
                carrier=Awaited(self.carrier) if awaits else self.carrier,
                agreements=agreements,
                rules=rules,
                policy=policy,
                clock=self.clock,
                alarm=self.alarms.append,
                observer=self.observed.append,
                unsafe_test_doubles=True,
            )
        )
        self._movements = 0

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *_: object) -> None:
        self.desk.close()

    @property
    def books(self) -> Any:
        return self.desk.inner._books

    # what messengers do

    def query(
        self, messenger: str = "m", number: SubscriberNumber = X, *, name: str = "query-1"
    ) -> Query:
        now = self.clock.now()
        return Query(
            id=name, messenger=messenger, number=number, asked_at=now, due=now + 20 * MINUTE
        )

    def ask(
        self, messenger: str = "m", number: SubscriberNumber = X, *, name: str = "query-1"
    ) -> Outcome:
        return self.desk.ask(self.query(messenger, number, name=name)).outcome

    def record(self, messenger: str = "m", number: SubscriberNumber = X, code: str = CODE) -> None:
        entry = RecordEntry(id=f"{code}.record", messenger=messenger, number=number, code=code)
        assert self.desk.record(entry) is None

    def withdraw(self, messenger: str = "m", code: str = CODE) -> None:
        entry = WithdrawEntry(id=f"{code}.withdraw", messenger=messenger, code=code)
        assert self.desk.withdraw(entry) is None

    def identify(
        self, messenger: str = "m", number: SubscriberNumber = X, code: str = CODE
    ) -> None:
        """Ask, hear that the number is held, and record."""
        if number not in self.base.says:
            self.base.hold(number)
        assert self.ask(messenger, number, name=f"query of {code}") is Outcome.HELD
        self.record(messenger, number, code)

    # what the operator's systems and time do

    def move(
        self,
        kind: NoticeKind = NoticeKind.TERMINATED,
        number: SubscriberNumber = X,
        *,
        at: datetime | None = None,
        name: str | None = None,
    ) -> int:
        self._movements += 1
        owed = self.desk.subscription_moved(
            Movement(
                id=name or f"movement-{self._movements}",
                number=number,
                kind=kind,
                happened_at=at or self.clock.now(),
            )
        )
        assert isinstance(owed, int)
        return owed

    def sweep(self, after: timedelta = 2 * SECOND) -> Any:
        self.clock.advance(after)
        return self.desk.sweep()

    # what is kept

    def states(self) -> list[State]:
        return [each.state for each in self.books.pages()]

    def kept(self, kind: type[Any]) -> list[Any]:
        return [each for each in self.states() if isinstance(each, kind)]

    def events(self) -> list[str]:
        """The names of all events that the journal tells and that may be opened, in order."""
        keys = {file.row.subject_key for file in self.books.pages()}
        told: list[str] = []
        for entry in self.storage.journal(self.books.space, 0, 100_000):
            for key in keys:
                try:
                    body = self.books.keyring.open_entry(key, entry.number, entry.body)
                except Exception:
                    continue
                told += [type(each).__name__ for each in decode_entry(body)]
        return told

"""A messenger for tests: a real identifier among doubles, and what it keeps, laid open."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import ModuleType
from typing import Any

import attrs
from hypothesis import HealthCheck, settings
from msgspec import Struct

from abonent import (
    Agreement,
    Alarm,
    Identifier,
    MemoryStorage,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    Policy,
    SubscriberNumber,
)
from abonent.core.states import Aggregate
from abonent.keys import MemoryKeys
from abonent.ports import Entry, Keys, Record, Storage
from abonent.simulation import (
    SimulatedClock,
    SimulatedOperator,
    SimulatedRouter,
    SimulatedSender,
)

MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ANSWER_TIME = timedelta(minutes=20)
START = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
N1 = SubscriberNumber("+79161234567")
N2 = SubscriberNumber("+79035557788")
M, N = "mts", "beeline"
ROOT = bytes(range(100, 132))
KEYS = MemoryKeys(Keys(current="k1", roots={"k1": ROOT}))


def bounded(examples: int, steps: int = 50) -> settings:
    """Settings of one property; the same examples every time where `CI` is set."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=bool(os.environ.get("CI")),
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


def agreement(
    operator: str,
    starts: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    ends: datetime | None = None,
    *,
    name: str | None = None,
    messenger: str = "m",
) -> Agreement:
    return Agreement(
        id=name or f"with-{operator}",
        messenger=messenger,
        operator=operator,
        starts=starts,
        ends=ends,
    )


class World:
    """An identifier over a store, with two operators; what it has kept can be read."""

    def __init__(
        self,
        storage: Storage | None = None,
        *,
        kind: MessengerKind = MessengerKind.FOREIGN,
        policy: Policy | None = None,
        keys: Any = KEYS,
        clock: SimulatedClock | None = None,
        sender: Any = None,
        possession: Any = None,
        operators: Mapping[str, Any] | None = None,
        router: Any = None,
        agreements: Iterable[Agreement] | None = None,
        messenger: str = "m",
        prompt: bool = True,
        rules: Any = None,
    ) -> None:
        self.storage = MemoryStorage() if storage is None else storage
        self.clock = clock or SimulatedClock(START)
        self.sender = sender or SimulatedSender()
        self.operators = operators or {M: SimulatedOperator(M), N: SimulatedOperator(N)}
        self.router = router or SimulatedRouter(M)
        self.alarms: list[Alarm] = []
        if agreements is None:
            agreements = [agreement(each, messenger=messenger) for each in self.operators]
        self.space = messenger
        self.identifier = Identifier(
            messenger=Messenger(id=messenger, kind=kind),
            storage=self.storage,
            keys=keys,
            possession=possession or OneTimeCodes(self.sender, prompt=prompt),
            agreements=agreements,
            gateways=self.operators,
            router=self.router,
            policy=policy,
            clock=self.clock,
            alarm=self.alarms.append,
            rules=rules,
            unsafe_test_doubles=True,
        )

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.identifier.close()

    @property
    def keyring(self) -> Any:
        return self.identifier._engine.archive.keyring

    def kept(self, user: str) -> Aggregate | None:
        """What is committed about a user, opened."""
        held = self.identifier._engine.archive.user(user)
        return None if held is None else held.aggregate

    def rows(self) -> Iterator[Aggregate]:
        for held in self.identifier._feed._rows():
            yield held.aggregate

    def failures(self, user: str, number: SubscriberNumber = N1) -> int:
        """How many failed tries are counted for this user and number."""
        kept = self.kept(user)
        if kept is None:
            return 0
        tags = self.keyring.number_tags(number)
        return sum(len(instants) for tag, instants in kept.failures if tag in tags)

    def identify(self, user: str, number: SubscriberNumber = N1) -> Any:
        self.identifier.claim(user, number.e164)
        return self.identifier.prove(user, self.sender.code_for(number))

    def wrong(self, number: SubscriberNumber = N1) -> str:
        return other_than(self.sender.code_for(number).digits)

    def events(self, user: str) -> list[str]:
        return [type(each.event).__name__ for each in self.identifier.history(user)]

    def flush(self) -> None:
        """Settle the outcomes that nobody waited for."""
        self.identifier._loop.commits.flush()

    def everything(self) -> tuple[list[tuple[bytes, Record]], list[Entry]]:
        """All records and the whole journal, as stored."""
        self.flush()
        return contents(self.storage, self.space)


def contents(storage: Storage, space: str = "m") -> tuple[list[tuple[bytes, Record]], list[Entry]]:
    return storage.scan(space, b"", 100_000), storage.journal(space, 0, 100_000)


def other_than(digits: str) -> str:
    """A well-formed code that is not this one."""
    return f"{(int(digits) + 1) % 10 ** len(digits):0{len(digits)}d}"


def parts_of(value: Any, seen: set[int] | None = None) -> Iterator[Any]:
    """A value and everything that can be reached from it through fields and containers."""
    seen = set() if seen is None else seen
    if isinstance(value, ModuleType | type | Enum) or id(value) in seen:
        return
    seen.add(id(value))
    yield value
    inner: Iterable[Any] = ()
    if isinstance(value, Mapping):
        inner = [*value.keys(), *value.values()]
    elif isinstance(value, list | tuple | set | frozenset):
        inner = list(value)
    elif names := field_names(value):
        inner = [getattr(value, name) for name in names]
    elif isinstance(value, BaseException):
        inner = [value.args, vars(value)]
    elif hasattr(value, "__dict__"):
        inner = list(vars(value).values())
    for each in inner:
        yield from parts_of(each, seen)


def field_names(value: Any) -> tuple[str, ...]:
    """The names of a record's fields, however the record is made."""
    if isinstance(value, Struct):
        return value.__struct_fields__
    if isinstance(value, SubscriberNumber):
        return ("e164",)
    if attrs.has(type(value)):
        return tuple(each.name for each in attrs.fields(type(value)))
    return ()

"""How many identifications a second: claim, possession proven and operator asked, passed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from abonent import (
    Agreement,
    Identifier,
    MemoryKeys,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    Outcome,
    SubscriberNumber,
)
from abonent.ports import (
    Answer,
    Clock,
    CodeMessage,
    GatewayFeatures,
    OneTimeCode,
    Query,
    RecordEntry,
    Storage,
    WithdrawEntry,
)


class PromptOperator:
    """Answers at once, so that only the library is measured."""

    features = GatewayFeatures(prompt=True)

    def ask(self, query: Query) -> Answer:
        """Every number is held."""
        return Answer(outcome=Outcome.HELD)

    def record(self, entry: RecordEntry) -> None:
        """Recorded."""

    def withdraw(self, entry: WithdrawEntry) -> None:
        """Withdrawn."""


class KeptCodes:
    """A sender that keeps the last code of each number."""

    def __init__(self) -> None:
        self.codes: dict[SubscriberNumber, OneTimeCode] = {}

    def send(self, message: CodeMessage) -> None:
        """Keep it."""
        self.codes[message.number] = message.code


class OneOperator:
    """Every number is served by the same operator."""

    def serving(self, number: SubscriberNumber) -> str:
        """Name it."""
        return "operator"


class Service:
    """A foreign messenger on an open store, which is closed with it."""

    def __init__(self, storage: Storage, *, clock: Clock | None = None) -> None:
        self.sender = KeptCodes()
        self.identifier = Identifier(
            messenger=Messenger(id="messenger", kind=MessengerKind.FOREIGN),
            storage=storage,
            keys=MemoryKeys.random(),
            possession=OneTimeCodes(self.sender, prompt=True),
            agreements=[
                Agreement(
                    id="agreement",
                    messenger="messenger",
                    operator="operator",
                    starts=datetime(2022, 3, 1, tzinfo=UTC),
                )
            ],
            gateways={"operator": PromptOperator()},
            router=OneOperator(),
            clock=clock,
            unsafe_test_doubles=clock is not None,
        )

    def identify(self, first: int, count: int) -> None:
        """Identify users, one after the other."""
        for each in range(first, first + count):
            number = f"+7916{each:07d}"
            self.identifier.claim(f"user-{each}", number)
            code = self.sender.codes.pop(SubscriberNumber(number))
            standing = self.identifier.prove(f"user-{each}", code)
            if not standing.gate:
                raise RuntimeError(f"not identified: {standing.status}")

    def claim(self, first: int, count: int, callers: int) -> None:
        """Claim numbers that nobody will prove to hold."""

        def one(each: int) -> None:
            self.identifier.claim(f"user-{each}", f"+7916{each:07d}")

        with ThreadPoolExecutor(callers) as pool:
            list(pool.map(one, range(first, first + count)))
        self.sender.codes.clear()

    def close(self) -> None:
        """Close it."""
        self.identifier.close()


def gates_per_second(storage: Storage, users: int, asked: int) -> tuple[float, list[bytes]]:
    """The gate from the store: answers a second, and keys for a floor of the same size."""
    service = Service(storage)
    service.identify(0, users)
    names = [f"user-{each}" for each in range(users)]
    gate = service.identifier.gate
    started = time.perf_counter()
    for turn in range(asked):
        if not gate(names[turn % users]).open:
            raise RuntimeError("an identified user's gate is closed")
    taken = time.perf_counter() - started
    service.close()
    return asked / taken, [name.encode().ljust(16, b"-") for name in names]


def gate_ns(storage: Storage, users: int, repeats: int) -> float:
    """The gate from memory: nanoseconds a call, the least of the repeats, loop included."""
    service = Service(storage)
    service.identify(0, users)
    names = [f"user-{each}" for each in range(users)]
    best = float("inf")
    with service.identifier.gate_cache() as gates:
        if not all(gates.gate(name).open for name in names):
            raise RuntimeError("an identified user's gate is closed")
        gate = gates.gate
        for _ in range(repeats):
            started = time.perf_counter_ns()
            for name in names:
                gate(name)
            best = min(best, (time.perf_counter_ns() - started) / users)
        if not all(gates.kept(name) for name in names):
            raise RuntimeError("a gate was not in memory")
    service.close()
    return best

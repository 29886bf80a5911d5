"""How many identifications a second: claim, possession proven and operator asked, passed."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from abonent import (
    Agreement,
    Identifier,
    MemoryKeys,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    Outcome,
    SqliteStorage,
    SubscriberNumber,
)
from abonent.ports import (
    Answer,
    CodeMessage,
    GatewayFeatures,
    OneTimeCode,
    Query,
    RecordEntry,
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
    """A foreign messenger on one SQLite file."""

    def __init__(self, path: Path) -> None:
        self.sender = KeptCodes()
        self.identifier = Identifier(
            messenger=Messenger(id="messenger", kind=MessengerKind.FOREIGN),
            storage=SqliteStorage(path),
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

    def close(self) -> None:
        """Close it."""
        self.identifier.close()


def single(folder: Path, count: int) -> float:
    """One caller: identifications a second."""
    service = Service(folder / "single.db")
    service.identify(9_000_000, 20)
    started = time.perf_counter()
    service.identify(0, count)
    taken = time.perf_counter() - started
    service.close()
    return count / taken


def grouped(folder: Path, count: int, callers: int) -> float:
    """Concurrent callers: identifications a second."""
    service = Service(folder / "grouped.db")
    service.identify(9_000_000, 20)
    share = count // callers
    threads = [
        threading.Thread(target=service.identify, args=(caller * share, share))
        for caller in range(callers)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = time.perf_counter() - started
    service.close()
    return share * callers / taken


def gates_per_second(folder: Path, users: int, asked: int) -> tuple[float, list[bytes]]:
    """The gate from the store: answers a second, and keys for a floor of the same size."""
    service = Service(folder / "gate.db")
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

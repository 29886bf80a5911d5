"""A messenger's world for the scenarios: an identifier in either shell, over either store.

Knows how to say what happens in the domain's words. Refuses to decide: only the identifier does.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from abonent import (
    AbonentError,
    Agreement,
    Alarm,
    AsyncIdentifier,
    Gate,
    Identifier,
    LateAnswer,
    MemoryKeys,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    OneTimeCodes,
    Outcome,
    Policy,
    Received,
    Rules,
    Standing,
    SubscriberNumber,
    SweepReport,
    parse_number,
)
from abonent.core.events import Event
from abonent.core.states import Aggregate
from abonent.errors import StoreUnavailable
from abonent.ports import (
    Answer,
    CodeMessage,
    Entry,
    Keys,
    Query,
    Record,
    Storage,
    StorageFeatures,
    Unit,
)
from abonent.records import decode_entry
from abonent.sealing import subject_of
from abonent.simulation import (
    Reply,
    SimulatedClock,
    SimulatedOperator,
    SimulatedRouter,
    SimulatedSender,
)

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

START = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
X, Y, Z = "+79161234567", "+79262345678", "+79363456789"
M, N = "mts", "beeline"
ROOTS = {"k1": bytes(range(32)), "k2": bytes(range(100, 132))}
KEY_1 = MemoryKeys(Keys(current="k1", roots={"k1": ROOTS["k1"]}))
KEY_2 = MemoryKeys(Keys(current="k2", roots=ROOTS))

E = TypeVar("E", bound=Event)


class Crash(BaseException):
    """The process dies here: no `except Exception` may live through it."""


class Link:
    """The way to a store. It can be cut, and somebody may step in before a commit."""

    def __init__(self, store: Storage) -> None:
        self.store = store
        self.cut = False
        self.units: list[Unit] = []
        self.before_commit: Callable[[], object] | None = None

    def _reached(self) -> Storage:
        if self.cut:
            raise StoreUnavailable("the link to the store is cut")
        return self.store

    @property
    def features(self) -> StorageFeatures:
        return self.store.features

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        return self._reached().load(space, keys)

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        step_in, self.before_commit = self.before_commit, None
        if step_in is not None:
            step_in()
        applied = self._reached().commit(units)
        self.units += [unit for unit, kept in zip(units, applied, strict=True) if kept]
        return applied

    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        return self._reached().find(space, aliases)

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        return self._reached().due(space, now, limit, lease)

    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        return self._reached().journal(space, after, limit)

    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        return self._reached().scan(space, after, limit)

    def close(self) -> None:
        """The world closes its stores itself, after a last look at them."""


class Carrier(SimulatedOperator):
    """An operator that takes its time; `then` happens once, after its next answer was given."""

    def __init__(self, operator_id: str, clock: SimulatedClock) -> None:
        super().__init__(operator_id)
        self.clock = clock
        self.takes: deque[timedelta] = deque()
        self.then: Callable[[], object] | None = None

    def ask(self, query: Query) -> Answer:
        if self.takes:
            self.clock.advance(self.takes.popleft())
        answer = super().ask(query)
        then, self.then = self.then, None
        if then is not None:
            then()
        return answer


class Sender(SimulatedSender):
    """A sender that remembers every attempt; `then` happens once, before the next is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts: list[CodeMessage] = []
        self.then: Callable[[], object] | None = None

    def send(self, message: CodeMessage) -> None:
        self.attempts.append(message)
        then, self.then = self.then, None
        if then is not None:
            then()
        super().send(message)


class Shell:
    """Both shells with one face: what has to be awaited is awaited in one event loop."""

    def __init__(self, identifier: Identifier | AsyncIdentifier) -> None:
        self.inner = identifier
        self._runner = asyncio.Runner() if isinstance(identifier, AsyncIdentifier) else None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            if self._runner is None or not inspect.isawaitable(answer):
                return answer
            return self._runner.run(_awaited(answer))

        return call

    def close(self) -> None:
        try:
            with suppress(AbonentError):  # who crashed, or lost the store, cannot settle any more
                self.__getattr__("close")()
        finally:
            if self._runner is not None:
                self._runner.close()


async def _awaited(answer: Any) -> Any:
    return await answer


def die() -> None:
    raise Crash


def agreement(
    operator: str,
    *,
    name: str | None = None,
    starts: datetime = datetime(2020, 1, 1, tzinfo=UTC),
    ends: datetime | None = None,
) -> Agreement:
    return Agreement(
        id=name or f"with-{operator}",
        messenger="m",
        operator=operator,
        starts=starts,
        ends=ends,
    )


COVERED = (agreement(M), agreement(N))


class World:
    """One messenger, two operators (`M` serves every number until it is ported), and users."""

    def __init__(
        self,
        shell: type[Identifier] | type[AsyncIdentifier],
        open_store: Callable[[], Storage],
        *,
        kind: MessengerKind = MessengerKind.FOREIGN,
        agreements: Iterable[Agreement] = COVERED,
        policy: Policy | None = None,
        rules: Rules | None = None,
        start: datetime = START,
    ) -> None:
        self.clock = SimulatedClock(start)
        self.m, self.n = Carrier(M, self.clock), Carrier(N, self.clock)
        self.sender = Sender()
        self.router = SimulatedRouter(M)
        self.alarms: list[Alarm] = []
        self.numbers: set[SubscriberNumber] = set()
        self._claimed: dict[str, SubscriberNumber] = {}
        self._notices = 0
        self._shell, self._open_store = shell, open_store
        self._options = {
            "messenger": Messenger(id="m", kind=kind),
            "possession": OneTimeCodes(self.sender, prompt=True),
            "agreements": tuple(agreements),
            "gateways": {M: self.m, N: self.n},
            "router": self.router,
            "policy": policy,
            "rules": rules,
            "clock": self.clock,
            "alarm": self.alarms.append,
            "unsafe_test_doubles": True,
        }
        self._stores: list[Storage] = []
        self._shells: list[Shell] = []
        self.identifier, self.link = self.another()

    # processes

    def another(self, keys: MemoryKeys = KEY_1) -> tuple[Shell, Link]:
        """Another process over the same store."""
        store = self._open_store()
        link = Link(store)
        try:
            shell = Shell(self._shell(storage=link, keys=keys, **self._options))
        except AbonentError:
            store.close()
            raise
        self._stores.append(store)
        self._shells.append(shell)
        return shell, link

    def restart(self, keys: MemoryKeys = KEY_1) -> None:
        """The process is gone, with all it had in memory; a new one takes over."""
        self.link.cut = True
        self.identifier, self.link = self.another(keys)

    def close(self) -> None:
        for shell in self._shells:
            shell.close()
        for store in self._stores:
            store.close()

    # time

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def advance(self, by: timedelta) -> datetime:
        return self.clock.advance(by)

    def sweep(self) -> SweepReport:
        return self.identifier.sweep()

    def pass_time(self, total: timedelta, step: timedelta = SECOND) -> None:
        """Let time pass, with a sweep at every step."""
        end = self.now + total
        while self.now < end:
            self.clock.set(min(end, self.now + step))
            self.sweep()

    # users

    def claim(self, user: str, number: str = X) -> Standing:
        parsed = parse_number(number, regions=None).number
        self.numbers.add(parsed)
        standing: Standing = self.identifier.claim(user, number)
        self._claimed[user] = parsed
        return standing

    def right(self, user: str) -> str:
        """The code that was last sent for this user's claim."""
        return self.sender.code_for(self._claimed[user]).digits

    def prove(self, user: str, code: str | None = None) -> Standing:
        standing: Standing = self.identifier.prove(user, code or self.right(user))
        return standing

    def wrong(self, user: str, times: int = 1) -> Standing:
        """Guess wrong so many times, in a well-formed way."""
        right = self.right(user)
        for _ in range(times):
            standing = self.prove(user, f"{(int(right) + 1) % 10**6:06d}")
        return standing

    def fail(self, user: str, times: int) -> Standing:
        """Fail so many times in all, with a new code whenever one takes no more tries."""
        while times > 5:
            self.wrong(user, 5)
            self.advance(MINUTE)
            self.identifier.claim(user, self._claimed[user].e164)
            times -= 5
        return self.wrong(user, times)

    def identify(self, user: str, number: str = X) -> Standing:
        self.claim(user, number)
        return self.prove(user)

    def standing(self, user: str) -> Standing:
        standing: Standing = self.identifier.standing(user)
        return standing

    def gate(self, user: str) -> Gate:
        gate: Gate = self.identifier.gate(user)
        return gate

    # operators

    def notice(
        self,
        kind: NoticeKind,
        number: str = X,
        *,
        operator: str = M,
        name: str | None = None,
        happened_at: datetime | None = None,
    ) -> Received:
        self._notices += 1
        received: Received = self.identifier.receive(
            Notice(
                id=name or f"notice-{self._notices}",
                operator=operator,
                kind=kind,
                number=SubscriberNumber(number),
                happened_at=happened_at,
            )
        )
        return received

    def answer(
        self,
        outcome: Outcome = Outcome.HELD,
        *,
        to: Query | None = None,
        operator: str = M,
        received_at: datetime | None = None,
    ) -> Received:
        """A late answer; to the last question that `M` was asked, unless another is given."""
        query = to or self.m.questions[-1]
        item = LateAnswer(query_id=query.id, operator=operator, outcome=outcome)
        received: Received = self.identifier.receive(item, received_at=received_at)
        return received

    def answering(self, reply: Reply) -> None:
        """What both operators say from now on."""
        self.m.answer_with(reply)
        self.n.answer_with(reply)

    # what is on record

    def flush(self) -> None:
        """Settle the outcomes that nobody waited for."""
        self.identifier.inner._loop.commits.flush()

    def events(self, user: str) -> list[str]:
        self.flush()
        return [type(each.event).__name__ for each in self.identifier.history(user)]

    def happened(self, user: str, kind: type[E]) -> list[E]:
        self.flush()
        found = (each.event for each in self.identifier.history(user))
        return [event for event in found if isinstance(event, kind)]

    def changes(self, user: str) -> list[bool]:
        """How this user's gate changed, from the feed: True where it opened."""
        return [each.open for each in self.identifier.changes() if each.user_id == user]

    def kept(self, user: str) -> Aggregate:
        self.flush()
        held = self.identifier.inner._engine.archive.user(user)
        assert held is not None
        return held.aggregate

    def rows(self) -> int:
        """How many records of any kind the store holds."""
        self.flush()
        return len(self.link.scan("m", b"", 1000))

    def journal(self) -> list[Event]:
        """Every event in the journal that can still be opened, strangers' included."""
        self.flush()
        feed = self.identifier.inner._feed
        keyring = feed._archive.keyring
        keys = {each.subject: each.row.subject_key for each in feed._rows()}
        stranger = keyring.stranger_key()
        keys[subject_of(stranger)] = stranger
        found: list[Event] = []
        for entry in self.link.journal("m", 0, 10_000):
            if entry.subject in keys:
                body = keyring.open_entry(keys[entry.subject], entry.number, entry.body)
                found += decode_entry(body).events
        return found

    def secrets(self) -> set[str]:
        """What must never be found in plaintext: numbers, however cut, and codes."""
        numbers = {each.e164[2:] for each in self.numbers}  # however its beginning is written
        return numbers | {message.code.digits for message in self.sender.attempts}

    def stored(self) -> bytes:
        """All that the store shows, for a store without a file."""
        self.flush()
        aliases = [change for unit in self.link.units for change in unit.aliases]
        parts = [
            *(
                part
                for key, record in self.link.scan("m", b"", 100_000)
                for part in (key, record.body)
            ),
            *(
                part
                for each in self.link.journal("m", 0, 100_000)
                for part in (each.subject, each.body)
            ),
            *(part for each in aliases for part in (each.alias, each.owner)),
        ]
        return b"\n".join(parts)

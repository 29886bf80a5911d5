"""The messengers' services: processes on one store that crash, start again and keep their own time.

Knows processes, clocks and the way to the store. Refuses to know users and operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from attrs import define, field

from abonent.core.agreements import Agreement
from abonent.core.parties import Messenger
from abonent.core.policy import Policy
from abonent.core.states import EffectKind
from abonent.engine.archive import micros
from abonent.engine.effects import Alarm, Lane
from abonent.errors import AbonentError, StoreUnavailable
from abonent.identifier import Identifier
from abonent.ports import (
    CodeMessage,
    Entry,
    GatewayFeatures,
    Keys,
    LateAnswer,
    Notice,
    Record,
    Storage,
    StorageFeatures,
    Unit,
)
from abonent.possession import OneTimeCodes
from abonent.sealing import MemoryKeys
from abonent.simulation.world.agenda import Agenda, Chance
from abonent.simulation.world.carriers import Carrier, Link, Registry, Sms
from abonent.simulation.world.faults import Faults
from abonent.simulation.world.ground import Ground

if TYPE_CHECKING:
    from abonent.simulation.world.watch import Watch

T = TypeVar("T")
_HALF: Final = 0.5
_LAGS: Final = (0.5, 0.5, 0.5, 0.5, 5, 5, 60, 60, 60, 900)
"""How late a sweep may come, in seconds: a service is busy now and then."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Crash(BaseException):
    """The process dies here."""


class Surroundings(Protocol):
    """What services and carriers need of the world around them."""

    agenda: Agenda
    chance: Chance
    faults: Faults
    ground: Ground
    watch: Watch
    carriers: dict[str, Carrier]
    services: list[Service]
    taken: dict[str, str]
    """The codes that senders took for delivery, by the id of the message."""

    def deliver(
        self,
        service: Service,
        item: Notice | LateAnswer,
        at: datetime,
        to: Process | None = None,
    ) -> None:
        """Bring an item to a service at an instant; to one process of it, if that lives then."""
        ...

    def arrive(self, service: Service, message: CodeMessage) -> None:
        """Bring a code to a phone."""
        ...

    def note(self, text: str, *parts: object) -> None:
        """Write a line of the history."""
        ...


@define(eq=False)
class LocalClock:
    """The clock of one process: the world's time, and how wrong it is here."""

    agenda: Agenda
    offset: timedelta = timedelta(0)
    test_double = True

    def now(self) -> datetime:
        """Tell the time as this process sees it."""
        return self.agenda.now + self.offset


class _Resident(Identifier):
    """An identifier whose lanes run in virtual time, not in threads."""

    def __init__(self, process: Process, **parts: Any) -> None:
        super().__init__(**parts)
        self._process = process

    def _start(self, lane: Lane) -> None:
        """Let the lane run a moment later; nobody waits for it."""
        self._process.run_soon(lambda: self._drive(lane.flow()))


@define(eq=False)
class Door:
    """One process's way to the store: it may be shut, and the process may die in it."""

    inner: Storage
    process: Process

    @property
    def features(self) -> StorageFeatures:
        """Those of the store."""
        return self.inner.features

    def _enter(self) -> None:
        if self.process.service.is_shut():
            self.process.service.around.watch.call.shut = True
            raise StoreUnavailable("the store is out of reach")

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        """See `Storage.load`."""
        self._enter()
        return self.inner.load(space, keys)

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        """Commit, with whatever happens around it."""
        self._enter()
        process = self.process
        process.visit("before commit")
        process.let_others_in()
        applied = self.inner.commit(units)
        process.service.committed(
            [unit for unit, done in zip(units, applied, strict=True) if done],
            lost=applied.count(False),
        )
        process.visit("after commit")
        return applied

    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        """See `Storage.find`."""
        self._enter()
        return self.inner.find(space, aliases)

    def due(self, space: str, now: int, limit: int, lease: int) -> list[bytes]:
        """Claim, with the lease noted."""
        self._enter()
        keys = self.inner.due(space, now, limit, lease)
        self.process.service.claimed(keys, now + lease)
        if keys:
            self.process.visit("after due")
        return keys

    def journal(self, space: str, after: int, limit: int) -> list[Entry]:
        """See `Storage.journal`."""
        self._enter()
        return self.inner.journal(space, after, limit)

    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        """See `Storage.scan`."""
        self._enter()
        return self.inner.scan(space, after, limit)

    def close(self) -> None:
        """The process ends; a store that is not shared by processes does not."""
        if self.inner.features.shared:
            self.inner.close()


class Process:
    """One process of a service: an identifier, a clock, and the places at which it may die."""

    def __init__(self, service: Service, index: int) -> None:
        self.service = service
        self.index = index
        self.clock = LocalClock(service.around.agenda)
        self.identifier: Identifier | None = None
        self.life = 0
        self.crash_at: tuple[str, int] | None = None
        self.rival: Callable[[], object] | None = None
        """What another process does while this one is about to commit."""
        self._inner: Storage | None = None
        self._crossed = 0

    def __repr__(self) -> str:
        return f"{self.service.messenger.id}/{self.index}"

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.identifier is not None

    def start(self) -> None:
        """Start on the store as it is."""
        service = self.service
        around = service.around
        self._inner = service.open_store()
        self.identifier = _Resident(
            self,
            messenger=service.messenger,
            storage=Door(self._inner, self),
            keys=MemoryKeys(service.keys),
            possession=OneTimeCodes(Sms(self), prompt=service.prompt),
            agreements=service.agreements,
            gateways={
                each.id: Link(each, self, GatewayFeatures(prompt=service.prompt))
                for each in around.carriers.values()
            },
            router=Registry(around),
            policy=service.policy,
            clock=self.clock,
            alarm=around.watch.alarmed,
            unsafe_test_doubles=True,
        )

    def stop(self) -> None:
        """Die: what was not committed is gone."""
        self.identifier = None
        self.life += 1
        self.crash_at = self.rival = None
        if self._inner is not None and self._inner.features.shared:
            self._inner.close()

    # places

    def visit(self, place: str) -> None:
        """Come by a place; the process may die there."""
        if self.crash_at is None or self.crash_at[0] != place:
            return
        if self.crash_at[1] > 0:
            self.crash_at = (place, self.crash_at[1] - 1)
            return
        self.service.around.watch.saw(f"crash {place}")
        self.service.around.note("{} dies {}", self, place)
        raise Crash(place)

    def let_others_in(self) -> None:
        """Let a rival commit first, if one is waiting for the moment."""
        if self.rival is None or self.service.overtaken:
            return
        rival, self.rival = self.rival, None
        self.service.overtaken = True
        try:
            rival()
        finally:
            self.service.overtaken = False

    def cross(self, kind: EffectKind, effect: str, act: Callable[[], T]) -> T:
        """Call an adapter: time may pass, and the process may die before or after."""
        around = self.service.around
        around.watch.performing(self.service, kind, effect)
        self.visit(f"before {kind.value}")
        there, back = self._slowness()
        if there:
            self._wait(there)
        result = act()
        if back:
            self._wait(back)
        self.visit(f"after {kind.value}")
        return result

    def _wait(self, duration: timedelta) -> None:
        """Let time pass here; what this process was doing ends if it dies meanwhile."""
        life = self.life
        self.service.around.agenda.wait(duration)
        if life != self.life:
            raise Crash("while it waited")

    def _slowness(self) -> tuple[timedelta, timedelta]:
        """Return how long a call takes on its way there and back: an adapter may promise not to."""
        around = self.service.around
        nothing = timedelta(0)
        if self.service.prompt:
            return nothing, nothing
        self._crossed += 1
        draw = around.chance.of("slow", self, self._crossed)
        if draw.random() >= around.faults.operator_slow:
            return nothing, nothing
        there = timedelta(seconds=draw.choice((1, 10, 45, 700, 1250)) * draw.random())
        return (there, nothing) if draw.random() < _HALF else (nothing, there)

    def run_soon(self, act: Callable[[], object]) -> None:
        """Run something of this process a moment later, if it lives then."""
        life = self.life
        around = self.service.around
        wait = timedelta(
            milliseconds=around.chance.of("lane", self, around.agenda.now).randrange(900)
        )

        def run() -> None:
            if life == self.life:
                self.service.guarded(self, act)

        around.agenda.after(wait, run)


@define(eq=False, repr=False)
class Service:
    """A messenger's service: its processes, what they share, and when a sweep is due."""

    around: Surroundings
    messenger: Messenger
    policy: Policy
    agreements: list[Agreement]
    prompt: bool
    open_store: Callable[[], Storage]
    seed: int
    keys: Keys = field(init=False)
    processes: list[Process] = field(init=False)
    shut_until: datetime = _EPOCH
    clocks_stepped: bool = False
    overtaken: bool = False
    """Whether a process commits while another is about to."""
    leased: set[bytes] = field(factory=set)
    """The records that a process has claimed and not put since."""
    rotates_soon: bool = False
    """Whether the keys are rotated as soon as a code was sent."""
    _wakes: dict[bytes, int] = field(factory=dict)
    _ripening: list[tuple[int, bytes]] = field(factory=list)
    _sweep_at: datetime | None = None
    _sweeps: int = 0

    def __attrs_post_init__(self) -> None:
        self.keys = Keys(current="k1", roots={"k1": self._root("k1")})
        self.processes = [Process(self, 1), Process(self, 2)]

    def __repr__(self) -> str:
        return self.messenger.id

    def _root(self, key_id: str) -> bytes:
        return sha256(f"{self.seed}/{self.messenger.id}/{key_id}".encode()).digest()

    def code_sent(self) -> None:
        """A code is on its way: the moment at which a rotation is awkward."""
        if self.rotates_soon:
            self.rotates_soon = False
            self.around.agenda.after(timedelta(seconds=1), self.rotate)

    def rotate(self) -> None:
        """Stop all processes and start them with a new key that seals, the old ones opening."""
        new = f"k{len(self.keys.roots) + 1}"
        self.keys = Keys(current=new, roots={new: self._root(new), **self.keys.roots})
        self.around.watch.rotated(self)
        for each in self.processes:
            if each.alive:
                each.stop()
            each.start()

    def is_shut(self) -> bool:
        """Tell whether the store is out of reach."""
        return self.around.agenda.now < self.shut_until

    def pick(self, *topic: object) -> Process | None:
        """Return one of the processes that run."""
        alive = [each for each in self.processes if each.alive]
        if len(alive) <= 1:
            return alive[0] if alive else None
        return self.around.chance.of("balance", *topic).choice(alive)

    # calls

    @contextmanager
    def dying(self, process: Process) -> Iterator[None]:
        """Let a crash end the process and nothing else; it starts again later."""
        life = process.life
        try:
            yield
        except Crash:
            if life != process.life:
                return  # it was stopped while it waited, and may have been started again
            process.stop()
            draw = self.around.chance.of("restart", process, process.life)
            down = timedelta(seconds=draw.choice((1, 5, 60, 4000)))
            self.around.agenda.after(down, lambda: self._restart(process))

    def _restart(self, process: Process) -> None:
        if not process.alive:
            process.start()
            self.arrange()

    def guarded(self, process: Process, act: Callable[[], T]) -> T | AbonentError | None:
        """Do something in a process: its answer, its error, or None if it died."""
        try:
            with self.dying(process):
                try:
                    return act()
                except AbonentError as error:
                    return error
        finally:
            self.arrange()
        return None

    # deadlines

    def committed(self, units: Sequence[Unit], *, lost: int) -> None:
        """Note new deadlines, and have the watch look at what was committed."""
        for unit in units:
            for put in unit.puts:
                self.leased.discard(put.key)
                if put.body is None or put.wake is None:
                    self._wakes.pop(put.key, None)
                else:
                    self._wake(put.key, put.wake)
        if lost:
            self.around.watch.saw("a unit that lost to another process")
        for unit in units:
            self.around.watch.committed(self, unit)

    def claimed(self, keys: Sequence[bytes], until: int) -> None:
        """Note that records are claimed for a time."""
        self.leased.update(keys)
        for key in keys:
            self._wake(key, until)

    def _wake(self, key: bytes, at: int) -> None:
        if self._wakes.get(key) != at:
            self._wakes[key] = at
            heappush(self._ripening, (at, key))

    def earliest(self) -> int | None:
        """Return the earliest deadline, in microseconds since 1970."""
        ripening = self._ripening
        while ripening and self._wakes.get(ripening[0][1]) != ripening[0][0]:
            heappop(ripening)  # it was moved or went meanwhile
        return ripening[0][0] if ripening else None

    def arrange(self) -> None:
        """See to it that a sweep comes soon after the earliest deadline."""
        earliest = self.earliest()
        if earliest is None:
            return
        slowest = min(each.clock.offset for each in self.processes)
        ripe = _EPOCH + timedelta(microseconds=earliest) + self.policy.settle_after - slowest
        at = max(ripe, self.around.agenda.now)
        if self._sweep_at is not None and self._sweep_at <= at:
            return
        draw = self.around.chance.of("sweep", self.messenger.id, self._sweeps)
        lag = draw.choice(_LAGS) * draw.random()
        self._sweep_at = at + timedelta(seconds=lag)
        self.around.agenda.at(self._sweep_at, self.sweep)

    def sweep(self) -> None:
        """Sweep in some process, as a service does every second."""
        if self._sweep_at is not None and self._sweep_at > self.around.agenda.now:
            return  # an earlier one was arranged meanwhile
        self._sweep_at = None
        self._sweeps += 1
        process = self.pick("sweep", self._sweeps)
        if process is not None:
            self.sweep_in(process)
        if self._sweep_at is None:
            self.retry_sweep()

    def sweep_in(self, process: Process) -> None:
        """Sweep in this process, and have the watch look that nothing due was left."""
        identifier = process.identifier
        if identifier is None:
            return
        with self.around.watch.within(self, "sweep", process):
            report = self.guarded(process, identifier.sweep)
        if report is not None and not isinstance(report, AbonentError):
            self.around.watch.swept(self, process)

    def retry_sweep(self) -> None:
        """Where a deadline is ripe and was not settled, come again."""
        earliest = self.earliest()
        if earliest is None:
            return
        if earliest <= micros(self.around.agenda.now):
            self._sweep_at = self.around.agenda.now + timedelta(seconds=20)
            self.around.agenda.at(self._sweep_at, self.sweep)
        else:
            self.arrange()

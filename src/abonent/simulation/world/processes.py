"""Processes of a service: an identifier, a clock, and the places at which they may die.

Knows one process and its way to the store. Refuses to know users, operators and other processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import define

from abonent.core.states import EffectKind
from abonent.engine.effects import Lane
from abonent.errors import StoreUnavailable
from abonent.gates import GateCache
from abonent.identifier import Identifier
from abonent.keys import MemoryKeys
from abonent.ports import Entry, GatewayFeatures, Record, Storage, StorageFeatures, Unit
from abonent.possession import OneTimeCodes
from abonent.simulation.world.agenda import EPOCH, Agenda
from abonent.simulation.world.books import STALENESS
from abonent.simulation.world.carriers import Link, Registry, Sms

if TYPE_CHECKING:
    from abonent.simulation.world.services import Service

T = TypeVar("T")
_HALF: Final = 0.5


class Crash(BaseException):
    """The process dies here."""


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
            [
                unit
                for unit, done in zip(units, applied, strict=True)
                if done and unit.space == process.service.messenger.id
            ],
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
        self.gates: GateCache | None = None
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
        self.gates = GateCache(
            self.identifier._engine.archive,
            self.clock.now,
            STALENESS,
            1000,
            monotonic=self._seconds,
            by_hand=True,
        )
        self._follow_later()

    def _seconds(self) -> float:
        """What no setting of a clock changes."""
        return (self.service.around.agenda.now - EPOCH).total_seconds()

    def _follow_later(self) -> None:
        """Follow the journal now and then, and sometimes too late."""
        around, life, gates = self.service.around, self.life, self.gates
        wait = 1.2 * STALENESS * around.chance.share("follow", self, around.agenda.now)

        def follow() -> None:
            if life == self.life and gates is not None:
                self.service.guarded(self, gates.follow)
                self._follow_later()

        around.agenda.after(wait, follow)

    def stop(self) -> None:
        """Die: what was not committed is gone."""
        self.identifier = self.gates = None
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
        if around.chance.share("slow", self, self._crossed) >= around.faults.operator_slow:
            return nothing, nothing
        draw = around.chance.of("how slow", self, self._crossed)
        there = timedelta(seconds=draw.choice((1, 10, 45, 700, 1250)) * draw.random())
        return (there, nothing) if draw.random() < _HALF else (nothing, there)

    def run_soon(self, act: Callable[[], object]) -> None:
        """Run something of this process a moment later, if it lives then."""
        life = self.life
        around = self.service.around
        wait = timedelta(seconds=0.9 * around.chance.share("lane", self, around.agenda.now))

        def run() -> None:
            if life == self.life:
                self.service.guarded(self, act)

        around.agenda.after(wait, run)

"""The messengers' services: processes on one store, what they share, and when a sweep is due.

Knows how a service is kept running. Refuses to know users and operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from attrs import define, field

from abonent.core.agreements import Agreement
from abonent.core.parties import Messenger
from abonent.core.policy import Policy
from abonent.engine.archive import micros
from abonent.errors import AbonentError
from abonent.ports import CodeMessage, Keys, LateAnswer, Notice, Storage, Unit
from abonent.simulation.world.agenda import EPOCH, Agenda, Chance
from abonent.simulation.world.carriers import Carrier
from abonent.simulation.world.faults import Faults
from abonent.simulation.world.ground import Ground
from abonent.simulation.world.processes import Crash, Process

if TYPE_CHECKING:
    from abonent.simulation.world.watch import Watch

T = TypeVar("T")
_NEVER: Final = 1 << 62
_LAGS: Final = (0.5, 0.5, 0.5, 0.5, 5, 5, 60, 60, 60, 900)
"""How late a sweep may come, in seconds: a service is busy now and then."""


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
    shut_until: datetime = EPOCH
    clocks_stepped: bool = False
    overtaken: bool = False
    """Whether a process commits while another is about to."""
    leased: set[bytes] = field(factory=set[bytes])
    """The records that a process has claimed and not put since."""
    rotates_soon: bool = False
    """Whether the keys are rotated as soon as a code was sent."""
    _wakes: dict[bytes, int] = field(factory=dict[bytes, int])
    _ripening: list[tuple[int, bytes]] = field(factory=list[tuple[int, bytes]])
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
        return alive[int(self.around.chance.share("balance", *topic) * len(alive))]

    # calls

    def _bury(self, process: Process, life: int) -> None:
        """End a process that crashed in this life, and nothing else; it starts again later."""
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
        life = process.life
        answer: T | AbonentError | None = None
        try:
            answer = act()
        except AbonentError as error:
            answer = error
        except Crash:
            self._bury(process, life)
        finally:
            self.arrange()
        return answer

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

    def earliest(self) -> tuple[bytes, int]:
        """Return whose deadline is the earliest, and when, in microseconds since 1970."""
        ripening = self._ripening
        while ripening and self._wakes.get(ripening[0][1]) != ripening[0][0]:
            heappop(ripening)  # it was moved or went meanwhile
        return (ripening[0][1], ripening[0][0]) if ripening else (b"", _NEVER)

    def arrange(self) -> None:
        """See to it that a sweep comes soon after the earliest deadline."""
        _, earliest = self.earliest()
        if earliest == _NEVER:
            return
        slowest = min(each.clock.offset for each in self.processes)
        ripe = EPOCH + timedelta(microseconds=earliest) + self.policy.settle_after - slowest
        at = max(ripe, self.around.agenda.now)
        if self._sweep_at is not None and self._sweep_at <= at:
            return
        draw = self.around.chance.share
        name = self.messenger.id
        usual = _LAGS[int(draw("lag", name, self._sweeps) * len(_LAGS))]
        lag = usual * draw("late", name, self._sweeps)
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
        with self.around.watch.within("sweep"):
            report = self.guarded(process, identifier.sweep)
        if report is not None and not isinstance(report, AbonentError):
            self.around.watch.swept(self, process)

    def retry_sweep(self) -> None:
        """Where a deadline is ripe and was not settled, come again."""
        _, earliest = self.earliest()
        if earliest <= micros(self.around.agenda.now):
            self._sweep_at = self.around.agenda.now + timedelta(seconds=20)
            self.around.agenda.at(self._sweep_at, self.sweep)
        else:
            self.arrange()

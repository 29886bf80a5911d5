"""The rounds of a loop: perform what a commit owes, look at what is due, feed outcomes back.

Knows leases, sweeps and lanes, the same for the messenger's side and the operator's. Refuses to
know what a row says, and what is owed to whom.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import frozen
from msgspec import Struct

from abonent.engine.archive import micros
from abonent.engine.commits import GroupCommit, Task
from abonent.engine.effects import Flow, Lane, Read, Spawn, Submit, SubmitAll
from abonent.engine.observing import Observed, Telling, cause_of
from abonent.errors import StorageError
from abonent.ports import Clock, Storage

_CHUNK: Final = 256

log: Final = logging.getLogger("abonent")


@frozen(kw_only=True)
class SweepReport:
    """What a sweep did: records looked at, effects tried, and events by name.

    `failed` records could not be settled, for example because they are damaged or sealed under a
    key that is not there; each is logged, and comes again.
    """

    due: int
    tried: int
    events: Mapping[str, int]
    failed: int = 0


class InMemory(Protocol):
    """A row as it is held in memory."""

    @property
    def key(self) -> bytes:
        """Where it is."""
        ...

    @property
    def version(self) -> int:
        """At which version."""
        ...


class Pace(Protocol):
    """How long things may take."""

    @property
    def lease(self) -> timedelta:
        """How long a try may run before it counts as lost."""
        ...

    @property
    def settle_after(self) -> timedelta:
        """How long after a deadline a sweep settles it."""
        ...


H = TypeVar("H", bound=InMemory)
F = TypeVar("F")
E = TypeVar("E")


class Decided(Struct, Generic[H, F, E], frozen=True):
    """The result of a task: the row after it, what is owed now, and what happened.

    `due` is when what a sweep settled had become due, where that is known.
    """

    held: H
    effects: tuple[F, ...]
    events: tuple[E, ...]
    due: datetime | None = None


class Rounds(ABC, Generic[H, F, E]):
    """The part of a loop that is the same whatever it is about."""

    def __init__(
        self,
        *,
        storage: Storage,
        space: str,
        commits: GroupCommit,
        clock: Clock,
        pace: Pace,
        telling: Telling,
    ) -> None:
        self.commits = commits
        self.clock = clock
        self.telling = telling
        self._storage = storage
        self._space = space
        self._pace = pace

    # --- what a loop gives ------------------------------------------------------------

    @abstractmethod
    def _lane(self, effect: F, key: bytes, until: datetime, *, just_owed: bool) -> Lane:
        """Return the lane in which an effect that a row owes is performed, not after `until`."""

    @abstractmethod
    def _tick(self, key: bytes, now: datetime, settled: datetime, draft: Any) -> object:
        """Settle what is due in a row; a task. Return what it decided, if anything."""

    @abstractmethod
    def _raise_alarms(self, events: Iterable[E]) -> None:
        """Tell a person of the events that a person has to know."""

    # --- performing -------------------------------------------------------------------

    def perform(self, done: Decided[H, F, E]) -> Flow[H]:
        """Perform what a commit owes and return the row as it is known then."""
        results = yield from self.perform_all((done,))
        held = done.held
        for each in results:
            # Where a rotation of keys moved the row meanwhile, its versions begin anew.
            if each is not None and (each.key != held.key or each.version > held.version):
                held = each
        return held

    def perform_all(self, several: Sequence[Decided[H, F, E]]) -> Flow[Sequence[H | None]]:
        """Perform what several commits owe, all at once; return the rows as they come."""
        for done in several:
            self._raise_alarms(done.events)
        if not any(done.effects for done in several):
            return ()
        until = self.clock.now() + self._pace.lease
        # Only the first follows its commit at once: what it leads to may cancel the others (I8).
        lanes = tuple(
            self._lane(each, done.held.key, until, just_owed=place == 0)
            for done in several
            for place, each in enumerate(done.effects)
        )
        results: Sequence[H | None] = yield Spawn(lanes)
        return results

    def _post(self, key: bytes, command: object) -> None:
        """Leave an outcome that nobody waits for to the next flush."""

        def work(draft: Any) -> None:
            held = draft.row(key)
            if held is not None:
                draft.apply(held, command)

        self.commits.post(Task((key,), work))

    # --- time -------------------------------------------------------------------------

    def sweep(self, limit: int) -> Flow[SweepReport]:
        """Settle what is due and try what is owed, up to `limit` records."""
        if self.commits.waiting:
            yield Submit((), _nothing)  # what was posted comes first
        counted: Counter[str] = Counter()
        due = tried = failed = 0
        oldest = timedelta()
        lease = self._pace.lease // timedelta(microseconds=1)
        while due < limit:
            now = self.clock.now()
            settled = now - self._pace.settle_after
            wanted = (self._space, micros(settled), min(_CHUNK, limit - due), lease)
            keys: Sequence[bytes] = yield Read(self._storage.due, wanted)
            if not keys:
                break
            due += len(keys)
            tasks = tuple(Submit((key,), partial(self._tick, key, now, settled)) for key in keys)
            results: Sequence[Any] = yield SubmitAll(tasks)
            lanes: list[Lane] = []
            until = now + self._pace.lease
            lost: StorageError | None = None
            for done in results:
                if isinstance(done, StorageError) and done.retryable:
                    lost = done
                elif isinstance(done, Exception):
                    failed += 1
                    log.error("abonent.sweep_task_failed cause=%s", cause_of(done))
                elif done is not None and not isinstance(done, BaseException):
                    self._raise_alarms(done.events)
                    counted.update(type(each).__name__ for each in done.events)
                    oldest = max(oldest, now - (done.due or now))
                    lanes += [
                        self._lane(each, done.held.key, until, just_owed=False)
                        for each in done.effects
                    ]
            tried += len(lanes)
            if lanes:
                yield Spawn(tuple(lanes))
            if lost is not None:
                raise lost  # what was claimed comes again when its lease is over
        if self.commits.waiting:
            yield Submit((), _nothing)
        self.telling.tell(Observed(what="sweep", count=due, seconds=oldest.total_seconds()))
        return SweepReport(due=due, tried=tried, events=dict(counted), failed=failed)


def _nothing(_: Any) -> None:
    return None

"""Killing processes, one after the other, on one store.

Knows when to strike and how a process is started cheaply: it is forked from one that has imported
everything and holds neither threads nor connections. Only such forks are killed. Refuses to know
what a store must hold.

SIGKILL takes the process, not the machine: what was written but not flushed survives it, so that a
store which never flushes would pass. That part is for the logs that are cut (`logs.py`).
"""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from pathlib import Path

import msgspec
from attrs import Factory, define, frozen

from abonent import MemoryStorage
from abonent.simulation import SimulatedClock, SimulatedOperator, SimulatedSender
from tests.crash import messages
from tests.crash.contents import KeptInFile
from tests.crash.judging import Judge, Violation
from tests.crash.life import OPERATOR, OpenStore, RacingClock, identifier_on, live
from tests.crash.messages import Applied, Asking, Due, Failed, Mark, Message, Returned, Trying

HANGS = 60.0
"""Seconds after which a life counts as hanging."""


class Moment(Enum):
    """Where a process stood when it died."""

    CREATING = "while creating the file"
    OPENING = "while opening it"
    IN_COMMIT = "in a commit"
    IN_CLAIM = "while claiming what is due"
    IN_SWEEP = "elsewhere in a sweep"
    BETWEEN = "between writes"
    CLOSING = "while closing"


@frozen
class Plan:
    """When to strike: so many seconds after this many messages of a kind, or after the start."""

    after: tuple[type[Message], ...] | str | None
    count: int
    delay: float


def plan_of(chance: random.Random, first: bool) -> Plan:
    """Draw a plan; most strike in the midst of a commit or just after."""
    chosen = chance.random()
    if first and chosen < 0.5:
        return Plan(None, 0, chance.uniform(0, 0.012))
    if chosen < 0.10:
        return Plan(None, 0, chance.uniform(0, 0.006))
    if chosen < 0.50:
        return Plan((Trying,), chance.randint(1, 60), chance.uniform(0, 0.002))
    if chosen < 0.60:
        return Plan((Asking,), chance.randint(1, 8), chance.uniform(0, 0.001))
    if chosen < 0.70:
        return Plan("sweeping", chance.randint(1, 12), chance.uniform(0, 0.002))
    if chosen < 0.85:
        return Plan((Returned,), chance.randint(1, 80), chance.uniform(0, 0.003))
    return Plan("closing", 1, chance.uniform(0, 0.006))


def _counts(plan: Plan, message: Message) -> bool:
    if isinstance(plan.after, str):
        return isinstance(message, Mark) and message.place == plan.after
    return plan.after is not None and isinstance(message, plan.after)


def warm_up() -> None:
    """Import and build everything that a life needs, so that a fork begins at once."""
    operator, sender = SimulatedOperator(OPERATOR), SimulatedSender()
    with identifier_on(MemoryStorage(), SimulatedClock(), operator, sender) as identifier:
        identifier.claim("warm", "+79160000000")
        identifier.standing("warm")
    for thread in threading.enumerate():
        if thread.name == "abonent-flush":
            thread.join(HANGS)


@define
class Life:
    """A child process, and what it has told so far."""

    pid: int
    pipe: int
    born: float
    told: list[Message] = Factory(list)
    rest: bytes = b""
    killed: bool = False
    status: int = 0

    def hear(self, wait: float) -> list[Message] | None:
        """What it tells within a time; None once nobody is left to tell anything."""
        ready, _, _ = select.select([self.pipe], [], [], wait)
        if not ready:
            return []
        read = os.read(self.pipe, 1 << 16)
        if not read:
            return None  # a line that was cut off is lost with who wrote it
        *lines, self.rest = (self.rest + read).split(b"\n")
        heard = [messages.decode(line) for line in lines]
        self.told += heard
        return heard

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def end(self) -> None:
        """Hear the rest and find out how it ended."""
        while self.hear(HANGS) is not None:
            pass
        os.close(self.pipe)
        _, status = os.waitpid(self.pid, 0)
        self.killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        self.status = status


def born(run: Callable[[Callable[[Message], None]], None]) -> Life:
    """Fork a process that runs this and tells of it."""
    pipe, mouth = os.pipe()
    start = time.monotonic()
    pid = os.fork()
    if pid:
        os.close(mouth)
        return Life(pid, pipe, start)
    code = 1
    try:
        os.close(pipe)
        one_at_a_time = threading.Lock()

        def tell(message: Message) -> None:
            line = messages.encode(message) + b"\n"
            with one_at_a_time:
                while line:
                    line = line[os.write(mouth, line) :]

        try:
            run(tell)
            code = 0
        except BaseException:
            tell(Failed(traceback.format_exc()))
    finally:
        os._exit(code)  # nothing of the parent's may run in here


def lived(run: Callable[[Callable[[Message], None]], None], plan: Plan) -> Life:
    """Let a process live until its plan says otherwise."""
    life = born(run)
    left = plan.count
    try:
        while plan.after is not None and left > 0:
            heard = life.hear(1.0)
            if heard is None:
                break
            left -= sum(_counts(plan, each) for each in heard)
            if time.monotonic() - life.born > HANGS:
                raise Violation(["the process hangs"])
        strike = plan.delay + (life.born if plan.after is None else time.monotonic())
        while time.monotonic() < strike:
            pass  # a sleep would be too coarse
    finally:
        with suppress(ProcessLookupError):
            life.kill()
        life.end()
    if not life.killed and life.status:
        told = [each.trace for each in life.told if isinstance(each, Failed)]
        raise Violation(told or [f"the process ended with {life.status}"])
    return life


def moment_of(life: Life, existed: bool) -> Moment:
    """Where the process stood, by what it told last."""
    places = [each.place for each in life.told if isinstance(each, Mark)]
    writes = [each for each in life.told if isinstance(each, Trying | Asking | Applied | Due)]
    if not places:
        return Moment.OPENING if existed else Moment.CREATING
    if writes and isinstance(writes[-1], Trying):
        return Moment.IN_COMMIT
    if writes and isinstance(writes[-1], Asking):
        return Moment.IN_CLAIM
    if places[-1] in ("closing", "closed"):
        return Moment.CLOSING
    return Moment.IN_SWEEP if places[-1] == "sweeping" else Moment.BETWEEN


class Tally(msgspec.Struct):
    """What came of the kills on one store, or on several."""

    kills: int = 0
    survivors: int = 0
    """Processes that had ended by themselves when they were to be killed."""
    acknowledged: int = 0
    calls: dict[str, int] = {}
    commits: int = 0
    recovered: int = 0
    moments: dict[str, int] = {}
    violations: list[str] = []

    def add(self, other: Tally) -> None:
        for name in ("kills", "survivors", "acknowledged", "commits", "recovered"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.moments = dict(Counter(self.moments) + Counter(other.moments))
        self.calls = dict(Counter(self.calls) + Counter(other.calls))
        self.violations = [*self.violations, *other.violations]


def kill_on_one_store(folder: Path, kills: int, seed: str, open_store: OpenStore) -> Tally:
    """Kill so many processes, one after the other, on a store that is carried on.

    What is judged is a copy: the next process opens just what the last one left.
    """
    chance = random.Random(seed)
    folder.mkdir()
    path, copy = folder / "kept.db", folder / "copy.db"
    clock = RacingClock(time.time())
    judge, tally = Judge(), Tally()
    warm_up()
    if threading.active_count() != 1:
        others = [each.name for each in threading.enumerate()]
        raise RuntimeError(f"a process is forked from one without further threads: {others}")
    while tally.kills < kills and not tally.violations:
        existed = path.exists()
        number = f"{seed}.{tally.kills + tally.survivors}"
        plan = plan_of(chance, first=not existed)
        try:
            life = lived(
                lambda tell, number=number: live(path, open_store, clock.origin, number, tell),
                plan,
            )
            tally.kills += life.killed
            tally.survivors += not life.killed
            if life.killed:
                moment = moment_of(life, existed).value
                tally.moments[moment] = tally.moments.get(moment, 0) + 1
            heard = Counter(each.call for each in life.told if isinstance(each, Returned))
            tally.calls = dict(Counter(tally.calls) + heard)
            judge.hear(life.told)
            if path.exists():
                _copy(path, copy)
                judge.judge(KeptInFile(copy), clock)
            elif judge.acknowledged:
                raise Violation(["steps were acknowledged, and there is no file"])
        except Violation as violation:
            tally.violations += [f"life {number}, {plan}: {line}" for line in violation.lines]
    tally.acknowledged, tally.commits = judge.acknowledged, judge.commits
    tally.recovered = judge.recovered
    return tally


def _copy(path: Path, copy: Path) -> None:
    """Copy database and log, which nobody has open; the index is made anew from them."""
    for suffix in ("", "-wal", "-shm"):
        there, here = path.with_name(path.name + suffix), copy.with_name(copy.name + suffix)
        here.unlink(missing_ok=True)
        if suffix != "-shm" and there.exists():
            shutil.copyfile(there, here)

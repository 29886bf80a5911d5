"""Cutting a write-ahead log: a machine dies at every byte that matters.

Knows the layout of SQLite's log, and the state of the store after each commit in it. Refuses to
know how the store writes.

1. Cutting. What a power cut leaves of a log is a beginning of it, or a beginning and then pages
that arrived in another order, which a reader tells by their checksums. So copies are cut at the end
of every frame and inside it, and bytes of frames are damaged: what opens must be the state after
the last commit before the first missing or damaged byte.

2. Copying back. Who dies while the log is copied back into the database leaves a mixture of old and
new pages there, and the log whole: what opens must be the last state. Pages are copied in ascending
order, and a power cut may lose any of them.

That a commit does flush before it returns cannot be seen
in files; the setting that makes it do so is looked at instead.

The log's file is longer than what it holds: the store grows it in advance, and a log that was
copied back is written over from its beginning, so that stale frames of another salt lie behind the
live ones. Where a big change was taken back, its frames lie there with the live salt: only the
running checksum tells where the log ends.
"""

from __future__ import annotations

import random
import sqlite3
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import msgspec
from attrs import Factory, define, evolve, frozen

from abonent import MemoryStorage, SqliteStorage
from abonent.errors import AbonentError
from abonent.ports import Append, Put, Storage, Unit
from abonent.simulation import SimulatedClock, SimulatedOperator, SimulatedSender
from tests.crash.contents import SPACE, Contents, differences, kept_by, stored_in
from tests.crash.judging import Violation
from tests.crash.life import OPERATOR, POLICY, Crowd, OpenStore, answering, identifier_on
from tests.crash.messages import Applied, Asking, Due, Message, Trying
from tests.crash.witness import Witness

HEADER: Final = 32
FRAME_HEADER: Final = 24
_TAKEN_BACK: Final = 2_000_000
_ENOUGH: Final = 20
"""Violations of one log after which no more are looked for."""


# --- reading a log ----------------------------------------------------------------------


@frozen
class Log:
    """A log as SQLite reads it: the end of each valid frame, and which of them end a commit."""

    frame: int
    """Bytes of a frame, its header included."""
    ends: tuple[int, ...]
    commits: tuple[int, ...]
    """Ends of the frames that complete a commit."""

    def commits_before(self, offset: int) -> int:
        """How many commits lie wholly before an offset."""
        return sum(end <= offset for end in self.commits)


def read_log(data: bytes) -> Log:
    """Read a log up to the first frame that another salt or a wrong checksum ends."""
    magic, _, page, _ = struct.unpack(">4I", data[:16])
    order = ">" if magic & 1 else "<"
    salts = data[16:24]
    running = _checksum(order, data[:24], (0, 0))
    if running != struct.unpack(">2I", data[24:32]):
        raise ValueError("this is not the beginning of a log")
    size = FRAME_HEADER + page
    ends: list[int] = []
    commits: list[int] = []
    for start in range(HEADER, len(data) - size + 1, size):
        running = _checksum(order, data[start : start + 8], running)
        running = _checksum(order, data[start + FRAME_HEADER : start + size], running)
        stored = struct.unpack(">2I", data[start + 16 : start + 24])
        if data[start + 8 : start + 16] != salts or running != stored:
            break
        ends.append(start + size)
        if data[start + 4 : start + 8] != bytes(4):
            commits.append(start + size)
    return Log(size, tuple(ends), tuple(commits))


def _checksum(order: str, data: bytes, start: tuple[int, int]) -> tuple[int, int]:
    """SQLite's checksum over pairs of 32-bit words, continued from the frame before."""
    one, two = start
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two


# --- writing one ------------------------------------------------------------------------


@define
class Scribe:
    """Notes the state of a store after each write that changed something."""

    reference: MemoryStorage = Factory(MemoryStorage)
    states: list[Contents] = Factory(list)
    _begun: Trying | Asking | None = None

    def hear(self, message: Message) -> None:
        if isinstance(message, Trying | Asking):
            self._begun = message
        elif isinstance(message, Applied) and isinstance(self._begun, Trying):
            self.reference.commit(self._begun.units)
            if any(message.verdicts):
                self.states.append(kept_by(self.reference))
        elif isinstance(message, Due) and isinstance(self._begun, Asking):
            asked = self._begun
            if self.reference.due(SPACE, asked.now, asked.limit, asked.lease):
                self.states.append(kept_by(self.reference))


@frozen
class Recording:
    """A database, its log, and the states: the first is that of the database without its log."""

    name: str
    database: bytes
    log: bytes
    states: tuple[Contents, ...]
    stale: int
    """Frames behind the live ones: of older commits, or never committed."""
    alike: int
    """Those of them that bear the salt of the live ones."""


def record(folder: Path, commits: int, seed: int, open_store: OpenStore) -> Iterator[Recording]:
    """Identify users until there are so many commits in the log, twice: anew, and over old frames.

    The second log begins after a checkpoint and writes over the first.
    """
    path = folder / "kept.db"
    chance = random.Random(seed)
    clock, sender = SimulatedClock(), SimulatedSender()
    operator = SimulatedOperator(OPERATOR, answers=answering(chance))
    store, scribe = open_store(path), Scribe()
    if isinstance(store, SqliteStorage):
        synchronous = store._writer.execute("PRAGMA synchronous").fetchone()
        if synchronous != (2,):
            raise Violation(["commits are not flushed: PRAGMA synchronous is not FULL"])
    policy = evolve(POLICY, flush_within=None)  # no thread, so that a seed gives one log
    identifier = identifier_on(Witness(store, scribe.hear), clock, operator, sender, policy)
    crowd = Crowd(0, identifier, clock, operator, sender, chance, lambda _: None)
    with closing(identifier):
        for name in ("a new log", "a log written over an older one"):
            scribe.states = [kept_by(scribe.reference)]
            taken_back = False
            while len(scribe.states) <= commits:
                if not taken_back and len(scribe.states) > commits // 2:
                    take_back(path)
                    taken_back = True
                crowd.act()
                clock.advance(chance.choice((0, 0, 2, 20, 400)))
                if chance.random() < 0.3:
                    identifier.sweep()
            database, log = path.read_bytes(), path.with_name(path.name + "-wal").read_bytes()
            yield Recording(name, database, log, tuple(scribe.states), *_stale(log))
            with closing(sqlite3.connect(path)) as other:
                other.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()


def take_back(path: Path) -> None:
    """Write a change that is too big for memory into the log, and roll it back."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        other.execute("PRAGMA cache_size = 8")
        with suppress(sqlite3.OperationalError):  # a wrong store keeps the lock for itself
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO journal VALUES (-1, x'', 0, zeroblob(?))", (_TAKEN_BACK,))
            other.execute("ROLLBACK")


def _stale(log: bytes) -> tuple[int, int]:
    parsed = read_log(log)
    behind = range(parsed.ends[-1], len(log) - parsed.frame + 1, parsed.frame)
    alike = sum(log[start + 8 : start + 16] == log[16:24] for start in behind)
    return len(behind), alike


# --- cutting it -------------------------------------------------------------------------


@frozen
class Damage:
    """What a crash left of a log: so many bytes of it, and one of them turned over, or none."""

    length: int
    turned: int | None = None

    def done_to(self, log: bytes) -> bytes:
        left = bytearray(log[: self.length])
        if self.turned is not None:
            left[self.turned] ^= 0xFF
        return bytes(left)


def damages(recording: Recording, log: Log, chance: random.Random) -> Iterator[Damage]:
    """Every end of a frame, several places inside each, and damage in every part of it.

    Behind the last live frame: a few cuts among the stale ones, and the whole file.
    """
    whole, last = len(recording.log), log.ends[-1]
    some_more = min(whole, last + 4 * log.frame)
    for length in (0, 1, 16, 24, HEADER - 1, HEADER):
        yield Damage(length)
    for end in log.ends:
        start = end - log.frame
        inside = (1, 8, 16, FRAME_HEADER - 1, FRAME_HEADER, FRAME_HEADER + 1, log.frame - 1)
        for offset in (*inside, chance.randrange(FRAME_HEADER, log.frame), log.frame):
            yield Damage(start + offset)
        yield Damage(some_more, start + chance.randrange(FRAME_HEADER))
        yield Damage(some_more, start + chance.randrange(FRAME_HEADER, log.frame))
    for _ in range(20 if recording.stale else 0):
        yield Damage(chance.randrange(last, whole))
    yield Damage(whole)


@frozen
class Torn:
    """A database that some pages of its log were copied back into: the last of them by half."""

    pages: tuple[int, ...]
    half: bool

    def done_to(self, recording: Recording, newest: Mapping[int, bytes]) -> bytes:
        torn = bytearray(recording.database)
        for page in self.pages:
            content = newest[page]
            start = (page - 1) * len(content)
            if self.half and page == self.pages[-1]:
                content = content[: len(content) // 2]
            torn += bytes(max(0, start + len(content) - len(torn)))
            torn[start : start + len(content)] = content
        return bytes(torn)


def tears(newest: Mapping[int, bytes], chance: random.Random) -> Iterator[Torn]:
    """Copying ended after each page and within it; and any pages of all, as after a power cut."""
    pages = sorted(newest)
    for n in range(1, len(pages) + 1):
        for half in (False, True):
            yield Torn(tuple(pages[:n]), half)
            yield Torn(tuple(sorted(chance.sample(pages, n))), half)


def newest_pages(log: bytes) -> dict[int, bytes]:
    """The pages of the last commit, as a checkpoint copies them."""
    parsed = read_log(log)
    found: dict[int, bytes] = {}
    for end in parsed.ends:
        if end <= parsed.commits[-1]:
            start = end - parsed.frame
            found[int.from_bytes(log[start : start + 4])] = log[start + FRAME_HEADER : end]
    return found


def expected_after(damage: Damage, log: Log) -> int:
    """How many commits must be there: those before the first missing or damaged byte."""
    return log.commits_before(damage.length if damage.turned is None else damage.turned)


class Report(msgspec.Struct):
    """What came of cutting one log."""

    name: str
    frames: int
    commits: int
    stale: int
    alike: int
    cuts: int = 0
    turned: int = 0
    carried_on: int = 0
    torn: int = 0
    violations: list[str] = []


def cut(recording: Recording, folder: Path, seed: int, open_store: OpenStore) -> Report:
    """Open a copy for every damage and compare what opens with the states that were known."""
    log, chance = read_log(recording.log), random.Random(seed)
    report = Report(
        name=recording.name,
        frames=len(log.ends),
        commits=len(log.commits),
        stale=recording.stale,
        alike=recording.alike,
    )
    wrong = report.violations
    if len(log.commits) != len(recording.states) - 1:
        told = len(recording.states) - 1
        wrong.append(f"{told} acknowledged commits, and {len(log.commits)} in the log")
    for damage in damages(recording, log, chance):
        report.cuts += damage.turned is None
        report.turned += damage.turned is not None
        carries_on = damage.length in log.commits and damage.turned is None
        report.carried_on += carries_on
        path = _laid_out(folder, recording.database, damage.done_to(recording.log))
        expected = expected_after(damage, log)
        lines = _opened(path, recording.states, expected, open_store, carries_on=carries_on)
        wrong += [f"{damage}: {line}" for line in lines]
        if len(wrong) > _ENOUGH:
            return report
    newest = newest_pages(recording.log)
    for torn in tears(newest, chance):
        report.torn += 1
        path = _laid_out(folder, torn.done_to(recording, newest), recording.log)
        expected = len(log.commits)
        lines = _opened(path, recording.states, expected, open_store, carries_on=False)
        wrong += [f"{torn}: {line}" for line in lines]
    return report


def _laid_out(folder: Path, database: bytes, log: bytes) -> Path:
    """Put copies where nobody has anything open."""
    path = folder / "copy.db"
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(database)
    path.with_name(path.name + "-wal").write_bytes(log)
    return path


def _opened(
    path: Path,
    states: Sequence[Contents],
    expected: int,
    open_store: OpenStore,
    *,
    carries_on: bool,
) -> list[str]:
    try:
        store = open_store(path)
    except AbonentError as error:
        return [f"cannot be opened: {error}"]
    with closing(store):
        found, wrong = stored_in(path)
        wrong += _judged(states, found, expected)
        if carries_on and not wrong:
            wrong += _carried_on(store, path, found)
    return wrong


def _judged(states: Sequence[Contents], found: Contents, expected: int) -> list[str]:
    if found in states:
        place = max(n for n, state in enumerate(states) if state == found)
        return [] if place == expected else [f"opens at commit {place}, not {expected}"]
    nearest = states[min(expected, len(states) - 1)]
    return [f"opens between two commits, near {expected}", *differences(nearest, found)]


def _carried_on(store: Storage, path: Path, before: Contents) -> list[str]:
    """Whoever comes after the crash writes behind what is left; nothing old comes back."""
    last = before.journal[-1].number if before.journal else 0
    unit = Unit(
        SPACE, (Put(b"after the crash", 0, b"x"),), (), (Append(b"nobody", last + 1, b"y"),)
    )
    reference = MemoryStorage()
    space = reference._spaces[SPACE]
    space.records.update(before.records)
    space.deadlines.update(before.deadlines)
    space.owners.update({alias: set(owners) for alias, owners in before.owners.items()})
    space.journal.extend(before.journal)
    if store.commit([unit]) != reference.commit([unit]):
        return ["what opened takes no further commit"]
    store.close()
    with closing(SqliteStorage(path, territory="RU")):
        found, wrong = stored_in(path)
    return wrong + differences(kept_by(reference), found)

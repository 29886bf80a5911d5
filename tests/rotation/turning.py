"""Keys turn while callers identify, and the process that turns them is killed again and again.

Knows who calls what meanwhile and what must be so at the end. Refuses to know how a row is moved.

1. Half of the callers begin with the old key as the current one, as in a service whose processes
   are started anew one after the other. They change over after the first kill.
2. Each caller has users of its own, so that none is displaced by another caller's.
3. At the end the old key is retired, and everything is read without it.
"""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from attrs import Factory, define, frozen

from abonent import (
    Agreement,
    DeclaredUser,
    Identifier,
    KeyUse,
    MemoryKeys,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    SqliteStorage,
    Status,
    SubscriberNumber,
)
from abonent.core.states import Identified
from abonent.errors import AbonentError, KeyInUse
from abonent.ports import Keys
from abonent.sealing import key_of
from abonent.simulation import SimulatedOperator, SimulatedRouter, SimulatedSender

SPACE, OPERATOR = "m", "mts"
ROOTS = {"k1": bytes(range(32)), "k2": bytes(range(100, 132))}
OLD = Keys(current="k1", roots={"k1": ROOTS["k1"]})
OVERLAP = Keys(current="k1", roots=ROOTS)
NEW = Keys(current="k2", roots=ROOTS)
ONLY_NEW = Keys(current="k2", roots={"k2": ROOTS["k2"]})
HOUR = timedelta(hours=1)
PAGE = 500


@frozen
class Ahead:
    """The clock of this machine, so far ahead."""

    by: timedelta = timedelta(0)
    test_double = True

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


def opened(
    path: Path, keys: Keys, sender: SimulatedSender | None = None, ahead: timedelta | None = None
) -> Identifier:
    """A foreign messenger whose one operator answers at once."""
    return Identifier(
        messenger=Messenger(id=SPACE, kind=MessengerKind.FOREIGN),
        storage=SqliteStorage(path, busy_timeout=timedelta(seconds=60), territory="RU"),
        keys=MemoryKeys(keys),
        possession=OneTimeCodes(sender or SimulatedSender(), prompt=True),
        agreements=[
            Agreement(
                id="a", messenger=SPACE, operator=OPERATOR, starts=datetime(2020, 1, 1, tzinfo=UTC)
            )
        ],
        gateways={OPERATOR: SimulatedOperator(OPERATOR)},
        router=SimulatedRouter(OPERATOR),
        clock=Ahead(ahead or timedelta(0)),
        unsafe_test_doubles=True,
    )


def known(number: int) -> tuple[str, str]:
    """A user whom the messenger had before, and their number."""
    return f"user-{number}", f"+7916{number:07d}"


def newcomer(number: int) -> tuple[str, str]:
    return f"new-{number}", f"+7917{number:07d}"


# --- callers ------------------------------------------------------------------------------


@define
class Caller:
    """Identifies people of its own, one after the other, and notes what should not have been."""

    place: int
    callers: int
    users: int
    sender: SimulatedSender
    identifier: Identifier
    identified: set[str] = Factory(set)
    calls: Counter[str] = Factory(Counter)
    wrong: list[str] = Factory(list)

    def run(self, over: threading.Event) -> None:
        chance = random.Random(self.place)
        known_ones = list(range(self.place, self.users, self.callers))
        chance.shuffle(known_ones)
        turn = 0
        while not over.is_set() and not self.wrong:
            turn += 1
            try:
                self._look(*known(known_ones[-1 - turn % len(known_ones)]))
                if turn % 3 == 0 and len(known_ones) > self.users // self.callers // 2:
                    self._identify(*known(known_ones.pop()), was_open=True)
                else:
                    self._identify(*newcomer(turn * self.callers + self.place), was_open=False)
                if turn % 5 == 0:
                    self._look(chance.choice(sorted(self.identified)), "")
            except Exception as error:
                self.wrong.append(f"a call failed: {error!r}")

    def _identify(self, user: str, number: str, *, was_open: bool) -> None:
        identifier = self.identifier
        claimed = identifier.claim(user, number)
        self.calls["claim"] += 1
        if claimed.gate.open != was_open:
            self.wrong.append(f"{user}: the gate is {claimed.gate} while a number is claimed")
        code = self.sender.code_for(SubscriberNumber(number))
        proven = identifier.prove(user, code)
        self.calls["prove"] += 1
        if proven.status is not Status.IDENTIFIED or not proven.gate.open:
            self.wrong.append(f"{user}: {proven.status} after the right code")
        self.identified.add(user)

    def _look(self, user: str, number: str) -> None:
        self.calls["gate"] += 1
        if not self.identifier.gate(user).open:
            self.wrong.append(f"{user}: the gate is closed")


# --- the process that turns the keys --------------------------------------------------------


def turn_keys(path: Path, told: Any) -> None:
    """Make one pass from the beginning; tell how far it is after each page."""
    with opened(path, NEW) as identifier:
        seen, after = 0, b""
        while True:
            page = identifier.reseal(after=after, limit=PAGE)
            seen += page.seen
            told.send((seen, page.resealed, page.waiting))
            if page.cursor is None:
                return
            after = page.cursor


@define
class Turned:
    """What came of it."""

    users: int
    callers: int
    kills: int = 0
    resealed: int = 0
    passes: int = 0
    seconds: float = 0.0
    calls: Counter[str] = Factory(Counter)
    identified: int = 0
    rows: int = 0
    wrong: list[str] = Factory(list)


def rotate(folder: Path, users: int, callers: int, kills: int) -> Turned:
    """Turn the keys of so many users under so many callers, killed so often."""
    path = folder / "rotation.db"
    found = Turned(users=users, callers=callers)
    with opened(path, OLD) as identifier:
        rows = (
            DeclaredUser(user_id=user, number=number, proven_at=datetime(2026, 1, 1, tzinfo=UTC))
            for user, number in map(known, range(users))
        )
        report = identifier.import_identified(rows)
    if report.imported != users:
        raise RuntimeError(f"{report.imported} of {users} users were imported")
    sender = SimulatedSender()
    began, chance = time.monotonic(), random.Random(7)
    with opened(path, OVERLAP, sender) as old, opened(path, NEW, sender) as new:
        team = [
            Caller(each, callers, users, sender, old if each % 2 else new)
            for each in range(callers)
        ]
        over = threading.Event()
        crowd = [threading.Thread(target=each.run, args=(over,)) for each in team]
        for each in crowd:
            each.start()
        try:
            for turn in range(kills + 1):
                at = (turn + chance.random()) / (kills + 1) if turn < kills else None
                _turn_once(path, at, chance, found)
                for each in team:
                    each.identifier = new  # the service is started anew, process by process
        finally:
            over.set()
            for each in crowd:
                each.join()
    found.seconds = time.monotonic() - began
    for each in team:
        found.calls.update(each.calls)
        found.identified += len(each.identified)
        found.wrong += each.wrong
    found.wrong += _judge(path, found, {user for each in team for user in each.identified})
    return found


def _turn_once(path: Path, at: float | None, chance: random.Random, found: Turned) -> None:
    """Have a process make a pass, and kill it when it has come so far."""
    context = multiprocessing.get_context("spawn")
    hears, tells = context.Pipe(duplex=False)
    child = context.Process(target=turn_keys, args=(path, tells))
    child.start()
    tells.close()
    found.passes += 1
    struck = False
    try:
        while True:
            seen, resealed, _ = hears.recv()
            found.resealed += resealed
            if at is not None and not struck and seen >= at * found.users:
                time.sleep(chance.uniform(0, 0.02))  # in the midst of the next page, mostly
                child.kill()  # only a process that was started above
                struck = True
    except EOFError:
        child.join(60)
    found.kills += struck and child.exitcode == -9
    if not struck and child.exitcode != 0:
        found.wrong.append(f"the process that turns the keys ended with {child.exitcode}")


# --- what must be so at the end ---------------------------------------------------------------


def _passes(identifier: Identifier, most: int = 4) -> int:
    """Make passes until one finds nothing to move; return how many it took."""
    for each in range(1, most + 1):
        after: bytes | None = b""
        moved = 0
        while after is not None:
            page = identifier.reseal(after=after, limit=PAGE)
            moved, after = moved + page.resealed, page.cursor
        if not moved:
            return each
    return most + 1


def _judge(path: Path, found: Turned, identified: set[str]) -> Iterator[str]:
    with opened(path, NEW) as identifier:
        if _passes(identifier) > 2:
            yield "a pass while nobody called left something to move"
        yield from _tried(lambda: identifier.retire_key("k1"), KeyInUse)
    rows, under = _rows(path)
    found.rows = rows
    if rows != found.users + sum(each.startswith("new-") for each in identified):
        yield f"{rows} rows for {found.users} users and {len(identified)} identified"
    if under != {"k2": rows}:
        yield f"rows are sealed under {dict(under)}"
    with opened(path, NEW, ahead=25 * HOUR) as identifier:
        identifier.sweep(limit=1_000_000)
        _passes(identifier)
        yield from _left(identifier.key_uses())
    with opened(path, NEW, ahead=50 * HOUR) as identifier:
        identifier.retire_key("k1")
    with opened(path, ONLY_NEW, ahead=50 * HOUR) as identifier:
        replay = identifier.replay()
        if not replay.ok or replay.records != rows:
            yield f"{len(replay.differing)} of {replay.records} rows differ from their journal"
        standings = Counter(
            each.user_id for each in identifier.standings() if each.status is Status.IDENTIFIED
        )
        everybody = {known(each)[0] for each in range(found.users)} | identified
        if set(standings) != everybody or set(standings.values()) != {1}:
            yield f"{len(standings)} users stand as identified, not {len(everybody)}, once each"
        closed = sum(not identifier.gate(each).open for each in everybody)
        if closed:
            yield f"{closed} gates are closed"
        yield from _aliases(path, identifier, rows)


def _tried(call: Callable[[], object], refusal: type[AbonentError]) -> Iterator[str]:
    try:
        call()
    except refusal:
        return
    yield f"{refusal.__name__} was not raised"


def _left(uses: tuple[KeyUse, ...]) -> Iterator[str]:
    for each in uses:
        if not each.current and (each.records or each.clear_since is None):
            yield f"{each.records} records lead to {each.key_id}, clear since {each.clear_since}"


def _rows(path: Path) -> tuple[int, Counter[str]]:
    """How many user rows there are, and under which keys."""
    with closing(sqlite3.connect(path)) as connection:
        bodies = connection.execute(
            "SELECT r.body FROM record r JOIN name n ON n.id = r.id JOIN space s ON s.id = n.space"
            " WHERE s.name = ? AND length(n.key) = 16",
            (SPACE,),
        ).fetchall()
    return len(bodies), Counter(key_of(body) for (body,) in bodies)


def _aliases(path: Path, identifier: Identifier, rows: int) -> Iterator[str]:
    """Each row is known by its subject, and by its number under the new key, and nothing else."""
    keyring = identifier._engine.archive.keyring
    expected: set[tuple[bytes, bytes]] = set()
    for held in identifier._feed._rows():
        expected.add((held.subject + b"j", held.key))
        state = held.aggregate.state
        if isinstance(state, Identified):
            expected.add((keyring.number_tags(state.number)[0] + b"h", held.key))
    with closing(sqlite3.connect(path)) as connection:
        there = set(connection.execute("SELECT alias, owner FROM alias").fetchall())
    if there != expected or len(there) != 2 * rows:
        yield f"{len(there - expected)} aliases too many, {len(expected - there)} are missing"

"""Concurrent runs say nothing that the core, one call at a time, could not have said."""

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from abonent import MemoryStorage, SqliteStorage, Standing, Status
from abonent.ports import Put, Record, Storage, Unit
from abonent.simulation import Reply
from tests.concurrency.crowds import BOUND, at_once
from tests.histories.checker import Call, Explained, Unexplained, check
from tests.histories.recording import Stage

THREADS, CALLS = 8, 4


def claimed(stage: Stage) -> None:
    stage.alone("claim", stage.users[0], stage.number.e164)


def both_claimed(stage: Stage) -> None:
    for user in stage.users:
        stage.alone("claim", user, stage.number.e164)


def code_to_resend(stage: Stage) -> None:
    both_claimed(stage)
    stage.clock.advance(61)


def code_expired(stage: Stage) -> None:
    both_claimed(stage)
    stage.clock.advance(11 * 60)


def identified(stage: Stage) -> None:
    stage.carrier.script(Reply.HELD)
    both_claimed(stage)
    stage.alone("prove", stage.users[0], stage.phone.messages[0].code.digits)


def answer_overdue(stage: Stage) -> None:
    stage.carrier.script(Reply.LATER)
    both_claimed(stage)
    stage.alone("prove", stage.users[0], stage.phone.messages[0].code.digits)
    stage.clock.advance(20 * 60 + 2)


BEGINNINGS = (claimed, both_claimed, code_to_resend, code_expired, identified, answer_overdue)
"""How things stand when the crowd comes; time stands still from then on."""


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads take turns every few instructions, where no input or output parts them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def played(stores: Sequence[Storage], run: int) -> list[Call[Any]]:
    """One concurrent run, explained."""
    stage = Stage(stores, random.Random(run), run=run)
    BEGINNINGS[run % len(BEGINNINGS)](stage)
    stage.crowd(THREADS, CALLS)
    for user in stage.users:
        stage.alone("standing", user)
    stage.settle()
    calls, initial = stage.history()
    found = check(calls, initial)
    assert isinstance(found, Explained), f"run {run}: {found}"
    assert stage.identifiers[0].replay().ok
    return calls


def overlaps(calls: Sequence[Call[Any]]) -> int:
    """How many pairs of calls were under way at the same time."""
    return sum(
        one.invoked < other.invoked < (one.returned or 0) for one in calls for other in calls
    )


def seen_in(runs: Sequence[Sequence[Call[Any]]]) -> Counter[str]:
    """What was said, without the figures."""
    return Counter(each.result.split(",")[0] for calls in runs for each in calls)


COMMON = {
    "proving_possession",
    "awaiting_answer",
    "identified",
    "not_passed",
    "forgotten",
    "CODE_SPENT",
    "UNKNOWN_USER",
    "True",
}
"""What so many runs do not miss: a check of nothing but first claims would say little."""


@pytest.mark.slow
@pytest.mark.parametrize("identifiers", [1, 2])
def test_runs_in_memory_are_explained(switching: None, identifiers: int):
    """I3, I4, I6: eight threads on two users of one number, forty-eight times over."""
    store = MemoryStorage()
    runs = [played([store] * identifiers, run) for run in range(48)]
    assert COMMON <= seen_in(runs).keys()
    assert sum(overlaps(calls) for calls in runs) > 48 * CALLS * THREADS // 4


@pytest.mark.slow
@pytest.mark.parametrize("identifiers", [1, 2])
def test_runs_on_sqlite_are_explained(tmp_path: Path, identifiers: int):
    """I3, I4, I6: the same on a file, by one identifier or by two that share only the file."""
    stores = [SqliteStorage(tmp_path / "kept.db", territory="RU") for _ in range(identifiers)]
    runs = [played(stores, run) for run in range(18)]
    assert COMMON <= seen_in(runs).keys()
    assert sum(overlaps(calls) for calls in runs) > 18 * CALLS * THREADS // 4
    for store in stores:
        store.close()


# --- wrong stores are found out -----------------------------------------------------------


class LosesUpdates(MemoryStorage):
    """Takes every put as if it found what it expects; two readers are let in together once."""

    def __init__(self) -> None:
        super().__init__()
        self.together: threading.Barrier | None = None

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        found = super().load(space, keys)
        together = self.together
        if together is not None:
            with suppress(threading.BrokenBarrierError):
                together.wait(BOUND)
            self.together = None
        return found

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        applied: list[bool] = []
        for unit in units:
            puts = [self._forced(unit.space, put) for put in unit.puts]
            forced = Unit(unit.space, tuple(puts), unit.aliases, unit.appends)
            applied += super().commit([forced])
            for put in unit.puts:
                if put.body is not None:
                    kept = Record(put.expected + 1, put.body)
                    self._spaces[unit.space].records[put.key] = kept
        return applied

    def _forced(self, space: str, put: Put) -> Put:
        held = self._spaces[space].records.get(put.key)
        return Put(put.key, 0 if held is None else held.version, put.body, put.wake)


class LagsBehind(MemoryStorage):
    """Reads of whoever asks now come from before the last commit."""

    def __init__(self) -> None:
        super().__init__()
        self.lagging = False
        self._before: dict[bytes, Record] = {}

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        if self.lagging:
            return [self._before.get(key) for key in keys]
        return super().load(space, keys)

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        for unit in units:
            self._before = dict(self._spaces[unit.space].records)
        return super().commit(units)


def lost_update(store: LosesUpdates) -> Stage:
    stage = Stage([store, store], random.Random(1))
    claimed(stage)
    stage.settle()
    store.together = threading.Barrier(2)
    outcomes = at_once(
        partial(stage.call, f"caller {n}", identifier, "prove", stage.users[0], "000000")
        for n, identifier in enumerate(stage.identifiers)
    )
    assert all(isinstance(each, Standing) for each in outcomes)
    return stage


def stale_read(store: LagsBehind) -> Stage:
    stage = Stage([store], random.Random(1))
    claimed(stage)
    stage.settle()
    stage.alone("prove", stage.users[0], "000000")
    store.lagging = True
    stage.alone("standing", stage.users[0])
    return stage


@pytest.mark.parametrize(("wrong", "play"), [(LosesUpdates, lost_update), (LagsBehind, stale_read)])
def test_wrong_stores_make_histories_that_are_refused(
    wrong: type[Any], play: Callable[[Any], Stage]
):
    """P1: a store that loses an update, or shows an old state, cannot be explained."""
    calls, initial = play(wrong()).history()
    found = check(calls, initial)
    assert isinstance(found, Unexplained)
    assert "tries left" in str(found)


def test_the_same_plays_on_a_right_store_are_explained():
    """Without the fault there is nothing to find: the two guesses leave three tries and two."""
    stage = Stage([MemoryStorage()] * 2, random.Random(1))
    claimed(stage)
    outcomes = at_once(
        partial(stage.call, f"caller {n}", identifier, "prove", stage.users[0], "000000")
        for n, identifier in enumerate(stage.identifiers)
    )
    assert all(each.status is Status.PROVING_POSSESSION for each in outcomes)
    calls, initial = stage.history()
    assert isinstance(check(calls, initial), Explained)

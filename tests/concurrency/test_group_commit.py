"""Callers who share a commit do not share each other's troubles."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from abonent import MemoryStorage, SqliteStorage, Standing
from abonent.engine import commits as group
from abonent.engine.commits import GroupCommit, Task
from abonent.errors import IdentifierClosed, StoreFull, StoreUnavailable
from tests.concurrency.crowds import BOUND, Held, Running, at_once, until
from tests.properties.parts import N1, World


def process_all(tasks: Sequence[Task]) -> None:
    for each in tasks:
        each.result = each.work(None)


def task(function: Any = lambda _: "done") -> Task:
    return Task((), function)


def queue_behind(world: World, store: Held, calls: Sequence[Any]) -> list[Running]:
    """Have calls wait together behind one whose commit is held up; release it at last."""
    store.free.clear()
    store.entered.clear()
    first = Running(partial(world.identifier.claim, "first", N1.e164))
    assert store.entered.wait(BOUND)
    waiting = []
    for each in calls:
        before = len(world.identifier._loop.commits._queue)
        waiting.append(Running(each))
        until(lambda before=before: len(world.identifier._loop.commits._queue) > before)
    store.batches.clear()
    store.free.set()
    assert isinstance(first.outcome(), Standing)
    return waiting


def test_a_conflict_never_hurts_neighbours(tmp_path: Path):
    """Of eight callers in one commit, the one who lost decides anew; the others are done."""
    store = Held(SqliteStorage(tmp_path / "kept.db", territory="RU"))
    with World(store) as world, World(SqliteStorage(tmp_path / "kept.db", territory="RU")) as other:
        names = [f"user-{each}" for each in range(8)]
        for name in names:
            world.identifier.claim(name, N1.e164)
        world.flush()
        wrong = "000000"

        def interfere(units: list[Any]) -> None:
            def also(_: Any) -> None:
                other.identifier.prove("user-3", wrong)

            store.before = also

        store.before = interfere
        calls = [partial(world.identifier.prove, name, wrong) for name in names]
        outcomes = [each.outcome() for each in queue_behind(world, store, calls)]
        assert all(isinstance(each, Standing) for each in outcomes)
        shared = [applied for size, applied in store.batches if size >= 8]
        assert [applied.count(False) for applied in shared] == [1]
        assert world.failures("user-3") == 2
        assert [world.failures(name) for name in names if name != "user-3"] == [1] * 7


@pytest.mark.parametrize("trouble", [StoreUnavailable("gone"), StoreFull("full")])
def test_a_failing_commit_fails_every_waiter(trouble: Exception):
    """A store that is out of reach fails each of those who share the commit; nobody hangs."""
    store = Held(MemoryStorage())
    with World(store) as world:

        def fail(_: Any) -> None:
            def now(_: Any) -> None:
                raise trouble

            store.before = now

        store.before = fail
        calls = [partial(world.identifier.claim, f"user-{each}", N1.e164) for each in range(8)]
        outcomes = [each.outcome() for each in queue_behind(world, store, calls)]
        assert {type(each) for each in outcomes} == {type(trouble)}
        assert len({id(each) for each in outcomes}) == len(outcomes)  # each has a traceback
        assert isinstance(world.identifier.claim("user-1", N1.e164), Standing)


def test_a_task_that_raises_hurts_only_itself():
    """An unforeseen error of one caller is theirs; the others' work is committed."""
    store = Held(MemoryStorage())
    with World(store) as world:
        submit = world.identifier._loop.commits.submit

        def broken(_: Any) -> None:
            raise LookupError("a bug")

        calls: list[Any] = [
            partial(world.identifier.claim, f"user-{each}", N1.e164) for each in range(6)
        ]
        calls.insert(3, partial(submit, Task((b"k" * 16,), broken)))
        outcomes = [each.outcome() for each in queue_behind(world, store, calls)]
        assert isinstance(outcomes.pop(3), LookupError)
        assert all(isinstance(each, Standing) for each in outcomes)


def test_a_task_that_raises_leaves_nothing_of_itself():
    """Of two tasks on one user in one commit, the one that raises takes nothing back or along."""
    store = Held(MemoryStorage())
    with World(store) as world:
        world.identifier.claim("alice", N1.e164)
        world.flush()
        wrong = world.wrong()
        calls: list[Any] = [partial(world.identifier.prove, "alice", wrong) for _ in range(8)]
        outcomes = [each.outcome() for each in queue_behind(world, store, calls)]
        admitted = [each for each in outcomes if isinstance(each, Standing)]
        assert len(admitted) == 5
        assert world.failures("alice") == 5
        assert world.identifier.replay().ok


def test_forgetting_right_behind_another_call():
    """A user who is forgotten in the very commit that carries a call of theirs is forgotten."""
    store = Held(MemoryStorage())
    with World(store) as world:
        world.identify("alice")
        world.flush()
        calls: list[Any] = [
            partial(world.identifier.claim, "alice", "+79035557788"),
            partial(world.identifier.forget, "alice"),
            partial(world.identifier.claim, "alice", N1.e164),
        ]
        outcomes = [each.outcome() for each in queue_behind(world, store, calls)]
        assert [type(each) for each in outcomes] == [Standing, bool, Standing]
        assert outcomes[1] is True
        assert world.identifier.replay().ok
        assert world.events("alice")[0] == "UserForgotten"


class Interrupted(BaseException):
    """What a signal raises in the thread that leads."""


def test_an_interrupted_leader_leaves_nobody_hanging():
    """Whatever breaks off a leader, its waiters get an error and the next call works."""
    left = [1]
    entered, free = threading.Event(), threading.Event()

    def process(tasks: Sequence[Task]) -> None:
        entered.set()
        assert free.wait(BOUND)
        if len(tasks) > 1 and left:
            left.pop()
            raise Interrupted
        process_all(tasks)

    commits = GroupCommit(process)
    first = Running(lambda: commits.submit(task()))
    assert entered.wait(BOUND)
    waiting = [Running(lambda: commits.submit(task())) for _ in range(8)]
    until(lambda: len(commits._queue) == 8)
    free.set()
    assert first.outcome() == "done"
    outcomes = [type(each.outcome()) for each in waiting]
    # The interrupt is for the thread that it struck; the others only learn that it failed.
    assert outcomes.count(Interrupted) == 1
    assert outcomes.count(StoreUnavailable) == 7
    assert Running(lambda: commits.submit(task())).outcome() == "done"
    Running(commits.close).outcome()


INTERRUPTED_WAITER = """
import signal, sys, threading, time
from abonent.engine.commits import GroupCommit, Task

entered, free = threading.Event(), threading.Event()

def process(tasks):
    entered.set()
    free.wait(20)
    for each in tasks:
        each.result = each.work(None)

commits = GroupCommit(process)
def submit():
    return commits.submit(Task((), lambda _: "done"))

threading.Thread(target=submit, daemon=True).start()
entered.wait(20)

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.3)
try:
    submit()
    sys.exit("it was not interrupted")
except KeyboardInterrupt:
    pass
free.set()
time.sleep(0.2)
box = []
later = threading.Thread(target=lambda: box.append(submit()), daemon=True)
later.start()
later.join(10)
if box != ["done"]:
    sys.exit("a later caller hangs")
closing = threading.Thread(target=commits.close, daemon=True)
closing.start()
closing.join(10)
sys.exit("close hangs" if closing.is_alive() else 0)
"""


def test_an_interrupted_waiter_leaves_nobody_hanging():
    """Ctrl-C in a thread that waits for its commit hangs neither later callers nor close."""
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WAITER],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr


def test_a_waiter_that_cannot_be_told_hurts_nobody():
    """An event loop that is closed meanwhile cannot be told; the others are served."""
    entered, free = threading.Event(), threading.Event()

    def process(tasks: Sequence[Task]) -> None:
        entered.set()
        assert free.wait(BOUND)
        process_all(tasks)

    def gone() -> None:
        raise RuntimeError("Event loop is closed")

    commits = GroupCommit(process)
    first = Running(lambda: commits.submit(task()))
    assert entered.wait(BOUND)
    deaf = task()
    deaf.notify = gone
    assert commits.enqueue(deaf) is False
    waiting = [Running(lambda: commits.submit(task())) for _ in range(4)]
    until(lambda: len(commits._queue) == 5)
    free.set()
    assert first.outcome() == "done"
    assert [each.outcome() for each in waiting] == ["done"] * 4
    assert Running(lambda: commits.submit(task())).outcome() == "done"


def test_leadership_is_handed_over(monkeypatch: pytest.MonkeyPatch):
    """A leader serves others no longer than its own task takes; posted tasks are done as well."""
    monkeypatch.setattr(group, "MOST", 4)
    leaders: list[int] = []
    largest: list[int] = []

    def process(tasks: Sequence[Task]) -> None:
        leaders.append(threading.get_ident())
        largest.append(len(tasks))
        process_all(tasks)

    commits = GroupCommit(process)
    posted = [task() for _ in range(16)]

    def work(each: int) -> Any:
        if each % 4 == 0:
            commits.post(posted[each // 4])
        return commits.submit(task())

    assert at_once(partial(work, each) for each in range(64)) == ["done"] * 64
    until(lambda: all(each.done for each in posted))
    assert max(largest) <= 4
    assert all(each.result == "done" for each in posted)
    assert not commits._busy
    commits.close()


def test_what_is_posted_is_done_without_a_caller():
    """A posted outcome waits for somebody's flush a moment, then gets one of its own."""
    commits = GroupCommit(process_all)
    several = [task() for _ in range(5)]
    for each in several:
        commits.post(each)
    until(lambda: all(each.done for each in several))
    commits.close()


def test_what_is_posted_while_all_leave_is_not_lost():
    """Posting and submitting at once, many times: every posted task is done in the end."""
    commits = GroupCommit(process_all)
    posted: list[Task] = []
    mutex = threading.Lock()

    def work(each: int) -> Any:
        for _ in range(50):
            one = task()
            with mutex:
                posted.append(one)
            commits.post(one)
            assert commits.submit(task()) == "done"
        return each

    at_once(partial(work, each) for each in range(8))
    until(lambda: all(each.done for each in posted))
    assert len(posted) == 400
    commits.close()


def test_nothing_is_taken_after_closing():
    """A closed group commit settles what was posted and refuses all else."""
    commits = GroupCommit(process_all)
    last = task()
    commits.post(last)
    commits.close()
    assert last.done
    for refused in (commits.submit, commits.post, commits.enqueue):
        with pytest.raises(IdentifierClosed):
            refused(task())
    commits.close()


def test_closing_ends_the_thread_that_lingers(monkeypatch: pytest.MonkeyPatch):
    """A thread that waits to flush what was posted ends with the group commit it is of."""
    lingers, closed = threading.Event(), threading.Event()

    def sleep(_: float) -> None:
        lingers.set()
        assert closed.wait(BOUND)

    monkeypatch.setattr(group, "time", SimpleNamespace(sleep=sleep))
    commits = GroupCommit(process_all)
    commits.post(task())
    assert lingers.wait(BOUND)
    commits.close()
    closed.set()
    thread = commits._idler
    assert thread is not None
    thread.join(2)
    assert not thread.is_alive()


def test_a_flush_waits_for_the_batch_under_way():
    """Whoever flushes sees what others had handed in before: it is settled when this returns."""
    entered, free = threading.Event(), threading.Event()

    def process(tasks: Sequence[Task]) -> None:
        entered.set()
        assert free.wait(BOUND)
        process_all(tasks)

    commits = GroupCommit(process)
    first = task()
    leading = Running(partial(commits.submit, first))
    assert entered.wait(BOUND)
    flushing = Running(commits.flush)
    # Either it is queued behind the batch, or it was over at once, which must not be.
    until(lambda: commits._queue or not flushing.thread.is_alive())
    assert flushing.thread.is_alive()
    free.set()
    flushing.outcome()
    assert first.done
    assert "done" == leading.outcome()
    commits.close()


def test_closing_while_the_store_is_out_of_reach():
    """Who closes is told, and it is closed all the same: no thread of it runs on."""

    def away(_: Sequence[Task]) -> None:
        raise StoreUnavailable("away")

    closing = GroupCommit(away, linger=0.01)
    closing.post(task())
    idler = closing._idler
    assert idler is not None
    with pytest.raises(StoreUnavailable):
        closing.close()
    assert closing.closed
    with pytest.raises(IdentifierClosed):
        closing.submit(task())
    closing.close()
    idler.join(BOUND)
    assert not idler.is_alive()

"""Closing, forking, and effects that outlive their reason."""

import asyncio
import subprocess
import sys
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from abonent import (
    AsyncIdentifier,
    Consent,
    LateAnswer,
    MemoryStorage,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    OneTimeCodes,
    Outcome,
    Policy,
    SqliteStorage,
    Standing,
    Status,
)
from abonent.errors import AbonentError, IdentifierClosed, Unavailable
from abonent.ports import Answer, CodeMessage, GatewayFeatures, Query, RecordEntry, WithdrawEntry
from abonent.simulation import Reply, SimulatedOperator, SimulatedSender
from tests.concurrency.crowds import BOUND, Running
from tests.properties.parts import KEYS, N1, N2, START, M, N, World

CALLS: dict[str, tuple[Any, ...]] = {
    "claim": ("alice", N1.e164),
    "prove": ("alice", "123456"),
    "standing": ("alice",),
    "gate": ("alice",),
    "require_open": ("alice",),
    "forget": ("alice",),
    "receive": (Notice(id="n", operator=M, kind=NoticeKind.PORTED, number=N1),),
    "sweep": (),
    "changes": (),
    "history": ("alice",),
    "replay": (),
}


@pytest.mark.parametrize("call", [*CALLS, "receive answer", "disclose"])
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_nothing_works_after_closing(call: str, store: str, tmp_path: Path):
    """A closed identifier refuses every call by name; a gate never answers from nowhere."""
    world = World(
        MemoryStorage()
        if store == "memory"
        else SqliteStorage(tmp_path / "kept.db", territory="RU")
    )
    world.identify("alice")
    world.identifier.close()
    world.identifier.close()
    with pytest.raises(IdentifierClosed):
        make(world.identifier, call)


def make(identifier: Any, call: str) -> Any:
    if call == "receive answer":
        late = LateAnswer(query_id="x", operator=M, outcome=Outcome.HELD)
        return identifier.receive(late)
    if call == "disclose":
        consent = Consent(user_id="alice", recipient="court", purpose="case", given_at=START)
        return identifier.disclose("alice", to="court", purpose="case", consent=consent)
    return getattr(identifier, call)(*CALLS[call])


@pytest.mark.parametrize("call", [*CALLS, "disclose"])
def test_nothing_works_after_closing_in_asyncio(call: str):
    """The same for the async shell."""

    class Quiet:
        def send(self, message: CodeMessage) -> None:
            pass

    async def main() -> None:
        identifier = AsyncIdentifier(
            messenger=Messenger(id="m", kind=MessengerKind.DOMESTIC),
            storage=MemoryStorage(),
            keys=KEYS,
            gateways={M: SimulatedOperator(M)},
            possession=OneTimeCodes(Quiet()),
            unsafe_test_doubles=True,
        )
        await identifier.close()
        await identifier.close()
        with pytest.raises(IdentifierClosed):
            await make(identifier, call)

    asyncio.run(main())


def test_closing_settles_what_was_posted(tmp_path: Path):
    """What was performed before closing is on record after it: nothing is performed twice."""
    path = tmp_path / "kept.db"
    world = World(SqliteStorage(path, territory="RU"))
    world.identify("alice")
    world.identifier.close()
    with World(
        SqliteStorage(path, territory="RU"), clock=world.clock, operators=world.operators
    ) as later:
        assert {"CodeSent", "CodeRecorded"} <= set(later.events("alice"))
        later.clock.advance(timedelta(days=1))
        assert later.identifier.sweep().tried == 0
    assert len(world.operators[M].records) == 1


class Slow(SimulatedSender):
    """A sender that takes a message and waits to be let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.free = threading.Event()

    def send(self, message: CodeMessage) -> None:
        self.entered.set()
        assert self.free.wait(BOUND)
        super().send(message)


HASTY = Policy(inline_wait=timedelta(milliseconds=10))


def test_closing_waits_for_what_runs(tmp_path: Path):
    """An effect that is under way when closing begins is finished and its outcome kept."""
    path = tmp_path / "kept.db"
    sender = Slow()
    world = World(SqliteStorage(path, territory="RU"), sender=sender, prompt=False, policy=HASTY)
    world.identifier.claim("alice", N1.e164)
    assert sender.entered.wait(BOUND)
    closing = Running(world.identifier.close)
    closing.thread.join(0.1)
    assert closing.thread.is_alive()
    sender.free.set()
    closing.outcome()
    with World(SqliteStorage(path, territory="RU")) as later:
        assert "CodeSent" in later.events("alice")


def test_a_call_while_closing_ends_by_name():
    """A call that comes while closing waits works or is refused; no raw error crosses."""
    sender = Slow()
    world = World(sender=sender, prompt=False, policy=HASTY)
    world.identifier.claim("alice", N1.e164)
    assert sender.entered.wait(BOUND)
    closing = Running(world.identifier.close)
    closing.thread.join(0.1)
    assert closing.thread.is_alive()
    meanwhile = [
        Running(partial(world.identifier.claim, f"user-{each}", N2.e164)) for each in range(4)
    ]
    outcomes = [each.outcome() for each in meanwhile]
    sender.free.set()
    closing.outcome()
    for each in outcomes:
        assert isinstance(each, Standing | AbonentError), repr(each)


FORKED = """
import os, sys, time, warnings
warnings.simplefilter("ignore")
from abonent.errors import UsedAfterFork
from abonent import MemoryStorage, SqliteStorage
from tests.concurrency.test_ends import CALLS, make
from tests.properties.parts import World

store = MemoryStorage() if sys.argv[1] == "memory" else SqliteStorage(sys.argv[1], territory="RU")
world = World(store)
world.identify("alice")
child = os.fork()
if not child:
    try:
        for call in [*CALLS, "disclose"]:
            try:
                make(world.identifier, call)
            except UsedAfterFork:
                continue
            print(call, "was not refused", file=sys.stderr)
            os._exit(1)
        world.identifier.close()
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        os._exit(2)
    os._exit(0)
_, status = os.waitpid(child, 0)
if not world.identifier.gate("alice").open:
    sys.exit("the parent cannot go on")
world.identifier.close()
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_nothing_works_after_a_fork(store: str, tmp_path: Path):
    """A forked child is refused every call, closes harmlessly, and the parent goes on."""
    where = "memory" if store == "memory" else str(tmp_path / "kept.db")
    ended = subprocess.run(
        [sys.executable, "-c", FORKED, where],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert ended.returncode == 0, ended.stderr


class OnePlace:
    """An operator with one place, in which it can be held up."""

    def __init__(self) -> None:
        self.features = GatewayFeatures(prompt=False, concurrency=1)
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()
        self.asks_fail = False
        self.records_fail = True
        self.told: list[tuple[str, str]] = []

    def ask(self, query: Query) -> Answer:
        self.entered.set()
        assert self.free.wait(BOUND)
        return Answer(outcome=Outcome.HELD)

    def record(self, entry: RecordEntry) -> None:
        self.told.append(("record", entry.code))
        if self.records_fail:
            raise Unavailable("not now")

    def withdraw(self, entry: WithdrawEntry) -> None:
        self.told.append(("withdraw", entry.code))


def test_i8_what_was_cancelled_while_it_queued_is_not_performed():
    """I8: a record that waits for a place is not made once its user was forgotten."""
    operator = OnePlace()
    operators = {M: operator, N: SimulatedOperator(N)}
    with World(operators=operators, policy=Policy(inline_wait=timedelta(seconds=1))) as world:
        code = world.identify("alice").identification_code
        if code is None:
            code = world.identifier.standing("alice").identification_code
        world.flush()
        assert ("record", code) in operator.told
        operator.records_fail = False
        operator.free.clear()
        operator.entered.clear()
        world.identifier.claim("boris", N2.e164)
        boris = Running(partial(world.identifier.prove, "boris", world.sender.code_for(N2)))
        assert operator.entered.wait(BOUND)
        world.clock.advance(20)
        made = len(operator.told)
        world.identifier.sweep()  # the record is tried again, and waits for its place
        assert world.identifier.forget("alice")
        operator.free.set()
        boris.outcome()
        world.identifier.close()
    assert ("record", code) not in operator.told[made:]


def test_i8_what_a_sweep_cancels_it_does_not_perform():
    """I8: an answer that displaces a holder ends the holder's record, in one sweep as well."""
    with World() as world:
        world.operators[M].fail_records(*[Reply.UNAVAILABLE] * 2)
        old = world.identify("boris").identification_code
        world.flush()
        world.clock.advance(6)
        world.identifier.sweep()  # tried a second time; the third is ten seconds away
        world.operators[M].script(Reply.UNAVAILABLE)
        world.identify("alice")
        world.flush()
        world.clock.advance(30)
        made = len(world.operators[M].records)
        world.identifier.sweep()
        assert world.identifier.standing("alice").status is Status.IDENTIFIED
        assert old not in {each.code for each in world.operators[M].records[made:]}

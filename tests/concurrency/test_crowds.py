"""Sixty-four callers with one code: exactly one passes, and every failure is counted."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from abonent import (
    AsyncIdentifier,
    MemoryStorage,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    Policy,
    SqliteStorage,
    Standing,
    Status,
)
from abonent.errors import AbonentError, NothingToProve, Refused
from abonent.ports import Storage
from abonent.simulation import SimulatedClock, SimulatedOperator, SimulatedRouter, SimulatedSender
from tests.concurrency.crowds import BOUND, at_once
from tests.properties.parts import KEYS, N1, N2, START, M, N, World, agreement, other_than

CROWD = 64
GENEROUS = Policy(tries_per_code=10, failures_per_day=100, sends_per_number=1000)
TIGHT = Policy(tries_per_code=10, failures_per_day=7, sends_per_number=1000)


@pytest.fixture(params=["memory", "sqlite", "two processes"])
def worlds(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[World]]:
    """One identifier, or two on one file that know nothing of each other."""
    made: list[World] = []

    def make(policy: Policy) -> list[World]:
        stores: list[Storage] = [MemoryStorage()]
        if request.param != "memory":
            count = 1 if request.param == "sqlite" else 2
            stores = [SqliteStorage(tmp_path / "kept.db", territory="RU") for _ in range(count)]
        first = World(stores[0], policy=policy)
        made.append(first)
        made.extend(
            World(
                store,
                policy=policy,
                clock=first.clock,
                sender=first.sender,
                operators=first.operators,
            )
            for store in stores[1:]
        )
        return made

    yield make
    for each in made:
        each.identifier.close()


def prove_all(worlds: list[World], code: str) -> list[Any]:
    return at_once(
        partial(worlds[each % len(worlds)].identifier.prove, "alice", code) for each in range(CROWD)
    )


def test_one_right_code_passes_once(worlds: Any):
    """P6: 64 threads with the right code: one proof, one pass, and an answer for everybody."""
    several: list[World] = worlds(GENEROUS)
    world = several[0]
    world.identifier.claim("alice", N1.e164)
    world.flush()
    outcomes = prove_all(several, world.sender.code_for(N1).digits)
    assert all(isinstance(each, Standing | Refused) for each in outcomes)
    assert world.identifier.standing("alice").status is Status.IDENTIFIED
    events = world.events("alice")
    assert [events.count(each) for each in ("PossessionProven", "OperatorAsked", "Passed")] == [
        1,
        1,
        1,
    ]
    assert world.failures("alice") == 0
    assert len(world.operators[M].recorded) == 1
    for each in several:
        each.flush()
    assert world.identifier.replay().ok


def test_every_wrong_code_is_counted(worlds: Any):
    """P1: 64 threads with a wrong code: as many failures as were admitted, and no more."""
    several: list[World] = worlds(GENEROUS)
    world = several[0]
    world.identifier.claim("alice", N1.e164)
    world.flush()
    outcomes = prove_all(several, world.wrong())
    admitted = [each for each in outcomes if isinstance(each, Standing)]
    refused = [each for each in outcomes if isinstance(each, Refused)]
    assert (len(admitted), len(refused)) == (GENEROUS.tries_per_code, 64 - GENEROUS.tries_per_code)
    assert world.failures("alice") == len(admitted)
    assert world.events("alice").count("ProofFailed") == len(admitted)


def test_the_budget_is_never_exceeded(worlds: Any):
    """P2: where the day's budget is the tighter one, it is met and not passed."""
    several: list[World] = worlds(TIGHT)
    world = several[0]
    world.identifier.claim("alice", N1.e164)
    world.flush()
    outcomes = prove_all(several, world.wrong())
    admitted = [each for each in outcomes if isinstance(each, Standing)]
    others = [each for each in outcomes if not isinstance(each, Standing)]
    assert all(isinstance(each, Refused | NothingToProve) for each in others)
    assert len(admitted) == TIGHT.failures_per_day == world.failures("alice")
    assert world.identifier.standing("alice").status is Status.NOT_PASSED


def test_a_crowd_claiming_one_number_leaves_one_holder(worlds: Any):
    """I3: 24 users prove one number at once: one holds it, and nobody is lost."""
    several: list[World] = worlds(GENEROUS)
    world = several[0]
    names = [f"user-{each}" for each in range(24)]
    outcomes = at_once(
        partial(several[each % len(several)].identifier.claim, name, N1.e164)
        for each, name in enumerate(names)
    )
    assert all(isinstance(each, Standing) for each in outcomes)
    for each in several:
        each.flush()
    codes = {}
    for name in names:
        state: Any = world.kept(name).state
        codes[name] = world.keyring.one_time_code(
            claim=state.claim,
            number=N1,
            issue=state.code.issue,
            key_id=state.code.key_id,
            digits=6,
        ).digits
    outcomes = at_once(
        partial(several[each % len(several)].identifier.prove, name, codes[name])
        for each, name in enumerate(names)
    )
    assert all(isinstance(each, Standing) for each in outcomes)
    opened = [name for name in names if world.identifier.gate(name).open]
    assert len(opened) == 1
    for each in several:
        each.flush()
    assert world.identifier.replay().ok


def test_claims_of_one_user_at_once_count_every_send(worlds: Any):
    """P20: what is sent is counted, by user and by number, however many claims fall together."""
    policy = Policy(sends_per_user=1000, sends_per_number=1000)
    several: list[World] = worlds(policy)
    world = several[0]
    outcomes = at_once(
        partial(several[each % len(several)].identifier.claim, "alice", number.e164)
        for each in range(16)
        for number in (N1, N2)
    )
    assert all(isinstance(each, Standing) for each in outcomes)
    for each in several:
        each.flush()
    issued = world.events("alice").count("CodeIssued")
    kept = world.kept("alice")
    assert kept is not None
    assert len(kept.sends) == issued
    from abonent.engine.archive import sends_key
    from abonent.records import decode_instants

    counted = 0
    for number in (N1, N2):
        key = sends_key(world.keyring.number_tags(number)[0])
        record = world.storage.load("m", [key])[0]
        if record is not None:
            body = world.keyring.open_row(key, record.version, record.body)
            counted += len(decode_instants(body))
    assert counted == issued


# --- asyncio ---------------------------------------------------------------------------


def of_asyncio(storage: Storage, sender: SimulatedSender, policy: Policy) -> AsyncIdentifier:
    return AsyncIdentifier(
        messenger=Messenger(id="m", kind=MessengerKind.FOREIGN),
        storage=storage,
        keys=KEYS,
        possession=OneTimeCodes(sender, prompt=True),
        agreements=[agreement(M), agreement(N)],
        gateways={M: SimulatedOperator(M), N: SimulatedOperator(N)},
        router=SimulatedRouter(M),
        policy=policy,
        clock=SimulatedClock(START),
        unsafe_test_doubles=True,
    )


@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("right", [True, False])
def test_a_crowd_of_tasks(store: str, right: bool, tmp_path: Path):
    """P6: 64 asyncio tasks with one code: one pass; with a wrong one: all admitted counted."""
    sender = SimulatedSender()

    async def main() -> None:
        storage = (
            MemoryStorage()
            if store == "memory"
            else SqliteStorage(tmp_path / "kept.db", territory="RU")
        )
        async with of_asyncio(storage, sender, GENEROUS) as identifier, asyncio.timeout(BOUND):
            await identifier.claim("alice", N1.e164)
            code = sender.code_for(N1).digits
            typed = code if right else other_than(code)

            async def prove() -> Any:
                try:
                    return await identifier.prove("alice", typed)
                except AbonentError as error:
                    return error

            outcomes = await asyncio.gather(*(prove() for _ in range(CROWD)))
            assert all(isinstance(each, Standing | Refused) for each in outcomes)
            told = [type(each.event).__name__ for each in await identifier.history("alice")]
            admitted = sum(isinstance(each, Standing) for each in outcomes)
            if right:
                assert told.count("PossessionProven") == told.count("Passed") == 1
                assert admitted == CROWD
            else:
                assert told.count("ProofFailed") == admitted == GENEROUS.tries_per_code
            assert (await identifier.replay()).ok

    asyncio.run(main())


def test_a_cancelled_task_hurts_nobody():
    """A caller that is cancelled while its commit is under way leaves no other waiting."""
    sender = SimulatedSender()

    async def main() -> None:
        async with of_asyncio(MemoryStorage(), sender, GENEROUS) as identifier:
            async with asyncio.timeout(BOUND):
                claims = [
                    asyncio.create_task(identifier.claim(f"user-{each}", N1.e164))
                    for each in range(32)
                ]
                await asyncio.sleep(0)
                for each in claims[::2]:
                    each.cancel()
                outcomes = await asyncio.gather(*claims, return_exceptions=True)
                assert sum(isinstance(each, Standing) for each in outcomes) >= 16
                assert (await identifier.claim("alice", N1.e164)).status
                assert (await identifier.replay()).ok

    asyncio.run(main())

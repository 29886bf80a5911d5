"""What was begun under one configuration and goes on under another: keys, messenger, rules."""

from datetime import timedelta

import pytest

from abonent import MemoryKeys, MessengerKind, Policy, Reason, Status
from abonent.errors import KeyUnavailable, TooManyFailures
from abonent.ports import Keys
from abonent.simulation import Reply
from tests.properties.parts import N1, N2, World

OLD, NEW = b"o" * 32, b"n" * 32
BEFORE = MemoryKeys(Keys(current="k1", roots={"k1": OLD}))
AFTER = MemoryKeys(Keys(current="k2", roots={"k1": OLD, "k2": NEW}))
ONLY_NEW = MemoryKeys(Keys(current="k2", roots={"k2": NEW}))
FEW = Policy(failures_per_day=4, tries_per_code=10)


def again(world: World, **changes: object) -> World:
    """Another process on the same store, with the same doubles."""
    kept = {
        "clock": world.clock,
        "sender": world.sender,
        "operators": world.operators,
        "router": world.router,
    }
    world.flush()
    return World(world.storage, **{**kept, **changes})


def test_a_code_outlives_a_rotation():
    """S40: a code issued under the first key passes when the second is current."""
    first = World(keys=BEFORE)
    first.identifier.claim("alice", N1.e164)
    second = again(first, keys=AFTER)
    assert second.identifier.prove("alice", second.sender.code_for(N1)).status is Status.IDENTIFIED
    assert second.identifier.replay().ok


def test_i6_failures_outlive_a_rotation():
    """I6: a new key does not give a new budget, neither to a claim that waits nor to a new one."""
    first = World(keys=BEFORE, policy=FEW)
    first.identifier.claim("alice", N1.e164)
    for _ in range(3):
        first.identifier.prove("alice", first.wrong())
    second = again(first, keys=AFTER, policy=FEW)
    second.identifier.claim("alice", N2.e164)
    second.clock.advance(timedelta(minutes=2))
    second.identifier.claim("alice", N1.e164)
    assert second.failures("alice") == 3
    assert second.identifier.prove("alice", second.wrong()).status is Status.NOT_PASSED
    assert second.failures("alice") == 4
    with pytest.raises(TooManyFailures):
        second.identifier.claim("alice", N1.e164)
    assert second.identifier.replay().ok


def test_i6_failures_of_a_waiting_claim_outlive_a_rotation():
    """I6: the claim that was made under the old key goes on under its own count."""
    first = World(keys=BEFORE, policy=FEW)
    first.identifier.claim("alice", N1.e164)
    for _ in range(3):
        first.identifier.prove("alice", first.wrong())
    second = again(first, keys=AFTER, policy=FEW)
    second.clock.advance(61)
    second.identifier.claim("alice", N1.e164)
    assert second.identifier.prove("alice", second.wrong()).status is Status.NOT_PASSED
    with pytest.raises(TooManyFailures):
        second.identifier.claim("alice", N1.e164)


@pytest.mark.parametrize("kind", MessengerKind)
def test_i3_a_holder_is_found_across_a_rotation(kind: MessengerKind):
    """I3: who held a number under the old key is displaced under the new one."""
    first = World(keys=BEFORE, kind=kind)
    first.identify("alice")
    second = again(first, keys=AFTER, kind=kind)
    second.clock.advance(60)
    second.identify("boris")
    assert second.identifier.gate("boris").open
    assert second.identifier.gate("alice").reason is Reason.DISPLACED
    assert second.identifier.replay().ok


def test_a_user_is_found_across_a_rotation():
    """A row that lies under the old index is read, moved and forgotten under the new key."""
    first = World(keys=BEFORE)
    first.identify("alice")
    second = again(first, keys=AFTER)
    assert second.identifier.gate("alice").open
    assert second.identifier.claim("alice", N1.e164).status is Status.IDENTIFIED
    assert second.identifier.forget("alice")
    assert not second.identifier.gate("alice").open
    assert second.identifier.gate("alice").reason is not Reason.CANNOT_SAY


def test_a_key_that_was_taken_away_is_named():
    """A row under a key that is gone: its index is gone with it, and a scan names the key."""
    first = World(keys=BEFORE)
    first.identify("alice")
    second = again(first, keys=ONLY_NEW)
    assert not second.identifier.gate("alice").open
    with pytest.raises(KeyUnavailable) as missing:
        second.identifier.replay()
    assert missing.value.key_id == "k1"


def test_i5_a_claim_made_while_domestic_does_not_pass_a_foreign_messenger():
    """I5: who is foreign now needs the operator's answer, whatever it was when it was claimed."""
    first = World(kind=MessengerKind.DOMESTIC)
    first.identifier.claim("alice", N1.e164)
    second = again(first, kind=MessengerKind.FOREIGN)
    standing = second.identifier.prove("alice", second.sender.code_for(N1))
    assert standing.status is not Status.IDENTIFIED
    assert not standing.gate.open


def test_i10_a_forgotten_user_with_an_open_withdrawal_does_not_spin():
    """I10: a withdrawal that fails for days is tried at its times, not at every sweep."""
    world = World()
    world.identify("alice")
    world.flush()
    world.operators["mts"].fail_records(*[Reply.UNAVAILABLE] * 100_000)
    world.identifier.forget("alice")
    world.flush()
    world.clock.advance(timedelta(hours=25))
    world.identifier.sweep()
    reports = []
    for _ in range(20):
        world.clock.advance(2)
        reports.append(world.identifier.sweep())
    # Whatever a sweep looked at, it had something to do with.
    assert [each.due for each in reports] == [each.tried for each in reports]
    assert 1 <= sum(each.tried for each in reports) <= 3

"""Our own codes under both shells: sent, compared as text, and told of when they come back."""

import asyncio

import pytest

from abonent import (
    AsyncIdentifier,
    AsyncOneTimeCodes,
    Identifier,
    MemoryKeys,
    MemoryStorage,
    Messenger,
    MessengerKind,
    OneTimeCode,
    OneTimeCodes,
    SubscriberNumber,
)
from abonent.errors import DoubleRefused
from abonent.ports import PossessionClaim, Verdict
from abonent.simulation import Reply, SimulatedClock, SimulatedSender
from tests.contracts.test_senders import AwaitedSender

NUMBER = "+79161234567"
CLAIM = PossessionClaim(
    id="claim.1", number=SubscriberNumber(NUMBER), code=OneTimeCode("493817"), locale="ru"
)
KINDS = [
    lambda proven: OneTimeCodes(SimulatedSender(), proven=proven),
    lambda proven: AsyncOneTimeCodes(AwaitedSender(SimulatedSender()), proven=proven),
]


@pytest.mark.parametrize("kind", KINDS, ids=["threads", "awaited"])
def test_a_code_that_came_back_is_told(kind):
    """The id of its message, and of no other; a wrong code is told to nobody."""
    proven = []
    codes = kind(proven.append)
    assert Verdict.FAILED is codes.check(OneTimeCode("493818"), CLAIM)
    assert [] == proven
    assert Verdict.PROVEN is codes.check(OneTimeCode("493817"), CLAIM)
    assert ["claim.1"] == proven


@pytest.mark.parametrize("kind", KINDS, ids=["threads", "awaited"])
def test_nobody_has_to_be_told(kind):
    """The hint may be left out."""
    assert Verdict.PROVEN is kind(None).check(OneTimeCode("493817"), CLAIM)


@pytest.mark.parametrize("kind", KINDS, ids=["threads", "awaited"])
def test_they_show_nothing(kind):
    """Neither sender nor code is in a repr (I9)."""
    assert "493817" not in repr(kind(None))


def surroundings(possession, **more):
    return {
        "messenger": Messenger(id="chat", kind=MessengerKind.DOMESTIC),
        "storage": MemoryStorage(),
        "keys": MemoryKeys.random(),
        "possession": possession,
        "clock": SimulatedClock(),
        "unsafe_test_doubles": True,
        **more,
    }


def test_awaited_codes_identify(recwarn):
    """The async shell awaits the sending and commits charge and verdict together (I6)."""
    sender, proven, facts = SimulatedSender(), [], []
    codes = AsyncOneTimeCodes(AwaitedSender(sender), proven=proven.append)

    async def identify():
        async with AsyncIdentifier(**surroundings(codes, observer=facts.append)) as identifier:
            await identifier.claim("alice", NUMBER, locale="ru")
            wrong = OneTimeCode(f"{(int(sender.code_for(NUMBER).digits) + 1) % 10**6:06}")
            assert not (await identifier.prove("alice", wrong)).gate.open
            flushes = sum(each.what == "flush" for each in facts)
            standing = await identifier.prove("alice", sender.code_for(NUMBER))
            assert flushes + 1 == sum(each.what == "flush" for each in facts)
            return standing

    assert asyncio.run(identify()).gate.open
    assert [sender.messages[0].id] == proven
    assert "ru" == sender.messages[0].locale


def test_an_awaited_sender_that_fails_is_tried_again():
    """Its errors cross the border as those of any adapter, and the sweep sends the same again."""
    sender = SimulatedSender()
    sender.fail(Reply.UNAVAILABLE)

    async def identify():
        given = surroundings(AsyncOneTimeCodes(AwaitedSender(sender)))
        async with AsyncIdentifier(**given) as identifier:
            await identifier.claim("alice", NUMBER)
            assert [] == sender.messages
            given["clock"].advance(30)
            await identifier.sweep()
            return await identifier.prove("alice", sender.code_for(NUMBER))

    assert asyncio.run(identify()).gate.open


@pytest.mark.parametrize("kind", KINDS, ids=["threads", "awaited"])
def test_a_double_as_sender_is_refused(kind):
    """Outside of tests (P12)."""
    codes = kind(None)
    shell = Identifier if isinstance(codes, OneTimeCodes) else AsyncIdentifier
    with pytest.raises(DoubleRefused):
        shell(**surroundings(codes, unsafe_test_doubles=False, clock=None))

"""The senders before a message centre that somebody else wrote: the server of smpp34."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from abonent import DeliveryState, OneTimeCode
from abonent.possession.smpp import AsyncSmppSender, SmppSender
from tests.possession.smpp.test_sending import waits_for
from tests.smsc import RealCentre, link_to

PATIENT = timedelta(seconds=20)
MESSAGE_STATE, RECEIPTED_MESSAGE_ID = 0x0427, 0x001E


@pytest.fixture
def centre():
    with RealCentre() as centre:
        yield centre


@pytest.fixture
def sender(centre):
    with SmppSender(link_to(centre, timeout=PATIENT)) as sender:
        yield sender


def test_a_message_is_taken_and_told_of(centre, sender, message, told):
    """Sent, taken, delivered: by the text of the receipt, and by its parameters."""
    sender.watch(told)
    one, other = message(), message(locale="ru")
    for each in (one, other, one):
        sender.send(each)
    assert ["Your code: 493817", "Ваш код: 493817"] == [each.text for each in centre.taken]
    first, second = (each.centre_id for each in centre.taken)
    assert [0] == centre.receipt(f"id:{first} stat:DELIVRD err:000".encode())
    parameters = [(RECEIPTED_MESSAGE_ID, f"{second}\0".encode()), (MESSAGE_STATE, b"\x05")]
    assert [0] == centre.receipt(b"", parameters)
    assert [
        (one.id, DeliveryState.DELIVERED),
        (other.id, DeliveryState.UNDELIVERABLE),
    ] == told


def test_a_crowd_is_taken(centre, sender, message):
    """Through one session, each once."""
    crowd = [message(code=OneTimeCode(f"{each:06}")) for each in range(300)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(sender.send, crowd))
    assert {each.id: each.code.digits for each in crowd} == {
        each.heard.id: each.heard.code for each in centre.taken
    }
    assert 1 == len(centre.sessions)


def test_an_awaited_crowd_is_taken(centre, message):
    """The same in an event loop."""
    crowd = [message(code=OneTimeCode(f"{each:06}")) for each in range(300)]

    async def send():
        async with AsyncSmppSender(link_to(centre, timeout=PATIENT)) as sender:
            await asyncio.gather(*(sender.send(each) for each in crowd))

    asyncio.run(send())
    assert {each.id: each.code.digits for each in crowd} == {
        each.heard.id: each.heard.code for each in centre.taken
    }


def test_it_says_good_bye(centre, sender, message):
    """The centre sees the session end in order."""
    sender.send(message())
    waits_for(lambda: len(centre.sessions) == 1)
    sender.close()
    waits_for(lambda: not centre.sessions)

"""A centre that does as it is told, a sender to it, and messages."""

import itertools

import pytest

from abonent import OneTimeCode, SubscriberNumber
from abonent.ports import CodeMessage
from abonent.possession.smpp import SmppSender
from tests.smsc import HASTY, FaultyCentre, link_to

NUMBER = SubscriberNumber("+79161234567")
CODE = "493817"


@pytest.fixture
def centre():
    with FaultyCentre() as centre:
        yield centre


@pytest.fixture
def sender_to():
    """Make senders, which are closed at the end."""
    made = []

    def make(centre, *arguments, **settings):
        made.append(SmppSender(link_to(centre, **settings), *arguments))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def sender(centre, sender_to):
    return sender_to(centre)


@pytest.fixture
def hasty(centre, sender_to):
    """A sender that soon gives up."""
    return sender_to(centre, timeout=HASTY)


@pytest.fixture
def message():
    """Make messages, each with an id of its own unless one is given."""
    serial = itertools.count(1)

    def make(message_id=None, **more):
        given = {"number": NUMBER, "code": OneTimeCode(CODE), "locale": ""}
        return CodeMessage(id=message_id or f"claim.{next(serial)}", **{**given, **more})

    return make


@pytest.fixture
def told():
    """What an observer was told, in order."""
    return Told()


class Told(list):
    def __call__(self, message_id, state):
        self.append((message_id, state))

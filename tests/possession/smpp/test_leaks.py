"""Nothing that anybody can read has a number, a code or a password in it (I9, P7)."""

import asyncio
import logging
import warnings

import pytest

from abonent.errors import AdapterError
from abonent.possession.smpp import AsyncSmppSender, SmppSender
from abonent.simulation import Reply
from abonent.testing.contracts.adapters import rendered, shows
from tests.possession.smpp.conftest import CODE, NUMBER
from tests.smsc import (
    HASTY,
    PASSWORD,
    SHOWS,
    is_silent,
    link_to,
    refuses,
    says,
    takes_and_cuts,
    unit,
)

SECRETS = (NUMBER, CODE, PASSWORD)


@pytest.fixture
def _all_is_logged(caplog):
    """Every logger at its most talkative, that of asyncio in its own debug mode included."""
    caplog.set_level(logging.DEBUG)


def everything_that_fails(centre, send, message):
    """Bring about whatever can be, and return what it raised."""
    centre.script.extend(
        [refuses(status) for status in (0x0A, 0x0B, 0x58, 0x0411)]
        + [says(b"\xff" * 40), takes_and_cuts(centre), is_silent]
    )
    raised = []

    def attempt():
        try:
            send(message())
        except AdapterError as error:
            raised.append(error)

    while centre.script:
        attempt()
    for reply in SHOWS - {Reply.HELD}:
        centre.show(reply)
        attempt()
    centre.show(Reply.HELD)
    attempt()
    hostile = f"id:m1 stat:{CODE} text:{NUMBER.e164} {CODE}".encode()
    for octets in (hostile, b"id:m1 stat:DELIVRD text:" + CODE.encode()):
        centre.deliver(octets)
        centre.deliver(octets, esm_class=0)
    centre.write(unit(5, 77, body=hostile))
    centre.write(unit(0x103, 78, body=hostile))
    for status in (0x0E, 0x0411):
        centre.bind_status = status
        centre.cut()
        attempt()
    return raised


@pytest.mark.usefixtures("_all_is_logged")
def test_a_sender_shows_nothing(centre, message, caplog, capfd, monkeypatch):
    """Not in a log at any level, on the streams, in a repr, an error or its traceback."""
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    monkeypatch.setenv("RUST_LOG", "trace")
    seen = []
    with SmppSender(link_to(centre, timeout=HASTY)) as sender:
        sender.watch(lambda message_id, state: seen.append(f"{message_id} {state}"))
        raised = everything_that_fails(centre, sender.send, message)
        seen += [repr(sender), repr(vars(sender)), repr(vars(sender._exchange))]
        seen += [repr(each) for each in fates_of(sender)]
        seen += [repr(task) for task in asyncio.all_tasks(sender._loop)]
        assert sender._loop.get_debug()
    assert len(raised) >= 10
    text = "\n".join((caplog.text, *capfd.readouterr(), *seen, *map(rendered, raised)))
    assert not shows(text, *SECRETS)


@pytest.mark.usefixtures("_all_is_logged")
def test_an_awaited_sender_shows_nothing(centre, message, caplog, capfd):
    """The same in an event loop of the application's, in debug mode."""
    raised = []

    async def use():
        async with AsyncSmppSender(link_to(centre, timeout=HASTY)) as sender:
            loop = asyncio.get_running_loop()

            def send(each):
                asyncio.run_coroutine_threadsafe(sender.send(each), loop).result(5)

            raised.extend(await asyncio.to_thread(everything_that_fails, centre, send, message))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(use(), debug=True)
    text = "\n".join((caplog.text, *capfd.readouterr(), *map(rendered, raised)))
    assert len(raised) >= 10
    assert not shows(text, *SECRETS)


def fates_of(sender):
    return [each for _, each in sender._exchange._fates._entries.values()]

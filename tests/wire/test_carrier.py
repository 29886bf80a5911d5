"""The sending end: what is posted where, and what a reply means."""

from __future__ import annotations

import asyncio
import inspect
from datetime import timedelta
from typing import Any

import attrs
import pytest

from abonent import Outcome
from abonent.errors import InvalidValue, Misconfigured, Unavailable
from abonent.ports import GatewayFeatures
from abonent.simulation import SimulatedClock
from abonent.transport import Response
from abonent.wire import (
    AsyncSignedCarrier,
    FileSigningKeys,
    SignedCarrier,
    SigningKeys,
    decode_event,
)
from tests.wire.parts import ANSWER, DAY, HOUR, KEYS, NOTICE, START, URL, Desk, M, Post, Wire

OTHER = "https://other.example/notices"
TAKEN = Response(status=204)


class AsyncWire(Wire):
    async def send(self, request: Any) -> Response:  # type: ignore[override]
        return super().send(request)


class Sending:
    """Either carrier with one face."""

    def __init__(self, shell: Any, *replies: Response | Exception, **options: Any) -> None:
        self.clock = SimulatedClock(START)
        self.wire = (Wire if shell is SignedCarrier else AsyncWire)(*replies)
        given = {
            "addresses": {"chat": URL, "other": OTHER},
            "keys": KEYS[M],
            "transport": self.wire,
            "clock": self.clock,
            **options,
        }
        self.inner = shell(**given)

    def deliver(self, messenger: str, item: Any = NOTICE) -> None:
        deliver = self.inner.deliver if item is not ANSWER else self.inner.deliver_answer
        done = deliver(messenger, item)
        if inspect.isawaitable(done):

            async def wait() -> None:
                await done

            asyncio.run(wait())


@pytest.fixture(params=[SignedCarrier, AsyncSignedCarrier], ids=["threads", "asyncio"])
def shell(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.parametrize("item", [NOTICE, ANSWER])
def test_what_is_posted_is_taken(shell, item):
    """One request to the messenger's own address, which its inbox takes as it is."""
    sending = Sending(shell, TAKEN, timeout=7.5)
    sending.deliver("chat", item)
    (request,) = sending.wire.sent
    assert ("POST", URL, 7.5) == (request.method, request.url, request.timeout)
    assert item == decode_event(request.body).item
    desk = Desk()
    posted = Post(body=request.body, lines=tuple(request.headers.items()))
    assert 204 == desk.reply(posted).status
    assert item == desk.receiver.taken[0][0]


def test_the_number_is_in_the_body_only(shell):
    """P7, I9: neither the address nor a header has it, nor the repr of what is sent."""
    sending = Sending(shell, TAKEN)
    sending.deliver("chat")
    (request,) = sending.wire.sent
    assert b"+79161234567" in request.body
    assert "9161234567" not in request.url + repr(dict(request.headers)) + repr(request)


def test_each_messenger_has_an_address_of_its_own(shell):
    """What is signed for one is of no use at another."""
    sending = Sending(shell, TAKEN)
    sending.deliver("other")
    (request,) = sending.wire.sent
    assert OTHER == request.url
    posted = Post(body=request.body, lines=tuple(request.headers.items()))
    assert 401 == Desk().reply(posted).status
    assert 204 == Desk(url=OTHER).reply(posted.but(url=OTHER)).status


def test_a_retry_is_signed_anew_and_is_the_same_event(shell):
    """P13, P14: hours later it is fresh again, and has the id of the first try."""
    sending = Sending(shell, TAKEN, TAKEN)
    sending.deliver("chat")
    sending.clock.advance(timedelta(hours=3))
    sending.deliver("chat")
    first, second = (decode_event(each.body) for each in sending.wire.sent)
    assert first.id == second.id
    assert first.item == second.item
    desk = Desk()
    desk.clock.advance(timedelta(hours=3))
    last = sending.wire.sent[1]
    assert 204 == desk.reply(Post(body=last.body, lines=tuple(last.headers.items()))).status


def test_a_rotation_is_seen_without_a_restart(shell, tmp_path):
    """The keys are asked for with each message."""
    file = FileSigningKeys.create(tmp_path / "keys.json", START)
    sending = Sending(shell, TAKEN, TAKEN, keys=file)
    sending.deliver("chat")
    rotated = file.rotate(START + DAY, lead=HOUR)
    sending.clock.set(START + DAY + HOUR)
    sending.deliver("chat")
    used = [request.headers["signature-input"] for request in sending.wire.sent]
    assert [True, False] == [rotated.keys[0].kid in each for each in used]
    assert [False, True] == [rotated.keys[1].kid in each for each in used]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_an_acknowledgement(shell, status):
    """Whatever is in the reply besides."""
    Sending(shell, Response(status=status, body=b'{"status": 500}')).deliver("chat")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_what_asks_to_be_tried_again(shell, status):
    """The messenger could not take it now."""
    with pytest.raises(Unavailable) as refused:
        Sending(shell, Response(status=status)).deliver("chat")
    assert "chat" == refused.value.adapter


@pytest.mark.parametrize(
    "status",
    [
        *(100, 101, 199, 300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406),
        *(409, 410, 411, 413, 414, 415, 422, 431, 451, 499),
    ],
)
def test_what_trying_again_will_not_change(shell, status):
    """Nothing that is not a plain yes is one, and a redirect is not followed."""
    sending = Sending(shell, Response(status=status, headers={"location": OTHER}))
    with pytest.raises(Misconfigured) as refused:
        sending.deliver("chat")
    assert "chat" == refused.value.adapter
    assert 1 == len(sending.wire.sent)


@pytest.mark.parametrize("error", [Unavailable("x"), Misconfigured("x")])
def test_what_the_transport_says_is_passed_on(shell, error):
    """Out of reach is one thing, a wrong certificate another."""
    with pytest.raises(type(error)):
        Sending(shell, error).deliver("chat")


@pytest.mark.parametrize(
    ("messenger", "item", "options"),
    [
        ("nobody", NOTICE, {}),
        ("chat", attrs.evolve(NOTICE, id="x" * 129), {}),
        ("chat", attrs.evolve(NOTICE, id="a\nb"), {}),
        ("chat", NOTICE, {"keys": SigningKeys.generate(START + DAY)}),
        ("chat", NOTICE, {"keys": FileSigningKeys("/nowhere/keys.json")}),
    ],
)
def test_what_cannot_be_sent_at_all(shell, messenger, item, options):
    """It is our own side that has to be put right; nothing is posted."""
    sending = Sending(shell, TAKEN, **options)
    with pytest.raises(Misconfigured):
        sending.deliver(messenger, item)
    assert [] == sending.wire.sent


def test_an_answer_that_is_none(shell):
    """LATER was said already."""
    sending = Sending(shell, TAKEN)
    later = attrs.evolve(ANSWER, outcome=Outcome.LATER)
    with pytest.raises(Misconfigured):
        sending.deliver("chat", later)


@pytest.mark.parametrize(
    "options",
    [
        {"addresses": {"chat": "http://chat.example/notices"}},
        {"addresses": {"chat": "https://chat.example/notices?number=1"}},
        {"addresses": {"chat": "https://user:secret@chat.example/"}},
        {"addresses": {"chat": "ftp://chat.example/"}},
        {"addresses": {"chat": ""}},
        {"timeout": 0},
        {"timeout": 301},
        {"concurrency": 0},
        {"concurrency": 1001},
    ],
)
def test_what_cannot_be_a_carrier(shell, options):
    """TLS, without anything in the address that does not belong into logs; figures in range."""
    with pytest.raises(InvalidValue):
        Sending(shell, **options)


def test_loopback_needs_no_certificate(shell):
    """For a test on one machine, by figures."""
    Sending(shell, addresses={"chat": "http://127.0.0.1:8000/notices"})


def test_how_many_at_once(shell):
    """A number that the operator's side keeps to, for each messenger."""
    assert GatewayFeatures(concurrency=8) == Sending(shell).inner.features
    assert 3 == Sending(shell, concurrency=3).inner.features.concurrency

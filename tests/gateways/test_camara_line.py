"""A line keeps the agreed rate, rests when it is down, and makes one try."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from abonent import Outcome
from abonent.errors import Misconfigured, Unavailable
from abonent.gateways.camara import Breaker, CamaraGateway, Rate
from abonent.gateways.camara.steps import Wait
from tests.camara.agreed import Hands, agreed, async_link_to, link_to
from tests.camara.operator import CamaraOperator
from tests.gateways.test_camara_asking import question, reply


def warm(operator, hands, **changes):
    """A gateway that has its token."""
    gateway = CamaraGateway(link_to(operator, agreed(**changes), hands))
    gateway.ask(question())
    return gateway


def test_requests_leave_at_the_agreed_rate():
    """Whoever comes too soon waits for a place, and who would wait too long is Unavailable."""
    operator, hands = CamaraOperator(), Hands()
    gateway = warm(operator, hands, rate=Rate(calls=2, per=timedelta(seconds=8)))
    gateway.ask(question())
    assert [4] == hands.slept
    hands.now -= 1  # as if it came while others wait
    with pytest.raises(Unavailable):
        gateway.ask(question())
    assert 3 == len(operator.requests)


def test_a_request_that_fails_is_not_repeated():
    """What is owed is tried again by the library's own schedule, not here."""
    operator, hands = CamaraOperator(), Hands()
    gateway = warm(operator, hands)
    for fault in (Unavailable("no reply"), reply(503, b""), reply(429, b"")):
        count = len(operator.requests)
        operator.script = [fault]
        with pytest.raises(Unavailable):
            gateway.ask(question())
        assert count + 1 == len(operator.requests)
        hands.now += 30


def test_a_line_that_is_down_is_left_alone_and_probed_by_one():
    """After so many failures nothing is sent for a while; one success, and all is as before."""
    operator, hands = CamaraOperator(), Hands()
    gateway = warm(operator, hands, breaker=Breaker(failures=2, rest=timedelta(seconds=10)))
    operator.script = [Unavailable("no reply"), reply(500, b"")]
    for _ in range(2):
        with pytest.raises(Unavailable):
            gateway.ask(question())
    count = len(operator.requests)
    with pytest.raises(Unavailable) as caught:
        gateway.ask(question())
    assert count == len(operator.requests)
    assert caught.value.retry_at is not None
    assert caught.value.retry_at.utcoffset() is not None
    hands.now += 10
    assert Outcome.HELD is gateway.ask(question()).outcome


def test_refusals_do_not_count_as_down():
    """A side that refuses us does work."""
    operator, hands = CamaraOperator(), Hands()
    gateway = warm(operator, hands, breaker=Breaker(failures=2))
    operator.script = [reply(403, b"")] * 5
    for _ in range(5):
        with pytest.raises(Misconfigured):
            gateway.ask(question())
    assert Outcome.HELD is gateway.ask(question()).outcome


@pytest.mark.parametrize(
    ("response", "rest"),
    [
        (reply(429, b""), 1),
        (reply(429, b"", **{"retry-after": "40"}), 40),
        (reply(503, b"", **{"retry-after": "40"}), 40),
        (reply(503, b"", **{"retry-after": "4000"}), 300),
    ],
)
def test_who_is_sent_away_stays_away(response, rest):
    """For as long as the other side asks, up to five minutes; a second after a mere 429."""
    operator, hands = CamaraOperator(), Hands()
    gateway = warm(operator, hands)
    operator.script = [response]
    with pytest.raises(Unavailable):
        gateway.ask(question())
    count = len(operator.requests)
    hands.now += rest - 0.01
    with pytest.raises(Unavailable):
        gateway.ask(question())
    assert count == len(operator.requests)
    hands.now += 0.02
    assert Outcome.HELD is gateway.ask(question()).outcome


def test_a_refusal_with_retry_after_sends_nobody_away():
    """Only who cannot now may ask us to come later."""
    operator, hands = CamaraOperator(), Hands()
    gateway = warm(operator, hands)
    operator.script = [reply(404, b"", **{"retry-after": "40"})]
    with pytest.raises(Misconfigured):
        gateway.ask(question())
    assert Outcome.HELD is gateway.ask(question()).outcome


def test_all_requests_of_a_call_share_its_time():
    """What a token took is not there for the question."""
    operator, hands = CamaraOperator(), Hands()
    transport = operator.send

    def slow(request):
        hands.now += 3
        return transport(request)

    operator.send = slow
    gateway = CamaraGateway(link_to(operator, agreed(), hands))
    gateway.ask(question())
    assert [5, 2] == [each.timeout for each in operator.requests]


def test_a_call_whose_time_is_over_sends_nothing_more():
    """The token took it all."""
    operator, hands = CamaraOperator(), Hands()
    transport = operator.send

    def slow(request):
        hands.now += 6
        return transport(request)

    operator.send = slow
    gateway = CamaraGateway(link_to(operator, agreed(), hands))
    with pytest.raises(Unavailable):
        gateway.ask(question())
    assert 1 == len(operator.requests)
    assert Outcome.HELD is gateway.ask(question()).outcome


def test_whoever_is_given_up_while_probing_makes_room():
    """A flow that is closed in the middle leaves the line to others."""
    operator, hands = CamaraOperator(), Hands()
    gateway = warm(operator, hands, breaker=Breaker(failures=1, rest=timedelta(seconds=1)))
    operator.script = [Unavailable("no reply")]
    with pytest.raises(Unavailable):
        gateway.ask(question())
    hands.now += 1
    flow = gateway._link.asking.ask(question())
    next(flow)
    with pytest.raises(Unavailable):
        gateway.ask(question())
    flow.close()
    assert Outcome.HELD is gateway.ask(question()).outcome


def test_what_a_link_cannot_do_is_named():
    """A step that is none is a fault of ours."""

    def flow():
        yield "something else"

    with pytest.raises(TypeError):
        link_to(CamaraOperator()).run(flow())
    with pytest.raises(TypeError):
        asyncio.run(async_link_to(CamaraOperator()).run(flow()))


def test_both_shells_wait_as_told():
    """Waiting is theirs."""

    def flow():
        yield Wait(3)
        return 7

    one, two = Hands(), Hands()
    assert 7 == link_to(CamaraOperator(), hands=one).run(flow())
    assert 7 == asyncio.run(async_link_to(CamaraOperator(), hands=two).run(flow()))
    assert ([3], [3]) == (one.slept, two.slept)

"""Notices and late answers on their way to a messenger."""

import time
from datetime import timedelta

import pytest

from abonent import LateAnswer, Notice, NoticeKind, Outcome
from abonent.errors import RequestRefused
from abonent.operator import DeskPolicy
from abonent.wire import JwksKeys, decode_event
from abonent.wire.signatures import Freshness, SignedRequest, verify
from tests.simulation.reference.asgi import HELD, INBOX, reached

QUICK = DeskPolicy(
    inline_wait=timedelta(milliseconds=50),
    retry_first=timedelta(microseconds=1),
    retry_longest=timedelta(microseconds=1),
    settle_after=timedelta(microseconds=1),
)
QUESTION = "q" * 63
CORRELATOR = f"{QUESTION}/9c4c2f0e-6a0f-4b43-8a5c-1f5d9be2c7a1"


@pytest.fixture
def operator(tmp_path):
    """One that tries again at once."""
    with reached(tmp_path, policy=QUICK) as found:
        yield found


def posted(operator, count):
    """What was posted, once so much was; time goes on meanwhile."""
    until = time.monotonic() + 20
    while len(operator.inboxes.posted) < count and time.monotonic() < until:
        operator.clock.advance(0.001)
        time.sleep(0.01)
    assert count <= len(operator.inboxes.posted)
    return operator.inboxes.posted


def settled(operator):
    until = time.monotonic() + 20
    while operator.control("owed-notices").json()["notices"] and time.monotonic() < until:
        operator.clock.advance(0.001)
        time.sleep(0.01)
    return [] == operator.control("owed-notices").json()["notices"]


def read(operator, request):
    """The event in a request that is signed by a key that the operator publishes."""
    keys = JwksKeys(operator.http.get("/.well-known/jwks.json").content)
    signed = SignedRequest(
        method=request.method,
        url=request.url,
        lines=tuple(request.headers.items()),
        body=request.body,
    )
    freshness = Freshness(max_age=timedelta(minutes=5), max_ahead=timedelta(seconds=30))
    verify(signed, keys.find, freshness, operator.clock.now())
    return decode_event(request.body)


def identified(operator):
    operator.tenure()
    operator.record()


@pytest.mark.parametrize("kind", NoticeKind)
def test_a_notice_goes_to_the_inbox_of_who_is_recorded(operator, kind):
    """Signed by a published key, with the number in the body only."""
    identified(operator)
    happened_at = operator.clock.now()
    operator.move(HELD, kind.value, happenedAt=happened_at.isoformat())
    (request,) = posted(operator, 1)
    assert INBOX == request.url
    assert not any(HELD[1:] in each for each in (request.url, *request.headers.values()))
    item = read(operator, request).item
    assert isinstance(item, Notice)
    assert ("mts", kind, HELD) == (item.operator, item.kind, item.number.e164)
    assert happened_at == item.happened_at
    assert settled(operator)
    assert {"notices delivered": 1} == operator.control("figures").json()["deliveries"]


@pytest.mark.parametrize("status", [503, 500, 429, 401, 403, 302])
def test_a_notice_comes_until_it_is_taken(operator, status):
    """P15: under one id, signed anew, whatever the messenger replies meanwhile."""
    identified(operator)
    operator.inboxes.statuses += [status] * 3
    operator.move()
    several = posted(operator, 4)
    assert settled(operator)
    assert 4 == len(several)
    assert 1 == len({read(operator, each).id for each in several})
    assert {"notices delivered": 1, "notices failed": 3} == (
        operator.control("figures").json()["deliveries"]
    )


def test_a_record_that_comes_after_the_end_is_told(operator):
    """The messenger was told that the number is held, and then it was not any more."""
    operator.tenure()
    operator.move()
    operator.record()
    (request,) = posted(operator, 1)
    assert NoticeKind.TERMINATED is read(operator, request).item.kind


def test_an_answer_that_comes_later(operator):
    """The reply is 504; the answer goes to the inbox by the id of the question."""
    operator.faults({"at": "base", "what": "slow", "seconds": 0.3, "times": 1})
    reply = operator.tenure(x_correlator=CORRELATOR)
    assert (504, "TIMEOUT") == (reply.status_code, reply.json()["code"])
    (request,) = posted(operator, 1)
    item = read(operator, request).item
    assert LateAnswer(query_id=QUESTION, operator="mts", outcome=Outcome.HELD) == item
    assert 200 == operator.tenure(x_correlator=CORRELATOR).status_code
    assert "answers delivered" in operator.control("figures").json()["deliveries"]


def test_who_asks_again_need_not_wait(operator):
    """While the answer is on its way it is given to who asks, too."""
    operator.inboxes.statuses += [503] * 1000
    operator.faults({"at": "base", "what": "slow", "seconds": 0.3, "times": 1})
    assert 504 == operator.tenure(x_correlator=CORRELATOR).status_code
    posted(operator, 1)
    assert 200 == operator.tenure(x_correlator=CORRELATOR).status_code


def test_a_base_out_of_reach_is_asked_again(operator):
    """Its messenger hears later."""
    operator.faults({"at": "base", "what": "unavailable", "times": 2})
    assert 504 == operator.tenure(x_correlator=CORRELATOR).status_code
    (request,) = posted(operator, 1)
    assert Outcome.HELD is read(operator, request).item.outcome


# --- what goes wrong on the way ---------------------------------------------------------


def test_a_notice_that_does_not_get_through(operator):
    """Nothing is posted the first times; then it is."""
    identified(operator)
    operator.faults({"at": "notices", "what": "unavailable", "times": 3})
    operator.move()
    assert 1 == len(posted(operator, 1))
    assert settled(operator)


def test_a_notice_under_a_wrong_signature(operator):
    """It is signed by a key that is published nowhere; refused, it comes again, rightly signed."""
    identified(operator)
    operator.inboxes.statuses.append(401)
    operator.faults({"at": "notices", "what": "wrong_signature", "times": 1})
    operator.move()
    strange, right = posted(operator, 2)
    with pytest.raises(RequestRefused) as raised:
        read(operator, strange)
    assert "KEY_UNKNOWN" == raised.value.reason
    assert strange.body.partition(b'"time"')[0] == right.body.partition(b'"time"')[0]
    assert isinstance(read(operator, right).item, Notice)


@pytest.mark.parametrize("what", ["twice", "lost"])
def test_a_notice_that_gets_through_again(operator, what):
    """The messenger has to take it as one."""
    identified(operator)
    operator.faults({"at": "notices", "what": what, "times": 1})
    operator.move()
    first, second = posted(operator, 2)
    assert read(operator, first).id == read(operator, second).id
    assert settled(operator)


def test_a_slow_notice(operator):
    """It takes its time and gets through."""
    identified(operator)
    operator.faults({"at": "notices", "what": "slow", "seconds": 0.2, "times": 1})
    operator.move()
    assert 1 == len(posted(operator, 1))
    assert settled(operator)


def test_a_messenger_without_an_inbox(operator):
    """What it is owed stays owed."""
    operator.tenure(client="talk")
    operator.record(client="talk")
    assert 1 == operator.move().json()["notices"]
    for _ in range(20):
        operator.clock.advance(0.01)
        time.sleep(0.01)
    (owed,) = operator.control("owed-notices").json()["notices"]
    assert "talk" == owed["messenger"]
    assert [] == operator.inboxes.posted


def test_what_is_owed_outlives_the_process(tmp_path):
    """A notice that was not taken is delivered by the next process."""
    with reached(tmp_path, policy=QUICK) as operator:
        clock = operator.clock
        identified(operator)
        operator.inboxes.statuses += [503] * 10_000
        operator.move()
        posted(operator, 1)
    with reached(tmp_path, clock, policy=QUICK) as operator:
        (request, *_) = posted(operator, 1)
        assert HELD == read(operator, request).item.number.e164
        assert settled(operator)

"""Tokens are asked for by an assertion, kept, renewed early and by one at a time."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest
from joserfc import jwk, jwt

from abonent import Outcome
from abonent.errors import Misconfigured, Unavailable
from abonent.gateways.camara import (
    AsyncCamaraGateway,
    AsyncCamaraLink,
    CamaraGateway,
    CamaraLink,
    Grant,
    Rate,
)
from abonent.simulation import SimulatedClock
from abonent.transport import Response
from tests.camara.agreed import Hands, agreed, async_link_to, link_to
from tests.camara.operator import CLIENT, PAIR, TOKEN_URL, CamaraOperator
from tests.gateways.test_camara_asking import question, reply


def names(operator):
    return [each.url.rpartition("/")[2] for each in operator.requests]


def form_of(request):
    return {key: value[0] for key, value in parse_qs(request.body.decode()).items()}


def claims_of(assertion):
    public = jwk.import_key(PAIR.as_pem(private=False), "EC")
    return jwt.decode(assertion, public, algorithms=["ES256"])


# --- the assertion ------------------------------------------------------------------------------


def test_an_assertion_says_who_we_are_to_whom_and_for_how_long():
    """The claims of private_key_jwt, for at most 300 seconds from now on, each with an id."""
    operator, clock = CamaraOperator(), SimulatedClock(datetime.now(UTC))
    profile = agreed(access={"lifetime": timedelta(seconds=300)})
    link = CamaraLink(profile, transport=operator, clock=clock)
    CamaraGateway(link).ask(question())
    request = operator.requests[0]
    assert TOKEN_URL == request.url
    assert "application/x-www-form-urlencoded" == request.headers["content-type"]
    form = form_of(request)
    assertion = form.pop("client_assertion")
    assert {
        "grant_type": "client_credentials",
        "scope": "dpv:FraudPreventionAndDetection kyc-tenure:check-tenure",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    } == form
    token = claims_of(assertion)
    assert {"alg": "ES256", "kid": "k1", "typ": "JWT"} == token.header
    at = int(clock.now().timestamp())
    assert 36 == len(token.claims.pop("jti"))
    assert {
        "iss": CLIENT,
        "sub": CLIENT,
        "aud": TOKEN_URL,
        "iat": at,
        "exp": at + 300,
    } == token.claims


def test_no_assertion_is_used_twice():
    """Each request for a token has an id of its own."""
    operator, hands = CamaraOperator(), Hands()
    gateway = CamaraGateway(link_to(operator, hands=hands))
    for _ in range(3):
        gateway.ask(question())
        hands.now += 3600
    asked = [form_of(each) for each in operator.requests if each.url == TOKEN_URL]
    ids = {claims_of(each["client_assertion"]).claims["jti"] for each in asked}
    assert 3 == len(ids)


def test_a_bearer_assertion_names_the_number_and_holds_the_scope():
    """The scope stands in the assertion and not beside it, and nothing else says who we are."""
    operator = CamaraOperator()
    CamaraGateway(link_to(operator, agreed(grant=Grant.JWT_BEARER))).ask(question())
    form = form_of(operator.requests[0])
    claims = claims_of(form.pop("assertion")).claims
    assert {"grant_type": Grant.JWT_BEARER.value} == form
    assert "tel:+79161234567" == claims["sub"]
    assert "dpv:FraudPreventionAndDetection kyc-tenure:check-tenure" == claims["scope"]
    assert CLIENT == claims["iss"]


# --- what is kept -------------------------------------------------------------------------------


def test_a_token_is_kept_until_shortly_before_its_end():
    """An hour's token is renewed a minute early; a short one in the last tenth of its life."""
    for life, early in ((3600, 60), (100, 10)):
        operator, hands = CamaraOperator(), Hands()
        operator.token_life = life
        gateway = CamaraGateway(link_to(operator, hands=hands))
        gateway.ask(question())
        hands.now += life - early - 0.001
        gateway.ask(question())
        assert 1 == names(operator).count("token")
        hands.now += 0.001
        gateway.ask(question())
        assert 2 == names(operator).count("token")


def test_each_api_has_a_token_of_its_own():
    """Least privilege: what may ask may not record."""
    operator = CamaraOperator()
    link = link_to(operator)
    link.run(link.asking.ask(question()))
    link.run(link.asking.recycled(question().number, datetime(2025, 1, 1, tzinfo=UTC).date()))
    scopes = [form_of(each)["scope"] for each in operator.requests if each.url == TOKEN_URL]
    assert 2 == len(set(scopes))


def test_early_renewal_that_fails_leaves_the_token_in_use():
    """As long as it counts; then there is none."""
    operator, hands = CamaraOperator(), Hands()
    gateway = CamaraGateway(link_to(operator, hands=hands))
    gateway.ask(question())
    hands.now += 3550
    operator.script = [reply(503, b"")]
    assert Outcome.HELD is gateway.ask(question()).outcome
    hands.now += 50
    operator.script = [reply(503, b"")]
    with pytest.raises(Unavailable):
        gateway.ask(question())


def test_early_renewal_leaves_time_for_the_question():
    """It takes at most half of what is left of the call."""
    operator, hands = CamaraOperator(), Hands()
    gateway = CamaraGateway(link_to(operator, hands=hands))
    gateway.ask(question())
    hands.now += 3550
    gateway.ask(question())
    assert ["token", "check-tenure"] == names(operator)[-2:]
    assert [2.5, 5] == [each.timeout for each in operator.requests[-2:]]


def test_a_kept_token_that_is_refused_is_renewed_once_and_the_call_repeated_once():
    """The operator may forget tokens at any time."""
    operator = CamaraOperator()
    gateway = CamaraGateway(link_to(operator))
    gateway.ask(question())
    operator.tokens.clear()
    assert Outcome.HELD is gateway.ask(question()).outcome
    assert ["check-tenure", "token", "check-tenure"] == names(operator)[2:]
    one, two = operator.requests[2], operator.requests[4]
    assert one.headers["x-correlator"] == two.headers["x-correlator"]
    unauthenticated = reply(401, {"status": 401, "code": "UNAUTHENTICATED", "message": "m"})
    fresh = reply(200, {"access_token": "t", "token_type": "bearer", "expires_in": 60})
    operator.script = [unauthenticated, fresh, unauthenticated]
    with pytest.raises(Misconfigured):
        gateway.ask(question())
    assert [] == operator.script


def test_a_fresh_token_that_is_refused_is_an_alarm_at_once():
    """A token that was just given out does not get better by another."""
    operator = CamaraOperator()
    fresh = reply(200, {"access_token": "t", "token_type": "bearer", "expires_in": 60})
    operator.script = [fresh]
    with pytest.raises(Misconfigured):
        CamaraGateway(link_to(operator)).ask(question())
    assert ["token", "check-tenure"] == names(operator)


# --- one at a time ------------------------------------------------------------------------------


class Slow:
    """The operator, with a token endpoint that replies when it is let."""

    def __init__(self, operator: CamaraOperator) -> None:
        self.operator = operator
        self.asked = threading.Event()
        self.let = threading.Event()
        self.reply: Response | None = None

    def send(self, request):
        if request.url == TOKEN_URL:
            self.asked.set()
            self.let.wait(5)
            if self.reply is not None:
                self.operator.requests.append(request)
                return self.reply
        return self.operator.send(request)


def crowd(gateway, size=8):
    said = []

    def run() -> None:
        try:
            said.append(gateway.ask(question()).outcome)
        except (Unavailable, Misconfigured) as error:
            said.append(type(error))

    threads = [threading.Thread(target=run) for _ in range(size)]
    for each in threads:
        each.start()
    return threads, said


def test_many_callers_without_a_token_fetch_one():
    """The others wait for it."""
    slow = Slow(CamaraOperator())
    gateway = CamaraGateway(CamaraLink(agreed(), transport=slow))
    threads, said = crowd(gateway)
    slow.asked.wait(5)
    slow.let.set()
    for each in threads:
        each.join()
    assert [Outcome.HELD] * 8 == said
    assert 1 == names(slow.operator).count("token")


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(reply(503, b""), Unavailable), (reply(401, {"error": "invalid_client"}), Misconfigured)],
)
def test_many_callers_share_a_failure(fault, expected):
    """Whoever waited for a token that could not be had does not ask again by themselves."""
    slow = Slow(CamaraOperator())
    slow.reply = fault
    gateway = CamaraGateway(CamaraLink(agreed(), transport=slow))
    threads, said = crowd(gateway)
    slow.asked.wait(5)
    for _ in range(50):  # let them queue up; whoever comes later tries again, which is right
        threading.Event().wait(0.002)
    slow.let.set()
    for each in threads:
        each.join()
    assert [expected] * 8 == said
    assert names(slow.operator).count("token") <= 2


def test_while_one_renews_early_the_others_go_on():
    """A token that still counts is used meanwhile."""
    slow, hands = Slow(CamaraOperator()), Hands()
    slow.let.set()
    gateway = CamaraGateway(CamaraLink(agreed(), transport=slow, monotonic=hands))
    gateway.ask(question())
    hands.now += 3550
    slow.let.clear()
    slow.asked.clear()
    threads, said = crowd(gateway, 1)
    slow.asked.wait(5)
    assert Outcome.HELD is gateway.ask(question()).outcome
    assert [] == said
    slow.let.set()
    threads[0].join()
    assert [Outcome.HELD] == said


def test_whoever_waits_too_long_for_a_token_is_unavailable():
    """A token endpoint that hangs holds nobody longer than their call may take."""
    slow = Slow(CamaraOperator())
    profile = agreed(timeout=timedelta(seconds=0.1))
    gateway = CamaraGateway(CamaraLink(profile, transport=slow))
    threads, _ = crowd(gateway, 1)
    slow.asked.wait(5)
    with pytest.raises(Unavailable):
        gateway.ask(question())
    slow.let.set()
    threads[0].join()


def test_tasks_of_one_loop_fetch_one_token():
    """The same for asyncio: one fetches, the others wait, in time."""

    class SlowAwaited:
        def __init__(self) -> None:
            self.operator = CamaraOperator()
            self.let = asyncio.Event()

        async def send(self, request):
            if request.url == TOKEN_URL:
                await self.let.wait()
            return self.operator.send(request)

    async def run():
        slow = SlowAwaited()
        link = AsyncCamaraLink(agreed(rate=Rate(calls=100)), transport=slow)
        gateway = AsyncCamaraGateway(link)
        tasks = [asyncio.create_task(gateway.ask(question())) for _ in range(8)]
        await asyncio.sleep(0)
        slow.let.set()
        said = [each.outcome for each in await asyncio.gather(*tasks)]
        return said, names(slow.operator).count("token")

    assert ([Outcome.HELD] * 8, 1) == asyncio.run(run())


def test_a_task_that_waits_too_long_is_unavailable_and_one_that_is_cancelled_frees_its_turn():
    """Neither holds up who comes next."""

    class Hanging:
        operator = CamaraOperator()
        hangs = True

        async def send(self, request):
            if self.hangs:
                await asyncio.sleep(60)
            return self.operator.send(request)

    async def run():
        hanging = Hanging()
        profile = agreed(timeout=timedelta(seconds=0.05))
        gateway = AsyncCamaraGateway(AsyncCamaraLink(profile, transport=hanging))
        first = asyncio.create_task(gateway.ask(question()))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await gateway.ask(question())
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        hanging.hangs = False
        return (await gateway.ask(question())).outcome

    assert Outcome.HELD is asyncio.run(run())


def test_early_renewal_of_one_task_holds_up_no_other():
    """The asyncio side of the same."""

    async def run():
        operator, hands = CamaraOperator(), Hands()
        link = async_link_to(operator, hands=hands)
        gateway = AsyncCamaraGateway(link)
        await gateway.ask(question())
        hands.now += 3550
        turn = link._turns["dpv:FraudPreventionAndDetection kyc-tenure:check-tenure"]
        async with turn:
            said = (await gateway.ask(question())).outcome
        return said, names(operator).count("token")

    assert (Outcome.HELD, 1) == asyncio.run(run())


# --- what is no token ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (reply(401, {"error": "invalid_client"}), Misconfigured),
        (reply(401, b""), Misconfigured),
        (reply(400, {"error": "invalid_client"}), Misconfigured),
        (reply(400, {"error": "invalid_scope"}), Misconfigured),
        (reply(400, {"error": "unauthorized_client"}), Misconfigured),
        (reply(400, {"error": "unknown_user_id"}), Misconfigured),
        (reply(400, {"error": ["invalid_scope"]}), Misconfigured),
        (reply(400, {"error": "temporarily_unavailable"}), Unavailable),
        (reply(400, {"error": "server_error"}), Unavailable),
        (reply(429, b""), Unavailable),
        (reply(500, b"<html>"), Unavailable),
        (reply(302, b"", location="https://elsewhere.example"), Misconfigured),
        (reply(404, b""), Misconfigured),
        (reply(200, b""), Misconfigured),
        (reply(200, {}), Misconfigured),
        (reply(200, {"access_token": "", "token_type": "bearer"}), Misconfigured),
        (reply(200, {"access_token": "a b", "token_type": "bearer"}), Misconfigured),
        (reply(200, {"access_token": "a\r\nb: c", "token_type": "bearer"}), Misconfigured),
        (reply(200, {"access_token": "a" * 8193, "token_type": "bearer"}), Misconfigured),
        (reply(200, {"access_token": 7, "token_type": "bearer"}), Misconfigured),
        (reply(200, {"access_token": "a", "token_type": "DPoP"}), Misconfigured),
        (reply(200, {"access_token": "a"}), Misconfigured),
    ],
)
def test_what_is_no_token(response, expected, caplog):
    """A refused client, an endpoint that is down, and replies that hold nothing to use."""
    operator = CamaraOperator()
    operator.script = [response]
    with pytest.raises(expected) as caught:
        CamaraGateway(link_to(operator)).ask(question())
    assert ["token"] == names(operator)
    assert caught.value.__cause__ is None
    logged = f"abonent.camara_no_token operator=operator status={response.status} error="
    assert (response.status != 200) == (logged in caplog.text)


@pytest.mark.parametrize("life", [None, "3600", True, 0, -1])
def test_a_token_of_unknown_life_is_short_lived(life):
    """A minute, if the operator does not say (RFC 6749, 5.1)."""
    operator, hands = CamaraOperator(), Hands()
    gateway = CamaraGateway(link_to(operator, hands=hands))
    value = operator.issue("kyc-tenure:check-tenure")
    said = {"access_token": value, "token_type": "Bearer"}
    operator.script = [reply(200, said if life is None else {**said, "expires_in": life})]
    gateway.ask(question())
    hands.now += 53.9
    gateway.ask(question())
    assert 1 == names(operator).count("token")
    hands.now += 0.2
    gateway.ask(question())
    assert 2 == names(operator).count("token")


def test_no_token_is_believed_for_longer_than_a_day():
    """However long the operator says it counts."""
    operator, hands = CamaraOperator(), Hands()
    operator.token_life = 10**9
    gateway = CamaraGateway(link_to(operator, hands=hands))
    gateway.ask(question())
    hands.now += 86_400
    gateway.ask(question())
    assert 2 == names(operator).count("token")


def test_no_repr_shows_a_token():
    """Nor do the messages of errors (I9)."""
    operator = CamaraOperator()
    gateway = CamaraGateway(link_to(operator))
    operator.script = [
        reply(200, {"access_token": "verysecret", "token_type": "bearer"}),
        reply(400, json.dumps({"code": "verysecret"}).encode()),
    ]
    with pytest.raises(Misconfigured) as caught:
        gateway.ask(question())
    kept = gateway._link.asking._tokens._kept
    assert "verysecret" not in f"{gateway!r}{gateway._link!r}{kept!r}{caught.value}"

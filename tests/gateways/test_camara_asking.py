"""What a reply of an operator means, and what an operator is told."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent import Outcome, SubscriberNumber
from abonent.errors import InvalidValue, Misconfigured, Unavailable
from abonent.gateways.camara import AsyncCamaraGateway, CamaraGateway, Grant, Service
from abonent.gateways.camara.replies import IDENTIFIER_NOT_FOUND, NOT_HELD, retry_after
from abonent.ports import Query, RecordEntry, WithdrawEntry
from abonent.transport import Response
from tests.camara.agreed import Hands, agreed, async_link_to, link_to
from tests.camara.operator import CamaraOperator, Subscriber

NUMBER = SubscriberNumber("+79161234567")
ASKED_AT = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)


def question(query_id="query-1", number=NUMBER, asked_at=ASKED_AT):
    return Query(
        id=query_id,
        messenger="messenger",
        number=number,
        asked_at=asked_at,
        due=asked_at + timedelta(minutes=20),
    )


def reply(status, body, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Response(status=status, headers=headers, body=content)


def outcome_of(response):
    """What the gateway makes of a reply, whatever it is."""
    operator = CamaraOperator()
    gateway = CamaraGateway(link_to(operator))
    gateway.ask(question("query-0"))  # so that a token is there
    operator.script = [response, response]
    try:
        return gateway.ask(question()).outcome
    except (Unavailable, Misconfigured) as error:
        return type(error)


def error(status, code):
    return reply(status, {"status": status, "code": code, "message": "for people"})


REFUSED = """
400 INVALID_ARGUMENT, 400 OUT_OF_RANGE, 400 IDENTIFIER_NOT_FOUND, 401 UNAUTHENTICATED,
403 PERMISSION_DENIED, 403 INVALID_TOKEN_CONTEXT, 404 NOT_FOUND, 404 SOMETHING_NEW,
404 identifier_not_found, 405 METHOD_NOT_ALLOWED, 406 NOT_ACCEPTABLE, 409 CONFLICT, 410 GONE,
410 IDENTIFIER_NOT_FOUND, 412 FAILED_PRECONDITION, 415 UNSUPPORTED_MEDIA_TYPE,
422 MISSING_IDENTIFIER, 422 UNNECESSARY_IDENTIFIER, 422 UNSUPPORTED_IDENTIFIER,
422 IDENTIFIER_NOT_FOUND, 418 TEAPOT, 301 MOVED, 307 IDENTIFIER_NOT_FOUND, 201 CREATED,
204 NO_CONTENT
"""
PASSING = """
408 TIMEOUT, 429 QUOTA_EXCEEDED, 429 TOO_MANY_REQUESTS, 500 INTERNAL, 501 NOT_IMPLEMENTED,
502 BAD_GATEWAY, 503 UNAVAILABLE, 503 IDENTIFIER_NOT_FOUND, 504 TIMEOUT, 599 ANYTHING
"""


def listed(text):
    pairs = [each.split() for each in text.replace("\n", " ").split(",")]
    return [(int(status), code) for status, code in pairs]


TABLE = {
    (404, "IDENTIFIER_NOT_FOUND"): Outcome.NOT_OURS,
    (404, "ABONENT.NOT_HELD"): Outcome.NOT_HELD,
    (422, "SERVICE_NOT_APPLICABLE"): Outcome.UNDETERMINED,
    **dict.fromkeys(listed(REFUSED), Misconfigured),
    **dict.fromkeys(listed(PASSING), Unavailable),
}


@pytest.mark.parametrize(("said", "expected"), TABLE.items())
def test_what_an_error_says(said, expected):
    """Each status and code of the mapping; a code means what it means under its status only."""
    assert expected is outcome_of(error(*said))


@pytest.mark.parametrize("check", [True, False])
def test_whoever_has_a_tenure_is_held(check):
    """However long it is (S3)."""
    assert Outcome.HELD is outcome_of(reply(200, {"tenureDateCheck": check}))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tenureDateCheck": "true"},
        {"tenureDateCheck": 1},
        {"tenureDateCheck": None},
        {"tenuredatecheck": True},
        [{"tenureDateCheck": True}],
        True,
        b"",
        b"null",
        b"<html>",
        b"\xff\xfe",
        b'{"tenureDateCheck": true, "\xff": 1}',
        b"[" * 60_000,
        b'{"tenureDateCheck": true',
        b'{"tenureDateCheck": true}x',
    ],
)
def test_a_200_without_the_answer_is_no_answer(body):
    """What cannot be read says nothing of the subscriber (P21)."""
    assert Misconfigured is outcome_of(reply(200, body))


def test_a_reply_that_was_cut_is_no_answer():
    """Not even if what is there could be read."""
    cut = Response(status=200, body=b'{"tenureDateCheck": true}', whole=False)
    assert Misconfigured is outcome_of(cut)
    body = error(404, "IDENTIFIER_NOT_FOUND").body
    assert Misconfigured is outcome_of(Response(status=404, body=body, whole=False))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=5,
)


@given(
    status=st.integers(100, 599),
    body=st.one_of(
        st.binary(),
        _JSON.map(lambda each: json.dumps(each).encode()),
        st.builds(
            lambda code, check: json.dumps({"code": code, "tenureDateCheck": check}).encode(),
            st.sampled_from(["IDENTIFIER_NOT_FOUND", "ABONENT.NOT_HELD", "NOT_FOUND", "", None, 7]),
            st.booleans() | st.none(),
        ),
    ),
)
def test_nothing_but_the_right_reply_is_an_answer(status, body):
    """HELD only by 200 with a verdict; "not held" only by 404 and its code; else an error."""
    said = outcome_of(Response(status=status, body=body))
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    fields = found if isinstance(found, dict) else {}
    if said is Outcome.HELD:
        assert 200 == status
        assert isinstance(fields["tenureDateCheck"], bool)
    elif said in (Outcome.NOT_OURS, Outcome.NOT_HELD):
        code = {Outcome.NOT_OURS: IDENTIFIER_NOT_FOUND, Outcome.NOT_HELD: NOT_HELD}[said]
        assert (404, code) == (status, fields["code"])
    elif said is Outcome.UNDETERMINED:
        assert 422 == status
    else:
        assert said in (Unavailable, Misconfigured)


# --- what an operator is told -----------------------------------------------------------------


def api_requests(operator):
    return [each for each in operator.requests if "/token" not in each.url]


def test_a_question_is_a_number_and_a_day_that_is_past_everywhere():
    """The body holds what the API knows and nothing else; the day is the same for every try."""
    operator = CamaraOperator()
    gateway = CamaraGateway(link_to(operator))
    early = datetime(2026, 6, 1, 1, 0, tzinfo=timezone(timedelta(hours=14)))
    gateway.ask(question(asked_at=early))
    (request,) = api_requests(operator)
    assert {"tenureDate": "2026-05-30", "phoneNumber": NUMBER.e164} == json.loads(request.body)
    assert "https://operator.example/kyc-tenure/v0.2/check-tenure" == request.url


def test_no_number_and_no_code_stands_in_an_address_or_header():
    """They are in bodies only (I9)."""
    operator = CamaraOperator()
    gateway = CamaraGateway(link_to(operator))
    code = "kD3vXo9rQ1-mYw_7ZtB2Ng"
    gateway.ask(question())
    entry = RecordEntry(id=f"{code}.record", messenger="m", number=NUMBER, code=code)
    gateway.record(entry)
    gateway.withdraw(WithdrawEntry(id=f"{code}.withdraw", messenger="m", code=code))
    for each in operator.requests:
        shown = f"{each.url}{dict(each.headers)}{each!r}"
        assert "9161234567" not in shown
        assert code not in shown


def test_correlators_are_fresh_and_begin_with_the_question():
    """Tries of one question can be found together and told apart; records show nothing at all."""
    operator = CamaraOperator()
    gateway = CamaraGateway(link_to(operator))
    for _ in range(2):
        gateway.ask(question("a" * 63))
    gateway.ask(question("id that does not fit"))
    gateway.withdraw(WithdrawEntry(id="code.withdraw", messenger="m", code="code"))
    first, second, odd, removal = (each.headers["x-correlator"] for each in api_requests(operator))
    assert 4 == len({first, second, odd, removal})
    assert ["a" * 63] * 2 == [first.partition("/")[0], second.partition("/")[0]]
    assert [36, 36] == [len(odd), len(removal)]


def test_a_reply_to_another_request_is_not_believed():
    """Somebody else's HELD is no answer, and an alarm; a reply without correlator is taken."""
    held = {"tenureDateCheck": True}
    assert Misconfigured is outcome_of(reply(200, held, **{"x-correlator": "another"}))
    assert Unavailable is outcome_of(reply(503, b"", **{"x-correlator": "another"}))
    assert Outcome.HELD is outcome_of(reply(200, held))


def test_a_number_that_camara_does_not_know_is_not_sent():
    """The pattern of PhoneNumber is kept to."""
    short = object.__new__(SubscriberNumber)
    object.__setattr__(short, "_e164", "+7916123456712345678")
    operator = CamaraOperator()
    with pytest.raises(InvalidValue):
        CamaraGateway(link_to(operator)).ask(question(number=short))
    assert [] == operator.requests


def test_what_is_logged_is_what_the_operator_can_find_it_by(caplog):
    """Status, code and the fresh part of the correlator; an unknown code is not quoted (I9)."""
    caplog.set_level(logging.DEBUG)
    operator = CamaraOperator()
    gateway = CamaraGateway(link_to(operator))
    gateway.ask(question())
    operator.script = [error(403, "PERMISSION_DENIED"), error(400, "NO_79161234567")]
    for _ in range(2):
        with pytest.raises(Misconfigured):
            gateway.ask(question())
    told = [each.getMessage() for each in caplog.records if each.name == "abonent"]
    (known, unknown) = told
    *_, sent, _ = api_requests(operator)
    assert known.endswith(
        f"status=403 code=PERMISSION_DENIED "
        f"correlator={sent.headers['x-correlator'].partition('/')[2]}"
    )
    assert "code=?" in unknown
    assert "9161234567" not in caplog.text
    assert "query-1" not in caplog.text


# --- has a number changed hands -----------------------------------------------------------------


def recycled(operator, since=date(2025, 1, 1)):
    link = link_to(operator)
    return link.run(link.asking.recycled(NUMBER, since))


def test_a_number_has_changed_hands_since_a_day_or_not():
    """True, False, and None where the operator has nothing to say of it."""
    operator = CamaraOperator()
    assert False is recycled(operator)
    operator.subscribers[NUMBER.e164] = Subscriber(recycled_at=date(2025, 6, 1))
    assert True is recycled(operator)
    assert False is recycled(operator, since=date(2025, 6, 1))
    operator.subscribers[NUMBER.e164] = None
    assert recycled(operator) is None
    refused = {"number-recycling": (422, "SERVICE_NOT_APPLICABLE")}
    operator.subscribers[NUMBER.e164] = Subscriber(refused=refused)
    assert recycled(operator) is None


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (reply(200, {}), Misconfigured),
        (reply(200, {"phoneNumberRecycled": "no"}), Misconfigured),
        (error(404, "NOT_FOUND"), Misconfigured),
        (error(403, "PERMISSION_DENIED"), Misconfigured),
        (error(503, "UNAVAILABLE"), Unavailable),
    ],
)
def test_anything_else_says_nothing_about_hands(response, expected):
    """Neither "changed" nor "unchanged"."""
    operator = CamaraOperator()
    link = link_to(operator)
    link.run(link.asking.recycled(NUMBER, date(2025, 1, 1)))
    operator.script = [response, response]
    with pytest.raises(expected):
        link.run(link.asking.recycled(NUMBER, date(2025, 1, 1)))


# --- records ------------------------------------------------------------------------------------


def test_a_record_is_kept_until_it_is_withdrawn():
    """By the operator's extension: number, messenger, code and id, in the body."""
    operator = CamaraOperator()
    gateway = CamaraGateway(link_to(operator))
    gateway.record(RecordEntry(id="c.record", messenger="m", number=NUMBER, code="c"))
    assert {
        "c": {
            "id": "c.record",
            "messenger": "m",
            "phoneNumber": NUMBER.e164,
            "identificationCode": "c",
        }
    } == operator.recorded
    gateway.withdraw(WithdrawEntry(id="c.withdraw", messenger="m", code="c"))
    assert {} == operator.recorded


class Keeper:
    def __init__(self) -> None:
        self.kept = []

    def record(self, entry):
        self.kept.append(entry)

    def withdraw(self, entry):
        self.kept.append(entry)


def test_records_go_exactly_one_way():
    """Without a way to record codes nothing is built; with two, it would be unclear which."""
    without = agreed(without=frozenset({Service.RECORDS}))
    operator = CamaraOperator()
    with pytest.raises(InvalidValue, match="abonent-records"):
        CamaraGateway(link_to(operator, without))
    with pytest.raises(InvalidValue, match="one way"):
        CamaraGateway(link_to(operator), records=Keeper())
    keeper = Keeper()
    gateway = CamaraGateway(link_to(operator, without), records=keeper)
    entry = RecordEntry(id="c.record", messenger="m", number=NUMBER, code="c")
    removal = WithdrawEntry(id="c.withdraw", messenger="m", code="c")
    gateway.record(entry)
    gateway.withdraw(removal)
    assert [entry, removal] == keeper.kept
    assert [] == operator.requests


class AwaitedKeeper(Keeper):
    async def record(self, entry):
        self.kept.append(entry)

    async def withdraw(self, entry):
        self.kept.append(entry)


@pytest.mark.parametrize("keeper", [Keeper(), AwaitedKeeper()])
def test_a_keeper_of_records_may_be_awaited_or_not(keeper):
    """The async gateway takes either."""
    without = agreed(without=frozenset({Service.RECORDS}))
    gateway = AsyncCamaraGateway(async_link_to(CamaraOperator(), without), records=keeper)
    entry = RecordEntry(id="c.record", messenger="m", number=NUMBER, code="c")
    removal = WithdrawEntry(id="c.withdraw", messenger="m", code="c")

    async def run():
        await gateway.record(entry)
        await gateway.withdraw(removal)

    asyncio.run(run())
    assert [entry, removal] == keeper.kept
    assert gateway.test_double


def test_a_gateway_without_the_question_is_not_built():
    """kyc-tenure is what answers."""
    with pytest.raises(InvalidValue, match="kyc-tenure"):
        CamaraGateway(link_to(CamaraOperator(), agreed(without=frozenset({Service.TENURE}))))


def test_a_double_at_its_end_makes_it_a_double():
    """The identifier refuses it without unsafe_test_doubles (P12)."""

    class Real:
        def send(self, request):
            raise NotImplementedError

    assert CamaraGateway(link_to(CamaraOperator())).test_double
    assert not CamaraGateway(link_to(Real())).test_double


# --- three-legged -------------------------------------------------------------------------------


@pytest.mark.parametrize("grant", [Grant.JWT_BEARER, Grant.CIBA])
def test_with_a_token_of_the_number_the_body_has_none(grant):
    """The operator would refuse it (422 UNNECESSARY_IDENTIFIER)."""
    operator = CamaraOperator()
    gateway = CamaraGateway(link_to(operator, agreed(grant=grant)))
    assert Outcome.HELD is gateway.ask(question()).outcome
    request = operator.requests[-1]
    assert {"tenureDate": "2026-05-31"} == json.loads(request.body)


def test_a_subscriber_that_the_operator_does_not_have_is_not_theirs():
    """CIBA's `unknown_user_id` is NOT_OURS; a bearer grant that is refused says nothing."""
    operator = CamaraOperator()
    operator.subscribers[NUMBER.e164] = None
    gateway = CamaraGateway(link_to(operator, agreed(grant=Grant.CIBA)))
    assert Outcome.NOT_OURS is gateway.ask(question()).outcome
    gateway = CamaraGateway(link_to(operator, agreed(grant=Grant.JWT_BEARER)))
    with pytest.raises(Misconfigured):
        gateway.ask(question())


def test_a_subscriber_is_asked_once_and_the_answer_is_polled_for():
    """While it is pending the question comes again, no sooner than the operator wants."""
    operator, hands = CamaraOperator(), Hands()
    operator.waiting = ["authorization_pending", "slow_down"]
    gateway = CamaraGateway(link_to(operator, agreed(grant=Grant.CIBA), hands))

    def polls():
        return [each.url.rpartition("/")[2] for each in operator.requests]

    with pytest.raises(Unavailable):
        gateway.ask(question())
    assert ["bc-authorize", "token"] == polls()
    hands.now += 4.9
    with pytest.raises(Unavailable):
        gateway.ask(question())
    assert ["bc-authorize", "token"] == polls()
    hands.now += 0.1
    with pytest.raises(Unavailable):
        gateway.ask(question())
    hands.now += 9.9  # it was told to slow down
    with pytest.raises(Unavailable):
        gateway.ask(question())
    assert ["bc-authorize", "token", "token"] == polls()
    hands.now += 0.1
    assert Outcome.HELD is gateway.ask(question()).outcome
    assert ["bc-authorize", "token", "token", "token", "check-tenure"] == polls()
    assert {} == gateway._link.asking.tokens._pending  # what was answered is not kept


@pytest.mark.parametrize(
    ("said", "expected"),
    [("expired_token", Unavailable), ("access_denied", Misconfigured)],
)
def test_a_question_that_ended_is_asked_anew(said, expected):
    """What is over is forgotten, and the next try begins again."""
    operator = CamaraOperator()
    operator.waiting = [said]
    gateway = CamaraGateway(link_to(operator, agreed(grant=Grant.CIBA)))
    with pytest.raises(expected):
        gateway.ask(question())
    assert Outcome.HELD is gateway.ask(question()).outcome
    asked = [each for each in operator.requests if each.url.endswith("bc-authorize")]
    assert 2 == len(asked)


def test_a_token_of_a_number_is_kept_for_the_next_try_of_its_question():
    """The subscriber is not asked again because an API was down; a refused token is dropped."""
    operator = CamaraOperator()
    gateway = CamaraGateway(link_to(operator, agreed(grant=Grant.CIBA)))
    operator.reply = operator.reply.UNAVAILABLE
    with pytest.raises(Unavailable):
        gateway.ask(question())
    operator.reply = operator.reply.HELD
    operator.tokens.clear()
    with pytest.raises(Unavailable):
        gateway.ask(question())
    assert Outcome.HELD is gateway.ask(question()).outcome
    names = [each.url.rpartition("/")[2] for each in operator.requests]
    again = ["bc-authorize", "token", "check-tenure"]
    assert [*again, "check-tenure", *again] == names


def test_a_question_that_nobody_answers_in_time_is_asked_anew():
    """What the operator no longer knows is not polled for."""
    operator, hands = CamaraOperator(), Hands()
    operator.waiting = ["authorization_pending"]
    gateway = CamaraGateway(link_to(operator, agreed(grant=Grant.CIBA), hands))
    with pytest.raises(Unavailable):
        gateway.ask(question())
    hands.now += 120
    assert Outcome.HELD is gateway.ask(question()).outcome
    asked = [each for each in operator.requests if each.url.endswith("bc-authorize")]
    assert 2 == len(asked)


@pytest.mark.parametrize("body", [{}, {"auth_req_id": 7}, {"auth_req_id": "a b"}])
def test_a_question_without_a_name_is_no_question(body):
    """The operator has to say by what it can be polled for."""
    operator = CamaraOperator()
    operator.script = [reply(200, body)]
    gateway = CamaraGateway(link_to(operator, agreed(grant=Grant.CIBA)))
    with pytest.raises(Misconfigured):
        gateway.ask(question())


def test_an_operator_that_does_not_ask_its_subscribers_is_an_alarm():
    """A question that is refused for our sake says nothing of the subscriber."""
    operator = CamaraOperator()
    operator.script = [reply(400, {"error": "invalid_scope"}), reply(503, b"")]
    gateway = CamaraGateway(link_to(operator, agreed(grant=Grant.CIBA)))
    with pytest.raises(Misconfigured):
        gateway.ask(question())
    with pytest.raises(Unavailable):
        gateway.ask(question())


def test_a_token_of_a_number_that_is_refused_at_once_is_an_alarm():
    """With a bearer grant each token is fresh."""
    operator = CamaraOperator()
    fresh = reply(200, {"access_token": "t", "token_type": "bearer", "expires_in": 60})
    operator.script = [fresh]
    with pytest.raises(Misconfigured):
        CamaraGateway(link_to(operator, agreed(grant=Grant.JWT_BEARER))).ask(question())


def test_a_number_of_nobody_has_not_changed_hands():
    """Three-legged as well, there is nothing to say."""
    operator = CamaraOperator()
    operator.subscribers[NUMBER.e164] = None
    link = link_to(operator, agreed(grant=Grant.CIBA))
    assert link.run(link.asking.recycled(NUMBER, date(2025, 1, 1))) is None


def test_questions_that_wait_are_few(monkeypatch):
    """Whoever waits longest is dropped when there are too many, and asked anew."""
    monkeypatch.setattr("abonent.gateways.camara.tokens._MOST_PENDING", 2)
    operator, hands = CamaraOperator(), Hands()
    operator.waiting = ["authorization_pending"] * 3
    gateway = CamaraGateway(link_to(operator, agreed(grant=Grant.CIBA), hands))
    for each in range(3):
        with pytest.raises(Unavailable):
            gateway.ask(question(f"query-{each}"))
    hands.now += 5
    for each in (2, 1):
        assert Outcome.HELD is gateway.ask(question(f"query-{each}")).outcome
    assert 3 == sum(each.url.endswith("bc-authorize") for each in operator.requests)
    gateway.ask(question("query-0"))
    assert 4 == sum(each.url.endswith("bc-authorize") for each in operator.requests)


# --- Retry-After --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("999999999999999999999", 999999999),
        ("Mon, 01 Jun 2026 09:00:30 GMT", 30),
        ("Mon, 01 Jun 2026 09:00:30 -0000", 30),
        ("Mon, 01 Jun 2026 08:00:00 GMT", 0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
    ],
)
def test_how_long_to_stay_away(said, expected):
    """Seconds or a date; what cannot be read is not there."""
    assert expected == retry_after(Response(status=503, headers={"Retry-After": said}), ASKED_AT)

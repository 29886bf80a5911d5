"""What an operator says of a code or a device, and what a user and the operator are told."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import attrs
import pytest

from abonent import SubscriberNumber
from abonent.errors import InvalidValue, Misconfigured, Unavailable
from abonent.gateways.camara import Service
from abonent.ports import NetworkProof, OneTimeCode, PossessionClaim, Verdict
from abonent.possession.camara import (
    AsyncCamaraCodes,
    AsyncCamaraVerification,
    AuthorizationCode,
    CamaraCodes,
    CamaraVerification,
    OperatorToken,
    authorization_request,
)
from tests.camara.agreed import agreed, async_link_to, link_to
from tests.camara.operator import MOST_CODES, CamaraOperator, Subscriber
from tests.gateways.test_camara_asking import error, reply

NUMBER = SubscriberNumber("+79161234567")
OTHER = SubscriberNumber("+79167654321")
MESSAGE = "{{code}} — код для входа"


def claim(issue="claim-1.1", number=NUMBER, locale="", opaque=b""):
    return PossessionClaim(
        id=issue, number=number, code=OneTimeCode("000000"), locale=locale, opaque=opaque
    )


def codes(operator, **more):
    return CamaraCodes(link_to(operator), message=MESSAGE, **more)


def bodies(operator, path):
    return [json.loads(each.body) for each in operator.requests if each.url.endswith(path)]


# --- codes --------------------------------------------------------------------------------------


def test_the_operator_is_told_number_and_text_and_the_user_the_code():
    """Our own code stays at home; the name of the attempt comes back with the proof."""
    operator = CamaraOperator()
    check = codes(operator)
    begun = check.begin(claim())
    assert [{"phoneNumber": NUMBER.e164, "message": MESSAGE}] == bodies(operator, "send-code")
    proof = OneTimeCode(operator.sent_code(NUMBER.e164))
    assert Verdict.PROVEN is check.check(proof, claim(opaque=begun.opaque))
    assert [{"authenticationId": begun.opaque.decode(), "code": proof.digits}] == bodies(
        operator, "validate-code"
    )


@pytest.mark.parametrize(
    ("locale", "expected"),
    [("", MESSAGE), ("en", "{{code}} en"), ("EN_gb", "{{code}} gb"), ("en-US", "{{code}} en")],
)
def test_the_text_is_in_the_language_of_the_user(locale, expected):
    """Its own variant, its language, or the usual one."""
    operator = CamaraOperator()
    check = codes(operator, translations={"en": "{{code}} en", "en-GB": "{{code}} gb"})
    check.begin(claim(locale=locale))
    assert expected == bodies(operator, "send-code")[0]["message"]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "no place",
        "{{code}} {{code}}",
        "{{code}} for {{phoneNumber}}",
        "{{ code }}",
        "{{code}} for +7 916 123-45-67",
        "{{code}} for 89161234567",
        "{{code}}\n",
        "{{code}}" + "a" * 153,
    ],
)
def test_a_text_that_does_not_do_is_refused_at_building(message):
    """One place for the code, one line, 160 characters, no number."""
    with pytest.raises(InvalidValue):
        CamaraCodes(link_to(CamaraOperator()), message=message)
    with pytest.raises(InvalidValue):
        codes(CamaraOperator(), translations={"en": message})
    CamaraCodes(link_to(CamaraOperator()), message="{{code}}" + "a" * 152)


def test_an_operator_without_the_api_is_refused_at_building():
    """Both kinds of check name what the profile lacks."""
    without = agreed(without=frozenset({Service.CODES, Service.VERIFICATION}))
    operator = CamaraOperator()
    for build in (
        lambda: CamaraCodes(link_to(operator, without), message=MESSAGE),
        lambda: AsyncCamaraCodes(async_link_to(operator, without), message=MESSAGE),
        lambda: CamaraVerification(link_to(operator, without)),
        lambda: AsyncCamaraVerification(async_link_to(operator, without)),
    ):
        with pytest.raises(InvalidValue, match="the profile of operator has no"):
            build()


def test_a_proof_before_anything_was_sent_has_no_verdict():
    """Nothing is known to compare with, unless this process has just begun it."""
    operator = CamaraOperator()
    check = codes(operator)
    with pytest.raises(Unavailable):
        check.check(OneTimeCode("123456"), claim())
    assert [] == operator.requests
    check.begin(claim())
    proof = OneTimeCode(operator.sent_code(NUMBER.e164))
    assert Verdict.PROVEN is check.check(proof, claim())


def test_what_began_is_remembered_for_few(monkeypatch):
    """The oldest are forgotten, and would be begun anew."""
    monkeypatch.setattr("abonent.possession.camara._MOST_BEGUN", 2)
    operator = CamaraOperator()
    check = codes(operator)
    for issue in ("1", "2", "3", "2", "3", "1"):
        check.begin(claim(issue))
    assert 4 == len(bodies(operator, "send-code"))


SENDING = {
    (403, "ONE_TIME_PASSWORD_SMS.MAX_OTP_CODES_EXCEEDED"): Unavailable,
    (403, "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_NOT_ALLOWED"): Unavailable,
    (403, "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_BLOCKED"): Unavailable,
    (404, "IDENTIFIER_NOT_FOUND"): Unavailable,
    (429, "TOO_MANY_REQUESTS"): Unavailable,
    (429, "QUOTA_EXCEEDED"): Unavailable,
    (503, "UNAVAILABLE"): Unavailable,
    (400, "INVALID_ARGUMENT"): Misconfigured,
    (401, "UNAUTHENTICATED"): Misconfigured,
    (403, "PERMISSION_DENIED"): Misconfigured,
    (404, "NOT_FOUND"): Misconfigured,
    (400, "ONE_TIME_PASSWORD_SMS.MAX_OTP_CODES_EXCEEDED"): Misconfigured,
    (204, "NO_CONTENT"): Misconfigured,
}


@pytest.mark.parametrize(("said", "expected"), SENDING.items())
def test_why_no_code_was_sent(said, expected):
    """What is about the number passes; what is about us is an alarm."""
    operator = CamaraOperator()
    check = codes(operator)
    check.begin(claim("warm"))
    operator.script = [error(*said)] * 2
    with pytest.raises(expected):
        check.begin(claim())


@pytest.mark.parametrize(
    "body", [{}, {"authenticationId": 7}, {"authenticationId": ""}, {"authenticationId": "é"}]
)
def test_an_attempt_without_a_name_is_no_attempt(body):
    """There would be nothing to check against."""
    operator = CamaraOperator()
    check = codes(operator)
    check.begin(claim("warm"))
    operator.script = [reply(200, body)]
    with pytest.raises(Misconfigured):
        check.begin(claim())


CHECKING = {
    (400, "ONE_TIME_PASSWORD_SMS.INVALID_OTP"): Verdict.FAILED,
    (400, "ONE_TIME_PASSWORD_SMS.VERIFICATION_FAILED"): Verdict.FAILED,
    (400, "ONE_TIME_PASSWORD_SMS.VERIFICATION_EXPIRED"): Verdict.FAILED,
    (400, "INVALID_ARGUMENT"): Misconfigured,
    (400, "OUT_OF_RANGE"): Misconfigured,
    (401, "UNAUTHENTICATED"): Misconfigured,
    (403, "PERMISSION_DENIED"): Misconfigured,
    (403, "ONE_TIME_PASSWORD_SMS.INVALID_OTP"): Misconfigured,
    (404, "NOT_FOUND"): Misconfigured,
    (200, "OK"): Misconfigured,
    (202, "ACCEPTED"): Misconfigured,
    (429, "TOO_MANY_REQUESTS"): Unavailable,
    (500, "INTERNAL"): Unavailable,
}


@pytest.mark.parametrize(("said", "expected"), CHECKING.items())
def test_what_a_code_is_worth(said, expected):
    """Proven by 204 and nothing else (P21)."""
    operator = CamaraOperator()
    check = codes(operator)
    begun = claim(opaque=check.begin(claim()).opaque)
    operator.script = [error(*said)] * 2
    try:
        outcome = check.check(OneTimeCode("123456"), begun)
    except (Unavailable, Misconfigured) as raised:
        outcome = type(raised)
    assert expected is outcome


def test_an_operator_that_is_tired_of_a_number_says_so():
    """Too many codes, too many tries, too late: as CAMARA has it."""
    operator = CamaraOperator()
    check = codes(operator)
    for each in range(MOST_CODES):
        check.begin(claim(str(each)))
    with pytest.raises(Unavailable):
        check.begin(claim("one more"))
    operator.subscribers[NUMBER.e164] = Subscriber(
        refused={"one-time-password-sms": (403, "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_BLOCKED")}
    )
    with pytest.raises(Unavailable):
        check.begin(claim("blocked"))


# --- devices ------------------------------------------------------------------------------------


REDIRECT = "https://messenger.example/back"


def device(operator, number=NUMBER, challenge_of=None):
    """A user's device goes where it is sent, in its operator's network."""
    request = authorization_request(
        agreed(),
        authorization_url="https://operator.example/authorize",
        redirect_uri=REDIRECT,
        state="state-1",
    )
    query = {key: value[0] for key, value in parse_qs(urlsplit(request.url).query).items()}
    code = operator.authorize(number.e164, query["code_challenge"], query["redirect_uri"])
    return AuthorizationCode(
        code=code, verifier=challenge_of or request.verifier, redirect_uri=REDIRECT
    ), query


def test_a_device_is_sent_to_the_operator_with_what_it_needs():
    """Scope, purpose, no prompt, and a challenge whose secret stays here."""
    _, query = device(CamaraOperator())
    challenge = query.pop("code_challenge")
    assert 43 == len(challenge)
    assert {
        "response_type": "code",
        "client_id": "messenger-at-operator",
        "redirect_uri": REDIRECT,
        "scope": "openid dpv:FraudPreventionAndDetection number-verification:verify",
        "prompt": "none",
        "state": "state-1",
        "code_challenge_method": "S256",
    } == query
    with pytest.raises(InvalidValue):
        authorization_request(
            agreed(), authorization_url="http://a.example", redirect_uri=REDIRECT, state=""
        )


def test_a_device_proves_its_own_number_and_no_other():
    """By its network, or by its SIM."""
    operator = CamaraOperator()
    check = CamaraVerification(link_to(operator))
    assert b"" == check.begin(claim()).opaque
    for number, expected in ((NUMBER, Verdict.PROVEN), (OTHER, Verdict.FAILED)):
        proof, _ = device(operator, number)
        assert expected is check.check(proof, claim())
        token = OperatorToken(token=operator.authorize(number.e164, "", ""))
        assert expected is check.check(token, claim())
    assert {"phoneNumber": NUMBER.e164} == bodies(operator, "verify")[0]


def test_a_proof_is_worth_something_once_and_with_its_secret_only():
    """Used up, made up, or with another verifier: the user's doing, and no alarm (P13)."""
    operator = CamaraOperator()
    check = CamaraVerification(link_to(operator))
    proof, _ = device(operator)
    assert Verdict.PROVEN is check.check(proof, claim())
    assert Verdict.FAILED is check.check(proof, claim())
    stolen, _ = device(operator, challenge_of="a" * 43)
    assert Verdict.FAILED is check.check(stolen, claim())
    made_up = OperatorToken(token="made-up")
    assert Verdict.FAILED is check.check(made_up, claim())
    assert Verdict.FAILED is check.check(NetworkProof(), claim())


VERIFYING = [
    (error(403, "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK"), Verdict.FAILED),
    (error(403, "PERMISSION_DENIED"), Misconfigured),
    (error(401, "UNAUTHENTICATED"), Misconfigured),
    (error(400, "INVALID_ARGUMENT"), Misconfigured),
    (error(404, "NOT_FOUND"), Misconfigured),
    (error(503, "UNAVAILABLE"), Unavailable),
    (reply(200, {}), Misconfigured),
    (reply(200, {"devicePhoneNumberVerified": "true"}), Misconfigured),
    (reply(200, b"<html>"), Misconfigured),
    (reply(200, {"devicePhoneNumberVerified": False}), Verdict.FAILED),
    (reply(200, {"devicePhoneNumberVerified": True}), Verdict.PROVEN),
]


@pytest.mark.parametrize(("response", "expected"), VERIFYING)
def test_what_a_device_is_worth(response, expected):
    """Proven by a true and nothing else (P21)."""
    operator = CamaraOperator()
    proof, _ = device(operator)
    fresh = reply(200, {"access_token": "t", "token_type": "bearer", "expires_in": 60})
    operator.script = [fresh, response]
    try:
        outcome = CamaraVerification(link_to(operator)).check(proof, claim())
    except (Unavailable, Misconfigured) as raised:
        outcome = type(raised)
    assert expected is outcome


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (reply(401, {"error": "invalid_client"}), Misconfigured),
        (reply(400, {"error": "invalid_request"}), Misconfigured),
        (reply(401, {"error": "invalid_grant"}), Misconfigured),
        (reply(503, {"error": "invalid_grant"}), Unavailable),
    ],
)
def test_a_token_endpoint_that_refuses_us_fails_no_user(response, expected):
    """Only `invalid_grant` under 400 is about the proof."""
    operator = CamaraOperator()
    proof, _ = device(operator)
    operator.script = [response]
    with pytest.raises(expected):
        CamaraVerification(link_to(operator)).check(proof, claim())


def test_the_same_awaited():
    """Both checks, for asyncio."""
    operator = CamaraOperator()

    async def run():
        link = async_link_to(operator)
        check = AsyncCamaraVerification(link)
        begun = await check.begin(claim())
        proof, _ = device(operator)
        silent = await check.check(proof, claim())
        typed = AsyncCamaraCodes(link, message=MESSAGE)
        opaque = (await typed.begin(claim())).opaque
        again = (await typed.begin(claim())).opaque
        code = OneTimeCode(operator.sent_code(NUMBER.e164))
        return begun.opaque, silent, opaque == again, await typed.check(code, claim())

    assert (b"", Verdict.PROVEN, True, Verdict.PROVEN) == asyncio.run(run())


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: AuthorizationCode(code="", verifier="a" * 43, redirect_uri=REDIRECT),
        lambda: AuthorizationCode(code="a b", verifier="a" * 43, redirect_uri=REDIRECT),
        lambda: AuthorizationCode(code="a", verifier="a" * 42, redirect_uri=REDIRECT),
        lambda: AuthorizationCode(code="a", verifier="é" * 43, redirect_uri=REDIRECT),
        lambda: AuthorizationCode(code="a", verifier="a" * 43, redirect_uri="a\nb"),
        lambda: OperatorToken(token=""),
        lambda: OperatorToken(token="a" * 4097),
    ],
)
def test_a_proof_that_cannot_be_one_is_refused(wrong):
    """It is not offered, and not counted."""
    with pytest.raises(InvalidValue):
        wrong()


def test_no_repr_shows_a_proof():
    """Nor do checks show anything but the operator (P7, I9)."""
    operator = CamaraOperator()
    proof, _ = device(operator)
    secrets = [proof.code, proof.verifier]
    shown = [
        repr(proof),
        str(proof),
        repr(OperatorToken(token=proof.code)),
        repr(CamaraVerification(link_to(operator))),
        repr(codes(operator)),
        repr(AsyncCamaraVerification(async_link_to(operator))),
        repr(AsyncCamaraCodes(async_link_to(operator), message=MESSAGE)),
    ]
    assert not [each for each in shown for secret in secrets if secret in each]
    assert "AuthorizationCode(…)" == repr(proof)
    assert "…" in repr(attrs.evolve(proof, code="other"))


def test_a_double_at_the_other_end_makes_a_double():
    """All four checks say so (P12)."""
    operator = CamaraOperator()
    assert codes(operator).test_double
    assert CamaraVerification(link_to(operator)).test_double
    assert AsyncCamaraVerification(async_link_to(operator)).test_double
    assert AsyncCamaraCodes(async_link_to(operator), message=MESSAGE).test_double

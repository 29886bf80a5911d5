"""What a reference operator answers, API by API."""

import hashlib
from datetime import timedelta

import pytest

from tests.simulation.reference.asgi import (
    BARRED,
    CHAT,
    ENDED,
    HELD,
    MACHINE,
    OTHER,
    PORTED,
    RECYCLING,
    SEND,
    STRANGER,
    TENURE,
    VALIDATE,
    VERIFY,
    WITHDRAW,
    challenge_of,
    clients,
    reached,
)

VERIFIER = "v" * 43
QUESTION = "q" * 63


def code_of(reply):
    return reply.json().get("code") or reply.json().get("error")


# --- kyc-tenure -------------------------------------------------------------------------


def test_a_subscriber_is_held_since_when_it_says(operator):
    """True if the subscription is as old as was asked, and in any case it is held."""
    began = operator.clock.now().date() - timedelta(days=1000)
    for day, expected in ((began, True), (began - timedelta(days=1), False)):
        reply = operator.call(TENURE, {"phoneNumber": HELD, "tenureDate": day.isoformat()})
        assert 200 == reply.status_code
        assert {"tenureDateCheck": expected, "contractType": "PAYM"} == reply.json()


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (ENDED, 404, "ABONENT.NOT_HELD"),
        (PORTED, 404, "IDENTIFIER_NOT_FOUND"),
        (STRANGER, 404, "IDENTIFIER_NOT_FOUND"),
        (MACHINE, 422, "SERVICE_NOT_APPLICABLE"),
    ],
)
def test_what_is_not_held_is_said_by_its_own_word(operator, number, status, code):
    """P18: not ours, not held and undetermined are three replies."""
    reply = operator.tenure(number)
    assert (status, code) == (reply.status_code, code_of(reply))


def test_a_question_gets_one_answer(operator):
    """Asked again under its id the same is said, whatever the base says now; another is new."""
    asked = {"x_correlator": f"{QUESTION}/9c4c2f0e-6a0f-4b43-8a5c-1f5d9be2c7a1"}
    again = {"x_correlator": f"{QUESTION}/9c4c2f0e-6a0f-4b43-8a5c-1f5d9be2c7a2"}
    assert 200 == operator.tenure(**asked).status_code
    change = {"phoneNumber": HELD, "state": "undetermined"}
    assert 204 == operator.control("subscribers", change).status_code
    assert 200 == operator.tenure(**again).status_code
    assert 422 == operator.tenure().status_code


def test_a_question_about_another_number_is_another_question(operator):
    """Where a correlator only looks like an id of ours, nobody is answered for somebody else."""
    asked = {"x_correlator": f"{QUESTION}/9c4c2f0e-6a0f-4b43-8a5c-1f5d9be2c7a1"}
    assert 200 == operator.tenure(HELD, **asked).status_code
    assert 404 == operator.tenure(ENDED, **asked).status_code


def test_no_date_lies_in_the_future(operator):
    """Tomorrow is out of range, today is not; days are those of Moscow."""
    operator.clock.set(operator.clock.now().replace(hour=22))  # the next day has begun in Moscow
    today = operator.clock.now().date() + timedelta(days=1)
    for path, member in ((TENURE, "tenureDate"), (RECYCLING, "specifiedDate")):
        body = {"phoneNumber": HELD, member: today.isoformat()}
        assert 200 == operator.call(path, body).status_code
        reply = operator.call(path, body | {member: (today + timedelta(days=1)).isoformat()})
        assert (400, "OUT_OF_RANGE") == (reply.status_code, code_of(reply))


def test_who_has_no_agreement_is_not_answered(tmp_path):
    """Whose agreement ended gets no answer and nothing recorded, and may still take back."""
    now = clients()[0].agreed_from
    over = clients(agreed_from=now, agreed_until=now + timedelta(days=1))
    with reached(tmp_path, clients=over) as operator:
        for reply in (operator.tenure(), operator.record()):
            assert (403, "PERMISSION_DENIED") == (reply.status_code, code_of(reply))
        body = {"id": "w", "messenger": CHAT, "identificationCode": "code-1"}
        assert 204 == operator.call(WITHDRAW, body).status_code


def test_whose_the_number_is_stands_in_token_or_body(operator):
    """A token that names nobody needs a number beside it, another one must not have any."""
    by_token = operator.by_bearer(f"tel:{HELD}", "kyc-tenure:check-tenure").json()["access_token"]
    assert 200 == operator.call(TENURE, {"tenureDate": "2020-01-01"}, token=by_token).status_code
    for reply, code in (
        (operator.tenure(token=by_token), "UNNECESSARY_IDENTIFIER"),
        (operator.call(TENURE, {"tenureDate": "2020-01-01"}), "MISSING_IDENTIFIER"),
    ):
        assert (422, code) == (reply.status_code, code_of(reply))


def test_a_barred_line_is_held(operator):
    """That no message goes there says nothing of whether it is a subscriber's."""
    assert 200 == operator.tenure(BARRED).status_code


# --- number-recycling -------------------------------------------------------------------


def test_a_number_has_changed_hands_or_not(operator):
    """True after a reassignment and where the number is nobody's, false before."""

    def recycled(number, days_ago):
        day = operator.clock.now().date() - timedelta(days=days_ago)
        body = {"phoneNumber": number, "specifiedDate": day.isoformat()}
        return operator.call(RECYCLING, body).json().get("phoneNumberRecycled")

    assert recycled(HELD, 1) is False
    assert recycled(HELD, 1001) is True
    assert recycled(ENDED, 1) is True
    happened = operator.clock.now().isoformat()
    assert 200 == operator.move(HELD, "reassigned", happenedAt=happened).status_code
    assert recycled(HELD, 1) is True
    assert recycled(HELD, 0) is False


@pytest.mark.parametrize(("number", "status"), [(STRANGER, 404), (PORTED, 404), (MACHINE, 422)])
def test_of_what_is_not_ours_nothing_is_said(operator, number, status):
    """Whether it changed hands is for its own operator to say."""
    body = {"phoneNumber": number, "specifiedDate": "2020-01-01"}
    assert status == operator.call(RECYCLING, body).status_code


# --- one-time-password-sms --------------------------------------------------------------


def send(operator, number=HELD, **more):
    body = {"phoneNumber": number, "message": "{{code}} is your code"}
    return operator.call(SEND, body, **more)


def validate(operator, attempt, code, **more):
    return operator.call(VALIDATE, {"authenticationId": attempt, "code": code}, **more)


def codes(operator, number=HELD):
    return operator.control("codes", {"phoneNumber": number}).json()["codes"]


def test_a_code_is_sent_read_and_right_once(operator):
    """A phone shows it, it passes, and it passes no second time (P6)."""
    attempt = send(operator).json()["authenticationId"]
    (code,) = codes(operator)
    assert 204 == validate(operator, attempt, code).status_code
    assert [] == codes(operator)
    reply = validate(operator, attempt, code)
    assert (400, "ONE_TIME_PASSWORD_SMS.VERIFICATION_FAILED") == (
        reply.status_code,
        code_of(reply),
    )


def test_a_code_takes_five_tries(operator):
    """After five wrong ones the right one is refused, too."""
    attempt = send(operator).json()["authenticationId"]
    (code,) = codes(operator)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    told = [code_of(validate(operator, attempt, wrong)) for _ in range(6)]
    assert ["ONE_TIME_PASSWORD_SMS.INVALID_OTP"] * 5 == told[:5]
    assert "ONE_TIME_PASSWORD_SMS.VERIFICATION_FAILED" == told[5]
    assert 400 == validate(operator, attempt, code).status_code


def test_a_code_counts_for_ten_minutes(operator):
    """Inclusive; then it has expired, and later nobody knows of it."""
    first, second = (send(operator).json()["authenticationId"] for _ in range(2))
    one, other = codes(operator)
    operator.clock.advance(timedelta(minutes=10))
    assert 204 == validate(operator, first, one).status_code
    operator.clock.advance(timedelta(microseconds=1))
    reply = validate(operator, second, other)
    assert "ONE_TIME_PASSWORD_SMS.VERIFICATION_EXPIRED" == code_of(reply)
    assert [] == codes(operator)
    operator.clock.advance(timedelta(minutes=30))
    send(operator)
    assert "NOT_FOUND" == code_of(validate(operator, second, other))


def test_a_number_has_five_codes_at_once(operator):
    """The sixth is refused until one has been used or has expired."""
    attempts = [send(operator).json()["authenticationId"] for _ in range(5)]
    reply = send(operator)
    assert (403, "ONE_TIME_PASSWORD_SMS.MAX_OTP_CODES_EXCEEDED") == (
        reply.status_code,
        code_of(reply),
    )
    assert 204 == validate(operator, attempts[0], codes(operator)[0]).status_code
    assert 200 == send(operator).status_code


@pytest.mark.parametrize(
    ("number", "refusal"),
    [
        (ENDED, (403, "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_NOT_ALLOWED")),
        (MACHINE, (403, "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_NOT_ALLOWED")),
        (BARRED, (403, "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_BLOCKED")),
        (PORTED, (404, "NOT_FOUND")),
        (STRANGER, (404, "NOT_FOUND")),
    ],
)
def test_codes_go_to_subscribers_only(operator, number, refusal):
    """To nobody else: a number of ours without a subscriber is told from one of others."""
    reply = send(operator, number)
    assert refusal == (reply.status_code, code_of(reply))


def test_an_attempt_belongs_to_who_began_it(operator):
    """Another messenger does not even learn that there is one."""
    attempt = send(operator).json()["authenticationId"]
    reply = validate(operator, attempt, codes(operator)[0], client=OTHER)
    assert (404, "NOT_FOUND") == (reply.status_code, code_of(reply))


# --- number-verification ----------------------------------------------------------------


def device_token(operator, number=HELD):
    given = operator.control("operator-tokens", {"phoneNumber": number}).json()["operatorToken"]
    scope = "number-verification:verify"
    return operator.by_bearer(f"operatortoken:{given}", scope).json()["access_token"]


@pytest.mark.parametrize("hashed", [False, True], ids=["plain", "hashed"])
def test_the_number_of_a_device_is_compared(operator, hashed):
    """Its own is right, another one is not; a digest does as well, in either case of letters."""

    def given(number):
        if not hashed:
            return {"phoneNumber": number}
        return {"hashedPhoneNumber": hashlib.sha256(number.encode()).hexdigest().upper()}

    token = device_token(operator)
    for number, expected in ((HELD, True), (STRANGER, False)):
        reply = operator.call(VERIFY, given(number), token=token)
        assert {"devicePhoneNumberVerified": expected} == reply.json()


def test_a_device_in_the_network_proves_itself_by_a_code(operator):
    """The authorization code flow with PKCE gives a token for its number."""
    redirect = "https://chat.example/back"
    begun = {
        "phoneNumber": HELD,
        "codeChallenge": challenge_of(VERIFIER),
        "redirectUri": redirect,
    }
    code = operator.control("authorization-codes", begun).json()["code"]
    granted = operator.grant(
        grant_type="authorization_code",
        scope=...,
        code=code,
        code_verifier=VERIFIER,
        redirect_uri=redirect,
    )
    token = granted.json()["access_token"]
    assert operator.call(VERIFY, {"phoneNumber": HELD}, token=token).json() == {
        "devicePhoneNumberVerified": True
    }


@pytest.mark.parametrize("how", ["two-legged", "by the number alone"])
def test_only_a_device_proves_its_number(operator, how):
    """A token that no device of the network had is refused by name."""
    scope = "number-verification:verify"
    token = operator.token(scope)
    if how == "by the number alone":
        token = operator.by_bearer(f"tel:{HELD}", scope).json()["access_token"]
    reply = operator.call(VERIFY, {"phoneNumber": HELD}, token=token)
    assert 403 == reply.status_code
    assert "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK" == code_of(reply)


@pytest.mark.parametrize(
    "body", [{}, {"phoneNumber": HELD, "hashedPhoneNumber": "0" * 64}], ids=["none", "both"]
)
def test_exactly_one_number_is_compared(operator, body):
    """Neither of them and both of them are no question."""
    assert 400 == operator.call(VERIFY, body, token=device_token(operator)).status_code


# --- records ----------------------------------------------------------------------------


def test_a_code_is_recorded_once_beside_one_number(operator):
    """Again is harmless; beside another number it is refused."""
    assert 204 == operator.record().status_code
    assert 204 == operator.record().status_code
    reply = operator.record(number=ENDED)
    assert (409, "ALREADY_EXISTS") == (reply.status_code, code_of(reply))


def test_a_messenger_records_for_itself(operator):
    """A token of one messenger is no use for another's records."""
    for path in ("record", "withdraw"):
        body = {"id": "r", "messenger": OTHER, "identificationCode": "code-1"}
        body |= {"phoneNumber": HELD} if path == "record" else {}
        reply = operator.call(f"/abonent-records/v1/{path}", body)
        assert (403, "INVALID_TOKEN_CONTEXT") == (reply.status_code, code_of(reply))


def test_what_is_withdrawn_is_not_recorded_again(operator):
    """A removal that overtook its record stands, and nobody is told of that number's end."""
    body = {"id": "w", "messenger": CHAT, "identificationCode": "code-1"}
    assert 204 == operator.call(WITHDRAW, body).status_code
    assert 204 == operator.record().status_code
    assert 0 == operator.move().json()["notices"]

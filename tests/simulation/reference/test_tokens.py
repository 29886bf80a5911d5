"""Who gets a token: assertions, grants, scopes (CAMARA security profile r4.2, RFC 7523)."""

import base64
import hmac
import json
from datetime import timedelta

import pytest
from joserfc import jwk

from tests.simulation.reference.asgi import (
    ASSERTION,
    BACKCHANNEL_URL,
    CHAT,
    CIBA,
    ENDED,
    HELD,
    JWT_BEARER,
    OTHER,
    PAIRS,
    PORTED,
    PURPOSE,
    ROOT,
    STRANGER,
    TENURE,
    TOKEN_URL,
    challenge_of,
    reached,
)

CHECK = "kyc-tenure:check-tenure"
VERIFY = "number-verification:verify"


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    """One for all of them."""
    with reached(tmp_path_factory.mktemp("operator")) as found:
        yield found


def refused(reply, status, error):
    assert (status, {"error": error}) == (reply.status_code, reply.json())
    assert "no-store" == reply.headers["cache-control"]


def test_a_client_gets_a_token_for_what_it_asked(operator):
    """Bearer, for an hour, for these scopes, and not to be kept by anybody between."""
    reply = operator.grant(CHECK, "abonent-records:write")
    assert 200 == reply.status_code
    assert "no-store" == reply.headers["cache-control"]
    said = reply.json()
    assert ("Bearer", 3600) == (said["token_type"], said["expires_in"])
    assert f"abonent-records:write {CHECK}" == said["scope"]
    assert 200 == operator.tenure(token=said["access_token"]).status_code


def test_each_token_is_another(operator):
    """They are drawn, and nothing can be told from one."""
    assert 20 == len({operator.token(CHECK) for _ in range(20)})


# --- assertions -------------------------------------------------------------------------

WRONG_CLAIMS = {
    "nobody made it": {"iss": ...},
    "somebody unknown made it": {"iss": "stranger"},
    "another made it": {"iss": "talk-at-mts"},
    "no name at all": {"iss": 7},
    "about nobody": {"sub": ...},
    "about another": {"sub": "talk-at-mts"},
    "about no text": {"sub": ["chat-at-mts"]},
    "for nobody": {"aud": ...},
    "for another address": {"aud": f"{ROOT}/bc-authorize"},
    "for the host alone": {"aud": ROOT},
    "for a list without us": {"aud": ["https://elsewhere.example/token"]},
    "for a number": {"aud": 7},
    "for ever": {"exp": ...},
    "until a word": {"exp": "tomorrow"},
    "without a name": {"jti": ...},
    "with an empty name": {"jti": ""},
    "with a long name": {"jti": "x" * 257},
    "with a number for a name": {"jti": 7},
    "made at a word": {"iat": "now"},
}
TIMES = {
    "in time": ((0, 60), True),
    "to the last second": ((0, 300), True),
    "nearly over": ((-299, 1), True),
    "over": ((-60, 0), False),
    "long over": ((-600, -540), False),
    "too long": ((0, 301), False),
    "too long, and made earlier": ((-200, 101), False),
    "made later": ((1, 60), False),
    "no making": ((None, 300), True),
    "no making, too long": ((None, 301), False),
    "no making, over": ((None, 0), False),
}


@pytest.mark.parametrize("claims", WRONG_CLAIMS.values(), ids=WRONG_CLAIMS)
def test_an_assertion_that_says_something_else(operator, claims):
    """Each claim that is wrong or missing, one by one: and the reply is always the same."""
    refused(
        operator.grant(CHECK, client_assertion=operator.assertion(**claims)), 401, "invalid_client"
    )


@pytest.mark.parametrize(("times", "counts"), TIMES.values(), ids=TIMES)
def test_how_old_an_assertion_may_be(operator, times, counts):
    """It counts for up to 300 seconds from its making, and neither before nor after."""
    made, expires = times
    now = int(operator.clock.now().timestamp())
    claims = {"iat": ... if made is None else now + made, "exp": now + expires}
    reply = operator.grant(CHECK, client_assertion=operator.assertion(**claims))
    if counts:
        assert 200 == reply.status_code
    else:
        refused(reply, 401, "invalid_client")


def test_an_audience_may_be_one_of_several(operator):
    """A list that names us among others does (RFC 7519, 4.1.3)."""
    claims = {"aud": ["https://elsewhere.example", TOKEN_URL]}
    assert 200 == operator.grant(CHECK, client_assertion=operator.assertion(**claims)).status_code


def unsigned(assertion):
    head, claims, _ = assertion.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    return {
        "none": f"{none}.{claims}.",
        "cut": f"{head}.{claims}.",
        "two parts": f"{head}.{claims}",
    }


def keyed(assertion, secret):
    """The same claims under HS256: the published half of the key, taken for a shared secret."""
    claims = assertion.split(".")[1]
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').decode().rstrip("=")
    tag = hmac.digest(secret, f"{head}.{claims}".encode(), "sha256")
    return f"{head}.{claims}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"


def test_an_assertion_that_the_client_did_not_sign(operator):
    """By another key, by another client's, by a shared secret, or not at all."""
    tried = [
        operator.assertion(pair=jwk.generate_key("EC", "P-256")),
        operator.assertion(pair=PAIRS[OTHER]),
        operator.assertion(pair=jwk.generate_key("OKP", "Ed25519"), alg="Ed25519"),
        keyed(operator.assertion(), PAIRS[CHAT].as_pem(private=False)),
        *unsigned(operator.assertion()),
        *("", ".", "..", "a.b.c", "x" * 8000, "e30.e30.e30"),
    ]
    for each in tried:
        refused(operator.grant(CHECK, client_assertion=each), 401, "invalid_client")


def test_an_assertion_that_was_changed(operator):
    """One letter of what was signed is enough."""
    head, claims, signature = operator.assertion().split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    changed = base64.urlsafe_b64encode(json.dumps(said | {"exp": said["exp"] + 1}).encode())
    forged = f"{head}.{changed.decode().rstrip('=')}.{signature}"
    refused(operator.grant(CHECK, client_assertion=forged), 401, "invalid_client")


def test_an_assertion_counts_once(operator):
    """P13: the same one again is refused, and so is another with its name; others' names differ."""
    first = operator.assertion(jti="once")
    assert 200 == operator.grant(CHECK, client_assertion=first).status_code
    for each in (first, operator.assertion(jti="once")):
        refused(operator.grant(CHECK, client_assertion=each), 401, "invalid_client")
    other = operator.assertion(OTHER, jti="once")
    assert 200 == operator.grant(CHECK, client=OTHER, client_assertion=other).status_code


def test_an_assertion_counts_once_whoever_is_restarted(tmp_path):
    """P13: what came before a restart is known after it; a token is not."""
    with reached(tmp_path) as operator:
        assertion, clock = operator.assertion(), operator.clock
        token = operator.grant(CHECK, client_assertion=assertion).json()["access_token"]
    with reached(tmp_path, clock) as operator:
        refused(operator.grant(CHECK, client_assertion=assertion), 401, "invalid_client")
        assert 401 == operator.tenure(token=token).status_code
        assert 200 == operator.tenure().status_code


def test_an_assertion_is_forgotten_when_it_has_run_out(tmp_path):
    """So that what is remembered does not grow for ever; it would not count any more."""
    with reached(tmp_path) as operator:
        used, store = operator.operator._used, operator.operator._store
        for _ in range(3):
            operator.token(CHECK)
        now = operator.clock.now()
        used.clear(now + timedelta(seconds=60))
        assert 3 == len(store.scan(used._space, b"", 10))
        used.clear(now + timedelta(seconds=60, microseconds=1))
        assert [] == store.scan(used._space, b"", 10)


# --- forms ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"grant_type": ...}, 400, "invalid_request"),
        ({"grant_type": ""}, 400, "unsupported_grant_type"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, 400, "unsupported_grant_type"),
        ({"client_assertion_type": ...}, 401, "invalid_client"),
        ({"client_assertion_type": "jwt-bearer"}, 401, "invalid_client"),
        ({"client_assertion": ...}, 401, "invalid_client"),
        ({"client_id": "talk-at-mts"}, 401, "invalid_client"),
        ({"client_secret": "x", "client_assertion": ...}, 401, "invalid_client"),
        ({"scope": ...}, 400, "invalid_scope"),
        ({"scope": ""}, 400, "invalid_scope"),
        ({"scope": CHECK}, 400, "invalid_scope"),
        ({"scope": PURPOSE}, 400, "invalid_scope"),
        ({"scope": f"{PURPOSE} dpv:Marketing {CHECK}"}, 400, "invalid_scope"),
        ({"scope": f"{PURPOSE}! {CHECK}"}, 400, "invalid_scope"),
        ({"scope": f"{PURPOSE} {CHECK} everything"}, 400, "invalid_scope"),
        ({"scope": f"{PURPOSE}  {CHECK}"}, 400, "invalid_scope"),
    ],
    ids=str,
)
def test_a_form_that_asks_for_something_else(operator, fields, status, error):
    """Each field, one by one."""
    refused(operator.grant(CHECK, **fields), status, error)


def test_the_client_may_be_named_beside_its_assertion(operator):
    """If it is the same one."""
    assert 200 == operator.grant(CHECK, client_id="chat-at-mts").status_code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"grant_type",
        b"grant_type=client_credentials&grant_type=client_credentials",
        b"a=" + b"%ff" * 10,
        "grant_type=пароль".encode(),
        b"&".join(b"%d=1" % n for n in range(40)),
    ],
    ids=["nothing", "no pair", "twice", "no UTF-8", "not encoded", "too many"],
)
def test_a_form_that_cannot_be_read(operator, body):
    """Nor guessed at."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for path in ("/token", "/bc-authorize"):
        reply = operator.checked("POST", path, content=body, headers=headers)
        if body or path == "/token":
            refused(reply, 400, "invalid_request")
        else:
            refused(reply, 401, "invalid_client")


def test_a_form_of_another_kind_or_size(operator):
    """JSON is none; 16 KiB are read."""
    reply = operator.checked("POST", "/token", content=b"{}", headers={"content-type": "text/json"})
    refused(reply, 400, "invalid_request")
    headers = {"content-type": "application/x-www-form-urlencoded"}
    reply = operator.checked("POST", "/token", content=b"a=" + b"b" * 16_384, headers=headers)
    assert 413 == reply.status_code


# --- three legs -------------------------------------------------------------------------


def test_a_number_by_assertion(operator):
    """The scope stands in the assertion, and must not stand beside it."""
    assert 200 == operator.by_bearer(f"tel:{HELD}", CHECK).status_code
    assertion = operator.assertion(sub=f"tel:{HELD}", scope=f"{PURPOSE} {CHECK}")
    reply = operator.form(
        "/token", grant_type=JWT_BEARER, assertion=assertion, scope=f"{PURPOSE} {CHECK}"
    )
    refused(reply, 400, "invalid_request")
    for claims in ({"scope": ...}, {"scope": 7}, {"iat": ..., "scope": f"{PURPOSE} {CHECK}"}):
        assertion = operator.assertion(sub=f"tel:{HELD}", **claims)
        reply = operator.form("/token", grant_type=JWT_BEARER, assertion=assertion)
        refused(reply, 400, "invalid_request")
    for scope in ("", CHECK, f"{PURPOSE} everything"):
        assertion = operator.assertion(sub=f"tel:{HELD}", scope=scope)
        reply = operator.form("/token", grant_type=JWT_BEARER, assertion=assertion)
        refused(reply, 400, "invalid_scope")


@pytest.mark.parametrize(
    "subject", ["tel:", "tel:8916", f"{HELD}", f"ipport:{HELD}", "operatortoken:made-up", ""]
)
def test_a_subject_that_is_none(operator, subject):
    """No number and no device of ours."""
    refused(operator.by_bearer(subject, CHECK), 400, "invalid_grant")


def test_a_number_of_nobody_here_is_for_the_api_to_tell(operator):
    """Whoever has a token for it hears from the API that it is not ours."""
    token = operator.by_bearer(f"tel:{STRANGER}", CHECK).json()["access_token"]
    reply = operator.call(TENURE, {"tenureDate": "2020-01-01"}, token=token)
    assert (404, "IDENTIFIER_NOT_FOUND") == (reply.status_code, reply.json()["code"])


def test_an_operator_token_counts_once_and_not_for_long(operator):
    """Five minutes, inclusive."""

    def given():
        return operator.control("operator-tokens", {"phoneNumber": HELD}).json()["operatorToken"]

    first, second, third = given(), given(), given()
    assert 200 == operator.by_bearer(f"operatortoken:{first}", VERIFY).status_code
    refused(operator.by_bearer(f"operatortoken:{first}", VERIFY), 400, "invalid_grant")
    operator.clock.advance(timedelta(minutes=5))
    assert 200 == operator.by_bearer(f"operatortoken:{second}", VERIFY).status_code
    operator.clock.advance(timedelta(microseconds=1))
    refused(operator.by_bearer(f"operatortoken:{third}", VERIFY), 400, "invalid_grant")


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ({"code": "made-up"}, 0),
        ({"code": ...}, 0),
        ({"code_verifier": "w" * 43}, 0),
        ({"code_verifier": ...}, 0),
        ({"redirect_uri": "https://elsewhere.example"}, 0),
        ({"redirect_uri": ...}, 0),
        ({}, 300.000001),
    ],
    ids=str,
)
def test_an_authorization_code_that_does_not_count(operator, changes, after):
    """It is bound to the flow that it was made for, counts once, and for five minutes (P13)."""
    begun = {
        "phoneNumber": HELD,
        "codeChallenge": challenge_of("v" * 43),
        "redirectUri": "https://chat.example/back",
    }
    code = operator.control("authorization-codes", begun).json()["code"]
    operator.clock.advance(after)
    right = {
        "grant_type": "authorization_code",
        "scope": ...,
        "code": code,
        "code_verifier": "v" * 43,
        "redirect_uri": "https://chat.example/back",
    }
    refused(operator.grant(**(right | changes)), 400, "invalid_grant")
    if changes.get("code", code) == code:
        refused(operator.grant(**right), 400, "invalid_grant")  # it was used


# --- a subscriber is asked --------------------------------------------------------------


def ask(operator, hint=f"tel:{HELD}", **fields):
    given = {
        "scope": f"openid {PURPOSE} {CHECK}",
        "login_hint": hint,
        "client_assertion_type": ASSERTION,
        "client_assertion": operator.assertion(aud=BACKCHANNEL_URL),
    }
    return operator.form("/bc-authorize", **(given | fields))


def poll(operator, name, client=CHAT):
    return operator.grant(grant_type=CIBA, scope=..., auth_req_id=name, client=client)


def test_a_subscriber_who_is_asked_agrees(operator):
    """The token is for their number, and there is one of it."""
    begun = ask(operator).json()
    assert (120, 1) == (begun["expires_in"], begun["interval"])
    token = poll(operator, begun["auth_req_id"]).json()["access_token"]
    assert 200 == operator.call(TENURE, {"tenureDate": "2020-01-01"}, token=token).status_code
    refused(poll(operator, begun["auth_req_id"]), 400, "invalid_grant")


def test_asking_belongs_to_who_began_it(operator):
    """Another client polls in vain, and the first one has lost nothing by it."""
    name = ask(operator).json()["auth_req_id"]
    refused(poll(operator, name, OTHER), 400, "invalid_grant")
    assert 200 == poll(operator, name).status_code


def test_asking_is_over_after_two_minutes(operator):
    """Inclusive."""
    first, second = (ask(operator).json()["auth_req_id"] for _ in range(2))
    operator.clock.advance(timedelta(minutes=2))
    assert 200 == poll(operator, first).status_code
    operator.clock.advance(timedelta(microseconds=1))
    refused(poll(operator, second), 400, "expired_token")


def test_a_subscriber_is_let_wait_on_demand(operator):
    """The first polls are told that nobody has agreed yet."""
    name = ask(operator).json()["auth_req_id"]
    operator.faults({"at": "token", "what": "pending", "times": 2})
    for _ in range(2):
        refused(poll(operator, name), 400, "authorization_pending")
    assert 200 == poll(operator, name).status_code


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"login_hint": f"tel:{STRANGER}"}, 400, "unknown_user_id"),
        ({"login_hint": f"tel:{PORTED}"}, 400, "unknown_user_id"),
        ({"login_hint": "tel:8916"}, 400, "unknown_user_id"),
        ({"login_hint": HELD}, 400, "invalid_request"),
        ({"login_hint": ...}, 400, "invalid_request"),
        ({"scope": CHECK}, 400, "invalid_scope"),
        ({"client_assertion": ...}, 401, "invalid_client"),
    ],
    ids=str,
)
def test_nobody_is_asked(operator, fields, status, error):
    """Who is no subscriber of ours, or who is not asked as it is agreed."""
    refused(ask(operator, **fields), status, error)


def test_an_assertion_for_the_other_endpoint_does_not_count(operator):
    """Each has an address of its own."""
    refused(ask(operator, client_assertion=operator.assertion()), 401, "invalid_client")
    reply = operator.grant(CHECK, client_assertion=operator.assertion(aud=BACKCHANNEL_URL))
    refused(reply, 401, "invalid_client")


def test_somebody_whose_contract_ended_may_be_asked(operator):
    """Their number is ours still: what is held is for the API to say."""
    token = poll(operator, ask(operator, f"tel:{ENDED}").json()["auth_req_id"]).json()
    reply = operator.call(TENURE, {"tenureDate": "2020-01-01"}, token=token["access_token"])
    assert "ABONENT.NOT_HELD" == reply.json()["code"]

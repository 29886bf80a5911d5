"""What is no call is refused, by status and code, before anything is done; enumerated."""

import json

import pytest

from tests.simulation.reference.asgi import (
    CHAT,
    HELD,
    RECORD,
    RECYCLING,
    SCOPES,
    SEND,
    TENURE,
    VALIDATE,
    VERIFY,
    WITHDRAW,
    reached,
)

RIGHT = {
    TENURE: {"phoneNumber": HELD, "tenureDate": "2020-01-01"},
    RECYCLING: {"phoneNumber": HELD, "specifiedDate": "2020-01-01"},
    SEND: {"phoneNumber": HELD, "message": "{{code}}"},
    VALIDATE: {"authenticationId": "a", "code": "123456"},
    VERIFY: {"phoneNumber": HELD},
    RECORD: {"id": "r", "messenger": CHAT, "phoneNumber": HELD, "identificationCode": "c"},
    WITHDRAW: {"id": "w", "messenger": CHAT, "identificationCode": "c"},
}
OPTIONAL = {"phoneNumber": (TENURE, RECYCLING, VERIFY)}
NUMBERS = (
    "",
    "79160000001",
    "+0916",
    "+7916000000a",
    "+7 916 000 00 01",
    f"{HELD}\n",
    "+123",
    None,
    7,
)
DATES = ("", "2020-13-01", "2020-1-1", "20200101", "2020-01-01T00:00:00Z", "01.01.2020", 20200101)
WRONG = {
    "phoneNumber": NUMBERS,
    "tenureDate": DATES,
    "specifiedDate": DATES,
    "message": ("", "no place", "{{code}}" + "x" * 153, None, 7),
    "authenticationId": ("x" * 37, None, 7),
    "code": ("x" * 11, None, 123456),
    "id": ("", "x" * 129, None, 7, "\n"),
    "messenger": ("", None, 7),
    "identificationCode": ("", "x" * 129, None, 7, "\x00"),
}
MEMBERS = [
    pytest.param(path, name, value, id=f"{path.split('/')[-1]}-{name}-{value!r:.20}")
    for path, body in RIGHT.items()
    for name in body
    for value in WRONG[name]
    if not (name == "id" and value == "\n")  # an id that nobody looks at but the desk
]
BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "two of them": b"{}{}",
    "no object": b"[]",
    "null": b"null",
    "text": b'"{}"',
    "no UTF-8": b'{"phoneNumber": "\xff"}',
    "nested": b"[" * 5000,
    "NaN": b'{"tenureDate": NaN}',
}


@pytest.fixture(scope="module")
def operator(tmp_path_factory):
    """One for all of them: what is refused leaves nothing."""
    with reached(tmp_path_factory.mktemp("operator")) as found:
        yield found


def refused(reply, status, code):
    assert (status, code) == (reply.status_code, reply.json()["code"]), reply.text
    assert status == reply.json()["status"]
    assert HELD not in reply.text


@pytest.fixture(params=RIGHT, ids=lambda path: path.split("/")[-1])
def path(request):
    return request.param


@pytest.mark.parametrize(("path", "name", "value"), MEMBERS)
def test_a_member_of_a_wrong_type_or_form(operator, path, name, value):
    """Whatever a member may not be."""
    refused(operator.call(path, RIGHT[path] | {name: value}), 400, "INVALID_ARGUMENT")


def test_a_member_that_is_missing_or_unknown(operator, path):
    """Each that is needed, and any that is not defined: nothing is passed over."""
    token = operator.token(SCOPES[path])
    for name in RIGHT[path]:
        if path not in OPTIONAL.get(name, ()):
            body = {each: value for each, value in RIGHT[path].items() if each != name}
            refused(operator.call(path, body, token=token), 400, "INVALID_ARGUMENT")
    for name in ("extra", "phone_number", "PhoneNumber"):
        body = RIGHT[path] | {name: HELD}
        refused(operator.call(path, body, token=token), 400, "INVALID_ARGUMENT")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_object(operator, path, body):
    """Nor what a parser would rather not meet."""
    refused(operator.call(path, body), 400, "INVALID_ARGUMENT")


def test_a_body_that_is_too_large(operator, path):
    """16 KiB are read, and not a byte more."""
    token = operator.token(SCOPES[path])
    right = json.dumps(RIGHT[path]).encode()
    padded = right + b" " * (16_384 - len(right))
    assert 413 != operator.call(path, padded, token=token).status_code
    refused(operator.call(path, padded + b" ", token=token), 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/plain"},
        {"content_type": ""},
        {"content_type": "application/json; charset=utf-16"},
        {"content_type": "application/json; version=2"},
        {"content_encoding": "gzip"},
    ],
    ids=str,
)
def test_a_body_of_another_kind(operator, path, headers):
    """Only JSON in UTF-8 is read, as it stands."""
    reply = operator.call(path, RIGHT[path], **headers)
    refused(reply, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_by_another_name(operator, kind):
    """Letter case and the one parameter that says the same are no reason to refuse."""
    assert 200 == operator.tenure(content_type=kind).status_code


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_another_method(operator, path, method):
    """An operation is posted to."""
    reply = operator.http.request(method, path)
    refused(reply, 405, "METHOD_NOT_ALLOWED")
    assert "POST" == reply.headers["allow"]


@pytest.mark.parametrize(
    "address",
    [
        *("/", "/kyc-tenure", "/kyc-tenure/v0.1/check-tenure", "/kyc-tenure/v0.2/check-tenure/"),
        *("//kyc-tenure/v0.2/check-tenure", "/_control", "/_control/", "/token/x", "/.well-known"),
    ],
)
def test_another_address(operator, address):
    """What is not there is not found, and no redirect leads elsewhere."""
    reply = operator.http.post(address, follow_redirects=False)
    refused(reply, 404, "NOT_FOUND")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer made-up", "Basic Y2hhdDpjaGF0", "made-up"]
)
def test_no_token(operator, path, header):
    """Who shows no token that counts is not told anything else."""
    reply = operator.call(path, RIGHT[path], token="x", authorization=header)
    refused(reply, 401, "UNAUTHENTICATED")
    assert "Bearer" == reply.headers["www-authenticate"]


def test_a_token_for_something_else(operator, path):
    """Each scope is good for its own API only."""
    for scope in set(SCOPES.values()) - {SCOPES[path]}:
        reply = operator.call(path, RIGHT[path], token=operator.token(scope))
        refused(reply, 403, "PERMISSION_DENIED")


def test_a_token_counts_for_an_hour(operator, path):
    """Not an instant longer."""
    token = operator.token(SCOPES[path])
    operator.clock.advance(3600 - 0.000001)
    assert 401 != operator.call(path, RIGHT[path], token=token).status_code
    operator.clock.advance(0.000001)
    refused(operator.call(path, RIGHT[path], token=token), 401, "UNAUTHENTICATED")


@pytest.mark.parametrize("correlator", ["a b", "a" * 257, "ä", '"', "a,b"])
def test_a_correlator_that_is_none(operator, path, correlator):
    """It is refused, and not repeated."""
    reply = operator.call(path, RIGHT[path], x_correlator=correlator)
    refused(reply, 400, "INVALID_ARGUMENT")
    assert "x-correlator" not in reply.headers


def test_every_reply_has_the_correlator_of_its_request(operator):
    """Whether it went well or not, and wherever it led."""
    sent = {"x-correlator": "a-B_1:;./<>{}"}
    replies = [
        operator.tenure(x_correlator=sent["x-correlator"]),
        operator.call(TENURE, b"", x_correlator=sent["x-correlator"]),
        operator.http.post(TENURE, headers=sent),
        operator.http.get(TENURE, headers=sent),
        operator.http.post("/nowhere", headers=sent),
        operator.http.post("/token", headers=sent),
        operator.http.get("/openapi.json", headers=sent),
        operator.http.get("/_control/figures", headers=sent),
    ]
    assert [sent["x-correlator"]] * len(replies) == [e.headers["x-correlator"] for e in replies]


def test_nothing_is_done_for_who_is_refused(operator):
    """The desk does not hear of it, and no code is sent."""
    before = operator.control("replay").json()
    sent = operator.control("codes", {"phoneNumber": HELD}).json()
    for path, body in RIGHT.items():
        operator.call(path, body, token="x")
        operator.call(path, body | {"extra": 1})
        operator.call(path, body, content_type="text/plain")
    assert before == operator.control("replay").json()
    assert sent == operator.control("codes", {"phoneNumber": HELD}).json()

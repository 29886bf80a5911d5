"""An inbox: what is replied to what, in both twins; and that a request can raise nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from abonent.errors import (
    AbonentError,
    AdapterFault,
    Contended,
    EventReused,
    IdentifierClosed,
    InvalidValue,
    KeyUnavailable,
    Misconfigured,
    RecordDamaged,
    StoreFull,
    StoreUnavailable,
    Unavailable,
    UnknownOperator,
    UsedAfterFork,
)
from abonent.wire import CONTENT_TYPE, AsyncInbox, Inbox, JwksKeys, Refusal
from abonent.wire.events import LONGEST_BODY
from abonent.wire.inbox import LARGEST_HEADERS, MOST_HEADERS
from tests.wire.parts import (
    ANSWER,
    HOUR,
    JWKS,
    MINUTE,
    NOTICE,
    PATH,
    SECOND,
    START,
    URL,
    Desk,
    M,
    N,
    Post,
    data,
    post,
)

GOOD = post()


@pytest.fixture(params=[Inbox, AsyncInbox], ids=["threads", "asyncio"])
def desk(request: pytest.FixtureRequest) -> Desk:
    return Desk(request.param)


REFUSED: dict[str, dict[str, Post]] = {
    "NOT_HERE": {
        "root": GOOD.but(url="https://chat.example/"),
        "beside": GOOD.but(url=URL + "s"),
        "below": GOOD.but(url=URL + "/mts"),
        "slash": GOOD.but(url=URL + "/"),
        "slashes": GOOD.but(url="https://chat.example//operators/notices"),
        "dots": GOOD.but(url="/operators/x/../notices"),
        "escaped": GOOD.but(url=PATH.replace("n", "%6E", 1)),
        "capital": GOOD.but(url=PATH.upper()),
        "query": GOOD.but(url=PATH + "?number=1"),
        "an empty query": GOOD.but(url=PATH + "?"),
        "a tab": GOOD.but(url=PATH.replace("n", "\tn", 1)),
        "a line end": GOOD.but(url=PATH + "\n"),
        "a blank before": GOOD.but(url=" " + URL),
        "a host that is a path": GOOD.but(url="//chat.example" + PATH),
        "another scheme": GOOD.but(url=URL.replace("https", "ftp")),
        "no scheme": GOOD.but(url=URL.removeprefix("https://")),
        "fragment": GOOD.but(url=PATH + "#1"),
        "nothing": GOOD.but(url=""),
        "asterisk": GOOD.but(url="*"),
        "not ASCII": GOOD.but(url="/операторы"),
        "a broken address": GOOD.but(url="http://[::1"),
        "a broken port": GOOD.but(url="http://chat.example:x/"),
    },
    "METHOD": {
        each or "none": GOOD.but(method=each)
        for each in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "post", "", "PO\r\nST")
    },
    "HEADERS_TOO_LARGE": {
        "value": GOOD.with_header("x-big", "x" * LARGEST_HEADERS),
        "a million": GOOD.with_header("signature", "abonent=:" + "A" * 10**6 + ":"),
        "name": GOOD.with_header("x" * LARGEST_HEADERS, "1"),
        "many": GOOD.but(lines=(("x", ""),) * (MOST_HEADERS + 1)),
        "bytes": GOOD.with_header("x-big", b"x" * 10**6),  # type: ignore[arg-type]
    },
    "HEADERS_UNREADABLE": {
        "line": GOOD.with_header("x-other", "1\r\nsignature: abonent=:AAAA:"),
        "folded": GOOD.with_header("x-other", "1\r\n 2"),
        "line feed": GOOD.with_header("signature", GOOD.header("signature") + "\n"),
        "return": GOOD.with_header("x-other", "1\r2"),
        "NUL": GOOD.with_header("x-other", "\0"),
        "delete": GOOD.with_header("x-other", "\x7f"),
        "bytes": GOOD.with_header("x-other", b"1\r\n"),  # type: ignore[arg-type]
        "name with a blank": GOOD.with_header("x other", "1"),
        "name with a colon": GOOD.with_header("signature:", "1"),
        "name with a line": GOOD.with_header("x\r\nsignature", "1"),
        "no name": GOOD.with_header("", "1"),
        "name not ASCII": GOOD.with_header("x-имя", "1"),
    },
    "CONTENT_TYPE": {
        "none": GOOD.with_header("content-type", None),
        "empty": GOOD.with_header("content-type", ""),
        "JSON": GOOD.with_header("content-type", "application/json"),
        "a batch": GOOD.with_header("content-type", "application/cloudevents-batch+json"),
        "form": GOOD.with_header("content-type", "application/x-www-form-urlencoded"),
        "another charset": GOOD.with_header("content-type", CONTENT_TYPE + "; charset=utf-16"),
        "a parameter": GOOD.with_header("content-type", CONTENT_TYPE + "; profile=x"),
        "two": GOOD.with_header("content-type", f"{CONTENT_TYPE}, {CONTENT_TYPE}"),
        "twice": GOOD.but(lines=(*GOOD.lines, ("content-type", CONTENT_TYPE))),
        "semicolon": GOOD.with_header("content-type", CONTENT_TYPE + ";"),
        "not ASCII": GOOD.with_header("content-type", "application/cloudеvents+json"),
    },
    "CONTENT_ENCODING": {
        each: GOOD.with_header("content-encoding", each) for each in ("gzip", "br", "x", "")
    },
    "BODY_TOO_LARGE": {
        "a byte": GOOD.but(body=b" " * (LONGEST_BODY + 1)),
        "much": GOOD.but(body=b" " * 10**7),
    },
    "NOT_UTF8": {"signed": post(body=b"\xff")},
    "NOT_JSON": {"signed": post(body=b"{")},
    "TOO_DEEP": {"signed": post(body=b"[" * 8000)},
    "NAME_TWICE": {"signed": post(body=b'{"a":1,"a":1}')},
    "MEMBER_MISSING": {"signed": post(body=b"{}")},
    "MEMBER_UNKNOWN": {"signed": post(body=b'{"a":1}')},
    "MEMBER_WRONG": {"signed": post(body=b"[]")},
    "TIME_NAIVE": {
        "signed": post(body=json.dumps(data(happenedAt="2026-06-01T09:00:00")).encode())
    },
    "TYPE_UNKNOWN": {
        "signed": post(body=json.dumps({**data(), "type": "org.example.other"}).encode())
    },
}
STATUS = {
    "NOT_HERE": (404, "NOT_FOUND"),
    "METHOD": (405, "METHOD_NOT_ALLOWED"),
    "HEADERS_TOO_LARGE": (431, "HEADERS_TOO_LARGE"),
    "CONTENT_TYPE": (415, "UNSUPPORTED_MEDIA_TYPE"),
    "CONTENT_ENCODING": (415, "UNSUPPORTED_MEDIA_TYPE"),
    "BODY_TOO_LARGE": (413, "PAYLOAD_TOO_LARGE"),
    "TYPE_UNKNOWN": (422, "UNSUPPORTED_EVENT_TYPE"),
}
CASES = [
    pytest.param(reason, request_, id=f"{reason}: {name}")
    for reason, requests in REFUSED.items()
    for name, request_ in requests.items()
]


@pytest.mark.parametrize(("reason", "request_"), CASES)
def test_what_is_no_request_for_us_is_refused_by_name(reason, request_, caplog):
    """Wrong address, method, headers or body: each by its own name, status and code."""
    desk = Desk()
    assert reason == desk.why(request_, caplog)
    reply = desk.reply(request_)
    status, code = STATUS.get(reason, (400, "INVALID_ARGUMENT"))
    assert status == reply.status
    assert "application/json" == reply.headers["Content-Type"]
    said = json.loads(reply.body)
    assert {"status", "code", "message"} == set(said)
    assert (status, code) == (said["status"], said["code"])
    assert [] == desk.receiver.taken
    assert "916" not in caplog.text + reply.body.decode() + repr(reply.headers)


@pytest.mark.parametrize(
    ("reason", "header", "value"),
    [
        ("METHOD", "Allow", "POST"),
        ("CONTENT_TYPE", "Accept", CONTENT_TYPE),
        ("CONTENT_ENCODING", "Accept-Encoding", "identity"),
    ],
)
def test_a_refusal_says_what_would_be_right(reason, header, value):
    """RFC 9110, 15.5.6 and 15.5.16."""
    reply = Desk().reply(next(iter(REFUSED[reason].values())))
    assert value == reply.headers[header]


@pytest.mark.parametrize(
    "request_",
    [
        GOOD,
        post(ANSWER),
        GOOD.but(url=PATH),
        GOOD.but(url="http://10.0.0.7:8000" + PATH),
        GOOD.with_header("host", "internal.example"),
        GOOD.with_header("x-forwarded-host", "evil.example"),
        GOOD.with_header("user-agent", "Оператор/1.0"),
        GOOD.with_header("content-encoding", "identity"),
        GOOD.but(lines=tuple((name.title(), value) for name, value in GOOD.lines)),
        GOOD.but(body=bytearray(GOOD.body)),  # type: ignore[arg-type]
        GOOD.but(body=memoryview(GOOD.body)),  # type: ignore[arg-type]
        GOOD.but(lines=dict(GOOD.lines)),  # type: ignore[arg-type]
        GOOD.but(lines=[(name.encode(), value.encode()) for name, value in GOOD.lines]),  # type: ignore[arg-type]
        GOOD.but(lines=iter(GOOD.lines)),  # type: ignore[arg-type]
    ],
)
def test_what_is_right_is_taken(request_):
    """Behind a proxy or not, in whatever form a framework gives headers and body."""
    desk = Desk()
    assert (204, {}, b"") == desk.reply(request_)
    assert 1 == len(desk.receiver.taken)


def test_what_is_handed_on(desk):
    """The item, when it arrived by our clock, and its id."""
    desk.reply(GOOD)
    desk.clock.advance(SECOND)
    desk.reply(post(ANSWER))
    assert [(NOTICE, START, "n-1"), (ANSWER, START + SECOND, "q-1")] == desk.receiver.taken


def test_arrival_is_stamped_before_keys_are_looked_up():
    """An answer in time is not made late by a slow look at the operator's keys."""
    desk = Desk(keys={M: Slow()})
    Slow.clock = desk.clock
    desk.reply(GOOD)
    assert START == desk.receiver.taken[0][1]


class Slow:
    clock: Any = None

    def find(self, kid: str, *, may_fetch: bool) -> Any:
        self.clock.advance(10 * MINUTE)
        return JwksKeys(JWKS[M]).find(kid)


FAILURES = {
    "out of reach": (StoreUnavailable("x"), 503, "UNAVAILABLE"),
    "full": (StoreFull("x"), 503, "UNAVAILABLE"),
    "damaged": (RecordDamaged("x"), 503, "UNAVAILABLE"),
    "contended": (Contended("x"), 503, "UNAVAILABLE"),
    "router away": (Unavailable("x"), 503, "UNAVAILABLE"),
    "router refuses": (Misconfigured("x"), 503, "UNAVAILABLE"),
    "router broken": (AdapterFault("x", adapter="router"), 503, "UNAVAILABLE"),
    "a key of ours": (KeyUnavailable("x"), 503, "UNAVAILABLE"),
    "closed": (IdentifierClosed("x"), 503, "UNAVAILABLE"),
    "not an operator of ours": (UnknownOperator("x"), 403, "PERMISSION_DENIED"),
    "the id of another": (EventReused("x"), 409, "ALREADY_EXISTS"),
    "forked": (UsedAfterFork("x"), 500, "INTERNAL"),
    "a value that is none": (InvalidValue("x"), 500, "INTERNAL"),
    "a bug": (ZeroDivisionError("+79161234567"), 500, "INTERNAL"),
    "too deep": (RecursionError("+79161234567"), 500, "INTERNAL"),
}


@pytest.mark.parametrize(("failure", "status", "code"), FAILURES.values(), ids=FAILURES)
def test_failures_behind_the_inbox(desk, failure, status, code, caplog):
    """Where the event was not taken, no reply says that it was; nothing of the error is told."""
    desk.receiver.failure = failure
    reply = desk.reply(GOOD)
    assert status == reply.status
    assert code == json.loads(reply.body)["code"]
    assert (status == 503) == ("Retry-After" in reply.headers)
    assert "916" not in caplog.text + reply.body.decode()
    (record,) = caplog.records
    assert (M, "ERROR" if status >= 500 else "WARNING") == (record.args[0], record.levelname)


@pytest.mark.parametrize(
    ("after", "seconds"),
    [(None, 5), (40 * SECOND, 40), (timedelta(milliseconds=1), 1), (-HOUR, 1)],
)
def test_when_to_try_again(after, seconds):
    """What the error knows, in whole seconds and at least one; otherwise five."""
    desk = Desk()
    retry_at = None if after is None else START + after
    desk.receiver.failure = StoreUnavailable("x", retry_at=retry_at)
    assert str(seconds) == desk.reply(GOOD).headers["Retry-After"]


def test_an_interrupt_is_not_a_request_s():
    """What stops the process is not swallowed."""
    desk = Desk()
    desk.receiver.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        desk.reply(GOOD)


class Broken:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def find(self, kid: str, *, may_fetch: bool) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable("x"), 503), (KeyUnavailable("x"), 503), (OSError("x"), 500)]
)
def test_keys_that_cannot_be_had(desk, error, status):
    """Nothing fails open, and nobody is told that the signature was wrong."""
    assert status == Desk(keys={M: Broken(error)}).reply(GOOD).status


def test_only_the_claimed_operator_s_keys_are_fetched():
    """P26: a key that nobody knows has one operator asked for new ones, not all."""
    asked: list[tuple[str, bool]] = []

    class Noted:
        def __init__(self, operator: str) -> None:
            self.operator = operator

        def find(self, kid: str, *, may_fetch: bool) -> None:
            asked.append((self.operator, may_fetch))

    Desk(keys={N: Noted(N), M: Noted(M)}).reply(GOOD)
    assert [(M, True), (N, False)] == asked
    asked.clear()
    Desk(keys={N: Noted(N), M: Noted(M)}).reply(post(body=b"{}"))
    assert [(N, False), (M, False)] == asked


@pytest.mark.parametrize(
    ("lines", "echoed"),
    [
        ((("x-correlator", "b4333c46-49c0-4f62-80d7-f0ef930f1c46"),), True),
        ((("X-Correlator", "a_:;./<>{}Z9"),), True),
        ((("x-correlator", "x" * 256),), True),
        ((("x-correlator", "x" * 257),), False),
        ((("x-correlator", ""),), False),
        ((("x-correlator", "a b"),), False),
        ((("x-correlator", "<script>alert('1')"),), False),
        ((("x-correlator", "é"),), False),
        ((("x-correlator", "a"), ("x-correlator", "b")), False),
        ((), False),
    ],
)
def test_a_correlator_is_echoed_if_it_is_one(lines, echoed):
    """CAMARA r4.2, x-correlator: with every reply, good or bad, and with nothing else in it."""
    desk = Desk()
    for request_ in (GOOD, GOOD.but(method="GET"), GOOD.with_header("signature", None)):
        reply = desk.reply(request_.but(lines=(*request_.lines, *lines)))
        assert echoed == ("x-correlator" in reply.headers)
        if echoed:
            assert lines[0][1] == reply.headers["x-correlator"]


def test_every_refusal_is_reached_and_told_apart():
    """The table has no row that no request or failure leads to."""
    from tests.wire import test_signatures

    reached = {*REFUSED, *test_signatures.REFUSED}
    reached |= {"OPERATOR_UNKNOWN", "EVENT_REUSED", "FAILED", "UNAVAILABLE"}
    assert {each.name for each in Refusal} == reached
    texts = [each.text for each in Refusal]
    assert len(texts) == len(set(texts))
    for each in Refusal:
        assert isinstance(each.error(), AbonentError)


@pytest.mark.parametrize(
    "options",
    [
        {"url": "http://chat.example/notices"},
        {"url": "https://chat.example/notices?x=1"},
        {"url": "chat.example"},
        {"max_age": timedelta()},
        {"max_age": HOUR + SECOND},
        {"max_ahead": -SECOND},
        {"max_ahead": 6 * MINUTE},
    ],
)
def test_what_cannot_be_an_inbox(options):
    """An address that nobody can send to, or a signature that lives longer than is remembered."""
    for shell in (Inbox, AsyncInbox):
        with pytest.raises(InvalidValue):
            Desk(shell, **options)


def test_an_address_without_a_path():
    """The root of a host is an address like any other."""
    url = "https://notices.chat.example"
    desk = Desk(url=url)
    assert 204 == desk.reply(post(url=url).but(url="/")).status
    assert 404 == desk.reply(post(url=url).but(url="/x")).status

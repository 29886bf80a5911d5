"""Signatures: what is refused, each by name; and that only time, keys and coverage decide."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import datetime, timedelta
from hashlib import sha512

import pytest

from abonent.wire import CONTENT_TYPE, AsyncInbox, Inbox, SigningKey, signatures
from abonent.wire.signatures import COVERED
from tests.wire.parts import (
    KEYS,
    MICROSECOND,
    MINUTE,
    NOTICE,
    SECOND,
    START,
    URL,
    Desk,
    M,
    N,
    Post,
    event,
    post,
    signed_by_hand,
)

GOOD = post()
INPUT, SIGNATURE = GOOD.header("signature-input"), GOOD.header("signature")
NOW, OURS = int(START.timestamp()), ';tag="abonent-event"'
KID = KEYS[M].keys[0].kid
STRANGER = SigningKey(seed=bytes(32), signs_from=START)


def as_input(changed: str) -> Post:
    return GOOD.with_header("signature-input", changed)


def as_signature(changed: str) -> Post:
    return GOOD.with_header("signature", changed)


def doubled(first: Post, second: Post, *names: str) -> Post:
    """Both signatures in one request, under other labels if any are given."""
    labels = names or ("abonent", "abonent")
    lines = [each for each in first.lines if each[0] not in ("signature", "signature-input")]
    for request, label in zip((first, second), labels, strict=True):
        lines += [
            (name, request.header(name).replace("abonent=", f"{label}=", 1))
            for name in ("signature-input", "signature")
        ]
    return first.but(lines=tuple(lines))


def covering(*components: str) -> Post:
    return signed_by_hand(covered=components)


def expiring(at: datetime) -> Post:
    expires = f";expires={int(at.timestamp())}"
    return signed_by_hand(tag=f"{expires}{OURS}")


def digest(value: str) -> Post:
    return signed_by_hand(headers={"content-digest": value})


DIGEST = GOOD.header("content-digest")
OTHER_BODY = json.dumps(event(type="org.abonent.notices.v1.number-ported")).encode()

REFUSED: dict[str, dict[str, Post]] = {
    "SIGNATURE_MISSING": {
        "both": GOOD.with_header("signature", None).with_header("signature-input", None),
        "signature": GOOD.with_header("signature", None),
        "input": GOOD.with_header("signature-input", None),
        "an older kind": GOOD.with_header("signature", None)
        .with_header("signature-input", None)
        .with_header("authorization", 'Signature keyId="mts",signature="AAAA"'),
    },
    "SIGNATURE_UNREADABLE": {
        "empty": as_input(""),
        "both empty": as_input("").with_header("signature", ""),
        "no label": as_input(INPUT.partition("=")[2]),
        "capital label": as_input(INPUT.replace("abonent=", "Abonent=")),
        "labels differ": as_input(INPUT.replace("abonent=", "other=")),
        "label twice": as_input(f"{INPUT}, {INPUT}"),
        "label twice in two lines": GOOD.but(lines=(*GOOD.lines, ("signature-input", INPUT))),
        "signature twice": as_signature(f"{SIGNATURE}, {SIGNATURE}"),
        "a list": as_input(INPUT.replace("abonent=", "")),
        "an item": as_input("abonent=1"),
        "a token": as_input('abonent=("@method" @path);created=1'),
        "unclosed": as_input(INPUT.replace(")", "")),
        "comma behind": as_input(INPUT + ","),
        "not ASCII": as_input(INPUT.replace("abonent=", "abonенt=")),
        "not ASCII in a string": as_input(INPUT.replace(KID, "ключ")),
        "signature as text": as_signature('abonent="AAAA"'),
        "signature as list": as_signature("abonent=(:AAAA:)"),
        "signature as boolean": as_signature("abonent"),
        "base64 with a stranger in it": as_signature(SIGNATURE.replace("=:", "=:*", 1)),
        "base64 unclosed": as_signature(SIGNATURE.rstrip(":")),
        "base64url": as_signature("abonent=:" + "_-" * 43 + ":"),
        "no tag": signed_by_hand(tag=""),
        "another tag": signed_by_hand(tag=';tag="web-bot-auth"'),
        "tag as token": as_input(INPUT.replace('"abonent-event"', "abonent-event")),
        "two of ours": doubled(GOOD, GOOD, "one", "two"),
        "no creation time": as_input(INPUT.replace(f";created={int(START.timestamp())}", "")),
        "created as text": as_input(INPUT.replace(";created=", ';created="now";x=')),
        "created as decimal": as_input(INPUT.replace(";created=", ";created=1.5;x=")),
        "created as date": as_input(INPUT.replace(";created=", ";created=@")),
        "created as boolean": as_input(INPUT.replace(";created=", ";created;x=")),
        "created huge": as_input(INPUT.replace(";created=", ";created=99999")),
        "created larger than an integer is": as_input(
            INPUT.replace(";created=", ";created=" + "9" * 30)
        ),
        "created very long ago": as_input(INPUT.replace(";created=", ";created=-99999")),
        "expires as text": as_input(INPUT + ';expires="never"'),
        "expires huge": as_input(INPUT + ";expires=999999999999999"),
        "keyid as token": as_input(INPUT.replace(f'"{KID}"', "abc")),
        "keyid as bytes": as_input(INPUT.replace(f'"{KID}"', ":AAAA:")),
        "no keyid": as_input(INPUT.replace(f';keyid="{KID}"', "")),
        "another algorithm": as_input(INPUT.replace("ed25519", "hmac-sha256")),
        "no algorithm": as_input(INPUT.replace('"ed25519"', '"none"')),
        "algorithm as token": as_input(INPUT.replace('"ed25519"', "ed25519")),
        "an unknown parameter": as_input(INPUT + ";x=1"),
        "nonce as integer": as_input(INPUT + ";nonce=1"),
    },
    "KEY_UNKNOWN": {
        "stranger": post(key=STRANGER),
        "no id": signed_by_hand(parameters=f';created={NOW};keyid=""{OURS}'),
        "another id": signed_by_hand(kid="key-1"),
        "thumbprint in other letters": signed_by_hand(kid=KID.lower()),
        "path": signed_by_hand(kid="../../keys/mts"),
        "address": signed_by_hand(kid="https://evil.example/jwks.json"),
        "long": signed_by_hand(kid="k" * 4000),
    },
    "SIGNATURE_WRONG": {
        "another's signature": as_signature(post(key=STRANGER).header("signature")),
        "our key's id over another's signature": signed_by_hand(key=STRANGER, kid=KID),
        "a bit": as_signature(SIGNATURE.replace("A", "B", 1)),
        "short": as_signature("abonent=:AAAA:"),
        "empty": as_signature("abonent=::"),
        "zeros": as_signature("abonent=:" + "A" * 86 + "==:"),
        "long": as_signature(SIGNATURE.replace("==:", "AA" * 40 + "==:")),
        "wrong method": signed_by_hand(method="PUT").but(method="POST"),
        "wrong path": post(url=URL + "/other").but(url=URL),
        "wrong host": post(url=URL.replace("chat", "other")).but(url=URL),
        "wrong scheme": signed_by_hand(url=URL.replace("https:", "http:")).but(url=URL),
        "wrong port": signed_by_hand(url=URL.replace("example/", "example:444/")).but(url=URL),
        "a query": signed_by_hand(url=URL + "?a=1").but(url=URL),
        "wrong digest": GOOD.with_header(
            "content-digest", post(body=OTHER_BODY).header("content-digest")
        ),
        "wrong type": GOOD.with_header("content-type", CONTENT_TYPE + "; charset=utf-8"),
        "another time": as_input(INPUT.replace(";created=17803044", ";created=17803045")),
        "order of components": as_input(
            INPUT.replace('"@method" "@target-uri"', '"@target-uri" "@method"')
        ),
        "fewer components": as_input(INPUT.replace(' "content-digest"', "")),
        "more components": as_input(INPUT.replace('"content-digest"', '"content-digest" "@path"')),
        "a component that is not there": as_input(
            INPUT.replace('"content-digest"', '"content-digest" "date"')
        ),
        "a component twice": as_input(INPUT.replace('"@method"', '"@method" "@method"')),
        "an unknown derived component": as_input(INPUT.replace('"@method"', '"@methods"')),
        "the parameters themselves": as_input(INPUT.replace('"@method"', '"@signature-params"')),
        "a status": as_input(INPUT.replace('"@method"', '"@status"')),
        "of the request": as_input(INPUT.replace('"@method"', '"@method";req')),
        "capital name": as_input(INPUT.replace('"content-type"', '"Content-Type"')),
        "parameter of the tag": as_input(INPUT + ';nonce="x"'),
        "digest doubled": GOOD.but(
            lines=(*GOOD.lines, ("content-digest", GOOD.header("content-digest")))
        ),
    },
    "SIGNATURE_INCOMPLETE": {
        "nothing": covering(),
        "without method": covering("@target-uri", "content-type", "content-digest"),
        "without address": covering("@method", "content-type", "content-digest"),
        "without type": covering("@method", "@target-uri", "content-digest"),
        "without digest": covering("@method", "@target-uri", "content-type"),
        "path without authority": covering("@method", "@path", "content-type", "content-digest"),
        "authority without path": covering(
            "@method", "@authority", "content-type", "content-digest"
        ),
        "request target": covering("@method", "@request-target", "content-type", "content-digest"),
        "one digest of several": covering(
            "@method", "@target-uri", "content-type", '"content-digest";key="sha-256"'
        ),
        "type in another form": covering(
            "@method", "@target-uri", '"content-type";bs', "content-digest"
        ),
    },
    "SIGNATURE_EXPIRED": {
        "old": post(at=START - 5 * MINUTE - SECOND),
        "very old": signed_by_hand(created=START - timedelta(days=20_000)),
        "expires before": expiring(START - SECOND),
        "expires before it was made": expiring(START - timedelta(days=9)),
    },
    "SIGNATURE_AHEAD": {
        "soon": post(at=START + 31 * SECOND),
        "in a year": post(at=START + timedelta(days=365)),
        "in a thousand": signed_by_hand(created=START + timedelta(days=365_000)),
    },
    "DIGEST_WRONG": {
        "another body": GOOD.but(body=OTHER_BODY),
        "a byte more": GOOD.but(body=GOOD.body + b" "),
        "no body": GOOD.but(body=b""),
        "an algorithm that is broken": digest("md5=:AAAAAAAAAAAAAAAAAAAAAA==:"),
        "an unknown one beside ours": digest(f"{DIGEST}, new=:AAAA:"),
        "one right, one wrong": digest(f"{DIGEST}, sha-512=:{'A' * 86}==:"),
        "a short one": digest("sha-256=:AAAA:"),
        "as text": digest('sha-256="AAAA"'),
        "twice": digest(f"{DIGEST}, {DIGEST}"),
        "none": digest(""),
        "no field": digest("x"),
    },
    "NOT_THEIR_KEY": {
        "the other operator's": post(key=KEYS[N].keys[0]),
        "for an operator that is not known": post(
            body=json.dumps(event(source="/operators/tele2")).encode()
        ),
    },
}


CASES = [
    pytest.param(reason, request_, id=f"{reason}: {name}")
    for reason, requests in REFUSED.items()
    for name, request_ in requests.items()
]
STATUS = {"NOT_THEIR_KEY": (403, "PERMISSION_DENIED")}


@pytest.mark.parametrize(("reason", "request_"), CASES)
def test_every_other_signature_is_refused_by_name(reason, request_, caplog):
    """P13: missing, unreadable, partial, old, early or another's: nothing is handed on."""
    desk = Desk()
    reply = desk.reply(request_)
    assert reason == desk.why(request_, caplog)
    status, code = STATUS.get(reason, (401, "UNAUTHENTICATED"))
    assert status == reply.status
    assert (status, code) == tuple(json.loads(reply.body)[name] for name in ("status", "code"))
    assert (status == 401) == ("Accept-Signature" in reply.headers)
    assert [] == desk.receiver.taken
    assert "916" not in caplog.text


@pytest.mark.parametrize("shell", [Inbox, AsyncInbox])
@pytest.mark.parametrize(
    "request_",
    {
        "ours": GOOD,
        "by hand": signed_by_hand(),
        "authority and path": covering(
            "@method", "@authority", "@path", "content-type", "content-digest"
        ),
        "more than needed": covering(*COVERED, "@authority", "@request-target"),
        "in another order": covering(*reversed(COVERED)),
        "with a nonce": signed_by_hand(tag=f';nonce="n"{OURS}'),
        "with the algorithm": signed_by_hand(tag=f';alg="ed25519"{OURS}'),
        "under another label": signed_by_hand(label="sig1"),
        "beside a signature that is not for us": doubled(
            GOOD, signed_by_hand(tag=';tag="proxy"', key=STRANGER), "abonent", "proxy"
        ),
        "with two digests": digest(
            f"{DIGEST}, sha-512=:{b64encode(sha512(GOOD.body).digest()).decode()}:"
        ),
        "in two lines": GOOD.but(lines=(*GOOD.lines, ("x-other", "1"), ("x-other", "2"))),
    }.items(),
    ids=lambda each: each[0] if isinstance(each, tuple) else None,
)
def test_these_are_accepted(request_, shell):
    """Whoever covers enough is heard, in whatever way the standard allows."""
    desk = Desk(shell)
    reply = desk.reply(request_[1])
    assert (204, {}, b"") == reply
    assert [(NOTICE, START, "n-1")] == desk.receiver.taken


@pytest.mark.parametrize(
    ("late", "status"),
    [
        (timedelta(), 204),
        (5 * MINUTE, 204),
        (5 * MINUTE + MICROSECOND, 401),
        (-30 * SECOND, 204),
        (-30 * SECOND - MICROSECOND, 401),
    ],
)
def test_the_age_is_bounded_to_the_microsecond(late, status):
    """P13: five minutes back and half a minute ahead, inclusive; by our clock alone."""
    desk = Desk()
    desk.clock.set(START + late)
    assert status == desk.reply(GOOD).status


@pytest.mark.parametrize(("late", "status"), [(SECOND, 204), (SECOND + MICROSECOND, 401)])
def test_a_signature_may_expire_sooner(late, status):
    """A sender may bound its signature closer than we do, not wider."""
    desk = Desk()
    request = expiring(START + SECOND)
    desk.clock.set(START + late)
    assert status == desk.reply(request).status
    desk.clock.set(START + 6 * MINUTE)
    assert 401 == desk.reply(expiring(START + timedelta(days=1))).status


def test_the_bounds_can_be_set():
    """Closer or wider, up to the hour for which an event is certainly remembered."""
    desk = Desk(max_age=SECOND, max_ahead=timedelta())
    assert 204 == desk.reply(GOOD).status
    desk.clock.set(START + SECOND + MICROSECOND)
    assert 401 == desk.reply(GOOD).status
    desk.clock.set(START - MICROSECOND)
    assert 401 == desk.reply(GOOD).status


def test_a_time_from_their_clock_counts_for_nothing():
    """What is handed on is when we received it, whatever the sender says."""
    desk = Desk()
    desk.clock.set(START + 4 * MINUTE)
    desk.reply(GOOD)
    assert START + 4 * MINUTE == desk.receiver.taken[0][1]


def test_a_verifier_that_checks_no_digest_is_not_believed(monkeypatch):
    """A library that skipped the body one day would accept nothing here, rather than all."""
    verifier = signatures._Verifier
    monkeypatch.setattr(verifier, "verify_body", lambda self, message, results, body: results)
    assert 401 == Desk().reply(GOOD).status


def test_signing_covers_what_verifying_wants():
    """What we ask of others is what we send."""
    assert '"@method" "@target-uri" "content-type" "content-digest"' in INPUT
    asked = Desk().reply(GOOD.with_header("signature", None)).headers["Accept-Signature"]
    assert (
        'abonent=("@method" "@target-uri" "content-type" "content-digest")'
        ';created;keyid;alg="ed25519";tag="abonent-event"'
    ) == asked
    assert '"Signature"' not in asked

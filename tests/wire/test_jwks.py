"""Verification keys: what is read of a JWKS, and when one is fetched."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from abonent.errors import InvalidValue, KeyMaterialInvalid, Misconfigured, Unavailable
from abonent.transport import Response
from abonent.wire import FetchedJwks, JwksKeys, SigningKeys
from abonent.wire.jwks import LARGEST, MOST_KEYS, read_jwks
from tests.wire.parts import DAY, HOUR, MINUTE, SECOND, START, Wire

KEYS = SigningKeys.generate(START)
ENTRY = json.loads(KEYS.jwks(START))["keys"][0]
KID = KEYS.keys[0].kid
OTHER = SigningKeys.generate(START)
ADDRESS = "https://mts.example/jwks.json"


def document(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"keys": entries}).encode()


def test_a_key_is_known_by_its_id_or_its_thumbprint():
    """An operator may give ids of its own; without one, RFC 7638 gives it."""
    assert {"june"} == set(read_jwks(document({**ENTRY, "kid": "june"})))
    bare = {name: ENTRY[name] for name in ("kty", "crv", "x")}
    found = read_jwks(document(bare))
    assert {KID} == set(found)
    assert isinstance(found[KID], Ed25519PublicKey)
    for fitting in ({"key_ops": ["verify"]}, {"alg": "EdDSA"}, {"alg": "Ed25519"}, {"x5t": "?"}):
        assert {KID} == set(read_jwks(document({**bare, **fitting})))


@pytest.mark.parametrize(
    "entry",
    {
        "RSA": {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        "EC": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        "symmetric": {"kty": "oct", "k": "AA"},
        "another curve": {**ENTRY, "crv": "Ed448"},
        "key exchange": {**ENTRY, "crv": "X25519"},
        "no type": {name: value for name, value in ENTRY.items() if name != "kty"},
        "for encryption": {**ENTRY, "use": "enc"},
        "use as list": {**ENTRY, "use": ["sig"]},
        "for signing": {**ENTRY, "key_ops": ["sign"]},
        "operations as text": {**ENTRY, "key_ops": "verify"},
        "with its private half": {**ENTRY, "d": "AA"},
        "no key": {name: value for name, value in ENTRY.items() if name != "x"},
        "key as number": {**ENTRY, "x": 1},
        "key as null": {**ENTRY, "x": None},
        "empty key": {**ENTRY, "x": ""},
        "short key": {**ENTRY, "x": ENTRY["x"][:-4]},
        "long key": {**ENTRY, "x": ENTRY["x"] + "AAAA"},
        "padded": {**ENTRY, "x": ENTRY["x"] + "="},
        "base64 of the other kind": {**ENTRY, "x": "+/" + ENTRY["x"][2:]},
        "not ASCII": {**ENTRY, "x": "ж" * 43},
        "a surrogate": {**ENTRY, "x": "\ud800"},
        "id as number": {**ENTRY, "kid": 1},
        "id as null": {**ENTRY, "kid": None},
        "id empty": {**ENTRY, "kid": ""},
        "id long": {**ENTRY, "kid": "k" * 257},
        "nothing": {},
    }.items(),
    ids=lambda each: each[0],
)
def test_other_keys_are_passed_over(entry):
    """RFC 7517, 5: what is not understood is ignored, and the good one beside it is not."""
    good = json.loads(OTHER.jwks(START))["keys"][0]
    if entry[0] == "a surrogate":  # JSON that is none
        with pytest.raises(KeyMaterialInvalid):
            read_jwks(document(entry[1], good))
        return
    assert {OTHER.keys[0].kid} == set(read_jwks(document(entry[1], good)))
    with pytest.raises(KeyMaterialInvalid):
        JwksKeys(document(entry[1]))


@pytest.mark.parametrize(
    "body",
    {
        "nothing": b"",
        "text": b"<html>",
        "cut": document(ENTRY)[:-1],
        "list": b"[]",
        "null": b"null",
        "no keys": b"{}",
        "keys as object": b'{"keys": {}}',
        "keys of no objects": b'{"keys": [1]}',
        "not UTF-8": b'{"keys": [{"kid": "\xff"}]}',
        "deep": b'{"keys": [{"a": ' + b"[" * 20_000,
        "large": document(ENTRY) + b" " * LARGEST,
        "many": document(*[ENTRY] * (MOST_KEYS + 1)),
        "an id twice": document(ENTRY, ENTRY),
        "an id for two keys": document(
            ENTRY, {**json.loads(OTHER.jwks(START))["keys"][0], "kid": KID}
        ),
    }.items(),
    ids=lambda each: each[0],
)
def test_what_is_no_jwks(body):
    """It is refused as a whole, without a word of it."""
    with pytest.raises(KeyMaterialInvalid):
        read_jwks(body[1])
    with pytest.raises(KeyMaterialInvalid):
        JwksKeys(body[1])


def test_as_many_as_may_be():
    """The bounds themselves are inside."""
    entries = [{**ENTRY, "kid": str(number)} for number in range(MOST_KEYS)]
    assert MOST_KEYS == len(read_jwks(document(*entries)))
    full = document(ENTRY)
    assert {KID} == set(read_jwks(full + b" " * (LARGEST - len(full))))


def test_keys_from_a_file(tmp_path):
    """A document that the operator handed over."""
    (tmp_path / "jwks.json").write_bytes(KEYS.jwks(START))
    keys = JwksKeys.from_file(tmp_path / "jwks.json")
    assert keys.find(KID) is not None
    assert keys.find("other", may_fetch=True) is None
    assert f"JwksKeys(kids=['{KID}'])" == repr(keys)
    with pytest.raises(KeyMaterialInvalid, match=r"none\.json"):
        JwksKeys.from_file(tmp_path / "none.json")


# --- fetching -----------------------------------------------------------------------


class Seconds:
    """A monotonic clock in the test's hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, time: Any) -> None:
        self.now += time.total_seconds()


def ok(*keys: SigningKeys) -> Response:
    entries = [each for key in keys for each in json.loads(key.jwks(START))["keys"]]
    return Response(status=200, body=document(*entries))


def fetched(*replies: Response | Exception, **options: Any) -> tuple[FetchedJwks, Wire, Seconds]:
    wire, clock = Wire(*replies), Seconds()
    return FetchedJwks(ADDRESS, wire, monotonic=clock, **options), wire, clock


def test_the_first_question_fetches():
    """Then the set is kept, and nobody is asked again for an hour."""
    keys, wire, clock = fetched(ok(KEYS), ok(KEYS))
    assert None is keys.find(KID, may_fetch=False)
    assert [] == wire.sent
    assert keys.find(KID) is not None
    clock.pass_(HOUR)
    assert keys.find(KID) is not None
    (request,) = wire.sent
    assert ("GET", ADDRESS, b"", 5.0) == (
        request.method,
        request.url,
        request.body,
        request.timeout,
    )
    clock.pass_(SECOND)
    assert keys.find(KID) is not None
    assert 2 == len(wire.sent)
    assert keys.find(KID, may_fetch=False) is not None


def test_an_unknown_key_has_a_set_fetched_at_most_every_half_minute():
    """A stranger who makes up key ids causes no storm."""
    keys, wire, clock = fetched(ok(KEYS), ok(KEYS, OTHER))
    for number in range(1000):
        assert None is keys.find(f"made-up-{number}")
    assert 1 == len(wire.sent)
    clock.pass_(29 * SECOND)
    assert None is keys.find(OTHER.keys[0].kid)
    clock.pass_(SECOND)
    assert keys.find(OTHER.keys[0].kid) is not None
    assert 2 == len(wire.sent)


def test_a_key_that_was_taken_back_is_not_believed_after_the_next_fetch():
    """Within an hour, whoever stole it signs nothing any more."""
    keys, _, clock = fetched(ok(KEYS, OTHER), ok(OTHER))
    assert keys.find(KID) is not None
    clock.pass_(HOUR + SECOND)
    assert keys.find(KID) is None
    assert keys.find(OTHER.keys[0].kid) is not None


def test_an_operator_may_take_all_keys_back():
    """An empty set is a set: nothing is verified by it."""
    keys, _, clock = fetched(ok(KEYS), ok())
    assert keys.find(KID) is not None
    clock.pass_(2 * HOUR)
    assert keys.find(KID) is None


FAILED = {
    "unreachable": Unavailable("x"),
    "certificate": Misconfigured("x"),
    "bug": ZeroDivisionError("x"),
    "not there": Response(status=404, body=document(ENTRY)),
    "moved": Response(status=302, headers={"location": "https://evil.example/"}),
    "no content": Response(status=204),
    "error": Response(status=500),
    "cut": Response(status=200, body=document(ENTRY), whole=False),
    "no JWKS": Response(status=200, body=b"<html>"),
}


@pytest.mark.parametrize("failure", FAILED.values(), ids=FAILED)
def test_a_fetch_that_fails_keeps_the_old_set(failure, caplog):
    """For a day at most; then nothing can be said, and who asks hears that."""
    keys, wire, clock = fetched(ok(KEYS), *[failure] * 10)
    assert keys.find(KID) is not None
    clock.pass_(2 * HOUR)
    assert keys.find(KID) is not None
    assert 2 == len(wire.sent)
    assert "abonent.jwks_not_fetched host=mts.example" in caplog.text
    with pytest.raises(Unavailable):
        keys.find("unknown")  # it may be a new one
    assert 2 == len(wire.sent)
    clock.pass_(22 * HOUR)
    assert keys.find(KID) is not None
    clock.pass_(SECOND)
    with pytest.raises(Unavailable):
        keys.find(KID)
    assert keys.find(KID, may_fetch=False) is None


@pytest.mark.parametrize("failure", FAILED.values(), ids=FAILED)
def test_without_any_set_nothing_can_be_said(failure):
    """It is no wrong signature; and it is tried again, not too soon."""
    keys, wire, clock = fetched(failure, ok(KEYS))
    for _ in range(100):
        with pytest.raises(Unavailable):
            keys.find(KID)
    assert 1 == len(wire.sent)
    clock.pass_(30 * SECOND)
    assert keys.find(KID) is not None
    assert keys.find("unknown") is None


def test_nobody_waits_for_the_fetch_of_another():
    """P26: meanwhile, what is known is found; of what is not, nothing can be said yet."""
    begun, finish = threading.Event(), threading.Event()

    class SlowWire:
        count = 0

        def send(self, request: Any) -> Response:
            self.count += 1
            if self.count > 1:
                begun.set()
                assert finish.wait(10)
            return ok(KEYS)

    clock, wire = Seconds(), SlowWire()
    keys = FetchedJwks(ADDRESS, wire, monotonic=clock)
    assert keys.find(KID) is not None
    clock.pass_(2 * HOUR)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(keys.find, KID)
        assert begun.wait(10)
        assert keys.find(KID) is not None
        clock.pass_(HOUR)
        assert keys.find(KID) is not None
        for _ in range(8):
            with pytest.raises(Unavailable):
                keys.find("unknown")
        finish.set()
        assert slow.result() is not None
    assert 2 == wire.count


def test_who_comes_just_after_a_fetch_does_not_fetch_again(monkeypatch):
    """Between the look and the turn somebody else may have done it."""
    keys, wire, _ = fetched(ok(KEYS), ok(KEYS))
    lock = keys._fetching

    class Overtaken:
        def acquire(self, *, blocking: bool) -> bool:
            monkeypatch.setattr(keys, "_fetching", lock)
            assert keys.find(KID) is not None
            monkeypatch.setattr(keys, "_fetching", self)
            return True

        def release(self) -> None:
            pass

        def locked(self) -> bool:
            return False

    monkeypatch.setattr(keys, "_fetching", Overtaken())
    assert keys.find(KID) is not None
    assert 1 == len(wire.sent)


@pytest.mark.parametrize(
    "options",
    [
        {"at_most_every": SECOND - SECOND},
        {"at_most_every": 2 * HOUR},
        {"refresh_after": 2 * DAY},
        {"keep_for": MINUTE},
        {"timeout": 0},
    ],
)
def test_times_that_do_not_fit(options):
    """A set is fetched seldom, renewed sooner than forgotten, and in some time."""
    with pytest.raises(InvalidValue):
        fetched(**options)


@pytest.mark.parametrize("url", ["http://mts.example/jwks.json", "ftp://mts.example/", "mts"])
def test_an_address_that_is_no_use(url):
    """Keys that anybody on the way may change are no keys."""
    with pytest.raises(InvalidValue):
        FetchedJwks(url, Wire())

"""What we and our libraries make of the published test vectors."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64decode
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature as WrongSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    ContentDigest,
    HTTPMessageSigner,
    HTTPMessageVerifier,
    InvalidSignature,
    MappingKeyResolver,
    algorithms,
)

from abonent.wire.jwks import read_jwks
from abonent.wire.keys import SigningKey
from abonent.wire.signatures import SignedRequest
from tests.wire.parts import START
from tests.wire.vectors import (
    CREATED,
    RFC_8032,
    RFC_8037_JWK,
    RFC_8037_SEED,
    RFC_8037_THUMBPRINT,
    RFC_9421,
    RFC_9421_BODY,
    RFC_9421_DIGEST,
    RFC_9421_KEY,
    RFC_9530,
    BaseVector,
)


def named(vector):
    return vector.name


@pytest.mark.parametrize("vector", RFC_8032, ids=named)
def test_ed25519(vector):
    """RFC 8032, 7.1: the seed gives the public key and the signature, and no other one fits."""
    key = SigningKey(seed=bytes.fromhex(vector.seed), signs_from=START)
    message, signature = bytes.fromhex(vector.message), bytes.fromhex(vector.signature)
    public = key.private.public_key()
    assert bytes.fromhex(vector.public) == public.public_bytes_raw()
    assert signature == key.private.sign(message)
    public.verify(signature, message)
    with pytest.raises(WrongSignature):
        public.verify(signature, message + b"\0")


def test_a_key_as_jwk():
    """RFC 8037, A.2 and A.3: the public key as a JWK, under its thumbprint."""
    key = SigningKey(seed=bytes.fromhex(RFC_8037_SEED), signs_from=START)
    assert RFC_8037_THUMBPRINT == key.kid
    assert RFC_8037_JWK | {"kid": RFC_8037_THUMBPRINT, "use": "sig"} == key.public_jwk()


@pytest.mark.parametrize(
    ("body", "digest"), [each[1:] for each in RFC_9530], ids=[each[0] for each in RFC_9530]
)
def test_digests(body, digest):
    """RFC 9530: the digests of the examples are accepted, and no other body with them."""
    if digest.startswith("sha-256"):
        assert digest == ContentDigest.create(body)
    ContentDigest.verify(digest, body)
    with pytest.raises(InvalidSignature, match="does not match"):
        ContentDigest.verify(digest, body + b"\n")
    ContentDigest.verify(RFC_9421_DIGEST, RFC_9421_BODY)


def signer(resolver=None):
    return HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=resolver)


def request_of(vector: BaseVector) -> SignedRequest:
    return SignedRequest(
        method=vector.method, url=vector.url, lines=vector.lines, body=RFC_9421_BODY
    )


@pytest.mark.parametrize("vector", RFC_9421, ids=named)
def test_signature_bases(vector):
    """RFC 9421, 2 and B: what is signed of a request, byte for byte, read through our request."""
    prepared = signer().prepare(
        request_of(vector),
        key_id=vector.keyid,
        created=datetime.fromtimestamp(CREATED, UTC),
        include_alg=False,
        use_existing_digest=any(name == "content-digest" for name, _ in vector.lines),
        covered_component_ids=vector.covered,
    )
    assert vector.base == prepared.signature_base.decode()


@pytest.mark.parametrize("vector", [each for each in RFC_9421 if each.signature], ids=named)
def test_signatures(vector):
    """RFC 9421, B.2.6 and B.4: signed and verified with the published key, read as a JWK."""
    private = {"kty": "OKP", "crv": "Ed25519", "x": RFC_9421_KEY["x"]}
    public = read_jwks(_document(private | {"kid": RFC_9421_KEY["kid"]}))
    key = public["test-key-ed25519"]
    assert isinstance(key, Ed25519PublicKey)
    params = vector.base.splitlines()[-1].partition(": ")[2]
    signed = request_of(vector)
    lines = (
        *signed.lines,
        ("signature-input", f"sig={params}"),
        ("signature", f"sig=:{vector.signature}:"),
    )
    resolver = MappingKeyResolver(public_keys=public, private_keys={})
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.ED25519, key_resolver=resolver)
    request = SignedRequest(method=vector.method, url=vector.url, lines=lines, body=b"")
    (verified,) = verifier.verify(request, max_age=None)
    assert CREATED == verified.parameters["created"]
    other = SignedRequest(method="PUT", url=vector.url, lines=lines, body=b"")
    with pytest.raises(InvalidSignature):
        verifier.verify(other, max_age=None)


def test_signing_gives_the_published_signature():
    """RFC 9421, B.2.6: Ed25519 is deterministic, so our key gives those very bytes."""
    (vector,) = [each for each in RFC_9421 if each.name == "B.2.6"]
    seed = urlsafe_b64decode(RFC_9421_KEY["d"] + "=")
    key = SigningKey(seed=seed, signs_from=START)
    assert RFC_9421_KEY["x"] == key.public_jwk()["x"]
    assert vector.signature == b64encode(key.private.sign(vector.base.encode())).decode()


def _document(*keys):
    return json.dumps({"keys": keys}).encode()

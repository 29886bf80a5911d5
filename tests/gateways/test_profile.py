"""A profile holds together, or is not built."""

from datetime import timedelta

import pytest
from joserfc import jwk, jwt

from abonent.errors import InvalidValue, KeyMaterialInvalid
from abonent.gateways.camara import (
    Api,
    CamaraProfile,
    Grant,
    PrivateKeyJwt,
    Service,
    SigningKey,
)

KINDS = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "Ed25519": ("OKP", "Ed25519"),
    "PS256": ("RSA", 2048),
    "RS256": ("RSA", 2048),
}


@pytest.fixture(scope="module")
def keys():
    return {each: jwk.generate_key(*each) for each in set(KINDS.values())}


@pytest.fixture(scope="module")
def signing_key(keys):
    return SigningKey(keys["EC", "P-256"].as_pem(private=True), alg="ES256")


def api(**changes):
    return Api(**({"root": "https://api.operator.example", "version": "v0.2"} | changes))


def access(signing_key, **changes):
    given = {"token_url": "https://operator.example/token", "client_id": "us", "key": signing_key}
    return PrivateKeyJwt(**(given | changes))


def profile(signing_key, **changes):
    given = {
        "operator": "mts",
        "authentication": access(signing_key),
        "purpose": "dpv:FraudPreventionAndDetection",
        "apis": {Service.TENURE: api()},
    }
    return CamaraProfile(**(given | changes))


def test_an_address_is_root_name_and_version(signing_key):
    """The version is part of the address, and belongs to the operator."""
    made = profile(signing_key, apis={Service.TENURE: api(root="https://a.example/b")})
    assert "https://a.example/b/kyc-tenure/v0.2/check-tenure" == made.url(
        Service.TENURE, "check-tenure"
    )


def test_a_token_is_asked_with_one_purpose_and_the_scope_of_one_api(signing_key):
    """Least privilege: a token for one API is no token for another."""
    assert "dpv:FraudPreventionAndDetection kyc-tenure:check-tenure" == profile(signing_key).scope(
        Service.TENURE
    )
    named = profile(signing_key, apis={Service.TENURE: api(scope="tenure")})
    assert "dpv:FraudPreventionAndDetection tenure" == named.scope(Service.TENURE)


def test_an_api_that_the_operator_does_not_offer_is_named(signing_key):
    """A profile without an API says so."""
    with pytest.raises(InvalidValue, match="number-recycling"):
        profile(signing_key).url(Service.RECYCLING, "check")


@pytest.mark.parametrize(
    "changes",
    [
        {"root": "http://api.operator.example"},
        {"root": "https://api.operator.example/"},
        {"root": "https://user:pass@api.operator.example"},
        {"version": ""},
        {"version": "v1/../.."},
        {"version": "1"},
        {"scope": "two scopes"},
        {"scope": ""},
    ],
)
def test_an_api_without_a_good_address_is_refused(changes):
    """Without TLS, with a path that leads elsewhere, with two scopes."""
    with pytest.raises(InvalidValue):
        api(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"token_url": "http://operator.example/token"},
        {"client_id": ""},
        {"client_id": "a b"},
        {"lifetime": timedelta(seconds=301)},
        {"lifetime": timedelta(0)},
        {"audience": "a b"},
        {"backchannel_url": "http://operator.example/bc"},
    ],
)
def test_an_authentication_that_cannot_be_is_refused(signing_key, changes):
    """An assertion counts for at most 300 seconds, and goes over TLS."""
    with pytest.raises(InvalidValue):
        access(signing_key, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"operator": "MTS"},
        {"purpose": "FraudPrevention"},
        {"purpose": "dpv:A dpv:B"},
        {"timeout": timedelta(0)},
        {"timeout": timedelta(seconds=26)},
        {"concurrency": 0},
        {"concurrency": 1001},
        {"grant": Grant.CIBA},
    ],
)
def test_a_profile_that_cannot_be_is_refused(signing_key, changes):
    """One purpose, a time shorter than a lease, places, and what the grant needs."""
    with pytest.raises(InvalidValue):
        profile(signing_key, **changes)


# --- keys -----------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", KINDS)
@pytest.mark.parametrize("form", ["pem", "jwk"])
def test_what_a_key_signs_is_verified_by_its_public_half(keys, alg, form):
    """PEM and JSON Web Key, each algorithm, with the key's id in the header."""
    pair = keys[KINDS[alg]]
    material = pair.as_pem(private=True) if form == "pem" else pair.as_dict(private=True)
    signed = SigningKey(material, alg=alg, kid="k1").sign({"iss": "us"})
    public = jwk.import_key(pair.as_pem(private=False), KINDS[alg][0])
    token = jwt.decode(signed, public, algorithms=[alg])
    assert {"iss": "us"} == token.claims
    assert {"alg": alg, "kid": "k1", "typ": "JWT"} == token.header


def test_keys_that_do_not_fit_are_refused_and_not_quoted(keys):
    """Another kind, another curve, a public half, a shared secret, too short, no key at all."""
    curve, other, rsa = keys["EC", "P-256"], keys["EC", "P-384"], keys["RSA", 2048]
    secret = jwk.generate_key("oct", 256).as_dict()
    wrong = [
        (curve.as_pem(private=True), "RS256"),
        (rsa.as_pem(private=True), "ES256"),
        (other.as_pem(private=True), "ES256"),
        (curve.as_pem(private=False), "ES256"),
        (curve.as_dict(private=False), "ES256"),
        (secret, "ES256"),
        (secret, "HS256"),
        (curve.as_pem(private=True), "none"),
        ("not a key", "ES256"),
        ("", "RS256"),
        ({}, "ES256"),
        ({"kty": "EC", "crv": "P-256", "d": "verysecret"}, "ES256"),
    ]
    for material, alg in wrong:
        with pytest.raises(KeyMaterialInvalid) as caught:
            SigningKey(material, alg=alg)
        assert "verysecret" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_a_short_rsa_key_is_refused():
    """Fewer than 2,048 bits sign nothing here (RFC 7518, 3.3)."""
    short = jwk.generate_key("RSA", 1024).as_pem(private=True)
    with pytest.raises(KeyMaterialInvalid):
        SigningKey(short, alg="PS256")


def test_no_repr_shows_a_key(signing_key, keys):
    """Neither the key's nor that of what holds it (I9)."""
    secret = keys["EC", "P-256"].as_dict(private=True)["d"]
    assert secret not in f"{signing_key!r}{profile(signing_key)!r}"
    assert "SigningKey(alg='ES256', kid=None)" == repr(signing_key)

"""Published test vectors, each with the section that it stands in."""

from __future__ import annotations

from attrs import frozen

# --- RFC 8032, 7.1: Ed25519 -----------------------------------------------------------


@frozen
class Ed25519Vector:
    name: str
    seed: str
    public: str
    message: str
    signature: str


RFC_8032 = (
    Ed25519Vector(
        name="7.1, TEST 1",
        seed="9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        public="d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        message="",
        signature="e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    Ed25519Vector(
        name="7.1, TEST 2",
        seed="4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        public="3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        message="72",
        signature="92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    Ed25519Vector(
        name="7.1, TEST 3",
        seed="c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        public="fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        message="af82",
        signature="6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    Ed25519Vector(
        name="7.1, TEST SHA(abc)",
        seed="833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        public="ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        message="ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        signature="dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b589"
        "09351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
)

# --- RFC 8037, appendix A: the same key as a JWK -------------------------------------------

RFC_8037_SEED = RFC_8032[0].seed
RFC_8037_JWK = {
    "kty": "OKP",
    "crv": "Ed25519",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
"""A.2"""
RFC_8037_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
"""A.3"""

# --- RFC 9530: digests -------------------------------------------------------------------

RFC_9530 = (
    (
        "B.1",
        b'{"hello": "world"}\n',
        "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
    ),
    ("B.2", b"", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"),
    (
        "D",
        b'{"hello": "world"}\n',
        (
            "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7y"
            "Z/WkppmM44T3qg==:"
        ),
    ),
)

# --- RFC 9421: signature bases --------------------------------------------------------------

CREATED = 1618884473
RFC_9421_KEY = {
    "kty": "OKP",
    "crv": "Ed25519",
    "kid": "test-key-ed25519",
    "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs",
    "d": "n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU",
}
"""B.1.4"""
RFC_9421_BODY = b'{"hello": "world"}'
RFC_9421_DIGEST = (
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew"
    "==:"
)
_TEST_REQUEST = (
    ("host", "example.com"),
    ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
    ("content-type", "application/json"),
    ("content-digest", RFC_9421_DIGEST),
    ("content-length", "18"),
)
"""B.2, test-request"""


@frozen
class BaseVector:
    """A request, what is covered of it, and the signature base; the signature where it is ours."""

    name: str
    method: str
    url: str
    lines: tuple[tuple[str, str], ...]
    keyid: str
    base: str
    signature: str = ""

    @property
    def covered(self) -> tuple[str, ...]:
        return tuple(line.split('"')[1] for line in self.base.splitlines()[:-1])


RFC_9421 = (
    BaseVector(
        name="2.5",
        method="POST",
        url="https://example.com/foo?param=Value&Pet=dog",
        lines=_TEST_REQUEST,
        keyid="test-key-rsa-pss",
        base=f""""@method": POST
"@authority": example.com
"@path": /foo
"content-digest": {RFC_9421_DIGEST}
"content-length": 18
"content-type": application/json
"@signature-params": ("@method" "@authority" "@path" "content-digest" "content-length" """
        f'"content-type");created={CREATED};keyid="test-key-rsa-pss"',
    ),
    BaseVector(
        name="2.1",
        method="GET",
        url="https://www.example.com/",
        lines=(
            ("host", "www.example.com"),
            ("date", "Tue, 20 Apr 2021 02:07:56 GMT"),
            ("x-ows-header", "   Leading and trailing whitespace.   "),
            ("cache-control", "max-age=60"),
            ("cache-control", "   must-revalidate"),
            ("example-dict", " a=1,    b=2;x=1;y=2,   c=(a   b   c)"),
        ),
        keyid="k",
        base=""""host": www.example.com
"date": Tue, 20 Apr 2021 02:07:56 GMT
"x-ows-header": Leading and trailing whitespace.
"cache-control": max-age=60, must-revalidate
"example-dict": a=1,    b=2;x=1;y=2,   c=(a   b   c)
"@signature-params": ("host" "date" "x-ows-header" "cache-control" "example-dict")"""
        f';created={CREATED};keyid="k"',
    ),
    BaseVector(
        name="2.2.1 to 2.2.6",
        method="POST",
        url="https://www.example.com/path?param=value",
        lines=(("host", "www.example.com"),),
        keyid="k",
        base=""""@method": POST
"@target-uri": https://www.example.com/path?param=value
"@authority": www.example.com
"@scheme": https
"@request-target": /path?param=value
"@path": /path
"@query": ?param=value
"@signature-params": ("@method" "@target-uri" "@authority" "@scheme" "@request-target" "@path" """
        f'"@query");created={CREATED};keyid="k"',
    ),
    BaseVector(
        name="B.2.3",
        method="POST",
        url="https://example.com/foo?param=Value&Pet=dog",
        lines=_TEST_REQUEST,
        keyid="test-key-rsa-pss",
        base=f""""date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@query": ?param=Value&Pet=dog
"@authority": example.com
"content-type": application/json
"content-digest": {RFC_9421_DIGEST}
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@query" "@authority" "content-type" """
        f'"content-digest" "content-length");created={CREATED};keyid="test-key-rsa-pss"',
    ),
    BaseVector(
        name="B.2.6",
        method="POST",
        url="https://example.com/foo?param=Value&Pet=dog",
        lines=_TEST_REQUEST,
        keyid="test-key-ed25519",
        base=""""date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length")"""
        f';created={CREATED};keyid="test-key-ed25519"',
        signature="wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WP"
        "pBKRCw==",
    ),
    BaseVector(
        name="B.4",
        method="GET",
        url="https://example.org/demo?name1=Value1&Name2=value2",
        lines=(
            ("host", "example.org"),
            ("date", "Fri, 15 Jul 2022 14:24:55 GMT"),
            ("accept", "application/json"),
            ("accept", "*/*"),
        ),
        keyid="test-key-ed25519",
        base=""""@method": GET
"@path": /demo
"@authority": example.org
"accept": application/json, */*
"@signature-params": ("@method" "@path" "@authority" "accept")"""
        f';created={CREATED};keyid="test-key-ed25519"',
        signature="ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0p"
        "mj3NDA==",
    ),
)

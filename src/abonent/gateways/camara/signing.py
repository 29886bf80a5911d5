"""The key with which we say who we are to an operator, and what is signed with it.

Knows JSON Web Signatures, by joserfc. Refuses shared secrets, keys that are too short, and
algorithms that an operator has no reason to accept.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

from abonent.errors import KeyMaterialInvalid, SetupError

try:
    from joserfc import jwk, jwt
    from joserfc.errors import JoseError
except ImportError:
    raise SetupError("signing needs joserfc: install abonent[camara]") from None

_KINDS: Final = {
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "Ed25519": ("OKP", "Ed25519"),
    "PS256": ("RSA", None),
    "RS256": ("RSA", None),
}
ALGORITHMS: Final = frozenset(_KINDS)
_SHORTEST_RSA: Final = 2048


class SigningKey:
    """A private key, its algorithm and the id under which the operator knows its public half.

    Args:
        material: a private key as PEM text, or as a JSON Web Key.
        alg: ES256, ES384, Ed25519, PS256 or RS256 (RFC 7518, RFC 9864).
        kid: the id; None where the operator knows one key of ours only.

    Raises:
        KeyMaterialInvalid: not a private key, not one for this algorithm, or RSA of fewer than
            2,048 bits (RFC 7518, 3.3).
    """

    def __init__(
        self, material: str | bytes | Mapping[str, Any], *, alg: str, kid: str | None = None
    ) -> None:
        kind = _KINDS.get(alg)
        if kind is None:
            raise KeyMaterialInvalid(f"an algorithm is one of {', '.join(sorted(ALGORITHMS))}")
        name, curve = kind
        data = dict(material) if isinstance(material, Mapping) else material
        importing: Any = jwk.import_key
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what it warns of is refused below
                key: Any = importing(data, name)
            private, given = key.is_private, getattr(key, "curve_name", None)
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            raise KeyMaterialInvalid(f"this is no {name} key that can be read") from None
        if not private:
            raise KeyMaterialInvalid("a public key signs nothing")
        if curve is not None and given != curve:
            raise KeyMaterialInvalid(f"{alg} takes a key on {curve}")
        if name == "RSA" and key.raw_value.key_size < _SHORTEST_RSA:
            raise KeyMaterialInvalid(f"an RSA key has at least {_SHORTEST_RSA} bits")
        self._key: Any = key
        self._header = {"alg": alg} | ({} if kid is None else {"kid": kid})

    def __repr__(self) -> str:
        return f"SigningKey(alg={self._header['alg']!r}, kid={self._header.get('kid')!r})"

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a JSON Web Token with these claims."""
        return jwt.encode(
            dict(self._header), dict(claims), self._key, algorithms=[self._header["alg"]]
        )

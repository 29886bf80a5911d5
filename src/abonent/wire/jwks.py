"""The keys by which an operator's signatures are verified, read from its JWKS (RFC 7517).

Knows one operator's keys, and when to fetch them anew. Refuses to know which operator that is:
whoever asks chose the set, so a key cannot speak for two.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import msgspec
from attrs import frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from msgspec import Struct

from abonent.errors import AbonentError, InvalidValue, KeyMaterialInvalid, Unavailable
from abonent.transport import Request, Transport, check_url

log: Final = logging.getLogger("abonent")
LARGEST: Final = 65_536
"""Bytes of a JWKS document."""
MOST_KEYS: Final = 64
_LONGEST_KID: Final = 256

KeySet = Mapping[str, Ed25519PublicKey]


class VerificationKeys(Protocol):
    """The public keys of one operator. Safe for threads."""

    def find(self, kid: str, *, may_fetch: bool) -> Ed25519PublicKey | None:
        """Return the key with this id, None if the operator has none.

        With `may_fetch=False`, only among those that are known already.

        Raises:
            Unavailable: it cannot be said now.
        """
        ...


class _Document(Struct, frozen=True):
    keys: list[dict[str, Any]]


def read_jwks(document: bytes) -> dict[str, Ed25519PublicKey]:
    """Return the Ed25519 keys of a JWKS by their id, which is the thumbprint if none is given.

    Other kinds of keys are passed over (RFC 7517, 5), and so are keys for encryption and one whose
    private half is published with it: it is nobody's own any more.

    Raises:
        KeyMaterialInvalid: not a JWKS, too large, or two keys have the same id.
    """
    if len(document) > LARGEST:
        raise KeyMaterialInvalid(f"a JWKS has at most {LARGEST} bytes")
    try:
        entries = msgspec.json.decode(document, type=_Document).keys
    except (ValueError, RecursionError):
        raise KeyMaterialInvalid("this is not a JWKS") from None
    if len(entries) > MOST_KEYS:
        raise KeyMaterialInvalid(f"a JWKS has at most {MOST_KEYS} keys")
    found: dict[str, Ed25519PublicKey] = {}
    for entry in entries:
        named = _named_key(entry)
        if named is None:
            continue
        kid, key = named
        if kid in found:
            raise KeyMaterialInvalid("two keys of a JWKS have the same id")
        found[kid] = key
    return found


def _named_key(entry: dict[str, Any]) -> tuple[str, Ed25519PublicKey] | None:
    operations = entry.get("key_ops", ["verify"])
    if (
        (entry.get("kty"), entry.get("crv")) != ("OKP", "Ed25519")
        or entry.get("use", "sig") != "sig"
        or not isinstance(operations, list)
        or "verify" not in operations
        or "d" in entry
        or not isinstance(entry.get("x"), str)
    ):
        return None
    try:
        key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": entry["x"]})
        public = key.public_key
        kid = entry.get("kid", key.thumbprint())
    except (ValueError, JoseError):
        return None
    if not isinstance(public, Ed25519PublicKey) or not isinstance(kid, str):
        return None
    return (kid, public) if 0 < len(kid) <= _LONGEST_KID else None


@frozen(init=False)
class JwksKeys:
    """Keys from a JWKS document that the operator handed over, for as long as this object lives.

    Raises:
        KeyMaterialInvalid: not a JWKS, or no Ed25519 key in it.
    """

    _keys: KeySet

    def __init__(self, document: bytes) -> None:
        keys = read_jwks(document)
        if not keys:
            raise KeyMaterialInvalid("there is no Ed25519 key for signatures in this JWKS")
        object.__setattr__(self, "_keys", keys)

    def __repr__(self) -> str:
        return f"JwksKeys(kids={sorted(self._keys)!r})"

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> JwksKeys:
        """Read the document from a file.

        Raises:
            KeyMaterialInvalid: it cannot be read, or see the class.
        """
        try:
            document = Path(path).read_bytes()
        except OSError:
            raise KeyMaterialInvalid(f"the JWKS {Path(path).name} cannot be read") from None
        return cls(document)

    def find(self, kid: str, *, may_fetch: bool = True) -> Ed25519PublicKey | None:
        """See `VerificationKeys.find`. Nothing is ever fetched."""
        return self._keys.get(kid)


class FetchedJwks:
    """Keys from the address where the operator publishes them; kept, and fetched anew at times.

    A set is fetched when a key is wanted and it is older than `refresh_after`, or does not hold
    the key; never more often than `at_most_every`, whatever is asked for. If that fails the old
    set stands, for up to `keep_for` after it was fetched: then nothing is verified by it any more,
    and whoever asks is told that it cannot be said.

    Args:
        url: where the JWKS is, `https://`.
        transport: what fetches it.
        refresh_after: after this time a key that the operator took back is not believed any more.
        at_most_every: how often is fetched at most.
        keep_for: how long a set is used that cannot be renewed.
        timeout: seconds in which it has to arrive.
        monotonic: seconds that only go forward.

    Raises:
        InvalidValue: an address to which nothing goes, or times that do not grow in this order:
            `at_most_every`, `refresh_after`, `keep_for`.
    """

    def __init__(
        self,
        url: str,
        transport: Transport,
        *,
        refresh_after: timedelta = timedelta(hours=1),
        at_most_every: timedelta = timedelta(seconds=30),
        keep_for: timedelta = timedelta(hours=24),
        timeout: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not timedelta() < at_most_every <= refresh_after <= keep_for:
            raise InvalidValue("a set is fetched seldom, renewed sooner, and kept the longest")
        accept = "application/jwk-set+json, application/json"
        self._request = Request(
            url=check_url(url), method="GET", headers={"accept": accept}, timeout=timeout
        )
        self._transport = transport
        self._refresh_after = refresh_after.total_seconds()
        self._at_most_every = at_most_every.total_seconds()
        self._keep_for = keep_for.total_seconds()
        self._monotonic = monotonic
        self._fetching = threading.Lock()
        self._set: _Fetched | None = None
        self._tried: float | None = None
        self._failed = False

    def find(self, kid: str, *, may_fetch: bool = True) -> Ed25519PublicKey | None:
        """See `VerificationKeys.find`."""
        if may_fetch and self._wants_fetching(kid) and self._fetching.acquire(blocking=False):
            try:
                if self._wants_fetching(kid):  # nobody else did it just now
                    self._fetch()
            finally:
                self._fetching.release()
        found = self._usable()
        if found is not None and kid in found.keys:
            return found.keys[kid]
        if may_fetch and (found is None or self._failed or self._fetching.locked()):
            # Nobody waits for another's fetch: a slow operator would have all of them wait (P26).
            raise Unavailable("the operator's keys are not at hand")
        return None

    def _usable(self) -> _Fetched | None:
        held = self._set
        too_old = held is None or self._monotonic() - held.at > self._keep_for
        return None if too_old else held

    def _wants_fetching(self, kid: str) -> bool:
        now, held = self._monotonic(), self._set
        if self._tried is not None and now - self._tried < self._at_most_every:
            return False
        return held is None or kid not in held.keys or now - held.at > self._refresh_after

    def _fetch(self) -> None:
        self._tried = now = self._monotonic()
        try:
            reply = self._transport.send(self._request)
            if reply.status != 200 or not reply.whole:
                raise KeyMaterialInvalid("what came is not a JWKS")
            self._set = _Fetched(read_jwks(reply.body), now)
            self._failed = False
        except Exception as error:
            # The old set stands, for as long as it may.
            self._failed = True
            cause = error.code if isinstance(error, AbonentError) else type(error).__name__
            host = urlsplit(self._request.url).hostname
            log.warning("abonent.jwks_not_fetched host=%s cause=%s", host, cause)


@frozen
class _Fetched:
    keys: KeySet
    at: float

"""HTTP Message Signatures (RFC 9421) with a digest of the body (RFC 9530), by Ed25519.

Knows what a signature must cover and how old it may be. Refuses to know whose a key is.

The library `http-message-signatures` reads and writes the fields, builds the signature base and
calls the cipher. What is accepted is decided here, from what it reports as verified; the time is
ours, so its own look at the clock is disabled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import algorithms
from http_message_signatures.exceptions import HTTPMessageSignaturesException
from http_message_signatures.resolvers import HTTPSignatureKeyResolver
from http_message_signatures.signatures import HTTPMessageSigner, HTTPMessageVerifier

from abonent.wire.refusals import Refusal

_ED25519: Final[Any] = algorithms.ED25519  # pyright: ignore[reportPrivateImportUsage]
TAG: Final = "abonent-event"
"""What a signature is for (RFC 9421, 2.3): one that the operator made for another use of its key
is none of ours."""
COVERED: Final = ("@method", "@target-uri", "content-type", "content-digest")
"""What we sign."""
_COMMON: Final = frozenset({'"@method"', '"content-type"', '"content-digest"'})
ACCEPTED: Final = (_COMMON | {'"@target-uri"'}, _COMMON | {'"@authority"', '"@path"'})
"""What others cover at least: one of these. An address of ours has no query."""
LABEL: Final = "abonent"
ACCEPT_SIGNATURE: Final = (
    f'{LABEL}=("@method" "@target-uri" "content-type" "content-digest")'
    f';created;keyid;alg="ed25519";tag="{TAG}"'
)
"""What is asked for of who did not send it (RFC 9421, 5.1)."""

MAX_AGE: Final = timedelta(minutes=5)
MAX_AHEAD: Final = timedelta(seconds=30)

Find = Callable[[str], Ed25519PublicKey | None]


class _Lines:
    """Header fields, line by line, as the library reads them."""

    def __init__(self, lines: tuple[tuple[str, str], ...]) -> None:
        self._lines = lines

    def items(self) -> Iterator[tuple[str, str]]:
        return iter(self._lines)


@frozen(kw_only=True)
class SignedRequest:
    """A request that may be signed. Names of headers are in lower case, each line by itself."""

    method: str
    url: str
    lines: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def headers(self) -> _Lines:
        """The header fields, for the library."""
        return _Lines(self.lines)

    def values(self, name: str) -> list[str]:
        """Return the values of all lines of a header, by its name in lower case."""
        return [value for each, value in self.lines if each == name]


@frozen(kw_only=True)
class Freshness:
    """How old a signature may be, and how far ahead of ours the clock of who made it."""

    max_age: timedelta
    max_ahead: timedelta

    def check(self, created: int, expires: int | None, now: datetime) -> None:
        """Refuse what was made too long ago, will be made, or has run out (P13).

        Both bounds are inclusive. One that has no end in the past is no protection: the age is
        bounded on one side, and the other bound is for clocks that differ.
        """
        made_at = datetime.fromtimestamp(created, UTC)
        if made_at - now > self.max_ahead:
            raise Refusal.SIGNATURE_AHEAD.error()
        if now - made_at > self.max_age:
            raise Refusal.SIGNATURE_EXPIRED.error()
        if expires is not None and now > datetime.fromtimestamp(expires, UTC):
            raise Refusal.SIGNATURE_EXPIRED.error()


def sign(
    *, url: str, content_type: str, body: bytes, key: Ed25519PrivateKey, kid: str, at: datetime
) -> dict[str, str]:
    """Return the headers of a signed POST, in lower case: type, digest and signature."""
    message = _Outgoing(url=url, headers={"content-type": content_type})
    signer: Any = HTTPMessageSigner(signature_algorithm=_ED25519, key_resolver=_OneKey(kid, key))
    signer.sign(
        message,
        key_id=kid,
        created=at,
        tag=TAG,
        label=LABEL,
        covered_component_ids=COVERED,
        body=body,
    )
    return {name.lower(): value for name, value in message.headers.items()}


def verify(request: SignedRequest, find: Find, freshness: Freshness, now: datetime) -> str:
    """Return the id of the key that signed this request, method, address, type and body, lately.

    Raises:
        RequestRefused: it is not so; `reason` is the name of a `Refusal`.
        Whatever `find` raises.
    """
    if not request.values("signature-input") or not request.values("signature"):
        raise Refusal.SIGNATURE_MISSING.error()
    keys = _FoundKeys(find)
    verifier: Any = _Verifier(signature_algorithm=_ED25519, key_resolver=keys)
    try:
        results = verifier.verify(request, max_age=None, expect_tag=TAG)
    except Exception as error:
        raise keys.why(error) from None
    if len(results) != 1:
        raise Refusal.SIGNATURE_UNREADABLE.error()
    (verified,) = results
    covered = verified.covered_components.keys()
    if not any(wanted <= covered for wanted in ACCEPTED):
        raise Refusal.SIGNATURE_INCOMPLETE.error()
    given = verified.parameters
    freshness.check(given["created"], given.get("expires"), now)
    try:
        (checked,) = verifier.verify_body(request, results, request.body)
    except HTTPMessageSignaturesException:
        raise Refusal.DIGEST_WRONG.error() from None
    if checked.body != request.body:
        raise Refusal.DIGEST_WRONG.error()
    return str(given["keyid"])


class _Verifier(HTTPMessageVerifier):
    # The library asks the system's clock; ours is asked below. This leaves it two thousand years.
    max_clock_skew = timedelta(days=730_000)
    require_created = True


@frozen
class _Outgoing:
    url: str
    headers: dict[str, str]
    method: str = "POST"


class _OneKey(HTTPSignatureKeyResolver):
    def __init__(self, kid: str, key: Ed25519PrivateKey) -> None:
        self._known = {kid: key}

    def resolve_private_key(self, key_id: str) -> Ed25519PrivateKey:
        return self._known[key_id]


class _FoundKeys(HTTPSignatureKeyResolver):
    """Looks keys up, and remembers how that went: the library reports every failure alike."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._asked = False
        self._missing = False
        self._failure: Exception | None = None

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey | None:
        self._asked = True
        try:
            found = self._find(key_id)
        except Exception as error:
            self._failure = error
            raise
        self._missing = found is None
        return found

    def why(self, error: Exception) -> Exception:
        """Return what is to be raised in place of an error of the library."""
        if self._failure is not None:
            return self._failure
        if not isinstance(error, HTTPMessageSignaturesException) or not self._asked:
            return Refusal.SIGNATURE_UNREADABLE.error()
        return (Refusal.KEY_UNKNOWN if self._missing else Refusal.SIGNATURE_WRONG).error()

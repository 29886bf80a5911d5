"""The keys by which an operator's signatures are verified, read from its JWKS."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class VerificationKeys(Protocol):
    """The public keys of one operator."""

    def find(self, kid: str, *, may_fetch: bool) -> Ed25519PublicKey | None:
        """Return the key with this id, None if the operator has none.

        Raises:
            Unavailable: it cannot be said now.
        """
        ...


class JwksKeys:
    """Keys from a JWKS document that the operator handed over."""

    def __init__(self, document: bytes) -> None:
        raise NotImplementedError

    @classmethod
    def from_file(cls, path: Path | str) -> JwksKeys:
        """Read the document from a file."""
        raise NotImplementedError

    def find(self, kid: str, *, may_fetch: bool = True) -> Ed25519PublicKey | None:
        """See `VerificationKeys.find`."""
        raise NotImplementedError


class FetchedJwks:
    """Keys from the address where the operator publishes them; kept, and fetched anew at times."""

    def __init__(
        self,
        url: str,
        transport: object,
        *,
        refresh_after: timedelta = timedelta(hours=1),
        at_most_every: timedelta = timedelta(seconds=30),
        keep_for: timedelta = timedelta(hours=24),
    ) -> None:
        raise NotImplementedError

    def find(self, kid: str, *, may_fetch: bool = True) -> Ed25519PublicKey | None:
        """See `VerificationKeys.find`."""
        raise NotImplementedError

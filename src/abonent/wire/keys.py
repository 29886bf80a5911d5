"""An operator's own signing keys: Ed25519, published as JWKS, rotated with overlap."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from attrs import field, frozen


@frozen(kw_only=True, repr=False)
class SigningKey:
    """A private key, and from when on it signs."""

    seed: bytes
    signs_from: datetime

    @property
    def kid(self) -> str:
        """The key's id: its thumbprint (RFC 7638)."""
        raise NotImplementedError


@frozen(kw_only=True, repr=False)
class SigningKeys:
    """Keys in the order in which they sign."""

    keys: tuple[SigningKey, ...]

    @classmethod
    def generate(cls, at: datetime) -> SigningKeys:
        """Return one fresh key that signs from an instant on."""
        raise NotImplementedError

    def current(self, at: datetime) -> SigningKey:
        """Return the key that signs at an instant."""
        raise NotImplementedError

    def rotated(self, at: datetime, *, lead: timedelta = timedelta(hours=2)) -> SigningKeys:
        """Add a key that is published at once and signs after `lead`; drop what has retired."""
        raise NotImplementedError

    def jwks(self, at: datetime) -> bytes:
        """Return the public keys, as the JSON document that is to be served (RFC 7517)."""
        raise NotImplementedError


class SigningKeySource(Protocol):
    """Where the signing keys come from."""

    def signing_keys(self) -> SigningKeys:
        """Return them."""
        ...


@frozen
class FileSigningKeys:
    """Signing keys in a file that only its owner may read."""

    path: Path = field(converter=Path)

    @classmethod
    def create(cls, path: Path | str, at: datetime) -> FileSigningKeys:
        """Write a file with one fresh key."""
        raise NotImplementedError

    def signing_keys(self) -> SigningKeys:
        """Read the file."""
        raise NotImplementedError

    def rotate(self, at: datetime, *, lead: timedelta = timedelta(hours=2)) -> None:
        """Write the rotated keys in place of the old ones, at once or not at all."""
        raise NotImplementedError

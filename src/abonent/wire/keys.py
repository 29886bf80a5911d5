"""An operator's own signing keys: Ed25519, published as JWKS, rotated with overlap.

Knows which key signs when, and which are shown to messengers meanwhile. Refuses to show a private
one: no repr, no published document and no error holds it.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Protocol, cast

import msgspec
from attrs import Attribute, field, frozen
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from msgspec import Struct

from abonent.core.parties import check_instant_field
from abonent.errors import InvalidValue, KeyMaterialInvalid, KeyUnavailable

LEAD: Final = timedelta(hours=2)
"""How long a key is shown before it signs: longer than messengers keep a set."""
SHOWN_AFTER: Final = timedelta(hours=1)
"""How long a key is shown after it signed last: longer than a signature is taken."""
_SEED: Final = 32
_MODE_OF_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def _is_seed(_: object, attribute: Attribute[Any], value: bytes) -> None:
    if len(value) != _SEED:
        raise InvalidValue("an Ed25519 key is 32 bytes long (RFC 8032, 5.1.5)")


@frozen(kw_only=True, repr=False)
class SigningKey:
    """A private key, and from which instant on it signs.

    `seed` is its 32 bytes (RFC 8032, 5.1.5).

    Raises:
        InvalidValue: a seed of another length.
        NaiveInstant: `signs_from` has no time zone.
    """

    seed: bytes = field(validator=_is_seed)
    signs_from: datetime = field(validator=check_instant_field)

    @cached_property
    def private(self) -> Ed25519PrivateKey:
        """The key that signs."""
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @cached_property
    def kid(self) -> str:
        """The key's id, the thumbprint of its public half (RFC 7638; RFC 8037, A.3)."""
        return OKPKey.import_key(self.private).thumbprint()

    def __repr__(self) -> str:
        return f"SigningKey(kid={self.kid!r}, signs_from={self.signs_from.isoformat()!r})"

    def public_jwk(self) -> dict[str, Any]:
        """Return the public half as a JWK (RFC 8037, 2)."""
        public = OKPKey.import_key(self.private.public_key())
        return dict(public.as_dict(kid=self.kid, use="sig"))


def _in_order(keys: Iterable[SigningKey]) -> tuple[SigningKey, ...]:
    return tuple(sorted(keys, key=lambda each: each.signs_from))


def _distinct(_: object, attribute: Attribute[Any], value: tuple[SigningKey, ...]) -> None:
    if not value or len({each.signs_from for each in value}) < len(value):
        raise InvalidValue("signing keys are one or more, and no two begin to sign at once")


@frozen(kw_only=True)
class SigningKeys:
    """Keys that sign one after the other, each from its instant until the next one's.

    Raises:
        InvalidValue: no key, or two that begin to sign at the same instant.
    """

    keys: tuple[SigningKey, ...] = field(converter=_in_order, validator=_distinct)

    @classmethod
    def generate(cls, at: datetime) -> SigningKeys:
        """Return one fresh key that signs from an instant on."""
        return cls(keys=(SigningKey(seed=secrets.token_bytes(_SEED), signs_from=at),))

    def signing_keys(self) -> SigningKeys:
        """Return them; so keys in memory are a `SigningKeySource`."""
        return self

    def current(self, at: datetime) -> SigningKey:
        """Return the key that signs at an instant.

        Raises:
            KeyUnavailable: none does yet.
        """
        signing = [each for each in self.keys if each.signs_from <= at]
        if not signing:
            raise KeyUnavailable("no key signs yet", key_id=self.keys[0].kid)
        return signing[-1]

    def shown(self, at: datetime) -> tuple[SigningKey, ...]:
        """Return the keys that messengers are to know: those to come, the current, and the last.

        A key is shown for `SHOWN_AFTER` after it signed last, so that what it signed is taken.
        """
        ends = (*(each.signs_from for each in self.keys[1:]), None)
        pairs = zip(self.keys, ends, strict=True)
        return tuple(key for key, end in pairs if end is None or at < end + SHOWN_AFTER)

    def rotated(self, at: datetime, *, lead: timedelta = LEAD) -> SigningKeys:
        """Return them with a fresh key that is shown at once and signs after `lead`.

        What is not shown any more is dropped.

        Raises:
            InvalidValue: the key of the last rotation does not sign yet, or `lead` is negative.
        """
        if self.keys[-1].signs_from > at:
            raise InvalidValue("the last rotation is not over: its key does not sign yet")
        if lead < timedelta():
            raise InvalidValue("a key is shown before it signs, not after")
        fresh = SigningKey(seed=secrets.token_bytes(_SEED), signs_from=at + lead)
        return SigningKeys(keys=(*self.shown(at), fresh))

    def jwks(self, at: datetime) -> bytes:
        """Return the document that messengers fetch, `application/jwk-set+json` (RFC 7517, 5)."""
        return msgspec.json.encode({"keys": [each.public_jwk() for each in self.shown(at)]})


class SigningKeySource(Protocol):
    """Where signing keys come from; asked again for every message, so that a rotation is seen."""

    def signing_keys(self) -> SigningKeys:
        """Return them.

        Raises:
            KeyUnavailable: they cannot be had now.
            KeyMaterialInvalid: the source does not hold signing keys.
        """
        ...


class _StoredKey(Struct, frozen=True, kw_only=True):
    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    d: str
    signs_from: Annotated[datetime, msgspec.Meta(tz=True)]


class _Stored(Struct, frozen=True):
    keys: list[_StoredKey]


@frozen
class FileSigningKeys:
    """Signing keys in a JSON file that only its owner may read: private JWKs (RFC 8037, 2).

    Besides, each says from when on it signs: `signs_from`.
    """

    path: Path = field(converter=Path)

    @classmethod
    def create(cls, path: str | os.PathLike[str], at: datetime) -> FileSigningKeys:
        """Write a file with one fresh key, mode 0600. An existing file is never touched.

        Raises:
            KeyMaterialInvalid: it exists, or cannot be written.
        """
        _write(Path(path), SigningKeys.generate(at))
        return cls(Path(path))

    def signing_keys(self) -> SigningKeys:
        """Read the file.

        Raises:
            KeyUnavailable: there is no such file.
            KeyMaterialInvalid: others may read it, or it does not hold signing keys.
        """
        try:
            mode = self.path.stat().st_mode
            text = self.path.read_bytes()
        except FileNotFoundError:
            raise KeyUnavailable(f"there is no key file {self.path.name}") from None
        except OSError:
            raise KeyMaterialInvalid(f"the key file {self.path.name} cannot be read") from None
        if mode & _MODE_OF_OTHERS:
            raise KeyMaterialInvalid(f"others may read the key file {self.path.name}: chmod 600")
        try:
            stored = msgspec.json.decode(text, type=_Stored)
            return SigningKeys(keys=tuple(_read(each) for each in stored.keys))
        except (ValueError, TypeError, JoseError, InvalidValue):
            # No cause: what it quotes may be a key.
            message = f"the key file {self.path.name} does not hold signing keys"
            raise KeyMaterialInvalid(message) from None

    def rotate(self, at: datetime, *, lead: timedelta = LEAD) -> SigningKeys:
        """Write the rotated keys in place of the old ones, as a whole or not at all.

        Raises:
            InvalidValue: see `SigningKeys.rotated`.
            KeyUnavailable, KeyMaterialInvalid: it cannot be read or written.
        """
        return self._replace(self.signing_keys().rotated(at, lead=lead))

    def renew(self, at: datetime) -> SigningKeys:
        """Write one fresh key, which signs at once, in place of all: for when one was stolen.

        Messengers that keep a set do not know it yet; what they refuse meanwhile is sent again.

        Raises:
            KeyMaterialInvalid: it cannot be written.
        """
        return self._replace(SigningKeys.generate(at))

    def _replace(self, keys: SigningKeys) -> SigningKeys:
        beside = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        try:
            _write(beside, keys)
            beside.replace(self.path)
        except OSError as error:
            raise KeyMaterialInvalid(f"cannot replace the key file: {error.strerror}") from None
        finally:
            beside.unlink(missing_ok=True)
        return keys


def _read(stored: _StoredKey) -> SigningKey:
    halves: dict[str, str | list[str]] = {
        "kty": stored.kty,
        "crv": stored.crv,
        "x": stored.x,
        "d": stored.d,
    }
    private = cast(Ed25519PrivateKey, OKPKey.import_key(halves).private_key)
    key = SigningKey(seed=private.private_bytes_raw(), signs_from=stored.signs_from)
    if key.public_jwk()["x"] != stored.x:
        raise InvalidValue("a key's halves do not belong together")
    return key


def _write(path: Path, keys: SigningKeys) -> None:
    stored = [
        {
            **OKPKey.import_key(each.private).as_dict(private=True),
            "kid": each.kid,
            "signs_from": each.signs_from.astimezone(UTC),
        }
        for each in keys.keys
    ]
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise KeyMaterialInvalid(f"cannot create the key file: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode({"keys": stored}))
        file.flush()
        os.fsync(file.fileno())

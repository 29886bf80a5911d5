"""Sealed records, blind indexes and derived codes.

Knows how to keep a secret: AES-256-GCM (NIST SP 800-38D) bound to the place of what it seals,
HMAC-SHA-256 (RFC 2104) for indexes and codes, HKDF (RFC 5869) for a key a purpose.
Refuses to know what it seals, and where root keys come from. No key, code or number is ever shown
by a repr or error here.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
import secrets
from hashlib import sha256
from itertools import count
from typing import Final

from attrs import frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from abonent.core.numbers import SubscriberNumber
from abonent.errors import KeyUnavailable, KeyWornOut, RecordDamaged, UnknownQuery
from abonent.ports import KeyProvider, OneTimeCode

_NONCE: Final = 12
TAG_LENGTH: Final = 16
"""Bytes of a keyed index, a row's key and a subject's id."""
MOST_SEALS: Final = 1 << 32
"""Seals with random nonces that one key may make (NIST SP 800-38D, 8.3)."""
_KEY: Final = 32
_KEY_ID: Final = re.compile(rb"[a-z0-9-]{1,16}")


@frozen(repr=False)
class _Purposes:
    """The keys of one root, one for each purpose; ciphers and hashes are keyed once."""

    row: AESGCM
    query: AESGCM
    index: HMAC
    code: HMAC
    check: HMAC


def _purposes(root: bytes) -> _Purposes:
    return _Purposes(
        row=AESGCM(_derive(root, b"abonent/1/row")),
        query=AESGCM(_derive(root, b"abonent/1/query")),
        index=HMAC(_derive(root, b"abonent/1/index"), SHA256()),
        code=HMAC(_derive(root, b"abonent/1/code"), SHA256()),
        check=HMAC(_derive(root, b"abonent/1/check"), SHA256()),
    )


def _derive(root: bytes, info: bytes) -> bytes:
    """Derive a key of 32 bytes. A root is random already, so there is no salt (RFC 5869, 3.1)."""
    return HKDF(algorithm=SHA256(), length=_KEY, salt=None, info=info).derive(root)


def _mac(keyed: HMAC, *parts: bytes) -> bytes:
    """Hash a message under a key, of which `keyed` has seen no message yet."""
    mac = keyed.copy()
    mac.update(b"\0".join(parts))
    return mac.finalize()


def _seal(cipher: AESGCM, nonce: bytes, place: bytes, body: bytes) -> bytes:
    """Return nonce (96 bits), ciphertext and tag (128 bits), bound to a place."""
    return nonce + cipher.encrypt(nonce, body, place)


def _open(
    cipher: AESGCM, place: bytes, sealed: bytes, failed: str, key_id: str | None = None
) -> bytes:
    """Open what `_seal` returned.

    Raises:
        RecordDamaged: any bit of it, the place or the key is another one; `failed` is what it says,
            with the key's id in the place of `{}`.
    """
    try:
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], place)
    except (InvalidTag, ValueError):
        raise RecordDamaged(failed.format(key_id)) from None


class Keyring:
    """Seals, opens, indexes and derives for one messenger."""

    def __init__(self, provider: KeyProvider, messenger: str) -> None:
        """Take the keys once; a rotation builds a new identifier.

        Raises:
            KeyUnavailable, KeyMaterialInvalid: from the provider.
        """
        keys = provider.keys()
        self.current = keys.current
        self._messenger = messenger.encode()
        self._query_place = b"query\0" + self._messenger
        self._purposes = {each: _purposes(root) for each, root in keys.roots.items()}
        self._header = _header(keys.current)
        current = self._purposes[keys.current]
        older = [made for each, made in self._purposes.items() if each != keys.current]
        self._sealing = current
        self._indexes = tuple(each.index for each in (current, *older))
        rest = (each for each in keys.roots if each != keys.current)
        self.key_ids: tuple[str, ...] = (keys.current, *rest)
        """The ids of all live keys, the current one first: the order of all that is indexed."""
        self.seals = 0
        """How many seals this keyring has made under the current key."""
        self.allowed = MOST_SEALS
        """How many it may make."""
        self._made = count(1)

    def __repr__(self) -> str:
        return f"Keyring(current={self.current!r}, ids={sorted(self._purposes)!r})"

    def check_value(self, key_id: str) -> bytes:
        """Return what tells a live key from any other, and nothing else about it."""
        parts = (b"check", self._messenger, key_id.encode())
        return _mac(self._purposes[key_id].check, *parts)[:TAG_LENGTH]

    def _count_seal(self) -> None:
        self.seals = made = next(self._made)  # one step, so that no thread's seal is left out
        if made > self.allowed:
            message = f"key {self.current} has made as many seals as it may"
            raise KeyWornOut(message, key_id=self.current)

    # indexes

    def _tags(self, purpose: bytes, text: str) -> tuple[bytes, ...]:
        parts = (purpose, self._messenger, text.encode())
        return tuple([_mac(keyed, *parts)[:TAG_LENGTH] for keyed in self._indexes])

    def user_tags(self, user_id: str) -> tuple[bytes, ...]:
        """Return the keyed hashes of a user id under every live key, the current one first."""
        return self._tags(b"user", user_id)

    def number_tags(self, number: SubscriberNumber) -> tuple[bytes, ...]:
        """Return the blind indexes of a number under every live key, the current one first."""
        return self._tags(b"number", number.e164)

    def range_tags(self, name: str) -> tuple[bytes, ...]:
        """Return the keyed hashes of a range of numbers, or of all, the current one first."""
        return self._tags(b"range", name)

    # rows

    def seal_row(self, key: bytes, version: int, body: bytes) -> bytes:
        """Seal a row for its place: it opens under this key and version only.

        Raises:
            KeyWornOut: the current key has made as many seals as it may.
        """
        self._count_seal()
        place = self._place(key, version)
        return self._header + _seal(self._sealing.row, os.urandom(_NONCE), place, body)

    def open_row(self, key: bytes, version: int, sealed: bytes) -> bytes:
        """Open a row.

        Raises:
            KeyUnavailable: it was sealed under a key that is not there; `key_id` names it.
            RecordDamaged: it is damaged, forged, or was moved from another place.
        """
        key_id, rest = _split(sealed)
        purposes = self._purposes.get(key_id)
        if purposes is None:
            raise KeyUnavailable(f"a record is sealed under key {key_id}", key_id=key_id)
        failed = "a record does not open under key {}: damaged, moved or a wrong key"
        return _open(purposes.row, self._place(key, version), rest, failed, key_id)

    def _place(self, key: bytes, version: int) -> bytes:
        return b"row\0" + self._messenger + b"\0" + key + version.to_bytes(8, "big")

    # journal entries

    def seal_entry(self, subject_key: bytes, number: int, body: bytes) -> bytes:
        """Seal a journal entry under the key of its subject, for its place."""
        place = self._entry_place(number)
        return _seal(AESGCM(subject_key), os.urandom(_NONCE), place, body)

    def open_entry(self, subject_key: bytes, number: int, sealed: bytes) -> bytes:
        """Open a journal entry.

        Raises:
            RecordDamaged: it is damaged, forged, or was moved from another place.
        """
        failed = "a journal entry does not open: damaged or moved"
        return _open(AESGCM(subject_key), self._entry_place(number), sealed, failed)

    def _entry_place(self, number: int) -> bytes:
        return b"entry\0" + self._messenger + b"\0" + number.to_bytes(8, "big")

    def stranger_key(self) -> bytes:
        """Return the subject key under which answers that belong to nobody are journaled."""
        return _mac(self._sealing.code, b"strangers", self._messenger)

    # query ids

    def query_id(self, key: bytes, subject: bytes = b"") -> str:
        """Return a fresh query id that leads back to a row, for us alone.

        The subject leads there still when the row was moved to a place under another key.

        Raises:
            KeyWornOut: as `seal_row`.
        """
        self._count_seal()
        body = key + subject
        sealed = _seal(self._sealing.query, os.urandom(_NONCE), self._query_place, body)
        return base64.urlsafe_b64encode(self._header + sealed).decode().rstrip("=")

    def row_of_query(self, query_id: str) -> bytes:
        """Return the key of the row that a query id of ours was made for.

        Raises:
            UnknownQuery: we did not make it.
        """
        return self._open_query(query_id)[:TAG_LENGTH]

    def subject_of_query(self, query_id: str) -> bytes:
        """Return the subject in a query id of ours, b"" where an older release made it.

        Raises:
            UnknownQuery: we did not make it.
        """
        return self._open_query(query_id)[TAG_LENGTH:]

    def _open_query(self, query_id: str) -> bytes:
        try:
            key_id, rest = _split(_raw_query(query_id))
            return _open(self._purposes[key_id].query, self._query_place, rest, "no id of ours")
        except (ValueError, KeyError, RecordDamaged):
            raise UnknownQuery("we asked no question with this id") from None

    # one-time codes

    def one_time_code(
        self, *, claim: str, number: SubscriberNumber, issue: int, key_id: str, digits: int
    ) -> OneTimeCode:
        """Derive the code of one issue of a claim. It is never stored, so a retry has the same.

        Raises:
            KeyUnavailable: the key it was issued under is not there.
        """
        purposes = self._purposes.get(key_id)
        if purposes is None:
            raise KeyUnavailable(f"a code was issued under key {key_id}", key_id=key_id)
        issued = (claim.encode(), number.e164.encode(), b"%d" % issue)
        digest = _mac(purposes.code, b"code", self._messenger, *issued)
        # 128 bits make the bias of the remainder smaller than 2**-94.
        value = int.from_bytes(digest[:16], "big") % 10**digits
        return OneTimeCode(f"{value:0{digits}d}")


def same_code(one: OneTimeCode, other: OneTimeCode) -> bool:
    """Compare two codes as text, in constant time."""
    return hmac.compare_digest(one.digits.encode(), other.digits.encode())


def new_subject_key() -> bytes:
    """Return the random key of a new subject's journal."""
    return secrets.token_bytes(_KEY)


def subject_of(subject_key: bytes) -> bytes:
    """Return the id of a subject: the fingerprint of its key, which says nothing without it."""
    return sha256(b"abonent/1/subject" + subject_key).digest()[:TAG_LENGTH]


def new_id() -> str:
    """Return a fresh random id of 128 bits, as 22 characters (I11)."""
    return secrets.token_urlsafe(16)


def key_of(sealed: bytes) -> str:
    """Return the id of the key that sealed a row.

    Raises:
        RecordDamaged: nobody sealed it.
    """
    return _split(sealed)[0]


def key_of_query(query_id: str) -> str:
    """Return the id of the key that sealed a query id, "" if it is none of ours."""
    try:
        return _split(_raw_query(query_id))[0]
    except (ValueError, RecordDamaged):
        return ""


def _raw_query(query_id: str) -> bytes:
    padded = query_id + "=" * (-len(query_id) % 4)
    return base64.b64decode(padded, altchars=b"-_", validate=True)


def _header(key_id: str) -> bytes:
    return bytes((len(key_id),)) + key_id.encode()


def _split(sealed: bytes) -> tuple[str, bytes]:
    if not sealed:
        raise RecordDamaged("a sealed record is empty")
    length = sealed[0] + 1
    key_id = sealed[1:length]
    if not _KEY_ID.fullmatch(key_id):
        # What no key can be called is damage, and goes into no error's text.
        raise RecordDamaged("a sealed record has no key id")
    return key_id.decode("ascii"), sealed[length:]

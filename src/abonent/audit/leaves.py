"""What a leaf of the tree is made of, and how the entry in it is opened.

Knows bytes: of an entry of the journal, and of a subject's key. Refuses to know what they tell.

A leaf is an entry as it was committed: its sealed body, and its place. The first twelve bytes of a
body are random, so that the hash of a leaf says nothing to who has not got the leaf (ADR 21).
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct, error
from typing import TYPE_CHECKING, Final

from attrs import field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from abonent.audit.notes import from64, text_from, to64
from abonent.errors import EvidenceDamaged, EvidenceTampered

if TYPE_CHECKING:
    from abonent.ports import Entry

_HEAD: Final = Struct(">BQqH")
_VERSION: Final = 1
_NONCE: Final = 12
_TITLE: Final = "abonent/1/opening"


@frozen(kw_only=True)
class Leaf:
    """An entry of the journal. `number` counts the entries of one subject, from 1."""

    cursor: int
    subject: bytes
    number: int
    body: bytes = field(repr=False)

    @classmethod
    def read(cls, data: bytes, where: str) -> Leaf:
        """Read the bytes of a leaf.

        Raises:
            EvidenceDamaged: they are none.
        """
        if len(data) >= _HEAD.size:
            version, cursor, number, length = _HEAD.unpack_from(data)
            subject = data[_HEAD.size : _HEAD.size + length]
            if version == _VERSION and len(subject) == length:
                body = data[_HEAD.size + length :]
                return cls(cursor=cursor, subject=subject, number=number, body=body)
        raise EvidenceDamaged("this is no entry", finding="entry", where=where)


def leaf_data(entry: Entry, cursor: int) -> bytes:
    """Return the bytes of an entry as a leaf, at this cursor.

    Raises:
        EvidenceTampered: it cannot be an entry: a store gave what nobody can have committed.
    """
    try:
        head = _HEAD.pack(_VERSION, cursor, entry.number, len(entry.subject))
        return head + entry.subject + entry.body
    except (error, TypeError):
        message = "the journal holds what no commit can have left"
        raise EvidenceTampered(message, finding="row_changed", where=f"cursor {cursor}") from None


@frozen(kw_only=True)
class Opening:
    """The key of one subject: it opens that subject's entries, all of them, and no others."""

    messenger: str
    key: bytes = field(repr=False)

    @property
    def subject(self) -> bytes:
        """The subject whose key this is: the key's fingerprint, so that no other key will do."""
        return sha256(b"abonent/1/subject" + self.key).digest()[:16]

    @property
    def text(self) -> str:
        """The opening as a file. Who has it and the entries reads what they tell."""
        return f"{_TITLE}\n{self.messenger}\n{to64(self.key)}\n"

    @classmethod
    def parse(cls, data: bytes) -> Opening:
        """Read such a file.

        Raises:
            EvidenceDamaged: it is none.
        """
        lines = text_from(data, 1024).split("\n")
        if len(lines) != 4 or lines[0] != _TITLE or lines[3]:
            raise EvidenceDamaged("this file is no opening", finding="opening")
        return cls(messenger=lines[1], key=from64(lines[2], "line 3", length=32))

    def open(self, leaf: Leaf) -> bytes:
        """Return what an entry says, as the bytes that were sealed.

        Raises:
            EvidenceTampered: the entry is another subject's, or was not sealed like this.
        """
        where = f"cursor {leaf.cursor}"
        if leaf.subject != self.subject:
            message = "the opening belongs to another subject"
            raise EvidenceTampered(message, finding="other_subject", where=where)
        try:
            place = b"entry\0" + self.messenger.encode() + b"\0" + leaf.number.to_bytes(8, "big")
            return AESGCM(self.key).decrypt(leaf.body[:_NONCE], leaf.body[_NONCE:], place)
        except (InvalidTag, OverflowError, ValueError):
            message = "the entry was not sealed under this key, at this place"
            raise EvidenceTampered(message, finding="not_sealed", where=where) from None

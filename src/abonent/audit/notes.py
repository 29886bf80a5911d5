"""Signed notes and checkpoints (C2SP signed-note v1.0.0, tlog-checkpoint v1).

Knows text, signature lines and verifier keys. Refuses to guess: what is not exactly of the form is
damaged, and says at which line.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Final

from attrs import field, frozen
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from abonent.audit.tree import HASH
from abonent.errors import (
    EvidenceDamaged,
    EvidenceError,
    EvidenceForeign,
    EvidenceTampered,
    InvalidValue,
)

LONGEST: Final = 1 << 20
"""Bytes of a note: room for many witnesses, with signatures of the long kinds too."""
_MOST_SIGNATURES: Final = 64
_ED25519: Final = b"\x01"
_DASH: Final = "\N{EM DASH} "
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_MARK: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")


# --- the smallest parts -------------------------------------------------------------


def to64(raw: bytes) -> str:
    """Return bytes as base64 (RFC 4648, section 4)."""
    return b64encode(raw).decode("ascii")


def from64(text: str, where: str, *, length: int | None = None) -> bytes:
    """Read base64 that has one spelling only; `length` is how many bytes it has to give.

    Raises:
        EvidenceDamaged: it is none, or another spelling of the same bytes.
    """
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        raw = b""
    if to64(raw) != text or not text:
        raise EvidenceDamaged("this is not base64 as it is written", finding="base64", where=where)
    if length is not None and len(raw) != length:
        raise EvidenceDamaged(f"this is not {length} bytes", finding="length", where=where)
    return raw


def size_from(text: str, where: str) -> int:
    """Read a number of leaves or an index: digits, no zeroes before them, below 2**63.

    Raises:
        EvidenceDamaged: it is none.
    """
    if not _SIZE.fullmatch(text) or int(text) >> 63:
        raise EvidenceDamaged("this is not a size", finding="size", where=where)
    return int(text)


def text_from(data: bytes, longest: int) -> str:
    """Read the text of a file, whose only control character is the end of a line.

    Raises:
        EvidenceDamaged: too long, not UTF-8, or another control character.
    """
    if len(data) > longest:
        raise EvidenceDamaged(f"the file is longer than {longest} bytes", finding="too_long")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise EvidenceDamaged("the file is not text in UTF-8", finding="not_text") from None
    if text.startswith(_MARK):
        message = "an editor has put a mark before the text"
        raise EvidenceDamaged(message, finding="control_character", where="line 1")
    if found := _CONTROL.search(text):
        line = f"line {text.count(chr(10), 0, found.start()) + 1}"
        name = "carriage_return" if found[0] == "\r" else "control_character"
        raise EvidenceDamaged("a control character has come in", finding=name, where=line)
    return text


# --- keys ---------------------------------------------------------------------------


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:4]


@frozen(kw_only=True)
class VerifierKey:
    """The public key of a log, by which its checkpoints are known. `name` is the log's origin.

    Raises:
        InvalidValue: a name that is empty, or holds a space, a plus or what cannot be printed.
    """

    name: str
    public: bytes = field(repr=False)

    def __attrs_post_init__(self) -> None:
        # Of all spaces there are, only the plain one counts as printable.
        if not self.name or not self.name.isprintable() or set(self.name) & {" ", "+"}:
            raise InvalidValue("a key's name has no spaces, no plus and is not empty")

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature line names the key."""
        return _key_id(self.name, self.public)

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read `name+id+base64`, the form in which a key is given to others (a vkey).

        Raises:
            EvidenceDamaged: it is none, or not of Ed25519.
        """
        if text.startswith("PRIVATE+KEY+"):
            message = "this is the private key: give the public part, and this to nobody"
            raise EvidenceDamaged(message, finding="key")
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        raw = from64(encoded, "the key", length=1 + HASH)
        try:
            made = cls(name=name, public=raw[1:])
        except InvalidValue:
            raise EvidenceDamaged("the key has no proper name", finding="key") from None
        if raw[:1] != _ED25519 or made.id.hex() != key_id:
            raise EvidenceDamaged("the key is none of Ed25519, or mistyped", finding="key")
        return made

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{to64(_ED25519 + self.public)}"


# --- notes --------------------------------------------------------------------------


def sign(text: str, key: VerifierKey, private: Ed25519PrivateKey) -> bytes:
    """Return a note: the text, and a line with its signature."""
    signature = to64(key.id + private.sign(text.encode()))
    return f"{text}\n{_DASH}{key.name} {signature}\n".encode()


def opened(note: bytes, key: VerifierKey) -> str:
    """Return the text of a note that this key has signed. Signatures of other keys are passed over.

    Raises:
        EvidenceDamaged: it is no note.
        EvidenceForeign: the key has not signed it.
        EvidenceTampered: what stands there as the key's signature is none.
    """
    whole = text_from(note, LONGEST)
    text, blank, signatures = whole.rpartition("\n\n")
    if not blank or not signatures.endswith("\n"):
        raise EvidenceDamaged("the note has no signature lines, or is cut off", finding="note")
    lines = signatures[:-1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise EvidenceDamaged("the note has too many signatures", finding="too_long")
    text += "\n"
    first = text.count("\n") + 2
    mine = 0
    for number, line in enumerate(lines, first):
        where = f"line {number}"
        name, raw = _signature(line, where)
        if name == key.name and raw[:4] == key.id:
            _check(raw[4:], text, key, where)
            mine += 1
    if not mine:
        raise EvidenceForeign("the key has not signed this note", finding="other_key")
    return text


def _signature(line: str, where: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not name or "+" in name:
        raise EvidenceDamaged("this is no signature line", finding="note", where=where)
    raw = from64(encoded, where)
    if len(raw) < 5:
        raise EvidenceDamaged("this signature is cut off", finding="length", where=where)
    return name, raw


def _check(signature: bytes, text: str, key: VerifierKey, where: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(signature, text.encode())
    except (InvalidSignature, ValueError):
        message = "the signature does not fit the text: one of them was changed"
        raise EvidenceTampered(message, finding="signature", where=where) from None


# --- checkpoints --------------------------------------------------------------------


@frozen(kw_only=True)
class Checkpoint:
    """How far a log reaches, and the root over all of it, as signed at some time."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{to64(self.root)}\n"

    @classmethod
    def open(cls, note: bytes, key: VerifierKey, file: str = "") -> Checkpoint:
        """Read a checkpoint that this key has signed as the log of its name.

        `file` is where it comes from, where that has to be told.

        Raises:
            EvidenceDamaged, EvidenceForeign, EvidenceTampered: as for notes; or another log's.
        """
        try:
            return cls._read(note, key)
        except EvidenceError as error:
            raise (error.inside(file) if file else error) from None

    @classmethod
    def _read(cls, note: bytes, key: VerifierKey) -> Checkpoint:
        origin, *rest = opened(note, key)[:-1].split("\n")
        if origin != key.name:
            raise EvidenceForeign("it is about another log", finding="other_log", where="line 1")
        if len(rest) != 2:  # extension lines are not for a log whose monitors cannot read them
            raise EvidenceDamaged("a checkpoint has three lines", finding="checkpoint")
        size = size_from(rest[0], "line 2")
        return cls(origin=origin, size=size, root=from64(rest[1], "line 3", length=HASH))

"""The key that signs a log, and what it has signed.

Knows a key's file, and its memory beside it. Refuses to sign what does not extend what it signed
last (I12): the memory is written before a signature is let go, and one process at a time has both.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from abonent.audit.disk import flush, put, read
from abonent.audit.notes import LONGEST, Checkpoint, VerifierKey, from64, sign, to64
from abonent.audit.tree import HASH, is_consistent
from abonent.errors import (
    EvidenceDamaged,
    EvidenceTampered,
    EvidenceUnavailable,
    InvalidValue,
    KeyMaterialInvalid,
    KeyUnavailable,
)

_TITLE: Final = "PRIVATE+KEY"
_ED25519: Final = b"\x01"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def create_key(path: str | os.PathLike[str], name: str) -> VerifierKey:
    """Write a fresh key (mode 0600) for the log of this name; return its public part.

    The public part is written beside it, as `<path>.vkey`. The file holds, as that of other tools
    for signed notes, `PRIVATE+KEY+name+id+base64` of the type and the 32-byte seed (RFC 8032). An
    existing file is never touched.

    Raises:
        InvalidValue: the name has a space or a plus.
        KeyMaterialInvalid: the file exists, or cannot be written.
    """
    path = Path(path)
    seed = secrets.token_bytes(HASH)
    key = VerifierKey(name=name, public=_public(seed))
    line = f"{_TITLE}+{name}+{key.id.hex()}+{to64(_ED25519 + seed)}\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise KeyMaterialInvalid(f"cannot create the key file: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    put(path.with_name(path.name + ".vkey"), f"{key}\n".encode())
    flush([path.parent])
    return key


def _public(seed: bytes) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


class Signer:
    """A key's file, opened for this process alone, and the memory of what it signed last.

    The memory is the file `<key>.last` beside it: the last note that was signed.

    Raises:
        KeyUnavailable: there is no such file.
        KeyMaterialInvalid: others may read it, or it holds no key.
        EvidenceUnavailable: another process has it.
        EvidenceError: the memory is no checkpoint of this key.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        self.memory = path.with_name(path.name + ".last")
        self._file = _locked(path)
        try:
            self._private, self.key = _parsed(self._file)
            self.note = read(self.memory, LONGEST)
            self.last = None if self.note is None else self._remembered(self.note)
        except BaseException:
            self.close()
            raise

    def _remembered(self, note: bytes) -> Checkpoint:
        return Checkpoint.open(note, self.key, self.memory.name)

    def __repr__(self) -> str:
        return f"Signer({self.key.name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes have the key. Twice is allowed."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def sign(self, size: int, root: bytes, path: Sequence[bytes]) -> bytes:
        """Return the signed checkpoint; `path` shows that it extends the last one.

        Raises:
            EvidenceTampered: it does not. Nothing is signed.
            EvidenceUnavailable: the memory cannot be written. Nothing is signed.
        """
        if self._file < 0:
            raise InvalidValue("the signer was closed")
        made = Checkpoint(origin=self.key.name, size=size, root=root)
        if self.last is not None:
            if not is_consistent(self.last.size, self.last.root, size, root, path):
                message = f"this does not extend what was signed at size {self.last.size}"
                raise EvidenceTampered(message, finding="fork", where=f"size {size}")
            if size == self.last.size and self.note is not None:
                return self.note
        note = sign(made.text, self.key, self._private)
        put(self.memory, note, 0o600)
        flush([self.memory.parent])
        self.last, self.note = made, note
        return note


def read_key(path: str | os.PathLike[str]) -> VerifierKey:
    """Return the public part of a key's file, whoever has it now."""
    file = _opened(Path(path))
    try:
        return _parsed(file)[1]
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise KeyUnavailable(f"there is no key file {path.name}") from None
    except OSError as error:
        raise KeyMaterialInvalid(f"the key file cannot be read: {error.strerror}") from None


def _locked(path: Path) -> int:
    """Open a key's file and keep it from other processes for as long as it is open."""
    file = _opened(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        busy = isinstance(error, BlockingIOError)
        message = "another process has this key" if busy else "the key file cannot be locked"
        finding = "busy" if busy else "file"
        raise EvidenceUnavailable(message, finding=finding, where=path.name) from None
    return file


def _parsed(file: int) -> tuple[Ed25519PrivateKey, VerifierKey]:
    mode = os.fstat(file).st_mode
    if not stat.S_ISREG(mode) or mode & _OTHERS:
        raise KeyMaterialInvalid("the key file is none, or others may read it: chmod 600")
    text = os.pread(file, LONGEST, 0).decode("utf-8", "replace")
    head, _, line = text.removesuffix("\n").partition(f"{_TITLE}+")
    name, _, rest = line.partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        raw = from64(encoded, "the key file", length=1 + HASH)
        key = VerifierKey(name=name, public=_public(raw[1:]))
    except (EvidenceDamaged, InvalidValue):
        raise KeyMaterialInvalid("the key file holds no key of a log") from None
    if head or raw[:1] != _ED25519 or key.id.hex() != key_id:
        raise KeyMaterialInvalid("the key file holds no key of a log")
    return Ed25519PrivateKey.from_private_bytes(raw[1:]), key

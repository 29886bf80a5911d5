"""Proofs as files: text that can be sent by mail and checked without us.

Knows two formats: that of an entry (C2SP tlog-proof v1, whose `extra` line is the leaf), and that
of an extension (as a C2SP tlog-witness is asked). Refuses to judge what they prove.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import field, frozen

from abonent.audit.notes import from64, size_from, text_from, to64
from abonent.audit.tree import HASH, LONGEST_PATH
from abonent.errors import EvidenceDamaged

LONGEST: Final = 1 << 26
"""Bytes of a file of proofs."""
ENTRY: Final = "c2sp.org/tlog-proof@v1"
EXTENSION: Final = "old "


@frozen(kw_only=True)
class EntryProof:
    """That a leaf is in the log, at this index, below this checkpoint."""

    index: int
    leaf: bytes = field(repr=False)
    path: Sequence[bytes] = field(repr=False)
    note: bytes = field(repr=False)

    @property
    def text(self) -> bytes:
        """The proof as a file."""
        head = f"{ENTRY}\nextra {to64(self.leaf)}\nindex {self.index}\n"
        return head.encode() + _lines(self.path) + self.note


@frozen(kw_only=True)
class Extension:
    """That the log of this checkpoint extends what it was at size `old`."""

    old: int
    path: Sequence[bytes] = field(repr=False)
    note: bytes = field(repr=False)

    @property
    def text(self) -> bytes:
        """The proof as a file."""
        return f"{EXTENSION}{self.old}\n".encode() + _lines(self.path) + self.note


def _lines(path: Iterable[bytes]) -> bytes:
    return "".join([f"{to64(each)}\n" for each in path]).encode() + b"\n"


def entry_proofs(data: bytes) -> list[EntryProof]:
    """Read a file of one proof or several, one after the other.

    Raises:
        EvidenceDamaged: it is none.
    """
    text = text_from(data, LONGEST)
    begin = f"{ENTRY}\n"
    if not text.startswith(begin):
        raise EvidenceDamaged("this is no proof of an entry", finding="proof", where="line 1")
    proofs: list[EntryProof] = []
    line = 1
    for part in text.removeprefix(begin).split(f"\n{begin}"):
        whole = part if part.endswith("\n") else f"{part}\n"
        proofs.append(_entry_proof(whole, line))
        line += whole.count("\n") + 1
    if not text.endswith("\n"):
        raise EvidenceDamaged("the file is cut off", finding="proof", where="its end")
    return proofs


def _entry_proof(text: str, line: int) -> EntryProof:
    extra, _, rest = text.partition("\n")
    index, _, rest = rest.partition("\n")
    leaf = from64(_after("extra ", extra, line + 1), f"line {line + 1}")
    number = size_from(_after("index ", index, line + 2), f"line {line + 2}")
    path, note = _path_and_note(rest, line + 2)
    return EntryProof(index=number, leaf=leaf, path=path, note=note)


def extension(data: bytes) -> Extension:
    """Read such a file.

    Raises:
        EvidenceDamaged: it is none.
    """
    first, _, rest = text_from(data, LONGEST).partition("\n")
    old = size_from(_after(EXTENSION, first, 1), "line 1")
    path, note = _path_and_note(rest, 1)
    return Extension(old=old, path=path, note=note)


def _after(word: str, text: str, line: int) -> str:
    if not text.startswith(word):
        message = f"this line does not begin with '{word.strip()}'"
        raise EvidenceDamaged(message, finding="proof", where=f"line {line}")
    return text.removeprefix(word)


def _path_and_note(text: str, line: int) -> tuple[list[bytes], bytes]:
    path: list[bytes] = []
    while True:
        line += 1
        each, end, text = text.partition("\n")
        if not each and end:
            return path, text.encode()
        if len(path) == LONGEST_PATH or not end:
            message = "the proof has no end, or more hashes than any can have"
            raise EvidenceDamaged(message, finding="proof", where=f"line {line}")
        path.append(from64(each, f"line {line}", length=HASH))

"""What comes in: answers, line by line, from files that may be torn, repeated or not ours.

Knows how far each file was read, when it is whole, and where it goes then. Refuses to believe a
time that stands in a file or on it: an answer counts when it is taken up, by our clock.
"""

from __future__ import annotations

import os
import secrets
import stat
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from attrs import field, frozen

from abonent.core.events import Outcome
from abonent.errors import AbonentError, InvalidValue
from abonent.gateways.files.outbox import check_folder, fault
from abonent.ports import LateAnswer

_LONGEST_LINE: Final = 4_096
_LONGEST_ID: Final = 512
_MOST_ANSWERS: Final = 10_000
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_ANSWERS: Final = frozenset(each.value for each in Outcome if each is not Outcome.LATER)


@frozen(kw_only=True)
class Progress:
    """How far a file was read: which it is, up to which byte, and what stood there.

    `since` is when it last had something new, by the monotonic clock.
    """

    inode: int
    since: float
    offset: int = 0
    lines: int = 0
    unreadable: int = 0
    ended: bool = False


@frozen(kw_only=True)
class Taken:
    """Answers that were read, for `receive_many`. Give them back to `settle` with its results.

    `unreadable` lines said nothing; `torn` files are not whole yet, or not read to their end.
    """

    items: tuple[LateAnswer, ...]
    unreadable: int
    torn: int
    files: tuple[tuple[Path, Progress], ...] = field(repr=False)


@frozen(kw_only=True)
class Settled:
    """What became of the files: how many were removed, put aside, or will be read on."""

    removed: int
    put_aside: int
    kept: int


class Inbox:
    """Reads the answers of one operator.

    Args:
        folder: where its files arrive, as `answers-….jsonl`.
        aside: where those go that could not be read, for a person to look at.
        operator: whose answers they are.
        torn_after: seconds without anything new after which a file that is not whole is put aside.
    """

    def __init__(self, folder: Path, aside: Path, operator: str, *, torn_after: float) -> None:
        if torn_after <= 0:
            raise InvalidValue("a file has some time to become whole")
        self._folder = check_folder(folder)
        self._aside = check_folder(aside)
        self._operator = operator
        self._torn_after = torn_after
        self._known: dict[Path, Progress] = {}
        self._mutex = threading.Lock()

    def take(self) -> Taken:
        """Read what is there and was not read before, up to 10,000 answers.

        Raises:
            Unavailable, Misconfigured: the folder cannot be read.
        """
        items: list[LateAnswer] = []
        files: list[tuple[Path, Progress]] = []
        unreadable = torn = 0
        with self._mutex:
            try:
                paths = sorted(self._folder.glob("answers-*.jsonl"))
                # Of those that are gone, taken by another process perhaps, nothing is known.
                self._known = {path: self._known[path] for path in paths if path in self._known}
                for path in paths:
                    before = self._known.get(path)
                    read = self._read(path, before, items)
                    if read is None:
                        continue
                    known = before is not None and before.inode == read.inode
                    unreadable += read.unreadable
                    if known and before is not None:
                        unreadable -= before.unreadable
                    torn += not read.ended
                    files.append((path, read))
            except OSError as error:
                raise fault(error) from None
        return Taken(items=tuple(items), unreadable=unreadable, torn=torn, files=tuple(files))

    def settle(self, taken: Taken, results: Sequence[object]) -> Settled:
        """Remove the files whose answers were judged; keep those that are to be read on.

        Args:
            taken: from `take`.
            results: from `receive_many`, in the same order. If the store could not take one, all
                are read again; what comes again changes nothing.

        Raises:
            InvalidValue: not as many results as answers.
            Unavailable, Misconfigured: the folders cannot be used.
        """
        if len(results) != len(taken.items):
            raise InvalidValue("there is a result for each answer")
        if any(isinstance(each, AbonentError) and each.retryable for each in results):
            return Settled(removed=0, put_aside=0, kept=len(taken.files))
        removed = put_aside = kept = 0
        with self._mutex:
            try:
                for path, read in taken.files:
                    torn = time.monotonic() - read.since >= self._torn_after
                    if not (read.ended or torn):
                        self._known[path] = read
                        kept += 1
                    elif read.unreadable or not read.ended:
                        put_aside += self._put_aside(path, read)
                    else:
                        removed += self._remove(path, read)
            except OSError as error:
                raise fault(error) from None
        return Settled(removed=removed, put_aside=put_aside, kept=kept)

    def _put_aside(self, path: Path, read: Progress) -> bool:
        if not self._is_still(path, read):
            return False
        # A name that comes again must not hide what was put aside before.
        put = self._aside / f"{path.name}.{secrets.token_hex(4)}"
        path.rename(put)
        with suppress(PermissionError):  # where it belongs to whoever brought it
            put.chmod(0o600)
        return True

    def _remove(self, path: Path, read: Progress) -> bool:
        if not self._is_still(path, read):
            return False
        path.unlink(missing_ok=True)
        return True

    def _is_still(self, path: Path, read: Progress) -> bool:
        self._known.pop(path, None)
        try:
            return path.stat().st_ino == read.inode
        except FileNotFoundError:
            return False  # another process was quicker

    def _read(
        self, path: Path, before: Progress | None, items: list[LateAnswer]
    ) -> Progress | None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            if path.is_symlink() or not path.exists():
                return None  # nobody agreed on links; or another process took it
            raise
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            return None
        with os.fdopen(descriptor, "rb") as file:
            now = time.monotonic()
            if before is None or before.inode != status.st_ino:
                before = Progress(inode=status.st_ino, since=now)
            file.seek(before.offset)
            offset, lines, unreadable = before.offset, before.lines, before.unreadable
            ended = False
            while not ended and len(items) < _MOST_ANSWERS:
                line, length = _next_line(file)
                if not length:
                    break
                said = _said(line.removeprefix(_BYTE_ORDER_MARK) if offset == 0 else line)
                offset += length
                if isinstance(said, int):
                    # The end says how many lines there are, so that a file that lacks some in the
                    # middle is not taken for whole.
                    ended = True
                    unreadable += said != lines
                    continue
                lines += 1
                if said is None:
                    unreadable += 1
                else:
                    query_id, outcome = said
                    items.append(
                        LateAnswer(query_id=query_id, operator=self._operator, outcome=outcome)
                    )
        return Progress(
            inode=before.inode,
            since=now if offset > before.offset else before.since,
            offset=offset,
            lines=lines,
            unreadable=unreadable,
            ended=ended,
        )


def _next_line(file: Any) -> tuple[bytes, int]:
    """The next whole line, and its length; of one that is too long, nothing but the length."""
    line: bytes = file.readline(_LONGEST_LINE)
    length, last = len(line), line
    while last and not last.endswith(b"\n"):
        line, last = b"", file.readline(_LONGEST_LINE)
        length += len(last)
    # What has no end is still being written.
    return line, length if last else 0


def _said(line: bytes) -> tuple[str, Outcome] | int | None:
    """What a line says: an answer, or that so many lines were all; None if nothing."""
    try:
        said = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if said.keys() == {"end"}:
        count = said["end"]
        return count if type(count) is int and count >= 0 else None
    if said.keys() != {"id", "outcome"}:
        return None
    query_id, outcome = said["id"], said["outcome"]
    if not isinstance(query_id, str) or not 0 < len(query_id) <= _LONGEST_ID:
        return None
    if not isinstance(outcome, str) or outcome not in _ANSWERS:
        return None
    return query_id, Outcome(outcome)

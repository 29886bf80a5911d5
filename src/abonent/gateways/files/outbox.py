"""What goes out: lines that are on disk when they are promised, in files that appear whole.

Knows one open file for each kind, hidden and locked while it is written, and a rename that shows
it. Refuses to lose a line that was promised: what a process that died left is shown by the next.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from abonent.errors import AbonentError, InvalidValue, Misconfigured, Unavailable

_HIDDEN: Final = "."
_PART: Final = ".part"
_PASSING: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EINTR}
)


def fault(error: OSError) -> AbonentError:
    """Return what a failure of the file system means; it names no file."""
    name = errno.errorcode.get(error.errno or 0, "unknown")
    if error.errno in _PASSING:
        return Unavailable(f"the folder cannot be used now: {name}")
    return Misconfigured(f"the folder cannot be used: {name}")


def check_folder(path: Path) -> Path:
    """Return a folder that only its owner, and who shares its group, can look into.

    Raises:
        InvalidValue: it is none, or everybody can. Files with numbers are no business of others.
    """
    try:
        status = path.stat()
    except OSError:
        raise InvalidValue("a folder for files has to be there") from None
    if not path.is_dir() or status.st_mode & 0o007:
        raise InvalidValue("a folder for files is a folder, and closed to others (chmod o=)")
    return path


class _Part:
    """A file that is being written. `ids` are those it holds, so that none stands in it twice."""

    def __init__(self, path: Path, descriptor: int, began: float) -> None:
        self.path = path
        self.descriptor = descriptor
        self.began = began
        self.ids: set[str] = set()


class Outbox:
    """Collects lines of several kinds and shows them as files. Safe for threads.

    Args:
        folder: where the other side takes files from. What begins with a dot is not yet whole.
        kinds: the names with which files begin.
        most: how many lines a file takes.
        every: seconds after which a file that has begun is shown.
    """

    def __init__(self, folder: Path, kinds: tuple[str, ...], *, most: int, every: float) -> None:
        if most < 1 or every <= 0:
            raise InvalidValue("a batch takes at least one line, and some time")
        self._folder = check_folder(folder)
        self._kinds = kinds
        self._most = most
        self._every = every
        self._parts: dict[str, _Part] = {}
        self._mutex = threading.Lock()

    def put(self, kind: str, line_id: str, line: Mapping[str, str]) -> None:
        """Write a line, and return when it is on disk.

        Raises:
            Unavailable: no room, for example; nothing of the line counts.
            Misconfigured: the folder is not there, or not ours to write.
        """
        text = msgspec.json.encode(line) + b"\n"
        with self._mutex:
            try:
                part = self._parts.get(kind) or self._open(kind)
                if line_id in part.ids:
                    return
                self._append(part, text)
                part.ids.add(line_id)
                if len(part.ids) >= self._most:
                    self._show(kind)
            except OSError as error:
                raise fault(error) from None

    def show(self, *, all_of_them: bool = False) -> int:
        """Show the files whose time has come, and those that a dead process left; return how many.

        Raises:
            Unavailable, Misconfigured: as for `put`.
        """
        shown = 0
        with self._mutex:
            try:
                for kind, part in list(self._parts.items()):
                    if all_of_them or time.monotonic() - part.began >= self._every:
                        self._show(kind)
                        shown += 1
                return shown + self._adopt()
            except OSError as error:
                raise fault(error) from None

    def remove_older(self, kind: str, seconds: float) -> int:
        """Remove shown files of a kind that nobody took for so long; return how many."""
        removed = 0
        try:
            for path in self._folder.glob(f"{kind}-*.jsonl"):
                if time.time() - path.stat().st_mtime > seconds:
                    path.unlink(missing_ok=True)
                    removed += 1
        except OSError as error:
            raise fault(error) from None
        return removed

    def _open(self, kind: str) -> _Part:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = self._folder / f"{_HIDDEN}{kind}-{stamp}-{secrets.token_hex(6)}{_PART}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_APPEND
        descriptor = os.open(path, flags, 0o600)
        part = _Part(path, descriptor, time.monotonic())
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._sync_folder()
        except OSError:
            os.close(descriptor)
            raise
        self._parts[kind] = part
        return part

    def _append(self, part: _Part, text: bytes) -> None:
        before = os.fstat(part.descriptor).st_size
        try:
            written = os.write(part.descriptor, text)
            if written != len(text):
                raise OSError(errno.ENOSPC, "a line was written in part")
            os.fsync(part.descriptor)
        except OSError:
            os.ftruncate(part.descriptor, before)
            raise

    def _show(self, kind: str) -> None:
        part = self._parts[kind]
        part.path.rename(self._shown(part.path))
        del self._parts[kind]
        os.close(part.descriptor)
        self._sync_folder()

    def _shown(self, path: Path) -> Path:
        return self._folder / f"{path.name.removeprefix(_HIDDEN).removesuffix(_PART)}.jsonl"

    def _adopt(self) -> int:
        """Show what a process that died had begun: its whole lines; a torn one was not promised."""
        adopted = 0
        ours = {part.path for part in self._parts.values()}
        for kind in self._kinds:
            for path in sorted(self._folder.glob(f"{_HIDDEN}{kind}-*{_PART}")):
                if path not in ours:
                    adopted += self._take_over(path)
        return adopted

    def _take_over(self, path: Path) -> int:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return 0  # another process was quicker
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            os.ftruncate(descriptor, len(whole))
            os.fsync(descriptor)
            if not whole:
                path.unlink(missing_ok=True)
                return 0
            path.rename(self._shown(path))
            self._sync_folder()
        except (BlockingIOError, FileNotFoundError):
            return 0  # it is being written, or was shown meanwhile
        finally:
            os.close(descriptor)
        return 1

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

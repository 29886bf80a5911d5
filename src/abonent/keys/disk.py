"""The file in which keys stand: read, made, and replaced as a whole by one process at a time.

Knows modes, owners, locks, flushing and renaming. Refuses to know what is in it beyond a listing.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from abonent.errors import KeyFileBusy, KeyMaterialInvalid, KeyUnavailable
from abonent.keys.listing import Listing, parsed

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
"""What others may do with a file of keys: nothing."""
OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
"""What others may not do with a file of wrapped keys, which tell them nothing."""
_LONGEST: Final = 1 << 20
_PATIENCE: Final = 10.0
_PAUSE: Final = 0.02


@frozen
class KeyFile:
    """A file that holds a listing of one kind, and that nobody else may touch so far."""

    path: Path
    kind: str
    forbidden: int

    def read(self) -> Listing:
        """Return what it holds.

        Raises:
            KeyUnavailable: there is no such file.
            KeyMaterialInvalid: others may use it, it cannot be read, or it holds no keys.
        """
        file = self._open()
        try:
            return self._parsed(file)
        finally:
            os.close(file)

    def create(self, listing: Listing) -> None:
        """Write it, mode 0600. An existing file is never touched.

        Raises:
            KeyMaterialInvalid: it exists, or cannot be written; nothing is left of it.
        """
        try:
            self._write(self.path, listing, owner=None)
            _flush(self.path.parent)
        except OSError as error:
            raise KeyMaterialInvalid(f"cannot create the key file: {error.strerror}") from None

    def change(self, step: Callable[[Listing], Listing]) -> Listing:
        """Put what a step makes of its listing in its place; return it, once it lasts.

        Readers find the old file or the new one. Owner and mode stay as they are.

        Raises:
            KeyUnavailable, KeyMaterialInvalid: as for `read`; it cannot be written, and is as it
                was; or its folder cannot be flushed, and it is the new one.
            KeyFileBusy: another process has been changing it for ten seconds.
        """
        with self._locked() as file:
            before = self._parsed(file)
            after = step(before)
            if after != before:
                try:
                    self._replace(after, os.fstat(file))
                except OSError as error:
                    message = f"cannot change the key file: {error.strerror}"
                    raise KeyMaterialInvalid(message) from None
            return after

    def _replace(self, listing: Listing, old: os.stat_result) -> None:
        path = self.path.resolve()  # a link stays a link
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)  # left by who died: the lock is ours
        self._write(draft, listing, owner=old)
        try:
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        _flush(path.parent)

    def _write(self, path: Path, listing: Listing, owner: os.stat_result | None) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(file, "w", encoding="ascii") as stream:
                os.fchmod(file, 0o600 if owner is None else stat.S_IMODE(owner.st_mode))
                if owner is not None:
                    # Changed by root, it is still the service's own.
                    os.fchown(file, owner.st_uid, owner.st_gid)
                stream.write(listing.text(self.kind))
                stream.flush()
                os.fsync(file)
        except OSError:
            path.unlink(missing_ok=True)
            raise

    @contextmanager
    def _locked(self) -> Generator[int]:
        """Open the file that has the name, and keep it from others who change it."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            file = self._open()
            try:
                if self._is_ours(file):
                    yield file
                    return
            finally:
                os.close(file)
            if time.monotonic() > deadline:
                raise KeyFileBusy(f"another process is changing the key file {self.path.name}")
            time.sleep(_PAUSE)

    def _is_ours(self, file: int) -> bool:
        """Lock it; it has to be the one of that name still, and not one that was replaced."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(file), self.path.stat())
        except (BlockingIOError, FileNotFoundError):
            return False
        except OSError as error:
            message = f"cannot lock the key file: {error.strerror}"
            raise KeyMaterialInvalid(message) from None

    def _open(self) -> int:
        name = self.path.name
        try:
            # What is no file, such as a pipe nobody writes to, is not waited for.
            return os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        except FileNotFoundError:
            raise KeyUnavailable(f"there is no key file {name}") from None
        except OSError as error:
            message = f"the key file {name} cannot be read: {error.strerror}"
            raise KeyMaterialInvalid(message) from None

    def _parsed(self, file: int) -> Listing:
        name = self.path.name
        mode = os.fstat(file).st_mode
        if not stat.S_ISREG(mode):
            raise KeyMaterialInvalid(f"the key file {name} is no file")
        if mode & self.forbidden:
            raise KeyMaterialInvalid(f"others may use the key file {name}: chmod 600")
        try:
            text = os.pread(file, _LONGEST, 0).decode("ascii")
        except (OSError, UnicodeDecodeError):
            raise KeyMaterialInvalid(f"the key file {name} cannot be read") from None
        return parsed(text, self.kind, f"the key file {name}")


def _flush(folder: Path) -> None:
    """Flush a folder, so that the names in it last."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)

"""Files that are there as a whole or not at all.

Knows writing, flushing and renaming. Refuses to know what is in a file.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from abonent.errors import EvidenceDamaged, EvidenceUnavailable


@contextmanager
def reached(path: Path, name: str = "") -> Generator[None]:
    """Say by name that the system would not do something with a file.

    Raises:
        EvidenceUnavailable: in place of the system's error, whose text may name other paths.
    """
    try:
        yield
    except OSError as error:
        message = f"a file of the log cannot be used: {error.strerror}"
        raise EvidenceUnavailable(message, finding="file", where=name or path.name) from None


def read(path: Path, longest: int, name: str = "") -> bytes | None:
    """Return what is in a file, None where there is none. `name` is what it is called in errors.

    Raises:
        EvidenceDamaged: it is longer than that; no more of it is read.
        EvidenceUnavailable: it cannot be read, or is no file.
    """
    name = name or path.name
    with reached(path, name):
        if not path.exists():
            return None
        if not path.is_file():  # reading it might never end
            raise EvidenceUnavailable("this is no file", finding="file", where=name)
        with path.open("rb") as file:
            found = file.read(longest + 1)
    if len(found) > longest:
        message = f"the file is longer than {longest} bytes"
        raise EvidenceDamaged(message, finding="too_long", where=name)
    return found


def put(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put a file there, in place of the one that is. Its name lasts once its folder is flushed.

    Raises:
        EvidenceUnavailable: it cannot be written, or its name is that of a device or a link.
    """
    draft = path.with_name(f".{path.name}.draft")
    with reached(path):
        if path.is_symlink() or (path.exists() and not path.is_file()):  # /dev/stdout is both
            raise EvidenceUnavailable("this is no file", finding="file", where=path.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)  # left by who died, perhaps readable by others
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)


def flush(folders: Iterable[Path]) -> None:
    """Flush folders, so that the names in them last."""
    for each in folders:
        with reached(each):
            descriptor = os.open(each, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

"""Lines of a routing file: their encoding, their numbering, and what becomes of a bad one.

Knows bytes, columns and line numbers. Refuses to know what a column means, and to quote a line: a
line may hold a subscriber's number, so a reason names the place and never the text (I9).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal, TypeAlias

from attrs import frozen

from abonent.errors import InvalidValue, NumberingPlanError

OnError: TypeAlias = Literal["raise", "skip"]

_BOM: Final = "\ufeff"


@frozen(kw_only=True)
class RejectedLine:
    """A line that was left out, counted from 1, and why. It never holds what stands there."""

    file: str
    line: int
    reason: str


class Rejections:
    """What becomes of the bad lines of one file: the first is raised, or all are listed."""

    __slots__ = ("_on_error", "file", "lines")

    def __init__(self, file: str, on_error: OnError) -> None:
        if on_error not in ("raise", "skip"):
            raise InvalidValue("on_error is 'raise' or 'skip'")
        self.file = file
        self.lines: list[RejectedLine] = []
        self._on_error = on_error

    def reject(self, line: int, reason: str) -> None:
        """Leave a line out, or raise if bad lines are not to be left out."""
        if self._on_error == "raise":
            raise self.error(line, reason)
        self.lines.append(RejectedLine(file=self.file, line=line, reason=reason))

    def error(self, line: int | None, reason: str) -> NumberingPlanError:
        """Return the error to raise where leaving out one line does not help."""
        place = self.file if line is None else f"{self.file}, line {line}"
        return NumberingPlanError(f"{place}: {reason}", file=self.file, line=line)


@contextmanager
def opened(path: Path) -> Generator[Iterator[str | None]]:
    """Open a file for reading by lines; None stands for a line that cannot be decoded.

    Raises:
        NumberingPlanError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield _decoded(file)
    except OSError as error:
        # Without strerror there is only the type to tell; the path is the caller's own.
        message = f"{path}: cannot be read: {error.strerror or type(error).__name__}"
        raise NumberingPlanError(message, file=str(path)) from None


def _decoded(lines: Iterable[bytes]) -> Iterator[str | None]:
    """Decode by the first line that is not plain ASCII: UTF-8 if it reads as such, else cp1251.

    Judging each line by itself would turn a damaged UTF-8 name into another name in silence.
    """
    encoding: str | None = None
    for line in lines:
        if encoding is None and not line.isascii():
            encoding = "utf-8" if _decodes(line, "utf-8") else "cp1251"
        try:
            yield line.decode(encoding or "ascii")
        except UnicodeDecodeError:
            yield None


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def rows(lines: Iterable[str | None], rejections: Rejections) -> Iterator[tuple[int, list[str]]]:
    """Return line number and columns of each line that has any.

    A byte order mark, empty lines and comments (`#`) before the first row are passed over.
    """
    leading = True
    for number, line in enumerate(lines, 1):
        if line is None:
            rejections.reject(number, "bytes that are not in the encoding of the file")
            continue
        text = line.removeprefix(_BOM).strip() if number == 1 else line.strip()
        if not text or (leading and text[0] == "#"):
            continue
        leading = False
        yield number, text.split(";")

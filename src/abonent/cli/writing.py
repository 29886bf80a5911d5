"""Writing a page to a file: whether it can be drawn and written, before any work is done for it.

Knows paths and the extra that draws. Refuses to know what any page says.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from abonent.errors import CallerError


class ReportUnwritable(CallerError):
    """A path at which the report cannot be written."""

    code = "REPORT_PATH"
    remedy = "Give a path in a folder that exists and can be written to."


NEEDED = "a report needs matplotlib: pip install 'abonent[report]'"
"""What is said where nothing can be drawn."""


def can_draw() -> bool:
    """Tell whether the extra `report` is installed; nothing of it is imported."""
    return find_spec("matplotlib") is not None


def check_writable(path: Path) -> None:
    """Open the file of a report as it will be opened, and leave everything as it was.

    Raises:
        ReportUnwritable: it cannot be opened for writing.
    """
    try:
        new = not path.exists()
        with path.open("ab"):
            pass
        if new:
            path.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None


def write_page(path: Path, make: Callable[[], str]) -> None:
    """Draw a page and write it; one that was there is replaced.

    Raises:
        ReportUnwritable: the file cannot be written any more.
    """
    # On its first run anywhere, matplotlib would tell standard error about a cache of fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    text = make()
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> ReportUnwritable:
    return ReportUnwritable(f"cannot write {path.name or path}: {error.strerror}")

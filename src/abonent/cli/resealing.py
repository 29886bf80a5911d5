"""A pass over a store that moves what is sealed under older keys to the current one.

Knows pages, pauses and a progress bar. Refuses to know what is resealed, and to keep anything that
a process that is killed would need: the pass that comes after finds what is left by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from attrs import frozen
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from abonent.errors import AbonentError

if TYPE_CHECKING:
    from abonent.engine.resealing import Resealed
    from abonent.identifier import Identifier

PAGE: Final = 500
"""Records a page: that many are read, and those under older keys written, at a time."""
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before a page that failed is tried again."""
_log: Final = logging.getLogger("abonent")


@frozen(kw_only=True)
class Pass:
    """What a pass did: records it saw, those it resealed, and those that cannot be moved yet."""

    seen: int
    resealed: int
    waiting: int


def reseal(identifier: Identifier, tell: Callable[[int], object]) -> Pass:
    """Go through the store once; `tell` hears after each page how many records were seen.

    A page that fails in a way that trying again may mend is tried six times, at growing pauses.

    Raises:
        AbonentError: any other failure, or the sixth. What was resealed stays so.
    """
    seen = resealed = waiting = 0
    cursor: bytes | None = b""
    while cursor is not None:
        page = _patiently(identifier, cursor)
        seen += page.seen
        resealed += page.resealed
        waiting += page.waiting
        cursor = page.cursor
        tell(seen)
    return Pass(seen=seen, resealed=resealed, waiting=waiting)


def _patiently(identifier: Identifier, after: bytes) -> Resealed:
    for pause in _PAUSES:
        try:
            return identifier.reseal(after=after, limit=PAGE)
        except AbonentError as error:
            if not error.retryable:
                raise
            _log.warning("abonent.reseal_failed cause=%s pause=%.1f", error.code, pause)
            time.sleep(pause)
    return identifier.reseal(after=after, limit=PAGE)


@contextmanager
def shown(identifier: Identifier) -> Generator[Callable[[int], object]]:
    """Show records as a bar on standard error; where that is no terminal, nothing is counted."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    total = sum(each.records for each in identifier.key_uses())
    columns = (TextColumn("records"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("records", total=total)
        yield lambda seen: bars.update(task, completed=seen, total=max(seen, total))

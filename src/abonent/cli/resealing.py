"""Passes over a store that move what is sealed under older keys to the current one.

Knows pages, pauses and a progress bar. Refuses to know what is resealed, and to keep anything that
a process that is killed would need: the pass that comes after finds what is left by itself.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from attrs import evolve, frozen
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from abonent.errors import AbonentError

if TYPE_CHECKING:
    from abonent.engine.resealing import Resealed
    from abonent.identifier import Identifier

PAGE: Final = 500
"""Records a page: that many are read, and those under older keys written, at a time."""
_PASSES: Final = 3
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds to wait before a page that failed is tried again."""
_log: Final = logging.getLogger("abonent")


@frozen(kw_only=True)
class Done:
    """What was done: records of the last pass, resealed in all, and what cannot be moved yet."""

    seen: int
    resealed: int
    waiting: int


def reseal(identifier: Identifier, tell: Callable[[int], object]) -> Done:
    """Go through the store until a pass finds nothing to move, or only what has to wait.

    That last pass is what shows that nothing leads to an older key. Where other processes go on
    sealing under one, there is no such pass, and the third is the last. `tell` hears after each
    page how many records the pass has seen.

    Raises:
        AbonentError: a page failed. What was resealed stays so.
    """
    resealed = passes = 0
    while True:
        done = _whole_pass(identifier, tell)
        resealed += done.resealed
        passes += 1
        if not done.resealed or done.waiting or passes == _PASSES:
            return evolve(done, resealed=resealed)


def _whole_pass(identifier: Identifier, tell: Callable[[int], object]) -> Done:
    seen = resealed = waiting = 0
    cursor: bytes | None = b""
    while cursor is not None:
        page = _patiently(identifier, cursor)
        seen += page.seen
        resealed += page.resealed
        waiting += page.waiting
        cursor = page.cursor
        tell(seen)
    return Done(seen=seen, resealed=resealed, waiting=waiting)


def _patiently(identifier: Identifier, after: bytes) -> Resealed:
    """Reseal a page; a failure that trying again may mend is one only at the sixth try."""
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

"""A process that sweeps: it settles deadlines and tries what is owed until it is told to stop.

Knows signals, pauses and what to do when a sweep fails. Refuses to know what is swept: it is given
a function that makes an `Identifier`.
"""

from __future__ import annotations

import importlib
import logging
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from abonent.errors import AbonentError, InvalidValue
from abonent.identifier import Identifier

LIMIT: Final = 1_000
"""Records a sweep: a worker that is told to stop is done with these first."""
_LONGEST_PAUSE: Final = 30.0
log: Final = logging.getLogger("abonent")


def found(target: str) -> Callable[[], Identifier]:
    """Return the function that a target, `module:function`, names.

    Raises:
        InvalidValue: there is none.
    """
    make: Callable[[], Identifier] = function_of(target)
    return make


def function_of(target: str) -> Callable[[], Any]:
    """Return the function that a target names, whatever it makes; errors as for `found`."""
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise InvalidValue("the target is module:function, such as service.main:make_identifier")
    sys.path.insert(0, "")  # as `python -m` does
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise InvalidValue(f"there is no module {error.name}") from None
    make: Callable[[], Any] | None = getattr(module, name, None)
    if not callable(make):
        raise InvalidValue(f"module {module_name} has no function {name}")
    return make


class Worker:
    """Sweeps again and again. `every` is the pause, in seconds, once nothing more is due.

    `told` is where a word to stop comes: a queue, because a signal may strike while its thread
    waits there.
    """

    def __init__(
        self,
        identifier: Identifier,
        *,
        every: float,
        alive: Path | None = None,
        told: SimpleQueue[None] | None = None,
    ) -> None:
        self._identifier = identifier
        self._every = every
        self._alive = alive
        self._told: SimpleQueue[None] = SimpleQueue() if told is None else told
        self.swept = self.failed = 0

    def stop(self) -> None:
        """End after the sweep that runs now."""
        self._told.put(None)

    def run(self, *, once: bool = False) -> None:
        """Sweep until stopped; `once`: until nothing more is due.

        Raises:
            AbonentError: a sweep failed in a way that trying again does not mend; `once`: in any.
        """
        pause = 0.0
        while not self._stopped(pause):
            self._turn()
            try:
                report = self._identifier.sweep(limit=LIMIT)
            except AbonentError as error:
                if once or not error.retryable:
                    raise
                pause = min(max(2 * pause, self._every), _LONGEST_PAUSE)
                log.warning("abonent.sweep_failed cause=%s pause=%.1f", error.code, pause)
                continue
            self.swept += report.due
            self.failed += report.failed
            if report.due:
                log.info(
                    "abonent.swept due=%d tried=%d failed=%d",
                    *(report.due, report.tried, report.failed),
                )
            more = report.due >= LIMIT
            if once and not more:
                return
            # Where records fail, the next ones may too: their leases are not taken all at once.
            pause = 0.0 if more and (once or not report.failed) else self._every

    def _stopped(self, pause: float) -> bool:
        try:
            self._told.get(timeout=pause) if pause else self._told.get_nowait()
        except Empty:
            return False
        return True

    def _turn(self) -> None:
        """Show that the loop turns. That it cannot be shown is no reason to stop."""
        try:
            if self._alive is not None:
                self._alive.touch()
        except OSError as error:
            log.warning("abonent.alive_not_touched cause=%s", type(error).__name__)


@contextmanager
def told_to_stop() -> Generator[SimpleQueue[None]]:
    """Let SIGTERM and SIGINT be heard in a queue; a second one ends the process at once."""
    told: SimpleQueue[None] = SimpleQueue()

    def stop(number: int, _: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        told.put(None)

    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    for each in before:
        signal.signal(each, stop)
    try:
        yield told
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def work(target: str, *, every: float, once: bool, alive: Path | None) -> Worker:
    """Make the identifier, sweep, and close it; return the worker that has done so."""
    with told_to_stop() as told, found(target)() as identifier:
        worker = Worker(identifier, every=every, alive=alive, told=told)
        worker.run(once=once)
    return worker

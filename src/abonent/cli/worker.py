"""A process that sweeps: it settles deadlines and tries what is owed until it is told to stop.

Knows signals, pauses and what to do when a sweep fails. Refuses to know what is swept: it is given
a function that makes an `Identifier`.
"""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from abonent.errors import AbonentError, InvalidValue
from abonent.identifier import Identifier

LIMIT: Final = 1_000
"""Records a sweep: a worker that is told to stop is done with these first."""
_LONGEST_PAUSE: Final = 30.0
log = logging.getLogger("abonent.worker")


def found(target: str) -> Callable[[], Identifier]:
    """Return the function that a target, `module:function`, names.

    Raises:
        InvalidValue: there is none.
    """
    module_name, _, name = target.partition(":")
    if not module_name or not name:
        raise InvalidValue("the target is module:function, such as service.main:make_identifier")
    sys.path.insert(0, "")  # as `python -m` does
    try:
        module: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise InvalidValue(f"there is no module {error.name}") from None
    make: Any = getattr(module, name, None)
    if not callable(make):
        raise InvalidValue(f"module {module_name} has no function {name}")
    return make  # type: ignore[no-any-return]


class Worker:
    """Sweeps again and again. `every` is the pause, in seconds, once nothing more is due."""

    def __init__(self, identifier: Identifier, *, every: float, alive: Path | None = None) -> None:
        self._identifier = identifier
        self._every = every
        self._alive = alive
        self._over = threading.Event()
        self.swept = 0

    def stop(self) -> None:
        """End after the sweep that runs now."""
        self._over.set()

    def run(self, *, once: bool = False) -> None:
        """Sweep until stopped; `once`: until nothing more is due.

        Raises:
            AbonentError: a sweep failed in a way that trying again does not mend; `once`: in any.
        """
        pause = 0.0
        while not self._over.wait(pause):
            try:
                report = self._identifier.sweep(limit=LIMIT)
            except AbonentError as error:
                if once or not error.retryable:
                    raise
                pause = min(max(2 * pause, self._every), _LONGEST_PAUSE)
                log.warning("abonent.sweep_failed cause=%s pause=%.1f", error.code, pause)
                continue
            self.swept += report.due
            if report.due:
                log.info("abonent.swept due=%d tried=%d", report.due, report.tried)
            if self._alive is not None:
                self._alive.touch()
            pause = 0.0 if report.due >= LIMIT else self._every
            if once and pause:
                return


@contextmanager
def told_to_stop(worker: Worker) -> Generator[None]:
    """Let SIGTERM and SIGINT end the worker after its sweep; a second one ends it at once."""

    def stop(number: int, _: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        worker.stop()

    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    for each in before:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def work(target: str, *, every: float, once: bool, alive: Path | None) -> int:
    """Make the identifier, sweep, and close it; return how many records were swept."""
    with found(target)() as identifier:
        worker = Worker(identifier, every=every, alive=alive)
        with told_to_stop(worker):
            worker.run(once=once)
    return worker.swept

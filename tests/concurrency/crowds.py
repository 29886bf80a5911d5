"""Many callers at once, and a bound on every wait."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from abonent.errors import AbonentError

T = TypeVar("T")
BOUND = 30.0
"""Seconds after which something is said to hang."""


class Running:
    """A call in a thread of its own."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self.result: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:
            self.error = error

    def outcome(self) -> Any:
        """The result or the error; fails if there is none in time."""
        self.thread.join(BOUND)
        assert not self.thread.is_alive(), "a caller hangs"
        return self.result if self.error is None else self.error


def at_once(functions: Iterable[Callable[[], Any]]) -> list[Any]:
    """Call all at the same moment; return results and library errors, in order."""
    several = list(functions)
    together = threading.Barrier(len(several), timeout=BOUND)

    def call(function: Callable[[], Any]) -> Any:
        together.wait()
        return function()

    running = [Running(lambda each=each: call(each)) for each in several]
    outcomes = [each.outcome() for each in running]
    for each in outcomes:
        if isinstance(each, BaseException) and not isinstance(each, AbonentError):
            raise each
    return outcomes


def until(truth: Callable[[], object]) -> None:
    """Wait until something is so; fail if it is not in time."""
    pause = threading.Event()
    for _ in range(int(BOUND * 200)):
        if truth():
            return
        pause.wait(0.005)
    raise AssertionError("it never came true")


class Held:
    """A store whose commits can be held up, and looked at."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()
        self.batches: list[tuple[int, list[bool]]] = []
        self.before: Callable[[list[Any]], object] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, units: list[Any]) -> list[bool]:
        self.entered.set()
        assert self.free.wait(BOUND)
        before, self.before = self.before, None
        if before is not None:
            before(units)
        applied = self._inner.commit(units)
        self.batches.append((len(units), list(applied)))
        return list(applied)

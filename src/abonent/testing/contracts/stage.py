"""The stage: an adapter under test, and what moves the other side of its link.

Knows what an integrator has to tell of their test server, the same for every port. Refuses to
know which port it is, and to wait for ever.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, Generic, TypeVar

import pytest
from attrs import frozen

from abonent.core.states import EffectKind
from abonent.simulation import Reply

A_co = TypeVar("A_co", covariant=True)

SHOWABLE: Final = frozenset(Reply) - {Reply.SILENCE}
"""What the other side may be told to show. Silence after a *later* looks like *later* from here."""


@frozen(kw_only=True)
class Heard:
    """Something that reached the other side, or the user behind it.

    `id` is the idempotency id as it arrived, `number` is in E.164, `code` is an identification
    code, or the one-time code that the user got. Where something has none of these, it is "".
    """

    kind: EffectKind
    id: str
    number: str = ""
    code: str = ""


def _nothing(reply: Reply) -> None:
    """Tell nobody: there is no other side."""


@frozen(kw_only=True)
class Stage(Generic[A_co]):
    """An adapter, and the handle to its other side: your test server, or a fake.

    Attributes:
        adapter: the adapter under test, ready to be called.
        tell: have the other side show something from now on, to whatever calls; at first, and
            when told `Reply.HELD`, it does what it is for.
        shows: what it can be told to show. Tests of anything else are skipped, by name.
        heard: what it counts as having happened since the stage was set up, in order. What came
            again under one id counts once, as the other side owes an idempotency id.
        patience: seconds after which a call that has not come back counts as hanging. Take more
            than your adapter's own time limits together.
    """

    adapter: A_co
    tell: Callable[[Reply], object] = _nothing
    shows: frozenset[Reply] = SHOWABLE
    heard: Callable[[], Iterable[Heard]] = tuple
    patience: float = 5.0


# --- calling an adapter as the library does, but never for ever ---------------------


class Calls:
    """Calls an adapter from threads, and gives up on a call that does not come back."""

    def __init__(self, patience: float) -> None:
        self._patience = patience

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call, and return or raise what comes of it."""
        return self.result(self.begin(function, *arguments))

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Begin a call in a thread of its own."""
        future: Future[Any] = Future()

        def run() -> None:
            try:
                outcome = self._outcome(function, arguments)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(outcome)

        threading.Thread(target=run, daemon=True).start()
        return future

    def result(self, future: Future[Any]) -> Any:
        """Return or raise what came of a call."""
        try:
            return future.result(timeout=self._patience)
        except TimeoutError:
            if future.done():
                raise  # the adapter's own
        return pytest.fail(f"the call has not come back after {self._patience} s", pytrace=False)

    def _outcome(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        outcome = function(*arguments)
        if inspect.iscoroutine(outcome) or inspect.isgenerator(outcome):
            outcome.close()
            _fail(function, "returns before its work is done: what it gives has to be awaited")
        return outcome


class AsyncCalls(Calls):
    """The same for coroutines, in an event loop that runs beside the test."""

    def __init__(self, patience: float, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(patience)
        self._loop = loop

    def begin(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Begin a call in the loop."""

        async def run() -> Any:
            outcome = function(*arguments)
            if not inspect.isawaitable(outcome):
                _fail(function, "has nothing to await: it is not a coroutine function")
            return await outcome

        return asyncio.run_coroutine_threadsafe(run(), self._loop)


def _fail(function: Callable[..., Any], what: str) -> None:
    pytest.fail(f"{getattr(function, '__name__', 'the call')} {what}", pytrace=False)


@contextmanager
def running_loop() -> Generator[asyncio.AbstractEventLoop, None, None]:
    """An event loop in a thread. One that is blocked at the end is left behind."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    try:
        asyncio.run_coroutine_threadsafe(_cancel_others(), loop).result(timeout=1)
    except TimeoutError:
        return
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)

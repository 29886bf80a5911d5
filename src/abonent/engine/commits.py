"""Group commit: concurrent callers share one flush.

Knows who waits and who works: whoever finds nobody at work does the work of all who wait, then
hands over. Refuses to know what the work is. An outcome that nobody waits for is posted, and rides
with the next flush, or with one of its own a moment later.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from abonent.errors import AbonentError, IdentifierClosed, StoreUnavailable, UsedAfterFork

MOST: Final = 512
"""Tasks that one flush takes."""


class Task:
    """One step for the batch: the rows it will look at, what to do there, and how it ended.

    `aliases` are those whose owners it will ask for.
    """

    __slots__ = ("aliases", "done", "error", "keys", "leads", "notify", "result", "wake", "work")

    def __init__(
        self,
        keys: tuple[bytes, ...],
        work: Callable[[Any], Any],
        aliases: tuple[bytes, ...] = (),
    ) -> None:
        self.keys = keys
        self.aliases = aliases
        self.work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.done = False
        self.leads = False
        """Whether the waiting thread was woken to lead."""
        self.wake: threading.Lock | None = None
        """Held while a thread waits for this task."""
        self.notify: Callable[[], object] | None = None
        """Called when done, for a task that no thread waits for."""

    def outcome(self) -> Any:
        """Return the result, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.result


class GroupCommit:
    """Collects tasks and has `process` settle them, batch by batch, by one thread at a time.

    `process` sets `result` or `error` of every task it is given. `linger` is how many seconds a
    posted outcome may wait for somebody's flush; None: until somebody comes.
    """

    def __init__(
        self, process: Callable[[Sequence[Task]], None], *, linger: float | None = 0.2
    ) -> None:
        self._process = process
        self._linger = linger
        self._mutex = threading.Lock()
        self._queue: deque[Task] = deque()
        self._busy = False
        self._closed = False
        self._pid = os.getpid()
        self._posted = threading.Event()
        self._idler: threading.Thread | None = None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def waiting(self) -> bool:
        """Whether something was left for the next flush, or is being settled now."""
        return bool(self._queue) or self._busy

    def check(self) -> None:
        """Refuse use after closing or after a fork, whose child has none of our threads."""
        if self._closed:
            raise IdentifierClosed("this identifier was closed")
        if self._pid != os.getpid():
            raise UsedAfterFork("this identifier was built before a fork")

    def submit(self, task: Task) -> Any:
        """Have a task settled and return its result."""
        self.check()
        with self._mutex:
            self._queue.append(task)
            leads = not self._busy
            if leads:
                self._busy = True
            else:
                task.wake = threading.Lock()
                task.wake.acquire()
        if not leads:
            self._await(task)
        if not task.done:
            self._lead(task)
        return task.outcome()

    def _await(self, task: Task) -> None:
        """Wait until the task is done or its thread is to lead."""
        if task.wake is None:
            return
        try:
            task.wake.acquire()
        except BaseException:  # Ctrl-C: nobody waits for the task any more, but it stands
            with self._mutex:
                task.wake = None
            if task.leads and not task.done:
                self._lead(None)
            raise

    def submit_all(self, tasks: Sequence[Task]) -> None:
        """Have several tasks settled together; look at each for its outcome."""
        if not tasks:
            return
        *first, last = tasks
        self.check()
        with self._mutex:
            self._queue.extend(first)
        with suppress(AbonentError):  # kept in the task, like those of the others
            self.submit(last)

    def post(self, task: Task) -> None:
        """Leave a task that nobody waits for; it rides with the next flush."""
        self.check()
        with self._mutex:
            self._queue.append(task)
            if self._linger is None:
                return
            if self._idler is None:
                self._idler = threading.Thread(
                    target=self._idle, args=(self._linger,), name="abonent-flush", daemon=True
                )
                self._idler.start()
        if not self._posted.is_set():
            self._posted.set()

    def enqueue(self, task: Task) -> bool:
        """Leave a task with a `notify`; True asks the caller to have some thread call `lead`."""
        self.check()
        with self._mutex:
            self._queue.append(task)
            leads = not self._busy
            if leads:
                self._busy = True
            return leads

    def lead(self) -> None:
        """Work until nobody waits. Only for who was asked to by `enqueue`."""
        self._lead(None)

    def flush(self) -> None:
        """Settle what is posted now."""
        if self.waiting:
            self.submit(Task((), _nothing))

    def close(self) -> None:
        """Settle what is left, then refuse further tasks. Closing twice is allowed."""
        if self._closed or self._pid != os.getpid():
            return
        try:
            self.flush()
        finally:  # also where the store is out of reach: what is owed stands in it
            self._closed = True
            self._posted.set()

    def _lead(self, own: Task | None) -> None:
        while True:
            with self._mutex:
                queue = self._queue
                batch = [queue.popleft() for _ in range(min(len(queue), MOST))]
            try:
                self._process(batch)
            except BaseException as error:
                for each in batch:
                    # An interrupt is for the thread that it struck; the others cannot know.
                    mine = own in (each, None) or isinstance(error, Exception)
                    each.error = error if mine else StoreUnavailable("the writer was interrupted")
            finally:
                for each in batch:
                    each.done = True
                    wake = each.wake  # an interrupted waiter takes it away
                    if wake is not None and each is not own:
                        wake.release()
                    elif each.notify is not None:
                        with suppress(RuntimeError):  # its event loop was closed meanwhile
                            each.notify()
            if self._hand_over(own):
                return

    def _hand_over(self, own: Task | None) -> bool:
        """End our turn if we may: to a waiting thread, or because nobody waits any more."""
        if own is not None and not own.done:
            return False
        with self._mutex:
            for each in self._queue:
                if each.wake is not None:
                    each.leads = True
                    each.wake.release()
                    return True
                if each.notify is not None:
                    return False
            self._busy = False
            return True

    def _idle(self, linger: float) -> None:
        while not self.closed and self._posted.wait():
            time.sleep(linger)
            self._posted.clear()
            # If the store is out of reach, the outcome is lost, not the debt: its lease runs out
            # and it is performed again under the same id.
            with suppress(AbonentError):
                self.flush()


def _nothing(_: Any) -> None:
    return None

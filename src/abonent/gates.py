"""Gates answered from memory, for every message, no older than was agreed.

Knows how to follow the journal and when it may not answer. Refuses to open an entry: whoever
the journal names is dropped here and read again when they are next asked for.

1. Every commit that changes a user appends to the journal of the subject that they were, also where
   they are forgotten. So what is kept is right as of `fresh`, when the journal was last followed.
2. Once `fresh` is older than the agreed staleness, every gate is closed.
3. What closes at an instant closes by itself.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Final, Self

from abonent.core.owed import CANNOT_SAY, UNKNOWN_USER, Gate, gate
from abonent.core.parties import check_user_id
from abonent.core.states import Reason
from abonent.engine.archive import Archive, subject_alias
from abonent.engine.observing import cause_of
from abonent.errors import InvalidValue
from abonent.ports import Entry

_CHUNK: Final = 1_000
_REMEMBERED: Final = 10_000
_NEVER: Final = -1e18
_NO_ENTRY: Final = Entry(0, b"", 0, b"")
_LAPSED: Final = Gate(False, None, Reason.REIDENTIFICATION_DUE)
log: Final = logging.getLogger("abonent")


def _elapsed() -> float:
    """Seconds that no setting of a clock changes, and that pass while the machine sleeps."""
    return time.clock_gettime(_ELAPSING)


_ELAPSING: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class GateCache:
    """Answers `gate` from memory; made by `Identifier.gate_cache`.

    A user who is asked for the first time, or of whom something was heard, is read from the store.
    A thread follows the journal from the first question on, until `close`; or, `by_hand`, whoever
    calls `follow` does.
    """

    def __init__(
        self,
        archive: Archive,
        now: Callable[[], datetime],
        max_staleness: timedelta,
        max_users: int,
        *,
        monotonic: Callable[[], float] = _elapsed,
        by_hand: bool = False,
    ) -> None:
        if max_staleness <= timedelta(0):
            raise InvalidValue("the staleness is longer than nothing")
        if max_users < 1:
            raise InvalidValue("at least one user is kept")
        self._archive = archive
        self._now = now
        self._monotonic = monotonic
        self._staleness = max_staleness.total_seconds()
        self._max_users = max_users
        self._gates: dict[str, Gate] = {}
        self._keys: dict[str, tuple[bytes, ...]] = {}
        self._users: dict[bytes, str] = {}
        self._heard: deque[bytes] = deque(maxlen=_REMEMBERED)
        self._heard_of = 0
        self._fresh = _NEVER
        self._last: Entry | None = None
        self._lock = threading.Lock()
        self._following = threading.Lock()
        self._starting = threading.Lock()
        self._over = threading.Event()
        self._begun = False
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        if not by_hand:
            self._thread = threading.Thread(target=self._run, name="abonent-gates", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop following the journal; from then on every gate is closed. Twice is allowed.

        In a forked child they close by themselves, for want of the thread.
        """
        self._over.set()
        if os.getpid() != self._pid:
            return  # the parent's thread may have held any lock when this process was made
        with self._starting:
            self._begun = True
        if self._thread is not None and self._thread.ident is not None:
            self._thread.join()
        with self._following:
            self._fresh = _NEVER
        with self._lock:
            self._forget_all()

    @property
    def age(self) -> timedelta | None:
        """How long ago the journal was last followed to its end; None: not yet."""
        if self._fresh < 0:
            return None
        return timedelta(seconds=max(0.0, self._monotonic() - self._fresh))

    def gate(self, user_id: str) -> Gate:
        """Tell whether this user may transmit messages, as of at most the agreed staleness ago.

        Closed, with `Reason.CANNOT_SAY`, where that cannot be said (S32).
        """
        found = self.kept(user_id)
        return self.read(user_id) if found is None else found

    def kept(self, user_id: str) -> Gate | None:
        """Answer from memory; None if the store has to be asked, which `read` does."""
        if self._monotonic() - self._fresh > self._staleness:
            return CANNOT_SAY if self._begun else None
        found = self._gates.get(user_id)
        if found is None or found.until is None or self._now() <= found.until:
            return found
        return _LAPSED

    def read(self, user_id: str) -> Gate:
        """Answer from the store, and keep the answer if nothing was heard of the user meanwhile."""
        check_user_id(user_id)
        if os.getpid() != self._pid or not self._started():
            return CANNOT_SAY
        # Who is read before the journal is followed could be closed unheard.
        followed, heard_of = self._last is not None, self._heard_of
        try:
            held = self._archive.user(user_id)
        except Exception as error:  # whatever it is, the gate is closed (P21)
            log.error("abonent.gate_cannot_say cause=%s", cause_of(error))
            return CANNOT_SAY
        found = UNKNOWN_USER if held is None else gate(held.aggregate, self._now())
        # The subject, and whatever key the row stands under or will, if they are not known yet.
        keys = self._archive.keyring.user_tags(user_id)
        if held is not None:
            keys = (held.subject, *keys)
        with self._lock:
            lately = tuple(islice(reversed(self._heard), self._heard_of - heard_of))
            all_known = followed and len(lately) == self._heard_of - heard_of
            if all_known and not any(key in lately for key in keys):
                self._drop(user_id)
                while len(self._gates) >= self._max_users:
                    self._drop(next(iter(self._gates)))
                self._gates[user_id] = found
                self._keys[user_id] = keys
                self._users.update(dict.fromkeys(keys, user_id))
        return found

    def follow(self) -> None:
        """Follow the journal to its end, and drop whoever it names. The thread does that.

        Raises:
            StorageError: the store is out of reach; what was agreed runs out.
        """
        with self._following:
            began = self._monotonic()
            if self._last is None:
                self._begin_anew()
            self._follow()
            if not self._over.is_set():
                self._fresh = began

    # --- small parts of the above ----------------------------------------------------

    def _begin_anew(self) -> None:
        """Forget everybody, and follow from the present end."""
        end = self._end()
        page = self._archive.storage.journal(self._archive.space, end - 1, 1) if end else []
        with self._lock:
            self._forget_all()
            self._heard_of += _REMEMBERED + 1  # whoever is being read now was read too early
            self._last = page[0] if page else _NO_ENTRY

    def _follow(self) -> None:
        archive, full = self._archive, True
        while full and self._last is not None:
            # Begun with the last one that is known: a journal that was restored, or lost its end
            # with a server, has another in its place, and then nothing that is kept can be trusted.
            after = max(self._last.cursor - 1, 0)
            page = archive.storage.journal(archive.space, after, _CHUNK)
            full = len(page) == _CHUNK
            if self._last.cursor:
                if not page or page[0] != self._last:
                    self._begin_anew()
                    full = True
                    continue
                page = page[1:]
            if not page:
                break
            heard = sorted({entry.subject for entry in page})
            # Who is new has a subject that nobody here has heard of, and a row by now.
            new = [subject_alias(each) for each in heard if each not in self._users]
            owners = archive.storage.find(archive.space, new) if new else []
            heard += [key for found in owners for key in found]
            with self._lock:
                self._heard += heard
                self._heard_of += len(heard)
                for each in heard:
                    user_id = self._users.get(each)
                    if user_id is not None:
                        self._drop(user_id)
                self._last = page[-1]

    def _forget_all(self) -> None:
        for kept in (self._gates, self._keys, self._users):
            kept.clear()

    def _drop(self, user_id: str) -> None:
        self._gates.pop(user_id, None)
        for key in self._keys.pop(user_id, ()):
            self._users.pop(key, None)

    def _end(self) -> int:
        """The cursor of the last entry, found by halving: the port cannot be asked for it."""

        def beyond(cursor: int) -> bool:
            return bool(self._archive.storage.journal(self._archive.space, cursor, 1))

        low, high = 0, 1
        while beyond(high):
            low, high = high, high * 2
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if beyond(middle) else (low, middle)
        return high if low or beyond(0) else 0

    def _started(self) -> bool:
        """Have a thread that follows, and the journal followed once; False if that is over."""
        with self._starting:
            if not self._begun:
                self._try_to_follow()
                try:
                    if self._thread is not None:
                        self._thread.start()  # not before there is work
                except RuntimeError as error:  # no more threads can be had
                    log.warning("abonent.gates_not_followed cause=%s", cause_of(error))
                    return False
                self._begun = True
        return not self._over.is_set()

    def _run(self) -> None:
        while not self._over.wait(self._staleness / 4):
            self._try_to_follow()

    def _try_to_follow(self) -> None:
        try:
            self.follow()
        except Exception as error:
            # Whatever it is, the thread goes on: gates close by themselves meanwhile (P21).
            log.warning("abonent.gates_not_followed cause=%s", cause_of(error))

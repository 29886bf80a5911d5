"""Which sender is asked next.

Knows who failed, who took which message, and whose messages did not arrive. Refuses to call anyone,
and to know numbers: a number is a keyed hash, the key of which dies with the process.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from secrets import token_bytes
from typing import Final

from attrs import define

from abonent.core.numbers import SubscriberNumber
from abonent.possession.delivery import DeliveryState
from abonent.possession.lately import Lately

_MOST: Final = 100_000
"""Messages, and numbers, that are remembered."""


@define(kw_only=True)
class _Message:
    """Who took a message, to which number it goes, and whether it is known not to have arrived."""

    sender: str
    number: bytes
    failed: bool = False


@define
class _Avoided:
    until: datetime
    failures: int


class Rota:
    """The order of senders for each message. Safe for threads.

    `first` is how long a sender is avoided after a failure; it doubles with each further one, up
    to `longest`. `remembered` is how long it is known who took what.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        first: timedelta,
        longest: timedelta,
        remembered: timedelta,
    ) -> None:
        self._names = tuple(names)
        self._first = first
        self._longest = longest
        self._avoided: dict[str, _Avoided] = {}
        self._messages: Lately[str, _Message] = Lately(most=_MOST, kept=remembered)
        self._in_vain: Lately[bytes, tuple[str, ...]] = Lately(most=_MOST, kept=remembered)
        """Whose messages to a number have not come back, the last one last."""
        self._early: Lately[tuple[str, str], DeliveryState] = Lately(most=_MOST, kept=remembered)
        """Ends that were told before it was noted who took the message."""
        self._key = token_bytes(32)
        self._mutex = threading.Lock()

    def order(self, message_id: str, number: SubscriberNumber, now: datetime) -> tuple[str, ...]:
        """Return the names of the senders for a message, the first choice first.

        A message that was taken, and may have arrived, has one: who took it. For any other, those
        come first who are not being avoided; among them those whose last message to this number is
        longest ago, or came back; among them those who were given first.
        """
        with self._mutex:
            message = self._messages.get(message_id, now)
            if message is not None and not message.failed:
                return (message.sender,)
            in_vain = self._in_vain.get(self._hashed(number), now) or ()

            def rank(name: str) -> tuple[bool, int]:
                return self._is_avoided(name, now), in_vain.index(name) if name in in_vain else -1

            return tuple(sorted(self._names, key=rank))

    def took(self, message_id: str, number: SubscriberNumber, name: str, now: datetime) -> None:
        """Note that a sender took a message. Until it comes back it may not have arrived."""
        with self._mutex:
            self._avoided.pop(name, None)
            known = self._messages.get(message_id, now)
            if known is not None and not known.failed:
                return
            message = _Message(sender=name, number=self._hashed(number))
            self._messages.put(message_id, message, now)
            in_vain = self._in_vain.get(message.number, now) or ()
            others = tuple(each for each in in_vain if each != name)
            self._in_vain.put(message.number, (*others, name), now)
            early = self._early.get((message_id, name), now)
            if early is not None:
                self._note(message, early, now)

    def failed(self, name: str, now: datetime, retry_at: datetime | None) -> None:
        """Note that a sender could not take a message: it is avoided for a while.

        `retry_at` is from when it may be asked again, if it said so; the longest time holds.
        """
        with self._mutex:
            avoided = self._avoided.get(name)
            failures = 0 if avoided is None else avoided.failures
            until = now + min(self._longest, self._first * 2 ** min(failures, 20))
            if retry_at is not None:
                until = min(now + self._longest, max(until, retry_at))
            self._avoided[name] = _Avoided(until, failures + 1)

    def ended(self, message_id: str, name: str, state: DeliveryState, now: datetime) -> None:
        """Note how a sender's delivery of a message ended."""
        with self._mutex:
            message = self._messages.get(message_id, now)
            if message is not None and message.sender == name:
                self._note(message, state, now)
            elif state is DeliveryState.DELIVERED and message is not None:
                self._note(message, state, now)  # two had it, and the other one's came first
            else:
                self._early.put((message_id, name), state, now)

    def arrived(self, message_id: str, now: datetime) -> None:
        """Note that a message arrived: nobody is put last for this number any more."""
        with self._mutex:
            message = self._messages.get(message_id, now)
            if message is not None:
                self._note(message, DeliveryState.DELIVERED, now)

    def _note(self, message: _Message, state: DeliveryState, now: datetime) -> None:
        if state is DeliveryState.DELIVERED:
            self._in_vain.put(message.number, (), now)
        message.failed = state.failed

    def _is_avoided(self, name: str, now: datetime) -> bool:
        avoided = self._avoided.get(name)
        return avoided is not None and now < avoided.until

    def _hashed(self, number: SubscriberNumber) -> bytes:
        return blake2b(number.e164.encode(), key=self._key, digest_size=16).digest()

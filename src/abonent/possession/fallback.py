"""Several senders as one: where the first cannot, the next is asked.

Knows the order of a rota, the outcomes of a port, and what is told of them. Refuses to know how
any of the senders works.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from attrs import Attribute, field, frozen

from abonent.core.parties import check_id
from abonent.errors import AdapterError, AdapterFault, InvalidValue, Misconfigured, Unavailable
from abonent.ports import AsyncCodeSender, Clock, CodeMessage, CodeSender
from abonent.possession.delivery import DeliveryObserver, DeliveryState, TellsDelivery, tell
from abonent.possession.lately import time_of
from abonent.possession.rota import Rota

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Generator

S = TypeVar("S")
log: Final = logging.getLogger("abonent")
NAME: Final = "fallback"


@frozen(kw_only=True)
class SenderAlarm:
    """A sender that somebody has to look at; others may meanwhile send in its place.

    `cause` is the code of an error, or the type of what it raised against its port.
    """

    sender: str
    cause: str


def _longer_than_nothing(_: object, attribute: Attribute[timedelta], value: timedelta) -> None:
    if value <= timedelta(0):
        raise InvalidValue(f"FallbackTimes.{attribute.name} must be longer than nothing")


@frozen(kw_only=True)
class FallbackTimes:
    """How long senders are avoided and what they did is remembered.

    Raises:
        InvalidValue: one is not longer than nothing.
    """

    avoid_first: timedelta = field(default=timedelta(seconds=10), validator=_longer_than_nothing)
    """How long a sender is asked last after its first failure; it doubles with each further one."""
    avoid_longest: timedelta = field(default=timedelta(minutes=10), validator=_longer_than_nothing)
    """The longest such time."""
    within: timedelta = field(default=timedelta(seconds=20), validator=_longer_than_nothing)
    """After this time no further sender is asked. Take less than `Policy.lease`, by as much as one
    sender may take."""
    remembered: timedelta = field(default=timedelta(minutes=30), validator=_longer_than_nothing)
    """How long it is known who took what, of the last 100,000 messages."""


class Fallback(Generic[S]):
    """What `FallbackSender` and `AsyncFallbackSender` share, which is everything but `send`."""

    def __init__(
        self,
        senders: Mapping[str, S],
        alarm: Callable[[SenderAlarm], object] | None,
        clock: Clock | None,
        times: FallbackTimes,
    ) -> None:
        if not senders:
            raise InvalidValue("a fallback has at least one sender")
        for name in senders:
            check_id(None, None, name)
        self._senders = dict(senders)
        self._alarm = alarm
        self._now = time_of(clock)
        self._within = times.within
        self._observers: list[DeliveryObserver] = []
        self._rota = Rota(
            tuple(senders),
            first=times.avoid_first,
            longest=times.avoid_longest,
            remembered=times.remembered,
        )
        for name, sender in senders.items():
            if isinstance(sender, TellsDelivery):
                sender.watch(partial(self.ended, name))

    @property
    def test_double(self) -> bool:
        """A double among the senders makes this a double too (P12)."""
        return any(getattr(each, "test_double", False) for each in self._senders.values())

    def watch(self, observer: DeliveryObserver) -> None:
        """Have this called with the id and the final state of every message from now on."""
        self._observers.append(observer)

    def ended(self, sender: str, message_id: str, state: DeliveryState) -> None:
        """Take it from a sender, by name, how a message ended.

        Senders that have `watch` are watched from the start; for another, whatever hears from its
        provider calls this.
        """
        self._rota.ended(message_id, sender, state, self._now())
        tell(self._observers, message_id, state)

    def proven(self, message_id: str) -> None:
        """Take it from `OneTimeCodes` that the code of a message came back."""
        self._rota.arrived(message_id, self._now())

    def _order(self, message: CodeMessage, began: datetime) -> Iterable[tuple[str, S]]:
        """Give one sender after the other, as long as there is time to ask it."""
        for name in self._rota.order(message.id, message.number, began):
            yield name, self._senders[name]
            if self._now() - began >= self._within:
                return

    def _took(self, message: CodeMessage, name: str) -> None:
        self._rota.took(message.id, message.number, name, self._now())

    def _failed(self, name: str, error: Exception) -> Exception:
        retry_at = error.retry_at if isinstance(error, Unavailable) else None
        self._rota.failed(name, self._now(), retry_at)
        if isinstance(error, Unavailable):
            log.warning("abonent.sender_failed sender=%s cause=%s", name, error.code)
        else:
            cause = error.code if isinstance(error, AdapterError) else type(error).__name__
            self._raise_alarm(name, cause)
        return error

    def _raise_alarm(self, name: str, cause: str) -> None:
        log.error("abonent.sender_alarm sender=%s cause=%s", name, cause)
        if self._alarm is None:
            return
        try:
            self._alarm(SenderAlarm(sender=name, cause=cause))
        except Exception as error:
            log.error("abonent.alarm_hook_failed cause=%s", type(error).__name__)


def _most_useful(errors: list[Exception]) -> AdapterError:
    """Return what trying again may mend, if anything; otherwise what somebody has to mend."""
    later = [each for each in errors if isinstance(each, Unavailable)]
    if later:
        instants = [each.retry_at for each in later]
        known = [each for each in instants if each is not None]
        retry_at = min(known) if len(known) == len(instants) else None
        return Unavailable("no sender can take the message now", adapter=NAME, retry_at=retry_at)
    if any(isinstance(each, Misconfigured) for each in errors):
        return Misconfigured("every sender is refused", adapter=NAME)
    cause = type(errors[0]).__name__
    return AdapterFault("every sender broke its contract", adapter=NAME, cause_type=cause)


class FallbackSender(Fallback[CodeSender]):
    """A `CodeSender` over several others, by name, the first choice first. Safe for threads.

    Each is asked until one takes the message. One that fails is asked last for a while, which grows
    with every failure. A sender that answered too late may have sent all the same, so the user may
    get a code twice, the same one. A message that was taken is only ever handed to who took it,
    unless that tells that it did not arrive. Who took what is in memory only: after a restart, the
    repeat of a message begins with the first sender again.

    A new code for a number whose last one neither came back nor is known to have arrived is given
    to another sender first.

    Args:
        senders: each under an id for logs and alarms.
        alarm: told of a sender that is refused or broke its contract, each time it is asked and is.
        clock: tells the time; None for this machine's clock.
        times: how long a sender is avoided, and the like.

    Raises:
        InvalidValue: no sender, or a name that is no id.
    """

    def __init__(
        self,
        senders: Mapping[str, CodeSender],
        *,
        alarm: Callable[[SenderAlarm], object] | None = None,
        clock: Clock | None = None,
        times: FallbackTimes = FallbackTimes(),
    ) -> None:
        super().__init__(senders, alarm, clock, times)
        self._being_sent: set[str] = set()
        self._one_less = threading.Condition()

    def send(self, message: CodeMessage) -> None:
        """Have one of the senders take the message.

        Raises:
            Unavailable: none can now, and at least one may later.
            Misconfigured: none can before somebody has looked.
            AdapterFault: each of them broke its contract.
        """
        errors: list[Exception] = []
        with self._alone(message.id):
            for name, sender in self._order(message, self._now()):
                try:
                    sender.send(message)
                except Exception as error:
                    errors.append(self._failed(name, error))
                else:
                    return self._took(message, name)
        raise _most_useful(errors) from None

    @contextmanager
    def _alone(self, message_id: str) -> Generator[None]:
        """Two who send one message at once would not know that the other's sender took it."""
        with self._one_less:
            self._one_less.wait_for(lambda: message_id not in self._being_sent)
            self._being_sent.add(message_id)
        try:
            yield
        finally:
            with self._one_less:
                self._being_sent.discard(message_id)
                self._one_less.notify_all()


class AsyncFallbackSender(Fallback[AsyncCodeSender]):
    """`FallbackSender` for asyncio, over senders that are awaited. Use it in one event loop.

    Args, Raises: as for `FallbackSender`.
    """

    def __init__(
        self,
        senders: Mapping[str, AsyncCodeSender],
        *,
        alarm: Callable[[SenderAlarm], object] | None = None,
        clock: Clock | None = None,
        times: FallbackTimes = FallbackTimes(),
    ) -> None:
        super().__init__(senders, alarm, clock, times)
        self._being_sent: dict[str, asyncio.Event] = {}

    async def send(self, message: CodeMessage) -> None:
        """See `FallbackSender.send`."""
        errors: list[Exception] = []
        async with self._alone(message.id):
            for name, sender in self._order(message, self._now()):
                try:
                    await sender.send(message)
                except Exception as error:
                    errors.append(self._failed(name, error))
                else:
                    return self._took(message, name)
        raise _most_useful(errors) from None

    @asynccontextmanager
    async def _alone(self, message_id: str) -> AsyncGenerator[None]:
        while message_id in self._being_sent:
            await self._being_sent[message_id].wait()
        from asyncio import Event  # who uses threads never loads asyncio

        done = self._being_sent[message_id] = Event()
        try:
            yield
        finally:
            del self._being_sent[message_id]
            done.set()

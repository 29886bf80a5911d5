"""Messages and what became of them, over one session after the other.

Knows which message was taken, what its answer and its receipt mean, and when to connect again.
Refuses to remember a number or a code: a message is its id.

What a repeat of an id does (P14):

1. It was taken: nothing is sent.
2. Its answer may still come, as the session lives: that is waited for, and nothing is sent.
3. Its session ended before the answer: it is sent again, marked as a repeat. Whether the first one
   was taken nobody can know; if it was, the user gets the same code twice.
4. It is known not to have arrived: it is sent again.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine
from datetime import datetime, timedelta
from functools import partial
from secrets import SystemRandom
from typing import Any, Final, TypeVar

from attrs import define

from abonent.errors import AdapterError, IdentifierClosed, InvalidValue, Misconfigured, Unavailable
from abonent.ports import Clock, CodeMessage
from abonent.possession.delivery import DeliveryObserver, DeliveryState, tell
from abonent.possession.lately import Lately, time_of
from abonent.possession.smpp import pdus
from abonent.possession.smpp.link import Meaning, SmppLink
from abonent.possession.smpp.pdus import Pdu
from abonent.possession.smpp.receipts import Ignored, Receipt, read_receipt
from abonent.possession.smpp.session import NAME, Session
from abonent.possession.smpp.statuses import RINVBNDSTS, meaning
from abonent.possession.texts import CodeTexts

T = TypeVar("T")
log: Final = logging.getLogger("abonent")
_FIRST_PAUSE: Final = 0.25
_CHANCE: Final = SystemRandom()
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]+", re.ASCII)


@define(kw_only=True)
class Fate:
    """What is known of a message."""

    id: str
    tries: int = 0
    taken: bool = False
    refused: bool = False
    centre_id: str = ""
    told: DeliveryState | None = None
    answer: asyncio.Future[Pdu] | None = None


class Pause:
    """A wait that doubles with each failure, up to a longest."""

    def __init__(self, longest: timedelta) -> None:
        self._longest = longest.total_seconds()
        self._failures = 0
        self._until = 0.0

    def failed(self, now: float) -> float:
        """Begin a wait, and return its seconds. By chance it is shorter, up to a quarter."""
        whole = min(self._longest, _FIRST_PAUSE * 2.0 ** min(self._failures, 30))
        seconds = whole * _CHANCE.uniform(0.75, 1.0)
        self._failures += 1
        self._until = now + seconds
        return seconds

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0
        self._until = 0.0

    def left(self, now: float) -> float:
        """Return how many seconds are still to be waited."""
        return max(0.0, self._until - now)


class Exchange:
    """Sends codes through one centre. It lives in the event loop of its first `send`."""

    def __init__(self, link: SmppLink, texts: CodeTexts, clock: Clock | None) -> None:
        self._link = link
        self._texts = texts
        self._now = time_of(clock)
        self._timeout = link.timeout.total_seconds()
        # A receipt that tells of expiry comes after it.
        self._fates: Lately[str, Fate] = Lately(
            most=link.remembered, kept=2 * link.valid, forgotten=self._forget
        )
        self._by_centre_id: dict[str, Fate] = {}
        self._by_reference: dict[bytes, dict[str, Fate]] = {}
        self._observers: list[DeliveryObserver] = []
        self._session: Session | None = None
        self._connecting: asyncio.Task[Session] | None = None
        self._refused_as: type[AdapterError] = Unavailable
        self._connect_pause = Pause(link.retry_longest)
        self._send_pause = Pause(link.retry_longest)
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def watch(self, observer: DeliveryObserver) -> None:
        """Tell this one every final state."""
        self._observers.append(observer)

    async def close(self) -> None:
        """Say good-bye to the centre. Who still waits gets `Unavailable`."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._session is not None:
            await self._session.unbind()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    # --- sending ------------------------------------------------------------------------

    async def send(self, message: CodeMessage) -> None:
        """Send a message, or join who is just sending it; return when it was taken."""
        loop = asyncio.get_running_loop()
        if self._closed:
            raise IdentifierClosed("this sender was closed")
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise InvalidValue("this sender was used in another event loop")
        sending = self._sending.get(message.id)
        if sending is None:
            sending = self._sending[message.id] = self._started(self._send(message))
            sending.add_done_callback(lambda _: self._sending.pop(message.id))
        # Whoever gives up waiting does not take the message from those who wait with them.
        await asyncio.shield(sending)

    def _started(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_looked_at)
        return task

    async def _send(self, message: CodeMessage) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._deliver(self._fate(message.id), message)
        except TimeoutError:
            if self._session is not None:
                self._session.doubt()
            raise Unavailable("the centre has not answered in time", adapter=NAME) from None
        except asyncio.CancelledError:  # by `close` alone, as who waits is shielded
            raise Unavailable("this sender is being closed", adapter=NAME) from None

    def _fate(self, message_id: str) -> Fate:
        now = self._now()
        fate = self._fates.get(message_id, now)
        if fate is None:
            fate = Fate(id=message_id)
            self._fates.put(message_id, fate, now)
            of_this = self._by_reference.setdefault(pdus.reference(message_id), {})
            of_this[message_id] = fate
        return fate

    def _forget(self, message_id: str, fate: Fate) -> None:
        self._unname(fate)
        reference = pdus.reference(message_id)
        of_this = self._by_reference.get(reference, {})
        of_this.pop(message_id, None)
        if not of_this:
            self._by_reference.pop(reference, None)

    async def _deliver(self, fate: Fate, message: CodeMessage) -> None:
        if fate.taken and fate.told is not None and fate.told.failed:
            self._unname(fate)
            fate.taken, fate.told = False, None
        if fate.taken:
            return
        if fate.refused:
            raise _not_served()
        if fate.answer is None or fate.answer.done():
            fate.answer = await self._submit(fate, message)
        answer = await asyncio.shield(fate.answer)
        self._raise_for(answer)

    async def _submit(self, fate: Fate, message: CodeMessage) -> asyncio.Future[Pdu]:
        session = await self._bound()
        await self._wait(self._send_pause, "the centre takes no more for now")
        request = partial(
            pdus.submit,
            self._link,
            message_id=message.id,
            number=message.number.e164.removeprefix("+"),
            text=self._texts.wording(message.locale, message.code),
            repeat=fate.tries > 0,
        )
        answer = await session.submit(lambda sequence: request(sequence=sequence))
        fate.tries += 1
        # Also where nobody waits any more: a repeat has to know that this one was taken.
        answer.add_done_callback(partial(self._answered, fate, session))
        return answer

    async def _wait(self, pause: Pause, why: str, kind: type[AdapterError] = Unavailable) -> None:
        """Wait for the end of a pause, unless that is longer than a call may take."""
        left = pause.left(asyncio.get_running_loop().time())
        if left >= self._timeout:
            raise kind(why, adapter=NAME, retry_at=self._in(left))
        await asyncio.sleep(left)

    def _in(self, seconds: float) -> datetime:
        return self._now() + timedelta(seconds=seconds)

    # --- answers ------------------------------------------------------------------------

    def _said(self, answer: Pdu) -> Meaning:
        said = meaning(answer.status, self._link.meanings)
        if said is Meaning.TAKEN and answer.answers is None:
            return Meaning.TRY_LATER  # a refusal without a reason is no acceptance
        return said

    def _answered(self, fate: Fate, session: Session, answer: asyncio.Future[Pdu]) -> None:
        if answer.cancelled() or answer.exception() is not None:
            return
        pdu = answer.result()
        said = self._said(pdu)
        if said is Meaning.TAKEN:
            fate.taken = True
            self._connect_pause.succeeded()
            self._send_pause.succeeded()
            self._name(fate, pdus.message_id_in(pdu.body))
        elif said is Meaning.NUMBER_REFUSED:
            fate.refused = True
            self._tell(fate, DeliveryState.REJECTED)
        elif said is Meaning.SLOW_DOWN:
            self._send_pause.failed(asyncio.get_running_loop().time())
        if pdu.status == RINVBNDSTS:
            session.end()

    def _name(self, fate: Fate, centre_id: str) -> None:
        if self._link.hex_ids and _HEXADECIMAL.fullmatch(centre_id):
            centre_id = str(int(centre_id, 16))
        if centre_id and self._fates.get(fate.id, self._now()) is fate:
            fate.centre_id = centre_id
            self._by_centre_id[centre_id] = fate

    def _unname(self, fate: Fate) -> None:
        # A centre may by now call another message so.
        if self._by_centre_id.get(fate.centre_id) is fate:
            del self._by_centre_id[fate.centre_id]
        fate.centre_id = ""

    def _raise_for(self, answer: Pdu) -> None:
        said = self._said(answer)
        if said is Meaning.TAKEN:
            return
        if said is Meaning.NUMBER_REFUSED:
            raise _not_served()
        status = f"status 0x{answer.status:08x}"
        if said is Meaning.SETUP:
            raise Misconfigured(f"the centre refuses the message with {status}", adapter=NAME)
        retry_at = None
        if said is Meaning.SLOW_DOWN:
            retry_at = self._in(self._send_pause.left(asyncio.get_running_loop().time()))
        text = f"the centre cannot take the message now: {status}"
        raise Unavailable(text, adapter=NAME, retry_at=retry_at)

    # --- sessions -----------------------------------------------------------------------

    async def _bound(self) -> Session:
        if self._live() is None and self._connecting is None:
            why = "the centre could not be reached, or refused us, a moment ago"
            await self._wait(self._connect_pause, why, self._refused_as)
        session = self._live()
        if session is not None:
            return session
        if self._connecting is None:
            self._connecting = self._started(self._connect())
            self._connecting.add_done_callback(self._connected)
        return await asyncio.shield(self._connecting)

    def _live(self) -> Session | None:
        session = self._session
        return None if session is None or session.ended.is_set() else session

    async def _connect(self) -> Session:
        try:
            async with asyncio.timeout(self._timeout):
                session = await Session.bound(self._link, self._received)
        except TimeoutError:
            self._pause_connecting(Unavailable)
            raise Unavailable("the centre does not answer the bind", adapter=NAME) from None
        except AdapterError as error:
            self._pause_connecting(type(error))
            raise
        self._session = session
        _ = self._started(self._follow(session))
        return session

    def _connected(self, _: asyncio.Task[Session]) -> None:
        self._connecting = None

    def _pause_connecting(self, kind: type[AdapterError]) -> None:
        self._refused_as = kind
        self._connect_pause.failed(asyncio.get_running_loop().time())

    async def _follow(self, session: Session) -> None:
        """When a session ends, begin another, so that receipts are not waited for in vain."""
        await session.ended.wait()
        self._pause_connecting(Unavailable)
        while self._link.receipts and self._live() is None:
            await asyncio.sleep(self._connect_pause.left(asyncio.get_running_loop().time()))
            try:
                await self._bound()
            except Misconfigured:
                return  # the next message tries again: nobody is locked out by our knocking
            except Unavailable:
                continue

    # --- receipts -----------------------------------------------------------------------

    def _received(self, pdu: Pdu) -> bool:
        """Take a `deliver_sm`; False if it is none of a kind that we could take."""
        delivered = pdus.delivered_in(pdu)
        if delivered is None:
            return self._ignore(Ignored.UNREADABLE)
        parameters = [(each.tag, each.value) for each in delivered.tlvs]
        receipt = read_receipt(delivered.esm_class, delivered.short_message, parameters)
        if isinstance(receipt, Ignored):
            return self._ignore(receipt)
        fate = self._fate_of(receipt)
        if fate is None:
            return self._ignore(Ignored.UNKNOWN_MESSAGE)
        if fate.told is not None:
            return self._ignore(Ignored.REPEATED)
        fate.taken = True
        self._tell(fate, receipt.state)
        return True

    def _ignore(self, why: Ignored) -> bool:
        log.info("abonent.receipt_ignored sender=%s why=%s", NAME, why.value)
        # The rest is answered as taken, for it would come again and again.
        return why not in {Ignored.UNREADABLE, Ignored.NOT_A_RECEIPT}

    def _fate_of(self, receipt: Receipt) -> Fate | None:
        for name in receipt.named:
            found = self._by_centre_id.get(name)
            if found is not None:
                return found
        # The answer that named the message was lost; what it refers to may still be one only.
        of_this = self._by_reference.get(receipt.reference or b"", {})
        unnamed = [each for each in of_this.values() if each.tries and not each.centre_id]
        return unnamed[0] if len(unnamed) == 1 else None

    def _tell(self, fate: Fate, state: DeliveryState) -> None:
        fate.told = state
        if state.failed:
            log.info("abonent.code_not_delivered sender=%s state=%s", NAME, state.value)
        tell(self._observers, fate.id, state)


def _looked_at(task: asyncio.Task[Any]) -> None:
    """An error that nobody waited for is not reported as forgotten: a repeat gets its own."""
    if not task.cancelled():
        task.exception()


def _not_served() -> Unavailable:
    return Unavailable("the centre does not serve this number", adapter=NAME)

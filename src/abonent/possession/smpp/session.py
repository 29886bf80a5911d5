"""One session with a message centre: from the bind to the end of the connection.

Knows requests and their answers, the window, and how a dead link is noticed. Refuses to know what
is sent, and to connect again: a session ends once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from abonent.errors import Misconfigured, Unavailable
from abonent.possession.smpp import pdus
from abonent.possession.smpp.link import Meaning, SmppLink
from abonent.possession.smpp.pdus import Command, Pdu
from abonent.possession.smpp.statuses import RINVCMDID, RX_R_APPN, meaning

NAME: Final = "smpp"
_UNANSWERED_TIMEOUTS: Final = 3
"""A request that is not answered in so many time-outs never will be, and the session with it: until
then a repeat waits for its answer instead of being sent."""
_GOODBYE: Final = 1.0

Delivered = Callable[[Pdu], bool]
"""Given each `deliver_sm`; whether it is ours to take."""


class _NoUnit(Exception):
    """What came is no unit, and nothing after it can be trusted."""


def _ended() -> Unavailable:
    return Unavailable("the session with the centre ended", adapter=NAME)


class Session:
    """A bound session. Use it in the event loop in which it was bound."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        link: SmppLink,
        delivered: Delivered,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._link = link
        self._delivered = delivered
        self._timeout = link.timeout.total_seconds()
        self._window = asyncio.Semaphore(link.window)
        self._waiting: dict[int, tuple[int, float, asyncio.Future[Pdu]]] = {}
        self._sequence = 0
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self._doubted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.ended = asyncio.Event()

    # --- beginning and end --------------------------------------------------------------

    @classmethod
    async def bound(cls, link: SmppLink, delivered: Delivered) -> Session:
        """Connect and bind. Cancelling it leaves nothing open.

        Raises:
            Unavailable: nobody there, or no answer that can be read.
            Misconfigured: the centre refuses our name or password, or its certificate is wrong.
        """
        try:
            reader, writer = await asyncio.open_connection(
                link.host,
                link.port,
                ssl=link.tls,
                server_hostname=link.host if link.tls is not None else None,
            )
        except ssl.SSLCertVerificationError:
            raise Misconfigured("the centre's certificate is refused", adapter=NAME) from None
        except OSError:
            raise Unavailable("the centre cannot be reached", adapter=NAME) from None
        session = cls(reader, writer, link, delivered)
        try:
            await session._bind()
        except BaseException:
            session.end()
            raise
        return session

    async def _bind(self) -> None:
        self._start(self._read())
        answered = self._ask(lambda sequence: pdus.bind(self._link, sequence))
        status = (await answered).status
        said = meaning(status, self._link.meanings)
        if said is not Meaning.TAKEN:
            kind = Misconfigured if said is Meaning.SETUP else Unavailable
            raise kind(f"the centre refuses the bind with status 0x{status:08x}", adapter=NAME)
        self._start(self._keep())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(self._loop.create_task(work))

    async def unbind(self) -> None:
        """Say good-bye, wait for a moment for the same, and end."""
        if not self.ended.is_set():
            answered = self._ask(lambda sequence: pdus.unit(Command.UNBIND, sequence))
            await asyncio.wait({answered}, timeout=min(_GOODBYE, self._timeout))
        self.end()

    def end(self) -> None:
        """Close the connection; whoever waits for an answer is told. Twice is allowed."""
        if self.ended.is_set():
            return
        self.ended.set()
        for _, _, answered in self._waiting.values():
            if not answered.done():
                answered.set_exception(_ended())
                answered.exception()  # nobody may be waiting any more
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        self._writer.transport.abort()

    # --- requests -----------------------------------------------------------------------

    async def submit(self, request: Callable[[int], bytes]) -> asyncio.Future[Pdu]:
        """Send a request made with a sequence number, when the window has room for it.

        Returned is its answer to come, which may be awaited for as long as one likes, or never;
        it ends at the latest with the session, in `Unavailable`: whether the request arrived is
        then not known.

        Raises:
            Unavailable: the session ended, and nothing was sent.
        """
        await self._window.acquire()
        if self.ended.is_set():
            self._window.release()
            raise _ended()
        answered = self._ask(request)
        answered.add_done_callback(lambda _: self._window.release())
        return answered

    def _ask(self, request: Callable[[int], bytes]) -> asyncio.Future[Pdu]:
        self._sequence = self._sequence % pdus.SEQUENCES + 1
        octets = request(self._sequence)
        answered: asyncio.Future[Pdu] = self._loop.create_future()
        command = pdus.HEADER.unpack_from(octets)[1]
        self._waiting[self._sequence] = (command, self._loop.time(), answered)
        self._writer.write(octets)
        return answered

    def doubt(self) -> None:
        """Ask the centre whether it is there, without waiting for it to be quiet."""
        self._doubted.set()

    async def _keep(self) -> None:
        """End the session when the centre answers nothing, or not this (2.9)."""
        every = self._link.enquire_every.total_seconds()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._doubted.wait(), min(self._timeout, every))
            now = self._loop.time()
            if self._longest_wait(now) > _UNANSWERED_TIMEOUTS * self._timeout:
                break
            if not self._doubted.is_set() and now - self._heard_at < every:
                continue
            self._doubted.clear()
            asked = self._ask(lambda sequence: pdus.unit(Command.ENQUIRE_LINK, sequence))
            await asyncio.wait({asked}, timeout=self._timeout)
            if not asked.done():
                break
        self.end()

    def _longest_wait(self, now: float) -> float:
        # Oldest first, as sequence numbers were given in that order.
        return next((now - since for _, since, _ in self._waiting.values()), 0.0)

    # --- what comes ---------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            while True:
                self._take(await self._unit())
                # Who does not read what we answer is read no further.
                await self._writer.drain()
        except (_NoUnit, OSError, asyncio.IncompleteReadError):
            pass
        finally:  # also where an event loop is ended with whatever runs in it
            self.end()

    async def _unit(self) -> Pdu:
        header = await self._reader.readexactly(pdus.HEADER.size)
        length, command, status, sequence = pdus.HEADER.unpack(header)
        if not pdus.HEADER.size <= length <= pdus.LONGEST:
            raise _NoUnit
        body = await self._reader.readexactly(length - pdus.HEADER.size)
        self._heard_at = self._loop.time()
        return Pdu(command=command, status=status, sequence=sequence, body=body)

    def _take(self, pdu: Pdu) -> None:
        if pdu.command == Command.ENQUIRE_LINK:
            self._writer.write(pdus.answer(pdu))
        elif pdu.command == Command.DELIVER:
            status = 0 if self._delivered(pdu) else RX_R_APPN
            self._writer.write(pdus.answer(pdu, status=status))
        elif pdu.command == Command.UNBIND:
            self._writer.write(pdus.answer(pdu))
            raise _NoUnit
        elif pdu.asks:
            self._writer.write(pdus.nack(pdu, RINVCMDID))
        else:
            self._answered(pdu)

    def _answered(self, pdu: Pdu) -> None:
        command, _, answered = self._waiting.get(pdu.sequence, (None, 0.0, None))
        if answered is None or pdu.command == Command.ALERT:
            return
        if pdu.answers not in {None, command}:
            raise _NoUnit  # the answer to something else: whose answer is whose cannot be told
        del self._waiting[pdu.sequence]
        if not answered.done():
            answered.set_result(pdu)

"""Senders of codes over SMPP, one for each shell.

Knows threads and event loops. Refuses to know the protocol.
"""

from __future__ import annotations

import asyncio
import os
import threading
from types import TracebackType
from typing import Final, Self

from abonent.errors import IdentifierClosed, Unavailable, UsedAfterFork
from abonent.ports import Clock, CodeMessage
from abonent.possession.delivery import DeliveryObserver
from abonent.possession.smpp.exchange import Exchange
from abonent.possession.smpp.link import SmppLink
from abonent.possession.smpp.session import NAME
from abonent.possession.texts import ENGLISH_AND_RUSSIAN, CodeTexts

_GRACE: Final = 2.0
"""Seconds beyond a call's own limit after which the loop of its thread counts as stuck."""


class AsyncSmppSender:
    """An `AsyncCodeSender` over SMPP 3.4. Use it in one event loop, and close it.

    The session is begun by the first message and begun again when it was lost. See `SmppSender`
    for what is promised.

    Args: as for `SmppSender`.
    """

    def __init__(
        self,
        link: SmppLink,
        texts: CodeTexts = ENGLISH_AND_RUSSIAN,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._exchange = Exchange(link, texts, clock)
        self._pid = os.getpid()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def send(self, message: CodeMessage) -> None:
        """See `SmppSender.send`."""
        if os.getpid() != self._pid:
            raise UsedAfterFork("this sender was built before a fork")
        await self._exchange.send(message)

    def watch(self, observer: DeliveryObserver) -> None:
        """See `SmppSender.watch`; called in the event loop."""
        self._exchange.watch(observer)

    async def close(self) -> None:
        """Unbind and close the connection. Twice is allowed."""
        if os.getpid() == self._pid:
            await self._exchange.close()


class SmppSender:
    """A `CodeSender` over SMPP 3.4, safe for threads. Close it when it is not needed any more.

    A message is taken when the centre says so. Of a message that was taken, a repeat sends nothing,
    for as long as it is remembered: twice `link.valid`, and the last `link.remembered` messages. A
    message whose answer is lost with the connection is sent again by a repeat, and may then reach
    the user twice, with the same code; so may one that is repeated after a restart. SMPP itself has
    nothing to know a repeat by; `link.id_tag` and `link.replace` help where a provider has.

    The session lives in a thread of its own, started by the first message.

    Args:
        link: the centre, and who we are there.
        texts: what a message says, by locale.
        clock: tells how long ago a message was sent; None for this machine's clock.
    """

    def __init__(
        self,
        link: SmppLink,
        texts: CodeTexts = ENGLISH_AND_RUSSIAN,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._exchange = Exchange(link, texts, clock)
        self._patience = link.timeout.total_seconds() + _GRACE
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def send(self, message: CodeMessage) -> None:
        """Send a code; return when the centre has taken it, within `link.timeout`.

        Raises:
            Unavailable: the centre is out of reach, silent, overloaded, or does not serve the
                number.
            Misconfigured: the centre refuses our name, password or request.
            IdentifierClosed: the sender was closed.
            UsedAfterFork: it was built before a fork.
        """
        loop = self._running()
        sent = asyncio.run_coroutine_threadsafe(self._exchange.send(message), loop)
        try:
            sent.result(self._patience)
        except TimeoutError:  # it may still be sent, and a repeat will know
            raise Unavailable("the thread of the sender is stuck", adapter=NAME) from None

    def watch(self, observer: DeliveryObserver) -> None:
        """Have this called with the id and the final state of every message from now on.

        It is called in the thread of the session: note it, and return. What it raises is logged.
        """
        self._exchange.watch(observer)

    def close(self) -> None:
        """Unbind, close the connection and end the thread. Twice is allowed.

        In a forked child nothing is: connection and thread are the parent's.
        """
        if os.getpid() != self._pid:
            return
        with self._mutex:
            self._closed = True
            loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        closed = asyncio.run_coroutine_threadsafe(self._exchange.close(), loop)
        try:
            closed.result(self._patience)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(self._patience)

    def _running(self) -> asyncio.AbstractEventLoop:
        if os.getpid() != self._pid:
            raise UsedAfterFork("this sender was built before a fork")
        with self._mutex:
            if self._closed:
                raise IdentifierClosed("this sender was closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_run, args=(self._loop,), name="abonent-smpp", daemon=True
                )
                self._thread.start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()

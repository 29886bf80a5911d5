"""How the transport's client reaches the network: in bounded time, and closing what it opened.

Knows two things that the client leaves open. It bounds each read and each write, so a side that
sends one byte a second keeps all bounds and the caller with them: here, what is left of the
request's time bounds each. And who is cancelled in the middle of a TLS handshake leaves a socket
that nobody closes. Refuses to know requests.
"""

# ruff: noqa: ASYNC109 - the signatures are the client's

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable
from contextvars import ContextVar
from time import monotonic
from typing import Any, Final

from abonent.errors import SetupError

try:
    import httpcore2 as httpcore2  # noqa: PLC0414 - this is how a checker knows it is shared
except ImportError:
    raise SetupError("calling over HTTP needs httpcore2: install abonent[http]") from None

NOTHING: Final = 0.0
until: Final[ContextVar[float]] = ContextVar("abonent_transport_until", default=NOTHING)
"""When the request that is being sent here has to be over, by the monotonic clock."""


def _left(share: int = 1) -> float:
    left = until.get() - monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the time is over")
    return left / share


class _BoundedStream(httpcore2.NetworkStream):
    """A connection whose every step ends when the request has to."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, _left()))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Bounded(httpcore2.NetworkBackend):
    """Opens such connections."""

    def __init__(self) -> None:
        self._network = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            raise httpcore2.ConnectError("no address is known for this name") from None
        addresses = [str(each[4][0]) for each in found]
        failed: Exception = httpcore2.ConnectError("no address is known for this name")
        for place, address in enumerate(addresses):
            try:
                # A dead address leaves the next ones their share.
                left = _left(len(addresses) - place)
                stream = self._network.connect_tcp(
                    address, port, left, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
            else:
                return _BoundedStream(stream)
        raise failed


class _ClosingStream(httpcore2.AsyncNetworkStream):
    """A connection that is closed when whoever greets over it is cancelled."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except asyncio.CancelledError:
            await asyncio.shield(self._stream.aclose())
            raise

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Closing(httpcore2.AsyncNetworkBackend):
    """Opens such connections."""

    def __init__(self) -> None:
        made: Any = httpcore2.AnyIOBackend  # one of two classes, by what is installed
        self._network: httpcore2.AsyncNetworkBackend = made()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        return _ClosingStream(
            await self._network.connect_tcp(host, port, timeout, local_address, socket_options)
        )


def bounded() -> httpcore2.NetworkBackend:
    """Connections whose every step ends when the request has to (see `until`)."""
    return _Bounded()


def closing() -> httpcore2.AsyncNetworkBackend:
    """Connections that are closed when whoever greets over them is cancelled."""
    return _Closing()

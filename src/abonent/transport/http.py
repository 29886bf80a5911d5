"""The transport over TCP and TLS, synchronous and asynchronous.

Knows the client, httpcore2: connections, certificates, and that time is bounded as a whole.
Refuses what a browser does by itself: redirects, cookies, proxies and credentials from the
environment, encodings that grow when they are read.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from abonent.errors import InvalidValue, Misconfigured, Unavailable
from abonent.transport.messages import Request, Response
from abonent.transport.network import NOTHING, bounded, closing, httpcore2, until

MOST_BYTES: Final = 65_536
"""Bytes of a body that are read at most, unless said otherwise."""
_CONNECTIONS: Final = 64
_IDLE_FOR: Final = 4.0
"""Seconds for which an idle connection is kept: less than servers usually keep theirs, so that a
request is seldom sent into one that is just being closed."""
_OWN: Final = {"accept-encoding": "identity", "user-agent": "abonent"}


class _Silence(logging.Filter):
    """Keeps the client's debug log out of our requests: it quotes what the other side sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        return until.get() is NOTHING


for _name in ("http11", "connection", "proxy"):
    logging.getLogger(f"httpcore2.{_name}").addFilter(_Silence())


def _context(given: ssl.SSLContext | None) -> ssl.SSLContext:
    if given is None:
        context = httpcore2.default_ssl_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context
    if given.verify_mode is not ssl.CERT_REQUIRED or not given.check_hostname:
        raise InvalidValue("a TLS context that does not verify the other side by name is no use")
    return given


def _options(
    tls: ssl.SSLContext | None, most_bytes: int, connections: int
) -> tuple[dict[str, Any], int]:
    if most_bytes < 1 or connections < 1:
        raise InvalidValue("a transport reads at least a byte, over at least one connection")
    options = {
        "ssl_context": _context(tls),
        "max_connections": connections,
        "keepalive_expiry": _IDLE_FOR,
    }
    return options, most_bytes


class HttpTransport:
    """Sends requests from any thread, over connections that are kept for a while.

    Args:
        tls: how the other side's certificate is verified; None for the authorities that this
            machine trusts. Load a client certificate into it where the other side wants one.
        most_bytes: how much of a body is read.
        connections: how many are open at once; further requests wait, within their time.

    Raises:
        InvalidValue: a context that does not verify, or a figure below 1.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        most_bytes: int = MOST_BYTES,
        connections: int = _CONNECTIONS,
    ) -> None:
        options, self._most = _options(tls, most_bytes, connections)
        self._pool = httpcore2.ConnectionPool(network_backend=bounded(), **options)

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
        """Close the connections. Sending again opens new ones."""
        self._pool.close()

    def send(self, request: Request) -> Response:
        """See `Transport.send`. Looking up a host's name takes as long as the system lets it."""
        token = until.set(monotonic() + request.timeout)
        try:
            with self._pool.stream(**_arguments(request)) as reply:
                body = _Body(self._most)
                for chunk in reply.iter_stream():
                    if body.takes(chunk):
                        break
                return body.response(reply)
        except _FAILURES as error:
            raise _translated(error) from None
        finally:
            until.reset(token)


class AsyncHttpTransport:
    """The same for asyncio, in one event loop.

    Args, Raises: as for `HttpTransport`.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        most_bytes: int = MOST_BYTES,
        connections: int = _CONNECTIONS,
    ) -> None:
        options, self._most = _options(tls, most_bytes, connections)
        self._pool = httpcore2.AsyncConnectionPool(network_backend=closing(), **options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Sending again opens new ones."""
        await self._pool.aclose()

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        token = until.set(monotonic() + request.timeout)
        try:
            async with asyncio.timeout(request.timeout):
                async with self._pool.stream(**_arguments(request)) as reply:
                    body = _Body(self._most)
                    async for chunk in reply.aiter_stream():
                        if body.takes(chunk):
                            break
                    return body.response(reply)
        except _FAILURES as error:
            raise _translated(error) from None
        finally:
            until.reset(token)


# --- what both do alike ------------------------------------------------------------------

_FAILURES: Final = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
    TimeoutError,
    OSError,
)


def _arguments(request: Request) -> dict[str, Any]:
    waits = dict.fromkeys(("connect", "read", "write", "pool"), request.timeout)
    return {
        "method": request.method,
        "url": request.url,
        "headers": [*(_OWN | dict(request.headers)).items()],
        "content": request.body,
        "extensions": {"timeout": waits},
    }


def _translated(error: BaseException) -> Exception:
    cause = error.args[0] if error.args else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Misconfigured("the certificate of the other side is not accepted")
    return Unavailable("the other side does not reply")


class _Body:
    """Gathers a body up to so many bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._read = bytearray()

    def takes(self, chunk: bytes) -> bool:
        """Take what came, and tell whether it was too much."""
        self._read += chunk
        return len(self._read) > self._most

    def response(self, reply: httpcore2.Response) -> Response:
        headers: dict[str, str] = {}
        for raw_name, raw_value in reply.headers:
            name = raw_name.decode("ascii").lower()
            # A header is of use if it can be read; what else is in it is not worth a failure.
            value = raw_value.decode("ascii", "replace").replace("\ufffd", "?")
            value = "".join(each if each.isprintable() else "?" for each in value)
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        return Response(
            status=reply.status,
            headers=headers,
            body=bytes(self._read[: self._most]),
            whole=len(self._read) <= self._most,
        )

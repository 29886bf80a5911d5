"""Serving an application until it is told to stop.

Knows sockets, signals and the server, uvicorn. Refuses an address that others can reach, unless
told so by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import signal
import socket
import threading
from collections.abc import Callable, Generator
from typing import Any, ClassVar, Final, Self

import uvicorn

from abonent.errors import SetupError

_BACKLOG: Final = 256
_GRACE: Final = 20
"""Seconds in which what runs is to be finished once it is told to stop."""
_HEADERS: Final = 16_384
"""Bytes of the headers of a request."""
_CONNECTIONS: Final = 512
_LAST_PORT: Final = 65_535


class AddressUnusable(SetupError):
    """An address at which nothing can be served."""

    code: ClassVar[str] = "ADDRESS"
    remedy: ClassVar[str] = "Give another port, 0 for a free one, or end whoever has this one."


def listening(host: str, port: int, *, unsafe_any_address: bool = False) -> socket.socket:
    """Return a socket that listens; port 0 is a free one.

    Raises:
        AddressUnusable: it is taken, or no address of this machine; or others can reach it, and
            `unsafe_any_address` is not given.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise AddressUnusable("the host is an IP address, such as 127.0.0.1 or ::1") from None
    if not address.is_loopback and not unsafe_any_address:
        raise AddressUnusable(
            "others can reach this address, and whoever reaches a reference operator may use it"
        )
    if not 0 <= port <= _LAST_PORT:
        raise AddressUnusable(f"a port is from 0 to {_LAST_PORT}")
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else "cannot be used"
        raise AddressUnusable(f"port {port} {why}") from None


def url_of(listener: socket.socket) -> str:
    """Return the address at which a socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """A server that leaves signals to whoever runs it, and says when it serves."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


def _server(app: Any, ready: Callable[[], object]) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=_BACKLOG,
            limit_concurrency=_CONNECTIONS,
            h11_max_incomplete_event_size=_HEADERS,
            timeout_graceful_shutdown=_GRACE,
        ),
        ready,
    )


class Running:
    """Serves an application in a thread of this process, for as long as the block lasts.

    Raises:
        SetupError: on entering, if the application does not start.
    """

    def __init__(self, app: Any, listener: socket.socket) -> None:
        self._ready = threading.Event()
        self._server = _server(app, self._ready.set)
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="serving", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if not self._server.started:
            self._thread.join()
            raise SetupError("the application did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def _run(self) -> None:
        try:
            with contextlib.closing(self._listener), contextlib.suppress(SystemExit):
                self._server.run(sockets=[self._listener])
        finally:
            self._ready.set()  # whoever waits for a server that does not start waits no longer


def serve(app: Any, listener: socket.socket, ready: Callable[[], object]) -> None:
    """Serve until SIGTERM or SIGINT: then nothing new is taken, and what runs is finished.

    A second signal ends it at once.

    Args:
        app: the application.
        listener: where; it is closed in the end.
        ready: called once requests are served.
    """
    server = _server(app, ready)

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def stop(number: signal.Signals) -> None:
            server.should_exit = True
            loop.remove_signal_handler(number)  # the next one strikes as it would have

        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, stop, each)
        await server.serve(sockets=[listener])

    with contextlib.closing(listener):
        asyncio.run(run())

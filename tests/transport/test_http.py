"""The transport sends once, in bounded time, and says nothing of what it sent."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable

import pytest

from abonent.errors import InvalidValue, Misconfigured, Unavailable
from abonent.transport import Request, Response
from abonent.transport.http import AsyncHttpTransport, HttpTransport
from tests.transport.servers import OK, RawServer, certificate

Send = Callable[..., Response]


def sent(request: Request, **options: object) -> Response:
    with HttpTransport(**options) as transport:
        return transport.send(request)


def awaited(request: Request, **options: object) -> Response:
    async def run() -> Response:
        async with AsyncHttpTransport(**options) as transport:
            return await transport.send(request)

    return asyncio.run(run())


@pytest.fixture(params=[sent, awaited])
def send(request) -> Send:
    return request.param


def always(*replies: bytes):
    return lambda _: replies


def test_what_is_sent_arrives_and_what_is_replied_comes_back(send):
    """Method, path, headers and body arrive as given; status, headers and body come back."""
    reply = b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\nX-A: 2\r\ncontent-length: 3\r\n\r\nabc"
    with RawServer(always(reply)) as server:
        response = send(
            Request(url=f"{server.url}/a/b", headers={"x-correlator": "c"}, body=b'{"d":1}')
        )
    assert 404 == response.status
    assert "1, 2" == response.headers["x-a"]
    assert (b"abc", True) == (response.body, response.whole)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert b'{"d":1}' == body
    assert head.startswith(b"POST /a/b HTTP/1.1\r\n")
    lines = head.lower().split(b"\r\n")
    assert {
        b"host: 127.0.0.1:%d" % server.port,
        b"x-correlator: c",
        b"content-length: 7",
        b"accept-encoding: identity",
    } <= set(lines)


def test_a_redirect_is_a_reply_like_any_other(send):
    """Nobody is led elsewhere, with the number in the body."""
    reply = b"HTTP/1.1 307 T\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    with RawServer(always(reply)) as server:
        response = send(Request(url=server.url))
    assert 307 == response.status
    assert 1 == len(server.requests)


def test_a_proxy_of_the_environment_is_not_used(send, monkeypatch):
    """Requests go where they are addressed, whatever the environment says."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with RawServer(always(OK)) as server:
        assert 200 == send(Request(url=server.url)).status


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n" + b"a" * 100_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 100_000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"a" * 1000,
    ],
)
def test_no_more_of_a_body_is_read_than_allowed(send, reply):
    """A body that is too long is cut, and says so, also while it is still being sent."""
    with RawServer(always(reply)) as server:
        response = send(Request(url=server.url), most_bytes=10)
    assert (b"a" * 10, False) == (response.body, response.whole)


def test_a_body_just_as_long_as_allowed_is_whole(send):
    """The limit is inclusive."""
    reply = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n" + b"a" * 10
    with RawServer(always(reply)) as server:
        response = send(Request(url=server.url), most_bytes=10)
    assert (b"a" * 10, True) == (response.body, response.whole)


def _drip(server: list[RawServer], reply: bytes):
    def replies(_: int):
        for each in reply:
            yield bytes((each,))
            if server[0].closing.wait(0.05):
                return

    return replies


@pytest.mark.parametrize(
    "reply",
    [b"", b"H" * 200, b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 90, OK[:-2] + b" " * 90],
    ids=["silence", "status", "headers", "body"],
)
def test_a_drip_does_not_hold_a_caller(send, reply):
    """A side that sends a byte now and then is Unavailable when the time is over, as silence is."""
    reply = reply.replace(b"content-length: 2", b"content-length: 90")
    holder: list[RawServer] = []
    with RawServer(_drip(holder, reply)) as server:
        holder.append(server)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            send(Request(url=server.url, timeout=0.3))
        assert time.monotonic() - began < 2


def test_nothing_more_is_done_once_the_time_is_over(monkeypatch):
    """Each step asks how much is left, and none begins when nothing is."""
    clock = iter([0.0, 1.5])  # it connects, and has no time to write
    monkeypatch.setattr("abonent.transport.http.monotonic", lambda: 0.0)
    monkeypatch.setattr("abonent.transport.network.monotonic", lambda: next(clock))
    with RawServer(always(OK)) as server, pytest.raises(Unavailable):
        sent(Request(url=server.url, timeout=1))
    assert [] == server.requests


@pytest.mark.parametrize("reply", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 20", OK[:-1]])
def test_what_is_no_reply_is_unavailable(send, reply):
    """A connection that is closed before its reply is whole, or that speaks no HTTP."""

    def replies(_: int):
        yield reply
        raise OSError("close it")

    with RawServer(replies) as server, pytest.raises(Unavailable) as caught:
        send(Request(url=server.url, timeout=2))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_nobody_there_is_unavailable(send):
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(Unavailable):
        send(Request(url=f"http://127.0.0.1:{port}"))


def test_a_name_without_address_is_unavailable(send):
    """A name that nobody has (RFC 6761)."""
    with pytest.raises(Unavailable):
        send(Request(url="https://operator.invalid", timeout=5))


def test_a_dead_address_leaves_the_next_its_share(monkeypatch):
    """A name with several addresses is tried at each, within the time of one request."""
    with RawServer(always(OK)) as server:
        dead = socket.create_server(("127.0.0.2", 0), backlog=0)
        where = [("127.0.0.2", dead.getsockname()[1]), ("127.0.0.1", server.port)]
        dead.close()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in where]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert 200 == sent(Request(url=server.url, timeout=2)).status


def test_connections_are_kept_and_a_closed_one_is_not_used(send):
    """Two requests share a connection; one that the other side closed is opened anew."""
    with RawServer(always(OK)) as server, HttpTransport() as transport:
        transport.send(Request(url=server.url))
        transport.send(Request(url=server.url))
        assert 1 == server.connections
    gone = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
    with RawServer(always(gone)) as server, HttpTransport() as transport:
        transport.send(Request(url=server.url))
        transport.send(Request(url=server.url))
        assert 2 == server.connections


def test_it_is_safe_for_threads():
    """Many threads at once, over few connections: each has its reply."""
    with RawServer(always(OK)) as server, HttpTransport(connections=2) as transport:
        statuses: list[int] = []

        def run() -> None:
            statuses.append(transport.send(Request(url=server.url)).status)

        threads = [threading.Thread(target=run) for _ in range(16)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert [200] * 16 == statuses
        assert server.connections <= 2


def test_who_is_cancelled_leaves_the_transport_usable():
    """A request that is cancelled frees its connection."""

    async def run() -> int:
        hangs = threading.Event()

        def replies(count: int):
            if count == 1:
                hangs.wait(5)
            yield OK

        with RawServer(replies) as server:
            async with AsyncHttpTransport(connections=1) as transport:
                task = asyncio.create_task(transport.send(Request(url=server.url)))
                await asyncio.to_thread(server.heard.wait, 5)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                hangs.set()
                return (await transport.send(Request(url=server.url))).status

    assert 200 == asyncio.run(run())


# --- TLS ------------------------------------------------------------------------------------


def test_a_certificate_is_verified(send, tmp_path):
    """Whom the caller trusts is spoken to; a stranger is Misconfigured, and hears nothing."""
    serving, trusting = certificate(tmp_path)
    with RawServer(always(OK), serving) as server:
        assert 200 == send(Request(url=server.url), tls=trusting).status
        server.requests.clear()
        with pytest.raises(Misconfigured):
            send(Request(url=server.url, body=b"a"))
        assert [] == server.requests


def test_a_certificate_for_another_name_is_refused(send, tmp_path):
    """The name is part of what is verified."""
    serving, trusting = certificate(tmp_path, "127.0.0.2")
    with RawServer(always(OK), serving) as server, pytest.raises(Misconfigured):
        send(Request(url=server.url), tls=trusting)


def test_a_side_without_tls_is_unavailable(send, tmp_path):
    """A server that answers in the clear where TLS was asked for."""
    _, trusting = certificate(tmp_path)
    with RawServer(always(OK)) as server, pytest.raises(Unavailable):
        send(Request(url=server.url.replace("http:", "https:"), timeout=2), tls=trusting)


def test_who_is_cancelled_while_greeting_leaves_no_connection(tmp_path):
    """Cancelled in the middle of a handshake, the connection is closed."""
    _, trusting = certificate(tmp_path)

    async def run(server: RawServer) -> None:
        async with AsyncHttpTransport(tls=trusting) as transport:
            url = server.url.replace("http:", "https:")
            task = asyncio.create_task(transport.send(Request(url=url)))
            await asyncio.to_thread(server.connected.wait, 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await asyncio.to_thread(server.left.wait, 5)

    with RawServer(always(OK)) as server:
        asyncio.run(run(server))


@pytest.mark.parametrize("transport", [HttpTransport, AsyncHttpTransport])
def test_a_context_that_does_not_verify_is_refused(transport):
    """There is no way to leave verification out."""
    careless = ssl.create_default_context()
    careless.check_hostname = False
    with pytest.raises(InvalidValue):
        transport(tls=careless)
    careless.verify_mode = ssl.CERT_NONE
    with pytest.raises(InvalidValue):
        transport(tls=careless)


@pytest.mark.parametrize("figures", [{"most_bytes": 0}, {"connections": 0}])
@pytest.mark.parametrize("transport", [HttpTransport, AsyncHttpTransport])
def test_figures_below_one_are_refused(transport, figures):
    """Nothing could be read, or nobody connected."""
    with pytest.raises(InvalidValue):
        transport(**figures)


# --- what nobody may see --------------------------------------------------------------------


def test_nothing_is_logged(send, caplog):
    """Neither what was sent nor what came back is logged at any level (I9)."""
    secret = "79161234567"
    reply = f"HTTP/1.1 200 OK\r\nx-a: {secret}\r\ncontent-length: 0\r\n\r\n".encode()
    caplog.set_level(logging.DEBUG)
    with RawServer(always(reply)) as server:
        send(Request(url=server.url, headers={"authorization": secret}, body=secret.encode()))
    assert secret not in caplog.text
    assert "receive_response_headers" not in caplog.text

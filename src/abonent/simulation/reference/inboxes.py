"""A messenger's inbox behind a real server, for tests and demos.

Knows how a request reaches `Inbox.receive_http`. Refuses to know what it makes of one.
"""

from __future__ import annotations

from typing import Protocol
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from abonent.wire import HttpReply
from abonent.wire.events import LONGEST_BODY
from abonent.wire.inbox import Headers


class Takes(Protocol):
    """As much of an `Inbox` as a server needs."""

    def receive_http(self, method: str, url: str, headers: Headers, body: bytes) -> HttpReply:
        """See `Inbox.receive_http`."""
        ...


def inbox_app(inbox: Takes, url: str) -> Starlette:
    """Return an application that serves an inbox at the path of its address."""

    async def receive(request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_BODY:
                break  # it is refused in any case
        reply = await run_in_threadpool(
            inbox.receive_http,
            request.method,
            str(request.url),
            request.headers.items(),
            bytes(body),
        )
        return Response(reply.body, reply.status, reply.headers)

    return Starlette(routes=[Route(urlsplit(url).path or "/", receive, methods=["POST"])])

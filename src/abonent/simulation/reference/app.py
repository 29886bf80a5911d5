"""The HTTP side of a reference operator: requests in, replies out.

Knows addresses, headers, sizes and the order in which a request is judged: size, correlator,
media type, token, scope, body. Refuses to know what an operation does.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from abonent.engine.observing import cause_of
from abonent.simulation.reference import control, shapes
from abonent.simulation.reference.answering import ANSWERED_BY, Answers
from abonent.simulation.reference.operations import Operation
from abonent.simulation.reference.operator import ReferenceOperator
from abonent.simulation.reference.refusals import (
    JSON,
    NOT_KEPT,
    OAuthRefusal,
    Refusal,
    json_reply,
    why_of,
)
from abonent.wire import HttpReply

log: Final = logging.getLogger("abonent")
LARGEST: Final = 16_384
"""Bytes of a body."""
CORRELATOR: Final = "x-correlator"
_CORRELATOR: Final = re.compile(r"[a-zA-Z0-9\-_:;./<>{}]{0,256}", re.ASCII)
_FORM: Final = "application/x-www-form-urlencoded"

Serves = Callable[[ReferenceOperator, Request], Awaitable[HttpReply]]


def app_of(*operators: ReferenceOperator) -> Starlette:
    """Return an application that serves operators, each under the path of its own address."""

    @asynccontextmanager
    async def living(_: Starlette) -> AsyncGenerator[None]:
        async with AsyncExitStack() as stack:
            for each in operators:
                await stack.enter_async_context(each)
            yield

    mounts = [Mount(_path_of(each), routes=[*_routes(each)]) for each in operators]
    return Starlette(
        routes=mounts,
        lifespan=living,
        exception_handlers={HTTPException: _unrouted},
    )


def _path_of(operator: ReferenceOperator) -> str:
    _, _, path = operator.url.partition("://")[2].partition("/")
    return f"/{path}" if path else ""


def _routes(operator: ReferenceOperator) -> Iterable[BaseRoute]:
    def route(path: str, serve: Serves, method: str = "POST") -> Route:
        return Route(path, partial(_answered, operator, serve), methods=[method])

    for operation, answers in ANSWERED_BY.items():
        yield route(operation.address, partial(_called, operation, answers))
    yield route("/token", _granted)
    yield route("/.well-known/jwks.json", _published, "GET")
    yield route("/_control/movements", partial(_controlled, shapes.Moved, control.move))


async def _answered(operator: ReferenceOperator, serve: Serves, request: Request) -> Response:
    """Let a request be served; whatever goes wrong, something is replied."""
    correlator = request.headers.get(CORRELATOR)
    headers: dict[str, str] = {}
    try:
        if correlator is not None:
            if not _CORRELATOR.fullmatch(correlator):
                raise Refusal.ARGUMENT.error()
            headers[CORRELATOR] = correlator
        reply = await serve(operator, request)
    except Exception as error:
        why = why_of(error)
        if why is Refusal.FAILED:
            log.error("abonent.call_failed cause=%s", cause_of(error))
        reply = why.reply()
    return Response(reply.body, reply.status, {**reply.headers, **headers})


async def _unrouted(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    why = Refusal.METHOD if status == 405 else Refusal.NOT_HERE
    reply = why.reply(getattr(error, "headers", None))
    correlator = request.headers.get(CORRELATOR, "")
    echoed = {CORRELATOR: correlator} if _CORRELATOR.fullmatch(correlator) else {}
    return Response(reply.body, reply.status, {**reply.headers, **echoed})


# --- the APIs ---------------------------------------------------------------------------


async def _called(
    operation: Operation, answers: Answers, operator: ReferenceOperator, request: Request
) -> HttpReply:
    body = await _body(request, JSON)
    token = operator.tokens.known(request.headers.get("authorization", ""))
    if token is None:
        raise Refusal.UNAUTHENTICATED.error()
    if operation.scope not in token.scopes:
        raise Refusal.DENIED.error()
    asked = shapes.read(operation.body, body)
    return await answers(operator, token, asked, request.headers.get(CORRELATOR, ""))


async def _body(request: Request, media_type: str) -> bytes:
    """Return the body of a request, if it is of a kind and not too large.

    Raises:
        CallRefused: it is not.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise Refusal.TOO_LARGE.error()
    given, *parameters = request.headers.get("content-type", "").lower().split(";")
    if given.strip() != media_type or not all(
        each.strip() in ("charset=utf-8", 'charset="utf-8"') for each in parameters
    ):
        raise Refusal.MEDIA_TYPE.error()
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal.MEDIA_TYPE.error()
    return bytes(body)


# --- tokens and keys --------------------------------------------------------------------


async def _granted(operator: ReferenceOperator, request: Request) -> HttpReply:
    return json_reply(200, await operator.grant(await _form(request)), NOT_KEPT)


async def _form(request: Request) -> bytes:
    try:
        return await _body(request, _FORM)
    except Exception as error:
        if why_of(error) is Refusal.MEDIA_TYPE:
            raise OAuthRefusal.REQUEST.error() from None
        raise


async def _published(operator: ReferenceOperator, _: Request) -> HttpReply:
    document = operator.signing.signing_keys().jwks(operator.clock.now())
    return HttpReply(200, {"Content-Type": "application/jwk-set+json"}, document)


# --- the control endpoints --------------------------------------------------------------


async def _controlled(
    kind: Any, acts: control.Acts, operator: ReferenceOperator, request: Request
) -> HttpReply:
    _check_here(request)
    return await acts(operator, shapes.read(kind, await _body(request, JSON)))


def _check_here(request: Request) -> None:
    """Refuse who is not on this machine, and what a page in a browser here was made to send."""
    host = request.url.hostname or ""
    peer = "" if request.client is None else request.client.host
    if not _is_loopback(peer) or not (host == "localhost" or _is_loopback(host)):
        raise Refusal.DENIED.error()
    if "origin" in request.headers:
        raise Refusal.DENIED.error()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

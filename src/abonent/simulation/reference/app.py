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
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route, Router

from abonent.engine.observing import cause_of
from abonent.simulation.reference import faults, shapes
from abonent.simulation.reference.answering import ANSWERED_BY, Answers
from abonent.simulation.reference.carrying import delay
from abonent.simulation.reference.clients import ALGORITHMS
from abonent.simulation.reference.control import ACTED_BY, Acts
from abonent.simulation.reference.faults import What
from abonent.simulation.reference.openapi import description
from abonent.simulation.reference.operations import SCOPES, Control, Operation
from abonent.simulation.reference.operator import ReferenceOperator
from abonent.simulation.reference.refusals import (
    JSON,
    NOT_KEPT,
    CallRefused,
    OAuthRefusal,
    Refusal,
    json_reply,
    why_of,
)
from abonent.simulation.reference.tokens import GRANTS
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

    def mounted(operator: ReferenceOperator) -> Mount:
        # An address that is nearly right is another one.
        router = Router([*_routes(operator)], redirect_slashes=False)
        return Mount(_path_of(operator), router)

    app = Starlette(
        routes=[mounted(each) for each in operators],
        lifespan=living,
        exception_handlers={HTTPException: _unrouted},
    )
    app.router.redirect_slashes = False
    return app


def _path_of(operator: ReferenceOperator) -> str:
    _, _, path = operator.url.partition("://")[2].partition("/")
    return f"/{path}" if path else ""


def _routes(operator: ReferenceOperator) -> Iterable[BaseRoute]:
    def route(path: str, place: str, serve: Serves, method: str = "POST") -> Route:
        return Route(path, partial(_answered, operator, place, serve), methods=[method])

    for operation, answers in ANSWERED_BY.items():
        yield route(operation.address, operation.id, partial(_called, operation, answers))
    yield route("/token", faults.TOKEN, _granted)
    yield route("/bc-authorize", faults.BACKCHANNEL, _asked)
    yield route("/.well-known/jwks.json", faults.JWKS, _published, "GET")
    yield route("/.well-known/openid-configuration", "", _configured, "GET")
    yield route("/openapi.json", "", _described, "GET")
    for each, acts in ACTED_BY.items():
        yield route(each.address, "", partial(_controlled, each, acts), each.method)


async def _answered(
    operator: ReferenceOperator, place: str, serve: Serves, request: Request
) -> Response:
    """Let a request be served; whatever goes wrong, something is replied."""
    correlator = request.headers.get(CORRELATOR)
    headers: dict[str, str] = {}
    try:
        if correlator is not None:
            if not _CORRELATOR.fullmatch(correlator):
                raise Refusal.ARGUMENT.error()
            headers[CORRELATOR] = correlator
        reply = await _served(operator, place, serve, request)
    except Exception as error:
        why = why_of(error)
        if why is Refusal.FAILED and not isinstance(error, CallRefused):
            log.error("abonent.call_failed cause=%s", cause_of(error))
        reply = why.reply()
    if place:
        operator.requests[f"{place} {reply.status}"] += 1
    return Response(reply.body, reply.status, {**reply.headers, **headers})


async def _served(
    operator: ReferenceOperator, place: str, serve: Serves, request: Request
) -> HttpReply:
    """Let a request be served, with the fault that it meets, if any."""
    fault = operator.faults.meet(place) if place else None
    if fault is None:
        return await serve(operator, request)
    prevented = (_OAUTH if place in _OAUTH_PLACES else _PREVENTED).get(fault.what)
    if prevented is not None:
        wait = isinstance(fault.seconds, float)
        return prevented.reply({"Retry-After": f"{fault.seconds:.0f}"} if wait else None)
    reply = await serve(operator, request)
    if fault.what is What.SLOW:
        await delay(fault)
    elif fault.what is What.LOST:
        return Refusal.TIMEOUT.reply()
    elif fault.what is What.MALFORMED:
        return HttpReply(200, {"Content-Type": "text/html"}, b"<html>")
    return reply


_PREVENTED: Final[dict[What, Refusal | OAuthRefusal]] = {
    What.UNAVAILABLE: Refusal.UNAVAILABLE,
    What.TOO_MANY: Refusal.TOO_MANY,
    What.UNAUTHENTICATED: Refusal.UNAUTHENTICATED,
    What.DENIED: Refusal.DENIED,
    What.FAILED: Refusal.FAILED,
}
_OAUTH: Final[dict[What, Refusal | OAuthRefusal]] = {
    **_PREVENTED,
    What.UNAVAILABLE: OAuthRefusal.UNAVAILABLE,
    What.UNAUTHENTICATED: OAuthRefusal.CLIENT,
    What.PENDING: OAuthRefusal.PENDING,
}
_OAUTH_PLACES: Final = frozenset({faults.TOKEN, faults.BACKCHANNEL})


async def _unrouted(request: Request, error: Exception) -> Response:
    """Reply to what leads nowhere."""
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
    token = operator.token(request.headers.get("authorization", ""))
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
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST:
                raise Refusal.TOO_LARGE.error()
    except ClientDisconnect:
        raise Refusal.ARGUMENT.error() from None  # nobody is there to read it
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


async def _asked(operator: ReferenceOperator, request: Request) -> HttpReply:
    return json_reply(200, await operator.ask_subscriber(await _form(request)), NOT_KEPT)


async def _form(request: Request) -> bytes:
    try:
        return await _body(request, _FORM)
    except CallRefused as error:
        if error.why is Refusal.MEDIA_TYPE:
            raise OAuthRefusal.REQUEST.error() from None
        raise


async def _published(operator: ReferenceOperator, _: Request) -> HttpReply:
    document = operator.signing.signing_keys().jwks(operator.clock.now())
    return HttpReply(200, {"Content-Type": "application/jwk-set+json"}, document)


async def _configured(operator: ReferenceOperator, _: Request) -> HttpReply:
    """Say where everything is (OpenID Connect Discovery 1.0, 3; RFC 8414, 2)."""
    url = operator.url
    return json_reply(
        200,
        {
            "issuer": url,
            "token_endpoint": f"{url}/token",
            "backchannel_authentication_endpoint": f"{url}/bc-authorize",
            "backchannel_token_delivery_modes_supported": ["poll"],
            "jwks_uri": f"{url}/.well-known/jwks.json",
            "grant_types_supported": list(GRANTS),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "scopes_supported": sorted(SCOPES),
        },
    )


async def _described(operator: ReferenceOperator, _: Request) -> HttpReply:
    return json_reply(200, description(operator.url, operator.setup.operator))


# --- the control endpoints --------------------------------------------------------------


async def _controlled(
    control: Control, acts: Acts, operator: ReferenceOperator, request: Request
) -> HttpReply:
    _check_here(request)
    if control.body is None:
        return await acts(operator, None)
    return await acts(operator, shapes.read(control.body, await _body(request, JSON)))


def _check_here(request: Request) -> None:
    """Refuse who is not on this machine, and what a page in a browser here was made to send."""
    peer = "" if request.client is None else request.client.host
    host = request.url.hostname or ""  # of a name that leads here, somebody else may be the owner
    if not (_is_loopback(peer) and (host == "localhost" or _is_loopback(host))):
        raise Refusal.DENIED.error()
    if "origin" in request.headers:
        raise Refusal.DENIED.error()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

"""What a reference operator says of itself: an OpenAPI 3.1 document, drawn from the tables.

Knows how an operation, its bodies and its refusals are written down there. Refuses to say what is
not so: every reply is one that stands in the document, and a test holds the server to that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from abonent.simulation.reference import shapes
from abonent.simulation.reference.operations import (
    CONTROLS,
    EVERYWHERE,
    OPERATIONS,
    SCOPES,
    Control,
    Operation,
)
from abonent.simulation.reference.refusals import JSON, OAuthRefusal, Refusal

Schema = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_CORRELATOR: Final[Schema] = {"type": "string", "pattern": r"^[a-zA-Z0-9\-_:;./<>{}]{0,256}$"}
_FORM: Final = "application/x-www-form-urlencoded"
_HERE: Final = (
    Refusal.ARGUMENT,
    Refusal.DENIED,
    Refusal.METHOD,
    Refusal.TOO_LARGE,
    Refusal.MEDIA_TYPE,
    Refusal.FAILED,
    Refusal.UNAVAILABLE,
)
_LOOKED_AT: Final = (Refusal.ARGUMENT, Refusal.METHOD, Refusal.FAILED, Refusal.UNAVAILABLE)
_GET_REFUSALS: Final = (*_LOOKED_AT, Refusal.TOO_MANY, Refusal.TIMEOUT)
_ABOUT: Final = (
    "An operator for messengers to be developed against. CAMARA's APIs are those of the releases "
    "named in their summaries; abonent-records is an extension that records identification codes. "
    "Whatever lies under /_control is a testing aid, open to this machine only."
)


def description(url: str, operator: str) -> Schema:
    """Return the document of an operator that is reached at an address."""
    schemas = _components()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Reference operator {operator}",
            "version": "1",
            "description": _ABOUT,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url}],
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "headers": {"x-correlator": {"schema": _CORRELATOR}},
            "parameters": {
                "x-correlator": {
                    "name": "x-correlator",
                    "in": "header",
                    "required": False,
                    "description": "Comes back with the reply.",
                    "schema": _CORRELATOR,
                }
            },
            "securitySchemes": {
                "token": {
                    "type": "oauth2",
                    "description": "A client shows who it is by private_key_jwt.",
                    "flows": {
                        "clientCredentials": {
                            "tokenUrl": f"{url}/token",
                            "scopes": dict.fromkeys(sorted(SCOPES), ""),
                        }
                    },
                }
            },
        },
    }


def _paths() -> Schema:
    paths: defaultdict[str, Schema] = defaultdict(dict)
    for operation in OPERATIONS:
        paths[operation.address]["post"] = _operation(operation)
    for control in CONTROLS:
        paths[control.address][control.method.lower()] = _control(control)
    paths["/token"]["post"] = _form("getToken", _TOKEN_FORM, shapes.TokenReply, "Get a token")
    paths["/bc-authorize"]["post"] = _form(
        "askSubscriber",
        _BACKCHANNEL_FORM,
        shapes.BackchannelReply,
        "Have a subscriber asked (CIBA); here they agree at once",
    )
    jwks = "The public keys of notices (RFC 7517)"
    paths["/.well-known/jwks.json"]["get"] = _document(
        "getKeys", jwks, "application/jwk-set+json", _GET_REFUSALS
    )
    paths["/.well-known/openid-configuration"]["get"] = _document(
        "getConfiguration", "Where everything is", JSON, _LOOKED_AT
    )
    paths["/openapi.json"]["get"] = _document("getDescription", "This document", JSON, _LOOKED_AT)
    return dict(paths)


# --- operations -------------------------------------------------------------------------


def _operation(operation: Operation) -> Schema:
    return {
        "operationId": operation.id,
        "summary": operation.summary,
        "tags": [operation.service.value],
        "security": [{"token": [operation.scope]}],
        "parameters": [{"$ref": "#/components/parameters/x-correlator"}],
        "requestBody": _body(operation.body),
        "responses": _replies(operation.reply, (*EVERYWHERE, *operation.refusals)),
    }


def _control(control: Control) -> Schema:
    given = {} if control.body is None else {"requestBody": _body(control.body)}
    return {
        "operationId": control.id,
        "summary": control.summary,
        "tags": ["_control"],
        "parameters": [{"$ref": "#/components/parameters/x-correlator"}],
        **given,
        "responses": _replies(control.reply, _HERE),
    }


def _form(name: str, form: Schema, reply: type[Any], summary: str) -> Schema:
    refused: defaultdict[int, list[str]] = defaultdict(list)
    for why in OAuthRefusal:
        refused[why.status].append(why.code)
    schema = {"allOf": [_named("OAuthError")]}
    replies: Schema = {
        str(status): _reply(
            "Refused (RFC 6749, 5.2)",
            {**schema, "properties": {"error": {"enum": sorted(codes)}}},
        )
        for status, codes in refused.items()
    }
    others = (Refusal.METHOD, Refusal.TOO_LARGE, Refusal.TOO_MANY, Refusal.FAILED, Refusal.TIMEOUT)
    # A correlator that is none is refused in CAMARA's shape, and so is what the store cannot do.
    for each in (Refusal.ARGUMENT, Refusal.UNAVAILABLE):
        oauth = replies[str(each.status)]["content"][JSON]["schema"]
        replies[str(each.status)] = _reply(
            "Refused", {"oneOf": [oauth, _error(each.status, [each.code])]}
        )
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["authorization"],
        "parameters": [{"$ref": "#/components/parameters/x-correlator"}],
        "requestBody": {"required": True, "content": {_FORM: {"schema": form}}},
        "responses": {**_replies(reply, others), **replies},
    }


def _document(name: str, summary: str, media_type: str, refusals: Iterable[Refusal]) -> Schema:
    content = {media_type: {"schema": {"type": "object"}}}
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["about"],
        "parameters": [{"$ref": "#/components/parameters/x-correlator"}],
        "responses": {
            **_refusals(refusals),
            "200": {"description": "It", "headers": _ECHOED, "content": content},
        },
    }


def _body(kind: type[shapes.Body]) -> Schema:
    return {"required": True, "content": {JSON: {"schema": _named(kind.__name__)}}}


# --- replies ----------------------------------------------------------------------------

_ECHOED: Final[Schema] = {"x-correlator": {"$ref": "#/components/headers/x-correlator"}}


def _replies(reply: type[Any] | None, refusals: Iterable[Refusal]) -> Schema:
    if reply is None:
        went_well = {"204": {"description": "It is done", "headers": _ECHOED}}
    else:
        went_well = {"200": _reply("What was asked for", _named(reply.__name__))}
    return {**went_well, **_refusals(refusals)}


def _refusals(refusals: Iterable[Refusal]) -> Schema:
    by_status: defaultdict[int, list[Refusal]] = defaultdict(list)
    for each in dict.fromkeys(refusals):
        by_status[each.status].append(each)
    return {
        str(status): _reply(
            "; ".join(each.text for each in several),
            _error(status, [each.code for each in several]),
        )
        for status, several in sorted(by_status.items())
    }


def _error(status: int, codes: Iterable[str]) -> Schema:
    return {
        "allOf": [_named("ErrorInfo")],
        "properties": {"status": {"const": status}, "code": {"enum": sorted(codes)}},
    }


def _reply(what: str, schema: Schema) -> Schema:
    return {"description": what, "headers": _ECHOED, "content": {JSON: {"schema": schema}}}


# --- schemas ----------------------------------------------------------------------------


def _named(name: str) -> Schema:
    return {"$ref": _REF.format(name=name)}


def _components() -> Mapping[str, Schema]:
    bodies = {each.body for each in OPERATIONS} | {each.body for each in CONTROLS}
    replies = {each.reply for each in OPERATIONS} | {each.reply for each in CONTROLS}
    others = {shapes.ErrorInfo, shapes.OAuthError, shapes.TokenReply, shapes.BackchannelReply}
    kinds = sorted((bodies | replies | others) - {None}, key=str)
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    named: dict[str, Schema] = dict(sorted(schemas.items()))
    named["Verification"] |= {"minProperties": 1, "maxProperties": 1}
    return named


def _fields(required: Iterable[str], optional: Iterable[str]) -> Schema:
    needed = list(required)
    return {
        "type": "object",
        "required": needed,
        "properties": {each: {"type": "string"} for each in (*needed, *optional)},
    }


_CLIENT: Final = ("client_assertion_type", "client_assertion")
_TOKEN_FORM: Final = _fields(
    ("grant_type",),
    (
        *_CLIENT,
        *("client_id", "scope", "assertion", "code", "code_verifier", "redirect_uri"),
        "auth_req_id",
    ),
)
_BACKCHANNEL_FORM: Final = _fields(("scope", "login_hint", *_CLIENT), ("client_id",))

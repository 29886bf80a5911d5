"""Why a request is refused, and what the sender is told.

Knows every refusal by name, with its status and its code in CAMARA's shape. Refuses to know what
was refused: no answer repeats anything of a request but its correlator.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

import msgspec

from abonent.errors import RequestRefused


class HttpReply(NamedTuple):
    """What goes back: a status, headers, and a body that may be empty."""

    status: int
    headers: dict[str, str]
    body: bytes


class Said(Enum):
    """Why something is refused, as a reply says it: status, code, and a text where there is one."""

    _value_: tuple[int, str, *tuple[str, ...]]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value[0]

    @property
    def code(self) -> str:
        """The code in the body."""
        return self.value[1]

    @property
    def text(self) -> str:
        """What people read: the code, where there is no other text."""
        return self.value[-1]


class Refusal(Said):
    """Why a request was refused. Names, statuses and codes are stable; texts are for people."""

    NOT_HERE = (404, "NOT_FOUND", "nothing is received at this address")
    METHOD = (405, "METHOD_NOT_ALLOWED", "events are posted")
    BODY_TOO_LARGE = (413, "PAYLOAD_TOO_LARGE", "the body is larger than an event can be")
    CONTENT_TYPE = (
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        "the content type is application/cloudevents+json, in UTF-8",
    )
    CONTENT_ENCODING = (415, "UNSUPPORTED_MEDIA_TYPE", "a body is sent without any encoding")
    HEADERS_TOO_LARGE = (431, "HEADERS_TOO_LARGE", "the headers are larger than they need to be")
    HEADERS_UNREADABLE = (400, "INVALID_ARGUMENT", "a header is one line of visible ASCII")

    SIGNATURE_MISSING = (401, "UNAUTHENTICATED", "the request is not signed")
    SIGNATURE_UNREADABLE = (
        401,
        "UNAUTHENTICATED",
        "there must be one signature with our tag, as RFC 9421 has it",
    )
    SIGNATURE_INCOMPLETE = (
        401,
        "UNAUTHENTICATED",
        "the signature must cover method, address, content type and digest",
    )
    SIGNATURE_EXPIRED = (401, "UNAUTHENTICATED", "the signature is too old")
    SIGNATURE_AHEAD = (401, "UNAUTHENTICATED", "the signature is from the future")
    SIGNATURE_WRONG = (401, "UNAUTHENTICATED", "the signature is not that of this request")
    KEY_UNKNOWN = (401, "UNAUTHENTICATED", "no key with this id is known to be the operator's")
    DIGEST_WRONG = (401, "UNAUTHENTICATED", "the body is not the one that was signed")

    NOT_UTF8 = (400, "INVALID_ARGUMENT", "the body is not UTF-8")
    NOT_JSON = (400, "INVALID_ARGUMENT", "the body is not JSON")
    TOO_DEEP = (400, "INVALID_ARGUMENT", "the body is nested deeper than an event is")
    NAME_TWICE = (400, "INVALID_ARGUMENT", "a member has the name of another one beside it")
    MEMBER_MISSING = (400, "INVALID_ARGUMENT", "the event lacks a member")
    MEMBER_UNKNOWN = (400, "INVALID_ARGUMENT", "the event has a member that is not defined")
    MEMBER_WRONG = (400, "INVALID_ARGUMENT", "a member of the event has a wrong type or form")
    TIME_NAIVE = (400, "INVALID_ARGUMENT", "a time has no time zone")
    TYPE_UNKNOWN = (422, "UNSUPPORTED_EVENT_TYPE", "this type of event is not received here")

    NOT_THEIR_KEY = (403, "PERMISSION_DENIED", "the key is not that of the operator it speaks for")
    OPERATOR_UNKNOWN = (403, "PERMISSION_DENIED", "this operator is not served here")
    EVENT_REUSED = (409, "ALREADY_EXISTS", "this id was given to another event")

    FAILED = (500, "INTERNAL", "something is wrong here; the event was not taken")
    UNAVAILABLE = (503, "UNAVAILABLE", "not now; send it again, signed anew")

    def error(self) -> RequestRefused:
        """Return the error to raise."""
        return RequestRefused(self.text, reason=self.name)


TAKEN: Final = HttpReply(204, {}, b"")
"""The reply to every event that was taken, whatever came of it: whether a number is known, and
whether the event came before, is nobody's business (P22)."""


def refused(why: Refusal, headers: Mapping[str, str]) -> HttpReply:
    """Return the reply that says so, with these headers besides its own."""
    said = {"status": why.status, "code": why.code, "message": why.text}
    return HttpReply(
        why.status,
        {"Content-Type": "application/json", **headers},
        msgspec.json.encode(said),
    )

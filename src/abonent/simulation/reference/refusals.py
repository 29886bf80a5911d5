"""What a reference operator replies when it does not do as it is asked.

Knows every refusal by name, with its status and its code: CAMARA's error table (commonalities
r4.2), and OAuth's (RFC 6749, 5.2). Refuses to repeat anything of a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from abonent.errors import (
    AbonentError,
    CallerError,
    IdReused,
    InvalidValue,
    NaiveInstant,
    NoAgreement,
)
from abonent.wire import HttpReply
from abonent.wire.refusals import Said

JSON: Final = "application/json"


class Refusal(Said):
    """Why a call is refused. Names, statuses and codes are stable; texts are for people."""

    ARGUMENT = (400, "INVALID_ARGUMENT", "the body, or a header, is not as the API has it")
    RANGE = (400, "OUT_OF_RANGE", "a date lies in the future")
    CODE_WRONG = (400, "ONE_TIME_PASSWORD_SMS.INVALID_OTP", "this is not the code that was sent")
    CODE_EXPIRED = (
        400,
        "ONE_TIME_PASSWORD_SMS.VERIFICATION_EXPIRED",
        "the code is not valid any more",
    )
    CODE_SPENT = (400, "ONE_TIME_PASSWORD_SMS.VERIFICATION_FAILED", "the code took its last try")
    UNAUTHENTICATED = (401, "UNAUTHENTICATED", "there is no token that counts here")
    DENIED = (403, "PERMISSION_DENIED", "not with this token, and not without an agreement")
    OTHER_MESSENGER = (403, "INVALID_TOKEN_CONTEXT", "the token is not that of this messenger")
    NOT_BY_NETWORK = (
        403,
        "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK",
        "the token does not come from the device's network",
    )
    TOO_MANY_CODES = (
        403,
        "ONE_TIME_PASSWORD_SMS.MAX_OTP_CODES_EXCEEDED",
        "this number has had its codes for now",
    )
    NOT_HERE = (404, "NOT_FOUND", "there is nothing here by this name")
    NOT_OURS = (404, "IDENTIFIER_NOT_FOUND", "this number is no subscriber's of ours")
    NOT_HELD = (404, "ABONENT.NOT_HELD", "nothing is held about the subscriber of this number")
    METHOD = (405, "METHOD_NOT_ALLOWED", "this is done by another method")
    REUSED = (409, "ALREADY_EXISTS", "this id or code came before, about something else")
    TOO_LARGE = (413, "PAYLOAD_TOO_LARGE", "the body is larger than any of ours can be")
    MEDIA_TYPE = (415, "UNSUPPORTED_MEDIA_TYPE", "the body is application/json, not encoded")
    NO_MESSAGE = (
        403,
        "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_NOT_ALLOWED",
        "no message goes to this number from here",
    )
    BLOCKED = (
        403,
        "ONE_TIME_PASSWORD_SMS.PHONE_NUMBER_BLOCKED",
        "this number takes no messages",
    )
    NOT_APPLICABLE = (422, "SERVICE_NOT_APPLICABLE", "it cannot be said of this number")
    MISSING = (422, "MISSING_IDENTIFIER", "neither the token nor the body names a number")
    UNNECESSARY = (422, "UNNECESSARY_IDENTIFIER", "the token names the number already")
    TOO_MANY = (429, "TOO_MANY_REQUESTS", "too many requests; come again later")
    FAILED = (500, "INTERNAL", "something is wrong here")
    UNAVAILABLE = (503, "UNAVAILABLE", "not now; try again")
    TIMEOUT = (504, "TIMEOUT", "the answer comes later; asked again, it may be at hand")

    def error(self) -> CallRefused:
        """Return the error to raise."""
        return CallRefused(self)

    def reply(self, headers: Mapping[str, str] | None = None) -> HttpReply:
        """Return the reply that says so, in CAMARA's shape."""
        said = {"status": self.status, "code": self.code, "message": self.text}
        asked = {"WWW-Authenticate": "Bearer"} if self.status == 401 else {}
        return json_reply(self.status, said, {**asked, **(headers or {})})


class OAuthRefusal(Said):
    """Why no token is given (RFC 6749, 5.2; OpenID CIBA Core 1.0, 11 and 13)."""

    REQUEST = (400, "invalid_request")
    CLIENT = (401, "invalid_client")
    GRANT = (400, "invalid_grant")
    GRANT_TYPE = (400, "unsupported_grant_type")
    SCOPE = (400, "invalid_scope")
    USER = (400, "unknown_user_id")
    PENDING = (400, "authorization_pending")
    EXPIRED = (400, "expired_token")
    UNAVAILABLE = (503, "temporarily_unavailable")

    def error(self) -> CallRefused:
        """Return the error to raise."""
        return CallRefused(self)

    def reply(self, headers: Mapping[str, str] | None = None) -> HttpReply:
        """Return the reply that says so, in the shape of OAuth."""
        said = {"error": self.code}
        return json_reply(self.status, said, {**NOT_KEPT, **(headers or {})})


NOT_KEPT: Final = {"Cache-Control": "no-store"}
"""What goes with every reply about tokens (RFC 6749, 5.1)."""


class CallRefused(CallerError):
    """A reference operator does not do what a client asked; `why` is what it replies."""

    code = "CALL_REFUSED"
    remedy = "Read the code of the reply; the client has to correct the call."

    def __init__(self, why: Refusal | OAuthRefusal) -> None:
        super().__init__(why.code)
        self.why = why


def why_of(error: Exception) -> Refusal | OAuthRefusal:
    """Return what an error of ours is to a client."""
    if isinstance(error, CallRefused):
        return error.why
    if isinstance(error, NoAgreement):
        return Refusal.DENIED
    if isinstance(error, IdReused):
        return Refusal.REUSED
    if isinstance(error, InvalidValue | NaiveInstant):
        return Refusal.ARGUMENT
    if isinstance(error, AbonentError) and error.retryable:
        return Refusal.UNAVAILABLE
    return Refusal.FAILED


def json_reply(status: int, body: object, headers: Mapping[str, str] | None = None) -> HttpReply:
    """Return a reply with a JSON body."""
    return HttpReply(status, {"Content-Type": JSON, **(headers or {})}, msgspec.json.encode(body))

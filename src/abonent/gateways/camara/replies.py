"""What an operator's reply means.

Knows the error table of CAMARA (commonalities r4.2) and of OAuth, and that neither is exhaustive:
what is not listed is a refusal of *us*, an alarm, and never says anything of the subscriber (P18).
Refuses to quote: a text of the other side may hold a number, so errors and logs name a code only
if it is one that we know.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from abonent.core.events import Outcome
from abonent.errors import AdapterError, Misconfigured, Unavailable
from abonent.transport import Response

NOT_HELD: Final = "ABONENT.NOT_HELD"
"""For operators that tell "ours, and nothing is held" from "not ours": an extension of ours."""
IDENTIFIER_NOT_FOUND: Final = "IDENTIFIER_NOT_FOUND"
SERVICE_NOT_APPLICABLE: Final = "SERVICE_NOT_APPLICABLE"

_CODES: Final = frozenset(
    {
        *("INVALID_ARGUMENT", "OUT_OF_RANGE", "METHOD_NOT_ALLOWED", "NOT_ACCEPTABLE"),
        *("UNSUPPORTED_MEDIA_TYPE", "UNAUTHENTICATED", "PERMISSION_DENIED"),
        *("INVALID_TOKEN_CONTEXT", "NOT_FOUND", IDENTIFIER_NOT_FOUND, "ABORTED"),
        *("ALREADY_EXISTS", "CONFLICT", "INCOMPATIBLE_STATE", "GONE", "FAILED_PRECONDITION"),
        *("UNSUPPORTED_IDENTIFIER", "UNNECESSARY_IDENTIFIER", SERVICE_NOT_APPLICABLE),
        *("MISSING_IDENTIFIER", "QUOTA_EXCEEDED", "TOO_MANY_REQUESTS", "INTERNAL"),
        *("NOT_IMPLEMENTED", "BAD_GATEWAY", "UNAVAILABLE", "TIMEOUT", NOT_HELD),
        *(
            f"ONE_TIME_PASSWORD_SMS.{each}"
            for each in (
                *("VERIFICATION_FAILED", "VERIFICATION_EXPIRED", "INVALID_OTP"),
                *("MAX_OTP_CODES_EXCEEDED", "PHONE_NUMBER_NOT_ALLOWED", "PHONE_NUMBER_BLOCKED"),
            )
        ),
        "NUMBER_VERIFICATION.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK",
    }
)
_OAUTH: Final = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant", "invalid_scope"),
        *("unauthorized_client", "unsupported_grant_type", "invalid_dpop_proof"),
        *("access_denied", "expired_token", "authorization_pending", "slow_down"),
        *("unknown_user_id", "server_error", "temporarily_unavailable", "invalid_request_object"),
    }
)
_PASSING: Final = frozenset(
    {
        *("authorization_pending", "slow_down", "expired_token"),
        *("server_error", "temporarily_unavailable"),
    }
)
_TOO_MANY: Final = 429
_TIMED_OUT: Final = 408


def content(response: Response) -> dict[str, Any]:
    """Return the JSON object in a reply that says it went well.

    Raises:
        Misconfigured: there is none.
    """
    found = _object(response)
    if found is None:
        raise Misconfigured("the reply is not the JSON object that was agreed")
    return found


def _object(response: Response) -> dict[str, Any] | None:
    if not response.whole:
        return None
    try:
        return msgspec.json.decode(response.body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def code_of(response: Response) -> str:
    """Return the code of an error body, if it is one that we know, otherwise ""."""
    code = (_object(response) or {}).get("code")
    return code if isinstance(code, str) and code in _CODES else ""


def oauth_error_of(response: Response) -> str:
    """Return the error of a token endpoint, if it is one that we know, otherwise ""."""
    error = (_object(response) or {}).get("error")
    return error if isinstance(error, str) and error in _OAUTH else ""


def is_passing(response: Response) -> bool:
    """Tell whether a reply says that the other side cannot now: 408, 429, 5xx."""
    return response.status in {_TIMED_OUT, _TOO_MANY} or 500 <= response.status <= 599


def is_down(response: Response) -> bool:
    """Tell whether a reply says that the other side does not work: 5xx."""
    return 500 <= response.status <= 599


def refusal(response: Response, code: str) -> AdapterError:
    """Return what a reply means that is no answer: not now, or we are refused."""
    said = f"the operator replies {response.status}" + (f" {code}" if code else "")
    return Unavailable(said) if is_passing(response) else Misconfigured(said)


def token_refusal(response: Response, error: str) -> AdapterError:
    """Return what a reply of a token endpoint means that is no token."""
    said = f"the token endpoint replies {response.status}" + (f" {error}" if error else "")
    if is_passing(response) or error in _PASSING:
        return Unavailable(said)
    return Misconfigured(said)


def tenure(response: Response) -> Outcome | None:
    """Return what a reply of kyc-tenure says of a subscriber; None if it says nothing.

    Whether the tenure is as long as was asked is no matter: who has one is held.
    """
    match response.status, code_of(response):
        case 200, _:
            if type(content(response).get("tenureDateCheck")) is not bool:
                raise Misconfigured("the reply does not say what was asked")
            return Outcome.HELD
        case 404, code if code == IDENTIFIER_NOT_FOUND:
            return Outcome.NOT_OURS
        case 404, code if code == NOT_HELD:
            return Outcome.NOT_HELD
        case 422, code if code == SERVICE_NOT_APPLICABLE:
            return Outcome.UNDETERMINED
        case _:
            return None


def retry_after(response: Response, now: datetime) -> float | None:
    """Return the seconds for which the other side asks not to be asked again, if it does.

    In seconds, or as a date (RFC 9110, 10.2.3). What cannot be read is not there.
    """
    said = response.headers.get("retry-after", "").strip()
    if said.isdecimal():
        return float(said[:9])
    try:
        until = parsedate_to_datetime(said)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())

"""The bodies of requests and replies, as CAMARA's files have them, and our own.

Knows members, types and bounds, once: what is read, what is written and what the published
description says are the same. Refuses a member that is not defined, as CAMARA does.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from abonent.core.states import NoticeKind
from abonent.simulation.reference.faults import Fault
from abonent.simulation.reference.refusals import Refusal
from abonent.simulation.reference.subscribers import SubscriberState

T = TypeVar("T")

Number = Annotated[
    str,
    Meta(pattern=r"^\+[1-9][0-9]{4,14}$", description="A subscriber number in E.164."),
]
Digest = Annotated[
    str,
    Meta(pattern=r"^[a-fA-F0-9]{64}$", description="SHA-256 of the number in E.164, hexadecimal."),
]
Id = Annotated[str, Meta(min_length=1, max_length=128)]
Instant = Annotated[datetime, Meta(tz=True)]
Contract = Literal["PAYG", "PAYM", "Business"]


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a request or reply holds."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"  # most of them hold a number or a code


# --- CAMARA's APIs ----------------------------------------------------------------------


class Tenure(Body, frozen=True):
    """Since when is the subscriber one of ours? (kyc-tenure 0.2.0)."""

    tenure_date: date
    phone_number: Number | UnsetType = UNSET


class TenureInfo(Body, frozen=True):
    """Whether it is at least as long as was asked, and by which kind of contract."""

    tenure_date_check: bool
    contract_type: Contract | UnsetType = UNSET


class Recycling(Body, frozen=True):
    """Has the number changed hands since a day? (number-recycling 0.2.0)."""

    specified_date: date
    phone_number: Number | UnsetType = UNSET


class RecyclingInfo(Body, frozen=True):
    """Whether it has."""

    phone_number_recycled: bool


class SendCode(Body, frozen=True):
    """A code is to be sent (one-time-password-sms 1.1.1)."""

    phone_number: Number
    message: Annotated[
        str,
        Meta(
            pattern=r"\{\{code\}\}",
            max_length=160,
            description="The text of the message, with {{code}} where the code goes.",
        ),
    ]


class SentCode(Body, frozen=True):
    """By which name the attempt is known."""

    authentication_id: Annotated[str, Meta(max_length=36)]


class ValidateCode(Body, frozen=True):
    """Is this the code that was sent?"""

    authentication_id: Annotated[str, Meta(max_length=36)]
    code: Annotated[str, Meta(max_length=10)]


class Verification(Body, frozen=True):
    """Is this the number of the device? Exactly one of the two (number-verification 2.1.0)."""

    phone_number: Number | UnsetType = UNSET
    hashed_phone_number: Digest | UnsetType = UNSET


class VerificationMatch(Body, frozen=True):
    """Whether it is."""

    device_phone_number_verified: bool


# --- our extension ----------------------------------------------------------------------


class Recording(Body, frozen=True):
    """Messenger and identification code are to stand beside the subscriber."""

    id: Id
    messenger: Id
    phone_number: Number
    identification_code: Id


class Withdrawal(Body, frozen=True):
    """A record is to be removed."""

    id: Id
    messenger: Id
    identification_code: Id


# --- errors and tokens ------------------------------------------------------------------


class ErrorInfo(Body, frozen=True):
    """An error, in CAMARA's shape."""

    status: int
    code: str
    message: str


class OAuthError(Struct, frozen=True, kw_only=True):
    """An error of the authorization server (RFC 6749, 5.2)."""

    error: str


class TokenReply(Struct, frozen=True, kw_only=True):
    """A token (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str


class BackchannelReply(Struct, frozen=True, kw_only=True):
    """A subscriber is being asked (OpenID CIBA Core 1.0, 7.3)."""

    auth_req_id: str
    expires_in: int
    interval: int


# --- the control endpoints --------------------------------------------------------------


class Moved(Body, frozen=True):
    """A subscription is over: what the operator's own systems tell its desk."""

    phone_number: Number
    kind: NoticeKind
    id: Id | UnsetType = UNSET
    happened_at: Instant | UnsetType = UNSET


class MovedReply(Body, frozen=True):
    """How many messengers have to be told."""

    id: str
    notices: int


class SubscriberChange(Body, frozen=True):
    """What is to be known of a number from now on."""

    phone_number: Number
    since: Instant | UnsetType = UNSET
    state: SubscriberState = SubscriberState.ACTIVE
    contract_type: Contract = "PAYM"


class OfNumber(Body, frozen=True):
    """Whose."""

    phone_number: Number


class PhoneCodes(Body, frozen=True):
    """The codes that were sent to a number and still count, the newest last."""

    codes: list[str]


class Authorizing(Body, frozen=True):
    """A device in the operator's network begins the authorization code flow with PKCE."""

    phone_number: Number
    code_challenge: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{43}$")]
    redirect_uri: Annotated[str, Meta(min_length=1, max_length=4096)]


class AuthorizationReply(Body, frozen=True):
    """What the device is led on with."""

    code: str


class OperatorTokenReply(Body, frozen=True):
    """What the device has from its SIM."""

    operator_token: str


class FaultList(Body, frozen=True):
    """The faults that are asked for."""

    faults: list[Fault]


class OwedNotice(Body, frozen=True):
    """A notice that its messenger has not acknowledged."""

    id: str
    messenger: str
    kind: NoticeKind
    happened_at: datetime
    due: datetime
    tries: int


class OwedList(Body, frozen=True):
    """All of them, the earliest due first."""

    notices: list[OwedNotice]


class Figures(Body, frozen=True):
    """How often what happened since the process began.

    `requests` by operation and status, `deliveries` by kind and outcome, `faults` by place and
    kind; `subscribers` is how many numbers are known.
    """

    requests: dict[str, int]
    deliveries: dict[str, int]
    faults: dict[str, int]
    subscribers: int


class ReplayReply(Body, frozen=True):
    """Whether the journal of the desk gives its stored state."""

    ok: bool
    records: int
    entries: int
    events: int


def read(kind: type[T], body: bytes) -> T:
    """Read a body.

    Raises:
        CallRefused: it is not one of this kind.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Refusal.ARGUMENT.error() from None


def written(value: Any) -> bytes:
    """Return the bytes of a body."""
    return msgspec.json.encode(value)

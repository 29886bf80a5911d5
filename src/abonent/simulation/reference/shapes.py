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
from abonent.simulation.reference.refusals import Refusal

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


class Body(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a request or reply holds."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"  # most of them hold a number or a code


# --- kyc-tenure 0.2.0, number-recycling 0.2.0 ------------------------------------------


class Tenure(Body, frozen=True):
    """Since when is the subscriber one of ours?"""

    tenure_date: date
    phone_number: Number | UnsetType = UNSET


class TenureInfo(Body, frozen=True):
    """Whether it is at least as long as was asked, and by which kind of contract."""

    tenure_date_check: bool
    contract_type: Literal["PAYG", "PAYM", "Business"] | UnsetType = UNSET


class Recycling(Body, frozen=True):
    """Has the number changed hands since a day?"""

    specified_date: date
    phone_number: Number | UnsetType = UNSET


class RecyclingInfo(Body, frozen=True):
    """Whether it has."""

    phone_number_recycled: bool


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

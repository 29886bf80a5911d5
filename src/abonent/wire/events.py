"""Notices and late answers as CloudEvents 1.0 in structured JSON.

Knows the shape of an event and refuses every other by name. Refuses to know who sent it and
whether that is true. A number stands in the body only.

An event has just these members (CloudEvents 1.0.2, 3.1; CAMARA event guide r4.2, 3.1):
`specversion`, `id`, `source`, `type`, `time`, `data`, and `datacontenttype` if the sender likes.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, NoReturn, TypeVar

import msgspec
from attrs import frozen
from msgspec import Meta, Struct

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import check_instant
from abonent.core.states import NoticeKind
from abonent.errors import InvalidValue
from abonent.ports import LateAnswer, Notice
from abonent.wire.refusals import Refusal

CONTENT_TYPE: Final = "application/cloudevents+json"
EVENT_TYPES: Final = {
    NoticeKind.TERMINATED: "org.abonent.notices.v1.subscription-terminated",
    NoticeKind.REASSIGNED: "org.abonent.notices.v1.number-reassigned",
    NoticeKind.PORTED: "org.abonent.notices.v1.number-ported",
    NoticeKind.NUMBER_CHANGED: "org.abonent.notices.v1.number-changed",
}
"""The type of the event that carries a notice, by what it gives notice of."""
ANSWER_TYPE: Final = "org.abonent.answers.v1.answer-given"
"""The type of the event that carries a late answer."""
LONGEST_BODY: Final = 16_384
"""Bytes of an event, far more than one needs."""
LONGEST_ID: Final = 128

_KINDS: Final = {name: kind for kind, name in EVENT_TYPES.items()}
_SOURCE: Final = "/operators/"
_DEEPEST: Final = 8
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)

_Id = Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)]
_Instant = Annotated[datetime, Meta(tz=True)]


class _Envelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    specversion: Literal["1.0"]
    id: _Id
    source: Annotated[str, Meta(pattern=r"\A/operators/[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?\Z")]
    type: Annotated[str, Meta(max_length=512)]
    time: _Instant
    datacontenttype: Literal["application/json"] | None = None
    data: dict[str, Any]


class _NoticeData(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    number: Annotated[str, Meta(pattern=r"\A\+[1-9][0-9]{4,14}\Z")] = msgspec.field(
        name="phoneNumber"
    )
    happened_at: _Instant | None = msgspec.field(name="happenedAt", default=None)


class _AnswerData(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    query_id: Annotated[str, Meta(min_length=1, max_length=256)] = msgspec.field(name="queryId")
    outcome: Literal["HELD", "NOT_HELD", "NOT_OURS", "UNDETERMINED"]


@frozen(kw_only=True)
class Event:
    """An event as read.

    `id` is the operator's own id of it, by which it is told from others of the same operator.
    `told_at` is when the operator made it; when something happened is said by the notice in it.
    """

    id: str
    told_at: datetime
    item: Notice | LateAnswer


# --- writing ------------------------------------------------------------------------


def encode_event(item: Notice | LateAnswer, *, at: datetime) -> bytes:
    """Return the body of an event that is told at an instant.

    Its id is the notice's, or that of the question that is answered, so that a retry has the same.

    Raises:
        InvalidValue: an id that is not 1–128 printable characters, or `Outcome.LATER`.
        NaiveInstant: `at` has no time zone.
    """
    told_at = check_instant(at).astimezone(UTC)
    if isinstance(item, Notice):
        happened = item.happened_at
        data = _NoticeData(
            number=item.number.e164,
            happened_at=None if happened is None else happened.astimezone(UTC),
        )
        return _encoded(item.id, item.operator, EVENT_TYPES[item.kind], told_at, data)
    if item.outcome is Outcome.LATER:
        raise InvalidValue("that the answer comes later is said when the question is asked")
    answer = {"queryId": item.query_id, "outcome": item.outcome.name}
    return _encoded(item.query_id, item.operator, ANSWER_TYPE, told_at, answer)


def _encoded(name: str, operator: str, kind: str, at: datetime, data: object) -> bytes:
    if not 0 < len(name) <= LONGEST_ID or not name.isprintable():
        raise InvalidValue(f"an event's id is 1 to {LONGEST_ID} printable characters")
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": name,
            "source": _SOURCE + operator,
            "type": kind,
            "time": at,
            "datacontenttype": "application/json",
            "data": data,
        }
    )


# --- reading ------------------------------------------------------------------------


def decode_event(body: bytes) -> Event:
    """Read the body of an event.

    Raises:
        RequestRefused: it is not one; `reason` is the name of a `Refusal`.
    """
    envelope = _member(_Envelope, _json(body))
    if not envelope.id.isprintable():
        raise Refusal.MEMBER_WRONG.error()
    operator = envelope.source.removeprefix(_SOURCE)
    item: Notice | LateAnswer
    if envelope.type == ANSWER_TYPE:
        answer = _member(_AnswerData, envelope.data)
        outcome = Outcome[answer.outcome]
        item = LateAnswer(query_id=answer.query_id, operator=operator, outcome=outcome)
    elif (kind := _KINDS.get(envelope.type)) is not None:
        data = _member(_NoticeData, envelope.data)
        item = Notice(
            id=envelope.id,
            operator=operator,
            kind=kind,
            number=SubscriberNumber(data.number),
            happened_at=None if data.happened_at is None else _utc(data.happened_at),
        )
    else:
        raise Refusal.TYPE_UNKNOWN.error()
    return Event(id=envelope.id, told_at=_utc(envelope.time), item=item)


def claimed_operator(body: bytes) -> str | None:
    """Return which operator a body says that it is from, None if it does not say.

    To be believed by nobody: it tells where to look for the key.
    """
    try:
        source = json.loads(body).get("source")
    except (ValueError, RecursionError, AttributeError):
        return None
    if not isinstance(source, str) or not source.startswith(_SOURCE):
        return None
    return source.removeprefix(_SOURCE)


def _json(body: bytes) -> object:
    if len(body) > LONGEST_BODY:
        raise Refusal.BODY_TOO_LARGE.error()
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal.NOT_UTF8.error() from None
    if _depth(text) > _DEEPEST:
        raise Refusal.TOO_DEEP.error()
    try:
        return json.loads(text, object_pairs_hook=_once_each, parse_constant=_no_constant)
    except ValueError:
        raise Refusal.NOT_JSON.error() from None


def _depth(text: str) -> int:
    """Return how deep brackets are nested outside of strings, whether or not they match."""
    deepest = depth = 0
    for each in _STRING.sub("", text):
        if each in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif each in "]}":
            depth -= 1
    return deepest


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # RFC 8259, 4: with a name twice, readers differ in what they read.
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Refusal.NAME_TWICE.error()
    return members


def _no_constant(_: str) -> NoReturn:
    raise ValueError("JSON has no NaN and no infinity")


S = TypeVar("S", bound=Struct)


def _member(kind: type[S], value: object) -> S:
    """Read an object with just the members that are defined, each of its type and form."""
    if not isinstance(value, dict):
        raise Refusal.MEMBER_WRONG.error()
    known = {each.encode_name: each.required for each in msgspec.structs.fields(kind)}
    if value.keys() - known.keys():
        raise Refusal.MEMBER_UNKNOWN.error()
    if {name for name, required in known.items() if required} - value.keys():
        raise Refusal.MEMBER_MISSING.error()
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        # What it says may quote the value; all that is read of it is which check failed.
        naive = "timezone component" in str(error)
        raise (Refusal.TIME_NAIVE if naive else Refusal.MEMBER_WRONG).error() from None


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise Refusal.MEMBER_WRONG.error() from None

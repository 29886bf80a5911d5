"""A messenger's receiving end: one request in, one reply out, whatever the framework.

Knows the order in which a request is judged, and that nothing of one which is refused is kept.
Refuses to tell a sender more than it knows: whether a number is known is in no reply (P22).

A request is judged in this order: the headers as such, address and method, size and form of the
body, the signature, what the body says, whose key it is. What is wrong first is what is replied.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias, cast
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from abonent.engine.assembly import SystemClock
from abonent.engine.observing import cause_of
from abonent.errors import (
    AdapterError,
    EventReused,
    IdentifierClosed,
    InvalidValue,
    RequestRefused,
    SetupError,
    StorageError,
    UnknownOperator,
)
from abonent.ports import Clock, LateAnswer, Notice
from abonent.transport import check_url
from abonent.wire.events import (
    CONTENT_TYPE,
    LONGEST_BODY,
    Event,
    claimed_operator,
    decode_event,
)
from abonent.wire.jwks import VerificationKeys
from abonent.wire.refusals import HttpReply, Refusal, refused
from abonent.wire.signatures import (
    ACCEPT_SIGNATURE,
    MAX_AGE,
    MAX_AHEAD,
    Freshness,
    SignedRequest,
    verify,
)

log: Final = logging.getLogger("abonent")
LARGEST_HEADERS: Final = 16_384
"""Bytes of all headers together."""
MOST_HEADERS: Final = 128
LONGEST_LIFE: Final = timedelta(hours=1)
"""How old a signature may be said to be acceptable: an event is remembered for longer (P13)."""
RETRY_AFTER: Final = 5
"""Seconds after which a sender is asked to try again, where nothing better is known."""
_CORRELATOR: Final = re.compile(r"[a-zA-Z0-9\-_:;./<>{}]{1,256}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_VISIBLE: Final = re.compile(r"[\x21-\x7e]+", re.ASCII)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]


class Receiver(Protocol):
    """As much of an `Identifier` as an inbox needs."""

    def receive(
        self,
        item: Notice | LateAnswer,
        *,
        received_at: datetime | None = None,
        event_id: str | None = None,
    ) -> object:
        """See `Identifier.receive`."""
        ...


class AsyncReceiver(Protocol):
    """As much of an `AsyncIdentifier` as an inbox needs."""

    async def receive(
        self,
        item: Notice | LateAnswer,
        *,
        received_at: datetime | None = None,
        event_id: str | None = None,
    ) -> object:
        """See `AsyncIdentifier.receive`."""
        ...


class Inbox:
    """Takes what operators send to one address, and hands on what is signed, fresh and an event.

    Behind a proxy the address is still the one that operators were given: it is what they sign,
    and no header is believed about it.

    Args:
        receiver: the identifier.
        url: the address that operators were given: `https://`, without a query.
        keys: the verification keys of each operator, by operator id.
        clock: tells the time; None for the system's. Take that of the identifier.
        max_age: how old a signature may be, inclusive; at most an hour.
        max_ahead: how far ahead of ours the clock of a sender may be, inclusive.

    Raises:
        InvalidValue: an address that operators cannot send to, or times out of range.
    """

    def __init__(
        self,
        receiver: Receiver,
        *,
        url: str,
        keys: Mapping[str, VerificationKeys],
        clock: Clock | None = None,
        max_age: timedelta = MAX_AGE,
        max_ahead: timedelta = MAX_AHEAD,
    ) -> None:
        self._receiver = receiver
        self._border = _Border(url, keys, clock, max_age, max_ahead)

    def receive_http(self, method: str, url: str, headers: Headers, body: bytes) -> HttpReply:
        """Judge one request and say what to reply. It raises nothing that a request can cause.

        Args:
            method: the method.
            url: what was asked for, as an absolute address or as path and query.
            headers: names and values, each line of a repeated header by itself or joined.
            body: the body as it came; read no more than `LONGEST_BODY` + 1 bytes of one.
        """
        arrival = self._border.arrival()
        try:
            event = arrival.judge(method, url, headers, body)
            self._receiver.receive(event.item, received_at=arrival.at, event_id=event.id)
        except Exception as error:
            return arrival.refuse(error)
        return arrival.take()


class AsyncInbox:
    """`Inbox` for `AsyncIdentifier`: the same, with `await`. A request is judged in a thread.

    Args, Raises: as for `Inbox`.
    """

    def __init__(
        self,
        receiver: AsyncReceiver,
        *,
        url: str,
        keys: Mapping[str, VerificationKeys],
        clock: Clock | None = None,
        max_age: timedelta = MAX_AGE,
        max_ahead: timedelta = MAX_AHEAD,
    ) -> None:
        self._receiver = receiver
        self._border = _Border(url, keys, clock, max_age, max_ahead)

    async def receive_http(self, method: str, url: str, headers: Headers, body: bytes) -> HttpReply:
        """See `Inbox.receive_http`."""
        arrival = self._border.arrival()
        try:
            event = await asyncio.to_thread(arrival.judge, method, url, headers, body)
            await self._receiver.receive(event.item, received_at=arrival.at, event_id=event.id)
        except Exception as error:
            return arrival.refuse(error)
        return arrival.take()


# --- what both do alike -------------------------------------------------------------


class _Border:
    """What an inbox was built with."""

    def __init__(
        self,
        url: str,
        keys: Mapping[str, VerificationKeys],
        clock: Clock | None,
        max_age: timedelta,
        max_ahead: timedelta,
    ) -> None:
        if not timedelta() < max_age <= LONGEST_LIFE or not timedelta() <= max_ahead <= max_age:
            raise InvalidValue("a signature lives for up to an hour, and is not far ahead")
        self.url = check_url(url)
        self.path = urlsplit(url).path or "/"
        self.keys = dict(keys)
        self.freshness = Freshness(max_age=max_age, max_ahead=max_ahead)
        self._clock = clock or SystemClock()

    def arrival(self) -> _Arrival:
        """Stamp the arrival of a request."""
        return _Arrival(self, self._clock.now())


class _Arrival:
    """One request on its way through: when it came, who sent it, and what goes back with it."""

    def __init__(self, border: _Border, at: datetime) -> None:
        self._border = border
        self.at = at
        self._operator: str | None = None
        self._echo: dict[str, str] = {}

    def judge(self, method: str, url: str, headers: Headers, body: bytes) -> Event:
        """Return the event that an operator signed.

        Raises:
            RequestRefused: there is none; `reason` is the name of a `Refusal`.
            Whatever a provider of keys raises.
        """
        lines = _lines(headers)
        self._echo = _correlator(lines)
        if not _is_path(url, self._border.path):
            raise Refusal.NOT_HERE.error()
        if method != "POST":
            raise Refusal.METHOD.error()
        if len(body) > LONGEST_BODY:
            raise Refusal.BODY_TOO_LARGE.error()
        request = SignedRequest(method=method, url=self._border.url, lines=lines, body=bytes(body))
        _check_form(request)
        claimed = claimed_operator(request.body)
        signers: dict[str, str] = {}
        kid = verify(request, self._finder(claimed, signers), self._border.freshness, self.at)
        self._operator = signers[kid]
        event = decode_event(request.body)
        if event.item.operator != self._operator:
            raise Refusal.NOT_THEIR_KEY.error()
        return event

    def _finder(
        self, claimed: str | None, signers: dict[str, str]
    ) -> Callable[[str], Ed25519PublicKey | None]:
        """Return how to find a key, which notes whose it is.

        It is looked for with the operator that the body claims to be from, where a new one may be
        fetched; then among what is known of the others, so that a key which speaks for the wrong
        operator is told from one that nobody knows.
        """
        keys = self._border.keys

        def find(kid: str) -> Ed25519PublicKey | None:
            others = [each for each in keys if each != claimed]
            for operator in (claimed, *others):
                if operator is None or operator not in keys:
                    continue
                found = keys[operator].find(kid, may_fetch=operator == claimed)
                if found is not None:
                    signers[kid] = operator
                    return found
            return None

        return find

    def take(self) -> HttpReply:
        """Reply that it was taken: the same whatever came of it, the first time or again (P22)."""
        return HttpReply(204, dict(self._echo), b"")

    def refuse(self, error: Exception) -> HttpReply:
        """Reply that it was not, and why; note it without anything of the request."""
        why = _why(error)
        headers = dict(self._echo)
        if why.status >= 500:
            log.error("abonent.event_not_taken operator=%s cause=%s", self._who, cause_of(error))
        else:
            log.warning("abonent.event_refused operator=%s cause=%s", self._who, why.name)
        if why is Refusal.UNAVAILABLE:
            headers["Retry-After"] = str(self._seconds_until(getattr(error, "retry_at", None)))
        return refused(why, {**headers, **_ASKED.get(why.status, {})})

    @property
    def _who(self) -> str:
        return self._operator or "?"

    def _seconds_until(self, at: datetime | None) -> int:
        if at is None:
            return RETRY_AFTER
        return max(1, round((at - self.at).total_seconds()))


_ASKED: Final = {
    # RFC 9110, 11.6.1, 15.5.6 and 15.5.16; RFC 9421, 5.1.
    401: {"WWW-Authenticate": "Signature", "Accept-Signature": ACCEPT_SIGNATURE},
    405: {"Allow": "POST"},
    415: {"Accept": CONTENT_TYPE, "Accept-Encoding": "identity"},
}
"""What is said besides, by status: how to do it right."""


def _why(error: Exception) -> Refusal:
    if isinstance(error, RequestRefused):
        return Refusal[error.reason]
    if isinstance(error, EventReused):
        return Refusal.EVENT_REUSED
    if isinstance(error, UnknownOperator):
        return Refusal.OPERATOR_UNKNOWN
    if isinstance(error, StorageError | AdapterError | SetupError | IdentifierClosed):
        return Refusal.UNAVAILABLE  # none of them is the sender's; the event is worth another try
    return Refusal.FAILED


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _lines(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Return headers line by line, names in lower case, or refuse them."""
    pairs: Iterable[tuple[str | bytes, str | bytes]]
    pairs = cast("Any", headers).items() if isinstance(headers, Mapping) else headers
    lines: list[tuple[str, str]] = []
    size = 0
    for raw_name, raw_value in pairs:
        size += len(raw_name) + len(raw_value)
        if size > LARGEST_HEADERS or len(lines) >= MOST_HEADERS:
            raise Refusal.HEADERS_TOO_LARGE.error()
        name, value = _text(raw_name), _text(raw_value)
        if not _NAME.fullmatch(name) or _CONTROLS.search(value):
            raise Refusal.HEADERS_UNREADABLE.error()
        lines.append((name.lower(), value))
    return tuple(lines)


def _correlator(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the header by which a sender finds its reply again, if it is one (CAMARA r4.2)."""
    found = [value for name, value in lines if name == "x-correlator"]
    if len(found) != 1 or not _CORRELATOR.fullmatch(found[0]):
        return {}
    return {"x-correlator": found[0]}


def _is_path(url: str, path: str) -> bool:
    """Tell whether an address has just this path and no query, wherever it says that it is."""
    # What is not visible is passed over by urlsplit; to us it is another address.
    if not _VISIBLE.fullmatch(url) or "?" in url or "#" in url:
        return False
    if url.startswith("/"):
        return url == path
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and (parts.path or "/") == path


def _check_form(request: SignedRequest) -> None:
    types = request.values("content-type")
    if len(types) != 1 or not _is_event(types[0]):
        raise Refusal.CONTENT_TYPE.error()
    if any(each.strip().lower() != "identity" for each in request.values("content-encoding")):
        raise Refusal.CONTENT_ENCODING.error()


def _is_event(content_type: str) -> bool:
    """Tell whether a content type is that of an event, with no other parameter than UTF-8."""
    media, *parameters = (each.strip().lower() for each in content_type.split(";"))
    return media == CONTENT_TYPE and all(
        each in ("charset=utf-8", 'charset="utf-8"') for each in parameters
    )

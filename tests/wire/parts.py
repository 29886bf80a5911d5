"""An operator, a messenger's inbox, and requests that are right until something is changed."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import attrs
from attrs import frozen

from abonent import LateAnswer, Notice, NoticeKind, Outcome, SubscriberNumber
from abonent.errors import Unavailable
from abonent.simulation import SimulatedClock
from abonent.transport import Response
from abonent.wire import (
    CONTENT_TYPE,
    AsyncInbox,
    HttpReply,
    Inbox,
    JwksKeys,
    SigningKey,
    SigningKeys,
    encode_event,
)
from abonent.wire.signatures import COVERED, LABEL, TAG, sign

START = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)
MICROSECOND = timedelta(microseconds=1)
M, N = "mts", "beeline"
X = "+79161234567"
PATH = "/operators/notices"
URL = f"https://chat.example{PATH}"

KEYS = {
    M: SigningKeys(keys=(SigningKey(seed=bytes(range(32)), signs_from=START - DAY),)),
    N: SigningKeys(keys=(SigningKey(seed=bytes(range(32, 64)), signs_from=START - DAY),)),
}
JWKS = {operator: keys.jwks(START) for operator, keys in KEYS.items()}
NOTICE = Notice(
    id="n-1",
    operator=M,
    kind=NoticeKind.TERMINATED,
    number=SubscriberNumber(X),
    happened_at=START - HOUR,
)
ANSWER = LateAnswer(query_id="q-1", operator=M, outcome=Outcome.HELD)


def event(**changes: Any) -> dict[str, Any]:
    """The JSON of a notice's event, changed; a change to `...` takes the member away."""
    members = json.loads(encode_event(NOTICE, at=START)) | changes
    return {name: value for name, value in members.items() if value is not ...}


def data(**changes: Any) -> dict[str, Any]:
    """The same event with its data changed."""
    members = event()["data"] | changes
    return event(data={name: value for name, value in members.items() if value is not ...})


@frozen
class Post:
    """A request as an operator sends it."""

    body: bytes
    lines: tuple[tuple[str, str], ...]
    method: str = "POST"
    url: str = URL

    def but(self, **changes: Any) -> Post:
        return attrs.evolve(self, **changes)

    def with_header(self, name: str, value: str | None) -> Post:
        """Replace all lines of a header by one, or by none."""
        kept = tuple(each for each in self.lines if each[0] != name)
        return self.but(lines=kept if value is None else (*kept, (name, value)))

    def header(self, name: str) -> str:
        (value,) = [value for each, value in self.lines if each == name]
        return value

    @property
    def parts(self) -> tuple[str, str, tuple[tuple[str, str], ...], bytes]:
        return self.method, self.url, self.lines, self.body


def post(
    item: Notice | LateAnswer = NOTICE,
    *,
    at: datetime = START,
    key: SigningKey | None = None,
    body: bytes | None = None,
    url: str = URL,
) -> Post:
    """Sign a request as our own carrier does."""
    key = key or KEYS[item.operator].current(at)
    body = encode_event(item, at=at) if body is None else body
    headers = sign(
        url=url, content_type=CONTENT_TYPE, body=body, key=key.private, kid=key.kid, at=at
    )
    return Post(body=body, lines=tuple(headers.items()), url=url)


def signed_by_hand(
    *,
    covered: Sequence[str] = COVERED,
    parameters: str | None = None,
    created: datetime = START,
    kid: str | None = None,
    tag: str = f';tag="{TAG}"',
    label: str = LABEL,
    method: str = "POST",
    url: str = URL,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    key: SigningKey | None = None,
) -> Post:
    """Sign a request as somebody else's stack might: RFC 9421, 2.5, written out.

    `covered` are names, or serialized items with parameters, whose values `headers` may give.
    """
    key = key or KEYS[M].current(START)
    body = encode_event(NOTICE, at=START) if body is None else body
    digest = b64encode(sha256(body).digest()).decode()
    given = {"content-type": CONTENT_TYPE, "content-digest": f"sha-256=:{digest}:"}
    given |= headers or {}
    parts = urlsplit(url)
    values = {
        "@method": method,
        "@target-uri": url,
        "@authority": parts.netloc,
        "@path": parts.path,
        "@request-target": parts.path,
        **given,
        '"content-digest";key="sha-256"': f":{digest}:",
        '"content-type";bs': f":{b64encode(given['content-type'].encode()).decode()}:",
    }
    names = [each if each.startswith('"') else f'"{each}"' for each in covered]
    if parameters is None:
        parameters = f';created={int(created.timestamp())};keyid="{kid or key.kid}"{tag}'
    signed = f"({' '.join(names)}){parameters}"
    lines = [f"{name}: {values[each]}" for name, each in zip(names, covered, strict=True)]
    base = "\n".join([*lines, f'"@signature-params": {signed}'])
    signature = b64encode(key.private.sign(base.encode())).decode()
    given |= {"signature-input": f"{label}={signed}", "signature": f"{label}=:{signature}:"}
    return Post(body=body, lines=tuple(given.items()), method=method, url=url)


class Receiver:
    """Remembers what was handed on; raises `failure` if there is one."""

    def __init__(self) -> None:
        self.taken: list[tuple[Notice | LateAnswer, datetime | None, str | None]] = []
        self.failure: BaseException | None = None

    def receive(
        self,
        item: Notice | LateAnswer,
        *,
        received_at: datetime | None = None,
        event_id: str | None = None,
    ) -> object:
        if self.failure is not None:
            raise self.failure
        self.taken.append((item, received_at, event_id))
        return None


class _AsyncReceiver:
    def __init__(self, inner: Receiver) -> None:
        self.inner = inner

    async def receive(self, item: Any, **options: Any) -> object:
        return self.inner.receive(item, **options)


class Desk:
    """An inbox with what it hands on to; `shell` is either twin."""

    def __init__(self, shell: type[Inbox] | type[AsyncInbox] = Inbox, **options: Any) -> None:
        self.clock = SimulatedClock(START)
        self.receiver = Receiver()
        given: dict[str, Any] = {
            "url": URL,
            "keys": {operator: JwksKeys(document) for operator, document in JWKS.items()},
            "clock": self.clock,
            **options,
        }
        self.take: Callable[..., HttpReply]
        if shell is Inbox:
            self.take = Inbox(self.receiver, **given).receive_http
        else:
            inbox = AsyncInbox(_AsyncReceiver(self.receiver), **given)
            self.take = lambda *parts: asyncio.run(inbox.receive_http(*parts))

    def reply(self, request: Post) -> HttpReply:
        return self.take(*request.parts)

    def why(self, request: Post, caplog: Any) -> str:
        """The name under which a request is refused, from the log."""
        caplog.clear()
        self.reply(request)
        (record,) = [each for each in caplog.records if each.name == "abonent"]
        return str(record.args[-1])


class Wire:
    """A transport that gives what it is told, and remembers what was sent."""

    def __init__(self, *replies: Response | Exception) -> None:
        self.sent: list[Any] = []
        self.replies = list(replies)

    def send(self, request: Any) -> Response:
        self.sent.append(request)
        reply = self.replies.pop(0) if self.replies else Unavailable("nobody there")
        if isinstance(reply, Exception):
            raise reply
        return reply

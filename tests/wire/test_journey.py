"""From an operator to a user's gate: both ends together, with real identifiers (P13, P22)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
import pytest

from abonent import (
    AsyncIdentifier,
    Identifier,
    Ignored,
    LateAnswer,
    MemoryStorage,
    Notice,
    NoticeKind,
    Outcome,
    SubscriberNumber,
)
from abonent.core.events import NoticeReceived, StaleNoticeIgnored
from abonent.errors import Misconfigured, Unavailable
from abonent.simulation import Reply
from abonent.transport.http import HttpTransport
from abonent.wire import AsyncInbox, HttpReply, Inbox, JwksKeys, SignedCarrier, SigningKeys
from tests.wire.parts import DAY, HOUR, JWKS, KEYS, MINUTE, PATH, SECOND, START, URL, Post, post
from tests.world import M, N, World, X, Y


class Messenger(World):
    """A world whose operators reach it over HTTP."""

    def __init__(self, shell: Any, open_store: Callable[[], Any]) -> None:
        super().__init__(shell, open_store, start=START)
        inner = self.identifier.inner
        keys = {operator: JwksKeys(document) for operator, document in JWKS.items()}
        options: dict[str, Any] = {"url": URL, "keys": keys, "clock": self.clock}
        if isinstance(inner, Identifier):
            self.inbox: Any = Inbox(inner, **options)
        else:
            self.inbox = AsyncInbox(inner, **options)

    def take(self, request: Post) -> HttpReply:
        reply = self.inbox.receive_http(*request.parts)
        if isinstance(reply, tuple):
            return reply  # type: ignore[return-value]
        taken: HttpReply = self.identifier._runner.run(reply)
        return taken


@pytest.fixture(params=[Identifier, AsyncIdentifier], ids=["threads", "asyncio"])
def messenger(request: pytest.FixtureRequest) -> Iterator[Messenger]:
    store = MemoryStorage()
    made = Messenger(request.param, lambda: store)
    yield made
    made.close()


def notice(**changes: Any) -> Notice:
    return attrs.evolve(
        Notice(id="n-1", operator=M, kind=NoticeKind.TERMINATED, number=SubscriberNumber(X)),
        **changes,
    )


TAKEN = HttpReply(204, {}, b"")


def test_a_notice_closes_a_gate(messenger):
    """What an operator signed and posted is heard like any other notice."""
    messenger.identify("alice")
    assert TAKEN == messenger.take(post(notice(), at=messenger.now))
    assert not messenger.gate("alice").open


def test_a_late_answer_opens_one(messenger):
    """The answer to a question that was answered LATER."""
    messenger.m.answer_with(Reply.LATER)
    messenger.identify("alice")
    asked = messenger.m.questions[-1].id
    answer = LateAnswer(query_id=asked, operator=M, outcome=Outcome.HELD)
    assert TAKEN == messenger.take(post(answer, at=messenger.now))
    assert messenger.gate("alice").open


def test_no_reply_tells_whether_a_number_is_known(messenger):
    """P22: known or not, identified or not, stale, repeated or not asked: one and the same."""
    messenger.identify("alice")
    stranger = LateAnswer(query_id="made-up", operator=M, outcome=Outcome.HELD)
    replies = [
        messenger.take(post(item, at=messenger.now))
        for item in (
            notice(),
            notice(),
            notice(id="n-2", number=SubscriberNumber(Y)),
            notice(id="n-3", happened_at=START - HOUR),
            notice(id="n-4", operator=N),
            stranger,
            stranger,
        )
    ]
    assert [TAKEN] * 7 == replies


def test_a_replayed_request_does_nothing(messenger):
    """P13: byte for byte within the window it is answered as before; afterwards it is refused."""
    messenger.identify("alice")
    request = post(notice(), at=messenger.now)
    assert TAKEN == messenger.take(request)
    messenger.identifier.forget("alice")
    messenger.advance(MINUTE)
    messenger.identify("alice")

    assert TAKEN == messenger.take(request)
    assert messenger.gate("alice").open
    messenger.advance(5 * MINUTE)
    assert 401 == messenger.take(request).status
    messenger.advance(DAY)
    assert 401 == messenger.take(request).status
    assert messenger.gate("alice").open
    assert [] == messenger.happened("alice", NoticeReceived)


def test_a_retry_is_answered_like_the_first_time(messenger):
    """P13: signed anew, hours later, by another key: it is the same event, and does nothing."""
    messenger.identify("alice")
    messenger.take(post(notice(), at=messenger.now))
    messenger.identifier.forget("alice")
    messenger.advance(6 * HOUR)
    messenger.identify("alice")
    assert TAKEN == messenger.take(post(notice(), at=messenger.now))
    assert messenger.gate("alice").open


def test_a_retry_after_a_lost_answer_is_heard(messenger):
    """What was not taken is taken when it comes again."""
    messenger.identify("alice")
    messenger.link.cut = True
    assert 503 == messenger.take(post(notice(), at=messenger.now)).status
    assert not messenger.gate("alice").open  # it cannot be said (S32)
    messenger.link.cut = False
    assert messenger.gate("alice").open
    messenger.advance(5 * SECOND)
    assert TAKEN == messenger.take(post(notice(), at=messenger.now))
    assert not messenger.gate("alice").open


def test_another_event_under_the_same_id_is_not_lost(messenger):
    """The operator hears of its mistake; the gate stays as the first one left it."""
    messenger.identify("alice")
    messenger.take(post(notice(kind=NoticeKind.PORTED), at=messenger.now))
    assert 409 == messenger.take(post(notice(), at=messenger.now)).status
    assert messenger.gate("alice").open


def test_what_is_refused_leaves_nothing(messenger):
    """No record and no entry of a request that was not signed by whom it says."""
    messenger.identify("alice")
    before = (messenger.rows(), len(messenger.journal()))
    for request in (
        post(notice(), at=messenger.now).with_header("signature", None),
        post(notice(), at=messenger.now, key=KEYS[N].keys[0]),
        post(notice(), at=messenger.now).but(body=b"{}"),
        post(notice(), at=messenger.now - HOUR),
        post(body=b"{}", at=messenger.now),
    ):
        assert messenger.take(request).status in (400, 401, 403)
    assert before == (messenger.rows(), len(messenger.journal()))
    assert messenger.gate("alice").open


def test_a_key_of_one_operator_cannot_speak_for_another(messenger):
    """The other operator's notice about a number that is not its own is ignored, and no more."""
    messenger.identify("alice")
    assert 403 == messenger.take(post(notice(), at=messenger.now, key=KEYS[N].keys[0])).status
    assert TAKEN == messenger.take(post(notice(operator=N), at=messenger.now))
    assert messenger.gate("alice").open
    (ignored,) = messenger.happened("alice", StaleNoticeIgnored)
    assert Ignored.OTHER_OPERATOR is ignored.why


def test_many_replays_at_once():
    """Thirty-two threads with one request: heard once, and every reply is the same."""
    store = MemoryStorage()
    messenger = Messenger(Identifier, lambda: store)
    messenger.identify("alice")
    request = post(notice(), at=messenger.now)
    with ThreadPoolExecutor(32) as pool:
        replies = list(pool.map(lambda _: messenger.take(request), range(64)))
    assert [TAKEN] * 64 == replies
    assert 1 == len(messenger.happened("alice", NoticeReceived))
    messenger.close()


def test_many_at_once_in_one_loop():
    """The same for asyncio."""
    store = MemoryStorage()
    messenger = Messenger(AsyncIdentifier, lambda: store)
    messenger.identify("alice")
    request = post(notice(), at=messenger.now)

    async def all_at_once() -> list[HttpReply]:
        return await asyncio.gather(
            *(messenger.inbox.receive_http(*request.parts) for _ in range(64))
        )

    assert [TAKEN] * 64 == messenger.identifier._runner.run(all_at_once())
    assert 1 == len(messenger.happened("alice", NoticeReceived))
    messenger.close()


def test_keys_are_rotated_without_a_gap():
    """At every hour of a rotation, what the operator signs is verified by what it shows."""
    store = MemoryStorage()
    messenger = Messenger(Identifier, lambda: store)
    keys = SigningKeys.generate(messenger.now)
    for number in range(12):
        if number == 3:
            keys = keys.rotated(messenger.now)
        inbox = Inbox(
            messenger.identifier.inner,
            url=URL,
            keys={M: JwksKeys(keys.jwks(messenger.now))},
            clock=messenger.clock,
        )
        signed = post(notice(id=f"n-{number}"), at=messenger.now, key=keys.current(messenger.now))
        messenger.advance(5 * MINUTE)
        assert 204 == inbox.receive_http(*signed.parts).status
        messenger.advance(25 * MINUTE)
    messenger.close()


# --- over a socket ------------------------------------------------------------------


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Messenger, str]]:
    """A messenger behind a server on loopback."""
    store = MemoryStorage()
    messenger = Messenger(Identifier, lambda: store)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, headers, said = messenger.inbox.receive_http(
                self.command, self.path, self.headers.items(), body
            )
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}{PATH}"
    messenger.inbox = Inbox(
        messenger.identifier.inner,
        url=url,
        keys={operator: JwksKeys(document) for operator, document in JWKS.items()},
        clock=messenger.clock,
    )
    yield messenger, url
    server.shutdown()
    thread.join()
    server.server_close()
    messenger.close()


def test_over_a_socket(served):
    """The carrier, a client, a server and the inbox: acknowledged, refused and not reached."""
    messenger, url = served
    messenger.identify("alice")
    with HttpTransport() as transport:

        def carrier(keys: SigningKeys = KEYS[M], url: str = url) -> SignedCarrier:
            return SignedCarrier(
                addresses={"m": url}, keys=keys, transport=transport, clock=messenger.clock
            )

        with pytest.raises(Misconfigured):
            carrier(KEYS[N]).deliver("m", notice())
        with pytest.raises(Misconfigured):
            carrier(url=url + "/other").deliver("m", notice())
        assert messenger.gate("alice").open
        carrier().deliver("m", notice())
        carrier().deliver("m", notice())
        assert not messenger.gate("alice").open
        messenger.link.cut = True
        with pytest.raises(Unavailable):
            carrier().deliver("m", notice(id="n-2"))
        messenger.link.cut = False
    assert 1 == len(messenger.happened("alice", NoticeReceived))

"""A messenger's receiving end: one request in, one reply out, whatever the framework."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from abonent.ports import Clock, LateAnswer, Notice
from abonent.wire.jwks import VerificationKeys
from abonent.wire.refusals import HttpReply

Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]


class Receiver(Protocol):
    """As much of an `Identifier` as an inbox needs."""

    def receive(
        self, item: Notice | LateAnswer, *, received_at: datetime | None, event_id: str | None
    ) -> object:
        """See `Identifier.receive`."""
        ...


class Inbox:
    """Takes what operators send to one address, and hands on what is signed and fresh.

    Args:
        receiver: the identifier.
        url: the address that operators were given.
        keys: the verification keys of each operator, by operator id.
        clock: tells the time; None for the system's.
        max_age: how old a signature may be.
        max_ahead: how far ahead of ours a sender's clock may be.
    """

    def __init__(
        self,
        receiver: Receiver,
        *,
        url: str,
        keys: Mapping[str, VerificationKeys],
        clock: Clock | None = None,
        max_age: timedelta = timedelta(minutes=5),
        max_ahead: timedelta = timedelta(seconds=30),
    ) -> None:
        raise NotImplementedError

    def receive_http(self, method: str, url: str, headers: Headers, body: bytes) -> HttpReply:
        """Judge one request and say what to reply. It raises nothing that a request can cause."""
        raise NotImplementedError


class AsyncInbox:
    """`Inbox` for `AsyncIdentifier`: the same, with `await`."""

    async def receive_http(self, method: str, url: str, headers: Headers, body: bytes) -> HttpReply:
        """See `Inbox.receive_http`."""
        raise NotImplementedError

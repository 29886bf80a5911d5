"""Notices and late answers as CloudEvents 1.0 in structured JSON.

Knows the shape of an event and refuses every other by name. Refuses to know who sent it and
whether that is true.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from attrs import frozen

from abonent.core.states import NoticeKind
from abonent.ports import LateAnswer, Notice

CONTENT_TYPE: Final = "application/cloudevents+json"
EVENT_TYPES: Final = {
    NoticeKind.TERMINATED: "org.abonent.notices.v1.subscription-terminated",
    NoticeKind.REASSIGNED: "org.abonent.notices.v1.number-reassigned",
    NoticeKind.PORTED: "org.abonent.notices.v1.number-ported",
    NoticeKind.NUMBER_CHANGED: "org.abonent.notices.v1.number-changed",
}


@frozen(kw_only=True)
class Event:
    """An event as read: the operator's id of it, when it was told, and what it says."""

    id: str
    told_at: datetime
    item: Notice | LateAnswer


def encode_event(item: Notice | LateAnswer, *, at: datetime) -> bytes:
    """Return the body of an event that is told at an instant."""
    raise NotImplementedError


def decode_event(body: bytes) -> Event:
    """Read the body of an event.

    Raises:
        RequestRefused: it is not one; `reason` says why.
    """
    raise NotImplementedError

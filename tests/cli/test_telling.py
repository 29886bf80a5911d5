"""A history in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from abonent.cli.telling import timeline, words
from abonent.core import events
from abonent.core.events import EVENTS, Event, Ignored, Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import Basis, EffectKind, NoticeKind, Reason
from abonent.feed import Happening

AT = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
NUMBER = SubscriberNumber("+79161234567")
PARTS: dict[str, Any] = {
    "agreement": "agreement",
    "asked_at": AT,
    "basis": Basis.OPERATOR_ANSWER,
    "cause": "UNAVAILABLE",
    "claim": "claim-id",
    "code": "identification-code",
    "consent_at": AT,
    "debts": (),
    "due": AT + timedelta(minutes=20),
    "expires_at": AT + timedelta(hours=1),
    "failures": (),
    "happened_at": AT,
    "id": "effect-id",
    "issue": 1,
    "key_id": "k1",
    "locale": "ru",
    "next_try": AT + timedelta(seconds=5),
    "notice_id": "notice-id",
    "number": NUMBER,
    "opaque": b"",
    "operator": "alpha",
    "outcome": Outcome.NOT_HELD,
    "proven_at": AT,
    "purpose": "purpose",
    "query_id": "query-id",
    "reason": Reason.NO_ANSWER,
    "recipient": "recipient",
    "rerouted": True,
    "retry_at": None,
    "rules": "1801",
    "sends": (),
    "tag": b"tag",
    "tried_at": AT,
    "unlisted": False,
    "why": Ignored.STALE,
}
NOTICES = ("NoticeReceived", "StaleNoticeIgnored")


def example(kind: type[Event], **parts: Any) -> Event:
    """Build an event of a kind with parts that fit."""
    given = {**PARTS, "at": AT, **parts}
    given["kind"] = NoticeKind.PORTED if kind.__name__ in NOTICES else EffectKind.RECORD
    if kind is events.ReidentificationRequired:
        given["cause"] = parts.get("cause", NoticeKind.TERMINATED)
    return kind(**{name: given.get(name) for name in kind.__struct_fields__})


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_every_event_has_words_and_no_number(kind: type[Event]) -> None:
    """Each event is told in words: no class name, no number, no id (I9)."""
    told = words(example(kind))
    assert kind.__name__ not in told
    for part in ("916", "4567", "claim-id", "query-id", "notice-id", "identification-code"):
        assert part not in told


def test_what_a_notice_does_to_the_gate_is_told() -> None:
    """Only a ported number keeps the gate open."""
    kind = events.ReidentificationRequired
    assert "closes at once" in words(example(kind, cause=NoticeKind.REASSIGNED))
    assert "stays open until then" in words(example(kind, cause=NoticeKind.PORTED))


def test_own_determination_names_no_operator() -> None:
    """A domestic messenger's identification is told without an operator."""
    assert "own determination" in words(example(events.Passed, operator=None))
    assert words(example(events.NumberClaimed, operator=None)) == "claims a number"


def test_starts_of_tries_are_left_out() -> None:
    """A timeline has the outcomes of tries, not their starts."""
    history = [
        Happening(at=AT, event=example(kind)) for kind in (events.AttemptStarted, events.Lapsed)
    ]
    assert [each.words for each in timeline(history)] == [
        "not identified anew in time; the gate is closed"
    ]

"""Samples of every state and event of an operator's desk, with the variants that matter."""

from __future__ import annotations

from datetime import timedelta

from abonent import NoticeKind, Outcome
from abonent.core.states import Attempt
from abonent.operator.core.events import (
    AnswerFound,
    AnswerGiven,
    AnswerLapsed,
    AnswerPromised,
    AttemptFailed,
    AttemptStarted,
    CodeRecorded,
    Event,
    HoldingTold,
    LineCleared,
    NoticeAcknowledged,
    NoticeOverdue,
    NoticeRequired,
    QuestionCleared,
    QuestionReceived,
    RecordListed,
    RecordUnlisted,
    RecordWithdrawn,
    SubscriptionEnded,
)
from abonent.operator.core.states import (
    Answered,
    AnswerOwed,
    Asked,
    Blank,
    End,
    Hold,
    Lapsed,
    Line,
    NoticeOwed,
    Recorded,
    State,
    Told,
    Withdrawn,
)
from tests.operator.parts import CODE, DAY, MINUTE, START, X

NOW = START
FIRST = Attempt(tries=0, next_try=NOW)
HOLD = Hold(since=NOW - DAY, asked_at=NOW - MINUTE)
KEY = b"k" * 16
KEPT = NOW + 90 * DAY


def at(minutes: float) -> timedelta:
    return NOW + minutes * MINUTE


def asked(*, promised: bool = False) -> Asked:
    return Asked(
        query_id="query-1",
        messenger="m",
        number=X,
        asked_at=at(-1),
        received_at=NOW,
        due=at(20),
        promised=promised,
        looking=FIRST,
    )


def recorded(hold: Hold | None = HOLD) -> Recorded:
    return Recorded(messenger="m", number=X, code=CODE, since=NOW, hold=hold)


def notice_owed(*, overdue: bool = False) -> NoticeOwed:
    return NoticeOwed(
        messenger="m",
        number=X,
        code=CODE,
        since=NOW,
        notice_id="notice-1",
        kind=NoticeKind.TERMINATED,
        happened_at=at(5),
        due=at(5) + DAY,
        overdue=overdue,
        telling=FIRST,
    )


ANSWER_OWED = AnswerOwed(
    query_id="query-1",
    messenger="m",
    number=X,
    outcome=Outcome.HELD,
    received_at=NOW,
    due=at(20),
    giving=FIRST,
)
END = End(id="movement-1", kind=NoticeKind.PORTED, happened_at=at(5), believed_until=at(6) + DAY)
LINES = (
    Line(holds=(("m", HOLD),), ends=(END,), records=(KEY,), kept_until=KEPT),
    Line(records=(KEY,)),
    Line(holds=(("m", HOLD), ("n", HOLD)), kept_until=KEPT),
)
STATE_SAMPLES: tuple[State, ...] = (
    Blank(),
    asked(),
    asked(promised=True),
    ANSWER_OWED,
    Answered(number=X, outcome=Outcome.NOT_HELD, at=at(1), kept_until=KEPT),
    Lapsed(number=X, due=at(20), kept_until=KEPT),
    recorded(),
    recorded(None),
    notice_owed(),
    notice_owed(overdue=True),
    Told(at=at(6)),
    Withdrawn(at=at(6)),
    *LINES,
)
EVENT_SAMPLES: tuple[Event, ...] = (
    QuestionReceived(
        at=NOW,
        asked_at=at(-1),
        query_id="query-1",
        messenger="m",
        number=X,
        due=at(20),
        rules="1801",
    ),
    AnswerPromised(at=NOW),
    AttemptStarted(at=NOW, next_try=at(1)),
    AttemptFailed(at=NOW, cause="UNAVAILABLE", next_try=at(1)),
    AnswerFound(at=NOW, outcome=Outcome.HELD),
    AnswerGiven(at=NOW, outcome=Outcome.HELD, kept_until=KEPT),
    AnswerLapsed(at=at(21), messenger="m", due=at(20), kept_until=KEPT),
    QuestionCleared(at=KEPT),
    CodeRecorded(at=NOW, messenger="m", number=X, code=CODE, hold=HOLD, rules="1801"),
    CodeRecorded(at=NOW, messenger="m", number=X, code=CODE, hold=None, rules="1801"),
    NoticeRequired(
        at=at(6),
        notice_id="notice-1",
        kind=NoticeKind.TERMINATED,
        happened_at=at(5),
        due=at(5) + DAY,
    ),
    NoticeOverdue(at=at(6) + DAY, messenger="m", due=at(5) + DAY),
    NoticeAcknowledged(at=at(7), notice_id="notice-1"),
    RecordWithdrawn(at=NOW),
    HoldingTold(at=NOW, messenger="m", hold=HOLD, kept_until=KEPT),
    SubscriptionEnded(
        at=at(6),
        movement_id="movement-2",
        kind=NoticeKind.TERMINATED,
        happened_at=at(5),
        believed_until=at(6) + DAY,
        kept_until=KEPT,
    ),
    RecordListed(at=NOW, key=KEY),
    RecordUnlisted(at=NOW, key=KEY),
    LineCleared(at=KEPT),
)

"""Samples of every state and event, with the variants that matter to the table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from abonent.core.events import (
    AnswerDeferred,
    AnswerReceived,
    AttemptFailed,
    AttemptStarted,
    CodeExpired,
    CodeIssued,
    CodeRecorded,
    CodeSent,
    DebtGivenUp,
    Declared,
    Displaced,
    Event,
    IdentificationNotPassed,
    Ignored,
    Lapsed,
    LateAnswerIgnored,
    NoticeReceived,
    NumberClaimed,
    NumberDisclosed,
    OperatorAsked,
    Outcome,
    Passed,
    PossessionProven,
    ProofFailed,
    ProofTried,
    RecordWithdrawn,
    ReidentificationRequired,
    StaleNoticeIgnored,
    TombstoneCleared,
    UserForgotten,
)
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import (
    Aggregate,
    Attempt,
    AwaitingAnswer,
    Basis,
    Before,
    Debt,
    EffectKind,
    Forgotten,
    Identified,
    LiveCode,
    NoticeKind,
    NotPassed,
    ProvingPossession,
    Reason,
    ReidentificationDue,
    State,
    Unidentified,
)

NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)

X, Y = SubscriberNumber("+79161234567"), SubscriberNumber("+79262345678")
TAG, OTHER_TAG = b"tag-of-x", b"tag-of-y"
CLAIM, QUERY, CODE = "claim-1", "query-1", "code-1"


def at(minutes: float) -> datetime:
    return NOW + minutes * MINUTE


# --- states -------------------------------------------------------------------------


def identified(**changes: Any) -> Identified:
    fields: dict[str, Any] = {
        "number": X,
        "proven_at": at(-62),
        "asked_at": at(-61),
        "since": at(-60),
        "operator": "mts",
        "agreement": "with-mts",
        "code": CODE,
        "basis": Basis.OPERATOR_ANSWER,
        "rules": "1801",
    }
    return Identified(**(fields | changes))


def self_identified(**changes: Any) -> Identified:
    own = {
        "asked_at": None,
        "operator": None,
        "agreement": None,
        "basis": Basis.OWN_DETERMINATION,
    }
    return identified(**(own | changes))


def due_anew(cause: NoticeKind = NoticeKind.PORTED, **changes: Any) -> ReidentificationDue:
    fields: dict[str, Any] = {
        "was": identified(),
        "cause": cause,
        "happened_at": None,
        "noticed_at": at(-10),
        "due": at(10),
    }
    return ReidentificationDue(**(fields | changes))


def live_code(**changes: Any) -> LiveCode:
    fields: dict[str, Any] = {
        "issue": 1,
        "key_id": "k1",
        "issued_at": NOW,
        "expires_at": at(5),
        "tries": 0,
        "sending": Attempt(tries=0, next_try=at(1)),
        "opaque": b"",
    }
    return LiveCode(**(fields | changes))


def proving(before: Before = None, **changes: Any) -> ProvingPossession:
    fields: dict[str, Any] = {
        "number": X,
        "tag": TAG,
        "claim": CLAIM,
        "operator": "mts",
        "rules": "1801",
        "locale": "",
        "expires_at": at(30),
        "issued": 1,
        "issued_at": NOW,
        "code": live_code(),
        "before": before,
    }
    return ProvingPossession(**(fields | changes))


def awaiting(before: Before = None, **changes: Any) -> AwaitingAnswer:
    fields: dict[str, Any] = {
        "number": X,
        "proven_at": at(-1),
        "operator": "mts",
        "agreement": "with-mts",
        "query_id": QUERY,
        "asked_at": NOW,
        "due": at(20),
        "asking": Attempt(tries=1, next_try=at(2)),
        "rerouted": False,
        "rules": "1801",
        "opaque": b"",
        "before": before,
    }
    return AwaitingAnswer(**(fields | changes))


def not_passed(**changes: Any) -> NotPassed:
    fields: dict[str, Any] = {
        "reason": Reason.NO_ANSWER,
        "at": NOW,
        "due": at(-1),
        "retry_at": None,
    }
    return NotPassed(**(fields | changes))


BEFORE: tuple[Before, ...] = (None, identified(number=Y), due_anew())

STATES: tuple[State, ...] = (
    Unidentified(),
    *(proving(before) for before in BEFORE),
    *(proving(before, code=None) for before in BEFORE),
    *(proving(before, code=live_code(sending=None)) for before in BEFORE),
    *(awaiting(before) for before in BEFORE),
    *(awaiting(before, asking=None) for before in BEFORE),
    identified(),
    self_identified(),
    due_anew(),
    due_anew(NoticeKind.TERMINATED),
    not_passed(),
    not_passed(reason=Reason.TOO_MANY_FAILURES, due=None, retry_at=at(60)),
    Forgotten(at=NOW),
)

RECORD = Debt(
    kind=EffectKind.RECORD,
    operator="mts",
    code=CODE,
    since=at(-60),
    attempt=Attempt(tries=0, next_try=at(3)),
)
WITHDRAWAL = Debt(
    kind=EffectKind.WITHDRAW,
    operator="beeline",
    code="code-0",
    since=at(-60),
    attempt=Attempt(tries=2, next_try=at(4)),
)

AGGREGATES: tuple[Aggregate, ...] = tuple(
    Aggregate(state=state, debts=debts, failures=failures)
    for state, debts, failures in product(
        STATES,
        ((), (RECORD, WITHDRAWAL)),
        ((), ((TAG, (at(-5),)), (OTHER_TAG, (at(-4), at(-3))))),
    )
)

# --- events -------------------------------------------------------------------------


def passed(**changes: Any) -> Passed:
    fields: dict[str, Any] = {
        "at": NOW,
        "number": X,
        "proven_at": at(-1),
        "asked_at": at(-1),
        "operator": "mts",
        "agreement": "with-mts",
        "code": "code-2",
        "basis": Basis.OPERATOR_ANSWER,
        "rules": "1801",
    }
    return Passed(**(fields | changes))


def ended(reason: Reason, **changes: Any) -> IdentificationNotPassed:
    fields: dict[str, Any] = {"at": NOW, "reason": reason, "due": None, "retry_at": None}
    return IdentificationNotPassed(**(fields | changes))


def claimed(**changes: Any) -> NumberClaimed:
    fields: dict[str, Any] = {
        "at": NOW,
        "number": Y,
        "unlisted": False,
        "tag": OTHER_TAG,
        "claim": "claim-2",
        "operator": "mts",
        "rules": "1801",
        "locale": "ru",
        "expires_at": NOW + DAY,
        "older_tags": (),
    }
    return NumberClaimed(**(fields | changes))


EFFECT_IDS = {
    EffectKind.SEND_CODE: f"{CLAIM}.1",
    EffectKind.ASK_OPERATOR: QUERY,
    EffectKind.RECORD: RECORD.id,
    EffectKind.WITHDRAW: WITHDRAWAL.id,
}


def started(kind: EffectKind) -> AttemptStarted:
    return AttemptStarted(at=NOW, kind=kind, id=EFFECT_IDS[kind], next_try=at(7))


def attempt_failed(kind: EffectKind) -> AttemptFailed:
    return AttemptFailed(
        at=NOW, kind=kind, id=EFFECT_IDS[kind], cause="UNAVAILABLE", next_try=at(8)
    )


def notice_received(notice_id: str = "n-1") -> NoticeReceived:
    return NoticeReceived(
        at=NOW, notice_id=notice_id, operator="mts", kind=NoticeKind.PORTED, happened_at=None
    )


def stale(notice_id: str = "n-1") -> StaleNoticeIgnored:
    return StaleNoticeIgnored(
        at=NOW,
        notice_id=notice_id,
        operator="mts",
        kind=NoticeKind.PORTED,
        happened_at=None,
        why=Ignored.STALE,
    )


SAMPLES: tuple[Event, ...] = (
    claimed(),
    CodeIssued(at=NOW, claim=CLAIM, issue=2, key_id="k2", expires_at=at(10)),
    *(started(kind) for kind in EffectKind),
    *(attempt_failed(kind) for kind in EffectKind),
    CodeSent(at=NOW, claim=CLAIM, issue=1, opaque=b"opaque"),
    CodeExpired(at=NOW, claim=CLAIM, issue=1),
    ProofTried(at=NOW, claim=CLAIM, tag=TAG),
    ProofFailed(at=NOW, claim=CLAIM),
    PossessionProven(at=NOW, claim=CLAIM, tag=TAG, tried_at=at(-5)),
    OperatorAsked(
        at=NOW,
        number=X,
        proven_at=at(-1),
        operator="beeline",
        agreement="with-beeline",
        query_id="query-2",
        due=at(20),
        rerouted=True,
        rules="1801",
    ),
    AnswerDeferred(at=NOW, query_id=QUERY, opaque=b"later"),
    AnswerReceived(at=NOW, query_id=QUERY, operator="mts", outcome=Outcome.HELD),
    passed(),
    *(ended(reason) for reason in Reason),
    CodeRecorded(at=NOW, operator="mts", code=CODE),
    RecordWithdrawn(at=NOW, operator="beeline", code="code-0"),
    DebtGivenUp(at=NOW, kind=EffectKind.RECORD, operator="mts", code=CODE),
    notice_received(),
    *(
        ReidentificationRequired(at=NOW, cause=cause, happened_at=None, due=at(20))
        for cause in NoticeKind
    ),
    Displaced(at=NOW),
    Lapsed(at=NOW, due=at(-1)),
    LateAnswerIgnored(
        at=NOW, query_id=QUERY, operator="mts", outcome=Outcome.HELD, why=Ignored.LATE
    ),
    stale(),
    NumberDisclosed(at=NOW, recipient="bank", purpose="delivery", consent_at=at(-1)),
    UserForgotten(at=NOW, debts=(WITHDRAWAL,), failures=((TAG, (at(-5),)),), sends=(at(-5),)),
    TombstoneCleared(at=NOW),
    Declared(at=NOW, number=X, proven_at=at(-60), operator="mts", code="code-3", rules="1801"),
)

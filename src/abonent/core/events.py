"""What has happened: every outcome of every effect, in the past tense.

Knows facts. Refuses to know what they lead to; that is for `evolve`.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import TypeAlias

from attrs import frozen

from abonent.core.budgets import Instants
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import Basis, Debt, EffectKind, NoticeKind, Reason


class Outcome(Enum):
    """What an operator may answer when asked whether it holds information about a subscriber."""

    HELD = "held"
    NOT_HELD = "not_held"
    NOT_OURS = "not_ours"
    """It does not serve the number: ask the router again, once."""
    UNDETERMINED = "undetermined"
    """It cannot tell, and will not be able to."""
    LATER = "later"
    """The answer comes by `receive`, under the same query id."""


class Ignored(Enum):
    """Why an answer or notice changed nothing."""

    LATE = "late"
    """It came after its due instant."""
    NOT_ASKED = "not_asked"
    """No question with this id is open."""
    OTHER_OPERATOR = "other_operator"
    """It came from another operator than the one asked or on record."""
    STALE = "stale"
    """It is about something before the identification or question."""
    REPEATED = "repeated"
    """It was heard before."""
    ALREADY_DUE = "already_due"
    """Re-identification is due already, for no lighter a cause."""


@frozen(kw_only=True)
class NumberClaimed:
    """A user claimed a number. `operator` serves it as far as the router knows."""

    at: datetime
    number: SubscriberNumber
    unlisted: bool
    tag: bytes
    claim: str
    operator: str | None
    rules: str
    locale: str
    expires_at: datetime


@frozen(kw_only=True)
class CodeIssued:
    """A code was issued; it is derived under `key_id` and never stored."""

    at: datetime
    claim: str
    issue: int
    key_id: str
    expires_at: datetime


@frozen(kw_only=True)
class AttemptStarted:
    """A try of something owed begins; if nothing is heard of it, it is made again at `next_try`."""

    at: datetime
    kind: EffectKind
    id: str
    next_try: datetime


@frozen(kw_only=True)
class AttemptFailed:
    """A try of something owed failed; `cause` is the stable code of the error."""

    at: datetime
    kind: EffectKind
    id: str
    cause: str
    next_try: datetime


@frozen(kw_only=True)
class CodeSent:
    """The sender took the code. `opaque` is what it wants handed back."""

    at: datetime
    claim: str
    issue: int
    opaque: bytes


@frozen(kw_only=True)
class CodeExpired:
    """The time of a code ran out; a right one is refused like a wrong one from now on."""

    at: datetime
    claim: str
    issue: int


@frozen(kw_only=True)
class ProofTried:
    """A try was admitted and charged, before its verdict is known (P2)."""

    at: datetime
    claim: str
    tag: bytes


@frozen(kw_only=True)
class ProofFailed:
    """The verdict on a charged try was no. The charge stays."""

    at: datetime
    claim: str


@frozen(kw_only=True)
class PossessionProven:
    """The verdict was yes: the code is used up (P6) and the charge of `tried_at` is taken back."""

    at: datetime
    claim: str
    tag: bytes
    tried_at: datetime


@frozen(kw_only=True)
class OperatorAsked:
    """The serving operator was asked. `at` is when; the answer counts until `due`, inclusive."""

    at: datetime
    number: SubscriberNumber
    proven_at: datetime
    operator: str
    agreement: str | None
    query_id: str
    due: datetime
    rerouted: bool
    rules: str


@frozen(kw_only=True)
class AnswerDeferred:
    """The operator will answer later."""

    at: datetime
    query_id: str
    opaque: bytes


@frozen(kw_only=True)
class AnswerReceived:
    """The operator answered in time. `at` is when we received it, by our clock."""

    at: datetime
    query_id: str
    operator: str
    outcome: Outcome


@frozen(kw_only=True)
class Passed:
    """The user is identified."""

    at: datetime
    number: SubscriberNumber
    proven_at: datetime
    asked_at: datetime | None
    operator: str | None
    agreement: str | None
    code: str
    basis: Basis
    rules: str


@frozen(kw_only=True)
class IdentificationNotPassed:
    """An accepted claim ended without passing. What stood behind it may stand on."""

    at: datetime
    reason: Reason
    due: datetime | None
    retry_at: datetime | None


@frozen(kw_only=True)
class CodeRecorded:
    """The operator acknowledged that it recorded messenger and identification code."""

    at: datetime
    operator: str
    code: str


@frozen(kw_only=True)
class RecordWithdrawn:
    """The operator acknowledged that it removed its record."""

    at: datetime
    operator: str
    code: str


@frozen(kw_only=True)
class DebtGivenUp:
    """Something owed was tried for as long as the policy says and is given up: an alarm (P15)."""

    at: datetime
    kind: EffectKind
    operator: str
    code: str


@frozen(kw_only=True)
class NoticeReceived:
    """The operator gave a notice that counts."""

    at: datetime
    notice_id: str
    operator: str
    kind: NoticeKind
    happened_at: datetime | None


@frozen(kw_only=True)
class ReidentificationRequired:
    """The user has to be identified anew until `due`, inclusive."""

    at: datetime
    cause: NoticeKind
    happened_at: datetime | None
    due: datetime


@frozen(kw_only=True)
class Displaced:
    """Somebody who proved possession later was identified by the same number."""

    at: datetime


@frozen(kw_only=True)
class Lapsed:
    """The time to identify anew ran out; the older identification is gone."""

    at: datetime
    due: datetime


@frozen(kw_only=True)
class LateAnswerIgnored:
    """An answer changed nothing, and why."""

    at: datetime
    query_id: str
    operator: str
    outcome: Outcome
    why: Ignored


@frozen(kw_only=True)
class StaleNoticeIgnored:
    """A notice changed nothing, and why."""

    at: datetime
    notice_id: str
    operator: str
    kind: NoticeKind
    happened_at: datetime | None
    why: Ignored


@frozen(kw_only=True)
class NumberDisclosed:
    """The number was given to a third party, under a consent given at `consent_at`."""

    at: datetime
    recipient: str
    purpose: str
    consent_at: datetime


@frozen(kw_only=True)
class UserForgotten:
    """The first event of a new subject: only this much is left of the user who was forgotten."""

    at: datetime
    debts: tuple[Debt, ...]
    failures: tuple[tuple[bytes, Instants], ...]
    sends: Instants


@frozen(kw_only=True)
class TombstoneCleared:
    """The budgets that outlived a forgotten user have run out."""

    at: datetime


Event: TypeAlias = (
    NumberClaimed
    | CodeIssued
    | AttemptStarted
    | AttemptFailed
    | CodeSent
    | CodeExpired
    | ProofTried
    | ProofFailed
    | PossessionProven
    | OperatorAsked
    | AnswerDeferred
    | AnswerReceived
    | Passed
    | IdentificationNotPassed
    | CodeRecorded
    | RecordWithdrawn
    | DebtGivenUp
    | NoticeReceived
    | ReidentificationRequired
    | Displaced
    | Lapsed
    | LateAnswerIgnored
    | StaleNoticeIgnored
    | NumberDisclosed
    | UserForgotten
    | TombstoneCleared
)
EVENTS: tuple[type[Event], ...] = Event.__args__

"""What has happened: every outcome of every effect, in the past tense.

Knows facts. Refuses to know what they lead to; that is for `evolve`.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import TypeAlias

from abonent.core.budgets import Instants
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import Basis, Debt, EffectKind, Kept, NoticeKind, Reason


class Outcome(Enum):
    """What an operator may answer when asked whether it holds information about a subscriber."""

    HELD = "held"
    NOT_HELD = "not_held"
    NOT_OURS = "not_ours"
    """It does not serve the number; ask the router again, once."""
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


class NumberClaimed(Kept, frozen=True, kw_only=True, tag=32):
    """A user claimed a number. `operator` serves it as far as the router knows.

    `older_tags` are the number's indexes under keys that were current before; what was counted
    under them counts under `tag` from now on.
    """

    at: datetime
    number: SubscriberNumber
    unlisted: bool
    tag: bytes
    claim: str
    operator: str | None
    rules: str
    locale: str
    expires_at: datetime
    older_tags: tuple[bytes, ...]


class CodeIssued(Kept, frozen=True, kw_only=True, tag=33):
    """A code was issued; it is derived under `key_id` and never stored."""

    at: datetime
    claim: str
    issue: int
    key_id: str
    expires_at: datetime


class AttemptStarted(Kept, frozen=True, kw_only=True, tag=34):
    """A try of something owed begins; if nothing is heard of it, it is made again at `next_try`."""

    at: datetime
    kind: EffectKind
    id: str
    next_try: datetime


class AttemptFailed(Kept, frozen=True, kw_only=True, tag=35):
    """A try of something owed failed; `cause` is the stable code of the error."""

    at: datetime
    kind: EffectKind
    id: str
    cause: str
    next_try: datetime


class CodeSent(Kept, frozen=True, kw_only=True, tag=36):
    """The sender took the code. `opaque` is what it wants handed back."""

    at: datetime
    claim: str
    issue: int
    opaque: bytes


class CodeExpired(Kept, frozen=True, kw_only=True, tag=37):
    """The time of a code ran out; a right one is refused like a wrong one from now on."""

    at: datetime
    claim: str
    issue: int


class ProofTried(Kept, frozen=True, kw_only=True, tag=38):
    """A try was admitted and charged, before its verdict is known (P2)."""

    at: datetime
    claim: str
    tag: bytes


class ProofFailed(Kept, frozen=True, kw_only=True, tag=39):
    """The verdict on a charged try was no. The charge stays."""

    at: datetime
    claim: str


class PossessionProven(Kept, frozen=True, kw_only=True, tag=40):
    """The verdict was yes: the code is used up (P6) and the charge of `tried_at` is taken back."""

    at: datetime
    claim: str
    tag: bytes
    tried_at: datetime


class OperatorAsked(Kept, frozen=True, kw_only=True, tag=41):
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


class AnswerDeferred(Kept, frozen=True, kw_only=True, tag=42):
    """The operator will answer later."""

    at: datetime
    query_id: str
    opaque: bytes


class AnswerReceived(Kept, frozen=True, kw_only=True, tag=43):
    """The operator answered in time. `at` is when we received it, by our clock."""

    at: datetime
    query_id: str
    operator: str
    outcome: Outcome


class Passed(Kept, frozen=True, kw_only=True, tag=44):
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


class IdentificationNotPassed(Kept, frozen=True, kw_only=True, tag=45):
    """An accepted claim ended without passing. What stood behind it may stand on."""

    at: datetime
    reason: Reason
    due: datetime | None
    retry_at: datetime | None


class CodeRecorded(Kept, frozen=True, kw_only=True, tag=46):
    """The operator acknowledged that it recorded messenger and identification code."""

    at: datetime
    operator: str
    code: str


class RecordWithdrawn(Kept, frozen=True, kw_only=True, tag=47):
    """The operator acknowledged that it removed its record."""

    at: datetime
    operator: str
    code: str


class DebtGivenUp(Kept, frozen=True, kw_only=True, tag=48):
    """Something owed was tried for as long as the policy says and is given up: an alarm (P15)."""

    at: datetime
    kind: EffectKind
    operator: str
    code: str


class NoticeReceived(Kept, frozen=True, kw_only=True, tag=49):
    """The operator gave a notice that counts."""

    at: datetime
    notice_id: str
    operator: str
    kind: NoticeKind
    happened_at: datetime | None


class ReidentificationRequired(Kept, frozen=True, kw_only=True, tag=50):
    """The user has to be identified anew until `due`, inclusive."""

    at: datetime
    cause: NoticeKind
    happened_at: datetime | None
    due: datetime


class Displaced(Kept, frozen=True, kw_only=True, tag=51):
    """Somebody who proved possession later was identified by the same number."""

    at: datetime


class Lapsed(Kept, frozen=True, kw_only=True, tag=52):
    """The time to identify anew ran out; the older identification is gone."""

    at: datetime
    due: datetime


class LateAnswerIgnored(Kept, frozen=True, kw_only=True, tag=53):
    """An answer changed nothing, and why."""

    at: datetime
    query_id: str
    operator: str
    outcome: Outcome
    why: Ignored


class StaleNoticeIgnored(Kept, frozen=True, kw_only=True, tag=54):
    """A notice changed nothing, and why."""

    at: datetime
    notice_id: str
    operator: str
    kind: NoticeKind
    happened_at: datetime | None
    why: Ignored


class NumberDisclosed(Kept, frozen=True, kw_only=True, tag=55):
    """The number was given to a third party, under a consent given at `consent_at`."""

    at: datetime
    recipient: str
    purpose: str
    consent_at: datetime


class UserForgotten(Kept, frozen=True, kw_only=True, tag=56):
    """The first event of a new subject: only this much is left of the user who was forgotten."""

    at: datetime
    debts: tuple[Debt, ...]
    failures: tuple[tuple[bytes, Instants], ...]
    sends: Instants


class TombstoneCleared(Kept, frozen=True, kw_only=True, tag=57):
    """The budgets that outlived a forgotten user have run out."""

    at: datetime


class Declared(Kept, frozen=True, kw_only=True, tag=58):
    """A user whom the messenger had before brought their number along: nobody proved it to us.

    `proven_at` is when the messenger says that possession was proven to it.
    """

    at: datetime
    number: SubscriberNumber
    proven_at: datetime
    operator: str | None
    code: str
    rules: str


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
    | Declared
)
EVENTS: tuple[type[Event], ...] = Event.__args__

"""The states of an identification, each holding just what it needs.

Knows what is true of a user now. Refuses to know how it came to be (events) or what may follow
(transitions). Codes and keys never enter here.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct

from abonent.core.budgets import Instants
from abonent.core.numbers import SubscriberNumber


class Kept(
    Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True, gc=False
):
    """What is stored: its tag, then its fields in their order, which never change once released.

    It holds values only, so no cycle runs through it and the garbage collector may pass it by.
    """


class Reason(Enum):
    """Why somebody is not identified, or why a gate is closed. The values are stable."""

    NO_AGREEMENT = "no_agreement"
    """No agreement with the serving operator was in force when it was to be asked."""
    NOT_HELD = "not_held"
    """The operator holds no information about the subscriber."""
    NO_ANSWER = "no_answer"
    """The operator did not answer within the statutory time."""
    UNDETERMINED = "undetermined"
    """The operator said that it cannot tell."""
    TOO_MANY_FAILURES = "too_many_failures"
    """The failures of the last 24 hours by this user on this number reached the budget."""
    CLAIM_EXPIRED = "claim_expired"
    """The claim was not proven in time."""
    SUBSCRIPTION_ENDED = "subscription_ended"
    """The operator gave notice while its answer was awaited."""
    NOT_IDENTIFIED_ANEW = "not_identified_anew"
    """The time to identify anew ran out."""
    DISPLACED = "displaced"
    """Somebody proved possession of the number later."""
    NOT_IDENTIFIED = "not_identified"
    """Nothing is held about this user, or no claim has passed yet."""
    REIDENTIFICATION_DUE = "reidentification_due"
    """A notice came; the user has to be identified anew."""
    FORGOTTEN = "forgotten"
    """The user was forgotten."""
    CANNOT_SAY = "cannot_say"
    """The store is out of reach or a record is damaged; this says nothing of the user."""


class NoticeKind(Enum):
    """What an operator gives notice of."""

    TERMINATED = "terminated"
    """The subscriber's contract ended."""
    REASSIGNED = "reassigned"
    """The number was given to another subscriber."""
    PORTED = "ported"
    """The subscriber took the number to another operator."""
    NUMBER_CHANGED = "number_changed"
    """The subscriber has another number now."""

    @property
    def keeps_gate_open(self) -> bool:
        """Whether the user may go on sending until re-identification is due.

        Only a ported number stays with its holder (P18).
        """
        return self is NoticeKind.PORTED


class Basis(Enum):
    """On what an identification rests."""

    OWN_DETERMINATION = "own_determination"
    """A domestic messenger determined the number by itself."""
    OPERATOR_ANSWER = "operator_answer"
    """The serving operator answered that it holds information about the subscriber."""
    DECLARED = "declared"
    """Taken over in bulk as an existing user; listed apart until identified anew."""


class EffectKind(Enum):
    """What can be owed to the world."""

    SEND_CODE = "send_code"
    ASK_OPERATOR = "ask_operator"
    RECORD = "record"
    WITHDRAW = "withdraw"


class Attempt(Kept, frozen=True, kw_only=True, tag=10):
    """How often something owed was tried, and when it is next."""

    tries: int
    next_try: datetime


class Debt(Kept, frozen=True, kw_only=True, tag=11):
    """A record or withdrawal that an operator has yet to acknowledge. It holds no number."""

    kind: EffectKind
    operator: str
    code: str
    since: datetime
    attempt: Attempt

    @property
    def id(self) -> str:
        """The idempotency id of this debt."""
        return f"{self.code}.{self.kind.value}"


class Unidentified(Kept, frozen=True, kw_only=True, tag=1):
    """Nothing is known yet."""


class Identified(Kept, frozen=True, kw_only=True, tag=4):
    """Identified by a number, under a named rule set; `operator=None`: by own determination.

    `asked_at` is None where no operator was asked.
    """

    number: SubscriberNumber
    proven_at: datetime
    asked_at: datetime | None
    since: datetime
    operator: str | None
    agreement: str | None
    code: str
    basis: Basis
    rules: str

    @property
    def fresh_from(self) -> datetime:
        """Notices about earlier happenings are stale for this identification (I4)."""
        return self.proven_at if self.asked_at is None else self.asked_at


class ReidentificationDue(Kept, frozen=True, kw_only=True, tag=5):
    """A notice came. The gate follows the cause until `due`, inclusive; then it is closed."""

    was: Identified
    cause: NoticeKind
    happened_at: datetime | None
    noticed_at: datetime
    due: datetime


Before: TypeAlias = Identified | ReidentificationDue | None
"""An older identification that stands behind a new attempt."""


class LiveCode(Kept, frozen=True, kw_only=True, tag=12):
    """A one-time code that was issued and not used up. The code itself is derived, never held."""

    issue: int
    key_id: str
    issued_at: datetime
    expires_at: datetime
    tries: int
    sending: Attempt | None
    opaque: bytes


class ProvingPossession(Kept, frozen=True, kw_only=True, tag=2):
    """A claim that waits for its proof. `operator` served the number when it was claimed."""

    number: SubscriberNumber
    tag: bytes
    claim: str
    operator: str | None
    rules: str
    locale: str
    expires_at: datetime
    issued: int
    issued_at: datetime
    code: LiveCode | None
    before: Before


class AwaitingAnswer(Kept, frozen=True, kw_only=True, tag=3):
    """Possession is proven and the operator was asked; `asking=None`: it will answer later."""

    number: SubscriberNumber
    proven_at: datetime
    operator: str
    agreement: str | None
    query_id: str
    asked_at: datetime
    due: datetime
    asking: Attempt | None
    rerouted: bool
    rules: str
    opaque: bytes
    before: Before


class NotPassed(Kept, frozen=True, kw_only=True, tag=6):
    """An accepted claim that did not pass. `due` is the deadline that ran out, if one did."""

    reason: Reason
    at: datetime
    due: datetime | None
    retry_at: datetime | None


class Forgotten(Kept, frozen=True, kw_only=True, tag=7):
    """The user was forgotten; only debts and budgets are left, until they run out."""

    at: datetime


State: TypeAlias = (
    Unidentified
    | ProvingPossession
    | AwaitingAnswer
    | Identified
    | ReidentificationDue
    | NotPassed
    | Forgotten
)
STATES: tuple[type[State], ...] = (
    Unidentified,
    ProvingPossession,
    AwaitingAnswer,
    Identified,
    ReidentificationDue,
    NotPassed,
    Forgotten,
)


class Aggregate(Struct, frozen=True, kw_only=True):
    """A state with its debts and budgets: all that is kept about one subject.

    `failures` counts failed proofs by number tag, `sends` the codes sent to this user,
    `notices` the ids of the last notices heard, so that the same one twice does nothing more.
    """

    state: State = Unidentified()
    debts: tuple[Debt, ...] = ()
    failures: tuple[tuple[bytes, Instants], ...] = ()
    sends: Instants = ()
    notices: tuple[str, ...] = ()


BLANK = Aggregate()

# A tuple, because a union is built anew each time that it is asked for.
ATTEMPTS: Final = (ProvingPossession, AwaitingAnswer)

# Where a record is asked what it is on every step, its exact type is compared: nothing derives from
# these, and `isinstance` takes five times as long to say no of a Struct.


def standing_identification(state: State) -> Before:
    """Return the identification that stands now, also the one behind a new attempt."""
    if type(state) is ProvingPossession or type(state) is AwaitingAnswer:
        return state.before
    if type(state) is Identified or type(state) is ReidentificationDue:
        return state
    return None


def identified_in(before: Before) -> Identified | None:
    """Return the identification itself, whether it is due to be made anew or not."""
    if type(before) is ReidentificationDue:
        return before.was
    return before if type(before) is Identified else None

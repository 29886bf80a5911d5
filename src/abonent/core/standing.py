"""Standing: where a user stands, and what they may do next and from when.

Knows how to say it to the user. Refuses to say anything about a number's other claimants (P22).
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from msgspec import Struct

from abonent.core.budgets import free_at, live
from abonent.core.claims import resend_at
from abonent.core.evolution import failures_on
from abonent.core.owed import Gate, gate
from abonent.core.policy import Policy
from abonent.core.states import (
    Aggregate,
    AwaitingAnswer,
    Basis,
    NotPassed,
    ProvingPossession,
    Reason,
    ReidentificationDue,
    identified_in,
    standing_identification,
)


class Status(Enum):
    """The state of an identification, by name. The values are stable."""

    UNIDENTIFIED = "unidentified"
    PROVING_POSSESSION = "proving_possession"
    AWAITING_ANSWER = "awaiting_answer"
    IDENTIFIED = "identified"
    REIDENTIFICATION_DUE = "reidentification_due"
    NOT_PASSED = "not_passed"
    FORGOTTEN = "forgotten"


class Action(Enum):
    """What a user may do next."""

    CLAIM = "claim"
    """Claim a number."""
    PROVE = "prove"
    """Enter the code."""
    RESEND = "resend"
    """Claim the same number again and be sent a new code."""
    WAIT = "wait"
    """Wait for the operator's answer."""


class NextStep(Struct, frozen=True, kw_only=True):
    """One thing that may be done `since` an instant, and `until` another if one is set.

    `tries` is how many wrong codes are still admitted, for `Action.PROVE`.
    """

    action: Action
    since: datetime
    until: datetime | None = None
    tries: int | None = None


class Standing(Struct, frozen=True, kw_only=True):
    """The answer to every call about one user.

    `reason` says why the last attempt did not pass, or what closed the gate;
    `identification_code` is the code given to the user, while identified.
    """

    user_id: str
    status: Status
    gate: Gate
    reason: Reason | None
    basis: Basis | None
    identification_code: str | None
    next: tuple[NextStep, ...]

    def may(self, action: Action) -> NextStep | None:
        """Return the step for this action, or None if it is not open to the user."""
        return next((each for each in self.next if each.action is action), None)


_STATUS = {
    "ProvingPossession": Status.PROVING_POSSESSION,
    "AwaitingAnswer": Status.AWAITING_ANSWER,
    "Identified": Status.IDENTIFIED,
    "ReidentificationDue": Status.REIDENTIFICATION_DUE,
    "NotPassed": Status.NOT_PASSED,
    "Forgotten": Status.FORGOTTEN,
}


def standing(user_id: str, aggregate: Aggregate, at: datetime, policy: Policy) -> Standing:
    """Say where a user stands at this instant."""
    state = aggregate.state
    answer = gate(aggregate, at)
    identified = identified_in(standing_identification(state))
    return Standing(
        user_id=user_id,
        status=_STATUS.get(type(state).__name__, Status.UNIDENTIFIED),
        gate=answer,
        reason=state.reason if isinstance(state, NotPassed) else answer.reason,
        basis=None if identified is None else identified.basis,
        identification_code=None if identified is None else identified.code,
        next=_next_steps(aggregate, at, policy),
    )


def _next_steps(aggregate: Aggregate, at: datetime, policy: Policy) -> tuple[NextStep, ...]:
    state = aggregate.state
    if isinstance(state, AwaitingAnswer):
        return (NextStep(action=Action.WAIT, since=at, until=state.due),)
    if isinstance(state, ProvingPossession):
        return _while_proving(state, aggregate, at, policy)
    if isinstance(state, NotPassed):
        return (NextStep(action=Action.CLAIM, since=max(at, state.retry_at or at)),)
    if isinstance(state, ReidentificationDue):
        return (NextStep(action=Action.CLAIM, since=at, until=state.due),)
    return (NextStep(action=Action.CLAIM, since=at),)


def _while_proving(
    state: ProvingPossession, aggregate: Aggregate, at: datetime, policy: Policy
) -> tuple[NextStep, ...]:
    steps: list[NextStep] = []
    failed = failures_on(aggregate, state.tag)
    left = max(0, policy.failures_per_day - len(live(failed, at)))
    code = state.code
    if code is not None and at <= code.expires_at and code.tries < policy.tries_per_code:
        tries = min(left, policy.tries_per_code - code.tries)
        steps.append(NextStep(action=Action.PROVE, since=at, until=code.expires_at, tries=tries))
    sends = free_at(aggregate.sends, policy.sends_per_user, at) or at
    since = max(at, resend_at(state, policy.resend_after), sends)
    steps.append(NextStep(action=Action.RESEND, since=since, until=state.expires_at))
    return tuple(steps)

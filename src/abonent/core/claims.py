"""Claims and proofs: steps 2 to 4 of the procedure.

Knows when a claim is refused, a try admitted and a proof accepted. Refuses to know what an
operator answers.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from abonent.core.answers import ask, pass_
from abonent.core.budgets import free_at
from abonent.core.commands import Claim, Declare, JudgeProof, Terrain, TryProof
from abonent.core.course import Course, not_passed
from abonent.core.events import (
    CodeIssued,
    Declared,
    NumberClaimed,
    Passed,
    PossessionProven,
    ProofFailed,
    ProofTried,
)
from abonent.core.evolution import failures_on
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import (
    AwaitingAnswer,
    Basis,
    Identified,
    ProvingPossession,
    Reason,
    State,
    Unidentified,
)
from abonent.errors import (
    CodeSpent,
    NoAgreement,
    NothingToProve,
    NumberTaken,
    NumberUnrouted,
    SendingStopped,
    TooManyFailures,
    TooManySends,
    UserKnown,
)


def claim(course: Course, command: Claim) -> None:
    """Accept a claim or refuse it at once (step 2)."""
    state = course.aggregate.state
    if _is_done_already(state, command.number):
        return  # the caller learns their standing
    if isinstance(state, ProvingPossession) and state.number == command.number:
        _resend(course, command, state)
        return
    terms = course.terrain.terms_to_begin(command.at)
    _check_operator(course.terrain, command.operator, command.at)
    _check_budgets(course, command)
    course.add(
        NumberClaimed(
            at=command.at,
            number=command.number,
            unlisted=command.unlisted,
            tag=command.tags[0],
            claim=command.claim,
            operator=command.operator,
            rules=terms.rules,
            locale=command.locale,
            expires_at=command.at + course.terrain.policy.claim_valid,
            older_tags=command.tags[1:],
        )
    )
    _issue_code(course, command, command.claim, 1)


def declare(course: Course, command: Declare) -> None:
    """Take over a user the messenger had before; they are to be identified anew some day.

    Only who is new here may be declared: everybody else has a history of ours, which counts.
    """
    if not isinstance(course.aggregate.state, Unidentified):
        raise UserKnown("this user is known here already")
    if command.taken:
        raise NumberTaken("another user has this number")
    course.add(
        Declared(
            at=command.at,
            number=command.number,
            proven_at=command.proven_at,
            operator=command.operator,
            code=command.code,
            rules=course.terrain.terms_to_begin(command.at).rules,
        )
    )


def _is_done_already(state: State, number: SubscriberNumber) -> bool:
    """Nothing is left to claim; but who was only declared is to be identified anew."""
    if isinstance(state, Identified):
        return state.number == number and state.basis is not Basis.DECLARED
    return isinstance(state, AwaitingAnswer) and state.number == number


def _resend(course: Course, command: Claim, state: ProvingPossession) -> None:
    """The same claim again: a new code from the resend instant on; the failures stay (P4)."""
    if command.at < resend_at(state, course.terrain.policy.resend_after):
        return
    _check_budgets(course, command)
    _issue_code(course, command, state.claim, state.issued + 1)


def resend_at(state: ProvingPossession, resend_after: timedelta) -> datetime:
    """Return the instant from which a repeated claim sends a new code."""
    return state.issued_at + resend_after


def _issue_code(course: Course, command: Claim, claim: str, issue: int) -> None:
    course.add(
        CodeIssued(
            at=command.at,
            claim=claim,
            issue=issue,
            key_id=command.key_id,
            expires_at=command.at + course.terrain.policy.code_valid,
        )
    )


def _check_operator(terrain: Terrain, operator: str | None, at: datetime) -> None:
    if not terrain.asks_operator:
        return
    if operator is None:
        raise NumberUnrouted("no operator is known to serve this number")
    if terrain.needs_agreement and terrain.agreements.in_force(operator, at) is None:
        raise NoAgreement(f"no agreement with operator {operator} is in force")


def _check_budgets(course: Course, command: Claim) -> None:
    policy = course.terrain.policy
    failed = failures_on(course.aggregate, *command.tags)
    free = free_at(failed, policy.failures_per_day, command.at)
    if free is not None:
        raise TooManyFailures("too many failed proofs for this number today", retry_at=free)
    free = free_at(course.aggregate.sends, policy.sends_per_user, command.at)
    if free is None:
        free = free_at(command.number_sends, policy.sends_per_number, command.at)
    if free is not None:
        raise TooManySends("too many codes were sent today", retry_at=free)
    if command.unsendable is None:
        return
    if command.unsendable.until is None:
        raise SendingStopped("no codes are sent at present")
    raise TooManySends("too many codes were sent", retry_at=command.unsendable.until)


def try_proof(course: Course, command: TryProof) -> None:
    """Admit and charge a try, or refuse it. A try that is not admitted is not counted (I6)."""
    state = course.aggregate.state
    if isinstance(state, Identified | AwaitingAnswer):
        return  # the same code again: the caller learns only their own standing (S15, P3)
    if not isinstance(state, ProvingPossession):
        raise NothingToProve("no claim of this user waits for a proof")
    policy = course.terrain.policy
    if state.code is not None and state.code.tries >= policy.tries_per_code:
        retry_at = resend_at(state, policy.resend_after)
        raise CodeSpent("this code takes no more tries", retry_at=max(retry_at, command.at))
    failed = failures_on(course.aggregate, state.tag)
    free = free_at(failed, policy.failures_per_day, command.at)
    if free is not None:
        raise TooManyFailures("too many failed proofs for this number today", retry_at=free)
    course.add(ProofTried(at=command.at, claim=state.claim, tag=state.tag))


def judge_proof(course: Course, command: JudgeProof) -> None:
    """Take the verdict on a charged try; one on another issue counts as failed."""
    state = course.aggregate.state
    if not isinstance(state, ProvingPossession) or state.claim != command.claim:
        return
    code = state.code
    current = code is not None and (code.issue, code.key_id) == (command.issue, command.key_id)
    if command.proven and current:
        course.add(
            PossessionProven(
                at=command.at, claim=state.claim, tag=state.tag, tried_at=command.tried_at
            )
        )
        _proven(course, command, state)
        return
    course.add(ProofFailed(at=command.at, claim=state.claim))
    failed = failures_on(course.aggregate, state.tag)
    free = free_at(failed, course.terrain.policy.failures_per_day, command.at)
    if free is not None:
        course.add(not_passed(command.at, Reason.TOO_MANY_FAILURES, retry_at=free))


def _proven(course: Course, command: JudgeProof, state: ProvingPossession) -> None:
    if not course.terrain.asks_operator:
        pass_(
            course,
            rival_proven_at=command.rival_proven_at,
            passed=Passed(
                at=command.at,
                number=state.number,
                proven_at=command.at,
                asked_at=None,
                operator=None,
                agreement=None,
                code=command.code,
                basis=Basis.OWN_DETERMINATION,
                rules=state.rules,
            ),
        )
        return
    if state.operator is None:
        # Claimed when nobody was to be asked; now somebody is, and nobody is known (I5).
        course.add(not_passed(command.at, Reason.NO_AGREEMENT))
        return
    ask(
        course,
        at=command.at,
        number=state.number,
        proven_at=command.at,
        operator=state.operator,
        query_id=command.query_id,
        rules=state.rules,
        rerouted=False,
    )

"""Comparing what is stored, and what a caller is told, with the watch's own accounts.

Knows both sides. Refuses to know how either came about.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from abonent.core.standing import Action, Standing, Status
from abonent.core.states import Aggregate, EffectKind
from abonent.engine.archive import micros
from abonent.simulation.world.ledger import DAY, Account, Holding, Trial

if TYPE_CHECKING:
    from abonent.simulation.world.books import Book

Insist = Callable[[str, object, str], None]

_STANDING: Final = {
    "ProvingPossession": Status.PROVING_POSSESSION,
    "AwaitingAnswer": Status.AWAITING_ANSWER,
    "Identified": Status.IDENTIFIED,
    "ReidentificationDue": Status.REIDENTIFICATION_DUE,
    "NotPassed": Status.NOT_PASSED,
    "Forgotten": Status.FORGOTTEN,
}


def standing_of(account: Account) -> Status:
    """Return the standing of a user, by the account."""
    return Status.UNIDENTIFIED if account.gone else _STANDING[state_of(account)]


def state_of(account: Account) -> str:
    """Return the name of the state that an account stands for."""
    if account.trial is not None:
        return "ProvingPossession" if account.trial.question is None else "AwaitingAnswer"
    if account.holding is not None:
        return "Identified" if account.holding.due is None else "ReidentificationDue"
    return "Forgotten" if account.forgotten else "NotPassed"


def compare(
    insist: Insist, book: Book, account: Account, aggregate: Aggregate, wake: int | None
) -> None:
    """Compare a stored record, and its deadline, with the account."""
    state: Any = aggregate.state
    name = type(state).__name__
    insist("I1", name == state_of(account), f"{name} is stored for {state_of(account)}")
    trial, holding = account.trial, account.holding
    if trial is not None:
        _compare_trial(insist, account, trial, state)
        standing = state.before
    else:
        standing = state if holding is not None else None
    _compare_holding(insist, holding, standing)
    _compare_debts(insist, account, aggregate)
    _compare_budgets(insist, book, account, aggregate)
    _compare_wake(insist, account, wake)


def _compare_trial(insist: Insist, account: Account, trial: Trial, state: Any) -> None:
    insist("I1", state.number == trial.number, "an attempt is stored for another number")
    question, code = trial.question, trial.code
    if question is not None:
        due = account.owed.get((EffectKind.ASK_OPERATOR, question.query_id))
        asking = None if due is None else (due.tries, due.next_try)
        stored = None if state.asking is None else (state.asking.tries, state.asking.next_try)
        insist("I8", asking == stored, "another try of the question is stored")
        expected = (question.operator, question.query_id, question.due, question.agreement)
        kept = (state.operator, state.query_id, state.due, state.agreement)
        insist("I2", expected == kept, "another question is stored")
        return
    insist("I10", state.expires_at == trial.expires_at, "another time of the claim is stored")
    insist("I6", (state.code is None) is (code is None), "a code is stored that is not live")
    if code is not None:
        live = (state.code.issue, state.code.expires_at, state.code.tries)
        insist("I6", live == (code.issue, code.expires_at, code.tries), "another code is stored")
        due = account.owed.get((EffectKind.SEND_CODE, f"{trial.claim}.{code.issue}"))
        sending = state.code.sending
        stored = None if sending is None else (sending.tries, sending.next_try)
        owed = None if due is None else (due.tries, due.next_try)
        insist("I8", stored == owed, "another try of sending is stored")


def _compare_holding(insist: Insist, holding: Holding | None, standing: Any) -> None:
    if holding is None or standing is None:
        insist("I3", (holding is None) is (standing is None), "a lost identification is stored")
        return
    due, cause = getattr(standing, "due", None), getattr(standing, "cause", None)
    insist("I4", (due, cause) == (holding.due, holding.cause), "due at another time is stored")
    was = getattr(standing, "was", standing)
    insist("I3", (was.number, was.code) == (holding.number, holding.code), "another is stored")


def _compare_debts(insist: Insist, account: Account, aggregate: Aggregate) -> None:
    stored = {
        (each.kind, each.id, each.operator, each.since, each.attempt.tries, each.attempt.next_try)
        for each in aggregate.debts
    }
    owed = {
        (kind, name, due.operator, due.since, due.tries, due.next_try)
        for (kind, name), due in account.owed.items()
        if kind in (EffectKind.RECORD, EffectKind.WITHDRAW)
    }
    insist("I8", stored == owed, "other debts are stored than are owed")


def _compare_budgets(insist: Insist, book: Book, account: Account, aggregate: Aggregate) -> None:
    failed = sorted(at for several in account.failures.values() for at in several)
    stored = sorted(at for _, several in aggregate.failures for at in several)
    since = book.latest() - DAY + book.unsure
    if failed != stored:
        _compare_counts(insist, failed, stored, since, "failed proofs")
    sent, kept = sorted(account.sends), sorted(aggregate.sends)
    if sent != kept:
        _compare_counts(insist, sent, kept, since, "codes sent")


def _compare_counts(
    insist: Insist, real: list[datetime], stored: list[datetime], since: datetime, what: str
) -> None:
    """All that still count are there, and none that never was."""
    live = Counter(at for at in real if at > since)
    insist("I6", not live - Counter(stored), f"of the {what} one is not counted")
    insist("I6", not Counter(stored) - Counter(real), f"of the {what} one is counted that was none")


def _compare_wake(insist: Insist, account: Account, wake: int | None) -> None:
    instants = account.deadlines() + [each.next_try for each in account.owed.values()]
    earliest = min(instants, default=None)
    if earliest is None:
        insist("I10", wake is None or account.forgotten, "a record wakes for nothing")
        return
    insist("I10", wake is not None, "a record with a deadline never wakes")
    insist("I10", wake == micros(earliest), "a record wakes at another time than its deadline")


def compare_standing(
    insist: Insist, book: Book, account: Account | None, told: Standing, at: datetime
) -> None:
    """Compare what a caller is told with the account."""
    if account is None or account.gone:
        insist("I1", told.status is Status.UNIDENTIFIED, "somebody stands who is not known")
        return
    insist("I1", told.status is standing_of(account), "the standing is wrong")
    holding, trial = account.holding, account.trial
    is_open = holding is not None and holding.open_at(at)
    insist("I1", told.gate.open is is_open, "the standing's gate is wrong")
    insist(
        "I1",
        told.identification_code == (None if holding is None else holding.code),
        "another identification code is told",
    )
    insist(
        "I1",
        told.basis is (None if holding is None else holding.basis),
        "another basis is told",
    )
    prove, resend = told.may(Action.PROVE), told.may(Action.RESEND)
    wait, claim = told.may(Action.WAIT), told.may(Action.CLAIM)
    question = None if trial is None else trial.question
    insist("I1", (trial is None) is (claim is not None), "told to claim at a wrong time")
    insist("I1", (question is None) is (wait is None), "told to wait for nothing")
    if wait is not None and question is not None:
        insist("I2", wait.until == question.due, "told to wait until another instant")
    proving = trial if question is None else None
    insist("I1", (proving is None) is (resend is None), "told to resend at a wrong time")
    if proving is None or resend is None:
        insist("I6", prove is None, "told to prove without a claim")
        return
    policy = book.service.policy
    code = proving.code
    live = code is not None and at <= code.expires_at and code.tries < policy.tries_per_code
    insist("I6", live is (prove is not None), "told to prove at a wrong time")
    if prove is not None and code is not None and not book.unsure:
        left = policy.failures_per_day - account.failed(proving.number, at)
        tries = min(max(left, 0), policy.tries_per_code - code.tries)
        insist("I6", (prove.tries, prove.until) == (tries, code.expires_at), "other tries are told")
    earliest = (proving.issued_at or at) + policy.resend_after
    insist("I6", resend.since >= earliest, "told to resend too soon")
    free = account.sent(resend.since) < policy.sends_per_user
    insist("I6", book.unsure or free, "told to resend before the budget allows it")

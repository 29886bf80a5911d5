"""evolve(aggregate, event): what an event makes of what is kept.

Knows how each event changes a record. Refuses to judge: whatever the table allows is applied,
whatever it does not allow raises and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, TypeVar

from msgspec.structs import replace as changed

from abonent.core.budgets import live, refund, spend
from abonent.core.events import (
    AnswerDeferred,
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
    Lapsed,
    NoticeReceived,
    NumberClaimed,
    OperatorAsked,
    Passed,
    PossessionProven,
    ProofTried,
    RecordWithdrawn,
    ReidentificationRequired,
    StaleNoticeIgnored,
    TombstoneCleared,
    UserForgotten,
)
from abonent.core.states import (
    ATTEMPTS,
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
    NotPassed,
    ProvingPossession,
    Reason,
    ReidentificationDue,
    State,
    identified_in,
    standing_identification,
)
from abonent.core.transitions import TRANSITIONS
from abonent.errors import TransitionRefused

NOTICES_KEPT: Final = 8
"""How many notice ids are remembered, so that a repeated one does nothing more."""

ENDING: Final = frozenset({Reason.NOT_HELD, Reason.UNDETERMINED})
"""Reasons that also end an older identification by the same number."""


def evolve(aggregate: Aggregate, event: Event) -> Aggregate:
    """Apply one event.

    Raises:
        TransitionRefused: the table does not allow it here; nothing changed.
    """
    before = type(aggregate.state)
    event_type = type(event)
    allowed = TRANSITIONS[before].get(event_type)
    if allowed is None:
        raise _refused(before, event_type)
    apply = _APPLY.get(event_type)
    after = aggregate if apply is None else apply(aggregate, event)
    if type(after.state) not in allowed:
        raise _refused(before, event_type)
    return after


def _refused(state: type[State], event: type[Event]) -> TransitionRefused:
    return TransitionRefused(
        f"{event.__name__} may not happen in {state.__name__}",
        state=state.__name__,
        event=event.__name__,
    )


S = TypeVar("S", bound=State)


def _expect(aggregate: Aggregate, event: Event, state: type[S]) -> S:
    """Narrow the state to the one that the table promised."""
    if type(aggregate.state) is not state:
        raise _refused(type(aggregate.state), type(event))
    return aggregate.state


def _in_state(aggregate: Aggregate, state: State) -> Aggregate:
    return Aggregate(
        state=state,
        debts=aggregate.debts,
        failures=aggregate.failures,
        sends=aggregate.sends,
        notices=aggregate.notices,
    )


# --- claims and proofs --------------------------------------------------------------


def _number_claimed(aggregate: Aggregate, event: NumberClaimed) -> Aggregate:
    if event.older_tags:
        aggregate = _under_one_tag(aggregate, event.tag, event.older_tags)
    return _in_state(
        aggregate,
        ProvingPossession(
            number=event.number,
            tag=event.tag,
            claim=event.claim,
            operator=event.operator,
            rules=event.rules,
            locale=event.locale,
            expires_at=event.expires_at,
            issued=0,
            issued_at=event.at,
            code=None,
            before=standing_identification(aggregate.state),
        ),
    )


def _under_one_tag(aggregate: Aggregate, tag: bytes, older: tuple[bytes, ...]) -> Aggregate:
    counted = failures_on(aggregate, tag, *older)
    if not counted:
        return aggregate
    others = tuple(each for each in aggregate.failures if each[0] not in (tag, *older))
    return changed(aggregate, failures=(*others, (tag, counted)))


def _code_issued(aggregate: Aggregate, event: CodeIssued) -> Aggregate:
    state = _expect(aggregate, event, ProvingPossession)
    code = LiveCode(
        issue=event.issue,
        key_id=event.key_id,
        issued_at=event.at,
        expires_at=event.expires_at,
        tries=0,
        sending=Attempt(tries=0, next_try=event.at),
        opaque=b"",
    )
    return Aggregate(
        state=ProvingPossession(
            number=state.number,
            tag=state.tag,
            claim=state.claim,
            operator=state.operator,
            rules=state.rules,
            locale=state.locale,
            expires_at=state.expires_at,
            issued=event.issue,
            issued_at=event.at,
            code=code,
            before=state.before,
        ),
        debts=aggregate.debts,
        failures=aggregate.failures,
        sends=spend(aggregate.sends, event.at),
        notices=aggregate.notices,
    )


def _code_sent(aggregate: Aggregate, event: CodeSent) -> Aggregate:
    state = _expect(aggregate, event, ProvingPossession)
    if state.code is None or state.code.issue != event.issue:
        return aggregate
    code = changed(state.code, sending=None, opaque=event.opaque)
    return _in_state(aggregate, changed(state, code=code))


def _code_expired(aggregate: Aggregate, event: CodeExpired) -> Aggregate:
    state = _expect(aggregate, event, ProvingPossession)
    return _in_state(aggregate, changed(state, code=None))


def _proof_tried(aggregate: Aggregate, event: ProofTried) -> Aggregate:
    state = _expect(aggregate, event, ProvingPossession)
    code = state.code
    if code is not None:
        state = changed(state, code=changed(code, tries=code.tries + 1))
    failures = tuple(
        (tag, alive)
        for tag, instants in aggregate.failures
        if tag != event.tag and (alive := live(instants, event.at))
    )
    spent = spend(failures_on(aggregate, event.tag), event.at)
    return changed(aggregate, state=state, failures=(*failures, (event.tag, spent)))


def _possession_proven(aggregate: Aggregate, event: PossessionProven) -> Aggregate:
    state = _expect(aggregate, event, ProvingPossession)
    left = refund(failures_on(aggregate, event.tag), event.tried_at)
    failures = tuple(each for each in aggregate.failures if each[0] != event.tag)
    if left:
        failures = (*failures, (event.tag, left))
    return changed(aggregate, state=changed(state, code=None), failures=failures)


def failures_on(aggregate: Aggregate, *tags: bytes) -> tuple[Any, ...]:
    """Return the instants of the failed proofs counted under any of these tags, oldest first."""
    found = [instants for tag, instants in aggregate.failures if tag in tags]
    if len(found) == 1:
        return found[0]
    return tuple(sorted(each for instants in found for each in instants))


# --- the operator's answer ----------------------------------------------------------


def _operator_asked(aggregate: Aggregate, event: OperatorAsked) -> Aggregate:
    return _in_state(
        aggregate,
        AwaitingAnswer(
            number=event.number,
            proven_at=event.proven_at,
            operator=event.operator,
            agreement=event.agreement,
            query_id=event.query_id,
            asked_at=event.at,
            due=event.due,
            asking=Attempt(tries=0, next_try=event.at),
            rerouted=event.rerouted,
            rules=event.rules,
            opaque=b"",
            before=standing_identification(aggregate.state),
        ),
    )


def _answer_deferred(aggregate: Aggregate, event: AnswerDeferred) -> Aggregate:
    state = _expect(aggregate, event, AwaitingAnswer)
    return _in_state(aggregate, changed(state, asking=None, opaque=event.opaque))


def _passed(aggregate: Aggregate, event: Passed) -> Aggregate:
    debts = aggregate.debts
    older = standing_identification(aggregate.state)
    if older is not None:
        debts = _ended(debts, older, event.at)
    if event.operator is not None:
        debts = (*debts, _debt(EffectKind.RECORD, event.operator, event.code, event.at))
    return Aggregate(
        state=_identified(event, event.asked_at, event.agreement, event.basis),
        debts=debts,
        failures=aggregate.failures,
        sends=aggregate.sends,
        notices=aggregate.notices,
    )


def _declared(aggregate: Aggregate, event: Declared) -> Aggregate:
    return _in_state(aggregate, _identified(event, None, None, Basis.DECLARED))


def _identified(
    event: Passed | Declared, asked_at: datetime | None, agreement: str | None, basis: Basis
) -> Identified:
    return Identified(
        number=event.number,
        proven_at=event.proven_at,
        asked_at=asked_at,
        since=event.at,
        operator=event.operator,
        agreement=agreement,
        code=event.code,
        basis=basis,
        rules=event.rules,
    )


def _not_passed(aggregate: Aggregate, event: IdentificationNotPassed) -> Aggregate:
    state = aggregate.state
    older = standing_identification(state)
    identified = identified_in(older)
    over = NotPassed(reason=event.reason, at=event.at, due=event.due, retry_at=event.retry_at)
    if older is None or identified is None:
        return _in_state(aggregate, over)
    number = getattr(state, "number", None)
    if event.reason in ENDING and number == identified.number:
        return changed(aggregate, state=over, debts=_ended(aggregate.debts, older, event.at))
    return _in_state(aggregate, older)


# --- debts --------------------------------------------------------------------------


def _debt(kind: EffectKind, operator: str, code: str, at: datetime) -> Debt:
    first = Attempt(tries=0, next_try=at)
    return Debt(kind=kind, operator=operator, code=code, since=at, attempt=first)


def _ended(debts: tuple[Debt, ...], older: Before, at: datetime) -> tuple[Debt, ...]:
    """An identification is over: cancel its pending record and owe the withdrawal.

    A record that was never acknowledged is withdrawn too: it may have arrived all the same.
    """
    identified = identified_in(older)
    if identified is None or identified.operator is None or identified.basis is Basis.DECLARED:
        return debts  # no operator was ever told
    kept = tuple(each for each in debts if each.code != identified.code)
    owed = _debt(EffectKind.WITHDRAW, identified.operator, identified.code, at)
    return (*kept, owed)


def withdrawals_owed(aggregate: Aggregate, at: datetime) -> tuple[Debt, ...]:
    """Return what is owed once this user is forgotten: withdrawals only."""
    older = standing_identification(aggregate.state)
    debts = _ended(aggregate.debts, older, at)
    return tuple(each for each in debts if each.kind is EffectKind.WITHDRAW)


def _settled(
    aggregate: Aggregate, event: CodeRecorded | RecordWithdrawn | DebtGivenUp
) -> Aggregate:
    kind = _SETTLES[type(event)] if not isinstance(event, DebtGivenUp) else event.kind
    debts = tuple(
        each for each in aggregate.debts if not (each.kind is kind and each.code == event.code)
    )
    return changed(aggregate, debts=debts)


_SETTLES: Final = {CodeRecorded: EffectKind.RECORD, RecordWithdrawn: EffectKind.WITHDRAW}


def _attempt(aggregate: Aggregate, event: AttemptStarted | AttemptFailed) -> Aggregate:
    started = isinstance(event, AttemptStarted)

    def after(attempt: Attempt) -> Attempt:
        return Attempt(tries=attempt.tries + started, next_try=event.next_try)

    state = aggregate.state
    if event.kind is EffectKind.SEND_CODE:
        if isinstance(state, ProvingPossession) and state.code and state.code.sending:
            code = changed(state.code, sending=after(state.code.sending))
            return _in_state(aggregate, changed(state, code=code))
        return aggregate
    if event.kind is EffectKind.ASK_OPERATOR:
        if isinstance(state, AwaitingAnswer) and state.asking:
            return _in_state(aggregate, changed(state, asking=after(state.asking)))
        return aggregate
    debts = tuple(
        changed(each, attempt=after(each.attempt)) if each.id == event.id else each
        for each in aggregate.debts
    )
    return changed(aggregate, debts=debts)


# --- notices and ends ---------------------------------------------------------------


def _notice_heard(aggregate: Aggregate, event: NoticeReceived | StaleNoticeIgnored) -> Aggregate:
    heard = heard_as(event.operator, event.notice_id)
    if heard in aggregate.notices:
        return aggregate
    return changed(aggregate, notices=(*aggregate.notices, heard)[-NOTICES_KEPT:])


def heard_as(operator: str, notice_id: str) -> str:
    """Return under what a notice is remembered: each operator counts its own."""
    return f"{operator} {notice_id}"


def _reidentification_required(aggregate: Aggregate, event: ReidentificationRequired) -> Aggregate:
    standing = standing_identification(aggregate.state)
    was = identified_in(standing)
    if was is None:
        raise _refused(type(aggregate.state), type(event))
    due = ReidentificationDue(
        was=was,
        cause=event.cause,
        happened_at=event.happened_at,
        noticed_at=event.at,
        due=event.due,
    )
    state = aggregate.state
    if isinstance(state, ATTEMPTS):
        return _in_state(aggregate, changed(state, before=due))
    return _in_state(aggregate, due)


def _lost(aggregate: Aggregate, event: Displaced | Lapsed) -> Aggregate:
    """The standing identification is over, for good."""
    state = aggregate.state
    standing = standing_identification(state)
    lapses = isinstance(standing, ReidentificationDue) or isinstance(event, Displaced)
    if standing is None or not lapses:
        raise _refused(type(state), type(event))
    aggregate = changed(aggregate, debts=_ended(aggregate.debts, standing, event.at))
    if isinstance(state, ATTEMPTS):
        return _in_state(aggregate, changed(state, before=None))
    lapsed = isinstance(event, Lapsed)
    reason = Reason.NOT_IDENTIFIED_ANEW if lapsed else Reason.DISPLACED
    due = event.due if isinstance(event, Lapsed) else None
    return _in_state(aggregate, NotPassed(reason=reason, at=event.at, due=due, retry_at=None))


def _user_forgotten(_: Aggregate, event: UserForgotten) -> Aggregate:
    return Aggregate(
        state=Forgotten(at=event.at),
        debts=event.debts,
        failures=event.failures,
        sends=event.sends,
    )


def _tombstone_cleared(aggregate: Aggregate, event: TombstoneCleared) -> Aggregate:
    return changed(aggregate, failures=(), sends=())


_APPLY: Final[dict[type[Event], Callable[[Aggregate, Any], Aggregate]]] = {
    NumberClaimed: _number_claimed,
    CodeIssued: _code_issued,
    AttemptStarted: _attempt,
    AttemptFailed: _attempt,
    CodeSent: _code_sent,
    CodeExpired: _code_expired,
    ProofTried: _proof_tried,
    PossessionProven: _possession_proven,
    OperatorAsked: _operator_asked,
    AnswerDeferred: _answer_deferred,
    Passed: _passed,
    Declared: _declared,
    IdentificationNotPassed: _not_passed,
    CodeRecorded: _settled,
    RecordWithdrawn: _settled,
    DebtGivenUp: _settled,
    NoticeReceived: _notice_heard,
    ReidentificationRequired: _reidentification_required,
    Displaced: _lost,
    Lapsed: _lost,
    StaleNoticeIgnored: _notice_heard,
    UserForgotten: _user_forgotten,
    TombstoneCleared: _tombstone_cleared,
}
"""Events that are not here are facts only: they change nothing that is kept."""

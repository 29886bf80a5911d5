"""What the world is owed, when to look again, and whether the gate is open.

Knows how to read a record at an instant. Refuses to change one: a record is moved by events.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import ClassVar, Final, TypeAlias

from msgspec import Struct

from abonent.core.numbers import SubscriberNumber
from abonent.core.policy import DAY
from abonent.core.states import (
    Aggregate,
    AwaitingAnswer,
    EffectKind,
    Forgotten,
    Identified,
    NotPassed,
    ProvingPossession,
    Reason,
    ReidentificationDue,
    State,
    identified_in,
    standing_identification,
)


class SendCode(Struct, frozen=True, kw_only=True):
    """A possession check is to begin: for one-time codes, the code is to be sent."""

    id: str
    number: SubscriberNumber
    claim: str
    issue: int
    key_id: str
    locale: str
    tries: int
    kind: ClassVar[EffectKind] = EffectKind.SEND_CODE


class AskOperator(Struct, frozen=True, kw_only=True):
    """An operator is to be asked whether it holds information about the subscriber."""

    id: str
    number: SubscriberNumber
    operator: str
    asked_at: datetime
    due: datetime
    opaque: bytes
    tries: int
    kind: ClassVar[EffectKind] = EffectKind.ASK_OPERATOR


class RecordCode(Struct, frozen=True, kw_only=True):
    """An operator is to record messenger and identification code beside the subscriber."""

    id: str
    number: SubscriberNumber
    operator: str
    code: str
    since: datetime
    tries: int
    kind: ClassVar[EffectKind] = EffectKind.RECORD


class WithdrawCode(Struct, frozen=True, kw_only=True):
    """An operator is to remove its record of an identification code."""

    id: str
    operator: str
    code: str
    since: datetime
    tries: int
    kind: ClassVar[EffectKind] = EffectKind.WITHDRAW


_EVER: Final = datetime.max.replace(tzinfo=UTC)

Effect: TypeAlias = SendCode | AskOperator | RecordCode | WithdrawCode


def owed(aggregate: Aggregate, now: datetime) -> tuple[Effect, ...]:
    """Return the effects that may be tried at this instant, each with its idempotency id."""
    return tuple(_owed(aggregate, now))


def _owed(aggregate: Aggregate, now: datetime) -> Iterator[Effect]:
    state = aggregate.state
    if type(state) is ProvingPossession:
        code = state.code
        if code is not None and code.sending is not None and code.sending.next_try <= now:
            yield SendCode(
                id=send_id(state.claim, code.issue),
                number=state.number,
                claim=state.claim,
                issue=code.issue,
                key_id=code.key_id,
                locale=state.locale,
                tries=code.sending.tries,
            )
    elif type(state) is AwaitingAnswer:
        asking = state.asking
        if asking is not None and asking.next_try <= now:
            yield AskOperator(
                id=state.query_id,
                number=state.number,
                operator=state.operator,
                asked_at=state.asked_at,
                due=state.due,
                opaque=state.opaque,
                tries=asking.tries,
            )
    for debt in aggregate.debts:
        if debt.attempt.next_try > now:
            continue
        if debt.kind is EffectKind.WITHDRAW:
            yield WithdrawCode(
                id=debt.id,
                operator=debt.operator,
                code=debt.code,
                since=debt.since,
                tries=debt.attempt.tries,
            )
            continue
        identified = identified_in(standing_identification(state))
        if identified is not None:
            yield RecordCode(
                id=debt.id,
                number=identified.number,
                operator=debt.operator,
                code=debt.code,
                since=debt.since,
                tries=debt.attempt.tries,
            )


def is_owed(aggregate: Aggregate, effect: Effect) -> bool:
    """Tell whether an effect that was to be performed was not cancelled meanwhile (I8)."""
    return any(
        each.id == effect.id and each.kind is effect.kind for each in _owed(aggregate, _EVER)
    )


def send_id(claim: str, issue: int) -> str:
    """Return the idempotency id of sending one issue of a claim's code."""
    return f"{claim}.{issue}"


def wakes_at(aggregate: Aggregate) -> datetime | None:
    """Return the earliest instant at which this record must be looked at, if any (I10)."""
    state = aggregate.state
    wakes = [debt.attempt.next_try for debt in aggregate.debts]
    if type(state) is ProvingPossession:
        wakes.append(state.expires_at)
        if state.code is not None:
            wakes.append(state.code.expires_at)
            if state.code.sending is not None:
                wakes.append(state.code.sending.next_try)
    elif type(state) is AwaitingAnswer:
        wakes.append(state.due)
        if state.asking is not None:
            wakes.append(state.asking.next_try)
    elif type(state) is Forgotten:
        counted = [instants[-1] for _, instants in aggregate.failures if instants]
        counted += aggregate.sends[-1:]
        if counted and not aggregate.debts:  # debts outlive budgets, and settle first
            wakes.append(max(counted) + DAY)
    standing = standing_identification(state)
    if type(standing) is ReidentificationDue:
        wakes.append(standing.due)
    return min(wakes, default=None)


class Gate(Struct, frozen=True):
    """Whether a user may transmit messages. Falsy when closed.

    `until` is the instant up to and including which an open gate stays open by itself, None where
    no end is set. `reason` says why it is closed, or under what shadow it is still open.
    """

    open: bool
    until: datetime | None = None
    reason: Reason | None = None

    def __bool__(self) -> bool:
        return self.open


OPEN = Gate(True)
UNKNOWN_USER = Gate(False, None, Reason.NOT_IDENTIFIED)
CANNOT_SAY = Gate(False, None, Reason.CANNOT_SAY)


def gate(aggregate: Aggregate, now: datetime) -> Gate:
    """Answer whether this user may transmit messages at this instant (I1)."""
    state = aggregate.state
    if type(state) is Identified:
        return OPEN
    standing = standing_identification(state)
    if standing is None:
        return _closed(state)
    return _standing_gate(standing, now)


def _standing_gate(standing: Identified | ReidentificationDue, now: datetime) -> Gate:
    if isinstance(standing, Identified):
        return OPEN
    if standing.cause.keeps_gate_open and now <= standing.due:
        return Gate(True, standing.due, Reason.REIDENTIFICATION_DUE)
    return Gate(False, None, Reason.REIDENTIFICATION_DUE)


def _closed(state: State) -> Gate:
    if type(state) is NotPassed:
        return Gate(False, None, state.reason)
    if type(state) is Forgotten:
        return Gate(False, None, Reason.FORGOTTEN)
    return UNKNOWN_USER

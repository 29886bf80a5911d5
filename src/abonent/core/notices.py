"""Hearing an operator's notice: does it count, and what does it end?

Knows freshness, gravity and who may speak. Refuses to know how notices arrive or are verified.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from abonent.core.commands import HearNotice, Terrain
from abonent.core.events import (
    Event,
    IdentificationNotPassed,
    Ignored,
    NoticeReceived,
    ReidentificationRequired,
    StaleNoticeIgnored,
)
from abonent.core.evolution import heard_as
from abonent.core.states import (
    Aggregate,
    AwaitingAnswer,
    Before,
    Identified,
    Reason,
    ReidentificationDue,
    identified_in,
    standing_identification,
)
from abonent.errors import NoRulesInForce


def hear_notice(aggregate: Aggregate, command: HearNotice, terrain: Terrain) -> Iterator[Event]:
    """Return the events that a notice about this user's number leads to (step 7, I4).

    A notice bears on the identification that stands and on a question that is open, each on its
    own; it is ignored by name where it bears on neither.
    """
    if heard_as(command.operator, command.notice_id) in aggregate.notices:
        yield _ignored(command, Ignored.REPEATED)
        return
    standing = standing_identification(aggregate.state)
    untouched = _attempt_verdict(aggregate, command)
    unmoved = _standing_verdict(standing, command)
    if untouched is not None and unmoved is not None:
        yield _ignored(command, unmoved if standing is not None else untouched)
        return
    yield NoticeReceived(
        at=command.at,
        notice_id=command.notice_id,
        operator=command.operator,
        kind=command.kind,
        happened_at=command.happened_at,
    )
    if standing is not None and unmoved is None:
        yield _required(standing, command, terrain)
    if untouched is None:
        yield IdentificationNotPassed(
            at=command.at, reason=Reason.SUBSCRIPTION_ENDED, due=None, retry_at=None
        )


def _attempt_verdict(aggregate: Aggregate, command: HearNotice) -> Ignored | None:
    """Return why the open question is not touched, or None if the notice ends it (S21)."""
    state = aggregate.state
    if not isinstance(state, AwaitingAnswer) or state.number != command.number:
        return Ignored.STALE
    if state.operator != command.operator:
        return Ignored.OTHER_OPERATOR
    return None if _fresh(command, state.asked_at) else Ignored.STALE


def _standing_verdict(standing: Before, command: HearNotice) -> Ignored | None:
    """Return why what stands is not touched, or None if it becomes due anew."""
    identified = identified_in(standing)
    if identified is None or identified.number != command.number:
        return Ignored.STALE
    # Only the operator on record may speak; of a number determined by ourselves, the serving one.
    speaker = command.serving if identified.operator is None else identified.operator
    if speaker != command.operator:
        return Ignored.OTHER_OPERATOR
    if not _fresh(command, identified.fresh_from):
        return Ignored.STALE
    if isinstance(standing, ReidentificationDue):
        graver = standing.cause.keeps_gate_open and not command.kind.keeps_gate_open
        return None if graver else Ignored.ALREADY_DUE
    return None


def _fresh(command: HearNotice, since: datetime) -> bool:
    return command.happened_at is None or command.happened_at >= since


def _required(
    standing: Identified | ReidentificationDue, command: HearNotice, terrain: Terrain
) -> Event:
    was = standing.was if isinstance(standing, ReidentificationDue) else standing
    due = command.at + _reidentify_within(was.rules, command.at, terrain)
    if isinstance(standing, ReidentificationDue):
        due = min(due, standing.due)  # no notice extends a due instant (S37)
    return ReidentificationRequired(
        at=command.at, cause=command.kind, happened_at=command.happened_at, due=due
    )


def _reidentify_within(basis: str, at: datetime, terrain: Terrain) -> timedelta:
    """Under the rule set in force, or that of the basis where none is (S39)."""
    try:
        return terrain.terms_at(at).reidentify_within
    except NoRulesInForce:
        return terrain.terms_of(basis).reidentify_within


def _ignored(command: HearNotice, why: Ignored) -> StaleNoticeIgnored:
    return StaleNoticeIgnored(
        at=command.at,
        notice_id=command.notice_id,
        operator=command.operator,
        kind=command.kind,
        happened_at=command.happened_at,
        why=why,
    )

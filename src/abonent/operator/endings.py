"""When subscriptions are over: what the base shows of it, and which records are told.

Knows a number's line and the records that stand beside it. Refuses to know who asks, and adapters.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from abonent.core.events import Outcome
from abonent.core.states import NoticeKind
from abonent.operator.books import Draft, File
from abonent.operator.core.duty import EndSubscription, ListRecord, Require
from abonent.operator.core.events import SubscriptionEnded
from abonent.operator.core.states import Asked, Recorded, concerns, ended, line_of
from abonent.operator.ports import Holding
from abonent.sealing import new_id

CLOCKS_APART: Final = timedelta(minutes=5)
"""How far the clocks of others may be ahead of ours."""


def required(at: datetime, kind: NoticeKind, happened_at: datetime) -> Require:
    """Return the command by which a record has to be told, under a fresh id."""
    return Require(at=at, notice_id=new_id(), kind=kind, happened_at=happened_at)


def end_subscription(draft: Draft, line: File, command: EndSubscription) -> int:
    """End the subscription of a number; return how many notices that makes owed."""
    line, step = draft.apply(line, command)
    if not any(isinstance(each, SubscriptionEnded) for each in step.events):
        return 0  # it was told before
    owed = 0
    for file, record in _standing(draft, line):
        if concerns(command.happened_at, record.hold):
            draft.apply(file, required(command.at, command.kind, command.happened_at))
            line, _ = draft.apply(line, ListRecord(at=command.at, key=file.key, stands=False))
            owed += 1
    return owed


def standing_since(holding: Holding, asked: Asked) -> datetime:
    """Return from when on the subscription stands: when we were asked, at the latest.

    Where the base does not say since when, an end by the clock of another system may seem to lie
    a little before the question after which it came.
    """
    if holding.since is None:
        return asked.received_at - CLOCKS_APART
    return min(asked.received_at, holding.since)


def shown_end(holding: Holding, at: datetime) -> EndSubscription | None:
    """Return the end of a subscription that the base's answer may show."""
    kind = _SHOWS.get(holding.outcome)
    happened_at = holding.since
    if happened_at is None and holding.outcome is not Outcome.HELD:
        happened_at = at
    if kind is None or happened_at is None:
        return None
    happened_at = min(happened_at, at)
    return EndSubscription(
        at=at, movement_id=new_id(), kind=kind, happened_at=happened_at, shown=True
    )


_SHOWS: Final = {
    Outcome.HELD: NoticeKind.REASSIGNED,  # by somebody who has it since later
    Outcome.NOT_HELD: NoticeKind.TERMINATED,
    Outcome.NOT_OURS: NoticeKind.PORTED,
}


def _standing(draft: Draft, line: File) -> Iterator[tuple[File, Recorded]]:
    """Return the records that stand beside a number."""
    for key in line_of(line.state).records:
        file = draft.row(key)
        if file is not None and isinstance(file.state, Recorded):
            yield file, file.state


def is_news(draft: Draft, line: File, happened_at: datetime) -> bool:
    """Tell whether an end concerns somebody who was told "held", and knows of no end yet."""
    known = line_of(line.state)
    stands = [record.hold for _, record in _standing(draft, line)]
    stands += [hold for _, hold in known.holds if ended(known, hold) is None]
    return any(concerns(happened_at, hold) for hold in stands)

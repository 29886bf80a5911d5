"""The figures of a report, as plain records: what was counted, and how long things took.

Knows counts, times and limits, by operator. Refuses to know the journal they come from, and how
they are shown. All times are in seconds; quantiles are values that occurred, None without any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Final

from attrs import frozen

from abonent.core.events import Ignored
from abonent.core.states import Basis, Reason
from abonent.pages.words import quantile

JUDGED: Final = frozenset({Ignored.STALE, Ignored.ALREADY_DUE})
"""Notices that changed nothing and were due within 24 hours all the same."""


class Duty(Enum):
    """What had to be done within a time. The values are stable."""

    ANSWER = "answer"
    """The operator answers whether it holds information about the subscriber."""
    NOTICE = "notice"
    """The operator tells that a contract ended or a number changed."""
    REIDENTIFICATION = "reidentification"
    """The messenger identifies the user anew."""


@frozen(kw_only=True)
class Tally:
    """How many identifications had one outcome.

    `method` is None where a claim ended before a number was determined or an operator asked;
    `operator` None where none was asked or known; `reason` None where the user passed.
    """

    method: Basis | None
    operator: str | None
    reason: Reason | None
    count: int


@frozen(kw_only=True)
class Ended:
    """Identifications that ended: not made anew in time, or taken over by a later holder."""

    lapsed: int
    displaced: int


@frozen(kw_only=True)
class Times:
    """How long something took. `values` is for drawing, in ascending order."""

    count: int
    median: float | None
    p95: float | None
    longest: float | None
    values: Sequence[float]


def times(values: Sequence[float]) -> Times:
    """Measure how long something took."""
    ordered = sorted(values)
    return Times(
        count=len(ordered),
        median=quantile(ordered, 0.5),
        p95=quantile(ordered, 0.95),
        longest=quantile(ordered, 1),
        values=ordered,
    )


@frozen(kw_only=True)
class Answers:
    """How one operator answered what it was asked in the period.

    Of `asked`, `in_time` were answered until they were due, `late` afterwards, `never` not to this
    day; `overtaken` ended for another reason before they were due, and `open` are not due yet.
    `failed_calls` counts those of `late` and `never` where a call of ours did not get through.
    """

    operator: str
    asked: int
    in_time: int
    late: int
    never: int
    overtaken: int
    open: int
    failed_calls: int
    taken: Times

    @property
    def broken(self) -> int:
        """How often the duty was not met."""
        return self.late + self.never

    @property
    def judged(self) -> int:
        """How often it is known by now whether it was met."""
        return self.in_time + self.late + self.never


@frozen(kw_only=True)
class Notices:
    """How late one operator's notices of the period were.

    A notice is counted once for each user whom it was about. `in_time` came within the limit after
    what they tell of, `late` beyond it; `undated` do not say when it happened. `ignored` counts by
    the reason those that are not judged: heard before, or not from the operator on record.
    """

    operator: str
    in_time: int
    late: int
    undated: int
    ignored: Mapping[Ignored, int]
    lag: Times

    @property
    def heard(self) -> int:
        """How many were judged, or would have been had they said when."""
        return self.in_time + self.late + self.undated


@frozen(kw_only=True)
class Reidentifications:
    """How soon users were identified anew after notices of one operator in the period.

    `in_time` until due, `late` afterwards, `never` not to this day, though it was due; `moot` are
    those whose number somebody else proved meanwhile, `open` not due yet.
    """

    operator: str
    required: int
    in_time: int
    late: int
    never: int
    moot: int
    open: int
    taken: Times


@frozen(kw_only=True)
class Exposures:
    """How long gates stood open although a notice had happened, by who gave it.

    From when it happened, by the operator's word, or since the gate was open if that is later;
    until the gate closed, or the user was identified anew. `before` is the part until the notice
    came, `after` the part since; `number_kept` tells ported numbers, which stay with their users,
    from others. `users` had such a time; `undated` notices do not say when it began; of `open`
    gates it lasts. All are sums over the notices of the period.
    """

    operator: str
    number_kept: bool
    notices: int
    users: int
    undated: int
    open: int
    before: float
    after: float
    longest: float | None


@frozen(kw_only=True)
class Case:
    """One time that a duty was not met, for who wants to look at it.

    `seconds` is how long it took, None where it has not come to this day. `cursor` is the entry of
    the journal from which the time counts, `subject` the beginning of the id under which the
    journal knows the user, `number` the last two digits.
    """

    duty: Duty
    operator: str
    at: datetime
    seconds: float | None
    cursor: int
    subject: str
    number: str | None


@frozen(kw_only=True)
class Entries:
    """The entries of the journal: of the period, and in all.

    `unreadable` ones are of users who were forgotten: what they tell is in no figure. When they
    were written is not known either; they count where their neighbour before them does.
    `strangers` tell of answers that nobody had asked for. `first` and `last` are cursors.
    `unlogged` are beyond the checkpoint that was given. `unplaced` are the entries of a journal
    of which nothing at all can be read.
    """

    readable: int
    unreadable: int
    strangers: int
    unlogged: int
    first: int | None
    last: int | None
    whole_journal: int
    unplaced: int

    @property
    def count(self) -> int:
        """How many entries the period has."""
        return self.readable + self.unreadable + self.strangers

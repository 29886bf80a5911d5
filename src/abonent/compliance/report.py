"""The report: everything that is told of a period, as one record.

Knows what belongs together. Refuses to know how it is shown.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from abonent.aio import AsyncIdentifier
from abonent.audit.evidence import Published
from abonent.compliance.calendar import calendar_of
from abonent.compliance.cases import MOST, Worst
from abonent.compliance.counting import Counting
from abonent.compliance.coverage import Coverage, coverage
from abonent.compliance.due import DueItem, DueKind
from abonent.compliance.figures import (
    Answers,
    Case,
    Duty,
    Ended,
    Entries,
    Exposures,
    Notices,
    Reidentifications,
    Tally,
)
from abonent.compliance.outlook import Outlook, outlook
from abonent.compliance.period import check_period
from abonent.compliance.proceeding.days import day_of
from abonent.compliance.reading import read
from abonent.compliance.register import Register
from abonent.compliance.verdict import Lateness, late_operators
from abonent.core.commands import Terrain
from abonent.core.policy import terms
from abonent.core.rules import RESOLUTION_1801, Rules, rules_in_force
from abonent.errors import InvalidValue, NoRulesInForce
from abonent.identifier import Identifier

ENDS_WITHIN: Final = timedelta(days=30)
"""How soon the end of an agreement is soon."""
SILENT_AFTER: Final = timedelta(days=7)
"""The age of the last notice at which a feed counts as silent."""
CASES: Final = 20
"""How many cases of each duty are shown."""


@frozen(kw_only=True)
class Limits:
    """The times that things are held against, in seconds, and the document that gives them."""

    source: str
    answer: float
    notice: float
    reidentification: float


@frozen(kw_only=True)
class Report:
    """What the journal tells of `[start, end)`, and what is to be done now, at `as_of`.

    `found` counts the cases of each duty; `cases` holds the worst of them.
    """

    messenger: str
    start: datetime
    end: datetime
    as_of: datetime
    limits: Limits
    entries: Entries
    late: tuple[Lateness, ...]
    identifications: tuple[Tally, ...]
    ended: Ended
    answers: tuple[Answers, ...]
    notices: tuple[Notices, ...]
    reidentifications: tuple[Reidentifications, ...]
    exposures: tuple[Exposures, ...]
    found: dict[Duty, int]
    cases: tuple[Case, ...]
    outlook: Outlook
    silent_after: timedelta
    ends_within: timedelta
    calendar: tuple[DueItem, ...]
    register: Register | None
    coverage: Coverage | None

    @property
    def empty(self) -> bool:
        """Whether the journal has no entry of the period."""
        return not self.entries.count

    @property
    def running(self) -> bool:
        """Whether the period is not over yet."""
        return self.as_of < self.end


def report_of(
    identifier: Identifier | AsyncIdentifier,
    start: datetime,
    end: datetime,
    *,
    cases: int = CASES,
    silent_after: timedelta = SILENT_AFTER,
    ends_within: timedelta = ENDS_WITHIN,
    register: Register | None = None,
    published: Published | None = None,
    published_at: datetime | None = None,
) -> Report:
    """Report what the journal tells of the period from `start`, inclusive, to `end`, exclusive.

    It reads the whole journal, once, and writes nothing. Questions, notices and re-identifications
    belong to the period in which they began; what came of them may have happened later. With an
    `AsyncIdentifier`, call it in a thread: it waits for the store.

    Args:
        identifier: whose journal; it must not be closed.
        start: an aware instant.
        end: an aware instant after `start`.
        cases: how many cases of each duty to name, the worst first; 0 to 10,000.
        silent_after: the age of an operator's last notice from which its feed counts as silent.
        ends_within: how far the calendar reaches, and how soon an agreement ends that is listed.
        register: the officer's facts about the messenger's entry in the register, if there are any.
        published: the log whose checkpoint is held against the period; None for none.
        published_at: when that checkpoint was written, if it is known.

    Raises:
        InvalidValue: a period that does not begin before it ends, or so many cases.
        NaiveInstant: an instant without a time zone.
        UnknownMessenger: the register is about another messenger.
        StorageError: the store is out of reach, or an entry is damaged.
        EvidenceError: the log does not hold what it should.
    """
    check_period(start, end)
    if not 0 <= cases <= MOST:
        raise InvalidValue(f"a report names 0 to {MOST} cases of each duty")
    engine = identifier._engine
    engine.loop.commits.check()
    terrain, now = engine.archive.terrain, engine.loop.clock.now()
    rules = _rules(terrain, end)
    worst = Worst(cases)
    counting = Counting(start, end, within=rules.notice_within.value, worst=worst)
    logged = 0 if published is None else published.checkpoint.size
    fold, entries = read(identifier, counting, logged=logged)
    fold.settle(now)
    answers, notices = counting.answers(), counting.notices()
    return Report(
        messenger=terrain.messenger.id,
        start=start,
        end=end,
        as_of=now,
        limits=_limits(rules, terrain),
        entries=entries,
        late=late_operators(answers, notices),
        identifications=counting.tallies(),
        ended=counting.endings(),
        answers=answers,
        notices=notices,
        reidentifications=counting.reidentifications(),
        exposures=counting.exposures(),
        found={each: worst.found[each] for each in Duty},
        cases=worst.cases(),
        outlook=outlook(
            terrain,
            engine.loop.operators,
            fold.standing(now),
            counting.heard,
            as_of=now,
            ends_within=ends_within,
            silent_after=silent_after,
        ),
        silent_after=silent_after,
        ends_within=ends_within,
        calendar=_calendar(identifier, now + ends_within, register),
        register=None if register is None else register.on(day_of(now)),
        coverage=None
        if published is None
        else coverage(engine.archive, published, entries, published_at),
    )


def _calendar(
    identifier: Identifier | AsyncIdentifier, until: datetime, register: Register | None
) -> tuple[DueItem, ...]:
    """Return what is due. Users whom nobody watches have no date, and a table of their own."""
    due = calendar_of(identifier, until=until, register=register)
    return tuple(each for each in due if each.kind is not DueKind.USERS_UNWATCHED)


def _rules(terrain: Terrain, end: datetime) -> Rules:
    """Return the rule set of the period's last instant, or the newest where none was in force."""
    if terrain.rules is not None:
        return terrain.rules
    try:
        return rules_in_force(end - timedelta(microseconds=1))
    except NoRulesInForce:
        return RESOLUTION_1801


def _limits(rules: Rules, terrain: Terrain) -> Limits:
    given = terms(rules, terrain.policy)
    return Limits(
        source=rules.title,
        answer=given.answer_within.total_seconds(),
        notice=rules.notice_within.value.total_seconds(),
        reidentification=given.reidentify_within.total_seconds(),
    )

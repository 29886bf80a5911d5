"""What is counted of a period, by operator.

Knows which of what happened belongs to the period: a question, a notice, a re-identification and
an exposure by when they began, whatever came of them later. Refuses to know how it was found out.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Final

from attrs import define, field

from abonent.compliance.cases import Worst
from abonent.compliance.figures import (
    JUDGED,
    Answers,
    Case,
    Duty,
    Ended,
    Exposures,
    Notices,
    Reidentifications,
    Tally,
    times,
)
from abonent.compliance.remembered import OpenGate, Question, Renewal
from abonent.core.events import (
    Displaced,
    Ignored,
    Lapsed,
    NoticeReceived,
    StaleNoticeIgnored,
)
from abonent.core.states import Basis, Reason

_SUBJECT_SHOWN: Final = 8
"""How many hexadecimal digits of a subject's id a case shows. The id is random: it says nothing."""


def _seconds() -> array[float]:
    return array("d")


@define
class _Times:
    """Times of one kind at one operator, and how often what happened."""

    seconds: array[float] = field(factory=_seconds)
    counts: Counter[str] = field(factory=Counter[str])
    ignored: Counter[Ignored] = field(factory=Counter[Ignored])


@define
class _Exposed:
    """What gates that stood open come to, at one operator."""

    counts: Counter[str] = field(factory=Counter[str])
    users: set[bytes] = field(factory=set[bytes])
    before: timedelta = timedelta(0)
    after: timedelta = timedelta(0)
    longest: timedelta | None = None


class Counting:
    """Counts what began in `[start, end)`. `within` is the operator's time to give notice."""

    def __init__(self, start: datetime, end: datetime, *, within: timedelta, worst: Worst) -> None:
        self._start, self._end = start, end
        self._within = within
        self._worst = worst
        self._outcomes: Counter[tuple[Basis | None, str | None, Reason | None]] = Counter()
        self._ended: Counter[type] = Counter()
        self._answers: defaultdict[str, _Times] = defaultdict(_Times)
        self._notices: defaultdict[str, _Times] = defaultdict(_Times)
        self._renewals: defaultdict[str, _Times] = defaultdict(_Times)
        self._exposed: defaultdict[tuple[str, bool], _Exposed] = defaultdict(_Exposed)
        self.heard: dict[str, datetime] = {}
        """When each operator last gave a notice, in the period or not."""

    def counts(self, at: datetime) -> bool:
        """Tell whether what began at an instant is counted."""
        return self._start <= at < self._end

    # --- what happened ----------------------------------------------------------------

    def outcome(
        self, at: datetime, method: Basis | None, operator: str | None, reason: Reason | None
    ) -> None:
        """An identification passed (`reason=None`) or did not."""
        if self.counts(at):
            self._outcomes[method, operator, reason] += 1

    def ended(self, event: Lapsed | Displaced) -> None:
        """An identification that stood is no more."""
        if self.counts(event.at):
            self._ended[type(event)] += 1

    def answered(self, subject: bytes, question: Question, at: datetime) -> None:
        """An operator answered, in time or not."""
        taken = (at - question.at).total_seconds()
        late = at > question.due
        found = self._answers[question.operator]
        found.seconds.append(taken)
        found.counts["late" if late else "in_time"] += 1
        if late:
            self._answer_broken(found, subject, question, taken)

    def unanswered(self, subject: bytes, question: Question, as_of: datetime) -> None:
        """An operator has not answered to this day."""
        found = self._answers[question.operator]
        if question.overtaken:
            found.counts["overtaken"] += 1
        elif as_of <= question.due:
            found.counts["open"] += 1
        else:
            found.counts["never"] += 1
            self._answer_broken(found, subject, question, None)

    def _answer_broken(
        self, found: _Times, subject: bytes, question: Question, taken: float | None
    ) -> None:
        found.counts["failed_calls"] += question.failed
        self._worst.add(_case(Duty.ANSWER, subject, question, taken))

    def noticed(
        self,
        subject: bytes,
        event: NoticeReceived | StaleNoticeIgnored,
        cursor: int,
        number: str | None,
    ) -> None:
        """An operator gave notice about a subject."""
        self.heard[event.operator] = max(event.at, self.heard.get(event.operator, event.at))
        if not self.counts(event.at):
            return
        found = self._notices[event.operator]
        if isinstance(event, StaleNoticeIgnored) and event.why not in JUDGED:
            found.ignored[event.why] += 1
            return
        if event.happened_at is None:
            found.counts["undated"] += 1
            return
        lag = max(event.at - event.happened_at, timedelta(0))
        found.seconds.append(lag.total_seconds())
        late = lag > self._within
        found.counts["late" if late else "in_time"] += 1
        if late:
            case = Case(
                duty=Duty.NOTICE,
                operator=event.operator,
                at=event.happened_at,
                seconds=lag.total_seconds(),
                cursor=cursor,
                subject=_short(subject),
                number=number,
            )
            self._worst.add(case)

    def renewed(self, subject: bytes, renewal: Renewal, at: datetime) -> None:
        """A user was identified anew, in time or not."""
        if not self.counts(renewal.at):
            return
        taken = (at - renewal.at).total_seconds()
        late = at > renewal.due
        found = self._renewals[renewal.operator]
        found.seconds.append(taken)
        found.counts["late" if late else "in_time"] += 1
        if late:
            self._worst.add(_case(Duty.REIDENTIFICATION, subject, renewal, taken))

    def not_renewed(self, subject: bytes, renewal: Renewal, as_of: datetime) -> None:
        """A user has not been identified anew to this day."""
        if not self.counts(renewal.at):
            return
        due = as_of > renewal.due
        self._renewals[renewal.operator].counts["never" if due else "open"] += 1
        if due:
            self._worst.add(_case(Duty.REIDENTIFICATION, subject, renewal, None))

    def moot(self, renewal: Renewal) -> None:
        """Somebody else proved the number before its user was identified anew."""
        if self.counts(renewal.at):
            self._renewals[renewal.operator].counts["moot"] += 1

    def exposed(
        self,
        subject: bytes,
        gate: OpenGate,
        at: datetime,
        *,
        ended: bool,
        number_kept: bool = True,
    ) -> None:
        """A gate stood open from what a notice tells of until an instant, at most until due."""
        if not self.counts(gate.noticed_at):
            return
        found = self._exposed[gate.operator, number_kept]
        closed = min(at, gate.due)
        after = closed - gate.noticed_at
        found.counts["notices"] += 1
        found.counts["open"] += not ended and at <= gate.due
        found.after += after
        lasted = after
        if gate.happened_at is None:
            found.counts["undated"] += 1
        else:
            began = min(max(gate.happened_at, gate.since), gate.noticed_at)
            found.before += gate.noticed_at - began
            lasted = closed - began
        found.longest = max(lasted, found.longest or timedelta(0))
        if lasted:
            found.users.add(subject)

    # --- what it comes to -------------------------------------------------------------

    def tallies(self) -> tuple[Tally, ...]:
        """Return identifications by method, operator and outcome, in a fixed order."""
        made = (
            Tally(method=method, operator=operator, reason=reason, count=count)
            for (method, operator, reason), count in self._outcomes.items()
        )
        return tuple(sorted(made, key=_tally_order))

    def endings(self) -> Ended:
        """Return how many identifications ended, and how."""
        return Ended(lapsed=self._ended[Lapsed], displaced=self._ended[Displaced])

    def answers(self) -> tuple[Answers, ...]:
        """Return how operators answered, by name."""
        return tuple(
            Answers(
                operator=operator,
                asked=found.counts.total() - found.counts["failed_calls"],
                in_time=found.counts["in_time"],
                late=found.counts["late"],
                never=found.counts["never"],
                overtaken=found.counts["overtaken"],
                open=found.counts["open"],
                failed_calls=found.counts["failed_calls"],
                taken=times(found.seconds),
            )
            for operator, found in sorted(self._answers.items())
        )

    def notices(self) -> tuple[Notices, ...]:
        """Return how late notices came, by operator."""
        return tuple(
            Notices(
                operator=operator,
                in_time=found.counts["in_time"],
                late=found.counts["late"],
                undated=found.counts["undated"],
                ignored=dict(sorted(found.ignored.items(), key=lambda each: each[0].value)),
                lag=times(found.seconds),
            )
            for operator, found in sorted(self._notices.items())
        )

    def reidentifications(self) -> tuple[Reidentifications, ...]:
        """Return how soon users were identified anew, by the operator that gave notice."""
        return tuple(
            Reidentifications(
                operator=operator,
                required=found.counts.total(),
                in_time=found.counts["in_time"],
                late=found.counts["late"],
                never=found.counts["never"],
                moot=found.counts["moot"],
                open=found.counts["open"],
                taken=times(found.seconds),
            )
            for operator, found in sorted(self._renewals.items())
        )

    def exposures(self) -> tuple[Exposures, ...]:
        """Return how long gates stood open, by operator; numbers that were not kept come first."""
        return tuple(
            Exposures(
                operator=operator,
                number_kept=number_kept,
                notices=found.counts["notices"],
                users=len(found.users),
                undated=found.counts["undated"],
                open=found.counts["open"],
                before=found.before.total_seconds(),
                after=found.after.total_seconds(),
                longest=None if found.longest is None else found.longest.total_seconds(),
            )
            for (operator, number_kept), found in sorted(
                self._exposed.items(), key=lambda each: (each[0][1], each[0][0])
            )
        )


def _tally_order(tally: Tally) -> tuple[str, str, bool, str]:
    method = "" if tally.method is None else tally.method.value
    reason = "" if tally.reason is None else tally.reason.value
    return (method or "~", tally.operator or "~", tally.reason is not None, reason)


def _case(duty: Duty, subject: bytes, since: Question | Renewal, taken: float | None) -> Case:
    return Case(
        duty=duty,
        operator=since.operator,
        at=since.at,
        seconds=taken,
        cursor=since.cursor,
        subject=_short(subject),
        number=since.number,
    )


def _short(subject: bytes) -> str:
    return subject.hex()[:_SUBJECT_SHOWN]

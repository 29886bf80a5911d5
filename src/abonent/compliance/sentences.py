"""What a report says in sentences: the verdict, and what is to be known before its figures.

Knows how to say it plainly, for page, terminal and JSON alike. Refuses to know markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from abonent.compliance.due import DueKind
from abonent.compliance.outlook import Unwatched
from abonent.compliance.report import Report
from abonent.compliance.verdict import lateness_in_words
from abonent.core.rules import MOSCOW
from abonent.pages.words import duration

_OF_A_PROCEEDING: Final = frozenset({DueKind.REMEDY_ORDERED, DueKind.RESTRICTION_POSSIBLE})
WHY_UNWATCHED: Final = {
    Unwatched.NO_GATEWAY: "no gateway is configured for it",
    Unwatched.AGREEMENT_ENDED: "the agreement has ended",
    Unwatched.NO_AGREEMENT: "there is no agreement",
}
DEFINITIONS: Final = {
    "Answers": (
        "From the instant at which the operator was asked to the instant at which its answer was "
        "received, by the messenger's clock; exactly at the limit is in time. A question belongs "
        "to the period in which it was asked. “Overtaken” are questions that ended for another "
        "reason before they were due. Claims that are refused at once, for example because there "
        "is no agreement, ask nobody and leave no entry."
    ),
    "Notices": (
        "From when something happened, by the operator's word, to when its notice was received; "
        "once for each user whom it was about. Notices about numbers that nobody here holds leave "
        "no entry. Those heard before, and those of an operator that is not on record, are not "
        "held against 24 hours."
    ),
    "Re-identification": (
        "From when a notice was received to when its user was identified anew. A user who is not "
        "identified anew has a closed gate: at once where the number is no longer theirs, when "
        "the time is over where they took it to another operator."
    ),
    "Exposure": (
        "The time during which a gate stood open although a notice had happened: from when it "
        "happened, by the operator's word, or from when the gate opened, if that was later, until "
        "the gate closed or the user was identified anew. Until the notice comes a messenger "
        "cannot know: that part is the operator's. Of notices that do not say when it happened, "
        "only the part after they were received is known."
    ),
    "Quantiles": (
        "Medians and 95th percentiles are of what came at all; what never came is counted apart."
    ),
}
"""How things are counted: a name, and what it means."""


def headline(report: Report) -> str:
    """Say in one sentence what matters most: who is late."""
    if report.empty:
        if report.entries.unplaced:
            return (
                f"None of the {report.entries.unplaced:,} entries of the journal can be read: "
                "nothing can be said about this period."
            )
        return "There is no data: the journal has no entry of this period."
    if report.late:
        named = listed([each.operator for each in report.late])
        return f"{named} {'is' if len(report.late) == 1 else 'are'} late."
    if not report.answers and not report.notices:
        return "No operator was asked in this period, and none gave notice."
    return "No operator was late."


def verdict(report: Report) -> list[tuple[str, str]]:
    """Name each operator that is late, and say how."""
    return [(each.operator, lateness_in_words(each)) for each in report.late]


def remarks(report: Report) -> list[str]:
    """Say what has to be known or done besides, the graver first."""
    return [*_about_now(report), *_about_entries(report), *_about_evidence(report)]


def _about_now(report: Report) -> Iterator[str]:
    outlook = report.outlook
    for due in report.calendar:
        if due.kind in _OF_A_PROCEEDING:
            yield f"Case {due.about}: {due.what}."
    for each in outlook.unwatched:
        since = "" if each.since is None else f" on {day(each.since)}"
        why = WHY_UNWATCHED[each.why]
        yield f"{many(each.users, 'user')} of {each.operator} are unwatched: {why}{since}."
    for feed in outlook.silent:
        heard = "never heard" if feed.heard_at is None else f"last heard {moment(feed.heard_at)}"
        yield f"The feed of {feed.operator} is silent: it was {heard}."
    for it in outlook.agreements:
        after = f"; {it.followed_by} follows" if it.followed_by else ", and none follows"
        yield f"Agreement {it.agreement} with {it.operator} ends {moment(it.ends)}{after}."


def _about_entries(report: Report) -> Iterator[str]:
    if report.running:
        yield "The period is not over: figures are as of now."
    unreadable = report.entries.unreadable
    if unreadable:
        yield (
            f"{unreadable:,} of the {report.entries.count:,} entries of the period cannot be read: "
            "their users were forgotten, and the figures are without them."
        )


def _about_evidence(report: Report) -> Iterator[str]:
    covered = report.coverage
    if covered is None:
        yield "Nothing here is covered by a checkpoint: none was given."
    elif not covered.covers:
        yield (
            f"{covered.uncovered:,} of the {report.entries.count:,} entries of the period are not "
            f"covered by the checkpoint, which ends at {covered.size:,}."
        )


# --- small words ---------------------------------------------------------------------


def listed(names: Sequence[str]) -> str:
    """List names as a sentence does."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def many(count: int, one: str) -> str:
    """Say how many of something."""
    return f"{count:,} {one}{'' if count == 1 else 's'}"


def moment(at: datetime) -> str:
    """Spell an instant for people: Moscow time, to the second."""
    return f"{at.astimezone(MOSCOW):%Y-%m-%d %H:%M:%S} MSK"


def day(at: datetime) -> str:
    """Spell the day of an instant, in Moscow."""
    return f"{at.astimezone(MOSCOW):%Y-%m-%d}"


def period(report: Report) -> str:
    """Spell the period: whole days as days."""
    start, end = report.start.astimezone(MOSCOW), report.end.astimezone(MOSCOW)
    if start.timetz().replace(tzinfo=None) == end.timetz().replace(tzinfo=None) == _MIDNIGHT:
        return f"{start:%Y-%m-%d} to {end - timedelta(days=1):%Y-%m-%d}, Moscow time"
    return f"{moment(start)} to {moment(end)}"


_MIDNIGHT: Final = datetime.min.time()


def seconds(value: float | None) -> str:
    """Spell a time, or a dash where there is none."""
    return "–" if value is None else duration(value)

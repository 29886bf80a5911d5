"""The tables of a report, for page and terminal alike.

Knows which figures stand side by side, how they are spelt, and which are bad news. Refuses to
compute any.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from abonent.compliance.figures import Case, Duty, Exposures
from abonent.compliance.proceeding.states import Blank, Registered
from abonent.compliance.register import Register
from abonent.compliance.report import Report
from abonent.compliance.sentences import WHY_UNWATCHED, day, many, moment, seconds
from abonent.core.states import Basis, Reason
from abonent.pages.tables import Cell, Table
from abonent.pages.words import duration, in_words

METHODS: Final = {
    Basis.OWN_DETERMINATION: "own determination",
    Basis.OPERATOR_ANSWER: "operator's answer",
    Basis.DECLARED: "declared by import",
    None: "ended before anybody was asked",
}
_NOBODY: Final = "no operator"
_WORDS: Final = frozenset(
    {
        "ends",
        "followed by",
        "last heard",
        "last on",
        "method",
        "notice of",
        "operator",
        "since",
        "source",
        "stands at",
        "the number",
        "what",
        "whom or what",
        "why",
    }
)
"""The heads of columns that hold words or dates."""


def tables(report: Report) -> list[Table]:
    """Return all tables, in the order in which they are read; of no data, those about now."""
    if report.empty:
        return about_now(report)
    return [
        *about_now(report),
        answers(report),
        notices(report),
        reidentifications(report),
        exposures(report),
        identifications(report),
        *cases(report),
    ]


def about_now(report: Report) -> list[Table]:
    """Return what is to be done now."""
    found = [calendar(report), unwatched(report), feeds(report), agreements(report)]
    return found if report.register is None else [*found, proceedings(report.register)]


def _table(
    name: str, title: str, says: str, heads: Iterable[str], rows: Iterable[Iterable[str | Cell]]
) -> Table:
    made = tuple(
        tuple(each if isinstance(each, Cell) else Cell(each) for each in row) for row in rows
    )
    table = Table(name=name, title=title, says=says, words=_WORDS, heads=tuple(heads), rows=made)
    return table.shown()


def _count(value: int, *, bad: bool = False) -> Cell:
    return Cell(f"{value:,}", bad and value > 0)


# --- the duties ----------------------------------------------------------------------


def answers(report: Report) -> Table:
    """Return how operators answered."""
    limit = report.limits.answer
    rows = (
        (
            Cell(each.operator, bad=each.broken > 0),
            _count(each.asked),
            _count(each.in_time),
            _count(each.late, bad=True),
            _count(each.never, bad=True),
            seconds(each.taken.median),
            _time(each.taken.p95, limit),
            _time(each.taken.longest, limit),
            _count(each.failed_calls),
            _count(each.overtaken),
            _count(each.open),
        )
        for each in report.answers
    )
    heads = ("Operator", "asked", "in time", "late", "never", "half within", "95 % within")
    more = ("longest", "our call failed", "overtaken", "not due yet")
    says = f"An operator has {duration(limit)} to answer ({report.limits.source})."
    if not report.answers:
        says = "No operator was asked in this period."
    return _table("answers", "Operators' answers", says, (*heads, *more), rows)


def notices(report: Report) -> Table:
    """Return how late notices were."""
    limit = report.limits.notice
    rows = (
        (
            Cell(each.operator, bad=each.late > 0),
            _count(each.heard),
            _count(each.in_time),
            _count(each.late, bad=True),
            _count(each.undated),
            seconds(each.lag.median),
            _time(each.lag.p95, limit),
            _time(each.lag.longest, limit),
            _count(sum(each.ignored.values())),
        )
        for each in report.notices
    )
    heads = ("Operator", "heard", "in time", "late", "does not say when", "half within")
    more = ("95 % within", "longest", "not judged")
    says = f"An operator has {duration(limit)} to give notice ({report.limits.source})."
    if not report.notices:
        says = "No notice came in this period."
    return _table("notices", "Operators' notices", says, (*heads, *more), rows)


def reidentifications(report: Report) -> Table:
    """Return how soon users were identified anew."""
    limit = report.limits.reidentification
    rows = (
        (
            each.operator,
            _count(each.required),
            _count(each.in_time),
            _count(each.late),
            _count(each.never),
            seconds(each.taken.median),
            seconds(each.taken.longest),
            _count(each.moot),
            _count(each.open),
        )
        for each in report.reidentifications
    )
    heads = ("Notice by", "users", "in time", "late", "not to this day", "half within", "longest")
    more = ("others took the number", "not due yet")
    says = (
        f"A user has to be identified anew within {duration(limit)} of the notice "
        f"({report.limits.source}). Who is not cannot send messages: the gate is closed."
    )
    if not report.reidentifications:
        says = "Nobody had to be identified anew."
    return _table("reidentifications", "Re-identification", says, (*heads, *more), rows)


def exposures(report: Report) -> Table:
    """Return how long gates stood open."""
    says = "How long users could send although a notice had happened, by who gave it."
    if not report.exposures:
        says = "No gate stood open after a notice had happened."
    heads = ("Operator", "the number", "users", "until the notice", "after it", "longest")
    more = ("does not say when", "open now")
    rows = map(_exposure, report.exposures)
    return _table("exposures", "Exposure", says, (*heads, *more), rows)


def _exposure(each: Exposures) -> Iterator[Cell]:
    yield Cell(each.operator)
    yield Cell("ported, stays the user's" if each.number_kept else "no longer the user's")
    yield _count(each.users)
    yield Cell(duration(each.before))
    yield Cell(duration(each.after))
    yield Cell(seconds(each.longest))
    yield _count(each.undated)
    yield _count(each.open)


def _time(value: float | None, limit: float) -> Cell:
    return Cell(seconds(value), bad=value is not None and value > limit)


# --- identifications -----------------------------------------------------------------


def identifications(report: Report) -> Table:
    """Return identifications by method and operator, a column for each outcome."""
    reasons = sorted({each.reason for each in report.identifications if each.reason}, key=_code)
    found: defaultdict[tuple[Basis | None, str | None], dict[Reason | None, int]] = defaultdict(
        dict
    )
    for each in report.identifications:
        found[each.method, each.operator][each.reason] = each.count
    rows = (
        (
            operator or _NOBODY,
            METHODS[method],
            *(f"{counts.get(each, 0):,}" for each in (None, *reasons)),
        )
        for (method, operator), counts in found.items()
    )
    heads = ("Operator", "method", "passed", *(in_words(each.value) for each in reasons))
    says = "Claims that were accepted, and what became of them."
    if not found:
        says = "No identification passed or failed in this period."
    ended = report.ended
    if ended.lapsed:
        says += f" {many(ended.lapsed, 'identification')} that stood lapsed: not made anew in time."
    if ended.displaced:
        says += f" {many(ended.displaced, 'user')} gave way to who proved the number later."
    return _table("identifications", "Identifications", says, heads, rows)


def _code(reason: Reason) -> str:
    return str(reason.value)


# --- what is to be done --------------------------------------------------------------


def calendar(report: Report) -> Table:
    """Return what is due and when."""
    rows = (
        (
            Cell(" to ".join(dict.fromkeys((moment(each.at), moment(each.latest))))),
            Cell(
                f"overdue: {each.what}" if each.at < report.as_of else each.what,
                each.at < report.as_of,
            ),
            ", ".join(filter(None, (each.operator, each.about))),
            _count(each.count),
            each.source,
        )
        for each in report.calendar
    )
    within = duration(report.ends_within.total_seconds())
    says = f"What is due within {within}, and what is overdue."
    if not report.calendar:
        says = f"Nothing is due within {within}, and nothing is overdue."
    heads = ("Until", "what", "whom or what", "how many", "source")
    return _table("calendar", "Calendar", says, heads, rows)


def proceedings(register: Register) -> Table:
    """Return where the proceedings stand, and the entry in the register."""
    entry = register.entry
    if isinstance(entry, Blank):
        says = "Of an entry in the register nothing is known."
    else:
        was = "in the register" if isinstance(entry, Registered) else "struck from the register"
        says = f"The messenger is {was} since {entry.since.isoformat()}."
    rows = (
        (
            each.matter.case,
            in_words(type(each).__name__),
            each.matter.noticed.isoformat(),
            each.matter.last.isoformat(),
            "–" if each.matter.fine is None else f"{each.matter.fine.roubles:,}",
        )
        for each in register.cases
    )
    says += "" if register.cases else " There is no proceeding."
    heads = ("Case", "stands at", "notice of", "last on", "fine, roubles")
    return _table("register", "Register and proceedings", says, heads, rows)


def unwatched(report: Report) -> Table:
    """Return the users about whom nobody sends notices any more."""
    rows = (
        (
            Cell(each.operator, bad=True),
            _count(each.users, bad=True),
            WHY_UNWATCHED[each.why],
            "–" if each.since is None else day(each.since),
        )
        for each in report.outlook.unwatched
    )
    says = "Identified users whose operator sends no notices any more: what happens is not heard."
    if not report.outlook.unwatched:
        says = "Every identified user's operator can send notices."
    if report.outlook.own:
        says += (
            f" Of {many(report.outlook.own, 'more user')} no operator is on record: the messenger "
            "identified them by itself."
        )
    return _table("unwatched", "Unwatched users", says, ("Operator", "users", "why", "since"), rows)


def feeds(report: Report) -> Table:
    """Return when operators were last heard."""
    rows = (
        (
            Cell(each.operator, bad=each.silent),
            Cell("never" if each.heard_at is None else moment(each.heard_at), bad=each.silent),
            _count(each.users),
        )
        for each in report.outlook.feeds
    )
    says = (
        f"Silent for more than {duration(report.silent_after.total_seconds())} is marked. An "
        "operator with few of your users has little to tell: ask it before you worry."
    )
    if not report.outlook.feeds:
        says = "No operator is expected to send notices."
    return _table("feeds", "Last notice heard", says, ("Operator", "last heard", "users"), rows)


def agreements(report: Report) -> Table:
    """Return the agreements that end soon."""
    rows = (
        (
            each.agreement,
            each.operator,
            Cell(moment(each.ends), bad=each.followed_by is None),
            each.followed_by or "nothing",
            _count(each.users),
        )
        for each in report.outlook.agreements
    )
    soon = duration(report.ends_within.total_seconds())
    says = f"Agreements that end within {soon}."
    if not report.outlook.agreements:
        says = f"No agreement ends within {soon}."
    heads = ("Agreement", "operator", "ends", "followed by", "users")
    return _table("agreements", "Agreements that end soon", says, heads, rows)


# --- cases ---------------------------------------------------------------------------

_CASES: Final = {
    Duty.ANSWER: ("late-answers", "Answers that came late or never", "asked"),
    Duty.NOTICE: ("late-notices", "Notices that came late", "happened"),
    Duty.REIDENTIFICATION: (
        "late-reidentifications",
        "Users who were not identified anew in time",
        "noticed",
    ),
}


def cases(report: Report) -> Iterator[Table]:
    """Return the cases in which a duty was not met, the worst first."""
    for duty, (name, title, since) in _CASES.items():
        shown = [each for each in report.cases if each.duty is duty]
        total = report.found[duty]
        if not total:
            continue
        says = f"{many(total, 'case')}, the worst first."
        if len(shown) < total:
            says = f"The {len(shown):,} worst of {total:,} cases."
        heads = (f"{since} at", "operator", "took", "journal entry", "subject", "number ends in")
        yield _table(name, title, says, heads, map(_case, shown))


def _case(each: Case) -> Iterator[Cell]:
    blamed = each.duty is not Duty.REIDENTIFICATION
    never = "never came" if blamed else "not to this day"
    yield Cell(moment(each.at))
    yield Cell(each.operator)
    yield Cell(never if each.seconds is None else duration(each.seconds), bad=blamed)
    yield Cell(str(each.cursor))
    yield Cell(each.subject)
    yield Cell(each.number or "–")

"""The verdict: which operator is late, how often, and at worst how much.

Knows how to say it in one sentence each. Refuses to weigh one duty against another: operators are
named in the order of how often they broke one.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from abonent.compliance.figures import Answers, Notices
from abonent.pages.words import duration


@frozen(kw_only=True)
class Lateness:
    """How often one operator was late, of how many that are known, and at worst by how much.

    `worst_answer` is None where no late answer ever came; `never` counts those. All in seconds.
    """

    operator: str
    late_answers: int
    never: int
    answers: int
    worst_answer: float | None
    late_notices: int
    notices: int
    worst_notice: float | None

    @property
    def broken(self) -> int:
        """How often it broke a duty."""
        return self.late_answers + self.never + self.late_notices


def late_operators(answers: Iterable[Answers], notices: Iterable[Notices]) -> tuple[Lateness, ...]:
    """Return the operators that broke a duty, the one that did so most often first."""
    answered = {each.operator: each for each in answers}
    noticed = {each.operator: each for each in notices}
    found = (
        _lateness(operator, answered.get(operator), noticed.get(operator))
        for operator in sorted({*answered, *noticed})
    )
    broken = (each for each in found if each.broken)
    return tuple(sorted(broken, key=lambda each: (-each.broken, each.operator)))


def _lateness(operator: str, answers: Answers | None, notices: Notices | None) -> Lateness:
    late_answers = 0 if answers is None else answers.late
    late_notices = 0 if notices is None else notices.late
    return Lateness(
        operator=operator,
        late_answers=late_answers,
        never=0 if answers is None else answers.never,
        answers=0 if answers is None else answers.judged,
        worst_answer=answers.taken.longest if answers is not None and late_answers else None,
        late_notices=late_notices,
        notices=0 if notices is None else notices.in_time + notices.late,
        worst_notice=notices.lag.longest if notices is not None and late_notices else None,
    )


def lateness_in_words(found: Lateness) -> str:
    """Say of what and how often an operator was late."""
    parts: list[str] = []
    if found.late_answers or found.never:
        parts.append(_answers_in_words(found))
    if found.late_notices:
        worst = "" if found.worst_notice is None else f", the worst {duration(found.worst_notice)}"
        parts.append(
            f"{found.late_notices:,} of {found.notices:,} notices came later than 24 h{worst}"
        )
    return "; ".join(parts)


def _answers_in_words(found: Lateness) -> str:
    broken = found.late_answers + found.never
    share = _share(broken, found.answers)
    told = f"{broken:,} of {found.answers:,} answers ({share}) did not come in time"
    never = f"{found.never:,} never came" if found.never else ""
    worst = "" if found.worst_answer is None else f"the slowest took {duration(found.worst_answer)}"
    more = ", ".join(each for each in (never, worst) if each)
    return f"{told}: {more}" if more else told


def _share(part: int, whole: int) -> str:
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.1f} %"

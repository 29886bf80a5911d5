"""The lines of a calendar: what each duty, agreement, order and rule set comes to.

Knows how each is put, and in which order. Refuses to know where it was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from attrs import frozen

from abonent.compliance.ahead import Ahead
from abonent.compliance.due import DueItem, DueKind, in_order
from abonent.compliance.proceeding.days import begins
from abonent.compliance.proceeding.evolution import wakes_at
from abonent.compliance.proceeding.sanctions import REMEDY_WITHIN
from abonent.compliance.proceeding.states import Ordered, OrderUnmet
from abonent.compliance.register import Register
from abonent.core.agreements import Agreement, Agreements
from abonent.core.rules import Rules

_USERS = {
    DueKind.ANSWER_AWAITED: "answers to questions about users are awaited",
    DueKind.REIDENTIFICATION_DUE: "users are to be identified anew after a notice",
}


@frozen(kw_only=True)
class Known:
    """All that a calendar is made of.

    Args:
        now: the instant at which it is made.
        until: the last instant that it shows.
        ahead: the users, counted.
        agreements: those of the messenger.
        needs_agreement: whether users are identified under an agreement only.
        rule_sets: those that apply by date; none for a what-if run.
        register: the officer's facts, if there are any.
    """

    now: datetime
    until: datetime
    ahead: Ahead
    agreements: Agreements
    needs_agreement: bool
    rule_sets: tuple[Rules, ...]
    register: Register | None


def agenda(known: Known) -> tuple[DueItem, ...]:
    """Return what is due by `until`, inclusive, the earliest first; what is overdue as well."""
    found = (
        *_of_users(known.ahead),
        *_of_agreements(known),
        *_of_rules(known),
        *(() if known.register is None else _of_cases(known.register)),
    )
    return tuple(sorted((each for each in found if each.at <= known.until), key=in_order))


def _of_users(ahead: Ahead) -> Iterator[DueItem]:
    for group, span in ahead.spans.items():
        yield DueItem(
            at=span.earliest,
            latest=span.latest,
            kind=group.kind,
            what=_USERS[group.kind],
            operator=group.operator,
            count=span.count,
            source=group.source,
        )


def _of_agreements(known: Known) -> Iterator[DueItem]:
    """Yield ends that nothing follows at once, and whose users nobody watches any more (S33)."""
    identified = dict(known.ahead.identified)
    by_operator: dict[str, list[Agreement]] = {name: [] for name in identified}
    for each in known.agreements:
        by_operator.setdefault(each.operator, []).append(each)
    for operator, several in by_operator.items():
        users = identified.get(operator, 0)
        if users and known.agreements.in_force(operator, known.now) is None:
            yield from _unwatched(known, operator, several, users)
        starts = {each.starts for each in several}
        for each in several:
            if each.ends is not None and each.ends > known.now and each.ends not in starts:
                yield _line(
                    each.ends.astimezone(UTC),
                    DueKind.AGREEMENT_ENDS,
                    "the agreement ends; who was identified under it stays so, and is watched "
                    "no longer",
                    operator=operator,
                    about=each.id,
                    count=users,
                )


def _unwatched(
    known: Known, operator: str, several: Iterable[Agreement], users: int
) -> Iterator[DueItem]:
    over = [each for each in several if each.ends is not None and each.ends <= known.now]
    last = max(over, key=lambda each: each.starts, default=None)
    if last is None and not known.needs_agreement:
        return  # it was asked without an agreement, and is not known to give notices by one
    at = known.now if last is None or last.ends is None else last.ends.astimezone(UTC)
    yield _line(
        at,
        DueKind.USERS_UNWATCHED,
        "no agreement is in force: users stay identified, and no notice comes about them",
        operator=operator,
        about=None if last is None else last.id,
        count=users,
    )


def _of_rules(known: Known) -> Iterator[DueItem]:
    """Yield the end of the rule set in force, or of the last one that was."""
    begun = [each for each in known.rule_sets if each.starts and each.starts <= known.now]
    last = max(begun, key=lambda each: each.starts or known.now, default=None)
    if last is None or last.ends is None:
        return
    follows = next((each for each in known.rule_sets if each.starts == last.ends), None)
    then = "no claim is accepted" if follows is None else f"rule set {follows.id} applies"
    yield _line(
        last.ends,
        DueKind.RULES_END,
        f"rule set {last.id} ends; from then on {then}",
        about=last.id,
        source=last.title,
    )


def _of_cases(register: Register) -> Iterator[DueItem]:
    for state in register.cases:
        at, case = wakes_at(state), state.matter.case
        if isinstance(state, Ordered) and at is not None:
            yield _line(
                at,
                DueKind.REMEDY_ORDERED,
                f"the violation is to be remedied by the end of {state.due}, Moscow time",
                about=case,
                count=1,
                source=REMEDY_WITHIN.source,
            )
        elif isinstance(state, OrderUnmet):
            yield _line(
                begins(state.since),
                DueKind.RESTRICTION_POSSIBLE,
                "the order was not met: access may be restricted",
                about=case,
                count=1,
                source=REMEDY_WITHIN.source,
            )


def _line(
    at: datetime,
    kind: DueKind,
    what: str,
    *,
    operator: str | None = None,
    about: str | None = None,
    count: int = 0,
    source: str = "",
) -> DueItem:
    """Return a line about one thing."""
    return DueItem(
        at=at,
        latest=at,
        kind=kind,
        what=what,
        operator=operator,
        about=about,
        count=count,
        source=source,
    )

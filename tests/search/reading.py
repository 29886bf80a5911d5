"""What is true of a user at an instant, read off what is held: gate, deadlines, what is owed.

Knows how to read and count. Refuses to know the core, and what a command changes.
"""

from __future__ import annotations

from typing import Any

from tests.search.words import DAY, Awaiting, Figures, Proving, User

GRAVE = frozenset({"terminated", "reassigned", "number_changed"})
"""Notices that close the gate at once; a ported number stays with its holder."""


# --- counting -------------------------------------------------------------------------


def counted(instants: tuple[int, ...], at: int) -> tuple[int, ...]:
    """Those of the last 24 hours."""
    return tuple(each for each in instants if at - each < DAY)


def free_from(instants: tuple[int, ...], limit: int, at: int) -> int | None:
    """From when one more fits, or None if it fits now."""
    left = counted(instants, at)
    return None if len(left) < limit else sorted(left)[-limit] + DAY


def failed_on(user: User, *tags: bytes) -> tuple[int, ...]:
    return tuple(sorted(each for tag, when in user.failures if tag in tags for each in when))


# --- reading at an instant ------------------------------------------------------------


def gate(user: User, now: int) -> tuple[bool, int | None, str | None]:
    """Open or not, until when, and why."""
    if user.held is not None:
        if user.due is None:
            return True, None, None
        if user.due.cause not in GRAVE and now <= user.due.until:
            return True, user.due.until, "reidentification_due"
        return False, None, "reidentification_due"
    if user.attempt is None and user.end is not None:
        return False, None, user.end.reason
    if user.attempt is None and user.was == "forgotten":
        return False, None, "forgotten"
    return False, None, "not_identified"


def deadlines(user: User) -> list[int]:
    """Every instant at which something must be looked at."""
    found = [each.next for each in user.debts]
    match user.attempt:
        case Proving(expires=expires, code=code):
            found.append(expires)
            if code is not None:
                found.append(code.expires)
                found += [code.sending[1]] if code.sending else []
        case Awaiting(due=due, asking=asking):
            found.append(due)
            found += [asking[1]] if asking else []
    if user.due is not None:
        found.append(user.due.until)
    if user.status == "forgotten" and not user.debts:
        kept = [*user.sends, *(each for _, when in user.failures for each in when)]
        found += [max(kept) + DAY] if kept else []
    return found


def owed(user: User, now: int | None) -> tuple[tuple[Any, ...], ...]:
    """What may be performed now (None: ever), each with its id."""
    found: list[tuple[Any, ...]] = []

    def turn(next_try: int) -> bool:
        return now is None or next_try <= now

    match user.attempt:
        case Proving() as it if it.code and it.code.sending and turn(it.code.sending[1]):
            name = f"{it.claim}.{it.code.issue}"
            tries = it.code.sending[0]
            found.append(
                ("send_code", name, it.number, it.claim, it.code.issue, it.code.key, tries)
            )
        case Awaiting() as it if it.asking and turn(it.asking[1]):
            asked = (it.asked, it.due, it.opaque, it.asking[0])
            found.append(("ask_operator", it.query, it.number, it.operator, *asked))
    for debt in user.debts:
        if turn(debt.next):
            number = user.held.number if debt.kind == "record" and user.held else None
            rest = (debt.operator, debt.code, debt.since, debt.tries)
            found.append((debt.kind, f"{debt.code}.{debt.kind}", number, *rest))
    return tuple(found)


def next_steps(user: User, now: int, figures: Figures) -> tuple[tuple[Any, ...], ...]:
    """What the user may do next: (action, since, until, tries)."""
    match user.attempt:
        case Awaiting(due=due):
            return (("wait", now, due, None),)
        case Proving() as it:
            steps: list[tuple[Any, ...]] = []
            if it.code and now <= it.code.expires and it.code.tries < figures.tries_per_code:
                failed = len(counted(failed_on(user, it.tag), now))
                left = min(
                    figures.failures_per_day - failed, figures.tries_per_code - it.code.tries
                )
                steps.append(("prove", now, it.code.expires, max(0, left)))
            sends = free_from(user.sends, figures.sends_per_user, now) or now
            since = max(now, it.issued_at + figures.resend_after, sends)
            return (*steps, ("resend", since, it.expires, None))
    if user.held is None and user.end is not None and user.end.retry is not None:
        return (("claim", max(now, user.end.retry), None, None),)
    return (("claim", now, user.due.until if user.due else None, None),)


def standing(user: User, now: int, figures: Figures) -> tuple[Any, ...]:
    """All that a user is told about themselves."""
    answer = gate(user, now)
    shown = user.status == "not_passed" and user.end
    return (
        user.status,
        answer,
        shown.reason if shown else answer[2],
        user.held.basis if user.held else None,
        user.held.code if user.held else None,
        next_steps(user, now, figures),
    )


def clearing(user: User) -> list[int]:
    """When nothing of a forgotten user counts any more, once nothing is owed."""
    return deadlines(user) if not user.debts else []

"""What a scope is, and the alphabets that scopes are made of.

Knows which commands can come when. Refuses to know what they lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any, NamedTuple

from attrs import field, frozen

from abonent.core.states import Aggregate
from tests.search.checking import describe
from tests.search.words import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Acknowledged,
    Answer,
    Ask,
    Awaiting,
    Failed,
    Figures,
    Judge,
    Notice,
    Proving,
    Sent,
    User,
)

OUTCOMES = ("held", "not_held", "not_ours", "undetermined", "later")
KINDS = ("terminated", "reassigned", "ported", "number_changed")


class Prove(NamedTuple):
    """A try and its verdict in one breath."""

    right: bool = True
    rival: int | None = None


class Later(NamedTuple):
    """Time passes."""

    by: int


class Move(NamedTuple):
    """One step of a history: who does what."""

    who: str
    what: Ask | Prove | Later

    def __str__(self) -> str:
        what = f"{as_time(self.what.by)} later" if isinstance(self.what, Later) else ""
        return f"{self.who or '-'} {what or describe(self.what)}"


def as_time(by: int) -> str:
    """Microseconds as one reads them."""
    sign, by = ("-", -by) if by < 0 else ("", by)
    parts: list[str] = []
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"), (1, "us")):
        if by >= unit:
            parts.append(f"{by // unit} {name}")
            by %= unit
    return sign + " ".join(parts)


class View(NamedTuple):
    """What an alphabet may look at."""

    user: User
    trials: tuple[Judge, ...]
    now: int


class Start(NamedTuple):
    """A history that leads to where the search of a scope begins."""

    history: tuple[Ask | Prove | Later, ...] = ()
    given: Aggregate | None = None

    def told(self) -> tuple[str, ...]:
        first = () if self.given is None else (f"A is {type(self.given.state).__name__}",)
        return (*first, *(str(Move("A", each)) for each in self.history))


Alphabet = Callable[[View], Iterable[Ask | Prove]]


def _nothing(_: View) -> Iterable[Any]:
    return ()


@frozen(kw_only=True)
class Scope:
    """A named part of what can happen."""

    name: str
    about: str
    depth: int
    figures: Figures
    asks: Alphabet
    notices: Callable[[View], Iterable[Notice]] = _nothing
    alone: bool = True
    """One user only; otherwise two, who share a number."""
    anchored: bool = False
    """Calendar dates matter: records are the same only at the same time."""
    deadlines: tuple[str, ...] = ()
    """To which kinds of instant time moves: to the next one, and a microsecond about it."""
    around: tuple[int, ...] = (-1, 0, 1)
    fixed: tuple[int, ...] = ()
    policy: dict[str, Any] = field(factory=dict)
    starts: tuple[Start, ...] = (Start(),)

    def passing(self, views: Iterable[View]) -> list[int]:
        """By how much time may pass."""
        steps = set(self.fixed)
        views = list(views)
        for kind in self.deadlines:
            ahead = [
                at - view.now
                for view in views
                for at in instants(view.user, kind, self.figures)
                if at + max(self.around) > view.now
            ]
            if ahead:
                steps |= {min(ahead) + each for each in self.around}
        return sorted(each for each in steps if each > 0 or each in self.fixed)

    def times(self) -> str:
        """How time may pass, as one reads it."""
        about = ", ".join("at" if not each else f"{each:+} us" for each in self.around)
        ways = [f"to the next {each} ({about})" for each in self.deadlines]
        return "; ".join([*ways, *map(as_time, self.fixed)]) or "not at all"


def instants(user: User, kind: str, figures: Figures) -> Iterator[int]:
    """The instants of one kind that a record holds."""
    it = user.attempt
    if isinstance(it, Proving):
        if kind == "claim":
            yield it.expires
        if kind == "resend":
            yield it.issued_at + figures.resend_after
        if it.code and kind == "code":
            yield it.code.expires
        if it.code and it.code.sending and kind == "try":
            yield it.code.sending[1]
    elif isinstance(it, Awaiting):
        if kind == "answer":
            yield it.due
        if it.asking and kind == "try":
            yield it.asking[1]
    if kind == "anew" and user.due is not None:
        yield user.due.until
    if kind == "debt":
        yield from (each.next for each in user.debts)
    if kind == "given up":
        yield from (each.since + figures.debt_kept for each in user.debts)
    if kind == "budget":
        yield from (each + DAY for each in user.sends)
        yield from (each + DAY for _, when in user.failures for each in when)
    if kind == "agreement":
        yield from (each for _, _, *ends in figures.agreements for each in ends if each is not None)
    if kind == "rules":
        yield from (each for _, *ends in figures.rules for each in ends)


# --- alphabets ------------------------------------------------------------------------


def together(*alphabets: Alphabet) -> Alphabet:
    """Several alphabets as one."""

    def asks(view: View) -> Iterator[Ask | Prove]:
        for each in alphabets:
            yield from each(view)

    return asks


def always(*asks: Ask | Prove) -> Alphabet:
    return lambda _: asks


def when_proving(*asks: Ask | Prove) -> Alphabet:
    return lambda view: asks if isinstance(view.user.attempt, Proving) else ()


def answers(*asks: Answer) -> Alphabet:
    """Answers come while one is awaited; to an earlier question, at any time."""

    def given(view: View) -> Iterator[Answer]:
        for each in asks:
            if isinstance(view.user.attempt, Awaiting) or each.query != "q1":
                yield each

    return given


def verdicts(view: View) -> Iterator[Judge]:
    """Every charged try may be judged, either way, whatever happened meanwhile."""
    for each in dict.fromkeys(view.trials):
        yield each._replace(right=True)
        yield each


def notice(
    *variants: tuple[str, str],
    happened: tuple[str, ...] = ("unknown",),
    number: str = "X",
    serving: str | None = None,
    name: str = "n9",
    always: bool = False,
) -> Callable[[View], Iterator[Notice]]:
    """Notices of these (operator, kind), about before, at or after what makes them fresh."""

    def given(view: View) -> Iterator[Notice]:
        held, it = view.user.held, view.user.attempt
        since: set[int] = set()
        if held is not None:
            since.add(held.proven if held.asked is None else held.asked)
        if isinstance(it, Awaiting):
            since.add(it.asked)
        if not since and not always:
            return
        for (operator, kind), when in product(variants, happened):
            if when == "unknown":
                yield Notice(name, operator, kind, number, None, serving)
            else:
                for at in sorted(since):
                    yield Notice(name, operator, kind, number, at + _WHEN[when], serving)

    return given


_WHEN = {"before": -1, "at": 0, "after": 1}


def repeated(view: View) -> Iterator[Notice]:
    """Every notice that was heard comes again, and the same id from the other operator."""
    if view.user.held is None and not isinstance(view.user.attempt, Awaiting):
        return
    for heard in view.user.notices:
        operator, _, name = heard.partition(" ")
        yield Notice(name, operator, "terminated")
        yield Notice(name, "N" if operator == "M" else "M", "terminated")


def effects(view: View) -> Iterator[Ask]:
    """Word of what is owed, and of what is not."""
    it = view.user.attempt
    if isinstance(it, Proving):
        for claim, issue in ((it.claim, it.issued), (it.claim, it.issued + 1), ("c0", it.issued)):
            yield Sent(claim, issue)
            yield Failed("send_code", f"{claim}.{issue}")
        yield Failed("ask_operator", f"{it.claim}.{it.issued}")
    else:
        yield Sent("c1", 1)
        yield Failed("send_code", "c1.1")
    if isinstance(it, Awaiting):
        yield Failed("ask_operator", it.query)
        yield Failed("send_code", it.query)
    yield Failed("ask_operator", "q0")


def debts(view: View) -> Iterator[Ask]:
    """Word of records and withdrawals, owed or not."""
    for each in (*view.user.debts, *_STRAY):
        for kind in ("record", "withdraw"):
            yield Acknowledged(kind, each[1], each[2])
        yield Failed(each[0], f"{each[2]}.{each[0]}")


_STRAY = (("record", "M", "i0"), ("withdraw", "M", "i0"))

"""Judging deleted guards by the exhaustive search and the simulated world, and by nothing else.

Knows how to ask either whether an invariant broke, and which cases (a scope of the search, a seed
of the world) can notice a mutant at all: those in which its guard was needed. Refuses to know what
the invariants are. A mutant is tried in so many of its cases at most, the quickest first: what is
called missed may be caught by more of them, and never the other way round.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from types import CodeType
from typing import Final

from attrs import frozen

from tests.mutation import guards
from tests.mutation.forking import Crashed, Job, TimedOut, run
from tests.mutation.mutants import Mutant, substitute

BORDERS: Final = "borders"
"""The search's table of what may not even be built, beside its scopes."""
_TOGETHER: Final = 20
"""Cases that one process watches, one after another."""


@frozen(kw_only=True)
class Bounds:
    """How far the judges look: the depth of the search, and the size of a world."""

    depth: int = 4
    days: int = 30
    subscribers: int = 50


@frozen
class Case:
    """One thing that a judge can be asked: `of` is a scope's name or a world's seed."""

    judge: str
    of: str
    bounds: Bounds = Bounds()

    def __str__(self) -> str:
        return f"{self.judge} {self.of}"


def _search(scope: str, bounds: Bounds) -> str | None:
    if scope == BORDERS:
        from tests.search import borders

        return "; ".join(borders.both()) or None
    from tests.search.scopes import SCOPES
    from tests.search.search import Search

    (found,) = (each for each in SCOPES if each.name == scope)
    why = Search(found).run(min(bounds.depth, found.depth)).why
    return "; ".join(why) or None


def _world(seed: str, bounds: Bounds) -> str | None:
    from abonent.simulation.world import run_world

    broken = run_world(
        seed=int(seed), days=bounds.days, subscribers=bounds.subscribers, shrink_tries=0
    ).violation
    return None if broken is None else f"{broken.invariant}: {broken.what}"


JUDGES: Final[dict[str, Callable[[str, Bounds], str | None]]] = {"search": _search, "world": _world}
"""Each says what broke in a case, or None. What it raises counts as broken too."""


def ask(case: Case) -> str | None:
    """Return what broke in this case, in this process."""
    try:
        return JUDGES[case.judge](case.of, case.bounds)
    except Exception as error:
        return f"raised {type(error).__name__}"


def scopes() -> tuple[str, ...]:
    """Return what can be searched, by name; a child has to import it."""

    def names() -> tuple[str, ...]:
        from tests.search.scopes import SCOPES

        return (BORDERS, *(each.name for each in SCOPES))

    ((_, said),) = run([Job(name="scopes", work=names, limit=60.0)])
    if isinstance(said, Crashed | TimedOut):
        raise RuntimeError(f"the search cannot be asked: {said}")
    return said


# --- which case needs which guard ---------------------------------------------------


@frozen
class Watched:
    """A case without a mutant: its time, what broke, and the mutants whose guard it needed."""

    case: Case
    seconds: float
    broke: str | None
    needed: frozenset[int]


def _watch(cases: Sequence[Case], paths: Sequence[str]) -> list[Watched]:
    operators: list[str] = []
    codes: dict[str, Callable[[], CodeType]] = {}
    for path in paths:
        codes[path] = guards.watched(path, len(operators))
        operators += [each.operator for each in guards.mutants_of(path)]
    met: list[dict[bool, bool]] = [{} for _ in operators]

    def report(number: int, value: object) -> object:
        met[number][bool(value)] = True
        return value

    setattr(builtins, guards.WATCH, report)
    substitute(codes)
    found: list[Watched] = []
    for case in cases:
        for each in met:
            each.clear()
        began = monotonic()
        broke = ask(case)
        needed = frozenset(
            number
            for number, (operator, values) in enumerate(zip(operators, met, strict=True))
            if operator == guards.UNWATCHED
            or any(guards.needed(operator, value) for value in values)
        )
        found.append(Watched(case, monotonic() - began, broke, needed))
    return found


def watch(cases: Sequence[Case], paths: Sequence[str], at_once: int) -> list[Watched]:
    """Run every case with all guards in and note which of them it needs.

    Raises:
        RuntimeError: a case could not be run.
    """

    def job(part: Sequence[Case]) -> Job[str, list[Watched]]:
        return Job(name=str(part[0]), work=lambda: _watch(part, paths), limit=3600.0)

    parts = [cases[at : at + _TOGETHER] for at in range(0, len(cases), _TOGETHER)]
    found: list[Watched] = []
    for name, said in run(map(job, parts), at_once):
        if isinstance(said, Crashed | TimedOut):
            raise RuntimeError(f"{name} could not be watched: {said}")
        found += said
    return sorted(found, key=lambda each: each.seconds)


# --- judging ------------------------------------------------------------------------


@frozen
class Verdict:
    """Whether a deleted guard was noticed: by which judge, or why not."""

    caught: bool
    by: str
    what: str = ""


def judge(
    mutants: Sequence[Mutant], watched: Sequence[Watched], tries: int, at_once: int
) -> Iterator[tuple[Mutant, Verdict]]:
    """Judge each mutant by what needs its guard: every scope, and up to so many worlds."""

    def jobs() -> Iterator[Job[Mutant, Verdict]]:
        for number, mutant in enumerate(mutants):
            needing = [each for each in watched if number in each.needed]
            scopes = [each for each in needing if each.case.judge != "world"]
            worlds = [each for each in needing if each.case.judge == "world"]
            cases = [*scopes, *worlds[:tries]]
            limit = 20 + 5 * sum(each.seconds for each in cases)
            yield Job(name=mutant, work=_trial(mutant, [each.case for each in cases]), limit=limit)

    for mutant, said in run(jobs(), at_once):
        match said:
            case TimedOut(limit):
                yield mutant, Verdict(True, "time-out", f"after {limit:.0f} s")
            case Crashed(why):
                yield mutant, Verdict(True, "crash", why.strip().splitlines()[-1])
            case verdict:
                yield mutant, verdict


def _trial(mutant: Mutant, cases: Sequence[Case]) -> Callable[[], Verdict]:
    def work() -> Verdict:
        if not cases:
            return Verdict(False, "never needed")
        substitute({mutant.path: mutant.compiled})
        for case in cases:
            if (broke := ask(case)) is not None:
                return Verdict(True, case.judge, f"{case}: {broke}")
        return Verdict(False, f"unnoticed in {len(cases)} cases that need it")

    return work

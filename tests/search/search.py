"""Breadth first over two users: every order of commands of a scope, to a depth.

Knows the order in which to look, and what is the same. Refuses to know what is right.

Two users meet in three places only: the holder's proof that decides against a rival, giving way to
who proved later, and the clock. So a command is decided once for each record that it meets, and the
pairs of records are searched by number.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from abonent.core.states import BLANK, Aggregate
from tests.search import alike, checking, core, words
from tests.search.alphabet import Later, Move, Prove, Scope, Start, View
from tests.search.checking import Ground, Violation, letter
from tests.search.words import Ask, User

_BITS = 24
_MASK = (1 << _BITS) - 1


class Reached(NamedTuple):
    """Where a command leads: to which record, and by which number somebody was identified."""

    record: int
    passed: str | None


class Records:
    """Every distinct record of a scope, numbered, and where each command leads from it."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.where = core.terrain(scope.figures, scope.policy)
        self.decided = 0
        self.letters: set[str] = set()
        self.aggregates: list[Aggregate] = []
        self.trials: list[tuple[words.Judge, ...]] = []
        self.users: list[User] = []
        self._numbers: dict[tuple[Aggregate, tuple[words.Judge, ...]], int] = {}
        self._moves: dict[tuple[int, int | None, int], list[tuple[Ask | Prove, Reached]]] = {}
        self._again: dict[tuple[int, Ask, int], int] = {}
        self._later: dict[tuple[int, int], int] = {}
        self._looked: set[tuple[int, int]] = set()

    def number(self, aggregate: Aggregate, trials: tuple[words.Judge, ...], now: int) -> int:
        """The number of a record; a new one is looked at by the model as well."""
        aggregate, trials = alike.canonical(aggregate, trials, now)
        found = self._numbers.get((aggregate, trials))
        if found is None:
            found = self._numbers[aggregate, trials] = len(self.aggregates)
            self.aggregates.append(aggregate)
            self.trials.append(trials)
            self.users.append(core.user_of(aggregate))
        if (found, now) not in self._looked:
            checking.look(aggregate, self.users[found], self.ground(now))
            self._looked.add((found, now))
        return found

    def ground(self, now: int) -> Ground:
        return Ground(self.scope.figures, self.where, now)

    def do(self, record: int, it: Ask | Prove, now: int) -> Reached:
        """Decide a command on a record."""
        try:
            return (
                self._prove(record, it, now) if isinstance(it, Prove) else self._do(record, it, now)
            )
        except Violation as violation:
            violation.asked = it
            raise

    def _do(self, record: int, it: Ask, now: int) -> Reached:
        aggregate, trials = self.aggregates[record], self.trials[record]
        self.decided += 1
        self.letters.add(letter(it))
        done = checking.ask(aggregate, self.users[record], it, self.ground(now))
        if isinstance(it, words.Judge):
            at = next(
                place
                for place, each in enumerate(trials)
                if each == it._replace(right=False, rival=None)
            )
            trials = trials[:at] + trials[at + 1 :]
        passed = None
        for name, *facts in done.said.told:
            if name == "ProofTried":
                trials = (*trials, _trial(done.said.user, now))
            elif name == "Passed":
                passed = facts[0]
        return Reached(self.number(done.after, trials, now), passed)

    def _prove(self, record: int, it: Prove, now: int) -> Reached:
        """Try and verdict in one breath, as with codes of our own."""
        waiting = len(self.trials[record])
        tried = self.do(record, words.Try(), now)
        if len(self.trials[tried.record]) == waiting:
            return tried
        trial = self.trials[tried.record][-1]
        return self.do(tried.record, trial._replace(right=it.right, rival=it.rival), now)

    def again(self, record: int, it: Ask, now: int) -> int:
        """Decide a command once, however often it comes to the same record."""
        found = self._again.get((record, it, now))
        if found is None:
            found = self._again[record, it, now] = self.do(record, it, now).record
        return found

    def moves(self, record: int, rival: int | None, now: int) -> list[tuple[Ask | Prove, Reached]]:
        """Where every command of the scope leads from here."""
        found = self._moves.get((record, rival, now))
        if found is None:
            view = View(self.users[record], self.trials[record], now)
            found = []
            for each in self.scope.asks(view):
                it = each
                if rival is not None and isinstance(each, words.Answer | words.Judge | Prove):
                    it = each._replace(rival=rival)
                found.append((it, self.do(record, it, now)))
            self._moves[record, rival, now] = found
        return found

    def later(self, record: int, by: int, now: int) -> int:
        """The same record when time has passed."""
        if self.scope.anchored:
            return self.number(self.aggregates[record], self.trials[record], now + by)
        found = self._later.get((record, by))
        if found is None:
            trials = tuple(each._replace(tried=each.tried - by) for each in self.trials[record])
            aggregate = alike.shifted(self.aggregates[record], by)
            found = self._later[record, by] = self.number(aggregate, trials, 0)
        return found


def _trial(user: User, now: int) -> words.Judge:
    it = user.attempt
    assert isinstance(it, words.Proving)
    if it.code is None:
        return words.Judge(now, it.claim, 0, "", right=False)
    return words.Judge(now, it.claim, it.code.issue, it.code.key, right=False)


class Found(NamedTuple):
    """What a search has seen."""

    scope: str
    per_depth: tuple[int, ...]
    records: int
    decided: int
    seconds: float
    """Of processor time."""
    complete: bool
    alphabet: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    why: tuple[str, ...] = ()

    @property
    def states(self) -> int:
        return sum(self.per_depth)


class Search:
    """All pairs of records that the commands of a scope lead to."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.records = Records(scope)
        self.came_from: dict[int, int] = {}
        self.nows: list[int] = [0]
        self.turn = ""
        self.started: dict[int, tuple[str, ...]] = {}

    def run(self, depth: int, seconds: float = 1e9) -> Found:
        """Search to a depth, or until the time is up."""
        began, since = time.process_time(), time.monotonic()
        per_depth: list[int] = []
        level: list[int] = []
        complete = True
        at: int | None = None
        try:
            for start in self.scope.starts:
                key = self._start(start)
                if key not in self.came_from:
                    self.came_from[key] = key
                    level.append(key)
            per_depth.append(len(level))
            while complete and level and len(per_depth) <= depth:
                following: list[int] = []
                for at in level:
                    for key in self._next(at):
                        if key not in self.came_from:
                            self.came_from[key] = at
                            following.append(key)
                    complete = time.monotonic() - since <= seconds
                    if not complete:
                        break
                level = following
                per_depth.append(len(level))
        except Violation as violation:
            given, steps = self.history(at, violation.asked)
            why = tuple(violation.why)
            found = self._found(per_depth, began, complete=False)
            return found._replace(given=given, history=steps, why=why)
        return self._found(per_depth, began, complete=complete)

    def _found(self, per_depth: list[int], began: float, *, complete: bool) -> Found:
        return Found(
            scope=self.scope.name,
            per_depth=tuple(per_depth),
            records=len(self.records.aggregates),
            decided=self.records.decided,
            seconds=time.process_time() - began,
            complete=complete,
            alphabet=tuple(sorted(self.records.letters)),
        )

    def _start(self, start: Start) -> int:
        """Play the history that leads to a start; it is checked like all others."""
        now = 0
        records = self.records
        one = records.number(start.given or BLANK, (), now)
        self.turn = "A"
        for it in start.history:
            if isinstance(it, Later):
                one = records.later(one, it.by, now)
                now += it.by if self.scope.anchored else 0
            else:
                one = records.do(one, it, now).record
        key = self._key(one, records.number(BLANK, (), now), now)
        self.started[key] = start.told()
        return key

    def _key(self, one: int, other: int, now: int) -> int:
        if one > other and not self.scope.alone:
            one, other = other, one
        if self.nows[-1] != now and now not in self.nows:
            self.nows.append(now)
        place = self.nows.index(now) if self.scope.anchored else 0
        return (place << 2 * _BITS) | (one << _BITS) | other

    def _parts(self, key: int) -> tuple[int, int, int]:
        return (key >> _BITS) & _MASK, key & _MASK, self.nows[key >> 2 * _BITS]

    def _next(self, key: int) -> Iterator[int]:
        for _, one, other, now in self._labelled(key):
            yield self._key(one, other, now)

    def _labelled(self, key: int) -> Iterator[tuple[Move, int, int, int]]:
        """Every step from a pair of records, with its name."""
        one, other, now = self._parts(key)
        self.turn = "A"
        for it, reached, rest in self._commands(one, other, now):
            yield Move("A", it), reached, rest, now
        records = self.records
        views = [View(records.users[one], records.trials[one], now)]
        if not self.scope.alone:
            self.turn = "B"
            for it, reached, rest in self._commands(other, one, now):
                yield Move("B", it), rest, reached, now
            self.turn = ""
            for notice, reached, rest in self._notices(one, other, now):
                yield Move("", notice), reached, rest, now
            views.append(View(records.users[other], records.trials[other], now))
        self.turn = ""
        for by in self.scope.passing(views):
            later = records.later(one, by, now)
            later_other = other if self.scope.alone else records.later(other, by, now)
            then = now + by if self.scope.anchored else now
            yield Move("", Later(by)), later, later_other, then

    def _commands(self, one: int, other: int, now: int) -> Iterator[tuple[Ask | Prove, int, int]]:
        records = self.records
        mine, theirs = records.users[one], records.users[other]
        rival = None
        if theirs.held and mine.attempt and theirs.held.number == mine.attempt.number:
            rival = theirs.held.proven
        for it, (reached, passed) in records.moves(one, rival, now):
            rest = other
            if passed is not None and theirs.held and theirs.held.number == passed:
                rest = records.again(other, words.Displace(passed), now)
            self._one_holder(reached, rest, it)
            yield it, reached, rest

    def _one_holder(self, one: int, other: int, it: Ask | Prove) -> None:
        mine, theirs = self.records.users[one].held, self.records.users[other].held
        if mine and theirs and mine.number == theirs.number:
            violation = Violation([f"I3: two users hold {mine.number}"])
            violation.asked = it
            raise violation

    def _notices(self, one: int, other: int, now: int) -> Iterator[tuple[words.Notice, int, int]]:
        """A notice goes to everyone whom it may concern, as the store finds them."""
        users = self.records.users
        heard: dict[words.Notice, None] = {}
        for record in (one, other):
            heard.update(dict.fromkeys(self.scope.notices(View(users[record], (), now))))
        for it in heard:
            reached, rest = (
                self.records.again(each, it, now) if concerns(it, users[each]) else each
                for each in (one, other)
            )
            yield it, reached, rest

    def history(self, key: int | None, last: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What was given, and how a pair of records was reached from there, step by step."""
        turn = self.turn
        keys: list[int] = []
        while key is not None:
            keys.append(key)
            before = self.came_from[key]
            key = None if before == key else before
        keys.reverse()
        lines: list[str] = []
        names = {"A": "A", "B": "B", "": ""}
        for before, after in pairwise(keys):
            for move, one, other, now in self._labelled(before):
                if self._key(one, other, now) == after:
                    lines.append(str(move._replace(who=names[move.who])))
                    if one > other and not self.scope.alone:  # users are told apart here only
                        names = {"A": names["B"], "B": names["A"], "": ""}
                    break
        if last is not None:
            lines.append(str(Move(names[turn], last)))
        return self.started[keys[0]] if keys else (), tuple(lines)


def concerns(it: words.Notice, user: User) -> bool:
    """Whether the store finds this user by the notice's number."""
    asked = isinstance(user.attempt, words.Awaiting) and user.attempt.number == it.number
    return asked or (user.held is not None and user.held.number == it.number)

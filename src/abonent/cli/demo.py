"""The story of the demo: users are identified, contracts end, users identify anew.

Knows the course of events and what is counted of it. Refuses to print, and to say a number.

Every draw depends on the seed and on a number alone, and one number is never in two threads at
once, so that the counts of a seed are the same however threads run.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Final, TypeVar

from attrs import define, evolve, field, frozen

from abonent.cli.cast import Chance, Phones, PresentOperators, operators, spelled
from abonent.cli.lists import NumberList, RejectedNumber, read_numbers
from abonent.core.agreements import Agreement
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Messenger, MessengerKind
from abonent.core.policy import Policy
from abonent.core.standing import Status
from abonent.core.states import NoticeKind, Reason
from abonent.errors import CallerError, Refused
from abonent.feed import Happening
from abonent.identifier import Identifier
from abonent.ports import Notice, Unrouted
from abonent.possession import OneTimeCodes
from abonent.sealing import FileKeys
from abonent.simulation import SimulatedClock
from abonent.stores import SqliteStorage

T = TypeVar("T")
R = TypeVar("R")
Tell = Callable[[str, int, int], object]
"""Told of a stage by name, how many of its steps are done, and how many there are."""

_MESSENGERS: Final = (
    Messenger(id="domestic", kind=MessengerKind.DOMESTIC),
    Messenger(id="foreign", kind=MessengerKind.FOREIGN),
)
_CROWD: Final = 16
_WAITS: Final = tuple(timedelta(seconds=each) for each in (6, 11, 21, 20 * 60 + 2))
"""When to sweep after claims: for tries to be made again, then for the statutory 20 minutes."""
_UNTIL_CONTRACTS_END: Final = timedelta(hours=3)
_TURNS: Final = (
    (0.05, NoticeKind.TERMINATED),
    (0.10, NoticeKind.PORTED),
    (0.12, NoticeKind.REASSIGNED),
    (0.14, NoticeKind.NUMBER_CHANGED),
)
_RETURNING: Final = {
    NoticeKind.TERMINATED: 0.5,
    NoticeKind.PORTED: 0.8,
    NoticeKind.REASSIGNED: 0.0,
    NoticeKind.NUMBER_CHANGED: 0.8,
}
"""Which part of the users concerned come back within their time."""


class DatabaseUnusable(CallerError):
    """A path at which the demo cannot put a new database."""

    code = "DATABASE_PATH"
    remedy = "Give a path in a folder that exists, at which nothing is yet."


@frozen(kw_only=True)
class Casting:
    """What the demo is to play: a list of numbers, or so many users with numbers of the plan."""

    seed: int
    users: int = 1000
    numbers: Path | None = None
    database: Path | None = None


@frozen(kw_only=True)
class Outcome:
    """What came of it. `not_passed` counts users by reason: with `passed` it adds up to `users`.

    `journal_entries` counts what the journal tells, event by event: how many events share a stored
    entry depends on which threads shared a commit, and is another figure each time.
    """

    users: int
    rejected: tuple[RejectedNumber, ...]
    passed: int
    not_passed: Mapping[str, int]
    notices: int
    reidentified: int
    gates_open: int
    displaced: int
    journal_entries: int
    replay_ok: bool
    database: Path
    seconds: float
    history_of: str
    history: tuple[Happening, ...]

    @property
    def ok(self) -> bool:
        """Whether all is as it has to be."""
        return self.replay_ok


@frozen
class Person:
    """A user of one messenger and the number they claim, as they type it."""

    user_id: str
    messenger: str
    number: SubscriberNumber
    typed: str = field(repr=False)


def play(casting: Casting, tell: Tell) -> Outcome:
    """Play the demo.

    Raises:
        AbonentError: the list cannot be read, or the database cannot be made.
    """
    started = perf_counter()
    listed = None if casting.numbers is None else read_numbers(casting.numbers, Policy())
    with _stage(casting, tell) as stage:
        people = _drawn(stage, casting.users) if listed is None else _listed(listed, stage)
        return evolve(
            stage.story(people),
            rejected=() if listed is None else listed.rejected,
            seconds=round(perf_counter() - started, 2),
        )


# --- who takes part -----------------------------------------------------------------


def _drawn(stage: _Stage, count: int) -> list[Person]:
    """Draw users; now and then one has a number that somebody else had before."""
    random = stage.chance.stream("users")
    people: list[Person] = []
    for _ in range(count):
        if people and random.random() < 0.02:
            number = random.choice(people).number
        else:
            number = stage.fresh_number()
        people.append(stage.person(len(people), number, spelled(number, random)))
    return people


def _listed(listed: NumberList, stage: _Stage) -> list[Person]:
    stage.taken.update(each.number for each in listed.numbers)
    return [
        stage.person(place, each.number, each.spelling) for place, each in enumerate(listed.numbers)
    ]


def _rounds(people: Sequence[Person]) -> Iterator[list[Person]]:
    """Let those who claim one number come one after the other, in their order."""
    rounds: defaultdict[int, list[Person]] = defaultdict(list)
    met: Counter[SubscriberNumber] = Counter()
    for each in people:
        rounds[met[each.number]].append(each)
        met[each.number] += 1
    yield from rounds.values()


# --- the stage ----------------------------------------------------------------------


@contextmanager
def _stage(casting: Casting, tell: Tell) -> Generator[_Stage]:
    """Put up one database for both messengers, and everything around them."""
    path = casting.database
    if path is None:
        path = Path(tempfile.mkdtemp(prefix="abonent-")) / "demo.db"
    elif path.exists() or path.is_symlink() or not path.absolute().parent.is_dir():
        raise DatabaseUnusable(f"no new database can be made at {path}")
    keys = FileKeys.create(path.with_name(path.name + ".keys"))
    chance, present, phones = Chance(casting.seed), PresentOperators(), Phones()
    clock, gateways = SimulatedClock(), operators(chance, present)
    with ExitStack() as stack:
        identifiers = {
            messenger.id: stack.enter_context(
                Identifier(
                    messenger=messenger,
                    storage=SqliteStorage(path, territory="RU"),
                    keys=keys,
                    possession=OneTimeCodes(phones, prompt=True),
                    agreements=[
                        Agreement(
                            id=f"agreement-with-{operator}",
                            messenger=messenger.id,
                            operator=operator,
                            starts=clock.now() - timedelta(days=90),
                        )
                        for operator in gateways
                        if messenger.kind is MessengerKind.FOREIGN
                    ],
                    gateways=gateways,
                    router=present,
                    clock=clock,
                    unsafe_test_doubles=True,
                )
            )
            for messenger in _MESSENGERS
        }
        crowd = stack.enter_context(_crowd())
        yield _Stage(
            database=path.absolute(),
            identifiers=identifiers,
            clock=clock,
            chance=chance,
            present=present,
            phones=phones,
            crowd=crowd,
            tell=tell,
            fresh=chance.stream("numbers"),
        )


@contextmanager
def _crowd() -> Generator[ThreadPoolExecutor]:
    """Open the threads; who is interrupted does not wait for what has not begun."""
    crowd = ThreadPoolExecutor(_CROWD, thread_name_prefix="users")
    try:
        yield crowd
    finally:
        crowd.shutdown(cancel_futures=True)


@define(kw_only=True, repr=False)
class _Stage:
    """Both messengers at work, and what the story does with them."""

    database: Path
    identifiers: Mapping[str, Identifier]
    clock: SimulatedClock
    chance: Chance
    present: PresentOperators
    phones: Phones
    crowd: ThreadPoolExecutor
    tell: Tell
    fresh: Random
    taken: set[SubscriberNumber] = field(factory=set)

    def fresh_number(self) -> SubscriberNumber:
        """Draw a number that nobody has yet."""
        while (number := self.present.draw(self.fresh)) in self.taken:
            pass
        self.taken.add(number)
        return number

    def person(self, place: int, number: SubscriberNumber, typed: str) -> Person:
        """Make a user: one in three of the domestic messenger, by number."""
        domestic, foreign = _MESSENGERS
        messenger = domestic if self.chance.of("messenger", number) < 1 / 3 else foreign
        return Person(f"user-{place + 1:05d}", messenger.id, number, typed)

    # the story

    def story(self, people: Sequence[Person]) -> Outcome:
        """Play it from the first claim to the last gate."""
        refused = self._all_identify("identifying", people)
        first = self._reasons(people)
        passed = self._ever_open()
        self.clock.advance(_UNTIL_CONTRACTS_END)
        noticed = self._contracts_end(people)
        self.clock.advance(timedelta(minutes=5))
        returning = self._returning(noticed)
        self._all_identify("identifying anew", returning)
        opened = self._each("asking the gates", people, self._is_open)
        last = self._reasons(returning)
        anew = [each for each in returning if last[each.user_id] is None]
        hero = self._hero(people, noticed, anew)
        reports = self._each("replaying", list(self.identifiers.values()), Identifier.replay)
        not_passed = Counter(
            refused.get(each.user_id) or _name(first[each.user_id])
            for each in people
            if each.user_id not in passed
        )
        return Outcome(
            users=len(people),
            rejected=(),
            passed=len(people) - sum(not_passed.values()),
            not_passed=dict(sorted(not_passed.items())),
            notices=len(noticed),
            reidentified=len(anew),
            gates_open=sum(opened),
            displaced=sum(reason is Reason.DISPLACED for reason in first.values()),
            journal_entries=sum(each.events for each in reports),
            replay_ok=all(each.ok for each in reports),
            database=self.database,
            seconds=0.0,
            history_of="" if hero is None else hero.user_id,
            history=() if hero is None else tuple(self._of(hero).history(hero.user_id)),
        )

    def _all_identify(self, name: str, people: Sequence[Person]) -> dict[str, str]:
        """Have people identified, and all answers awaited; return who was refused, and why."""
        refused: dict[str, str] = {}
        done = 0
        for group in _rounds(people):
            for each, why in zip(group, self._all(group, self._identify), strict=True):
                done += 1
                self.tell(name, done, len(people))
                if why is not None:
                    refused[each.user_id] = why
            # The next round claims some of these numbers anew. It waits until all is settled, so
            # that it does not hang on the order of threads who comes after whom.
            for wait in _WAITS:
                self.clock.advance(wait)
                for identifier in self.identifiers.values():
                    identifier.sweep()
        return refused

    def _identify(self, person: Person) -> str | None:
        """Claim and prove, some with a slip of the finger; return why they were refused."""
        identifier = self._of(person)
        try:
            identifier.claim(person.user_id, person.typed)
        except Refused as error:
            return error.code.lower()
        code = self.phones.read(person.number)
        if self.chance.of("typing", person.number) < 0.04:
            slip = str((int(code.digits[-1]) + 1) % 10)
            identifier.prove(person.user_id, code.digits[:-1] + slip)
        identifier.prove(person.user_id, code)
        return None

    def _contracts_end(self, people: Sequence[Person]) -> list[tuple[Person, NoticeKind]]:
        """Have operators give notice; return whom it concerned."""
        turns: list[tuple[Person, NoticeKind]] = []
        opened = self._each("asking the gates", people, self._is_open)
        reachable = [
            each
            for each, is_open in zip(people, opened, strict=True)
            if is_open and not isinstance(self.present.serving(each.number), Unrouted)
        ]
        for each in reachable:
            draw = self.chance.of("contract", each.number)
            kind = next((kind for bound, kind in _TURNS if draw < bound), None)
            if kind is not None:
                turns.append((each, kind))
        if not turns:  # in a small cast somebody has to be the one
            turns = [(each, NoticeKind.PORTED) for each in reachable[:1]]
        heard = self._each("notices", turns, self._give_notice)
        return [turn for turn, counted in zip(turns, heard, strict=True) if counted]

    def _give_notice(self, turn: tuple[Person, NoticeKind]) -> bool:
        person, kind = turn
        operator = self.present.serving(person.number)
        if isinstance(operator, Unrouted):
            return False
        notice = Notice(
            id=f"{kind.value}-{person.user_id}",
            operator=operator,
            kind=kind,
            number=person.number,
            happened_at=self.clock.now() - timedelta(minutes=10),
        )
        received = self._of(person).receive(notice)
        if kind is NoticeKind.PORTED:
            self.present.port(person.number, operator)
        return person.user_id in received.users

    def _returning(self, noticed: Sequence[tuple[Person, NoticeKind]]) -> list[Person]:
        """Return who identifies anew: a ported number stays, the others come with a new one."""
        random = self.chance.stream("returning")
        returning: list[Person] = []
        for each, kind in noticed:
            alone = len(noticed) == 1
            if not alone and self.chance.of("return", each.number) >= _RETURNING[kind]:
                continue
            number = each.number if kind is NoticeKind.PORTED else self.fresh_number()
            returning.append(evolve(each, number=number, typed=spelled(number, random)))
        return returning

    # looking

    def _of(self, person: Person) -> Identifier:
        return self.identifiers[person.messenger]

    def _is_open(self, person: Person) -> bool:
        return self._of(person).gate(person.user_id).open

    def _reasons(self, people: Sequence[Person]) -> dict[str, Reason | None]:
        """Return why people are not identified now, None for those who are."""

        def look(person: Person) -> Reason | None:
            standing = self._of(person).standing(person.user_id)
            return None if standing.status is Status.IDENTIFIED else standing.reason

        found = self._each("looking", people, look)
        return {each.user_id: why for each, why in zip(people, found, strict=True)}

    def _ever_open(self) -> set[str]:
        """Return those whose gate was ever open, as the feed of changes tells."""
        found: set[str] = set()
        for identifier in self.identifiers.values():
            after = 0
            while changes := identifier.changes(after=after):
                after = changes[-1].cursor
                found.update(each.user_id for each in changes if each.open)
        return found

    def _hero(
        self,
        people: Sequence[Person],
        noticed: Sequence[tuple[Person, NoticeKind]],
        anew: Sequence[Person],
    ) -> Person | None:
        """Choose whose history is worth telling: of the foreign messenger and through it all."""
        through = [*anew, *(each for each, _ in noticed), *people]
        foreign = _MESSENGERS[1].id
        return next((each for each in through if each.messenger == foreign), None) or next(
            iter(through), None
        )

    # the crowd

    def _each(self, name: str, items: Sequence[T], act: Callable[[T], R]) -> list[R]:
        results: list[R] = []
        for result in self._all(items, act):
            results.append(result)
            self.tell(name, len(results), len(items))
        return results

    def _all(self, items: Sequence[T], act: Callable[[T], R]) -> Iterator[R]:
        return self.crowd.map(act, items)


def _name(reason: Reason | None) -> str:
    return Reason.NOT_IDENTIFIED.value if reason is None else reason.value

"""The story of the demo over a link: in real time, so nothing is waited for that takes minutes.

Knows the course of events and what has to hold at its end. Refuses to print, and to say a number.

What becomes of a user depends on the seed and the number alone. What goes wrong on the link does
not, so the figures of the link are others each time, and those of the users are not.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from time import perf_counter
from typing import Final, TypeVar

from attrs import define, evolve, field

from abonent.cli import demo
from abonent.cli.cast import OPERATORS, Chance, PresentOperators, spelled
from abonent.cli.demo import Casting, DatabaseUnusable, Person, Tell
from abonent.cli.link.figures import LinkFigures, LinkOutcome
from abonent.cli.link.sides import (
    MESSENGER,
    POLICY,
    Chat,
    Operators,
    chat_of,
    logged_to,
    operators_of,
    write_files,
)
from abonent.core.numbers import SubscriberNumber
from abonent.core.standing import Standing, Status
from abonent.core.states import NoticeKind, Reason
from abonent.ports import Unrouted
from abonent.simulation.reference import (
    Running,
    Subscriber,
    SubscriberState,
    inbox_app,
    listening,
    url_of,
)
from abonent.transport.http import HttpTransport
from abonent.wire import FetchedJwks, Inbox

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE: Final = 60.0
"""Seconds in which everything that is owed has to have come through; usually it takes two."""
_LOOK: Final = 0.05
_RETURNING: Final = {**demo._RETURNING, NoticeKind.PORTED: 1.0}
"""Which part of the users concerned come back. Those whose number was ported all do: otherwise
their gates stay open for the statutory time, and that is not waited for."""


def play(casting: Casting, tell: Tell) -> LinkOutcome:
    """Play the demo over a link.

    Raises:
        AbonentError: a side could not be put up, or was lost.
    """
    started = perf_counter()
    with _stage(casting, tell) as stage:
        return evolve(stage.story(), seconds=round(perf_counter() - started, 2))


# --- who takes part ---------------------------------------------------------------------


@define(repr=False)
class _Cast:
    """People, their numbers, and what their operators know of these."""

    chance: Chance
    present: PresentOperators
    fresh: Random
    taken: set[SubscriberNumber] = field(factory=set)

    def fresh_number(self) -> SubscriberNumber:
        """Draw a number that nobody has yet."""
        while (number := self.present.draw(self.fresh)) in self.taken:
            pass
        self.taken.add(number)
        return number

    def people(self, count: int) -> list[Person]:
        """Draw users; now and then one has a number that somebody else had before."""
        random = self.chance.stream("users")
        found: list[Person] = []
        for place in range(count):
            again = bool(found) and random.random() < 0.02
            number = random.choice(found).number if again else self.fresh_number()
            typed = spelled(number, random)
            found.append(Person(f"user-{place + 1:05d}", MESSENGER.id, number, typed))
        return found

    def subscribers(
        self, people: Sequence[Person]
    ) -> dict[str, dict[SubscriberNumber, Subscriber]]:
        """Return what each operator knows: most numbers are held, some for each other answer."""
        books: dict[str, dict[SubscriberNumber, Subscriber]] = {each: {} for each in OPERATORS}
        now = datetime.now(UTC)
        for number in {each.number: None for each in people}:
            operator = self.serving(number)
            days = 30 + 3000 * self.chance.of("tenure", number)
            since = now - timedelta(days=days)
            draw = self.chance.of("answer", number)
            state = SubscriberState.ACTIVE
            if draw < 0.04:
                state = SubscriberState.ENDED
            elif draw < 0.05:
                state = SubscriberState.UNDETERMINED
            elif draw < 0.09:
                state = SubscriberState.PORTED
                books[_after(operator)][number] = Subscriber(since=since)
            books[operator][number] = Subscriber(since=since, state=state)
        return books

    def serving(self, number: SubscriberNumber) -> str:
        """Name the operator that serves a number of the plan."""
        operator = self.present.serving(number)
        return OPERATORS[0] if isinstance(operator, Unrouted) else operator


def _after(operator: str) -> str:
    return OPERATORS[(OPERATORS.index(operator) + 1) % len(OPERATORS)]


# --- the stage --------------------------------------------------------------------------


@contextmanager
def _stage(casting: Casting, tell: Tell) -> Generator[_Stage]:
    """Put up both sides: the operators in a process of their own, the messenger here."""
    folder = Path(tempfile.mkdtemp(prefix="abonent-"))
    database = casting.database or folder / "demo.db"
    if database.exists() or not database.absolute().parent.is_dir():
        raise DatabaseUnusable(f"no new database can be made at {database}")
    chance, present = Chance(casting.seed), PresentOperators()
    cast = _Cast(chance, present, chance.stream("numbers"))
    people = cast.people(casting.users)
    listener = listening("127.0.0.1", 0)
    inbox_url = f"{url_of(listener)}/operators/notices"
    key = write_files(folder, cast.subscribers(people), inbox_url)
    with (
        listener,
        logged_to(folder / "messenger.log"),
        HttpTransport() as transport,
        operators_of(folder, casting.seed, transport) as operators,
        chat_of(database, operators, present, key) as chat,
        demo._crowd() as crowd,
    ):
        keys = {
            name: FetchedJwks(f"{url}/.well-known/jwks.json", transport)
            for name, url in operators.urls.items()
        }
        inbox = Inbox(chat.identifier, url=inbox_url, keys=keys)
        with Running(inbox_app(inbox, inbox_url), listener):
            yield _Stage(
                database=database.absolute(),
                cast=cast,
                people=people,
                operators=operators,
                chat=chat,
                crowd=crowd,
                tell=tell,
            )


@define(kw_only=True, repr=False)
class _Stage:
    """Both sides at work, and what the story does with them."""

    database: Path
    cast: _Cast
    people: list[Person]
    operators: Operators
    chat: Chat
    crowd: ThreadPoolExecutor
    tell: Tell

    def story(self) -> LinkOutcome:
        """Play it from the first claim to the last gate."""
        begun = perf_counter()
        self._all_identify("identifying", self.people)
        first = self._standings(self.people)
        passed = self._ever_open()
        turns = self._turns(first)
        before = {each.user_id: first[each.user_id].identification_code for each, _ in turns}
        self._all("ending contracts", turns, self._end)
        told = self._told(turns)
        # Whoever claims the same number again is sent a new code only after a while.
        time.sleep(max(0.0, begun + 1.1 * POLICY.resend_after.total_seconds() - perf_counter()))
        returning = self._returning(turns)
        self._all_identify("identifying anew", returning)
        self._settle()
        last = self._standings(self.people)
        anew = [each for each in returning if last[each.user_id].status is Status.IDENTIFIED]
        hero = next(iter([*anew, *(each for each, _ in turns), *self.people]), None)
        replay_ok, events = self._replayed()
        not_passed = Counter(
            _name(first[each.user_id].reason) for each in self.people if each.user_id not in passed
        )
        link = self._figures(turns, told, before, last)
        return LinkOutcome(
            users=len(self.people),
            rejected=(),
            passed=len(self.people) - sum(not_passed.values()),
            not_passed=dict(sorted(not_passed.items())),
            notices=len(told),
            reidentified=len(anew),
            gates_open=sum(bool(each.gate) for each in last.values()),
            displaced=sum(each.reason is Reason.DISPLACED for each in first.values()),
            journal_entries=events,
            replay_ok=replay_ok,
            database=self.database,
            seconds=0.0,
            history_of="" if hero is None else hero.user_id,
            history=() if hero is None else tuple(self.chat.identifier.history(hero.user_id)),
            link=link,
        )

    # the messenger's side

    def _all_identify(self, name: str, people: Sequence[Person]) -> None:
        """Have people identified, and all answers awaited; later claims of a number come later."""
        done = 0
        for group in demo._rounds(people):
            self._all(name, group, self._identify, done, len(people))
            done += len(group)
            self._wait_until(partial(self._answered, group))

    def _identify(self, person: Person) -> None:
        """Claim and prove, some with a slip of the finger."""
        identifier = self.chat.identifier
        identifier.claim(person.user_id, person.typed)
        code = self.chat.phones.read(person.number)
        if self.cast.chance.of("typing", person.number) < 0.04:
            slip = str((int(code.digits[-1]) + 1) % 10)
            identifier.prove(person.user_id, code.digits[:-1] + slip)
        identifier.prove(person.user_id, code)

    def _answered(self, people: Sequence[Person]) -> bool:
        return all(self._standing(each).status is not Status.AWAITING_ANSWER for each in people)

    # the operators' side

    def _turns(self, standings: Mapping[str, Standing]) -> list[tuple[Person, NoticeKind]]:
        """Choose whose contracts end, and how."""
        identified = [
            each for each in self.people if standings[each.user_id].status is Status.IDENTIFIED
        ]
        turns: list[tuple[Person, NoticeKind]] = []
        for each in identified:
            draw = self.cast.chance.of("contract", each.number)
            kind = next((kind for bound, kind in demo._TURNS if draw < bound), None)
            if kind is not None:
                turns.append((each, kind))
        # In a small cast somebody has to be the one.
        return turns or [(each, NoticeKind.PORTED) for each in identified[:1]]

    def _end(self, turn: tuple[Person, NoticeKind]) -> None:
        """Let a contract end: it is told to the operator, and the operator tells the messenger."""
        person, kind = turn
        operator = self.cast.serving(person.number)
        self.operators.end(operator, person.number, kind, f"{kind.value}-{person.user_id}")
        if kind is NoticeKind.PORTED:
            self.operators.add(_after(operator), person.number)
            self.cast.present.port(person.number, operator)

    def _told(self, turns: Sequence[tuple[Person, NoticeKind]]) -> list[tuple[Person, NoticeKind]]:
        """Wait for the notices; return whose arrived."""

        def arrived(turn: tuple[Person, NoticeKind]) -> bool:
            return self._standing(turn[0]).status is Status.REIDENTIFICATION_DUE

        self._wait_until(lambda: all(map(arrived, turns)))
        return [each for each in turns if arrived(each)]

    def _returning(self, turns: Sequence[tuple[Person, NoticeKind]]) -> list[Person]:
        """Return who identifies anew: a ported number stays, the others come with a new one."""
        random = self.cast.chance.stream("returning")
        returning: list[Person] = []
        for each, kind in turns:
            if self.cast.chance.of("return", each.number) >= _RETURNING[kind]:
                continue
            number = each.number
            if kind is not NoticeKind.PORTED:
                number = self.cast.fresh_number()
                self.operators.add(self.cast.serving(number), number)
            returning.append(evolve(each, number=number, typed=spelled(number, random)))
        return returning

    # looking

    def _settle(self) -> None:
        """Wait until nothing is owed by either side."""
        self._wait_until(lambda: not self._unrecorded(self._standings(self.people)))
        self._wait_until(lambda: not self._owed())

    def _figures(
        self,
        turns: Sequence[tuple[Person, NoticeKind]],
        told: Sequence[tuple[Person, NoticeKind]],
        before: Mapping[str, str | None],
        last: Mapping[str, Standing],
    ) -> LinkFigures:
        totals: Counter[str] = Counter()
        for each in self.operators.urls:
            figures = self.operators.call(each, "figures")
            for name in ("requests", "deliveries", "faults"):
                for what, count in figures[name].items():
                    totals[name] += count
                    totals[f"{name} {what}"] += count
        return LinkFigures(
            requests=totals["requests"],
            retries=self.chat.counted.facts["attempt_failed"],
            notices_delivered=totals["deliveries notices delivered"],
            deliveries_failed=totals["deliveries notices failed"],
            faults=totals["faults"],
            unrecorded=self._unrecorded(last),
            notices_owed=self._owed(),
            untold=len(turns) - len(told),
            open_in_spite=sum(
                bool(last[each.user_id].gate)
                and last[each.user_id].identification_code == before[each.user_id]
                for each, _ in turns
            ),
        )

    def _replayed(self) -> tuple[bool, int]:
        """Replay both sides; return whether they give what is stored, and of how many events.

        Withdrawals may be under way still. What is written while a journal is read makes it differ
        from its rows for that moment, so it is read again.
        """
        replays: list[tuple[bool, int]] = []

        def agree() -> bool:
            mine = self.chat.identifier.replay()
            theirs = [self.operators.call(each, "replay") for each in self.operators.urls]
            replays[:] = [(mine.ok, mine.events), *((r["ok"], r["events"]) for r in theirs)]
            return all(ok for ok, _ in replays)

        self._wait_until(agree)
        return all(ok for ok, _ in replays), sum(events for _, events in replays)

    def _unrecorded(self, standings: Mapping[str, Standing]) -> int:
        """Count the identification codes whose record nobody has acknowledged."""
        codes = [each.identification_code for each in standings.values()]
        return sum(code is not None and not self.chat.has_recorded(code) for code in codes)

    def _owed(self) -> int:
        return sum(
            len(self.operators.call(each, "owed-notices")["notices"])
            for each in self.operators.urls
        )

    def _standing(self, person: Person) -> Standing:
        return self.chat.identifier.standing(person.user_id)

    def _standings(self, people: Sequence[Person]) -> dict[str, Standing]:
        return {each.user_id: self._standing(each) for each in people}

    def _ever_open(self) -> set[str]:
        """Return those whose gate was ever open, as the feed of changes tells."""
        found: set[str] = set()
        after = 0
        while changes := self.chat.identifier.changes(after=after):
            after = changes[-1].cursor
            found.update(each.user_id for each in changes if each.open)
        return found

    # the crowd

    def _all(
        self,
        name: str,
        items: Sequence[T],
        act: Callable[[T], object],
        before: int = 0,
        total: int | None = None,
    ) -> None:
        for done, _ in enumerate(self.crowd.map(act, items), before + 1):
            self.tell(name, done, len(items) if total is None else total)

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds, or for long enough: what does not hold then is told."""
        until = perf_counter() + _PATIENCE
        while not holds() and perf_counter() < until:
            time.sleep(_LOOK)


def _name(reason: Reason | None) -> str:
    return Reason.NOT_IDENTIFIED.value if reason is None else reason.value

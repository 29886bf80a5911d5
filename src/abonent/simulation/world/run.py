"""A world: everything put together from a seed, run day by day, and brought to rest.

Knows the course of a world. Refuses to judge: that is for the watch.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from time import perf_counter
from typing import Any, Final

from attrs import evolve

from abonent.core.agreements import Agreement
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Messenger, MessengerKind
from abonent.core.policy import Policy
from abonent.core.standing import Standing
from abonent.engine.importing import ImportReport
from abonent.engine.inbound import Received
from abonent.errors import AbonentError
from abonent.ports import CodeMessage, LateAnswer, Notice, Storage
from abonent.simulation.world.agenda import Agenda, Chance
from abonent.simulation.world.books import STALENESS, Call
from abonent.simulation.world.carriers import Carrier
from abonent.simulation.world.comparing import compare_standing, standing_of
from abonent.simulation.world.faults import Faults
from abonent.simulation.world.ground import OPERATORS, Ground
from abonent.simulation.world.incidents import enter_incidents
from abonent.simulation.world.judging_imports import judge_import
from abonent.simulation.world.outcome import Noticed, Sample, WorldOutcome
from abonent.simulation.world.people import Intent, People
from abonent.simulation.world.processes import Process
from abonent.simulation.world.rare import RARE
from abonent.simulation.world.refusing import judge_refusal
from abonent.simulation.world.resting import check_at_rest
from abonent.simulation.world.services import Service
from abonent.simulation.world.shrinking import MOST, shrunk
from abonent.simulation.world.watch import Broken, Watch
from abonent.stores import MemoryStorage

DAY: Final = timedelta(days=1)
HOUR: Final = timedelta(hours=1)
_SAMPLED: Final = timedelta(hours=6)
_TO_REST: Final = timedelta(days=4)
_STARTS: Final = (
    *[datetime(2026, 6, 1, 9, tzinfo=UTC)] * 8,
    datetime(2028, 2, 20, 9, tzinfo=UTC),
    datetime(2022, 2, 20, 9, tzinfo=UTC),
)
"""Most worlds run in ordinary times; some see a rule set end or begin."""
_HABITS: Final = (
    *["write"] * 6,
    *["move"] * 3,
    "join",
    "intrude",
    "borrow",
    "disclose",
    "forget",
    "mistype",
    "urge",
)
_ENLISTED: Final = 0.35
"""Which part of the people a messenger had before."""
_INTENTS: Final = 4
"""How many things a person means to do in 30 days, besides joining."""


class World:
    """A world made from a seed. It implements the surroundings of services and carriers."""

    def __init__(
        self,
        *,
        seed: int,
        days: float,
        subscribers: int,
        faults: Faults,
        open_store: Callable[[], Storage] | None = None,
        only: frozenset[int] | None = None,
    ) -> None:
        """Put it together; `only` names the intents that are left of it."""
        self.seed = seed
        self.days = days
        self.subscribers = subscribers
        self.faults = self.faults_at_first = faults
        self.chance = Chance(seed)
        self.start = self.chance.of("start").choice(_STARTS)
        self.agenda = Agenda(self.start)
        self.ground = Ground()
        self.watch = Watch(self)
        self.carriers = {each: Carrier(each, self) for each in OPERATORS}
        self.taken: dict[str, str] = {}
        self.listed: list[SubscriberNumber] = []
        """The number of each person at the beginning, as old tables have it."""
        self.samples: list[Sample] = []
        self.notices: list[Noticed] = []
        self.people = People(self)
        self.intents = [each for each in self._intents() if only is None or each.place in only]
        store = MemoryStorage()
        self.services = [
            self._service(kind, open_store or (lambda: store)) for kind in MessengerKind
        ]
        self._lines: list[tuple[datetime, str, tuple[object, ...]]] = []
        self._counted: Counter[object] = Counter()

    # --- making it --------------------------------------------------------------------

    def _service(self, kind: MessengerKind, open_store: Callable[[], Storage]) -> Service:
        draw = self.chance.of("service", kind.value)
        policy = Policy(
            ask_operator_too=draw.random() < 0.5,
            failures_per_day=draw.choice((15, 6, 4)),
            tries_per_code=draw.choice((5, 3)),
            sends_per_user=draw.choice((10, 5)),
            sends_per_number=draw.choice((10, 6, 3)),
            debt_kept=draw.choice((30 * DAY, DAY)),
            flush_within=None,
        )
        return Service(
            around=self,
            messenger=Messenger(id=kind.value, kind=kind),
            policy=policy,
            agreements=list(self._agreements(kind)),
            prompt=draw.random() < 0.4,
            open_store=open_store,
            seed=self.seed,
        )

    def _agreements(self, kind: MessengerKind) -> Iterator[Agreement]:
        draw = self.chance.of("agreements", kind.value)
        for place, operator in enumerate(OPERATORS):
            share = draw.random()
            starts, ends = self.start - 90 * DAY, None
            if place and share < 0.15:
                continue
            if place and share < 0.35:
                ends = self.start + self.days * DAY * draw.random()
            elif place and share < 0.5:
                starts = self.start + self.days * DAY * draw.random()
            yield Agreement(
                id=f"with-{operator}",
                messenger=kind.value,
                operator=operator,
                starts=starts,
                ends=ends,
            )

    def _intents(self) -> Iterator[Intent]:
        many = max(1, round(_INTENTS * self.days / 30))
        for person in range(self.subscribers):
            draw = self.chance.of("intents", person)
            first = 0.1 * self.days * DAY * draw.random()
            yield Intent(place=person * 1000, person=person, after=first, what="join")
            for turn in range(1, many + 1):
                after = first + (self.days * DAY - first) * draw.random()
                what = draw.choice(_HABITS)
                yield Intent(place=person * 1000 + turn, person=person, after=after, what=what)
            yield from self._enlisted(person, first)

    def _enlisted(self, person: int, first: timedelta) -> Iterator[Intent]:
        """Some are in an old table, which is mostly taken over before they claim."""
        draw = self.chance.of("enlisted", person)
        if draw.random() < _ENLISTED:
            until = first if draw.random() < 0.6 else self.days * DAY
            after = until * draw.random()
            yield Intent(place=-1 - person, person=person, after=after, what="enlist")

    # --- what happens -----------------------------------------------------------------

    def run(self, tell: Callable[[float], object] | None = None) -> None:
        """Live through the days, then let everything come to rest and look at what is left."""
        try:
            with self._heard():
                self._live(tell)
                self._rest()
        except Broken:
            return

    def _live(self, tell: Callable[[float], object] | None) -> None:
        for number in range(self.subscribers):
            operator = self.chance.of("operator", number).choice(OPERATORS)
            self.listed.append(self.ground.fresh(operator))
            self.ground.begin(self.listed[number], number, operator, self.start)
        for service in self.services:
            self.watch.book(service)
            for process in service.processes:
                process.start()
        for intent in self.intents:
            self.agenda.at(self.start + intent.after, partial(self._mean, intent))
        enter_incidents(self, self.days)
        self._until(self.start + self.days * DAY, tell)

    def _mean(self, intent: Intent) -> None:
        getattr(self.people, intent.what)(intent.person)

    def _until(self, end: datetime, tell: Callable[[float], object] | None = None) -> None:
        while self.agenda.now < end:
            self.agenda.run(min(end, self.agenda.now + _SAMPLED))
            self._check()
            self._sample()
            if tell is not None:
                tell((self.agenda.now - self.start) / DAY)

    def _check(self) -> None:
        """What the watch found may have been caught on its way out of a call."""
        if self.watch.violation is not None:
            raise Broken(self.watch.violation.what)

    def _rest(self) -> None:
        """Nothing goes wrong any more: what is owed is performed, and what is stored is right."""
        self.faults = Faults.none()
        for service in self.services:
            service.shut_until = self.agenda.now
            for process in service.processes:
                process.clock.offset = timedelta(0)
                process.crash_at = process.rival = None
                if not process.alive:
                    process.start()
            service.arrange()
        for carrier in self.carriers.values():
            carrier.deaf_until = self.agenda.now
            carrier.recover()
        self.agenda.run(self.agenda.now + _TO_REST)
        self._check()
        self.watch.still_open()
        for service in self.services:
            check_at_rest(self, service)
            self._check()

    def _sample(self) -> None:
        states: Counter[str] = Counter()
        is_open = 0
        for book in self.watch.books():
            for account in book.accounts.values():
                states[standing_of(account).value] += 1
                holding = account.holding
                is_open += holding is not None and holding.open_at(self.agenda.now)
        self.samples.append(Sample(at=self.agenda.now, states=dict(states), open=is_open))

    @contextmanager
    def _heard(self) -> Generator[None]:
        """Look at every line that is logged."""
        log, ear = logging.getLogger("abonent"), _Ear(self.watch)
        propagate, log.propagate = log.propagate, False
        log.addHandler(ear)
        try:
            yield
        finally:
            log.removeHandler(ear)
            log.propagate = propagate

    # --- the surroundings of services and carriers ------------------------------------

    def pick(self, service: Service, *topic: object) -> Process | None:
        """Return one of a service's processes that run, as a balancer of load does."""
        self._counted[topic] += 1
        return service.pick(*topic, self._counted[topic])

    def judge(self, service: Service, call: Call, answer: Any, at: datetime) -> None:
        """Have the answer to a call judged."""
        watch = self.watch
        self._check()
        book = watch.book(service)
        if isinstance(answer, AbonentError):
            judge_refusal(watch, book, call, answer, at)
        elif isinstance(answer, ImportReport):
            judge_import(watch, book, call, answer, at)
        elif call.name == "forget" and answer is not None:
            watch.erased(service, call.user)
        elif answer is not None:
            watch.insist("I1", not call.mistyped, f"accepted in spite of {call.mistyped}")
            if isinstance(answer, Standing):
                account = book.users.get(answer.user_id)
                compare_standing(watch.insist, book, account, answer, at)
                watch.shown(repr(answer), random=answer.identification_code)
                if call.name == "claim" and call.number is not None:
                    watch.claimed(service, call.user, call.number)

    def deliver(
        self,
        service: Service,
        item: Notice | LateAnswer,
        at: datetime,
        to: Process | None = None,
    ) -> None:
        """Bring an item to a service; where nobody can take it, it is brought again."""
        self.agenda.at(at, lambda: self._receive(service, item, to))

    def _receive(self, service: Service, item: Notice | LateAnswer, to: Process | None) -> None:
        process = to if to is not None and to.alive else self.pick(service, "receive")
        again = self.agenda.now + timedelta(seconds=30)
        if process is None:
            return self.deliver(service, item, again)
        self.note("{} receives {}", process, _named(item))
        answer = self.people.call_in(process, "receive", 0, lambda it: it.receive(item), item=item)
        if isinstance(answer, AbonentError) or (answer is None and not process.alive):
            return self.deliver(service, item, again)
        for user in answer.users if isinstance(answer, Received) else ():
            later = STALENESS * self.chance.share("asks later", user, self.agenda.now)
            self.agenda.after(later, partial(self.people.ask_memory, service, user))
        if isinstance(item, Notice) and item.happened_at is not None:
            lag = (self.agenda.now - item.happened_at).total_seconds()
            noticed = Noticed(operator=item.operator, kind=item.kind.value, lag=lag)
            self.notices.append(noticed)
        if isinstance(item, Notice):
            self.watch.noticed(service, item)
        return None

    def arrive(self, service: Service, message: CodeMessage) -> None:
        """Bring a code to a phone, or lose it on the way."""
        self.taken[message.id] = message.code.digits
        service.code_sent()
        draw = self.people.draw("sms", message.number.e164)
        if draw.random() < self.faults.code_lost:
            return
        wait = timedelta(seconds=1 + 9 * draw.random())
        if draw.random() < self.faults.code_delayed:
            wait += timedelta(minutes=15 * draw.random())
        self.agenda.after(wait, lambda: self.people.read(service, message))
        if draw.random() < self.faults.code_doubled:
            self.agenda.after(2 * wait, lambda: self.people.read(service, message))

    def note(self, text: str, *parts: object) -> None:
        """Write a line of the history."""
        self._lines.append((self.agenda.now, text, parts))

    def history(self) -> tuple[str, ...]:
        """Return what happened, a line each."""
        return tuple(
            f"{at:%Y-%m-%d %H:%M:%S.%f} {text.format(*parts)}" for at, text, parts in self._lines
        )


def _named(item: Notice | LateAnswer) -> str:
    if isinstance(item, Notice):
        return f"a notice of {item.operator}: {item.kind.value}"
    return f"an answer of {item.operator}: {item.outcome.value}"


class _Ear(logging.Handler):
    """Hands every line that is logged to the watch."""

    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def emit(self, record: logging.LogRecord) -> None:
        """Look at a line."""
        self._watch.shown(record.getMessage())


def run_world(
    *,
    seed: int,
    days: float = 30,
    subscribers: int = 50,
    faults: Faults | None = None,
    make_store: Callable[[], Callable[[], Storage]] | None = None,
    store_name: str = "memory",
    tell: Callable[[float], object] | None = None,
    shrink_tries: int = MOST,
) -> WorldOutcome:
    """Run one world and return what came of it; the first broken invariant ends it.

    Args:
        seed: decides everything that happens.
        days: how long people live in it, in days of virtual time.
        subscribers: how many people there are.
        faults: how much goes wrong; None for the usual.
        make_store: makes an empty store and returns what opens it, once for every process that
            starts, and again after every crash; None for one in memory. It is called again for
            every smaller world that is tried when an invariant was broken.
        store_name: what the store is called in the outcome.
        tell: told of the virtual days that have passed.
        shrink_tries: how many smaller worlds to try for a shorter history of a broken invariant.
    """
    began = perf_counter()

    def build(faults: Faults, only: frozenset[int] | None) -> World:
        return World(
            seed=seed,
            days=days,
            subscribers=subscribers,
            faults=faults,
            open_store=None if make_store is None else make_store(),
            only=only,
        )

    world = build(faults or Faults(), None)
    world.run(tell)
    seconds = perf_counter() - began
    outcome = outcome_of(world, store_name, seconds)
    if outcome.violation is None:
        return outcome
    return evolve(outcome, violation=shrunk(build, world, shrink_tries))


def outcome_of(world: World, store: str, seconds: float) -> WorldOutcome:
    """Return what came of a world that ran."""
    watch = world.watch
    return WorldOutcome(
        seed=world.seed,
        days=world.days,
        subscribers=world.subscribers,
        store=store,
        started=world.start,
        steps=sum(watch.events.values()),
        seconds=seconds,
        events=dict(watch.events),
        seen={name: watch.seen[name] for name in RARE},
        samples=tuple(world.samples),
        answers=tuple(watch.answers),
        notices=tuple(world.notices),
        exposures=tuple(watch.exposures),
        failures=dict(watch.failures),
        crashes=sum(n for name, n in watch.seen.items() if name.startswith("crash ")),
        violation=watch.violation,
    )

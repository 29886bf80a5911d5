"""People: subscribers who claim, type codes, move their numbers, and intruders who guess.

Knows what people mean to do, and how they react. Refuses to know whether they may.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field, frozen

from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Consent
from abonent.core.states import NoticeKind
from abonent.errors import GateClosed
from abonent.ports import CodeMessage
from abonent.simulation.world.enlisting import enlist
from abonent.simulation.world.ground import OPERATORS
from abonent.simulation.world.processes import Process
from abonent.simulation.world.services import Service
from abonent.simulation.world.spelling import MISTYPED, spelled

if TYPE_CHECKING:
    from abonent.simulation.world.run import World

MICROSECOND: Final = timedelta(microseconds=1)
SECOND: Final = timedelta(seconds=1)
HOUR: Final = timedelta(hours=1)


def other_than(digits: str) -> str:
    """Return a well-formed code that is not this one."""
    return f"{(int(digits) + 1) % 10 ** len(digits):0{len(digits)}d}"


@frozen(kw_only=True)
class Intent:
    """Something that a person means to do at a time; `place` tells it from all others."""

    place: int
    person: int
    after: timedelta
    what: str


@define(eq=False)
class People:
    """All persons of a world, and the phones in their hands."""

    world: World
    _borrowed: dict[SubscriberNumber, int] = field(factory=dict[SubscriberNumber, int])
    _read: set[tuple[str, str]] = field(factory=set[tuple[str, str]])
    _counted: Counter[object] = field(factory=Counter[object])

    def draw(self, *topic: object) -> Random:
        """Return draws for the next thing of a kind."""
        self._counted[topic] += 1
        return self.world.chance.of("people", *topic, self._counted[topic])

    def user(self, person: int) -> str:
        """Return a person's user id: letters only."""
        return "user-" + "".join("abcdefghij"[int(each)] for each in f"{person:03d}")

    def services(self, person: int) -> list[Service]:
        """Return the messengers that a person uses."""
        domestic, foreign = self.world.services
        share = self.world.chance.of("services", person).random()
        if share < 0.6:
            return [foreign]
        return [domestic] if share < 0.85 else [domestic, foreign]

    # --- calling ----------------------------------------------------------------------

    def call(
        self, service: Service, name: str, person: int, act: Callable[[Any], Any], **about: Any
    ) -> Any:
        """Call a service in one of its processes, and have what comes of it judged."""
        process = self.world.pick(service, name, person)
        return None if process is None else self.call_in(process, name, person, act, **about)

    def call_in(
        self, process: Process, name: str, person: int, act: Callable[[Any], Any], **about: Any
    ) -> Any:
        """The same in this process."""
        service, world = process.service, self.world
        identifier = process.identifier
        if identifier is None:
            return None
        user = about.pop("user", self.user(person))
        at = process.clock.now()
        with world.watch.within(name, user=user, **about) as call:
            answer = service.guarded(process, lambda: act(identifier))
            world.judge(service, call, answer, at)
        return answer

    # --- claims -----------------------------------------------------------------------

    def claim(self, person: int, service: Service, number: SubscriberNumber) -> None:
        """Claim a number, in some spelling."""
        typed = spelled(number, self.draw("spelling", person))
        user = self.user(person)
        self.world.note("{} claims a number of {} at {}", user, self.owner(number), service)
        self.call(service, "claim", person, lambda it: it.claim(user, typed), number=number)

    def owner(self, number: SubscriberNumber) -> str:
        """Say whose number it is, without saying the number."""
        holder = self.world.ground.holder(number)
        return "nobody" if holder is None else self.user(holder)

    def join(self, person: int) -> None:
        """Claim one's own number at every messenger that one uses."""
        number = self.world.ground.number_of(person)
        if number is None:
            return
        for service in self.services(person):
            self.claim(person, service, number)

    def urge(self, person: int) -> None:
        """Claim again and again, as the impatient do."""
        for turn in range(self.draw("urge", person).randrange(3, 14)):
            self.world.agenda.after(61 * SECOND * turn, lambda: self.join(person))

    def mistype(self, person: int) -> None:
        """Type what is no number."""
        text, code = self.draw("mistype", person).choice(MISTYPED)
        service = self.services(person)[0]
        user = self.user(person)
        self.call(service, "claim", person, lambda it: it.claim(user, text), mistyped=code)

    def enlist(self, person: int) -> None:
        """Be taken over, with others, as a user that the messenger had before."""
        enlist(self, person)

    # --- codes ------------------------------------------------------------------------

    def read(self, service: Service, message: CodeMessage) -> None:
        """A code reached the phone of whoever has the number now."""
        holder = self.world.ground.holder(message.number)
        if holder is None or (service.messenger.id, message.id) in self._read:
            return
        self._read.add((service.messenger.id, message.id))
        person = self._typist(service, message, holder)
        if person is not None:
            self._type(person, service, message)

    def _typist(self, service: Service, message: CodeMessage, holder: int) -> int | None:
        """Return who types a code: whose phone it is, or who borrowed it."""
        borrower = self._borrowed.get(message.number)
        claimer = self.world.watch.claimer(service, message.id)
        for person in (holder, borrower):
            if person is not None and claimer == self.user(person):
                return person
        return None

    def _type(self, person: int, service: Service, message: CodeMessage) -> None:
        """Type a code that was read, in the way of people."""
        draw = self.draw("type", person, service.messenger.id)
        code, wrong = message.code.digits, other_than(message.code.digits)
        wait = SECOND * draw.randrange(3, 120)
        habit = draw.random()
        if habit < 0.04:
            self._on_the_edge(service, person, code, draw.choice((timedelta(0), MICROSECOND)))
        elif habit < 0.08:
            self.soon(wait, lambda: self.prove_twice(person, service, code))
        elif habit < 0.11:
            self.soon(wait, lambda: self.prove(person, service, f" {code}", "CODE_FORMAT"))
            self.soon(2 * wait, lambda: self.prove(person, service, code))
        elif habit < 0.14:
            for turn in range(service.policy.tries_per_code + 1):
                self.soon(wait * (turn + 1) / 9, lambda: self.prove(person, service, wrong))
            self.soon(wait, lambda: self.prove(person, service, code))
        elif habit < 0.25:
            self.soon(wait, lambda: self.prove(person, service, wrong))
            self.soon(2 * wait, lambda: self.prove(person, service, code))
        elif habit < 0.97:
            self.soon(wait, lambda: self.prove(person, service, code))
            if habit < 0.35:
                self.soon(2 * wait, lambda: self.prove(person, service, code))
            elif habit < 0.40:
                self.soon(wait + SECOND, lambda: self.forget(person))
            elif habit < 0.48:
                self.soon(wait + 3 * SECOND, lambda: self.move(person))

    def soon(self, wait: timedelta, act: Callable[[], object]) -> None:
        """Let something happen after a time."""
        self.world.agenda.after(wait, act)

    def _on_the_edge(self, service: Service, person: int, code: str, beyond: timedelta) -> None:
        """Type a code in the microsecond in which it expires, or in the next."""
        expires = self.world.watch.expires(service, self.user(person))
        process = service.pick("edge", person)
        if expires is None or process is None:
            return
        at = expires - process.clock.offset + beyond

        def act() -> None:
            if process.alive:
                self.prove_in(process, person, code)

        self.world.agenda.at(at, act)

    def prove(self, person: int, service: Service, code: str, mistyped: str = "") -> None:
        """Enter a code."""
        process = self.world.pick(service, "prove", person)
        if process is not None:
            self.prove_in(process, person, code, mistyped)

    def prove_in(self, process: Process, person: int, code: str, mistyped: str = "") -> None:
        """Enter a code in this process."""
        user = self.user(person)
        self.world.note("{} enters a code at {}", user, process)
        self.call_in(
            process,
            "prove",
            person,
            lambda it: it.prove(user, code),
            offered=code,
            mistyped=mistyped,
        )

    def prove_twice(self, person: int, service: Service, code: str) -> None:
        """Enter a code on two devices at once: the second is served while the first commits."""
        alive = [each for each in service.processes if each.alive]
        first = alive[0] if alive else None
        if first is None:
            return
        if len(alive) > 1:
            first.rival = lambda: self.prove_in(alive[1], person, code)
            self.world.watch.saw("a code entered twice at once")
        self.prove_in(first, person, code)
        first.rival = None

    def intrude(self, person: int) -> None:
        """Claim a stranger's number and guess."""
        draw = self.draw("intrude", person)
        victim = draw.randrange(self.world.subscribers)
        number = self.world.ground.number_of(victim)
        if number is None or victim == person:
            return
        service = draw.choice(self.services(person))
        for turn in range(draw.randrange(1, 5)):
            self.soon(turn * 70 * SECOND, lambda: self.claim(person, service, number))
            for guess in range(draw.randrange(1, service.policy.tries_per_code + 2)):
                wait = (turn * 70 + 5 + 7 * guess) * SECOND
                self.soon(wait, lambda: self.guess(person, service))
        if draw.random() < 0.5:
            self.soon(HOUR, lambda: self.join(person))

    def borrow(self, person: int) -> None:
        """Claim a friend's number with the friend's phone in hand, while the friend claims too."""
        draw = self.draw("borrow", person)
        friend = draw.randrange(self.world.subscribers)
        number = self.world.ground.number_of(friend)
        both = set(self.services(person)) & set(self.services(friend))
        if number is None or friend == person or not both:
            return
        self._borrowed[number] = person
        service = min(both, key=repr)
        self.claim(person, service, number)
        self.soon(SECOND * draw.randrange(200), lambda: self.claim(friend, service, number))
        self.soon(HOUR, lambda: self._borrowed.pop(number, None))

    def guess(self, person: int, service: Service) -> None:
        """Enter some code that is not the one that was sent."""
        digits = self.world.watch.live_code(service, self.user(person))
        self.prove(person, service, other_than(digits or "000000"))

    # --- writing and looking ----------------------------------------------------------

    def write(self, person: int) -> None:
        """Send messages: each asks the gate."""
        user = self.user(person)
        for service in self.services(person):
            self.ask_memory(service, user)
            process = self.world.pick(service, "write", person)
            if process is None or process.identifier is None:
                continue
            self.world.watch.gate(service, process, user, process.identifier.gate(user))
            try:
                process.identifier.require_open(user)
            except GateClosed as closed:
                self.world.watch.complained(closed)
            self.call_in(process, "standing", person, lambda it: it.standing(user))

    def ask_memory(self, service: Service, user: str) -> None:
        """Ask every process for a gate from memory."""
        for process in service.processes:
            if process.gates is not None:
                self.world.watch.remembered(service, process, user, process.gates.gate(user))

    def disclose(self, person: int) -> None:
        """Have one's number given to a third party, with and without a consent that covers it."""
        draw = self.draw("disclose", person)
        service, user = draw.choice(self.services(person)), self.user(person)
        now = self.world.agenda.now
        right: dict[str, Any] = {
            "user_id": user,
            "recipient": "bank",
            "purpose": "notices",
            "given_at": now - HOUR,
            "until": now + HOUR,
        }
        wrong: dict[str, Any] = draw.choice(
            (
                {},
                {},
                {"user_id": "user-other"},
                {"recipient": "shop"},
                {"purpose": "adverts"},
                {"given_at": now + HOUR, "until": None},
                {"until": now - HOUR / 2},
            )
        )
        consent = None if draw.random() < 0.2 else Consent(**{**right, **wrong})
        answer = self.call(
            service,
            "disclose",
            person,
            lambda it: it.disclose(user, to="bank", purpose="notices", consent=consent),
            consented=consent is not None and not wrong,
        )
        if isinstance(answer, SubscriberNumber):
            self.world.watch.disclosed(service, user, answer)

    def forget(self, person: int) -> None:
        """Have oneself erased; some come back."""
        draw = self.draw("forget", person)
        service, user = draw.choice(self.services(person)), self.user(person)
        self.world.note("{} is forgotten at {}", user, service)
        self.call(service, "forget", person, lambda it: it.forget(user))
        if draw.random() < 0.7:
            wait = HOUR * draw.choice((0.01, 1, 40)) * draw.random()
            number = self.world.ground.number_of(person)
            if number is not None:
                self.soon(wait, lambda: self.claim(person, service, number))

    # --- movements --------------------------------------------------------------------

    def move(self, person: int) -> None:
        """A contract ends, a number is ported, changed or given to somebody else."""
        draw = self.draw("move", person)
        ground, agenda = self.world.ground, self.world.agenda
        number = ground.number_of(person)
        if number is None:
            self.settle_down(person)
            return
        kind = draw.choice(
            (*[NoticeKind.TERMINATED] * 3, *[NoticeKind.PORTED] * 4, *tuple(NoticeKind))
        )
        old = ground.serving(number)
        self.world.note("the number of {} is {}", self.user(person), kind.value)
        if kind is NoticeKind.PORTED:
            other = draw.choice([each for each in OPERATORS if each != old])
            ground.begin(number, person, other, agenda.now)
        else:
            ground.end(number)
            self.world.watch.lost_number(number, kind.value)
            heir = draw.randrange(self.world.subscribers)
            if kind is NoticeKind.REASSIGNED:
                self.inherit(heir, number, old)
            elif draw.random() < 0.8:
                self.soon(HOUR * 60 * draw.random(), lambda: self.inherit(heir, number, old))
        self.world.carriers[old].tell(kind, number, agenda.now)
        if kind is NoticeKind.PORTED and draw.random() < 0.3:
            wait = timedelta(minutes=12 * draw.random())
            ended = NoticeKind.TERMINATED
            self.soon(wait, lambda: self.world.carriers[old].tell(ended, number, agenda.now))
        if kind is NoticeKind.NUMBER_CHANGED:
            ground.begin(ground.fresh(old), person, old, agenda.now)
        elif kind is not NoticeKind.PORTED:
            self.soon(HOUR * 20 * draw.random(), lambda: self.settle_down(person))
        back = HOUR * draw.choice((0.1, 0.2, 0.3, 3.0)) * draw.random()
        self.soon(back, lambda: self.join(person))

    def settle_down(self, person: int) -> None:
        """Take a new contract, if one has none, and claim the number."""
        if self.world.ground.number_of(person) is None:
            operator = self.draw("contract", person).choice(OPERATORS)
            number = self.world.ground.fresh(operator)
            self.world.ground.begin(number, person, operator, self.world.agenda.now)
        self.join(person)

    def inherit(self, person: int, number: SubscriberNumber, operator: str) -> None:
        """Get a number that was somebody else's, and claim it."""
        ground = self.world.ground
        if ground.holder(number) is not None:
            return
        own = ground.number_of(person)
        if own is not None:
            ground.end(own)
            self.world.watch.lost_number(own, NoticeKind.NUMBER_CHANGED.value)
            self.world.carriers[ground.serving(own)].tell(
                NoticeKind.NUMBER_CHANGED, own, self.world.agenda.now
            )
        ground.begin(number, person, operator, self.world.agenda.now)
        self.world.note("{} gets a number that was another's", self.user(person))
        self.soon(HOUR * self.draw("heir", person).random(), lambda: self.join(person))

"""Recording what concurrent callers do and see.

Knows how to call an identifier from many threads and to note when each call began and ended, on one
counter that all share. Refuses to judge what they saw.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Final

from attrs import Factory, define, frozen

from abonent import (
    Agreement,
    Identifier,
    LateAnswer,
    MemoryKeys,
    Notice,
    NoticeKind,
    OneTimeCodes,
    Outcome,
    Policy,
    Standing,
    SubscriberNumber,
)
from abonent.errors import AbonentError
from abonent.ports import Answer, CodeMessage, Keys, Query, RecordEntry, Storage
from abonent.simulation import (
    Reply,
    SimulatedClock,
    SimulatedOperator,
    SimulatedRouter,
    SimulatedSender,
)
from tests.concurrency.crowds import at_once
from tests.histories.checker import Call, Step
from tests.histories.sequential import (
    MESSENGER,
    OPERATOR,
    Kept,
    Refused,
    Said,
    Sequential,
    refused,
)

KEYS: Final = MemoryKeys(Keys(current="k1", roots={"k1": bytes(range(32))}))
POLICY: Final = Policy(tries_per_code=4, failures_per_day=6, sends_per_number=6, flush_within=None)
AGREEMENT: Final = Agreement(
    id="a",
    messenger=MESSENGER.id,
    operator=OPERATOR,
    starts=SimulatedClock().now() - timedelta(days=1),
)


class Seen(threading.local):
    """What the doubles saw of the call that this thread makes."""

    issued: str | None = None
    asked: tuple[str, Outcome] | None = None
    passed: str | None = None

    def clear(self) -> None:
        self.issued = self.asked = self.passed = None


class Phone(SimulatedSender):
    """A sender that notes which call sent a code: it is called in the caller's thread."""

    def __init__(self, seen: Seen) -> None:
        super().__init__()
        self.seen = seen

    def send(self, message: CodeMessage) -> None:
        super().send(message)
        self.seen.issued = message.id


class Carrier(SimulatedOperator):
    """An operator that notes which call asked it, and which one recorded a code."""

    def __init__(self, seen: Seen, answers: Callable[[Query], Reply]) -> None:
        super().__init__(OPERATOR, answers=answers)
        self.seen = seen
        self.users: dict[str, str] = {}
        """Whom each question was about."""

    def ask(self, query: Query) -> Answer:
        answer = super().ask(query)
        self.seen.asked = (query.id, answer.outcome)
        return answer

    def record(self, entry: RecordEntry) -> None:
        if entry.code not in self.recorded:  # told again, it is no news
            self.seen.passed = entry.code
        super().record(entry)


@frozen(kw_only=True)
class Observed:
    """A call as its caller saw it, before it is put in the terms of the core."""

    caller: str
    name: str
    arguments: tuple[Any, ...]
    at: datetime
    result: Any
    issued: str | None
    asked: tuple[str, Outcome] | None
    passed: str | None
    invoked: int
    returned: int


@define(eq=False, slots=False)
class Stage:
    """One or more identifiers on the same users, and the record of what is done to them.

    Each run has users and a number of its own, so that many of them may share their stores.
    """

    stores: Sequence[Storage]
    chance: random.Random
    run: int = 0
    clock: SimulatedClock = Factory(SimulatedClock)
    observed: list[Observed] = Factory(list)

    def __attrs_post_init__(self) -> None:
        self.users = (f"alice-{self.run}", f"bob-{self.run}")
        self.number = SubscriberNumber(f"+7916{self.run:07d}")
        self.seen = Seen()
        self.phone = Phone(self.seen)
        replies = (Reply.HELD, Reply.HELD, Reply.LATER, Reply.LATER, Reply.NOT_HELD)
        self.carrier = Carrier(self.seen, lambda _: self.chance.choice(replies))
        self._ticks = count(1)
        self._notices = count(1)
        self.identifiers = [self._identifier(store) for store in self.stores]

    def _identifier(self, store: Storage) -> Identifier:
        return Identifier(
            messenger=MESSENGER,
            storage=store,
            keys=KEYS,
            possession=OneTimeCodes(self.phone, prompt=True),
            agreements=[AGREEMENT],
            gateways={OPERATOR: self.carrier},
            router=SimulatedRouter(OPERATOR),
            policy=POLICY,
            clock=self.clock,
            unsafe_test_doubles=True,
        )

    def settle(self) -> None:
        """Commit what was left for the next call."""
        for each in self.identifiers:
            each._loop.commits.flush()

    # --- calls -----------------------------------------------------------------------------

    def call(self, caller: str, identifier: Identifier, name: str, *arguments: Any) -> Any:
        """Make a call and note it. A refusal is a result; what is received is never refused."""
        self.seen.clear()
        at = self.clock.now()
        invoked = next(self._ticks)
        try:
            result = getattr(identifier, name)(*arguments)
        except AbonentError as error:
            if name == "receive":
                raise
            result = refused(error)
        returned = next(self._ticks)
        if self.seen.asked is not None:
            self.carrier.users[self.seen.asked[0]] = arguments[0]
        self.observed.append(
            Observed(
                caller=caller,
                name=name,
                arguments=arguments,
                at=at,
                result=result,
                issued=self.seen.issued,
                asked=self.seen.asked,
                passed=self.seen.passed,
                invoked=invoked,
                returned=returned,
            )
        )
        return result

    def alone(self, name: str, *arguments: Any) -> Any:
        """A call while nobody else calls."""
        return self.call("alone", self.identifiers[0], name, *arguments)

    def code(self) -> str:
        """The code that was sent last."""
        return self.phone.messages[-1].code.digits

    def crowd(self, threads: int, calls: int) -> None:
        """Let so many callers make so many calls each, all at once."""
        scripts = [random.Random(self.chance.random()) for _ in range(threads)]
        at_once(
            lambda n=n, chance=chance: self._calls(f"caller {n}", n, chance, calls)
            for n, chance in enumerate(scripts)
        )

    def _calls(self, caller: str, n: int, chance: random.Random, calls: int) -> None:
        identifier = self.identifiers[n % len(self.identifiers)]
        for _ in range(calls):
            name, *arguments = self._drawn(chance)
            self.call(caller, identifier, name, *arguments)

    def _drawn(self, chance: random.Random) -> tuple[Any, ...]:
        user = chance.choice(self.users)
        drawn = chance.random()
        if drawn < 0.20:
            return "claim", user, self.number.e164
        if drawn < 0.60:
            sent = self.phone.messages[-3:]
            if not sent or chance.random() < 0.4:
                return "prove", user, "000000"
            return "prove", user, chance.choice(sent).code.digits
        if drawn < 0.72 and self.carrier.questions:
            query = chance.choice(self.carrier.questions[-3:])
            outcome = chance.choice((Outcome.HELD, Outcome.HELD, Outcome.NOT_HELD))
            return "receive", LateAnswer(query_id=query.id, operator=OPERATOR, outcome=outcome)
        if drawn < 0.80:
            return "receive", self.notice(chance.choice(tuple(NoticeKind)))
        if drawn < 0.84:
            return ("sweep",)
        if drawn < 0.87:
            return "forget", user
        return chance.choice(("gate", "standing")), user

    def notice(self, kind: NoticeKind) -> Notice:
        return Notice(
            id=f"notice-{next(self._notices)}", operator=OPERATOR, kind=kind, number=self.number
        )

    # --- the history -------------------------------------------------------------------------

    def history(self) -> tuple[list[Call[Kept]], Kept]:
        """All calls in the terms of the sequential core, and the state in which it begins."""
        keyring = self.identifiers[0]._engine.archive.keyring
        core = Sequential(
            names=tuple(sorted(self.users, key=lambda each: keyring.user_tags(each)[0])),
            number=self.number,
            agreement=AGREEMENT,
            policy=POLICY,
        )
        codes = {each.id: each.code.digits for each in self.phone.messages}
        calls = [
            Call(
                caller=each.caller,
                name=_told(each),
                result=_short(each.result),
                invoked=each.invoked,
                returned=each.returned,
                steps=tuple(steps),
            )
            for each in sorted(self.observed, key=lambda each: each.invoked)
            for steps in self._chains(core, each, codes)
        ]
        return calls, core.initial

    def _chains(
        self, core: Sequential, each: Observed, codes: dict[str, str]
    ) -> Sequence[Sequence[Step[Kept]]]:
        """A call as chains of steps: a notice is one for each user, all else is one."""
        if each.arguments and isinstance(each.arguments[0], Notice):
            (item,) = each.arguments
            return [
                [core.notice(user, each.at, item, user in each.result.users)] for user in core.names
            ]
        return [self._steps(core, each, codes)]

    def _steps(
        self, core: Sequential, each: Observed, codes: dict[str, str]
    ) -> Sequence[Step[Kept]]:
        at, fresh = each.at, f"unseen-{each.invoked}"
        if each.name == "claim":
            nonce = fresh if each.issued is None else each.issued.rsplit(".", 1)[0]
            seen = Said(each.result, issued=each.issued)
            return [core.claim(each.arguments[0], at, nonce, seen)]
        if each.name == "prove":
            return _proving(core, each, codes, fresh)
        if each.name == "forget":
            return [core.forget(each.arguments[0], at, each.result)]
        if each.name == "sweep":
            return [core.tick(user, at) for user in core.names]
        if each.name == "standing":
            return [core.look(each.arguments[0], at, each.result)]
        if each.name == "gate":
            return [core.gate(each.arguments[0], at, each.result)]
        (item,) = each.arguments
        judged = (frozenset(each.result.users), each.result.ignored, each.passed)
        user = self.carrier.users[item.query_id]
        return [core.answer(user, at, item, each.passed or fresh, judged, late=True)]


def _proving(
    core: Sequential, each: Observed, codes: dict[str, str], fresh: str
) -> list[Step[Kept]]:
    """A proof that leads to a question is two steps: others may come before the answer."""
    user, typed = each.arguments
    if each.asked is None:
        return [core.prove(user, each.at, typed, codes, query=fresh, seen=Said(each.result))]
    query, outcome = each.asked
    item = LateAnswer(query_id=query, operator=OPERATOR, outcome=outcome)
    said = Said(each.result, asked=query, passed=each.passed)
    return [
        core.prove(user, each.at, typed, codes, query=query, seen=Said(None, asked=query)),
        core.answer(user, each.at, item, each.passed or fresh, said, late=False),
    ]


def _told(each: Observed) -> str:
    """A call as one reads it: users and what was meant, but neither number nor code."""
    if each.name == "receive":
        (item,) = each.arguments
        if isinstance(item, Notice):
            return f"notice {item.kind.value}"
        return f"late answer {item.outcome.value}"
    return " ".join((each.name, *each.arguments[:1]))


def _short(result: Any) -> str:
    if isinstance(result, Standing):
        tries = next((step.tries for step in result.next if step.tries is not None), None)
        return result.status.value + ("" if tries is None else f", {tries} tries left")
    if isinstance(result, Refused):
        return result.code
    return str(result)

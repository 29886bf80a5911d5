"""The life of one process: it identifies users on a store and says what it has done.

Knows how users, operators and a service behave. Refuses to know when it dies.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from attrs import define, field, frozen

from abonent import (
    Agreement,
    Consent,
    Identifier,
    LateAnswer,
    MemoryKeys,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    OneTimeCodes,
    Outcome,
    Policy,
    Reason,
    Standing,
    Status,
    SubscriberNumber,
)
from abonent.errors import AbonentError, StorageError
from abonent.ports import Clock, Keys, Query, Storage
from abonent.simulation import (
    Reply,
    SimulatedOperator,
    SimulatedRouter,
    SimulatedSender,
)
from tests.crash.contents import SPACE
from tests.crash.messages import Failed, Forgetting, Mark, Message, Returned
from tests.crash.witness import Witness

OpenStore = Callable[[Path], Storage]
OPERATOR = "mts"
START = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
RACE = 600
"""Seconds of the process's clock for each real one: leases, retries and deadlines come due."""
KEYS = MemoryKeys(Keys(current="k1", roots={"k1": bytes(range(32))}))
POLICY = Policy(
    resend_after=timedelta(seconds=1),
    failures_per_day=100,
    tries_per_code=10,
    sends_per_user=1000,
    sends_per_number=1000,
    flush_within=timedelta(milliseconds=10),
)
REPLIES = (*[Reply.HELD] * 6, *[Reply.LATER] * 2, Reply.UNAVAILABLE, Reply.NOT_HELD)
USERS_EACH = 4


@frozen
class RacingClock:
    """A clock that runs `RACE` times as fast as the machine's, over all lives on one store."""

    origin: float

    def now(self) -> datetime:
        return START + timedelta(seconds=(time.time() - self.origin) * RACE)


def identifier_on(
    store: Storage,
    clock: Clock,
    operator: SimulatedOperator,
    sender: SimulatedSender,
    policy: Policy = POLICY,
) -> Identifier:
    """A foreign messenger's identifier; one operator serves every number."""
    return Identifier(
        messenger=Messenger(id=SPACE, kind=MessengerKind.FOREIGN),
        storage=store,
        keys=KEYS,
        possession=OneTimeCodes(sender, prompt=True),
        agreements=[
            Agreement(id="a", messenger=SPACE, operator=OPERATOR, starts=START - timedelta(days=1))
        ],
        gateways={OPERATOR: operator},
        router=SimulatedRouter(OPERATOR),
        policy=policy,
        clock=clock,
        unsafe_test_doubles=True,
    )


@define
class Crowd:
    """A few users who act one after the other. Some of their numbers are other crowds' as well."""

    name: int
    identifier: Identifier
    clock: Clock
    operator: SimulatedOperator
    sender: SimulatedSender
    chance: random.Random
    tell: Callable[[Message], None]
    claimed: dict[str, str] = field(factory=dict)
    acts: int = 0

    def act(self) -> None:
        """One user looks where they stand, and does something about it."""
        user = f"user-{self.name}-{self.chance.randrange(USERS_EACH)}"
        self.acts += 1
        try:
            at = self.clock.now()
            standing = self.identifier.standing(user)
            self._stood(user, "standing", at, standing)
            self._next(user, standing)
        except StorageError:
            raise
        except AbonentError:
            pass  # refused, by name: nothing was done, and nothing is told

    def _next(self, user: str, standing: Standing) -> None:
        if standing.status is Status.PROVING_POSSESSION:
            self._prove(user)
        elif standing.status is Status.AWAITING_ANSWER:
            self._await(user)
        elif standing.status is Status.IDENTIFIED:
            chosen = self.chance.choice(
                (self._ask_gate, self._disclose, self._end, self._end, self._claim, self._forget)
            )
            chosen(user)
        else:
            self.chance.choice((self._claim, self._claim, self._ask_gate))(user)

    def _claim(self, user: str) -> None:
        shared = self.chance.random() < 0.25
        tail = 9_000_000 if shared else self.name * 100_000 + int(user[-1]) * 100
        number = f"+7916{tail + self.chance.randrange(2):07d}"
        at = self.clock.now()
        standing = self.identifier.claim(user, number)
        self.claimed[user] = number
        self._stood(user, "claim", at, standing)

    def _prove(self, user: str) -> None:
        number = self.claimed.get(user)
        if number is None:
            self._claim(user)  # what was sent in an earlier life was lost with it
            return
        code = self.sender.code_for(number).digits
        wrong = self.chance.random() < 0.3
        if wrong:
            code = f"{(int(code) + 1) % 10**6:06d}"
        at = self.clock.now()
        standing = self.identifier.prove(user, code)
        failed = wrong and standing.status is Status.PROVING_POSSESSION
        self._stood(user, "prove", at, standing, ("ProofFailed", "", "") if failed else None)

    def _await(self, user: str) -> None:
        number = self.claimed.get(user)
        asked = [each for each in self.operator.questions if each.number.e164 == number]
        if not asked:
            return
        item = LateAnswer(query_id=asked[-1].id, operator=OPERATOR, outcome=Outcome.HELD)
        at = self.clock.now()
        if user in self.identifier.receive(item).users:
            told = ("AnswerReceived", "query_id", item.query_id)
            self.tell(Returned(user=user, call="receive", at=at, told=told))

    def _end(self, user: str) -> None:
        number = self.claimed.get(user)
        if number is None:
            return
        kind = self.chance.choice(tuple(NoticeKind))
        notice = Notice(
            id=f"{self.chance.getrandbits(64):x}",
            operator=OPERATOR,
            kind=kind,
            number=SubscriberNumber(number),
        )
        at = self.clock.now()
        if user in self.identifier.receive(notice).users:
            told = ("NoticeReceived", "notice_id", notice.id)
            self.tell(Returned(user=user, call="receive", at=at, told=told))

    def _disclose(self, user: str) -> None:
        purpose = f"{self.chance.getrandbits(64):x}"
        consent = Consent(
            user_id=user, recipient="shop", purpose=purpose, given_at=START, until=None
        )
        at = self.clock.now()
        self.identifier.disclose(user, to="shop", purpose=purpose, consent=consent)
        told = ("NumberDisclosed", "purpose", purpose)
        self.tell(Returned(user=user, call="disclose", at=at, told=told))

    def _forget(self, user: str) -> None:
        at = self.clock.now()
        self.tell(Forgetting(user, at))
        self.identifier.forget(user)
        self.tell(Returned(user=user, call="forget", at=at))

    def _ask_gate(self, user: str) -> None:
        at = self.clock.now()
        gate = self.identifier.gate(user)
        if gate.reason is not Reason.CANNOT_SAY:  # which stands in no history
            self.tell(Returned(user=user, call="gate", at=at, open=gate.open))

    def _stood(
        self,
        user: str,
        call: str,
        at: datetime,
        standing: Standing,
        told: tuple[str, str, str] | None = None,
    ) -> None:
        self.tell(
            Returned(
                user=user,
                call=call,
                at=at,
                status=standing.status.value,
                reason=reason_of(standing),
                code=standing.identification_code,
                told=told,
            )
        )


def reason_of(standing: Standing) -> str | None:
    """Why the last attempt did not pass; the gate's own reasons come and go with the clock."""
    if standing.status is Status.NOT_PASSED and standing.reason is not None:
        return standing.reason.value
    return None


def answering(chance: random.Random) -> Callable[[Query], Reply]:
    """An operator that mostly holds, sometimes answers later, fails or does not hold."""
    return lambda _: chance.choice(REPLIES)


def live(
    path: Path, open_store: OpenStore, origin: float, seed: str, tell: Callable[[Message], None]
) -> None:
    """Open the store, let crowds act in threads and sweep meanwhile, then close. Or die before."""
    chance = random.Random(seed)
    identifier, crowds = gathered(open_store(path), RacingClock(origin), seed, chance, tell)
    tell(Mark("open"))

    def act(crowd: Crowd, times: int) -> None:
        try:
            for _ in range(times):
                crowd.act()
        except BaseException:
            tell(Failed(traceback.format_exc()))
            raise

    threads = [
        threading.Thread(target=act, args=(each, chance.randint(3, 25)), daemon=True)
        for each in crowds
    ]
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        tell(Mark("sweeping"))
        identifier.sweep()
        tell(Mark("swept"))
        time.sleep(0.003)
    tell(Mark("closing"))
    identifier.close()
    tell(Mark("closed"))


def gathered(
    store: Storage,
    clock: Clock,
    seed: str,
    chance: random.Random,
    tell: Callable[[Message], None],
) -> tuple[Identifier, list[Crowd]]:
    """A service on a store that tells what it is given, and the crowds that are to use it."""
    operator = SimulatedOperator(OPERATOR, answers=answering(chance), prompt=False)
    sender = SimulatedSender()
    identifier = identifier_on(Witness(store, tell), clock, operator, sender)
    return identifier, [
        Crowd(each, identifier, clock, operator, sender, random.Random(f"{seed} {each}"), tell)
        for each in range(4)
    ]

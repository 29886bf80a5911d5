"""A rehearsal: a real identifier among simulated surroundings, for the tests of applications.

Knows how users and operators behave in a test. Refuses to touch a network, a disk or the wall
clock, and to be used for real: everything around the identifier is a double (P12).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from types import TracebackType
from typing import Final, Self

from abonent.core.agreements import Agreement
from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber, parse_number
from abonent.core.parties import Messenger, MessengerKind
from abonent.core.policy import Policy
from abonent.core.standing import Standing, Status
from abonent.core.states import NoticeKind
from abonent.engine.inbound import Received
from abonent.engine.rounds import SweepReport
from abonent.errors import InvalidValue
from abonent.identifier import Identifier
from abonent.keys import MemoryKeys
from abonent.ports import (
    KeyProvider,
    LateAnswer,
    Notice,
    OneTimeCode,
    Query,
    SendLimiter,
    Storage,
)
from abonent.possession import OneTimeCodes
from abonent.simulation import (
    Reply,
    SimulatedClock,
    SimulatedOperator,
    SimulatedRouter,
    SimulatedSender,
)
from abonent.stores import MemoryStorage

START: Final = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
"""When a rehearsal begins, unless told otherwise."""
_FIRST_NUMBER: Final = 79000000001


class Rehearsal:
    """An identifier and all that surrounds it, each to be moved by the test.

    A context manager. `identifier` goes into the application; the rest is for the test:
    `clock.advance(...)` passes time, `operator.script(...)` and `operator.answer_with(...)` say
    what the operator does when asked, `operator.questions`, `.records` and `.withdrawals` what it
    heard, `sender.code_for(number)` what a user was sent, `router.port(...)` who serves a number.
    """

    test_double = True

    def __init__(
        self,
        *,
        messenger: MessengerKind = MessengerKind.FOREIGN,
        answers: Reply | Callable[[Query], Reply] = Reply.HELD,
        policy: Policy | None = None,
        storage: Storage | None = None,
        limiter: SendLimiter | None = None,
        keys: KeyProvider | None = None,
        start: datetime = START,
    ) -> None:
        """Put it up.

        Args:
            messenger: foreign asks the operator; domestic identifies by itself.
            answers: what the operator does when asked.
            policy: the messenger's own choices.
            storage: where users are kept; None for memory. It is closed with the rehearsal.
            limiter: bounds the codes sent to many numbers.
            keys: the root keys; None for a random one.
            start: the instant at which the clock stands.
        """
        self.clock = SimulatedClock(start)
        self.operator = SimulatedOperator(answers=answers)
        self.sender = SimulatedSender()
        self.router = SimulatedRouter(self.operator.id)
        self._claimed: dict[str, SubscriberNumber] = {}
        self._fresh = count(_FIRST_NUMBER)
        self._notices = count(1)
        self.identifier = Identifier(
            messenger=Messenger(id="messenger", kind=messenger),
            storage=MemoryStorage() if storage is None else storage,
            keys=keys or MemoryKeys.random(),
            possession=OneTimeCodes(self.sender, prompt=True),
            agreements=[
                Agreement(
                    id="agreement",
                    messenger="messenger",
                    operator=self.operator.id,
                    starts=start - timedelta(days=1),
                )
            ],
            gateways={self.operator.id: self.operator},
            router=self.router,
            limiter=limiter,
            policy=policy,
            clock=self.clock,
            unsafe_test_doubles=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the identifier."""
        self.identifier.close()

    # --- users ------------------------------------------------------------------------

    def fresh_number(self) -> SubscriberNumber:
        """Return a number that this rehearsal has not given out before."""
        return SubscriberNumber(f"+{next(self._fresh)}")

    def claimed(self, user_id: str, number: str | None = None) -> Standing:
        """Have a user claim a number, a fresh one if none is given, and be sent a code."""
        chosen = self.fresh_number() if number is None else parse_number(number).number
        standing = self.identifier.claim(user_id, chosen.e164)
        self._claimed[user_id] = chosen
        return standing

    def code(self, user_id: str) -> OneTimeCode:
        """Return the last code sent to the number that a user claimed by `claimed`.

        Raises:
            InvalidValue: they claimed none, or no code was sent.
        """
        return self.sender.code_for(self.number(user_id))

    def number(self, user_id: str) -> SubscriberNumber:
        """Return the number that a user claimed by `claimed`.

        Raises:
            InvalidValue: they claimed none.
        """
        try:
            return self._claimed[user_id]
        except KeyError:
            raise InvalidValue("this user has claimed no number in the rehearsal") from None

    def proven(self, user_id: str) -> Standing:
        """Have a user enter the right code. What follows is up to the operator."""
        return self.identifier.prove(user_id, self.code(user_id))

    def identified(self, user_id: str, number: str | None = None) -> Standing:
        """Have a user claim a number and prove it, and be identified.

        Raises:
            InvalidValue: they were not, because the operator was told otherwise. Use `claimed` and
                `proven` for that.
        """
        self.claimed(user_id, number)
        standing = self.proven(user_id)
        if standing.status is not Status.IDENTIFIED:
            raise InvalidValue(f"the user is not identified but {standing.status.value}")
        return standing

    # --- operators and time -----------------------------------------------------------

    def answer(self, user_id: str, outcome: Outcome = Outcome.HELD) -> Received:
        """Have the operator answer the last question about a user now (after `Reply.LATER`).

        Raises:
            InvalidValue: it was not asked about them.
        """
        number = self.number(user_id)
        for query in reversed(self.operator.questions):
            if query.number == number:
                late = LateAnswer(query_id=query.id, operator=self.operator.id, outcome=outcome)
                return self.identifier.receive(late)
        raise InvalidValue("the operator was not asked about this user")

    def end_subscription(self, user_id: str, kind: NoticeKind = NoticeKind.TERMINATED) -> Received:
        """Have the operator give notice about a user's number, as of now."""
        notice = Notice(
            id=f"notice-{next(self._notices)}",
            operator=self.operator.id,
            kind=kind,
            number=self.number(user_id),
            happened_at=self.clock.now(),
        )
        return self.identifier.receive(notice)

    def pass_time(self, by: timedelta | float) -> SweepReport:
        """Advance the clock by a time, or by seconds, and sweep as a service would."""
        self.clock.advance(by)
        return self.identifier.sweep()


def identifier(
    *,
    messenger: MessengerKind = MessengerKind.FOREIGN,
    answers: Reply | Callable[[Query], Reply] = Reply.HELD,
    policy: Policy | None = None,
    storage: Storage | None = None,
    limiter: SendLimiter | None = None,
    start: datetime = START,
) -> Rehearsal:
    """Return an identifier to test an application with; see `Rehearsal` for the arguments."""
    return Rehearsal(
        messenger=messenger,
        answers=answers,
        policy=policy,
        storage=storage,
        limiter=limiter,
        start=start,
    )

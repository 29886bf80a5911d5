"""A clock, an operator, a router and a code sender that do as they are told.

Knows the ports by example: each double keeps the promises of its port as a real adapter must.
Refuses to touch a network.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum

from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber, parse_number
from abonent.core.parties import check_instant
from abonent.errors import AdapterError, InvalidValue, Misconfigured, Unavailable
from abonent.ports import (
    Answer,
    CodeMessage,
    GatewayFeatures,
    OneTimeCode,
    Query,
    RecordEntry,
    Unrouted,
    WithdrawEntry,
)


class SimulatedClock:
    """A clock that stands still until it is moved."""

    test_double = True

    def __init__(self, start: datetime = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)) -> None:
        self._now = check_instant(start)

    def now(self) -> datetime:
        """Return the instant it was set to."""
        return self._now

    def advance(self, by: timedelta | float) -> datetime:
        """Move it by a time, or by seconds; a negative time steps it back."""
        self._now += by if isinstance(by, timedelta) else timedelta(seconds=by)
        return self._now

    def set(self, to: datetime) -> None:
        """Set it to an instant."""
        self._now = check_instant(to)


class Reply(Enum):
    """What a simulated operator does when asked."""

    HELD = "held"
    NOT_HELD = "not_held"
    NOT_OURS = "not_ours"
    UNDETERMINED = "undetermined"
    LATER = "later"
    """It says that the answer comes later; send it with `LateAnswer` and the id in `questions`."""
    SILENCE = "silence"
    """It takes the question and is never heard of again."""
    UNAVAILABLE = "unavailable"
    MISCONFIGURED = "misconfigured"
    """It refuses our credentials."""
    SLOW = "slow"
    """It does what it is asked and holds the subscriber, but its reply comes when nobody waits any
    more. Asked again under the same id, it replies at once."""
    HANGS = "hangs"
    """It takes the call and never replies to it."""
    MALFORMED = "malformed"
    """What it replies cannot be read."""


class SimulatedOperator:
    """An operator that answers by script: first what was queued, then what stands for a number.

    `answers` gives the standing reply by number; a callable is asked with the query. The same
    question again gets the same answer once one was given, as a real operator owes an idempotency
    id. `questions`, `records` and `withdrawals` tell what arrived.
    """

    test_double = True

    def __init__(
        self,
        operator_id: str = "operator",
        *,
        answers: Reply | Callable[[Query], Reply] = Reply.HELD,
        prompt: bool = True,
        concurrency: int = 8,
    ) -> None:
        self.id = operator_id
        self.features = GatewayFeatures(prompt=prompt, concurrency=concurrency)
        self.questions: list[Query] = []
        self.records: list[RecordEntry] = []
        self.withdrawals: list[WithdrawEntry] = []
        self.recorded: dict[str, RecordEntry] = {}
        self._answers = answers
        self._records = Reply.HELD
        self._script: deque[Reply] = deque()
        self._record_faults: deque[Reply] = deque()
        self._given: dict[str, Answer] = {}
        self._mutex = threading.Lock()

    def script(self, *replies: Reply) -> None:
        """Queue replies; each question takes one, before what stands for its number."""
        self._script.extend(replies)

    def answer_with(self, answers: Reply | Callable[[Query], Reply]) -> None:
        """Change what stands."""
        self._answers = answers

    def show(self, reply: Reply) -> None:
        """Show this from now on to whatever comes: questions, records and withdrawals."""
        self._answers = self._records = reply

    def fail_records(self, *faults: Reply) -> None:
        """Queue faults for `record` and `withdraw`, such as UNAVAILABLE or MISCONFIGURED."""
        if any(each not in _FAULTS for each in faults):
            raise InvalidValue("records fail with a fault, and this is none")
        self._record_faults.extend(faults)

    def ask(self, query: Query) -> Answer:
        """Answer as scripted."""
        with self._mutex:
            self.questions.append(query)
            if query.id in self._given:
                return self._given[query.id]
            reply = self._reply(query)
            if reply in _OUTCOMES:
                self._given[query.id] = Answer(outcome=_OUTCOMES[reply])
            _fault(reply)
            return self._given[query.id]

    def _reply(self, query: Query) -> Reply:
        if self._script:
            return self._script.popleft()
        return self._answers(query) if callable(self._answers) else self._answers

    def record(self, entry: RecordEntry) -> None:
        """Record, or fail as told."""
        with self._mutex:
            self.records.append(entry)
            reply = self._record_reply()
            if reply in _OUTCOMES:
                self.recorded[entry.code] = entry
            _fault(reply)

    def withdraw(self, entry: WithdrawEntry) -> None:
        """Withdraw, or fail as told; what is not there counts as withdrawn."""
        with self._mutex:
            self.withdrawals.append(entry)
            reply = self._record_reply()
            if reply in _OUTCOMES:
                self.recorded.pop(entry.code, None)
            _fault(reply)

    def _record_reply(self) -> Reply:
        return self._record_faults.popleft() if self._record_faults else self._records


_OUTCOMES = {
    Reply.HELD: Outcome.HELD,
    Reply.NOT_HELD: Outcome.NOT_HELD,
    Reply.NOT_OURS: Outcome.NOT_OURS,
    Reply.UNDETERMINED: Outcome.UNDETERMINED,
    Reply.LATER: Outcome.LATER,
    Reply.SILENCE: Outcome.LATER,
    Reply.SLOW: Outcome.HELD,
}
"""What it says to a question, where it comes to say anything."""
_FAULTS: dict[Reply, type[AdapterError]] = {
    Reply.UNAVAILABLE: Unavailable,
    Reply.SLOW: Unavailable,
    Reply.HANGS: Unavailable,
    Reply.MISCONFIGURED: Misconfigured,
    Reply.MALFORMED: Misconfigured,
}
"""What a link makes of it: a time that runs out, or something for a person to look at."""


def _fault(reply: Reply) -> None:
    if reply in _FAULTS:
        raise _FAULTS[reply](f"this double was told to be {reply.value}")


class SimulatedSender:
    """A code sender that keeps the codes instead of sending them.

    `messages` tells what it took, also what came again under one id.
    """

    test_double = True

    def __init__(self) -> None:
        self.messages: list[CodeMessage] = []
        self._standing = Reply.HELD
        self._faults: deque[Reply] = deque()
        self._mutex = threading.Lock()

    def show(self, reply: Reply) -> None:
        """Show this from now on; `Reply.HELD` sends."""
        self._standing = reply

    def fail(self, *faults: Reply) -> None:
        """Queue faults, such as UNAVAILABLE or MISCONFIGURED."""
        self._faults.extend(faults)

    def send(self, message: CodeMessage) -> None:
        """Keep the code, or fail as told."""
        with self._mutex:
            reply = self._faults.popleft() if self._faults else self._standing
            if reply in _OUTCOMES:
                self.messages.append(message)
            _fault(reply)

    def code_for(self, number: str | SubscriberNumber) -> OneTimeCode:
        """Return the last code sent to a number.

        Raises:
            InvalidValue: none was sent.
        """
        wanted = number if isinstance(number, SubscriberNumber) else parse_number(number).number
        for message in reversed(self.messages):
            if message.number == wanted:
                return message.code
        raise InvalidValue("no code was sent to this number")


class SimulatedRouter:
    """A router that names one operator for every number, and others for those that were ported."""

    test_double = True

    def __init__(self, operator: str | Unrouted = "operator") -> None:
        self._operator = operator
        self._ported: dict[SubscriberNumber, str | Unrouted] = {}
        self._standing = Reply.HELD

    def port(self, number: str | SubscriberNumber, operator: str | Unrouted) -> None:
        """Have a number served by another operator from now on."""
        parsed = number if isinstance(number, SubscriberNumber) else parse_number(number).number
        self._ported[parsed] = operator

    def show(self, reply: Reply) -> None:
        """Show this from now on; `Reply.HELD` names operators."""
        self._standing = reply

    def out_of_reach(self, is_it: bool = True) -> None:
        """Be out of reach, or not any more."""
        self.show(Reply.UNAVAILABLE if is_it else Reply.HELD)

    def serving(self, number: SubscriberNumber) -> str | Unrouted:
        """Name the operator."""
        _fault(self._standing)
        return self._ported.get(number, self._operator)

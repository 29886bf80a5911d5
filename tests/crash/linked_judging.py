"""After the last life of both sides: is everything there, and does each side know the other's?

Knows what both sides told, what the operator's systems told it, and both stores. Refuses to know
how they were killed.

1. Both journals replay, and the messenger's store does not contradict itself.
2. Every call that returned is explained by the user's history.
3. Nobody passed without a HELD of the operator, under the agreement; nobody with a number that it
   never held.
4. The operator knows every identification code that was given: each record has arrived, or was
   withdrawn. Nothing is owed by either side.
5. Whose subscription ended after they were asked about was told; no gate is open for an ended one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime

from attrs import define, field, frozen

from abonent import Identifier, SqliteStorage, Status, SubscriberNumber
from abonent.core.events import AnswerReceived, Event, Outcome, Passed
from abonent.core.parties import Operator
from abonent.keys import FileKeys
from abonent.operator import Holding, OperatorDesk
from abonent.operator.core.states import Answered, AnswerOwed, NoticeOwed, Recorded
from abonent.ports import GatewayFeatures, LateAnswer, Notice
from abonent.transport.http import HttpTransport
from tests.crash.contents import SPACE, stored_in
from tests.crash.judging import _histories, first_unexplained, inconsistencies
from tests.crash.linked_lives import (
    DESK_POLICY,
    NEVER_HELD,
    OPERATOR,
    Phones,
    Place,
    identifier_at,
    setup_of,
)
from tests.crash.messages import Failed, Message, Returned


@define
class Ended:
    """A subscription that the operator's systems told to be over: first at `at`, until heard."""

    number: SubscriberNumber
    kind: str
    at: datetime
    heard_at: datetime | None = None


@frozen
class Begun:
    """A subscription that the base shows from an instant on."""

    number: SubscriberNumber
    since: datetime


@define
class Heard:
    """What was acknowledged, over all lives."""

    returned: dict[str, list[Returned]] = field(factory=dict)
    ended: list[Ended] = field(factory=list)
    begun: list[Begun] = field(factory=list)
    failures: list[str] = field(factory=list)
    acknowledged: int = 0
    happened: Counter[str] = field(factory=Counter)
    """What the messenger's journal tells, by event."""

    def hear(self, messages: Sequence[Message]) -> None:
        for each in messages:
            if isinstance(each, Failed):
                self.failures.append(f"a process failed: {each.trace}")
            elif isinstance(each, Returned):
                self.acknowledged += 1
                self.returned.setdefault(each.user, []).append(each)


class _Nobody:
    """A base and a carrier that are not there: the desk is only read."""

    features = GatewayFeatures()

    def holds(self, number: SubscriberNumber) -> Holding:
        raise NotImplementedError  # who only reads a desk asks nobody and tells nobody

    def deliver(self, messenger: str, notice: Notice) -> None:
        raise NotImplementedError  # who only reads a desk asks nobody and tells nobody

    def deliver_answer(self, messenger: str, answer: LateAnswer) -> None:
        raise NotImplementedError  # who only reads a desk asks nobody and tells nobody


def desk_at(place: Place) -> OperatorDesk:
    """The operator's desk as its process left it."""
    setup = setup_of(place)
    return OperatorDesk(
        operator=Operator(id=OPERATOR),
        storage=SqliteStorage(place.operator_folder / "operator.db"),
        keys=FileKeys(place.operator_folder / "operator.keys"),
        base=_Nobody(),
        carrier=_Nobody(),
        agreements=[each.agreement(OPERATOR) for each in setup.clients],
        policy=DESK_POLICY,
    )


def judge(place: Place, heard: Heard) -> list[str]:
    """Open both stores, which nobody else uses, and say what is wrong."""
    wrong = list(heard.failures)
    phones = Phones(place.folder / "phones")
    with (
        HttpTransport() as transport,
        closing(identifier_at(place, transport, phones)) as identifier,
        closing(desk_at(place)) as desk,
    ):
        found, damage = stored_in(place.chat_store)
        wrong += damage
        wrong += inconsistencies(identifier, found)
        replay = desk.replay()
        if not replay.ok:
            wrong.append(f"{len(replay.differing)} of the operator's rows differ from their replay")
        if desk.owed_notices():
            wrong.append("the operator owes notices still")
        histories = dict(_histories(identifier))
        for user, returned in heard.returned.items():
            unexplained = first_unexplained(histories.get(user, []), returned)
            if unexplained is not None:
                wrong.append(f"{user}: {unexplained.call} returned, and no history explains it")
        for user, history in histories.items():
            heard.happened.update(type(each).__name__ for each in history)
            lines = _of_user(identifier, desk, user, history, heard)
            wrong += [f"{user}: {line}" for line in lines]
    return wrong


def _of_user(
    identifier: Identifier,
    desk: OperatorDesk,
    user: str,
    history: Sequence[Event],
    heard: Heard,
) -> Iterator[str]:
    passed = [each for each in history if isinstance(each, Passed)]
    for each in passed:
        answer = _answer_to(history, each)
        if answer is None or each.agreement != "a":
            yield "passed without HELD, or without an agreement"
        elif not _is_given(desk, answer):
            yield "passed by an answer that the operator did not give"
        if each.number in NEVER_HELD:
            yield "passed with a number that the operator never held"
        if not _knows(desk, each.code):
            yield "has a code that the operator does not know"
    standing = identifier.standing(user)
    if standing.status is not Status.IDENTIFIED or not passed:
        return
    last = passed[-1]
    answer = _answer_to(history, last)
    state = _record(desk, last.code)
    if not isinstance(state, Recorded):
        yield f"is identified, and the operator has {type(state).__name__} for it"
    if answer is not None and _has_ended(heard, last, answer.at):
        yield "is identified, and the subscription ended: a notice was missed"


def _answer_to(history: Sequence[Event], passed: Passed) -> AnswerReceived | None:
    """The answer by which somebody passed: it stands right before."""
    place = history.index(passed)
    before = history[place - 1]
    if isinstance(before, AnswerReceived) and before.outcome is Outcome.HELD:
        return before
    return None


def _is_given(desk: OperatorDesk, answer: AnswerReceived) -> bool:
    books = desk._books
    for key in books.question(SPACE, answer.query_id):
        file = books.load(key)
        if file is not None:
            state = file.state
            given = isinstance(state, Answered | AnswerOwed)  # its receipt may not be heard yet
            return given and state.outcome is Outcome.HELD
    return False


def _record(desk: OperatorDesk, code: str) -> object:
    books = desk._books
    files = [books.load(key) for key in books.code(SPACE, code)]
    return next((each.state for each in files if each is not None), None)


def _knows(desk: OperatorDesk, code: str) -> bool:
    state = _record(desk, code)
    return state is not None and not isinstance(state, NoticeOwed)


def _has_ended(heard: Heard, passed: Passed, answered_at: datetime) -> bool:
    """Whether the subscription is over that the operator said to be held.

    What was heard before the answer was given is another matter: then the operator said "held" of
    the one that began anew.
    """
    for end in heard.ended:
        if end.number != passed.number or (end.heard_at and end.heard_at < answered_at):
            continue
        between = end.at <= answered_at  # the operator may have heard it before it answered
        if between and (end.kind == "reassigned" or _is_renewed(heard, end, answered_at)):
            continue
        return True
    return False


def _is_renewed(heard: Heard, end: Ended, by: datetime) -> bool:
    return any(each.number == end.number and end.at < each.since <= by for each in heard.begun)

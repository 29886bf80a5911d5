"""A desk answers covered messengers in time, or says aloud that it did not."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from functools import partial

import attrs
import pytest

from abonent import AlarmKind, MemoryStorage, Outcome
from abonent.core.rules import RESOLUTION_1801
from abonent.errors import (
    IdReused,
    InvalidValue,
    Misconfigured,
    NaiveInstant,
    NoAgreement,
    NoRulesInForce,
    Unavailable,
)
from abonent.operator import DeskPolicy, Holding
from abonent.operator.core.owed import owed
from abonent.operator.core.states import Answered, AnswerOwed, Asked, Lapsed, Line
from abonent.ports import RecordEntry, WithdrawEntry
from tests.operator.parts import (
    CODE,
    DAY,
    HOUR,
    MICROSECOND,
    MINUTE,
    SECOND,
    START,
    Base,
    Carrier,
    Desk,
    X,
    Y,
    agreement,
)

AWAY = Unavailable("the base is away")


# --- who is answered ------------------------------------------------------------------


class Untouched(MemoryStorage):
    """A store that counts how often it was touched."""

    touched = 0

    def load(self, space, keys):
        self.touched += 1
        return super().load(space, keys)

    def commit(self, units):
        self.touched += 1
        return super().commit(units)

    def find(self, space, aliases):
        self.touched += 1
        return super().find(space, aliases)


def refusals(desk, messenger):
    """What somebody hears who asks, records and withdraws."""
    number = X
    calls = [
        (desk.desk.ask, attrs.evolve(desk.query(), messenger=messenger)),
        (desk.desk.ask, attrs.evolve(desk.query(), messenger=messenger, id="", number="no number")),
        (desk.desk.record, RecordEntry(id="r", messenger=messenger, number=number, code=CODE)),
        (desk.desk.record, RecordEntry(id="r", messenger=messenger, number=number, code="")),
    ]
    for call, item in calls:
        with pytest.raises(NoAgreement) as refused:
            call(item)
        yield f"{refused.value} {refused.value!r} {vars(refused.value)}"


def test_nobody_without_an_agreement_learns_anything(shell):
    """Unknown, not yet and not any more: the same words, before anything is looked at or asked."""
    store = Untouched()
    covered = [
        agreement("m"),
        agreement("late", starts=START + DAY),
        agreement("over", ends=START),
    ]
    with Desk(shell, store, agreements=covered) as desk:
        desk.base.hold(X)
        desk.identify()
        store.touched, asked = 0, list(desk.base.asked)
        heard = {
            text
            for messenger in ("stranger", "late", "over", "", None, 7, ["m"], "m\0", "M")
            for text in refusals(desk, messenger)
        }
        assert 1 == len(heard)
        assert 0 == store.touched
        assert asked == desk.base.asked
        for messenger in ("stranger", "late", None):
            entry = WithdrawEntry(id="w", messenger=messenger, code=CODE)
            with pytest.raises(NoAgreement) as refused:
                desk.desk.withdraw(entry)
            assert f"{refused.value} {refused.value!r} {vars(refused.value)}" in heard
        assert 0 == store.touched


def test_one_messenger_learns_nothing_of_another(shell):
    """The same question id and the same code of two messengers are two questions and two codes."""
    with Desk(shell) as desk:
        desk.base.hold(X)
        assert desk.ask("m") is Outcome.HELD
        assert desk.ask("n", Y) is Outcome.NOT_HELD
        desk.record("m", X, CODE)
        desk.record("n", Y, CODE)
        desk.withdraw("n", CODE)
        assert [("m", X)] == [(each.messenger, each.number) for each in desk.desk.records("m")]
        assert [] == list(desk.desk.records("n"))


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "x" * 129},
        {"id": "line\nbreak"},
        {"id": 7},
        {"number": "+79161234567"},
        {"number": None},
        {"asked_at": None},
        {"asked_at": "today"},
    ],
    ids=str,
)
def test_what_cannot_be_right_is_refused_before_it_is_stored(shell, change):
    """A malformed question of a covered messenger is the caller's error, and leaves nothing."""
    with Desk(shell) as desk:
        with pytest.raises(InvalidValue):
            desk.desk.ask(attrs.evolve(desk.query(), **change))
        assert [] == desk.states()
        assert [] == desk.base.asked


def test_instants_have_a_time_zone(shell):
    """A naive instant is refused at the border (P16)."""
    with Desk(shell) as desk:
        for call in (desk.desk.ask, desk.desk.record, desk.desk.withdraw):
            with pytest.raises(NaiveInstant):
                call(desk.query(), received_at=datetime(2026, 6, 1))
        with pytest.raises(NaiveInstant):
            desk.desk.ask(attrs.evolve(desk.query(), asked_at=datetime(2026, 6, 1)))
        with pytest.raises(NaiveInstant):
            desk.desk.overdue(datetime(2026, 6, 1))


def test_without_rules_in_force_nothing_is_answered(shell):
    """After the last rule set a covered messenger hears so; others still hear only the refusal."""
    with Desk(shell, start=RESOLUTION_1801.ends) as desk:
        with pytest.raises(NoRulesInForce):
            desk.ask()
        with pytest.raises(NoAgreement):
            desk.ask("stranger")
        desk.record()  # what was identified before is recorded all the same (S30)
        assert 1 == len(list(desk.desk.records("m")))


# --- answers at once --------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.LATER])
def test_what_the_base_says_is_answered(shell, outcome):
    """A base that says so soon is answered from, and the same question gets the same answer."""
    with Desk(shell) as desk:
        desk.base.says[X] = Holding(outcome=outcome)
        assert outcome is desk.ask()
        desk.base.says[X] = Holding(outcome=Outcome.UNDETERMINED)
        desk.clock.advance(HOUR)
        assert outcome is desk.ask()
        assert [X] == desk.base.asked
        assert Outcome.UNDETERMINED is desk.ask(name="query-2")


def test_a_question_is_about_one_number(shell):
    """The same id with another number is refused, and leaves the first question alone."""
    with Desk(shell) as desk:
        desk.base.hold(X)
        assert desk.ask() is Outcome.HELD
        with pytest.raises(IdReused):
            desk.ask(number=Y)
        assert desk.ask() is Outcome.HELD


def test_receipt_is_when_it_arrived(shell):
    """What counts is the instant of receipt that the caller gives, not when it is worked on."""
    with Desk(shell) as desk:
        desk.base.script.append(AWAY)
        arrived = START - 19 * MINUTE
        assert Outcome.LATER is desk.desk.ask(desk.query(), received_at=arrived).outcome
        (asked,) = desk.kept(Asked)
        assert (arrived, START + MINUTE) == (asked.received_at, asked.due)


# --- answers that come later --------------------------------------------------------------


@pytest.mark.parametrize("fault", [AWAY, Misconfigured("no"), LookupError("+79161234567")])
def test_a_base_that_fails_is_asked_again_and_the_answer_delivered(shell, fault):
    """Whatever the base does, *later* is said, and the answer follows under the question's id."""
    with Desk(shell) as desk:
        desk.base.hold(X)
        desk.base.script.extend([fault, fault])
        assert Outcome.LATER is desk.ask()
        assert Outcome.LATER is desk.ask()  # the same question starts no second look-up
        assert [X] == desk.base.asked
        desk.sweep(7 * SECOND)  # fails again
        desk.sweep(12 * SECOND)
        assert 1 == len(desk.kept(AnswerOwed))
        desk.sweep()
        (messenger, answer) = desk.carrier.answers[0]
        assert ("m", "query-1", "mts", Outcome.HELD) == (
            messenger,
            answer.query_id,
            answer.operator,
            answer.outcome,
        )
        assert 1 == len(desk.kept(Answered))
        assert desk.ask() is Outcome.HELD
        told = {type(fault).__name__ if type(fault) is LookupError else fault.code}
        assert (set() if fault is AWAY else told) == {each.cause for each in desk.alarms}
        assert {"subscriber base"} >= {each.adapter for each in desk.alarms}
        desk.sweep(HOUR)
        assert 1 == len(desk.carrier.answers)


@pytest.mark.parametrize("said", [None, "held", Outcome.HELD, 1])
def test_a_base_that_says_something_else_is_an_alarm(shell, said):
    """What is no Holding is the adapter's fault, and no answer."""
    with Desk(shell) as desk:
        desk.base.holds = lambda number: said
        assert Outcome.LATER is desk.ask()
        assert [AlarmKind.ADAPTER_FAULT] == [each.kind for each in desk.alarms]


def test_what_the_base_says_twice_counts_once():
    """Two tries of one look-up, the first slow: the second to come changes nothing."""
    with Desk() as desk:
        desk.base.script.append(AWAY)
        desk.ask()
        (file,) = desk.books.pages()
        (effect,) = owed(file.state, START + DAY)
        inner = desk.desk.inner
        look_up = partial(inner._loop._carry_out, file.key, effect, START + DAY, "base", False)
        first, second = look_up(), look_up()
        for flow in (first, second):
            next(flow)
            flow.send(file)  # both found that it is owed, and ask
        said = (Holding(outcome=Outcome.HELD), Holding(outcome=Outcome.NOT_HELD))
        for flow, holding in zip((first, second), said, strict=True):
            submit = flow.send(holding)
            with pytest.raises(StopIteration):
                flow.send(inner._answer(submit))
        assert [Outcome.HELD] == [each.outcome for each in desk.kept(AnswerOwed)]


def test_a_question_that_is_cleared_while_it_is_asked_is_out_of_time():
    """A desk that stood still for months promises nothing about a question that is gone."""
    with Desk(policy=DeskPolicy(kept=31 * DAY)) as desk:

        def takes_months():
            desk.clock.advance(40 * DAY)
            desk.desk.inner.sweep()
            desk.clock.advance(40 * DAY)
            desk.desk.inner.sweep()
            raise AWAY

        desk.base.script.append(takes_months)
        with pytest.raises(Unavailable):
            desk.ask()
        assert [] == desk.states()


def test_who_asks_again_takes_the_answer_that_is_owed(shell):
    """A messenger that asks before the delivery has its answer, and is sent it no more."""
    with Desk(shell) as desk:
        desk.base.script.append(AWAY)
        desk.base.hold(X)
        desk.ask()
        desk.sweep(7 * SECOND)
        assert desk.ask() is Outcome.HELD
        desk.sweep(MINUTE)
        assert [] == desk.carrier.answers


def test_an_answer_that_cannot_be_delivered_is_tried_under_one_id(shell):
    """A messenger that is away gets its answer as soon as it is back, inside the time."""
    with Desk(shell) as desk:
        desk.base.script.append(AWAY)
        desk.ask()
        desk.carrier.fail("m", *[Unavailable("away")] * 3, Misconfigured("no"))
        desk.sweep(7 * SECOND)
        for _ in range(8):
            desk.sweep(90 * SECOND)
        assert [("m", "query-1")] * 5 == desk.carrier.tries
        assert [Outcome.NOT_HELD] == [each.outcome for _, each in desk.carrier.answers]
        assert [("m", AlarmKind.MISCONFIGURED)] == [(e.adapter, e.kind) for e in desk.alarms]


@pytest.mark.parametrize("known", [True, False], ids=["undelivered", "unknown"])
def test_an_answer_lapses_aloud_and_is_never_given_late(shell, known):
    """After twenty minutes nothing is delivered any more, and an alarm names the messenger."""
    with Desk(shell) as desk:
        desk.base.script.extend([AWAY] if known else [AWAY] * 99)
        desk.carrier.dead["m"] = Unavailable("away")
        assert Outcome.LATER is desk.ask()
        for _ in range(30):
            desk.sweep(MINUTE)
        assert 1 == len(desk.kept(Lapsed))
        expected = (AlarmKind.ANSWER_LAPSED, "m")
        assert [expected] == [(each.kind, each.adapter) for each in desk.alarms]
        desk.carrier.dead.clear()
        desk.base.script.clear()
        desk.sweep(HOUR)
        assert [] == desk.carrier.answers
        with pytest.raises(Unavailable):
            desk.ask()


def test_an_answer_acknowledged_too_late_has_lapsed(shell):
    """A delivery that begins in time and is acknowledged a microsecond late is not in time."""
    with Desk(shell) as desk:
        desk.base.script.append(AWAY)
        desk.ask()
        desk.sweep(7 * SECOND)
        (waiting,) = desk.kept(AnswerOwed)
        deliver = desk.carrier.deliver_answer

        def slowly(messenger, answer):
            deliver(messenger, answer)
            desk.clock.set(waiting.due + MICROSECOND)

        desk.carrier.deliver_answer = slowly
        desk.clock.set(waiting.due)  # inclusive
        desk.desk.sweep()
        assert 1 == len(desk.carrier.answers)
        assert 1 == len(desk.kept(Lapsed))
        assert [AlarmKind.ANSWER_LAPSED] == [each.kind for each in desk.alarms]


@pytest.mark.parametrize(
    ("beyond", "reached"), [(timedelta(0), True), (MICROSECOND, False)], ids=["in time", "late"]
)
def test_an_answer_that_waited_in_its_lane_beyond_its_time_is_not_sent(beyond, reached):
    """What is tried up to the due instant is sent; a microsecond later nothing is."""
    with Desk() as desk:
        desk.base.script.append(AWAY)
        desk.ask()
        desk.sweep(7 * SECOND)
        (file,) = [each for each in desk.books.pages() if isinstance(each.state, AnswerOwed)]
        (effect,) = owed(file.state, desk.clock.now())
        desk.clock.set(file.state.due + beyond)
        inner = desk.desk.inner
        until = desk.clock.now() + SECOND
        inner._drive(inner._loop._carry_out(file.key, effect, until, "m", False))
        assert reached is bool(desk.carrier.tries)


def test_a_base_that_takes_its_time_is_waited_for_a_little(shell):
    """After `inline_wait` the messenger hears *later*; the answer follows when the base has it."""
    base, free = Base(prompt=False), threading.Event()

    def slowly():
        assert free.wait(10)
        return Holding(outcome=Outcome.HELD)

    base.script.append(slowly)
    policy = DeskPolicy(inline_wait=timedelta(milliseconds=30))
    with Desk(shell, base=base, policy=policy, awaited=False) as desk:
        assert Outcome.LATER is desk.ask()
        free.set()
        until = time.monotonic() + 10
        while not desk.kept(AnswerOwed) and time.monotonic() < until:
            desk.desk.sweep()
            time.sleep(0.01)
        desk.sweep()
        assert [Outcome.HELD] == [each.outcome for _, each in desk.carrier.answers]


# --- what is kept -------------------------------------------------------------------------


def test_settled_questions_are_cleared_after_their_time(shell):
    """Question and line are gone when the policy says so, and their journals cannot be opened."""
    policy = DeskPolicy(kept=31 * DAY)
    with Desk(shell, policy=policy) as desk:
        desk.base.hold(X)
        desk.ask()
        assert {Answered, Line} == {type(each) for each in desk.states()}
        desk.sweep(31 * DAY - SECOND)
        assert 2 == len(desk.states())
        desk.sweep(3 * SECOND)
        assert [] == desk.states()
        report = desk.desk.replay()
        assert report.ok
        assert report.entries == report.unreadable > 0
        assert desk.ask() is Outcome.HELD  # asked anew


def test_what_is_told_of_answers_names_nobody(shell):
    """Observers hear outcomes and times, and neither number, messenger nor id (P24)."""
    with Desk(shell) as desk:
        desk.base.script.append(AWAY)
        desk.base.hold(X)
        desk.ask()
        desk.sweep(7 * SECOND)
        desk.sweep()
        found = {each.what: each for each in desk.observed}
        assert ("held", 9.0) == (found["answer_given"].detail, found["answer_given"].seconds)
        assert ("held", 7.0) == (found["answer_found"].detail, found["answer_found"].seconds)
        assert "UNAVAILABLE" == found["attempt_failed"].detail
        assert {"mts", None} == {each.operator for each in desk.observed}
        text = repr(desk.observed)
        assert not any(part in text for part in ("query-1", "9161234567", "'m'"))


def test_a_carrier_that_is_dead_stalls_no_other_messenger():
    """Lanes go by messenger: one that hangs takes its own places only (P26)."""
    carrier, free = Carrier(prompt=False, concurrency=1), threading.Event()
    reach = carrier._reach

    def hanging(messenger, name):
        if messenger == "m":
            assert free.wait(10)
        reach(messenger, name)

    carrier._reach = hanging
    policy = DeskPolicy(inline_wait=timedelta(milliseconds=200))
    with Desk(carrier=carrier, policy=policy) as desk:
        for messenger, code in (("m", "code-m"), ("n", "code-n")):
            desk.identify(messenger, code=code)
        assert 2 == desk.move(at=START + SECOND)
        desk.sweep()
        until = time.monotonic() + 10
        while not carrier.told and time.monotonic() < until:
            time.sleep(0.01)
        assert ["n"] == [messenger for messenger, _ in carrier.told]
        free.set()

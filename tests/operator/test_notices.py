"""A desk keeps records and tells every recorded messenger when the subscription is over."""

from __future__ import annotations

from datetime import datetime, timedelta

import attrs
import pytest

from abonent import AlarmKind, NoticeKind, Outcome
from abonent.errors import (
    IdReused,
    InvalidValue,
    Misconfigured,
    NaiveInstant,
    NoAgreement,
    Unavailable,
)
from abonent.operator import DeskPolicy, Holding, Movement
from abonent.operator.core.states import Asked, Line, NoticeOwed, Told, Withdrawn
from abonent.ports import RecordEntry, WithdrawEntry
from tests.operator.parts import (
    CODE,
    CODE_2,
    DAY,
    HOUR,
    MICROSECOND,
    MINUTE,
    SECOND,
    START,
    Desk,
    X,
    Y,
    agreement,
)

HELD = Outcome.HELD


# --- records ------------------------------------------------------------------------------


def test_a_record_stands_beside_the_number(shell):
    """Messenger, number, code and since when: that is all, and only for that messenger."""
    with Desk(shell) as desk:
        desk.identify("m", X, CODE)
        desk.identify("m", Y, CODE_2)
        desk.identify("n", X, CODE)
        found = sorted(desk.desk.records("m"), key=lambda each: each.number)
        assert [(X, CODE, None), (Y, CODE_2, None)] == [
            (each.number, each.code, each.notice) for each in found
        ]
        assert {START} == {each.since for each in found}
        assert CODE not in repr(found)
        assert [] == list(desk.desk.records("stranger"))


def test_recording_and_withdrawing_may_come_again(shell):
    """The same record twice is one, and a withdrawal of what is not there is one as well."""
    with Desk(shell) as desk:
        desk.identify()
        desk.record()
        assert 1 == len(list(desk.desk.records("m")))
        desk.withdraw()
        desk.withdraw()
        desk.record()  # a code is recorded once in its life
        assert [] == list(desk.desk.records("m"))
        assert [Withdrawn(at=START)] == desk.kept(Withdrawn)
        assert 0 == desk.move(at=START + SECOND)


def test_a_withdrawal_may_overtake_its_record(shell):
    """What was withdrawn before it was recorded is never taken up, and never told about."""
    with Desk(shell) as desk:
        desk.base.hold(X)
        assert desk.ask() is HELD
        desk.withdraw()
        desk.record()
        assert [] == list(desk.desk.records("m"))
        assert 0 == desk.move(at=START + SECOND)
        desk.sweep(DAY)
        assert [] == desk.carrier.told


def test_a_code_stands_beside_one_number(shell):
    """The same code beside another number is refused, and the first record stands."""
    with Desk(shell) as desk:
        desk.identify("m", X, CODE)
        with pytest.raises(IdReused):
            desk.record("m", Y, CODE)
        assert [X] == [each.number for each in desk.desk.records("m")]


@pytest.mark.parametrize("code", ["", "x" * 129, "a\nb", None, 7])
def test_a_code_that_is_none_is_refused(shell, code):
    """What cannot be a code is not stored, recorded or withdrawn."""
    with Desk(shell) as desk:
        with pytest.raises(InvalidValue):
            desk.desk.record(RecordEntry(id="r", messenger="m", number=X, code=code))
        with pytest.raises(InvalidValue):
            desk.desk.withdraw(WithdrawEntry(id="w", messenger="m", code=code))
        with pytest.raises(InvalidValue):
            desk.desk.record(RecordEntry(id="r", messenger="m", number="+79161234567", code=CODE))
        assert [] == desk.states()


# --- notices ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NoticeKind)
def test_every_recorded_messenger_is_told_what_happened_and_when(shell, kind):
    """Each gets a notice of its own id with kind, number and instant; then the record is closed."""
    with Desk(shell) as desk:
        desk.identify("m", code="code-m")
        desk.identify("n", code="code-n")
        desk.identify("n", Y, "code-y")
        happened = START + MINUTE
        desk.clock.advance(HOUR)
        assert 2 == desk.move(kind, at=happened)
        assert [happened + DAY] * 2 == [each.due for each in desk.desk.owed_notices()]
        desk.sweep()
        assert ["m", "n"] == sorted(messenger for messenger, _ in desk.carrier.told)
        for _, notice in desk.carrier.told:
            assert ("mts", kind, X, happened) == (
                notice.operator,
                notice.kind,
                notice.number,
                notice.happened_at,
            )
        assert 2 == len({notice.id for _, notice in desk.carrier.told})
        assert 2 == len(desk.kept(Told))
        assert [] == desk.desk.owed_notices()
        assert [] == list(desk.desk.records("m"))
        assert [Y] == [each.number for each in desk.desk.records("n")]
        desk.record("m", X, "code-m")
        desk.sweep(2 * DAY)
        assert 2 == len(desk.carrier.told)


def test_the_same_movement_twice_is_one(shell):
    """A movement that is told again, or an older one told later, owes nothing more."""
    with Desk(shell) as desk:
        desk.identify()
        desk.clock.advance(MINUTE)
        assert 1 == desk.move(name="movement-7")
        assert 0 == desk.move(name="movement-7")
        assert 0 == desk.move(name="movement-8")
        desk.sweep()
        assert 0 == desk.move(name="movement-7")
        desk.sweep(DAY)
        assert 1 == len(desk.carrier.told)


def test_a_movement_is_told_when_it_has_happened(shell):
    """What lies ahead is refused; a clock that is a little fast is borne with."""
    with Desk(shell) as desk:
        desk.identify()
        with pytest.raises(InvalidValue):
            desk.move(at=START + 5 * MINUTE + MICROSECOND)
        assert 1 == desk.move(at=START + 5 * MINUTE)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"id": ""}, InvalidValue),
        ({"id": "x" * 129}, InvalidValue),
        ({"id": 7}, InvalidValue),
        ({"kind": "terminated"}, InvalidValue),
        ({"happened_at": None}, InvalidValue),
        ({"happened_at": datetime(2026, 6, 1)}, NaiveInstant),
    ],
    ids=str,
)
def test_a_movement_says_what_happened_and_when(change, error):
    """A movement without id, kind or instant cannot be built."""
    movement = Movement(id="x", number=X, kind=NoticeKind.PORTED, happened_at=START)
    with pytest.raises(error):
        attrs.evolve(movement, **change)


def test_a_notice_goes_on_until_it_is_acknowledged(shell):
    """Under one id, with growing waits, beyond the statutory time, until somebody receives it."""
    with Desk(shell) as desk:
        desk.identify()
        desk.carrier.dead["m"] = Unavailable("away")
        happened = START + SECOND
        assert 1 == desk.move(at=happened)
        for _ in range(26):
            desk.sweep(HOUR)
        (owed,) = desk.desk.owed_notices()
        assert {("m", owed.id)} == set(desk.carrier.tries)
        assert len(desk.carrier.tries) == owed.tries == 26
        assert [(AlarmKind.NOTICE_OVERDUE, "m")] == [(e.kind, e.adapter) for e in desk.alarms]
        desk.carrier.dead.clear()
        desk.sweep(HOUR)
        assert [(owed.id, happened)] == [(n.id, n.happened_at) for _, n in desk.carrier.told]
        assert [] == desk.desk.owed_notices()
        assert desk.desk.replay().ok


def test_what_is_overdue_is_visible_without_any_sweep(shell):
    """The clock decides what is overdue, to the microsecond, whether or not somebody sweeps."""
    with Desk(shell) as desk:
        desk.identify("m", X, CODE)
        desk.identify("m", Y, CODE_2)
        desk.clock.advance(HOUR)
        desk.move(at=START + 2 * MINUTE)
        desk.move(number=Y, at=START + MINUTE)
        first, second = desk.desk.owed_notices()
        assert (START + MINUTE + DAY, START + 2 * MINUTE + DAY) == (first.due, second.due)
        assert [] == desk.desk.overdue(first.due)
        assert [first] == desk.desk.overdue(first.due + MICROSECOND)
        desk.clock.set(second.due + MICROSECOND)
        assert [first, second] == desk.desk.overdue()
        (kept, other) = sorted(desk.desk.records("m"), key=lambda each: each.number)
        assert (second, first) == (kept.notice, other.notice)


def test_a_movement_that_is_told_late_is_overdue_at_once(shell):
    """Told two days after it happened, the notice is delivered, and the lapse is an alarm."""
    with Desk(shell) as desk:
        desk.identify()
        desk.clock.advance(3 * DAY)
        desk.move(at=START + DAY)
        assert 1 == len(desk.desk.overdue())
        desk.sweep()
        assert [START + DAY] == [each.happened_at for _, each in desk.carrier.told]
        assert [AlarmKind.NOTICE_OVERDUE] == [each.kind for each in desk.alarms]
        told = {each.what: each for each in desk.observed}
        assert timedelta(days=2, seconds=2).total_seconds() == told["notice_acknowledged"].seconds
        assert "terminated" == told["notice_required"].detail


def test_a_record_withdrawn_while_its_notice_is_owed_is_told_no_more(shell):
    """A withdrawn code is never told about, also where a try was under way already."""
    with Desk(shell) as desk:
        desk.identify()
        desk.carrier.fail("m", Misconfigured("no"))
        desk.move(at=START + SECOND)
        desk.sweep()
        desk.withdraw()
        assert [] == desk.desk.owed_notices()
        desk.sweep(DAY)
        assert [] == desk.carrier.told


# --- records that come late ---------------------------------------------------------------


def test_a_record_that_comes_after_the_end_owes_its_notice_at_once(shell):
    """HELD was answered, the contract ends, the record arrives: it is told, 24 hours from then."""
    with Desk(shell) as desk:
        desk.base.hold(X, since=START - 900 * DAY)
        assert desk.ask() is HELD
        assert 0 == desk.move(NoticeKind.PORTED, at=START + MICROSECOND)
        desk.clock.advance(HOUR)
        desk.record()
        (owed,) = desk.desk.owed_notices()
        assert START + HOUR + DAY == owed.due
        desk.sweep()
        ((_, notice),) = desk.carrier.told
        assert (NoticeKind.PORTED, START + MICROSECOND) == (notice.kind, notice.happened_at)


def test_who_was_told_held_of_the_next_subscription_is_left_alone(shell):
    """The end of the former subscription, told late, concerns its own record only."""
    with Desk(shell) as desk:
        desk.base.hold(X, since=START - 900 * DAY)
        desk.identify("m", code="code-of-the-first")
        desk.clock.advance(DAY)
        end = START + HOUR
        desk.base.hold(X, since=end)  # the next subscriber has it from the same instant on
        assert desk.ask("n", name="query-n") is HELD  # the base shows that the first is over
        desk.record("n", code="code-of-the-second")
        assert 0 == desk.move(at=end)
        desk.sweep()
        assert ["m"] == [messenger for messenger, _ in desk.carrier.told]
        assert ["code-of-the-second"] == [each.code for each in desk.desk.records("n")]


def test_a_late_record_is_told_of_the_end_of_its_own_subscription(shell):
    """Of two ends, the first after what was said to be held is the one that counts."""
    with Desk(shell) as desk:
        desk.base.hold(X, since=START - DAY)
        assert desk.ask() is HELD
        desk.clock.advance(DAY)
        desk.move(NoticeKind.REASSIGNED, at=START + 3 * HOUR)
        desk.move(NoticeKind.TERMINATED, at=START + 2 * HOUR)
        desk.move(NoticeKind.PORTED, at=START - 2 * DAY)
        desk.record()
        desk.sweep()
        assert [NoticeKind.TERMINATED] == [each.kind for _, each in desk.carrier.told]


def test_a_record_nobody_asked_about_is_told_of_any_known_end(shell):
    """Whoever was never told "held" is recorded, and told if the number's subscription ended."""
    with Desk(shell) as desk:
        desk.move(at=START - HOUR)
        desk.record("m", X, CODE)
        desk.record("m", Y, CODE_2)
        desk.sweep()
        assert [(X, START - HOUR)] == [(n.number, n.happened_at) for _, n in desk.carrier.told]
        assert [Y] == [each.number for each in desk.desk.records("m")]
        assert 1 == desk.move(number=Y, at=START - 2 * HOUR)


# --- what the base shows ------------------------------------------------------------------

SHOWN = [
    (Holding(outcome=Outcome.NOT_HELD), NoticeKind.TERMINATED, HOUR),
    (Holding(outcome=Outcome.NOT_HELD, since=START + MINUTE), NoticeKind.TERMINATED, MINUTE),
    (Holding(outcome=Outcome.NOT_OURS), NoticeKind.PORTED, HOUR),
    (Holding(outcome=Outcome.NOT_OURS, since=START + 2 * HOUR), NoticeKind.PORTED, HOUR),
    (Holding(outcome=HELD, since=START + MINUTE), NoticeKind.REASSIGNED, MINUTE),
]


@pytest.mark.parametrize(("holding", "kind", "after"), SHOWN, ids=str)
def test_an_end_that_the_base_shows_is_told(shell, holding, kind, after):
    """Where a question finds that a recorded subscription is over, nobody waits for a movement."""
    with Desk(shell) as desk:
        desk.identify("m")
        desk.clock.advance(HOUR)
        desk.base.says[X] = holding
        assert holding.outcome is desk.ask("n", name="query-n")
        assert holding.outcome is desk.ask("n", name="query-o")
        desk.sweep()
        ((messenger, notice),) = desk.carrier.told
        assert ("m", kind, START + after) == (messenger, notice.kind, notice.happened_at)
        (line,) = desk.kept(Line)
        assert 1 == len(line.ends)


@pytest.mark.parametrize(
    "holding",
    [
        Holding(outcome=Outcome.UNDETERMINED, since=START + MINUTE),
        Holding(outcome=HELD),
        Holding(outcome=HELD, since=START - 5 * MINUTE),
        Holding(outcome=HELD, since=START - DAY),
    ],
    ids=str,
)
def test_a_base_that_shows_no_end_ends_nothing(shell, holding):
    """The same subscription, or doubt, is no reason to tell anybody."""
    with Desk(shell) as desk:
        desk.identify("m")
        desk.clock.advance(HOUR)
        desk.base.says[X] = holding
        assert holding.outcome is desk.ask("n", name="query-n")
        desk.sweep()
        assert [] == desk.carrier.told
        assert 1 == len(list(desk.desk.records("m")))


def test_an_end_that_the_base_shows_reaches_a_record_on_its_way(shell):
    """Told "held" and not recorded yet: the end that a later question shows is remembered."""
    with Desk(shell) as desk:
        desk.base.hold(X)
        assert desk.ask("m") is HELD
        desk.base.says.clear()
        desk.clock.advance(MINUTE)
        assert desk.ask("n", name="query-n") is Outcome.NOT_HELD
        desk.record("m")
        desk.sweep()
        assert [START + MINUTE] == [each.happened_at for _, each in desk.carrier.told]


def test_a_number_nobody_was_told_about_leaves_no_line(shell):
    """Asking about numbers that are not held stores nothing about the numbers."""
    with Desk(shell) as desk:
        assert desk.ask() is Outcome.NOT_HELD
        assert [] == desk.kept(Line)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"outcome": Outcome.LATER}, InvalidValue),
        ({"outcome": "held"}, InvalidValue),
        ({"outcome": None}, InvalidValue),
        ({"since": datetime(2026, 6, 1)}, NaiveInstant),
    ],
    ids=str,
)
def test_what_a_base_may_say(change, error):
    """A holding is a final outcome, and an instant with a time zone if it says since when."""
    with pytest.raises(error):
        attrs.evolve(Holding(outcome=HELD, since=START), **change)


# --- a base that is behind ------------------------------------------------------------------


def test_a_base_that_is_behind_is_not_believed_for_a_while(shell):
    """HELD of a subscription that was told to be over is not passed on: the question waits."""
    policy = DeskPolicy(base_lag=10 * MINUTE)
    with Desk(shell, policy=policy) as desk:
        desk.base.hold(X, since=START - DAY)
        desk.move(at=START - HOUR)
        assert desk.ask() is Outcome.LATER
        assert 1 == len(desk.kept(Asked))
        assert "BASE_BEHIND" in {each.detail for each in desk.observed}
        desk.clock.advance(8 * MINUTE)
        assert desk.ask(name="query-2") is Outcome.LATER
        desk.base.says.clear()  # it catches up
        desk.sweep(MINUTE)
        desk.sweep()
        assert {Outcome.NOT_HELD} == {each.outcome for _, each in desk.carrier.answers}


def test_a_base_that_insists_is_believed_again(shell):
    """A movement told by mistake does not shut a subscriber out for ever, nor tell of it again."""
    policy = DeskPolicy(base_lag=10 * MINUTE)
    with Desk(shell, policy=policy) as desk:
        desk.base.hold(X, since=START - DAY)
        desk.move(at=START - HOUR)
        desk.clock.advance(10 * MINUTE)
        desk.identify()
        desk.sweep()
        assert [] == desk.carrier.told
        desk.clock.advance(DAY)
        assert 1 == desk.move()


def test_a_new_subscription_is_no_reason_for_doubt(shell):
    """HELD since the end, or after it, is an answer; without saying since when, it is in doubt."""
    with Desk(shell) as desk:
        desk.move(at=START - HOUR)
        desk.base.hold(X, since=START - HOUR)
        assert desk.ask() is HELD
        desk.base.hold(X)
        assert desk.ask(name="query-2") is Outcome.LATER
        desk.clock.advance(DAY)
        assert desk.ask(name="query-3") is HELD


def test_an_end_by_a_clock_a_little_slow_is_an_end_all_the_same(shell):
    """Where the base does not say since when, an end of the last five minutes counts."""
    with Desk(shell) as desk:
        desk.identify("m", X, CODE)
        desk.identify("m", Y, CODE_2)
        assert 0 == desk.move(number=X, at=START - 5 * MINUTE)
        assert 1 == desk.move(number=Y, at=START - 5 * MINUTE + MICROSECOND)


def test_a_notice_is_fresh_to_the_messenger_that_was_told_held(shell):
    """An end before the question, told after it, is told as of the question: HELD is taken back."""
    with Desk(shell) as desk:
        desk.base.hold(X, since=START - DAY)
        fast = attrs.evolve(desk.query(), asked_at=START + 3 * MINUTE)  # the messenger's clock
        assert HELD is desk.desk.ask(fast).outcome
        desk.record()
        desk.clock.advance(HOUR)
        assert 1 == desk.move(at=START - HOUR)
        (owed,) = desk.desk.owed_notices()
        assert (START + 3 * MINUTE, START + DAY) == (owed.happened_at, owed.due)


def test_a_messenger_cannot_date_its_notices(shell):
    """An asking time far ahead is taken for a clock five minutes fast, no more."""
    with Desk(shell) as desk:
        desk.base.hold(X)
        assert HELD is desk.desk.ask(attrs.evolve(desk.query(), asked_at=START + DAY)).outcome
        desk.record()
        desk.move(at=START + SECOND)
        (owed,) = desk.desk.owed_notices()
        assert START + 5 * MINUTE == owed.happened_at


# --- agreements that end --------------------------------------------------------------------


def test_a_record_outlives_its_agreement_and_so_does_the_duty_to_tell(shell):
    """Afterwards nothing new is answered; what stands is told about, and may be withdrawn."""
    covered = [agreement("m", ends=START + HOUR), agreement("n", ends=START + HOUR)]
    with Desk(shell, agreements=covered) as desk:
        desk.identify("m", code="code-m")
        desk.identify("n", code="code-n")
        desk.clock.advance(HOUR)
        with pytest.raises(NoAgreement):
            desk.ask("m")
        with pytest.raises(NoAgreement):
            desk.record("m", X, CODE_2)
        desk.withdraw("n", "code-n")
        desk.clock.advance(HOUR)
        assert 1 == desk.move()
        desk.sweep()
        assert ["m"] == [messenger for messenger, _ in desk.carrier.told]


def test_a_record_is_told_about_though_its_agreement_is_not_known_any_more(shell):
    """A desk that was built without the agreement goes on telling what stands in its books."""
    with Desk(shell) as desk:
        desk.identify()
        with Desk(shell, desk.storage, agreements=(), clock=desk.clock) as other:
            desk.clock.advance(MINUTE)
            assert 1 == other.move()
            assert [NoticeOwed] == [type(each) for each in desk.kept(NoticeOwed)]
            other.sweep()
            assert 1 == len(other.carrier.told)
            other.desk.inner._books.storage = type(other.storage)()  # the store is not its own

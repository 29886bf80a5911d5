"""What the operator's core decides: deadlines to the microsecond, and what is owed when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import attrs
import pytest

from abonent import DRAFT_2017, RESOLUTION_1279, RESOLUTION_1801, NoticeKind, Outcome
from abonent.errors import (
    IdReused,
    InvalidAgreement,
    InvalidValue,
    NoAgreement,
    NoRulesInForce,
    PolicyIncomplete,
    UnknownOperator,
)
from abonent.operator import DeskPolicy
from abonent.operator.core.duty import (
    Ask,
    EndSubscription,
    HearBase,
    ListRecord,
    Promise,
    Record,
    ReportDelivered,
    ReportFailed,
    Require,
    TellHolding,
    Tick,
    Withdraw,
    decide,
)
from abonent.operator.core.events import EVENTS
from abonent.operator.core.evolution import attempt_of
from abonent.operator.core.owed import (
    DeliverAnswer,
    DeliverNotice,
    LookUp,
    deadline_of,
    is_owed,
    owed,
    wakes_at,
)
from abonent.operator.core.policy import Ground
from abonent.operator.core.states import (
    BLANK,
    Answered,
    AnswerOwed,
    Asked,
    Blank,
    Hold,
    Lapsed,
    Line,
    NoticeOwed,
    Recorded,
    Told,
    Withdrawn,
    concerns,
    ended,
)
from tests.operator.parts import (
    CODE,
    COVERED,
    DAY,
    HOUR,
    MICROSECOND,
    MINUTE,
    SECOND,
    START,
    X,
    Y,
    agreement,
)
from tests.operator.samples import (
    ANSWER_OWED,
    END,
    HOLD,
    KEY,
    LINES,
    STATE_SAMPLES,
    asked,
    at,
    notice_owed,
    recorded,
)

GROUND = Ground("mts", COVERED, policy=DeskPolicy())
POLICY = GROUND.policy
DUE = START + 20 * MINUTE


def names(step) -> list[str]:
    return [type(each).__name__ for each in step.events]


def ask(when=START, number=X, query_id="query-1") -> Ask:
    return Ask(at=when, asked_at=when, query_id=query_id, messenger="m", number=number)


# --- answers ------------------------------------------------------------------------


def test_a_question_is_owed_an_answer_within_twenty_minutes_of_receipt():
    """The figure is the rule set's, counted from receipt, and the base is asked at once."""
    step = decide(BLANK, ask(), GROUND)
    assert ["QuestionReceived", "AttemptStarted"] == names(step)
    assert START + RESOLUTION_1801.answer_within.value == step.state.due == DUE
    assert (LookUp(id="query-1", number=X),) == step.effects
    assert "1801" == step.events[0].rules


@pytest.mark.parametrize("state", [asked(promised=True), ANSWER_OWED])
@pytest.mark.parametrize(("beyond", "lapses"), [(timedelta(0), False), (MICROSECOND, True)])
def test_an_answer_is_in_time_up_to_the_last_microsecond(state, beyond, lapses):
    """What is given at the due instant counts; a microsecond later the question has lapsed."""
    command = HearBase(at=DUE + beyond, outcome=Outcome.NOT_HELD, in_reply=False)
    if isinstance(state, AnswerOwed):
        command = ReportDelivered(at=DUE + beyond, id="query-1")
    step = decide(state, command, GROUND)
    assert lapses is isinstance(step.state, Lapsed)
    assert ("AnswerLapsed" in names(step)) is lapses
    assert not lapses or step.events == (step.events[0],)


@pytest.mark.parametrize(
    ("promised", "in_reply", "expected"),
    [
        (False, True, Answered),
        (False, False, AnswerOwed),
        (True, True, AnswerOwed),
        (True, False, AnswerOwed),
    ],
)
def test_an_answer_is_given_in_the_reply_only_to_whoever_waits(promised, in_reply, expected):
    """Once *later* was said, or where nobody waits any more, the answer is owed by delivery."""
    command = HearBase(at=at(1), outcome=Outcome.HELD, in_reply=in_reply)
    step = decide(asked(promised=promised), command, GROUND)
    assert expected is type(step.state)
    assert Outcome.HELD is step.state.outcome
    if expected is AnswerOwed:
        assert (at(1), 0) == (step.state.giving.next_try, step.state.giving.tries)
        assert () == step.effects  # the next sweep delivers: the base's lane waits for nobody


def test_asking_again_gives_what_is_known_and_starts_nothing_new():
    """The same question is one question: it is not received again, and takes what is known."""
    under_way = decide(BLANK, ask(), GROUND).state
    assert () == decide(under_way, ask(at(0.25)), GROUND).events
    again = decide(ANSWER_OWED, ask(at(1)), GROUND)
    assert (["AnswerGiven"], Answered) == (names(again), type(again.state))
    assert () == decide(again.state, ask(at(2)), GROUND).events


@pytest.mark.parametrize("state", [asked(), ANSWER_OWED, *STATE_SAMPLES[4:6]])
def test_a_question_that_comes_again_about_another_number_is_refused(state):
    """An id names one question for its whole life."""
    with pytest.raises(IdReused):
        decide(state, ask(at(1), Y), GROUND)


def test_a_promise_is_made_once_and_only_while_the_answer_is_not_known():
    """*Later* is said of an open question; of a settled one, nothing is promised."""
    step = decide(asked(), Promise(at=at(1)), GROUND)
    assert (["AnswerPromised"], True) == (names(step), step.state.promised)
    for state in (step.state, ANSWER_OWED, BLANK):
        assert () == decide(state, Promise(at=at(1)), GROUND).events


def test_what_the_base_says_too_late_or_to_nobody_changes_nothing():
    """Only an open question takes what the base says."""
    for state in STATE_SAMPLES:
        if isinstance(state, Asked) or deadline_of(state):
            continue
        command = HearBase(at=at(1), outcome=Outcome.HELD, in_reply=True)
        assert () == decide(state, command, GROUND).events


# --- tries --------------------------------------------------------------------------

OWING = [asked(), ANSWER_OWED, notice_owed()]


@pytest.mark.parametrize("state", OWING, ids=lambda each: type(each).__name__)
def test_what_is_owed_takes_its_lease_in_the_commit_that_owes_it(state):
    """A try is started once; it is made again when its lease is over, not before."""
    step = decide(state, Tick(at=at(1), settled=at(1)), GROUND)
    assert ["AttemptStarted"] == names(step)
    assert 1 == len(step.effects)
    assert is_owed(step.state, step.effects[0])
    assert at(1) + POLICY.lease == wakes_at(step.state)
    before = at(1) + POLICY.lease - MICROSECOND
    assert () == decide(step.state, Tick(at=before, settled=before), GROUND).events
    assert 2 == attempt_of(decide(step.state, Tick(at=at(2), settled=at(2)), GROUND).state).tries


@pytest.mark.parametrize("state", OWING, ids=lambda each: type(each).__name__)
def test_a_failed_try_waits_twice_as_long_each_time(state):
    """The waits are 5, 10, 20 … seconds, and never more than five minutes."""
    name = "notice-1" if isinstance(state, NoticeOwed) else "query-1"
    waits = []
    for _ in range(9):
        state = decide(state, Tick(at=wakes_at(state), settled=START), GROUND).state
        now = START + MINUTE
        failed = ReportFailed(at=now, id=name, cause="UNAVAILABLE")
        state = decide(state, failed, GROUND).state
        waits.append((attempt_of(state).next_try - now).total_seconds())
    assert [5, 10, 20, 40, 80, 160, 300, 300, 300] == waits


@pytest.mark.parametrize("state", STATE_SAMPLES, ids=lambda each: type(each).__name__)
def test_the_outcome_of_something_else_changes_nothing(state):
    """An outcome counts under the id that is owed, and nowhere else."""
    now = START + MICROSECOND
    for name in ("", "query-2", "notice-2", CODE):
        assert () == decide(state, ReportFailed(at=now, id=name, cause="X"), GROUND).events
        assert () == decide(state, ReportDelivered(at=now, id=name), GROUND).events


def test_delivering_what_is_looked_up_settles_nothing():
    """A look-up ends with what the base says, not with an acknowledgement."""
    assert () == decide(asked(), ReportDelivered(at=at(1), id="query-1"), GROUND).events


def test_effects_say_what_is_owed_to_whom():
    """Each owing state owes one thing, under its id; all others owe nothing."""
    due = DUE
    expected = {
        Asked: LookUp(id="query-1", number=X),
        AnswerOwed: DeliverAnswer(id="query-1", messenger="m", outcome=Outcome.HELD, due=due),
        NoticeOwed: DeliverNotice(
            id="notice-1",
            messenger="m",
            number=X,
            kind=NoticeKind.TERMINATED,
            happened_at=at(5),
        ),
    }
    for state in STATE_SAMPLES:
        wanted = (expected[type(state)],) if type(state) in expected else ()
        assert wanted == owed(state, START)
        assert () == owed(state, START - MICROSECOND)


# --- records and notices --------------------------------------------------------------


def record(when=START, number=X, hold=HOLD) -> Record:
    return Record(at=when, messenger="m", number=number, code=CODE, hold=hold)


def test_a_code_is_recorded_once_in_its_life():
    """Recording again changes nothing, whatever became of the record since."""
    step = decide(BLANK, record(), GROUND)
    assert (["CodeRecorded"], "1801") == (names(step), step.events[0].rules)
    for state in (step.state, notice_owed(), Told(at=START), Withdrawn(at=START)):
        assert () == decide(state, record(at(1)), GROUND).events


@pytest.mark.parametrize("state", [recorded(), notice_owed()])
def test_a_code_stands_beside_one_number(state):
    """A code that is open may not come with another number."""
    with pytest.raises(IdReused):
        decide(state, record(at(1), Y), GROUND)


@pytest.mark.parametrize("state", STATE_SAMPLES, ids=lambda each: type(each).__name__)
def test_withdrawing_ends_whatever_is_open_and_nothing_else(state):
    """A code may be withdrawn before it is recorded, and as long as it is open."""
    step = decide(state, Withdraw(at=START), GROUND)
    open_ones = isinstance(state, Blank | Recorded | NoticeOwed)
    assert open_ones is ("RecordWithdrawn" in names(step))
    assert not open_ones or step.state == Withdrawn(at=START)


def require(happened_at, when=START) -> Require:
    return Require(at=when, notice_id="notice-1", kind=NoticeKind.PORTED, happened_at=happened_at)


def test_a_notice_is_owed_within_twenty_four_hours_of_what_happened():
    """The figure is the rule set's; it counts from what happened, not from when we were told."""
    step = decide(recorded(), require(at(5), at(60)), GROUND)
    assert at(5) + RESOLUTION_1801.notice_within.value == step.state.due == at(5) + DAY
    assert (at(5), at(60)) == (step.state.happened_at, step.state.telling.next_try)
    assert () == step.effects


def test_the_time_for_a_late_record_begins_with_the_record():
    """Who was recorded after the end has 24 hours from the record on."""
    step = decide(recorded(), require(START - HOUR), GROUND)
    assert START + DAY == step.state.due


def test_a_notice_is_never_older_than_the_answer_that_it_takes_back():
    """What was said to be held is told to have ended no earlier than it was asked about."""
    hold = Hold(since=START - 2 * DAY, asked_at=START - MINUTE)
    told = decide(recorded(hold), require(START - DAY), GROUND).state.happened_at
    assert START - MINUTE == told
    assert START - DAY == decide(recorded(None), require(START - DAY), GROUND).state.happened_at


@pytest.mark.parametrize(("beyond", "overdue"), [(timedelta(0), False), (MICROSECOND, True)])
def test_an_acknowledgement_is_in_time_up_to_the_last_microsecond(beyond, overdue):
    """A notice acknowledged at its due instant is in time; after it, the lapse is told first."""
    when = at(5) + DAY + beyond
    step = decide(notice_owed(), ReportDelivered(at=when, id="notice-1"), GROUND)
    expected = ["NoticeOverdue", "NoticeAcknowledged"] if overdue else ["NoticeAcknowledged"]
    assert expected == names(step)
    assert Told(at=when) == step.state


def test_what_is_overdue_is_told_once_and_tried_for_ever():
    """The lapse is an event of its own; a year later the notice is still owed."""
    late = at(5) + DAY + MICROSECOND
    step = decide(notice_owed(), Tick(at=late, settled=late), GROUND)
    assert ["NoticeOverdue", "AttemptStarted"] == names(step)
    much_later = late + 365 * DAY
    again = decide(step.state, Tick(at=much_later, settled=much_later), GROUND)
    assert ["AttemptStarted"] == names(again)
    assert 1 == len(again.effects)


def test_only_a_record_that_stands_is_required_to_be_told_about():
    """What is closed, withdrawn or told already owes no notice."""
    for state in STATE_SAMPLES:
        if not isinstance(state, Recorded):
            assert "NoticeRequired" not in names(decide(state, require(at(5)), GROUND))


# --- lines ------------------------------------------------------------------------------


def test_an_end_concerns_what_was_held_before_it():
    """A subscription that began at the end of another, or after it, is not concerned."""
    assert not concerns(HOLD.since, HOLD)
    assert concerns(HOLD.since + MICROSECOND, HOLD)
    assert concerns(datetime(2000, 1, 1, tzinfo=UTC), None)
    assert END == ended(LINES[0], HOLD)
    assert ended(LINES[0], Hold(since=END.happened_at, asked_at=START)) is None
    assert ended(LINES[1], None) is None


def test_a_line_hears_of_an_end_once():
    """The same movement twice is one end, and one the base showed is not believed over it."""
    command = EndSubscription(
        at=at(6), movement_id="movement-1", kind=NoticeKind.PORTED, happened_at=at(5)
    )
    step = decide(BLANK, command, GROUND)
    assert at(6) + POLICY.base_lag == step.state.ends[0].believed_until
    assert at(6) + POLICY.kept == step.state.kept_until
    assert () == decide(step.state, command, GROUND).events
    shown = EndSubscription(
        at=at(6),
        movement_id="movement-2",
        kind=NoticeKind.PORTED,
        happened_at=at(5),
        shown=True,
    )
    assert at(6) == decide(BLANK, shown, GROUND).state.ends[0].believed_until


def test_a_line_lists_each_record_once():
    """Listing twice, or taking off what is not listed, changes nothing."""
    step = decide(BLANK, ListRecord(at=START, key=KEY, stands=True), GROUND)
    assert Line(records=(KEY,)) == step.state
    assert () == decide(step.state, ListRecord(at=START, key=KEY, stands=True), GROUND).events
    other = ListRecord(at=START, key=b"other", stands=False)
    assert () == decide(step.state, other, GROUND).events
    off = ListRecord(at=START, key=KEY, stands=False)
    assert BLANK == decide(step.state, off, GROUND).state
    assert () == decide(BLANK, off, GROUND).events


def test_the_newest_word_to_a_messenger_replaces_the_older():
    """Of each messenger, what it was told last is kept; the time to keep it only grows."""
    newer = Hold(since=at(1), asked_at=at(2))
    line = LINES[2]
    step = decide(line, TellHolding(at=at(3), messenger="m", hold=newer), GROUND)
    assert (("n", HOLD), ("m", newer)) == step.state.holds
    assert max(line.kept_until, at(3) + POLICY.kept) == step.state.kept_until
    early = TellHolding(at=START - 10 * DAY, messenger="m", hold=newer)
    assert line.kept_until == decide(line, early, GROUND).state.kept_until


def test_an_earlier_question_that_is_answered_later_makes_no_notice_stale():
    """A messenger ignores news older than its question, and may go by the later of two."""
    later, earlier = Hold(since=START, asked_at=at(5)), Hold(since=at(1), asked_at=at(2))
    step = decide(BLANK, TellHolding(at=at(6), messenger="m", hold=later), GROUND)
    step = decide(step.state, TellHolding(at=at(7), messenger="m", hold=earlier), GROUND)
    assert (("m", Hold(since=at(1), asked_at=at(5))),) == step.state.holds
    step = decide(step.state, TellHolding(at=at(8), messenger="n", hold=earlier), GROUND)
    assert ("n", earlier) == step.state.holds[-1]


# --- time -------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATE_SAMPLES, ids=lambda each: type(each).__name__)
def test_after_a_tick_the_wake_lies_ahead(state):
    """A sweep cannot spin: whatever it settles or tries is next looked at later, or never."""
    deadlines = [each for each in (deadline_of(state), wakes_at(state)) if each is not None]
    for deadline, beyond in product(deadlines or [START], (-MICROSECOND, timedelta(), SECOND)):
        now = deadline + beyond
        step = decide(state, Tick(at=now, settled=now), GROUND)
        wake = wakes_at(step.state)
        assert wake is None or wake > now
        assert wakes_at(state) is None or wakes_at(state) <= deadline


@pytest.mark.parametrize("state", STATE_SAMPLES[4:6])
def test_a_settled_question_is_kept_and_then_cleared(state):
    """At the instant at which its time is over, and not before, nothing is left of it."""
    end = state.kept_until
    assert state == decide(state, Tick(at=end, settled=end - MICROSECOND), GROUND).state
    assert BLANK == decide(state, Tick(at=end, settled=end), GROUND).state


def test_a_cleared_line_keeps_the_records_that_stand():
    """What was said and learnt is forgotten; a record stands until it is told or withdrawn."""
    for line in LINES:
        now = START + 900 * DAY
        after = decide(line, Tick(at=now, settled=now), GROUND).state
        assert (Line(records=line.records) if line.records else BLANK) == after


# --- the ground ---------------------------------------------------------------------------


def test_nobody_is_covered_but_under_an_agreement_in_force():
    """Unknown, not yet, not any more, another kind of thing: one refusal, in the same words."""
    spans = [agreement("m", starts=START, ends=START + DAY), agreement("later", starts=at(60))]
    ground = Ground("mts", spans, policy=POLICY)
    texts = set()
    ground.check_covered("m", START)
    ground.check_covered("m", START + DAY - MICROSECOND)
    for messenger, when in [
        ("m", START - MICROSECOND),
        ("m", START + DAY),
        ("later", START),
        ("stranger", START),
        ("", START),
        (None, START),
        (["m"], START),
    ]:
        with pytest.raises(NoAgreement) as refused:
            ground.check_covered(messenger, when)
        texts.add((str(refused.value), tuple(vars(refused.value).items())))
    assert 1 == len(texts)


def test_who_had_an_agreement_may_take_back_what_it_left():
    """Withdrawing is open from the beginning of an agreement on, for ever."""
    ground = Ground("mts", [agreement("m", starts=START, ends=START + DAY)], policy=POLICY)
    ground.check_begun("m", START)
    ground.check_begun("m", START + 900 * DAY)
    for messenger, when in [("m", START - MICROSECOND), ("stranger", START), (None, START)]:
        with pytest.raises(NoAgreement):
            ground.check_begun(messenger, when)


def test_agreements_are_those_of_this_operator_and_do_not_overlap():
    """An agreement of somebody else, or two at a time with one messenger, end the building."""
    foreign = attrs.evolve(agreement("m"), operator="beeline")
    with pytest.raises(UnknownOperator):
        Ground("mts", [foreign], policy=POLICY)
    with pytest.raises(InvalidAgreement):
        Ground("mts", [agreement("m"), attrs.evolve(agreement("m"), id="second")], policy=POLICY)


def test_a_silent_rule_set_takes_the_policys_time_to_answer():
    """Where the rules give no figure, the policy must; where they do, it cannot overrule them."""
    own = DeskPolicy(answer_within=MINUTE)
    with pytest.raises(PolicyIncomplete) as incomplete:
        Ground("mts", COVERED, policy=POLICY, rules=DRAFT_2017)
    assert "answer_within" == incomplete.value.figure
    assert START + MINUTE == Ground("mts", COVERED, policy=own, rules=DRAFT_2017).answer_due(START)
    assert DUE == Ground("mts", COVERED, policy=own).answer_due(START)


def test_what_began_under_rules_is_finished_under_them():
    """After the last rule set nothing new is answered, and what stands is still told about."""
    end = RESOLUTION_1801.ends
    with pytest.raises(NoRulesInForce):
        GROUND.answer_due(end)
    assert end + DAY == GROUND.notice_due(end, START)
    assert RESOLUTION_1801 is GROUND.basis_at(end + 900 * DAY)
    assert RESOLUTION_1279 is GROUND.basis_at(RESOLUTION_1279.starts)
    with pytest.raises(NoRulesInForce):
        GROUND.basis_at(RESOLUTION_1279.starts - MICROSECOND)


@pytest.mark.parametrize(
    "figures",
    [
        {"kept": 30 * DAY},
        {"kept": 3661 * DAY},
        {"base_lag": -SECOND},
        {"base_lag": 32 * DAY},
        *({name: timedelta(0)} for name in ("answer_within", "inline_wait", "lease")),
        *({name: timedelta(0)} for name in ("retry_first", "retry_longest", "settle_after")),
    ],
    ids=str,
)
def test_a_policy_is_checked_when_it_is_built(figures):
    """A figure outside its range is refused by name."""
    with pytest.raises(InvalidValue, match=next(iter(figures))):
        DeskPolicy(**figures)


def test_every_event_is_decided_by_some_command():
    """No event is defined that no command of the core leads to."""
    seen = set()
    later = START + 2 * DAY
    commands = [
        ask(),
        Promise(at=START),
        HearBase(at=START, outcome=Outcome.HELD, in_reply=True),
        HearBase(at=START, outcome=Outcome.HELD, in_reply=False),
        ReportFailed(at=START, id="query-1", cause="X"),
        ReportDelivered(at=START, id="notice-1"),
        record(),
        Withdraw(at=START),
        require(START),
        TellHolding(at=START, messenger="m", hold=HOLD),
        EndSubscription(at=START, movement_id="x", kind=NoticeKind.TERMINATED, happened_at=START),
        ListRecord(at=START, key=KEY, stands=False),
        ListRecord(at=START, key=KEY, stands=True),
        Tick(at=later, settled=later),
        Tick(at=START + 900 * DAY, settled=START + 900 * DAY),
    ]
    for state, command in product(STATE_SAMPLES, commands):
        try:
            seen |= {type(each) for each in decide(state, command, GROUND).events}
        except Exception:
            continue
    assert set(EVENTS) == seen

"""The three duties, each against its limit, in histories made by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest
from attrs import asdict

from abonent import MessengerKind, NoticeKind, Outcome, Policy, Reason
from abonent.compliance import Duty, Report, report_of
from abonent.compliance.cases import Worst
from abonent.compliance.counting import Counting
from abonent.compliance.fold import Fold
from abonent.compliance.tables import answers as answered
from abonent.compliance.tables import feeds, identifications, unwatched
from abonent.core.events import Ignored, ReidentificationRequired
from abonent.core.states import Basis
from abonent.simulation import Reply
from tests.compliance.stories import DAY, END, HOUR, MINUTE, START, Story, story

MICROSECOND = timedelta(microseconds=1)


def told(story: Story, **about) -> Report:
    return report_of(story.identifier, START, END, **about)


def counts(record: object, *names: str) -> list[int]:
    return [getattr(record, each) for each in names]


def answers(report: Report) -> dict[str, list[int]]:
    names = ("asked", "in_time", "late", "never", "overtaken", "open")
    return {each.operator: counts(each, *names) for each in report.answers}


# --- answers -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "expected"),
    [(20 * MINUTE, [1, 1, 0, 0, 0, 0]), (20 * MINUTE + MICROSECOND, [1, 0, 1, 0, 0, 0])],
)
def test_an_answer_at_the_limit_is_in_time_and_one_microsecond_later_is_late(wait, expected):
    """20 minutes, inclusive."""
    with story() as made:
        made.asked("a", "alpha", Reply.LATER)
        made.clock.advance(wait)
        made.answer("a")
        report = told(made)
    assert {"alpha": expected} == answers(report)
    assert wait.total_seconds() == report.answers[0].taken.longest


def test_a_late_answer_is_one_whenever_it_comes():
    """Also days after the question was settled without it, and after another claim."""
    with story() as made:
        made.asked("a", "alpha", Reply.LATER)
        query = made.operators["alpha"].questions[-1].id
        made.wait(21 * MINUTE)
        assert [0, 1] == counts(told(made).answers[0], "late", "never")
        made.asked("a", "alpha", Reply.HELD)
        made.wait(2 * DAY)
        made.answer_to(query, "alpha")
        report = told(made)
    assert {"alpha": [2, 1, 1, 0, 0, 0]} == answers(report)
    (case,) = report.cases
    assert (2 * DAY + 21 * MINUTE).total_seconds() == case.seconds


def test_only_the_answer_of_the_operator_that_was_asked_counts():
    """Another operator's word, a second answer and “later” are no answers to the question."""
    with story() as made:
        made.asked("a", "alpha", Reply.LATER)
        query = made.operators["alpha"].questions[-1].id
        made.wait(HOUR)
        made.answer_to(query, "beta")
        made.answer_to(query, "alpha", Outcome.LATER)
        assert {"alpha": [1, 0, 0, 1, 0, 0]} == answers(told(made))
        made.answer_to(query, "alpha")
        made.answer_to(query, "alpha", Outcome.NOT_HELD)
        assert {"alpha": [1, 0, 1, 0, 0, 0]} == answers(told(made))


def test_a_question_that_is_not_due_yet_is_open_and_one_that_is_never_came():
    """What is due is judged by the clock, whether a sweep has settled it or not."""
    with story() as made:
        made.asked("a", "alpha", Reply.LATER)
        made.clock.advance(20 * MINUTE)
        assert {"alpha": [1, 0, 0, 0, 0, 1]} == answers(told(made))
        made.clock.advance(MICROSECOND)
        assert {"alpha": [1, 0, 0, 1, 0, 0]} == answers(told(made))


def test_a_question_that_ended_for_another_reason_is_not_held_against_the_operator():
    """A notice ends it, or the user claims another number."""
    with story() as made:
        made.asked("a", "alpha", Reply.LATER)
        made.notice("a")
        made.asked("b", "beta", Reply.LATER)
        made.numbers["b"] = made.fresh()
        made.asked("b", "gamma", Reply.HELD)
        made.wait(DAY)
        report = told(made)
    assert answers(report) == {
        "alpha": [1, 0, 0, 0, 1, 0],
        "beta": [1, 0, 0, 0, 1, 0],
        "gamma": [1, 1, 0, 0, 0, 0],
    }
    assert () == report.late


def test_a_new_claim_does_not_excuse_an_answer_that_was_due_before():
    """What never came stays so, whatever the user does next."""
    with story() as made:
        made.asked("a", "alpha", Reply.SILENCE)
        made.wait(21 * MINUTE)
        made.asked("a", "alpha", Reply.HELD)
        assert {"alpha": [2, 1, 0, 1, 0, 0]} == answers(told(made))


def test_an_operator_that_is_asked_after_a_rerouting_has_a_question_of_its_own():
    """“Not ours” is an answer of the first, in time."""
    with story() as made:
        number = made.fresh()
        made.numbers["a"] = number
        made.operators["alpha"].script(Reply.NOT_OURS)
        made.operators["beta"].script(Reply.SILENCE)
        made.router.port(number, "alpha")
        made.identifier.claim("a", number.e164)
        made.router.port(number, "beta")
        made.identifier.prove("a", made.sender.code_for(number))
        made.wait(HOUR)
        report = told(made)
    assert {"alpha": [1, 1, 0, 0, 0, 0], "beta": [1, 0, 0, 1, 0, 0]} == answers(report)


def test_calls_of_ours_that_failed_are_told_beside_what_never_came():
    """Silence may be ours: an operator that was out of reach, or refused our credentials."""
    with story() as made:
        made.operators["alpha"].answer_with(Reply.MISCONFIGURED)
        made.asked("a", "alpha", Reply.UNAVAILABLE)
        made.wait(21 * MINUTE)
        made.operators["alpha"].answer_with(Reply.HELD)
        made.asked("b", "alpha", Reply.SILENCE)
        made.wait(21 * MINUTE)
        report = told(made)
    assert [2, 1] == counts(report.answers[0], "never", "failed_calls")


# --- notices -------------------------------------------------------------------------


@pytest.mark.parametrize(("lag", "late"), [(24 * HOUR, 0), (24 * HOUR + MICROSECOND, 1)])
def test_a_notice_at_the_limit_is_in_time_and_one_microsecond_later_is_late(lag, late):
    """24 hours, inclusive."""
    with story() as made:
        made.asked("a", "alpha")
        made.wait(3 * DAY)
        made.notice("a", ago=lag)
        (found,) = told(made).notices
    assert [1 - late, late, 0] == counts(found, "in_time", "late", "undated")
    assert lag.total_seconds() == found.lag.longest


def test_a_notice_that_does_not_say_when_is_counted_apart():
    """Neither in time nor late."""
    with story() as made:
        made.asked("a", "alpha")
        made.notice("a", ago=None)
        (found,) = told(made).notices
    assert [1, 0, 0, 1] == counts(found, "heard", "in_time", "late", "undated")
    assert 0 == found.lag.count


def test_a_notice_about_what_is_to_come_took_no_time():
    """Clocks differ: an instant in the future is not a negative time."""
    with story() as made:
        made.asked("a", "alpha")
        made.notice("a", ago=-HOUR)
        (found,) = told(made).notices
    assert (1, 0.0) == (found.in_time, found.lag.longest)


def test_which_notices_are_judged():
    """A stale one is, and one that finds it due already; a repeated or a stranger's is not."""
    with story() as made:
        made.asked("a", "alpha")
        made.wait(3 * DAY)
        made.asked("a", "alpha")
        made.notice("a", ago=2 * DAY)  # of the first identification: stale, and late
        made.notice("a", NoticeKind.PORTED, operator="beta")
        made.notice("a", NoticeKind.TERMINATED, name="one")
        made.notice("a", NoticeKind.TERMINATED, name="one")
        made.notice("a", NoticeKind.REASSIGNED, name="two", ago=-MINUTE)
        alpha, beta = told(made).notices
    assert [3, 2, 1] == counts(alpha, "heard", "in_time", "late")
    assert {Ignored.REPEATED: 1} == alpha.ignored
    assert (0, {Ignored.OTHER_OPERATOR: 1}) == (beta.heard, beta.ignored)


# --- re-identification ---------------------------------------------------------------


def renewals(report: Report) -> dict[str, list[int]]:
    names = ("required", "in_time", "late", "never", "moot", "open")
    return {each.operator: counts(each, *names) for each in report.reidentifications}


@pytest.mark.parametrize(
    ("wait", "expected"),
    [(20 * MINUTE, [1, 1, 0, 0, 0, 0]), (20 * MINUTE + MICROSECOND, [1, 0, 1, 0, 0, 0])],
)
def test_a_user_identified_anew_at_the_limit_is_in_time(wait, expected):
    """20 minutes, inclusive; afterwards it is late, also when the older identification lapsed."""
    with story() as made:
        made.asked("a", "alpha")
        made.notice("a", NoticeKind.PORTED)
        made.clock.advance(wait)
        made.asked("a", "beta")
        report = told(made)
    assert {"alpha": expected} == renewals(report)
    assert wait.total_seconds() == report.reidentifications[0].taken.longest


def test_what_became_of_a_reidentification_that_was_required():
    """Not due yet; not to this day; identified at last, days later: one each."""
    with story() as made:
        made.asked("a", "alpha")
        made.notice("a")
        made.clock.advance(20 * MINUTE)
        assert {"alpha": [1, 0, 0, 0, 0, 1]} == renewals(told(made))
        made.clock.advance(MICROSECOND)
        assert {"alpha": [1, 0, 0, 1, 0, 0]} == renewals(told(made))
        made.wait(DAY)
        report = told(made)
        assert {"alpha": [1, 0, 0, 1, 0, 0]} == renewals(report)
        assert 1 == report.ended.lapsed
        made.asked("a", "beta")
        assert {"alpha": [1, 0, 1, 0, 0, 0]} == renewals(told(made))


def test_a_graver_notice_does_not_begin_it_anew():
    """The due instant stays, and it is one re-identification (S37)."""
    with story() as made:
        made.asked("a", "alpha")
        made.notice("a", NoticeKind.PORTED)
        made.wait(15 * MINUTE)
        made.notice("a", NoticeKind.TERMINATED)
        made.clock.advance(6 * MINUTE)
        made.asked("a", "alpha")
        assert {"alpha": [1, 0, 1, 0, 0, 0]} == renewals(told(made))


def test_who_lost_the_number_to_another_user_is_not_to_be_identified_anew():
    """It is moot: somebody proved the number later (S22)."""
    with story() as made:
        made.asked("a", "alpha")
        made.notice("a", NoticeKind.REASSIGNED)
        made.numbers["b"] = made.numbers["a"]
        made.asked("b", "alpha")
        made.wait(DAY)
        report = told(made)
        later = report_of(made.identifier, START + HOUR, END)
    assert () == later.reidentifications
    assert "1 user gave way" in identifications(report).says
    assert {"alpha": [1, 0, 0, 0, 1, 0]} == renewals(report)
    assert {"lapsed": 0, "displaced": 1} == asdict(report.ended)


def test_what_no_decision_can_have_written_is_passed_over():
    """A re-identification that no notice led to is held against nobody."""
    counting = Counting(START, END, within=DAY, worst=Worst(1))
    fold = Fold(counting)
    odd = ReidentificationRequired(
        at=START, cause=NoticeKind.PORTED, happened_at=None, due=START + HOUR
    )
    fold.take(b"subject", 1, (odd,), None)
    fold.settle(END)
    assert ((), ()) == (counting.reidentifications(), counting.exposures())


# --- identifications -----------------------------------------------------------------


def outcomes(report: Report) -> dict[tuple[Basis | None, str | None, Reason | None], int]:
    return {(it.method, it.operator, it.reason): it.count for it in report.identifications}


def test_identifications_are_counted_by_method_operator_and_outcome():
    """Passed; not held; no answer; and a claim that ended before anybody was asked."""
    answer = Basis.OPERATOR_ANSWER
    with story() as made:
        made.asked("a", "alpha")
        made.asked("b", "alpha")
        made.asked("c", "beta", Reply.NOT_HELD)
        made.asked("d", "gamma", Reply.SILENCE)
        made.claimed("e", "gamma")
        made.wait(2 * DAY)
        report = told(made)
    assert outcomes(report) == {
        (answer, "alpha", None): 2,
        (answer, "beta", Reason.NOT_HELD): 1,
        (answer, "gamma", Reason.NO_ANSWER): 1,
        (None, "gamma", Reason.CLAIM_EXPIRED): 1,
    }


def test_an_own_determination_names_no_operator():
    """A domestic messenger asks nobody, and nobody is on record."""
    with story(kind=MessengerKind.DOMESTIC) as made:
        made.asked("a", "alpha")
        report = told(made)
    assert {(Basis.OWN_DETERMINATION, None, None): 1} == outcomes(report)
    assert (1, ()) == (report.outlook.own, report.answers)
    assert "No operator was asked in this period." == answered(report).says
    assert "Of 1 more user no operator is on record" in unwatched(report).says


def test_where_nobody_is_expected_to_be_heard_it_is_said():
    """No agreement, and nobody with an operator on record."""
    with story(kind=MessengerKind.DOMESTIC, agreements=[]) as made:
        made.asked("a", "alpha")
        assert "No operator is expected to send notices." == feeds(told(made)).says


def test_a_domestic_messenger_that_asks_too_is_told_by_the_answer():
    """The operator is on record then."""
    policy = Policy(ask_operator_too=True)
    with story(kind=MessengerKind.DOMESTIC, policy=policy) as made:
        made.asked("a", "alpha")
        assert {(Basis.OPERATOR_ANSWER, "alpha", None): 1} == outcomes(told(made))


def test_users_taken_over_are_listed_apart():
    """Declared by import: nobody proved it to us."""
    with story() as made:
        made.taken_over("a", "alpha")
        report = told(made)
    assert {(Basis.DECLARED, "alpha", None): 1} == outcomes(report)


# --- cases ---------------------------------------------------------------------------


def test_the_worst_cases_are_named_and_the_rest_counted():
    """What never came first, then the longest; each with entry, subject and two digits."""
    with story() as made:
        for place, minutes in enumerate((30, 90, 60)):
            made.answered_after(f"user-{place}", "beta", minutes * MINUTE)
        made.asked("silent", "beta", Reply.SILENCE)
        made.wait(DAY)
        report = told(made, cases=3)
        numbers = [made.numbers[each].e164[-2:] for each in ("silent", "user-1", "user-2")]
    assert {Duty.ANSWER: 4, Duty.NOTICE: 0, Duty.REIDENTIFICATION: 0} == report.found
    assert [None, 5_400.0, 3_600.0] == [each.seconds for each in report.cases]
    assert numbers == [each.number for each in report.cases]
    assert all(8 == len(each.subject) for each in report.cases)


def test_a_report_may_name_no_case_at_all():
    """They are counted all the same."""
    with story() as made:
        made.asked("a", "beta", Reply.SILENCE)
        made.wait(DAY)
        report = told(made, cases=0)
    assert (1, ()) == (report.found[Duty.ANSWER], report.cases)


def test_of_equally_bad_cases_the_earlier_ones_are_kept():
    """One report is the same as the next."""
    with story() as made:
        for each in "abc":
            made.asked(each, "beta", Reply.SILENCE)
        made.wait(DAY)
        report = told(made, cases=2)
    assert [made.numbers[each].e164[-2:] for each in "ab"] == [it.number for it in report.cases]


def test_a_notice_that_may_be_about_either_of_two_numbers_shows_no_digits():
    """A user who holds one number and is asked about another: the journal does not say which."""
    with story() as made:
        made.asked("a", "alpha")
        made.wait(3 * DAY)
        held = made.numbers["a"]
        made.numbers["a"] = made.fresh()
        made.asked("a", "alpha", Reply.LATER)
        made.numbers["a"] = held
        made.notice("a", ago=2 * DAY)
        (case,) = told(made).cases
    assert (Duty.NOTICE, None) == (case.duty, case.number)

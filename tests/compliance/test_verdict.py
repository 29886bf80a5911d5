"""The verdict: which operator is late, how often, and at worst how much."""

from __future__ import annotations

from datetime import timedelta

from abonent.compliance import Report, report_of
from abonent.compliance.as_json import as_object
from abonent.compliance.page import page
from abonent.compliance.sentences import headline, verdict
from abonent.simulation import Reply
from tests.compliance.stories import DAY, END, HOUR, LATE, MINUTE, START, Story, quarter, story


def told(story: Story) -> Report:
    return report_of(story.identifier, START, END)


def test_the_verdict_names_the_operator_that_is_late():
    """A quarter of three operators, drawn from a seed: beta is late, the others are not."""
    with story() as made:
        quarter(made, seed=7)
        report = told(made)
    assert f"{LATE} is late." == headline(report)
    assert [LATE] == [each.operator for each in report.late]
    ((operator, says),) = verdict(report)
    assert (LATE, True) == (operator, "answers (32 %) did not come in time" in says)
    assert f'<p class="headline">{LATE} is late.</p>' in page(report)
    assert f"{LATE} is late." == as_object(report)["verdict"]["says"]


def test_late_answers_are_told_with_their_share_and_the_slowest():
    """Of those that are known by now; one that is open is not among them."""
    with story() as made:
        for place in range(2):
            made.asked(f"in-time-{place}", "beta")
        made.answered_after("late", "beta", 90 * MINUTE)
        made.asked("open", "beta", Reply.LATER)
        ((_, says),) = verdict(told(made))
    assert "1 of 3 answers (33 %) did not come in time: the slowest took 1.5 h" == says


def test_answers_that_never_came_are_told():
    """There is no slowest one then."""
    with story() as made:
        for place in range(40):
            made.asked(f"in-time-{place}", "beta")
        made.asked("never", "beta", Reply.SILENCE)
        made.wait(HOUR)
        ((_, says),) = verdict(told(made))
    assert "1 of 41 answers (2.4 %) did not come in time: 1 never came" == says


def test_late_notices_are_told_with_the_worst():
    """Those that do not say when are not among them."""
    with story() as made:
        for each in "abc":
            made.asked(each, "gamma")
        made.wait(3 * DAY)
        made.notice("a", ago=HOUR)
        made.notice("b", ago=60 * HOUR)
        made.notice("c", ago=None)
        ((operator, says),) = verdict(told(made))
    assert ("gamma", "1 of 2 notices came later than 24 h, the worst 2.5 d") == (operator, says)


def test_the_operator_that_was_late_most_often_comes_first():
    """Of either duty; equals by name."""
    with story() as made:
        made.asked("a", "alpha", Reply.SILENCE)
        for each in "bc":
            made.asked(each, "gamma")
        made.asked("d", "beta", Reply.SILENCE)
        made.wait(3 * DAY)
        for each in "bc":
            made.notice(each, ago=2 * DAY)
        report = told(made)
    assert ["gamma", "alpha", "beta"] == [each.operator for each in report.late]
    assert "gamma, alpha and beta are late." == headline(report)


def test_nobody_is_late_where_nobody_was():
    """Said plainly; and another thing where nobody was asked at all."""
    with story() as made:
        made.claimed("a", "alpha")
        made.wait(DAY + MINUTE)
        assert "No operator was asked in this period, and none gave notice." == headline(told(made))
        made.asked("b", "alpha")
        report = told(made)
    assert ("No operator was late.", []) == (headline(report), verdict(report))


def test_a_user_who_does_not_come_back_makes_no_operator_late():
    """Re-identification is the messenger's duty, and the gate is closed."""
    with story() as made:
        made.asked("a", "alpha")
        made.notice("a", ago=timedelta(0))
        made.wait(DAY)
        assert () == told(made).late

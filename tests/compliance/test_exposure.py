"""How long gates stood open although a notice had happened."""

from __future__ import annotations

from datetime import timedelta

import pytest

from abonent import NoticeKind
from abonent.compliance import Exposures, Report, report_of
from abonent.simulation import Reply
from tests.compliance.stories import DAY, END, HOUR, MINUTE, START, Story, story

CLOSING = [each for each in NoticeKind if not each.keeps_gate_open]


def exposures(story: Story) -> tuple[Exposures, ...]:
    return told(story).exposures


def told(story: Story) -> Report:
    return report_of(story.identifier, START, END)


def seconds(found: Exposures) -> tuple[float, float, float | None]:
    return found.before, found.after, found.longest


@pytest.mark.parametrize("kind", CLOSING)
def test_a_number_that_is_lost_exposes_until_the_notice_comes_and_no_longer(kind):
    """The gate closes with the notice: what was before is the operator's."""
    with story() as made:
        made.asked("a", "alpha")
        made.wait(DAY)
        made.notice("a", kind, ago=3 * HOUR)
        made.wait(DAY)
        (found,) = exposures(made)
    assert ("alpha", False, 1, 1, 0) == (
        found.operator,
        found.number_kept,
        found.notices,
        found.users,
        found.open,
    )
    assert (3 * 3_600.0, 0.0, 3 * 3_600.0) == seconds(found)


def test_a_ported_number_counts_until_the_user_is_identified_anew():
    """By grace the gate stays open: the time since the notice is told apart."""
    with story() as made:
        made.asked("a", "alpha")
        made.wait(DAY)
        made.notice("a", NoticeKind.PORTED, ago=HOUR)
        made.wait(5 * MINUTE)
        made.asked("a", "beta")
        made.wait(DAY)
        (found,) = exposures(made)
    assert ("alpha", True, 1) == (found.operator, found.number_kept, found.users)
    assert (3_600.0, 300.0, 3_900.0) == seconds(found)


def test_a_ported_number_counts_until_it_is_due_at_most():
    """However late a sweep comes, or none: the gate looks at the clock."""
    with story() as made:
        made.asked("a", "alpha")
        made.wait(DAY)
        made.notice("a", NoticeKind.PORTED, ago=HOUR)
        made.clock.advance(15 * MINUTE)
        (found,) = exposures(made)
        assert (1, 3_600.0, 900.0) == (found.open, found.before, found.after)
        made.clock.advance(DAY)
        (found,) = exposures(made)
        assert (0, 3_600.0, 1_200.0) == (found.open, found.before, found.after)
        made.identifier.sweep()
        (found,) = exposures(made)
    assert (0, 3_600.0, 1_200.0) == (found.open, found.before, found.after)


def test_a_graver_notice_ends_the_grace():
    """Each notice has its own: the second counts from what it tells of."""
    with story() as made:
        made.asked("a", "alpha")
        made.wait(DAY)
        made.notice("a", NoticeKind.PORTED, ago=HOUR)
        made.wait(10 * MINUTE)
        made.notice("a", NoticeKind.TERMINATED, ago=2 * MINUTE)
        made.wait(DAY)
        lost, kept = exposures(made)
    assert (120.0, 0.0, 120.0) == seconds(lost)
    assert (3_600.0, 600.0, 4_200.0) == seconds(kept)


def test_a_gate_that_was_closed_by_then_exposes_nobody():
    """The grace ran out before the graver notice came."""
    with story() as made:
        made.asked("a", "alpha")
        made.notice("a", NoticeKind.PORTED)
        made.clock.advance(20 * MINUTE + timedelta(seconds=0.5))  # and no sweep has come by
        made.notice("a", NoticeKind.TERMINATED, ago=2 * MINUTE)
        report = told(made)
    assert 2 == report.notices[0].in_time
    (found,) = report.exposures
    assert (True, 1_200.0) == (found.number_kept, found.after)


def test_what_happened_before_the_gate_opened_counts_from_the_opening():
    """An operator that is asked, ends the contract, and says that it holds it."""
    with story() as made:
        made.asked("a", "alpha", Reply.LATER)
        made.wait(10 * MINUTE)
        made.answer("a")
        made.wait(5 * MINUTE)
        made.notice("a", ago=12 * MINUTE)
        (found,) = exposures(made)
    assert (300.0, 0.0, 300.0) == seconds(found)


def test_a_change_of_number_does_not_close_the_gate_between():
    """Identified by another number before: the gate was open all along."""
    with story() as made:
        made.asked("a", "alpha")
        made.numbers["a"] = made.fresh()
        made.asked("a", "alpha", Reply.LATER)
        made.wait(10 * MINUTE)
        made.answer("a")
        made.wait(5 * MINUTE)
        made.notice("a", ago=12 * MINUTE)
        (found,) = exposures(made)
    assert (720.0, 0.0, 720.0) == seconds(found)


def test_a_notice_without_a_date_exposes_for_a_time_that_nobody_knows():
    """It is counted, and only what came after it has a length."""
    with story() as made:
        made.asked("a", "alpha")
        made.wait(DAY)
        made.notice("a", ago=None)
        made.asked("b", "alpha")
        made.notice("b", NoticeKind.PORTED, ago=None)
        made.wait(DAY)
        lost, kept = exposures(made)
    assert (1, 0, 0.0, 0.0) == (lost.undated, lost.users, lost.before, lost.longest)
    assert (1, 1, 1_200.0, 1_200.0) == (kept.undated, kept.users, kept.after, kept.longest)


def test_a_user_is_counted_once_and_time_summed():
    """Two notices about one user, one about another."""
    with story() as made:
        for user in ("a", "b", "a"):
            made.asked(user, "alpha")
            made.wait(DAY)
            made.notice(user, ago=HOUR)
            made.wait(DAY)
        (found,) = exposures(made)
    assert (3, 2, 3 * 3_600.0, 3_600.0) == (
        found.notices,
        found.users,
        found.before,
        found.longest,
    )


def test_another_user_who_proves_the_number_ends_the_grace():
    """Displaced: the gate is closed."""
    with story() as made:
        made.asked("a", "alpha")
        made.notice("a", NoticeKind.PORTED)
        made.wait(4 * MINUTE)
        made.numbers["b"] = made.numbers["a"]
        made.asked("b", "beta")
        made.wait(DAY)
        (found,) = exposures(made)
    assert (0.0, 240.0, 240.0) == seconds(found)

"""What is to be done now: agreements that end, users nobody watches, feeds that are silent."""

from __future__ import annotations

from datetime import timedelta

import pytest

from abonent import MessengerKind, NoticeKind, Policy
from abonent.compliance import DueKind, Outlook, Unwatched, report_of
from abonent.compliance.sentences import remarks
from tests.compliance.stories import DAY, END, HOUR, START, Story, agreement, story

MICROSECOND = timedelta(microseconds=1)


def outlook(story: Story, **about) -> Outlook:
    return report_of(story.identifier, START, END, **about).outlook


def unwatched(story: Story) -> list[tuple[str, int, Unwatched]]:
    return [(each.operator, each.users, each.why) for each in outlook(story).unwatched]


# --- users ---------------------------------------------------------------------------


def test_users_of_an_operator_whose_agreement_ended_are_unwatched():
    """They stay identified, and nobody sends notices about them (S33)."""
    ends = START + 10 * DAY
    agreements = [agreement("alpha", ends=ends), agreement("beta")]
    with story(agreements=agreements) as made:
        made.asked("a", "alpha")
        made.asked("b", "alpha")
        made.asked("c", "beta")
        assert [] == unwatched(made)
        made.wait(10 * DAY - MICROSECOND)
        assert [] == unwatched(made)
        made.clock.advance(MICROSECOND)
        assert [("alpha", 2, Unwatched.AGREEMENT_ENDED)] == unwatched(made)
        (found,) = outlook(made).unwatched
        report = report_of(made.identifier, START, END)
        told = remarks(report)
    # Each is said once: what has no date is not in the calendar.
    assert not any(each.kind is DueKind.USERS_UNWATCHED for each in report.calendar)
    assert ends == found.since
    assert any("2 users of alpha are unwatched" in each for each in told)


def test_a_new_agreement_watches_them_again():
    """Whatever it is called, and however long nobody did."""
    agreements = [
        agreement("alpha", ends=START + DAY),
        agreement("alpha", start=START + 3 * DAY, name="again"),
    ]
    with story(agreements=agreements) as made:
        made.asked("a", "alpha")
        made.wait(2 * DAY)
        assert [("alpha", 1, Unwatched.AGREEMENT_ENDED)] == unwatched(made)
        made.wait(DAY)
        assert [] == unwatched(made)


def test_users_who_cannot_send_are_not_watched_for():
    """Only whose gate is open counts: lapsed, displaced and forgotten ones do not."""
    agreements = [agreement("alpha", ends=START + 10 * DAY)]
    with story(agreements=agreements) as made:
        for each in ("open", "lapsed", "displaced", "forgotten"):
            made.asked(each, "alpha")
        made.notice("lapsed")
        made.numbers["heir"] = made.numbers["displaced"]
        made.asked("heir", "alpha")
        made.identifier.forget("forgotten")
        made.wait(11 * DAY)
        assert [("alpha", 2, Unwatched.AGREEMENT_ENDED)] == unwatched(made)


def test_a_user_by_grace_counts_until_it_is_over():
    """A ported number: the gate is open until due."""
    agreements = [agreement("alpha", ends=START + DAY), agreement("beta")]
    with story(agreements=agreements) as made:
        made.asked("a", "alpha")
        made.wait(DAY)
        made.notice("a", NoticeKind.PORTED, ago=2 * HOUR)
        assert [("alpha", 1, Unwatched.AGREEMENT_ENDED)] == unwatched(made)
        made.clock.advance(21 * 60)
        assert [] == unwatched(made)


def test_an_operator_without_a_gateway_is_not_heard():
    """Users taken over, whose operator nobody ever linked to this service."""
    with story(gateways=("alpha", "beta")) as made:
        made.taken_over("a", "beta")
        made.identifier._engine.loop.operators = frozenset({"alpha"})
        assert [("beta", 1, Unwatched.NO_GATEWAY)] == unwatched(made)


def test_a_foreign_messenger_without_any_agreement_hears_nothing():
    """Nothing obliges that operator to tell it."""
    with story(agreements=[agreement("alpha")]) as made:
        made.taken_over("a", "beta")
        assert [("beta", 1, Unwatched.NO_AGREEMENT)] == unwatched(made)


def test_a_domestic_messenger_needs_no_agreement():
    """Its operators are told by law; one whose agreement ended is named all the same."""
    policy = Policy(ask_operator_too=True)
    ending = [agreement("beta", ends=START + DAY)]
    with story(kind=MessengerKind.DOMESTIC, policy=policy, agreements=ending) as made:
        made.asked("a", "alpha")
        made.asked("b", "beta")
        made.wait(2 * DAY)
        assert [("beta", 1, Unwatched.AGREEMENT_ENDED)] == unwatched(made)


# --- agreements ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ends_in", "listed"),
    [(-MICROSECOND, 0), (timedelta(0), 0), (MICROSECOND, 1), (30 * DAY, 1), (31 * DAY, 0)],
)
def test_an_agreement_that_ends_within_the_time_is_listed(ends_in, listed):
    """One that has ended is not: its users are."""
    with story(agreements=[agreement("alpha", ends=START + ends_in)]) as made:
        assert listed == len(outlook(made).agreements)


def test_an_agreement_says_what_follows_it():
    """The next one, if it goes on without a gap; and how many users it concerns."""
    ends = START + 10 * DAY
    agreements = [
        agreement("alpha", ends=ends),
        agreement("alpha", start=ends, name="next"),
        agreement("beta", ends=ends),
        agreement("beta", start=ends + MICROSECOND, name="later"),
    ]
    with story(agreements=agreements) as made:
        made.asked("a", "alpha")
        alpha, beta = outlook(made).agreements
        assert () == outlook(made, ends_within=9 * DAY).agreements
    assert ("with-alpha", "next", 1) == (alpha.agreement, alpha.followed_by, alpha.users)
    assert ("with-beta", None, 0) == (beta.agreement, beta.followed_by, beta.users)


# --- feeds ---------------------------------------------------------------------------


def test_a_feed_is_silent_once_its_last_notice_is_so_old():
    """A stale one is a sign of life as well."""
    with story() as made:
        made.asked("a", "alpha")
        made.asked("b", "alpha")
        made.notice("a")
        made.wait(2 * DAY)
        made.notice("b", ago=3 * DAY)
        heard = made.clock.now()
        made.wait(7 * DAY - MICROSECOND)
        assert () == outlook(made).silent
        made.clock.advance(MICROSECOND)
        (found,) = outlook(made).silent
        assert () == outlook(made, silent_after=8 * DAY).silent
    assert ("alpha", heard, 1) == (found.operator, found.heard_at, found.users)


def test_the_latest_notice_counts_whatever_order_they_are_taken_in():
    """One that was received before, and is handed in afterwards, is not the last one heard."""
    with story() as made:
        made.asked("a", "alpha")
        made.asked("b", "alpha")
        made.wait(3 * DAY)
        made.notice("a")
        heard = made.clock.now()
        made.notice("b", received=heard - DAY, ago=2 * DAY)
        (found, *_) = outlook(made).feeds
    assert ("alpha", heard) == (found.operator, found.heard_at)


def test_an_operator_that_was_never_heard_is_silent_since_its_agreement_began():
    """If it has users of ours: of others it has nothing to tell."""
    with story(agreements=[agreement("alpha"), agreement("beta", start=START)]) as made:
        made.asked("a", "alpha")
        made.asked("b", "beta")
        told = outlook(made)
        assert ["alpha"] == [each.operator for each in told.silent]
        made.wait(7 * DAY)
        assert ["alpha", "beta"] == [each.operator for each in outlook(made).silent]
        made.identifier.forget("a")
        assert ["beta"] == [each.operator for each in outlook(made).silent]
    assert all(each.heard_at is None for each in told.feeds)


def test_feeds_of_the_operators_that_are_to_be_heard_are_listed():
    """Those with an agreement in force; an unwatched one owes nothing, and is listed as such."""
    agreements = [agreement("alpha"), agreement("beta", ends=START + DAY)]
    with story(agreements=agreements) as made:
        made.asked("a", "beta")
        assert ["alpha", "beta"] == [each.operator for each in outlook(made).feeds]
        made.wait(2 * DAY)
        assert ["alpha"] == [each.operator for each in outlook(made).feeds]
        assert ["beta"] == [each.operator for each in outlook(made).unwatched]


def test_operators_on_record_of_a_domestic_messenger_are_to_be_heard():
    """No agreement is needed; without one, and never heard, nobody knows since when."""
    policy = Policy(ask_operator_too=True)
    with story(kind=MessengerKind.DOMESTIC, policy=policy, agreements=[]) as made:
        made.asked("a", "alpha")
        made.asked("b", "alpha")
        assert [("alpha", False)] == [(it.operator, it.silent) for it in outlook(made).feeds]
        made.notice("b")
        made.wait(7 * DAY)
        assert [("alpha", True)] == [(it.operator, it.silent) for it in outlook(made).feeds]

"""Which period is meant, what belongs to it, and what cannot be read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from abonent import DRAFT_2017, AsyncIdentifier, AsyncOneTimeCodes, Policy
from abonent.compliance import instant_of, report_of, user_at
from abonent.compliance.sentences import headline, period, remarks
from abonent.errors import IdentifierClosed, InvalidValue, NaiveInstant
from abonent.ports import Append, Unit
from abonent.records import encode_entry
from abonent.simulation import Reply
from tests.compliance.stories import DAY, END, HOUR, START, story


def test_a_date_begins_at_midnight_in_moscow():
    """Three hours before midnight UTC."""
    assert datetime(2026, 9, 30, 21, tzinfo=UTC) == instant_of("2026-10-01")


def test_an_instant_has_a_zone():
    """Whichever; it is UTC from then on."""
    assert datetime(2026, 10, 1, 9, tzinfo=UTC) == instant_of("2026-10-01T12:00:00+03:00")
    assert datetime(2026, 10, 1, 9, tzinfo=UTC) == instant_of("2026-10-01T09:00Z")


@pytest.mark.parametrize("text", ["2026-10-01T00:00", "2026-10-01 00:00:00.5"])
def test_a_time_without_a_zone_is_refused(text):
    """Nobody can know which it means."""
    with pytest.raises(NaiveInstant):
        instant_of(text)


@pytest.mark.parametrize(
    "text", ["", "today", "2026-13-01", "2026-02-30", "01.10.2026", "٢٠٢٦-١٠-٠١"]
)
def test_what_is_no_date_is_refused(text):
    """In words that show one."""
    with pytest.raises(InvalidValue, match="2026-10-01"):
        instant_of(text)


@pytest.mark.parametrize("end", [START, START - timedelta(microseconds=1)])
def test_a_period_begins_before_it_ends(end):
    """Nothing is read."""
    with story() as made, pytest.raises(InvalidValue):
        report_of(made.identifier, START, end)


def test_a_period_has_zones():
    """At either end."""
    naive = datetime(2026, 10, 1)
    with story() as made:
        for about in ((naive, END), (START, naive)):
            with pytest.raises(NaiveInstant):
                report_of(made.identifier, *about)


@pytest.mark.parametrize("cases", [-1, 10_001])
def test_a_report_names_so_many_cases_at_most(cases):
    """Memory has a bound."""
    with story() as made, pytest.raises(InvalidValue):
        report_of(made.identifier, START, END, cases=cases)


def test_a_journal_without_entries_gives_a_report_that_says_so():
    """No data is no success."""
    with story() as made:
        report = report_of(made.identifier, START, END)
    assert report.empty
    assert "There is no data" in headline(report)
    assert () == report.late


def test_a_period_without_entries_says_so_whatever_others_hold():
    """The journal goes on before and after."""
    with story() as made:
        made.asked("a", "alpha", Reply.SILENCE)
        made.wait(40 * DAY)
        made.asked("b", "alpha")
        report = report_of(made.identifier, START + DAY, START + 39 * DAY)
    assert report.empty
    assert 0 < report.entries.whole_journal
    assert ((), ()) == (report.answers, report.identifications)


def test_the_first_instant_belongs_to_a_period_and_the_last_does_not():
    """`[start, end)`."""
    with story() as made:
        made.asked("a", "alpha")
        at = made.clock.now()
        inside = report_of(made.identifier, at, at + DAY)
        outside = report_of(made.identifier, at - DAY, at)
    assert (1, 0) == (len(inside.answers), len(outside.answers))


def test_a_question_belongs_to_the_period_in_which_it_was_asked():
    """What came of it later is told there."""
    with story() as made:
        made.answered_after("a", "alpha", 3 * DAY)
        made.wait(DAY)
        asked = report_of(made.identifier, START, START + DAY)
        answered = report_of(made.identifier, START + DAY, START + 9 * DAY)
    assert (1, 259_200.0) == (asked.answers[0].late, asked.answers[0].taken.longest)
    assert () == answered.answers


def test_entries_of_forgotten_users_are_counted_and_told():
    """What they tell is in no figure, and the report says that it is so."""
    with story() as made:
        made.asked("a", "alpha")
        made.wait(HOUR)
        made.asked("b", "beta")
        before = report_of(made.identifier, START, END)
        made.identifier.forget("b")
        made.wait(3 * DAY)
        report = report_of(made.identifier, START, END)
    assert 0 == before.entries.unreadable
    assert ["alpha", "beta"] == [each.operator for each in before.answers]
    assert ["alpha"] == [each.operator for each in report.answers]
    assert before.entries.count < report.entries.count == report.entries.whole_journal
    readable = report.entries.count - report.entries.unreadable
    assert 0 < readable < before.entries.count
    assert any("cannot be read" in each for each in remarks(report))


def test_unreadable_entries_count_where_their_neighbour_does():
    """To the period of the entry before them; of the first ones, of that after them."""
    with story() as made:
        made.asked("gone", "alpha")
        made.wait(DAY)
        made.asked("a", "alpha")
        made.wait(30 * DAY)
        made.asked("later", "alpha")
        made.identifier.forget("gone")
        made.wait(2 * DAY)
        middle = START + 10 * DAY
        early = report_of(made.identifier, START, middle)
        late = report_of(made.identifier, middle, END)
        whole = report_of(made.identifier, START, END)
    assert (1, early.entries.count + 1) == (early.entries.first, late.entries.first)
    assert 0 < early.entries.unreadable
    assert 0 < late.entries.unreadable
    assert whole.entries.unreadable == early.entries.unreadable + late.entries.unreadable
    assert whole.entries.whole_journal == early.entries.count + late.entries.count


def test_a_journal_of_which_nothing_can_be_read_is_not_called_empty():
    """Nothing can be said, and that is said."""
    with story() as made:
        made.asked("a", "alpha")
        made.identifier.forget("a")
        made.wait(3 * DAY)
        report = report_of(made.identifier, START, END)
    assert report.empty
    assert report.entries.unplaced == report.entries.whole_journal > 0
    assert "can be read" in headline(report)


def test_answers_that_nobody_asked_for_are_entries_of_nobody():
    """They are no users who were forgotten."""
    with story() as made:
        made.asked("a", "alpha")
        made.answer_to("no-such-query", "beta")
        report = report_of(made.identifier, START, END)
    assert (1, 0) == (report.entries.strangers, report.entries.unreadable)
    assert report.entries.whole_journal == report.entries.count


def test_a_period_that_is_not_over_is_said_to_be_so():
    """Figures as of now; at its last instant it is over."""
    with story() as made:
        made.asked("a", "alpha")
        now = made.clock.now()
        running = report_of(made.identifier, START, now + timedelta(microseconds=1))
        over = report_of(made.identifier, START - DAY, now)
    assert any("not over" in each for each in remarks(running))
    assert not any("not over" in each for each in remarks(over))


def test_days_are_told_as_days():
    """The last one included, as people say it."""
    with story() as made:
        days = report_of(made.identifier, START, END)
        hours = report_of(made.identifier, START, START + HOUR)
    assert "2026-10-01 to 2026-12-31, Moscow time" == period(days)
    assert "2026-10-01 00:00:00 MSK to 2026-10-01 01:00:00 MSK" == period(hours)


def test_an_asynchronous_identifier_is_reported_as_well():
    """The same journal, the same report."""
    with story() as made:
        made.asked("a", "alpha")
        mine = made.identifier
        engine = mine._engine
        other = AsyncIdentifier(
            messenger=engine.archive.terrain.messenger,
            storage=made.storage,
            keys=made.keys,
            possession=AsyncOneTimeCodes(made.sender),
            agreements=list(engine.archive.terrain.agreements),
            gateways=made.operators,
            router=made.router,
            clock=made.clock,
            unsafe_test_doubles=True,
        )
        assert report_of(mine, START, END) == report_of(other, START, END)
        assert "a" == user_at(other, 1)


def test_an_entry_that_tells_nothing_is_no_reason_to_fail():
    """It opens, and there is no event in it."""
    with story() as made:
        made.asked("a", "alpha")
        archive = made.identifier._engine.archive
        held = archive.user("a")
        assert held is not None
        key, body = held.row.subject_key, encode_entry((), None)
        sealed = archive.keyring.seal_entry(key, 99, body)
        made.storage.commit([Unit("m", appends=(Append(held.subject, 99, sealed),))])
        before = report_of(made.identifier, START, END).entries
    assert (before.whole_journal, before.readable + 1) == (before.count, before.count)


def test_a_closed_identifier_is_not_reported():
    """Its store is not there any more."""
    with story() as made:
        made.identifier.close()
        with pytest.raises(IdentifierClosed):
            report_of(made.identifier, START, END)


def test_the_rules_are_those_of_the_period_or_the_newest():
    """Also after the last rule set has ended; a set that was named stays."""
    with story(start=datetime(2021, 1, 1, tzinfo=UTC)) as made:
        titles = [
            report_of(made.identifier, *(datetime(year, 1, 1, tzinfo=UTC) for year in years))
            for years in ((2020, 2021), (2026, 2027), (2029, 2030))
        ]
        changed = instant_of("2022-03-01")
        titles.append(report_of(made.identifier, changed - DAY, changed))
    assert ["1279", "1801", "1801", "1279"] == [each.limits.source.split()[2] for each in titles]
    assert {(1_200.0, 86_400.0, 1_200.0)} == {
        (it.limits.answer, it.limits.notice, it.limits.reidentification) for it in titles
    }
    chosen = Policy(answer_within=HOUR, reidentify_within=2 * HOUR)
    with story(rules=DRAFT_2017, policy=chosen) as made:
        limits = report_of(made.identifier, START, END).limits
    assert (DRAFT_2017.title, 3_600.0, 7_200.0) == (
        limits.source,
        limits.answer,
        limits.reidentification,
    )

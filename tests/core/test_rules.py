"""Every figure and clause of the rule sets, and the instants at which they change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest

from abonent import DRAFT_2017, RESOLUTION_1279, RESOLUTION_1801, rules_in_force
from abonent.core.rules import MOSCOW, RULE_SETS, Cited, Rules, rules_by_id
from abonent.errors import InvalidValue, NaiveInstant, NoRulesInForce
from tests.core.samples import MICROSECOND

DRAFT = "draft of September 2017"
R1279 = "Resolution No. 1279 of 2018-10-27"
R1801 = "Resolution No. 1801 of 2021-10-20"
LAW = "Federal Law 149-FZ, art. 10.1"
TWENTY, DAY = timedelta(minutes=20), timedelta(hours=24)

# The table of domain.md, transcribed: a figure, and the document or clause that gives it.
FIGURES = {
    "consent_needed": ((False, DRAFT), (False, R1279), (False, R1801)),
    "domestic_by_itself": ((True, DRAFT), (True, f"{LAW} part 4.3"), (True, R1801)),
    "agreement_needed": (
        (True, DRAFT),
        (True, f"{LAW} part 4.2, item 1"),
        (True, f"{LAW} part 4.2, item 1"),
    ),
    "confirmed_by_action": ((None, DRAFT), (True, R1279), (True, R1801)),
    "answer_within": ((None, DRAFT), (TWENTY, R1279), (TWENTY, R1801)),
    "silence_is_not_passed": ((None, DRAFT), (True, R1279), (True, R1801)),
    "not_passed_cannot_send": ((None, DRAFT), (True, R1279), (True, R1801)),
    "operator_records": ((None, DRAFT), (True, R1279), (True, R1801)),
    "notice_within": ((DAY, DRAFT), (DAY, R1279), (DAY, R1801)),
    "reidentify_within": ((None, DRAFT), (TWENTY, R1279), (TWENTY, R1801)),
    "kept_only_in": (
        (None, DRAFT),
        ("RU", f"{LAW} part 4.3 ff."),
        ("RU", f"{LAW} part 4.3 ff."),
    ),
    "disclosure_needs_consent": ((None, DRAFT), (True, R1279), (True, R1801)),
}


def test_every_figure_is_in_the_table():
    """No figure of a rule set goes without its line here."""
    facts = {"id", "title", "starts", "ends"}
    assert set(Rules.__annotations__) - facts == set(FIGURES)
    assert (DRAFT_2017, RESOLUTION_1279, RESOLUTION_1801) == RULE_SETS
    assert [DRAFT, R1279, R1801] == [each.title for each in RULE_SETS]


@pytest.mark.parametrize("figure", FIGURES)
def test_figure(figure):
    """Each figure is that of the document, and cites it."""
    expected = tuple(Cited(value, source) for value, source in FIGURES[figure])
    assert expected == tuple(getattr(each, figure) for each in RULE_SETS)


def moscow(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=MOSCOW)


@pytest.mark.parametrize(
    ("at", "rules"),
    [
        (moscow(2019, 5, 5), RESOLUTION_1279),
        (moscow(2022, 3, 1) - MICROSECOND, RESOLUTION_1279),
        (moscow(2022, 3, 1), RESOLUTION_1801),
        (moscow(2028, 3, 1) - MICROSECOND, RESOLUTION_1801),
        (datetime(2022, 2, 28, 20, 59, 59, 999_999, tzinfo=UTC), RESOLUTION_1279),
        (datetime(2022, 2, 28, 21, 0, tzinfo=UTC), RESOLUTION_1801),
        (datetime(2022, 3, 1, 6, 0, tzinfo=timezone(timedelta(hours=9))), RESOLUTION_1801),
    ],
)
def test_in_force(at, rules):
    """Rule sets follow each other at 00:00 Moscow time, whatever zone the instant is told in."""
    assert rules is rules_in_force(at)


@pytest.mark.parametrize(
    "at",
    [
        moscow(2017, 10, 1),
        moscow(2019, 5, 5) - MICROSECOND,
        moscow(2028, 3, 1),
        datetime(2028, 2, 29, 21, 0, tzinfo=UTC),
    ],
)
def test_no_rules_in_force(at):
    """Before the first and after the last none is in force; the draft never is."""
    with pytest.raises(NoRulesInForce):
        rules_in_force(at)


def test_a_naive_instant_is_refused():
    """Which rules are in force cannot be told of an instant without a zone."""
    with pytest.raises(NaiveInstant):
        rules_in_force(datetime(2026, 1, 1))


def test_a_rule_set_without_an_end():
    """A rule set whose end is not set yet stays in force."""
    lasting = attrs.evolve(RESOLUTION_1801, ends=None)
    assert lasting.in_force(moscow(2099, 1, 1))
    assert not lasting.in_force(moscow(2022, 3, 1) - MICROSECOND)
    assert not DRAFT_2017.in_force(moscow(2026, 1, 1))


def test_by_id():
    """A rule set is found by its id, in force or not."""
    assert RULE_SETS == tuple(rules_by_id(each.id) for each in RULE_SETS)
    with pytest.raises(InvalidValue):
        rules_by_id("1234")


def test_moscow_is_three_hours_ahead():
    """Moscow has been at UTC+3 since 2014, winter and summer."""
    assert datetime(2019, 5, 4, 21, 0, tzinfo=UTC) == RESOLUTION_1279.starts
    assert datetime(2022, 2, 28, 21, 0, tzinfo=UTC) == RESOLUTION_1279.ends
    assert datetime(2028, 2, 29, 21, 0, tzinfo=UTC) == RESOLUTION_1801.ends

"""What a messenger may choose, within which bounds, and what it must."""

from __future__ import annotations

from datetime import timedelta

import pytest

from abonent import DRAFT_2017, RESOLUTION_1801, Policy
from abonent.core.policy import Terms, terms
from abonent.errors import InvalidValue, PolicyIncomplete
from tests.core.samples import DAY, HOUR, MICROSECOND, MINUTE, SECOND

TWENTY = 20 * MINUTE


def test_the_defaults_are_those_of_the_scenarios():
    """Six digits, ten minutes, five tries, 15 failures a day, a claim for 24 hours."""
    policy = Policy()
    assert (6, 10 * MINUTE, 5, 15, DAY) == (
        policy.code_length,
        policy.code_valid,
        policy.tries_per_code,
        policy.failures_per_day,
        policy.claim_valid,
    )
    assert (MINUTE, 2 * SECOND, SECOND, frozenset({"RU"})) == (
        policy.resend_after,
        policy.inline_wait,
        policy.settle_after,
        policy.regions,
    )


@pytest.mark.parametrize(
    ("figure", "least", "most"),
    [
        ("code_length", 6, 10),
        ("tries_per_code", 1, 10),
        ("failures_per_day", 1, 100),
        ("sends_per_user", 1, 1000),
        ("sends_per_number", 1, 1000),
    ],
)
def test_a_count_within_its_bounds(figure, least, most):
    """A count is taken within its bounds, inclusive, and refused by name beyond."""
    for value in (least, most):
        assert value == getattr(Policy(**{figure: value}), figure)
    for value in (least - 1, most + 1):
        with pytest.raises(InvalidValue, match=figure):
            Policy(**{figure: value})


@pytest.mark.parametrize(
    ("figure", "least", "most"),
    [("code_valid", SECOND, 10 * MINUTE), ("resend_after", SECOND, DAY)],
)
def test_a_time_within_its_bounds(figure, least, most):
    """A time with bounds is taken within them, inclusive, and refused by name beyond."""
    for value in (least, most):
        assert value == getattr(Policy(**{figure: value}), figure)
    for value in (least - MICROSECOND, most + MICROSECOND):
        with pytest.raises(InvalidValue, match=figure):
            Policy(**{figure: value})


@pytest.mark.parametrize(
    "figure",
    [
        "claim_valid",
        "answer_within",
        "reidentify_within",
        "inline_wait",
        "lease",
        "retry_first",
        "retry_longest",
        "debt_kept",
        "settle_after",
    ],
)
def test_a_time_is_longer_than_nothing(figure):
    """A time of nothing, or less, is refused by name."""
    assert SECOND == getattr(Policy(**{figure: SECOND}), figure)
    for value in (timedelta(0), -SECOND):
        with pytest.raises(InvalidValue, match=figure):
            Policy(**{figure: value})


def test_a_policy_fills_gaps_only():
    """No policy overrules a statutory figure; the draft's open figures are the policy's."""
    policy = Policy(answer_within=HOUR, reidentify_within=DAY)
    statutory = Terms(rules="1801", answer_within=TWENTY, reidentify_within=TWENTY)
    assert statutory == terms(RESOLUTION_1801, policy) == terms(RESOLUTION_1801, Policy())
    chosen = Terms(rules="draft-2017", answer_within=HOUR, reidentify_within=DAY)
    assert chosen == terms(DRAFT_2017, policy)


@pytest.mark.parametrize(
    ("policy", "figure"),
    [
        (Policy(reidentify_within=HOUR), "answer_within"),
        (Policy(answer_within=HOUR), "reidentify_within"),
    ],
)
def test_what_is_missing_is_named(policy, figure):
    """The figure that neither gives is named (S31)."""
    with pytest.raises(PolicyIncomplete, match=f"Policy.{figure}") as refused:
        terms(DRAFT_2017, policy)

    assert figure == refused.value.figure

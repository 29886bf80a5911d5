"""A plan is read from a file of the registry, and looked up."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Operator
from abonent.errors import InvalidValue, NumberingPlanError
from abonent.ports import NumberRouter, Unrouted
from abonent.routing import NumberingPlan, NumberRange, RejectedLine
from tests.routing.files import HEAD, OPERATORS, Span, lines_of, number, row

NAMES = {'ПАО "Альфа"': "alpha", "БЕТА  МОБАЙЛ": "beta", "ООО Гамма": None}


@st.composite
def disjoint_spans(draw):
    """Ranges that do not overlap, in any order, some of them touching; none crosses a code."""
    spans = []
    for code in draw(st.lists(st.integers(900, 903), unique=True, min_size=1)):
        cuts = draw(st.sets(st.integers(0, 40), min_size=2, max_size=12))
        edges = sorted(cuts)
        for low, high in itertools.pairwise(edges):
            if draw(st.booleans()) or not spans:
                base = code * 10_000_000
                name = draw(st.sampled_from(sorted(NAMES)))
                spans.append(Span(base + low, base + high - 1, name))
    return draw(st.permutations(spans))


def naive(spans, national):
    """Look at every range."""
    for span in spans:
        if span.start <= national <= span.end:
            return NAMES[span.name] or Unrouted.UNKNOWN_OPERATOR
    return Unrouted.UNKNOWN_RANGE


@given(disjoint_spans())
def test_look_up_agrees_with_looking_at_every_range(spans):
    """Every number is served as a linear search through the file says."""
    plan = NumberingPlan.read(lines_of(spans), operators=OPERATORS)
    for code in range(899, 905):
        for last in [*range(-1, 43), 9_999_998]:
            national = code * 10_000_000 + last
            assert plan.serving(number(national)) == naive(spans, national)


@given(disjoint_spans())
def test_ranges_are_those_of_the_file_in_ascending_order(spans):
    """What is iterated is what was read."""
    plan = NumberingPlan.read(lines_of(spans), operators=OPERATORS)
    expected = [
        NumberRange(
            code=str(start // 10_000_000),
            first=start % 10_000_000,
            last=end % 10_000_000,
            operator=NAMES[name],
            name=name,
            region="г. Москва",
        )
        for start, end, name in sorted(spans)
    ]
    assert list(plan.ranges()) == expected


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 8)), min_size=1, max_size=12))
def test_exactly_the_ranges_that_overlap_another_are_left_out(pairs):
    """Whatever the order and nesting, a range stays if and only if it meets no other."""
    spans = [Span(9000000000 + a, 9000000000 + a + size, "Alpha") for a, size in pairs]
    alone = [
        span
        for at, span in enumerate(spans)
        if not any(
            span.start <= other.end and other.start <= span.end
            for by, other in enumerate(spans)
            if by != at
        )
    ]
    lines = [*lines_of(spans), row(999, 0, 9, "Alpha")]
    plan = NumberingPlan.read(lines, operators=OPERATORS, on_error="skip")
    kept = [9000000000 + each.first for each in plan.ranges() if each.code == "900"]
    assert kept == sorted(span.start for span in alone)
    assert len(plan.rejected) == len(spans) - len(alone)


def test_overlapping_ranges_name_both_lines():
    """The error is at the later line and names the earlier one, whatever their order by number."""
    lines = [HEAD, row(900, 500, 900, "Alpha"), row(901, 0, 9, "Alpha"), row(900, 0, 500, "Alpha")]
    with pytest.raises(NumberingPlanError, match="line 4: the range overlaps that of line 2") as at:
        NumberingPlan.read(lines, operators=OPERATORS, name="plan.csv")
    assert (at.value.file, at.value.line) == ("plan.csv", 4)


def test_neither_of_two_overlapping_ranges_is_believed():
    """With bad lines left out, a contradiction leaves the numbers of both without an operator."""
    lines = [HEAD, row(900, 0, 500, "Alpha"), row(900, 500, 900, "Alpha"), row(901, 0, 9, "Alpha")]
    plan = NumberingPlan.read(lines, operators=OPERATORS, on_error="skip", name="plan.csv")
    assert Unrouted.UNKNOWN_RANGE is plan.serving(number(9000000001))
    assert plan.serving(number(9010000001)) == "alpha"
    assert plan.rejected == (
        RejectedLine(file="plan.csv", line=2, reason="the range overlaps that of line 3"),
        RejectedLine(file="plan.csv", line=3, reason="the range overlaps that of line 2"),
    )


def test_a_plan_is_a_number_router():
    """A plan goes wherever the port is asked for."""
    router: NumberRouter = NumberingPlan.sample(operators=OPERATORS)
    assert Unrouted.UNKNOWN_RANGE is router.serving(SubscriberNumber("+79990000000"))


@pytest.mark.parametrize("e164", ["+77010000001", "+4915112345678", "+998901234567", "+790000"])
def test_a_number_from_elsewhere_is_in_no_range(e164):
    """Kazakhstan shares +7 with Russia and is not in its plan; nor is any other country."""
    lines = [HEAD, *(row(code, 0, 9_999_999, "Alpha") for code in (900, 901, 499, 800))]
    plan = NumberingPlan.read(lines, operators=OPERATORS)
    assert Unrouted.UNKNOWN_RANGE is plan.serving(SubscriberNumber(e164))


@pytest.mark.parametrize(
    "spelling",
    [
        'ПАО "Бета Ёлка"',
        "пао «бета елка»",
        'Публичное акционерное  общество "Бета Ёлка"',
        "  БЕТА\u00a0ЁЛКА ",
        'ООО ""Бета Елка""',
        "Общество с ограниченной ответственностью Бета Ёлка",
    ],
)
def test_an_operator_is_recognised_however_it_is_spelled(spelling):
    """Case, quotes, spaces and the legal form do not tell two spellings apart."""
    beta = Operator(id="beta", names=("Бета Ёлка",))
    plan = NumberingPlan.read([row(900, 0, 9, spelling)], operators=[beta])
    assert plan.serving(number(9000000005)) == "beta"


@pytest.mark.parametrize(
    "spelling", ["Бета", "ПАО", "АО", "beta", "Бета Ёлка Плюс", "ПАОБета Ёлка"]
)
def test_an_operator_is_never_guessed(spelling):
    """A name that is only alike, or an operator's id, is an unknown operator."""
    beta = Operator(id="beta", names=("Бета Ёлка",))
    plan = NumberingPlan.read([row(900, 0, 9, spelling)], operators=[beta])
    assert Unrouted.UNKNOWN_OPERATOR is plan.serving(number(9000000005))
    assert [(None, spelling)] == [(each.operator, each.name) for each in plan.ranges()]


@pytest.mark.parametrize(
    "operators",
    [
        (Operator(id="a", names=("Alpha",)), Operator(id="b", names=("ООО «ALPHA»",))),
        (Operator(id="a", names=("Alpha",)), Operator(id="a", names=("Beta",))),
        (Operator(id="a", names=("«»",)),),
    ],
    ids=["one name for two", "one id for two", "empty name"],
)
def test_operators_that_cannot_be_told_apart_are_refused(operators):
    """Two operators never share an id or a name, and no name is empty."""
    with pytest.raises(InvalidValue):
        NumberingPlan.read([row(900, 0, 9, "Alpha")], operators=operators)


def test_one_operator_may_list_two_spellings_of_one_name():
    """Saying the same twice is no contradiction."""
    alpha = Operator(id="a", names=("Alpha", "ООО ALPHA"))
    plan = NumberingPlan.read([row(900, 0, 9, "alpha")], operators=[alpha])
    assert plan.serving(number(9000000000)) == "a"


@pytest.mark.parametrize("dash", ["-", "–", "—", "", "  "])
def test_a_region_that_is_not_given_is_empty(dash):
    """The registry writes a dash where it has no region."""
    plan = NumberingPlan.read([row(900, 0, 9, "Alpha", dash)], operators=OPERATORS)
    assert [each.region for each in plan.ranges()] == [""]


def test_a_plan_shows_no_number():
    """The repr counts ranges, ported numbers and rejected lines, and that is all (I9)."""
    lines = [HEAD, row(900, 0, 9, "Alpha"), "bad"]
    plan = NumberingPlan.read(
        lines, operators=OPERATORS, on_error="skip", ported=["9000000001;beta"]
    )
    assert repr(plan) == "NumberingPlan(1 ranges, 1 ported numbers, 1 rejected lines)"
    assert str(plan) == repr(plan)


def test_a_large_plan_is_looked_up_as_a_small_one():
    """Thirty thousand ranges in file order or shuffled serve every edge alike."""
    spans = [
        Span(start, start + 33_332, "Alpha" if start % 2 else "Бета Мобайл")
        for code in range(900, 1000)
        for start in range(code * 10_000_000, code * 10_000_000 + 9_990_000, 33_333)
    ]
    shuffled = random.Random(0).sample(spans, len(spans))
    plans = [NumberingPlan.read(lines_of(each), operators=OPERATORS) for each in (spans, shuffled)]
    for span in spans[::97]:
        expected = "alpha" if span.start % 2 else "beta"
        for plan in plans:
            assert {expected} == {plan.serving(number(each)) for each in (span.start, span.end)}

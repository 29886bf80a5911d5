"""A ported number is served by the operator it was ported to, whatever its range says."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent.errors import NumberingPlanError
from abonent.ports import Unrouted
from abonent.routing import NumberingPlan, RejectedLine
from tests.routing.files import HEAD, OPERATORS, number, row

PLAN = [HEAD, row(900, 0, 9_999_999, "Alpha"), row(901, 0, 9_999_999, "Бета Мобайл")]
SERVED = {"alpha": "alpha", "ООО «БЕТА МОБАЙЛ»": "beta", "nobody": Unrouted.UNKNOWN_OPERATOR}


def plan_with(*ported, on_error="raise"):
    return NumberingPlan.read(
        PLAN, operators=OPERATORS, ported=ported, on_error=on_error, ported_name="ported.csv"
    )


@given(
    st.dictionaries(
        st.integers(9_000_000_000, 9_000_000_060) | st.integers(9_000_000_000, 9_999_999_999),
        st.sampled_from(sorted(SERVED)),
        max_size=40,
    ),
    st.randoms(use_true_random=False),
)
def test_every_number_is_served_as_the_two_files_say(ported, shuffle):
    """The list decides for the numbers in it and for no other."""
    lines = [f"{each};{operator}" for each, operator in ported.items()]
    shuffle.shuffle(lines)
    plan = plan_with(*lines)
    for each in {*ported, *(near + 1 for near in ported), *range(9000000000, 9000000062)}:
        if each > 9_999_999_999:
            continue
        by_range = {900: "alpha", 901: "beta"}.get(each // 10_000_000, Unrouted.UNKNOWN_RANGE)
        expected = SERVED[ported[each]] if each in ported else by_range
        assert plan.serving(number(each)) == expected


@pytest.mark.parametrize(
    "spelling",
    ["+79000000001", "79000000001", "89000000001", "9000000001", "  +79000000001\t"],
)
def test_a_ported_number_may_be_written_in_every_plain_form(spelling):
    """Plus seven, seven, eight or nothing before the ten digits name one number (P9)."""
    assert plan_with(f"{spelling};beta").serving(number(9000000001)) == "beta"


def test_an_operator_is_named_by_id_or_by_spelling():
    """Both columns of the world are understood, and further columns are left alone."""
    plan = plan_with(
        "9000000001;beta;2024-05-01;x", "9000000002; бета   мобайл ", "9010000001;Alpha"
    )
    served = [plan.serving(number(each)) for each in (9000000001, 9000000002, 9010000001)]
    assert served == ["beta", "beta", "alpha"]


def test_a_number_ported_to_an_unknown_operator_is_not_left_with_the_old_one():
    """The range no longer tells who serves it, so nobody is asked in error (P18)."""
    assert Unrouted.UNKNOWN_OPERATOR is plan_with("9000000001;Гамма").serving(number(9000000001))


def test_a_ported_number_needs_no_range():
    """The list alone is enough to route a number that the plan does not know."""
    assert plan_with("9990000001;alpha").serving(number(9990000001)) == "alpha"


BAD = {
    "short": ("900000001;beta", "the first column is not a Russian mobile number"),
    "fixed line": ("+74950000001;beta", "the first column is not a Russian mobile number"),
    "Kazakhstan": ("+77010000001;beta", "the first column is not a Russian mobile number"),
    "plus eight": ("+89000000001;beta", "the first column is not a Russian mobile number"),
    "Arabic digits (P8)": ("٩٠٠٠٠٠٠٠٠١;beta", "the first column is not a Russian mobile number"),
    "not a number": ("number;operator", "the first column is not a Russian mobile number"),
    "one column": ("9000000077", "no operator in the second column"),
    "no operator": ("9000000077; ;beta", "no operator in the second column"),
    "contradiction": ("9000000001;alpha", "another operator for the same number than in line 2"),
}


@pytest.mark.parametrize(("line", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_line_names_file_and_line_but_no_number(line, reason):
    """The error says where and why; the number stays in the file (I9)."""
    with pytest.raises(NumberingPlanError) as caught:
        plan_with("number;operator", "9000000001;beta", line)
    assert str(caught.value) == f"[NUMBERING_PLAN] ported.csv, line 3: {reason}"
    assert (caught.value.file, caught.value.line) == ("ported.csv", 3)


@pytest.mark.parametrize(("line", "reason"), BAD.values(), ids=BAD.keys())
def test_good_lines_are_kept_if_told_to(line, reason):
    """With on_error="skip" the bad line is listed and the others are in force."""
    plan = plan_with("9000000002;beta", "9000000001;beta", line, on_error="skip")
    assert plan.serving(number(9000000002)) == "beta"
    assert RejectedLine(file="ported.csv", line=3, reason=reason) == plan.rejected[-1]


def test_no_line_of_a_contradiction_is_believed():
    """All lines of a number in dispute are left out, each naming one that says otherwise."""
    lines = ["9000000001;alpha", "9000000001;beta", "9000000001;Alpha", "9000000009;beta"]
    plan = plan_with(*lines, on_error="skip")
    assert [(each.line, each.reason.split()[-1]) for each in plan.rejected] == [
        (1, "2"),
        (2, "1"),
        (3, "2"),
    ]
    assert [plan.serving(number(each)) for each in (9000000001, 9000000009)] == ["alpha", "beta"]


def test_the_same_line_twice_is_no_contradiction():
    """Two exports put together may repeat themselves, by id and by spelling."""
    plan = plan_with("9000000001;beta", "89000000001;Бета Мобайл")
    assert plan.serving(number(9000000001)) == "beta"
    assert "1 ported" in repr(plan)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
@pytest.mark.parametrize("head", ["", "# список\r\n\r\n", "номер;оператор\r\n"])
def test_both_files_are_read_in_the_same_encodings(tmp_path, encoding, head):
    """BOM, CRLF, comments and a head are as welcome as in the plan."""
    plan, ported = tmp_path / "plan.csv", tmp_path / "ported.csv"
    plan.write_text("\n".join(PLAN), encoding="utf-8")
    ported.write_bytes(f"{head}9000000001;Бета Мобайл\r\n".encode(encoding))
    router = NumberingPlan.load(plan, operators=OPERATORS, ported=ported)
    assert router.serving(number(9000000001)) == "beta"


def test_bad_lines_of_both_files_are_listed_in_order():
    """Those of the plan come first, then those of the ported numbers, each by line."""
    plan = NumberingPlan.read(
        [*PLAN, "bad", row(901, 5, 9, "Alpha"), "worse"],
        operators=OPERATORS,
        on_error="skip",
        ported=["9000000001;beta", "x1", "9000000001;alpha"],
    )
    places = [(each.file, each.line) for each in plan.rejected]
    assert places == [
        *(("numbering plan", line) for line in (3, 4, 5, 6)),
        *(("ported numbers", line) for line in (1, 2, 3)),
    ]


def test_nothing_that_is_kept_shows_a_number():
    """No repr of whatever a plan holds has a ported number in it (I9)."""
    plan = plan_with("9000012345;beta", "9000054321;alpha")
    shown = " ".join([repr(plan), *map(repr, gc.get_referents(plan))])
    assert "PortedNumbers(2)" in shown
    assert "12345" not in shown
    assert "54321" not in shown

"""A bad line is named by file and line; the good ones are kept only if told to."""

import codecs

import pytest

from abonent.errors import InvalidValue, NumberingPlanError
from abonent.routing import NumberingPlan, RejectedLine
from tests.routing.files import HEAD, OPERATORS, number, row

GOOD = row(900, 0, 9, "ПАО «Альфа»")
BAD = {
    "too few columns": ("901;0000000;0000009;10;Alpha", "5 columns, where at least 6 are needed"),
    "no columns": ("garbage", "1 columns, where at least 6 are needed"),
    "quoted code": ('"901";0000000;0000009;10;Alpha;-', "the code is not"),
    "short code": ("91;0000000;0000009;10;Alpha;-", "the code is not"),
    "code of Kazakhstan": ("701;0000000;0000009;10;Alpha;-", "the code is not"),
    "Arabic digits (P8)": ("٩٠١;0000000;0000009;10;Alpha;-", "the code is not"),
    "underscore (P8)": ("901;0_0;0000009;10;Alpha;-", "from and to are not"),
    "from with a sign": ("901;+0;0000009;10;Alpha;-", "from and to are not"),
    "from of eight digits": ("901;00000000;0000009;10;Alpha;-", "from and to are not"),
    "no end": ("901;0000000;;10;Alpha;-", "from and to are not"),
    "backwards": ("901;0000009;0000000;10;Alpha;-", "the range ends before it begins"),
    "capacity too small": ("901;0000000;0000009;9;Alpha;-", "the capacity is not"),
    "capacity not a number": ("901;0000000;0000009;ten;Alpha;-", "the capacity is not"),
    "no capacity": ("901;0000000;0000009;;Alpha;-", "the capacity is not"),
    "no operator": ("901;0000000;0000009;10; ;-", "no operator"),
    "comment after the first row": ("# 901;0000000;0000009;10;Alpha;-", "the code is not"),
    "a second head": (HEAD, "the code is not"),
}

every_kind = pytest.mark.parametrize(("line", "reason"), BAD.values(), ids=BAD.keys())


@every_kind
def test_a_bad_line_names_file_and_line(tmp_path, line, reason):
    """The first bad line stops the reading, and the error says where it is, and why."""
    file = tmp_path / "DEF-9xx.csv"
    file.write_text("\n".join([HEAD, GOOD, "", line, "another"]), encoding="utf-8")
    with pytest.raises(NumberingPlanError) as caught:
        NumberingPlan.load(file, operators=OPERATORS)
    assert f"[NUMBERING_PLAN] {file}, line 4: {reason}" in str(caught.value)
    assert (caught.value.file, caught.value.line) == (str(file), 4)


@every_kind
def test_good_lines_are_kept_if_told_to(line, reason):
    """With on_error="skip" the bad line is listed with its reason and the others serve."""
    lines = [HEAD, GOOD, "", line, row(902, 0, 9, "Alpha")]
    plan = NumberingPlan.read(lines, operators=OPERATORS, on_error="skip", name="p.csv")
    assert {plan.serving(number(each)) for each in (9000000009, 9020000009)} == {"alpha"}
    [rejected] = plan.rejected
    assert (rejected.file, rejected.line) == ("p.csv", 4)
    assert reason in rejected.reason


@every_kind
def test_a_reason_never_quotes_the_line(line, reason):
    """Only the place and the kind of fault are told, for a line may hold a number (I9)."""
    plan = NumberingPlan.read([GOOD, line], operators=OPERATORS, on_error="skip")
    assert line not in repr(plan.rejected)
    assert "000000" not in repr(plan.rejected)
    assert reason in repr(plan.rejected)


@pytest.mark.parametrize(
    "head",
    [
        "Оператор;АВС/ DEF;От;До;Емкость;Регион",
        "Code;From;To;Capacity;Operator;Region",
        "<!DOCTYPE html>",
        HEAD.encode().decode("cp1251", "replace"),
    ],
    ids=["another order", "another language", "a web page", "garbled"],
)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_file_with_other_columns_is_refused_whole(head, on_error):
    """Where the head is not that of the registry no line can be trusted, asked to skip or not."""
    with pytest.raises(NumberingPlanError, match="line 1: the columns are not") as caught:
        NumberingPlan.read([head, GOOD], operators=OPERATORS, on_error=on_error)
    assert caught.value.line == 1


@pytest.mark.parametrize("lines", [[], [HEAD], ["# only a comment"], [HEAD, "bad"]])
def test_a_file_without_a_range_is_refused(lines):
    """A plan that knows no number would refuse every user; it is not built."""
    with pytest.raises(NumberingPlanError, match=r"p\.csv: no range of numbers") as caught:
        NumberingPlan.read(lines, operators=OPERATORS, on_error="skip", name="p.csv")
    assert caught.value.line is None


@pytest.mark.parametrize("missing", ["plan", "ported"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, missing):
    """A file that is missing, or a folder, is an error with its path."""
    plan = tmp_path / "plan.csv"
    plan.write_text(GOOD, encoding="utf-8")
    files = {"plan": plan, "ported": plan, missing: tmp_path / "not-there.csv"}
    with pytest.raises(NumberingPlanError, match="cannot be read") as caught:
        NumberingPlan.load(files["plan"], operators=OPERATORS, ported=files["ported"])
    assert str(files[missing]) == caught.value.file
    with pytest.raises(NumberingPlanError, match="cannot be read"):
        NumberingPlan.load(tmp_path, operators=OPERATORS)


def test_on_error_is_raise_or_skip():
    """A misspelled choice is refused; it does not quietly mean one of the two."""
    with pytest.raises(InvalidValue):
        NumberingPlan.read([GOOD], operators=OPERATORS, on_error="ignore")


ENCODINGS = {
    "UTF-8": "utf-8",
    "UTF-8 with BOM": "utf-8-sig",
    "cp1251": "cp1251",
}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS.keys())
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("head", [[HEAD], [], ["# comment", "#", "", HEAD]])
def test_every_usual_encoding_reads_the_same(tmp_path, encoding, end, head):
    """UTF-8 or cp1251, BOM or none, CRLF or LF, head, comments or neither: one plan."""
    file = tmp_path / "plan.csv"
    rows = [row(900, 0, 9, "ПАО «Альфа»", "Ростовская обл."), row(901, 0, 9, "Бета Мобайл", "-")]
    file.write_bytes(end.join([*head, *rows]).encode(encoding))
    plan = NumberingPlan.load(str(file), operators=OPERATORS)
    assert [(each.operator, each.name, each.region) for each in plan.ranges()] == [
        ("alpha", "ПАО «Альфа»", "Ростовская обл."),
        ("beta", "Бета Мобайл", ""),
    ]


def test_padded_columns_are_read():
    """Older files pad the columns with spaces or tabs and do not pad the digits with zeros."""
    line = '900\t;   0 ;\t999  ;  1000 ;   Открытое акционерное общество "Альфа"  ;  Москва'
    plan = NumberingPlan.read([line], operators=OPERATORS)
    assert next((each.operator, each.region) for each in plan.ranges()) == ("alpha", "Москва")
    assert plan.serving(number(9000000999)) == "alpha"


def test_a_damaged_line_does_not_change_the_encoding(tmp_path):
    """In a UTF-8 file a broken name is a bad line, not a name in another encoding."""
    file = tmp_path / "plan.csv"
    broken = row(901, 0, 9, "Альфа").encode()[:-40] + b"\xd0;-"
    file.write_bytes(b"\n".join([HEAD.encode(), broken, GOOD.encode()]))
    with pytest.raises(NumberingPlanError, match="line 2: bytes that are not") as caught:
        NumberingPlan.load(file, operators=OPERATORS)
    # The decoder's own error would carry the bytes of the line.
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    plan = NumberingPlan.load(file, operators=OPERATORS, on_error="skip")
    assert [each.line for each in plan.rejected] == [2]
    assert plan.serving(number(9000000000)) == "alpha"


def test_a_byte_that_cp1251_does_not_have_is_a_bad_line(tmp_path):
    """The one gap of cp1251 is not read as anything."""
    file = tmp_path / "plan.csv"
    bad = row(901, 0, 9, "Альфа").encode("cp1251").replace("ф".encode("cp1251"), b"\x98")
    file.write_bytes(b"\n".join([HEAD.encode("cp1251"), bad, GOOD.encode("cp1251")]))
    plan = NumberingPlan.load(file, operators=OPERATORS, on_error="skip")
    expected = "bytes that are not in the encoding of the file"
    assert (RejectedLine(file=str(file), line=2, reason=expected),) == plan.rejected


def test_utf_16_is_refused(tmp_path):
    """A spreadsheet's "Unicode text" is not read as garbage."""
    file = tmp_path / "plan.csv"
    file.write_bytes(codecs.BOM_UTF16_LE + f"{HEAD}\n{GOOD}".encode("utf-16-le"))
    with pytest.raises(NumberingPlanError):
        NumberingPlan.load(file, operators=OPERATORS, on_error="skip")

"""The page of a report, read as text, and the same figures as JSON."""

from __future__ import annotations

import json
import re
from functools import cache

import attrs
import pytest

from abonent.compliance import (
    AgreementEnd,
    DueItem,
    DueKind,
    FeedHeard,
    Register,
    Report,
    Unwatched,
    UnwatchedUsers,
    report_of,
)
from abonent.compliance.as_json import as_object
from abonent.compliance.coverage import Coverage
from abonent.compliance.page import page
from abonent.compliance.proceeding.events import EnteredInRegister, NoticeDrawnUp
from abonent.compliance.sentences import DEFINITIONS, remarks
from abonent.compliance.tables import tables
from abonent.simulation import Reply
from tests.cli.test_report import Read
from tests.compliance.stories import DAY, END, START, quarter, story

HOSTILE = '<script>alert("$x$")</script>&amp;\x1b[31m\N{RIGHT-TO-LEFT OVERRIDE}'


@cache
def full() -> Report:
    with story() as made:
        quarter(made)
        return report_of(made.identifier, START, END)


@cache
def empty() -> Report:
    with story() as made:
        return report_of(made.identifier, START, END)


@cache
def hostile() -> Report:
    """Everything that somebody else may have named, named by somebody who means harm."""

    def named(records, **more):
        return tuple(attrs.evolve(each, operator=HOSTILE, **more) for each in records)

    was = full()
    item = DueItem(
        at=START,
        latest=END,
        kind=DueKind.REMEDY_ORDERED,
        what=HOSTILE,
        operator=HOSTILE,
        about=HOSTILE,
        count=1,
        source=HOSTILE,
    )
    ending = AgreementEnd(
        agreement=HOSTILE, operator=HOSTILE, ends=END, users=1, followed_by=HOSTILE
    )
    return attrs.evolve(
        was,
        messenger=HOSTILE,
        limits=attrs.evolve(was.limits, source=HOSTILE),
        late=named(was.late),
        identifications=named(was.identifications),
        answers=named(was.answers),
        notices=named(was.notices),
        reidentifications=named(was.reidentifications),
        exposures=named(was.exposures),
        cases=named(was.cases, subject=HOSTILE, number=HOSTILE),
        calendar=(item,),
        outlook=attrs.evolve(
            was.outlook,
            agreements=(ending,),
            unwatched=(
                UnwatchedUsers(operator=HOSTILE, users=1, why=Unwatched.NO_GATEWAY, since=None),
            ),
            feeds=(FeedHeard(operator=HOSTILE, heard_at=None, silent=True, users=1),),
        ),
        coverage=Coverage(origin=HOSTILE, size=1, root=HOSTILE, published_at=None, uncovered=5),
    )


REPORTS = pytest.mark.parametrize("report", [full, empty, hostile])


@REPORTS
def test_the_page_asks_for_nothing_and_runs_nothing(report):
    """No script, no address, no link, and a policy that forbids the rest."""
    text = page(report())
    assert not re.findall(r"(?:https?:)?//[a-z]", text)
    assert not re.findall(r"url\((?!#)|@import|javascript:", text)
    found = Read(text)
    assert not {"script", "link", "img", "image", "iframe", "a", "form"} & {
        tag for tag, _ in found.elements
    }
    for _, attributes in found.elements:
        assert not any(each.startswith("on") or each in {"src", "srcset"} for each in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    (policy,) = [each for each in found.all("meta") if "http-equiv" in each]
    assert (policy["content"] or "").startswith("default-src 'none';")


@REPORTS
def test_no_id_is_there_twice(report):
    """Plots and tables have names of their own."""
    text = page(report())
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert sorted(set(ids)) == sorted(ids)
    assert set(re.findall(r'(?:url\(|href=")#([\w-]+)', text)) <= set(ids)


def test_what_others_have_named_is_text():
    """Tags are shown as they are; what would move a cursor or turn the line is not."""
    text = page(hostile())
    found = Read(text)
    assert [] == found.all("script")
    assert 20 < found.text.count('<script>alert("$x$")</script>&amp;')
    assert not {"\x1b", "\N{RIGHT-TO-LEFT OVERRIDE}"} & set(text)


def test_every_figure_of_the_tables_is_on_the_page():
    """Terminal and page show the same tables."""
    shown = Read(page(full())).text
    for each in tables(full()):
        assert each.title in shown
        assert each.says in shown
        for row in each.rows:
            for cell in row:
                assert cell.words in shown, each.name
    for each in (*remarks(full()), *DEFINITIONS.values()):
        assert each in shown


def test_a_late_operator_is_marked():
    """In its rows, and in nobody else's."""
    rows = [row for each in tables(full()) if each.name == "answers" for row in each.rows]
    assert ["beta"] == [row[0].words for row in rows if row[0].bad]
    assert ["beta"] == [row[0].words for row in rows if any(cell.bad for cell in row)]
    assert '<th scope="row" class="bad">beta</th>' in page(full())
    assert "beta (late)" in page(full())
    assert "alpha (late)" not in page(full())


def test_a_page_without_data_says_so_and_draws_nothing():
    """No plot, no table of the period; what is to be done is there."""
    found = Read(page(empty()))
    assert "There is no data: the journal has no entry of this period." in found.text
    assert [] == found.all("svg")
    assert "In the period" not in found.text
    assert "To be done" in found.text


def test_a_page_where_all_is_well_is_not_red():
    """Its body says which it is."""
    with story() as made:
        made.asked("a", "alpha")
        good = page(report_of(made.identifier, START, END))
        for said in ("No notice came that says when", "No gate stood open for a number"):
            assert said in good
    assert '<body class="good-news">' in good
    assert '<body class="bad-news">' in page(full())
    assert '<body class="">' in page(empty())


def test_questions_that_are_open_are_drawn_nowhere():
    """An answer that is not due yet is neither late nor in time."""
    with story() as made:
        made.asked("a", "alpha", Reply.LATER)
        assert "No answer was due." in page(report_of(made.identifier, START, END))


def test_many_operators_are_drawn_the_worst_first():
    """Six of them; the tables have all, and long names are cut in plots only."""
    names = tuple(f"operator-with-a-long-name-{place}" for place in range(9))
    with story(gateways=names) as made:
        for place, each in enumerate(names):
            made.asked(f"user-{place}", each, Reply.SILENCE if place == 8 else Reply.HELD)
        made.wait(3 * DAY)
        for place in range(8):
            made.notice(f"user-{place}", ago=DAY)
        text = page(report_of(made.identifier, START, END))
    assert 3 == Read(text).text.count("The 6 worst of") - text.count("<desc ")
    assert "The 6 worst of 9 operators" in text
    assert "operator-with-a-l… (late)" in text
    for each in names:
        assert each in text


def test_the_evidence_is_told():
    """Size, root, time, and what is not covered."""
    covered = Coverage(
        origin="example.com/abonent", size=1_234, root="ab" * 32, published_at=END, uncovered=0
    )
    whole = Read(page(attrs.evolve(full(), coverage=covered))).text
    for each in ("example.com/abonent", "1,234", "ab" * 32, "2027-01-01 00:00:00 MSK"):
        assert each in whole
    assert "every entry" in whole
    part = attrs.evolve(covered, uncovered=7, published_at=None)
    some = Read(page(attrs.evolve(full(), coverage=part))).text
    assert "all but 7 entries" in some
    assert "not known" in some
    assert "No checkpoint was given" in Read(page(full())).text


def test_the_register_is_told_where_it_was_given():
    """The entry, and where each proceeding stands."""
    register = Register(messenger="m")
    assert "nothing is known" in page(attrs.evolve(full(), register=register))
    register = register.after(EnteredInRegister(on=START.date()))
    entered = page(attrs.evolve(full(), register=register))
    assert "in the register since 2026-09-30" in entered
    assert "There is no proceeding." in entered
    register = register.after(NoticeDrawnUp(on=END.date(), case="7-26"))
    found = Read(page(attrs.evolve(full(), register=register))).text
    assert "7-26" in found
    assert "notice drawn" in found
    assert "Register and proceedings" not in page(full())


def test_one_report_is_one_page():
    """No random id: the same report gives the same bytes."""
    assert page(full()) == page(full())


# --- JSON ----------------------------------------------------------------------------


@REPORTS
def test_the_object_is_json(report):
    """Nothing in it but texts, numbers, lists and objects."""
    made = as_object(report())
    assert made == json.loads(json.dumps(made, allow_nan=False))


KEYS = {
    "schema": 1,
    "messenger": "m",
    "from": "2026-09-30T21:00:00+00:00",
    "to": "2026-12-31T21:00:00+00:00",
    "running": True,
    "empty": False,
}


def test_the_schema_is_stable():
    """These keys are what others rely on; a change of them is a new schema."""
    made = as_object(full())
    assert KEYS == {key: made[key] for key in KEYS}
    assert [
        "schema",
        "messenger",
        "from",
        "to",
        "as_of",
        "running",
        "empty",
        "limits",
        "verdict",
        "entries",
        "identifications",
        "ended",
        "answers",
        "notices",
        "reidentifications",
        "exposures",
        "cases",
        "agreements_ending",
        "unwatched",
        "feeds",
        "users_without_operator",
        "ends_within",
        "silent_after",
        "calendar",
        "register",
        "checkpoint",
    ] == list(made)
    beta = made["answers"][1]
    assert list(beta) == [
        "operator",
        "asked",
        "in_time",
        "late",
        "never",
        "overtaken",
        "open",
        "failed_calls",
        "taken",
    ]
    assert ["count", "median", "p95", "longest"] == list(beta["taken"])
    assert ["answer", "notice", "reidentification"] == list(made["cases"])
    assert {"operator_answer"} == {each["method"] for each in made["identifications"]}


def test_the_object_holds_the_register_and_the_checkpoint():
    """Both are null where none was given."""
    made = as_object(full())
    assert (None, None) == (made["register"], made["checkpoint"])
    register = Register(messenger="m").after(EnteredInRegister(on=START.date()))
    register = register.after(NoticeDrawnUp(on=END.date(), case="7-26"))
    given = as_object(attrs.evolve(hostile(), register=register))
    assert given["register"] == {
        "entry": "Registered",
        "since": "2026-09-30",
        "proceedings": [
            {
                "case": "7-26",
                "state": "NoticeDrawn",
                "noticed": "2026-12-31",
                "last": "2026-12-31",
                "fine": None,
            }
        ],
    }
    assert {"covers": False, "size": 1} == {
        key: given["checkpoint"][key] for key in ("covers", "size")
    }
    assert given["calendar"][0]["overdue"]


def test_every_count_of_the_tables_is_in_the_object():
    """Whole numbers, spelt as the page does."""
    made = as_object(full())
    counts = {f"{each:,}" for each in numbers(made)}
    for each in tables(full()):
        for row in each.rows:
            for cell in row[1:]:
                if re.fullmatch(r"[\d,]+", cell.words) and each.name[:5] != "late-":
                    assert cell.words in counts | {"0"}, each.name


def numbers(made: object) -> list[int]:
    if isinstance(made, dict):
        return [found for each in made.values() for found in numbers(each)]
    if isinstance(made, list):
        return [found for each in made for found in numbers(each)]
    return [made] if isinstance(made, int) else []

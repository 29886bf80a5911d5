"""`abonent calendar` shows what is due, as a table or as one JSON object."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from types import ModuleType

import pytest

from abonent import NoticeKind
from abonent.cli import main
from abonent.errors import IdentifierClosed
from abonent.simulation import Reply
from abonent.testing import Rehearsal
from tests.cli.observing import run

TARGET = "a_service_with_a_calendar:make"
REGISTER = """\
messenger = "messenger"
[[event]]
on = 2024-02-01
fact = "entered"
[[event]]
on = 2026-05-20
fact = "notice"
case = "2026-17"
[[event]]
on = 2026-05-25
fact = "order"
case = "2026-17"
[[event]]
on = 2026-05-26
fact = "fine"
case = "2026-17"
roubles = 900_000
"""


@pytest.fixture
def stand(monkeypatch):
    """A service with two users whose answers are awaited and one to be identified anew."""
    stand = Rehearsal(answers=Reply.LATER)
    for user in ("alice", "boris", "clara"):
        stand.claimed(user)
        stand.proven(user)
        stand.clock.advance(60)
    stand.answer("alice")
    stand.end_subscription("alice", NoticeKind.PORTED)
    module = ModuleType(TARGET.partition(":")[0])
    module.make = lambda: stand.identifier
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield stand
    stand.close()


@pytest.fixture
def register(tmp_path):
    path = tmp_path / "register.toml"
    path.write_text(REGISTER)
    return str(path)


def told(*arguments):
    status, out, err = run("calendar", TARGET, "--json", *arguments)
    assert (0, "") == (status, err)
    return json.loads(out)


def words(text: str) -> str:
    """What stands in a table, without its lines."""
    return " ".join("".join(each if each.isascii() else " " for each in text).split())


def test_one_object(stand, register):
    """Everything about each line, in UTC; users are counted and not named (I9)."""
    shown = told("--register", register)
    assert ("2026-06-01T09:03:00+00:00", "2026-08-30T21:00:00+00:00") == (
        shown["now"],
        shown["until"],
    )
    answers, anew, order = shown["items"]
    assert {
        "at": "2026-06-01T09:21:00+00:00",
        "latest": "2026-06-01T09:22:00+00:00",
        "overdue": False,
        "kind": "answer_awaited",
        "what": "answers to questions about users are awaited",
        "operator": "operator",
        "about": None,
        "count": 2,
        "source": "Resolution No. 1801 of 2021-10-20",
    } == answers
    assert ("reidentification_due", 1) == (anew["kind"], anew["count"])
    assert ("remedy_ordered", "2026-17", "2026-06-09T21:00:00+00:00") == (
        order["kind"],
        order["about"],
        order["at"],
    )
    assert [
        {
            "case": "2026-17",
            "state": "Ordered",
            "noticed": "2026-05-20",
            "last": "2026-05-26",
            "fine": 900_000,
        }
    ] == shown["proceedings"]
    assert "alice" not in json.dumps(shown)


def test_a_table(stand, register, monkeypatch):
    """By Moscow time, three hours ahead; the proceedings stand below."""
    monkeypatch.setenv("COLUMNS", "200")
    status, out, err = run("calendar", TARGET, "--register", register)
    assert (0, "") == (status, err)
    shown = words(out)
    assert (
        "2026-06-01 12:21 to 2026-06-01 12:22 answers to questions about users are awaited "
        "operator 2 Resolution No. 1801 of 2021-10-20"
    ) in shown
    assert "2026-06-10 00:00 the violation is to be remedied by the end of 2026-06-09" in shown
    assert "case 2026-17: Ordered, last on 2026-05-26, fine of 900000 roubles" in shown
    assert "overdue" not in shown
    with pytest.raises(IdentifierClosed):  # it was closed
        stand.identifier.standing("alice")


def test_what_is_overdue_says_so(stand):
    """The worker is late, or not running at all."""
    stand.clock.advance(timedelta(hours=1))
    assert [True, True] == [each["overdue"] for each in told()["items"]]


def test_the_overdue_stands_out_in_the_table(stand, monkeypatch):
    """One word behind the instant; where the minutes are the same they are said once."""
    monkeypatch.setenv("COLUMNS", "200")
    stand.clock.advance(timedelta(hours=1))
    _, out, _ = run("calendar", TARGET)
    assert "2026-06-01 12:23 (overdue) users are to be identified anew" in words(out)


def test_nothing_is_due(monkeypatch):
    """It is said, rather than an empty table."""
    with Rehearsal() as empty:
        module = ModuleType("a_service_at_rest")
        module.make = lambda: empty.identifier
        monkeypatch.setitem(sys.modules, module.__name__, module)
        status, out, err = run("calendar", "a_service_at_rest:make")
    assert (0, "Nothing is due.\n", "") == (status, out, err)


@pytest.mark.parametrize(("until", "lines"), [("2026-06-09", 3), ("2026-06-08", 2)])
def test_the_last_day_is_shown_as_a_whole(stand, register, until, lines):
    """An order that is to be met by the end of a day is due on it."""
    assert lines == len(told("--register", register, "--until", until)["items"])


@pytest.mark.parametrize(
    "day", ["2027-3-1", "20270301", "tomorrow", "2027-02-30", "9999-12-31", "2027-W10-1", ""]
)
def test_what_is_no_day(stand, day):
    """The line says how a day is written; nothing is asked of the store."""
    status, out, err = run("calendar", TARGET, "--until", day)
    assert (2, "") == (status, out)
    assert "YYYY-MM-DD" in err


def test_a_file_that_cannot_be_taken(stand, tmp_path):
    """One line with the place, exit status 1, and no calendar without the facts."""
    path = tmp_path / "register.toml"
    path.write_text(REGISTER.replace("900_000", "9_000_000"))
    status, out, err = run("calendar", TARGET, "--register", str(path))
    assert (1, "", 1) == (status, out, err.count("\n"))
    assert "[REGISTER_FILE] register.toml, event 4 (line 13), roubles:" in err
    assert 1 == main(["calendar", TARGET, "--register", str(tmp_path / "missing")])


def test_a_target_that_is_not_there():
    """As for the worker."""
    status, _, err = run("calendar", "no_such_module_here:make")
    assert 1 == status
    assert "there is no module" in err

"""The reference says what the code says: its parts are drawn anew and compared."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

import abonent
from abonent.cli.audit import STATUSES
from abonent.compliance.proceeding.states import STATES as CASE_STATES
from abonent.compliance.proceeding.states import Blank as NothingKnown
from abonent.core.events import NumberClaimed
from abonent.core.states import STATES, Identified, Unidentified
from abonent.core.transitions import TRANSITIONS
from abonent.errors import AbonentError
from abonent.operator.core.states import STATES as DESK_STATES
from abonent.operator.core.states import Blank

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
INVARIANTS = [f"I{number}" for number in range(1, 13)] + [f"O{number}" for number in range(1, 10)]


def script():
    spec = importlib.util.spec_from_file_location(
        "make_reference", ROOT / "scripts" / "make_reference.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = script()


@pytest.mark.parametrize("name", sorted(MAKER.PARTS))
def test_what_is_committed_is_what_the_code_gives(name):
    """No generated part has drifted; `python scripts/make_reference.py docs/reference` mends it."""
    assert MAKER.PARTS[name]() == (REFERENCE / name).read_text("utf-8")


@pytest.mark.parametrize(
    ("drawing", "states"),
    [
        (MAKER.identification(), STATES),
        (MAKER.desk(), [each for each in DESK_STATES if each is not Blank]),
        (MAKER.register(), [each for each in CASE_STATES if each is not NothingKnown]),
    ],
    ids=["identification", "desk", "register"],
)
def test_the_picture_is_well_formed_and_names_every_state(drawing, states):
    """The diagram is XML, fits its frame, and shows each state once."""
    root = ElementTree.fromstring(MAKER.picture(drawing))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [texts.count(state.__name__) for state in states] == [1] * len(states)
    left, top, width, height = map(int, root.attrib["viewBox"].split())
    for box in (*drawing.boxes, *drawing.frames):
        assert left < box.left
        assert top < box.top
        assert box.left + box.width < left + width
        assert box.top + box.height < top + height


@pytest.mark.parametrize("lacks_event", [True, False], ids=["invented", "forgotten"])
def test_an_arrow_that_the_table_does_not_know_ends_the_run(monkeypatch, lacks_event):
    """The placed arrows are the table's cells, no more and no fewer."""
    row = dict(TRANSITIONS[Unidentified])
    if lacks_event:
        del row[NumberClaimed]
    else:
        row[NumberClaimed] = (*row[NumberClaimed], Identified)
    monkeypatch.setattr(MAKER, "TRANSITIONS", {**TRANSITIONS, Unidentified: row})
    with pytest.raises(ValueError, match="Unidentified -NumberClaimed->"):
        MAKER.picture()


def test_every_name_of_the_facade_is_described():
    """The API page shows the room of each name that `abonent` exports."""
    page = (REFERENCE / "api.md").read_text("utf-8")
    shown = set(re.findall(r"automodule:: (\S+)", page))
    homes = {name: MAKER.home_of(name) for name in abonent.__all__}
    assert {name: home for name, home in homes.items() if home not in shown} == {}


def named_tests() -> dict[str, list[str]]:
    """Read which tests the page on invariants names for each."""
    page = (REFERENCE / "invariants.md").read_text("utf-8")
    _, *parts = re.split(r"^## ([IO]\d+)$", page, flags=re.MULTILINE)
    return {
        number: re.findall(r"`(test_\w+)`", text)
        for number, text in zip(parts[::2], parts[1::2], strict=True)
    }


def docstrings_of_tests() -> dict[str, str]:
    """Read the docstring of every test in the properties' folder."""
    found = {}
    for file in sorted((ROOT / "tests" / "properties").glob("test_*.py")):
        for each in ast.parse(file.read_text("utf-8")).body:
            if isinstance(each, ast.FunctionDef) and each.name.startswith("test_"):
                found[each.name] = ast.get_docstring(each) or ""
    return found


def test_every_invariant_has_tests():
    """The page lists I1 to I12 and O1 to O9 in order, and each names at least one test."""
    named = named_tests()
    assert list(named) == INVARIANTS
    assert [number for number, tests in named.items() if not tests] == []


def test_the_named_tests_exist_and_say_so():
    """A test that the page names for an invariant says in its docstring that it defends it."""
    told = docstrings_of_tests()
    wrong = {
        (number, name)
        for number, tests in named_tests().items()
        for name in tests
        if not told.get(name, "").startswith(f"{number}:")
    }
    assert wrong == set()


def test_no_test_of_an_invariant_is_left_out():
    """A test of the properties that defends one invariant stands on its page."""
    named = {name for tests in named_tests().values() for name in tests}
    defending = {
        name for name, told in docstrings_of_tests().items() if re.match(r"[IO]\d+: ", told)
    }
    assert defending - named == set()


def test_the_lists_of_the_facade_agree():
    """What type checkers read, what is imported when used, and `__all__` are the same names."""
    tree = ast.parse(Path(abonent.__file__).read_text("utf-8"))
    shown = {
        name.name: each.module
        for block in tree.body
        if isinstance(block, ast.If)
        for each in block.body
        if isinstance(each, ast.ImportFrom)
        for name in each.names
    }
    assert abonent._HOMES == shown
    assert sorted(shown) == sorted(abonent.__all__)


def kinds_of_errors(root=AbonentError) -> list[type[AbonentError]]:
    """Every class of error of the library, once all of its rooms are imported."""
    MAKER.command_errors_table()
    own = [each for each in root.__subclasses__() if each.__module__.startswith("abonent.")]
    return [root, *(below for each in own for below in kinds_of_errors(each))]


def test_a_code_names_one_error():
    """No two errors share a stable code, and each has one of its own."""
    codes = Counter(each.__dict__.get("code") for each in set(kinds_of_errors()))
    assert [code for code, count in codes.items() if code is None or count > 1] == []


def test_every_error_is_on_the_page():
    """Those of the library are sorted by who has to act; those of the command stand below."""
    tables = [(REFERENCE / each).read_text("utf-8") for each in MAKER.PARTS if "errors" in each]
    shown = re.findall(r"^\| `([A-Z_0-9]+)`", "\n".join(tables), re.MULTILINE)
    assert sorted({each.code for each in kinds_of_errors()}) == sorted(shown)


def test_every_exit_status_is_on_the_page():
    """What the command may end with, for scripts that run it."""
    page = (REFERENCE / "errors.md").read_text("utf-8")
    shown = [int(each) for each in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)]
    assert [0, 1, 2, *(status for _, status in STATUSES), 130] == shown


def test_every_line_of_the_log_is_described():
    """The names of lines stay, so that alerts may rest on them."""
    page = (ROOT / "docs" / "how-to" / "observability.md").read_text("utf-8")
    files = [
        each for each in (ROOT / "src" / "abonent").rglob("*.py") if "simulation" not in each.parts
    ]
    logged = {
        name
        for each in files
        for name in re.findall(
            r"log\.(?:info|warning|error)\(\s*\"(abonent\.\w+)", each.read_text("utf-8")
        )
    }
    assert len(logged) > 15
    assert [name for name in sorted(logged) if f"`{name}`" not in page] == []

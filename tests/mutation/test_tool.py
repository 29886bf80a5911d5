"""The mutation tool can fail: its mutants differ, its processes end, its list cannot rot."""

from __future__ import annotations

import ast
import os
import signal
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from tests.mutation import guards, known
from tests.mutation.forking import Crashed, Job, TimedOut, run
from tests.mutation.mutants import Mutant, files_of, module_of, substitute

SOURCE = textwrap.dedent("""
    def f(a, b):
        if a and b:
            raise ValueError
        while a:
            a -= 1
        found = [each for each in b if each]
        match a:
            case 1 if b:
                pass
            case _:
                pass
        return 1 if a or b else 2

    class C:
        x = field(validator=positive)
""")

EXPECTED = [
    ("never", "a and b", "    if False:"),
    ("always", "a and b", "    if True:"),
    ("dropped from and", "a", "    if b:"),
    ("dropped from and", "b", "    if a:"),
    ("dropped raise", "raise ValueError", "        pass"),
    ("never", "a", "    while False:"),
    ("always", "a", "    while True:"),
    ("never", "each", "    found = [each for each in b if False]"),
    ("always", "each", "    found = [each for each in b if True]"),
    ("dropped case", "case 1", ""),
    ("never", "b", "        case 1 if False:"),
    ("always", "b", "        case 1 if True:"),
    ("never", "a or b", "    return 1 if False else 2"),
    ("always", "a or b", "    return 1 if True else 2"),
    ("dropped from or", "a", "    return 1 if b else 2"),
    ("dropped from or", "b", "    return 1 if a else 2"),
    ("dropped validator", "validator=positive", "    x = field()"),
]


def test_every_guard_is_deleted_in_every_way():
    """Each condition never and always holds once; operands, raises, cases, validators go once."""
    tree = ast.parse(SOURCE)
    whole = ast.unparse(tree).splitlines()
    made = []
    for position, guard in enumerate(guards.guards_of(tree)):
        lines = ast.unparse(guards.without(tree, position)).splitlines()
        changed = [each for each in lines if each not in whole or lines.count(each) > 1]
        at = next((one for one in lines if one in changed and one not in whole), "")
        if guard.operator == "dropped raise":
            at = lines[lines.index("    if a and b:") + 1]
        made.append((guard.operator, guards._shown(guard.node), at))
    assert sorted(EXPECTED) == sorted(made)
    assert ast.unparse(tree).splitlines() == whole


def reports(source: str) -> dict[int, set[bool]]:
    """Run a source with its guards watched and return what each reported."""
    seen: dict[int, set[bool]] = {}

    def report(number: int, value: Any) -> Any:
        seen.setdefault(number, set()).add(bool(value))
        return value

    tree = ast.fix_missing_locations(guards.watching(ast.parse(source), 0))
    exec(compile(tree, "<source>", "exec"), {guards.WATCH: report})
    return seen


def test_a_watched_guard_says_what_it_was():
    """Every condition reports its values, those of operands included, and changes nothing."""
    source = "x = 3\nif x > 1 and x < 2:\n    raise ValueError\nz = [y for y in (0, 1) if y]"
    told = [each.operator for each in guards.guards_of(ast.parse(source))]
    seen = reports(source)
    by_operator = [(told[number], values) for number, values in sorted(seen.items())]
    assert ("never", {False}) == by_operator[0]
    assert ("always", {False}) == by_operator[1]
    assert [{True}, {False}] == [v for name, v in by_operator if name == "dropped from and"]
    assert [{False, True}] * 2 == [v for _, v in by_operator[-2:]]
    assert not any(name == "dropped raise" for name, _ in by_operator)


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("never", True, True),
        ("never", False, False),
        ("always", False, True),
        ("always", True, False),
        ("dropped from and", False, True),
        ("dropped from or", True, True),
        ("dropped raise", True, True),
    ],
)
def test_when_a_guard_is_needed(operator, value, expected):
    """A guard was needed when its condition was not what the mutant makes of it."""
    assert expected is guards.needed(operator, value)


def test_every_deletion_compiles():
    """No deletion leaves a module that cannot be read."""
    for path in files_of(["core/numbers.py", "core/answers.py"]):
        for mutant in guards.mutants_of(path):
            mutant.compiled()
        guards.watched(path, 0)()


# --- processes ----------------------------------------------------------------------


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _for_ever() -> None:
    while True:
        time.sleep(60)  # ended by the limit under test


def _raise() -> None:
    raise LookupError("gone")


def test_every_process_is_heard_or_ended():
    """A result comes back; who raises or dies has crashed; who does not end is stopped."""
    jobs: list[Job[str, Any]] = [
        Job(name="said", work=lambda: 42, limit=30),
        Job(name="raised", work=_raise, limit=30),
        Job(name="died", work=_die, limit=30),
        Job(name="endless", work=_for_ever, limit=0.2),
        Job(name="greedy", work=lambda: bytearray(2**36), limit=30),
    ]
    said = dict(run(jobs, at_once=2))
    assert 42 == said["said"]
    assert isinstance(said["raised"], Crashed)
    assert "LookupError: gone" in said["raised"].why
    assert Crashed("the process ended with -9") == said["died"]
    assert TimedOut(0.2) == said["endless"]
    assert "MemoryError" in said["greedy"].why


def test_what_is_imported_already_cannot_be_mutated():
    """Where the library is loaded, a mutant is refused, or it would survive unseen."""
    with pytest.raises(RuntimeError, match="already imported"):
        substitute({"core/budgets.py": lambda: compile("", "x", "exec")})


def test_names_of_modules():
    """A file below the package is a module; an `__init__` is its package."""
    assert "abonent.core.claims" == module_of("core/claims.py")
    assert "abonent.core" == module_of("core/__init__.py")
    with pytest.raises(FileNotFoundError):
        files_of(["core/nothing.py"])


# --- the list of known survivors ----------------------------------------------------


def mutant(**changes: Any) -> Mutant:
    fields: dict[str, Any] = {
        "path": "core/budgets.py",
        "line": 3,
        "where": "live",
        "operator": "swap_op",
        "was": "a < b",
        "now": "a <= b",
        "at_import": False,
        "compiled": lambda: compile("", "x", "exec"),
    }
    return Mutant(**(fields | changes))


ENTRY = """
[[suite]]
path = "core/budgets.py"
where = "live"
operator = "swap_op"
was = "a < b"
now = "a <= b"
reason = "{reason}"
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "equivalent.toml"
    file.write_text(text, "utf-8")
    return file


def test_an_entry_names_a_mutant_wherever_it_stands(tmp_path):
    """An entry outlives edits elsewhere in the file: it names no line."""
    entries = known.load("suite", written(tmp_path, ENTRY.format(reason="the same")))
    assert "the same" == known.reason_for(mutant(line=99), entries)
    assert None is known.reason_for(mutant(now="a > b"), entries)
    assert () == known.load("guards", tmp_path / "equivalent.toml")


def test_an_entry_out_of_date(tmp_path):
    """An entry whose mutant is killed, or is not there any more, is told."""
    (entry,) = known.load("suite", written(tmp_path, ENTRY.format(reason="the same")))
    assert [] == known.out_of_date([entry], [mutant()], [])
    assert [] == known.out_of_date([entry], [mutant()], [(mutant(), True), (mutant(), False)])
    assert [(entry, "killed")] == known.out_of_date([entry], [mutant()], [(mutant(), True)])
    assert [(entry, "no such mutant")] == known.out_of_date([entry], [mutant(where="f")], [])


@pytest.mark.parametrize("text", [ENTRY.format(reason=" "), ENTRY.replace("reason", "because")])
def test_an_entry_without_a_reason(tmp_path, text):
    """An entry that does not say why its mutant may live is refused."""
    with pytest.raises(ValueError, match="a < b"):
        known.load("suite", written(tmp_path, text))


def test_the_committed_list_is_readable():
    """Every entry of the committed list has its reason."""
    for section in ("suite", "guards"):
        assert all(each.reason for each in known.load(section))

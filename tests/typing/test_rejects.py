"""The list of what must not type-check bites: no line of it is there without being rejected."""

import ast
import re
from pathlib import Path

import pytest

REJECTS = Path(__file__).with_name("rejects.py")
IGNORED = re.compile(r"# type: ignore\[[a-z, -]+\]$")
LINES = REJECTS.read_text("utf-8").splitlines()


def test_every_ignore_names_its_error() -> None:
    """A bare ignore would hide another error than the one that is meant."""
    ignored = [line for line in LINES if "type: ignore" in line or "pyright: ignore" in line]
    assert len(ignored) >= 30
    for line in ignored:
        assert IGNORED.search(line), line


def test_both_checkers_report_an_ignore_that_is_not_needed() -> None:
    """A line that begins to type-check fails: mypy by its strictness, pyright by the file's own."""
    assert "reportUnnecessaryTypeIgnoreComment=error" in "\n".join(LINES[:12])
    configured = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert re.search(r"^strict = true$", configured, re.MULTILINE)
    assert '"tests/typing"' in configured


def rejected_functions() -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(REJECTS.read_text("utf-8"))
    return [each for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("function", rejected_functions(), ids=lambda each: each.name)
def test_every_line_is_rejected(function: ast.FunctionDef) -> None:
    """In a function of rejects.py there is nothing but lines that are rejected."""
    for statement in function.body:
        if isinstance(statement, ast.Delete):
            continue  # names are only unused because nothing runs
        assert IGNORED.search(LINES[statement.lineno - 1]), f"line {statement.lineno}"

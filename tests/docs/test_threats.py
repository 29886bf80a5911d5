"""What the page on threats points at is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "threats.md").read_text("utf-8")


def test_every_file_that_is_named_holds_tests():
    """A claim that rests on a test rests on one that can be run."""
    named = set(re.findall(r"`([a-z_/]+\.py)`", PAGE))
    assert len(named) > 40
    assert [] == sorted(
        each for each in named if "\ndef test_" not in f"\n{_text(ROOT / 'tests' / each)}"
    )


def test_every_invariant_that_is_named_is_one():
    """An invariant is cited by a number that the reference has."""
    reference = (ROOT / "docs" / "reference" / "invariants.md").read_text("utf-8")
    named = set(re.findall(r"\b[IO][0-9]+\b", PAGE))
    assert set() == named - set(re.findall(r"^## ([IO][0-9]+)$", reference, re.MULTILINE))


def test_every_attacker_is_told_what_does_not_stop_them():
    """No part says only what is stopped."""
    for part in PAGE.split("\n## ")[1:]:
        title = part.partition("\n")[0]
        assert "Does not stop" in part or "**" in part, title


def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""

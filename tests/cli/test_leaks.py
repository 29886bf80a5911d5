"""Whatever the demo does, no number and no code is left anywhere (I9, P7, P24)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from abonent.cli import main, show
from tests.cli.observing import Observed, observed, read_all

STAGES = ("identifying", "notices", "replaying")
MESSY = """\
Телефон;Имя
+7 900 000-00-11;a
8 (900) 000-00-11;b
89000000012,c
tel:+79000000013
９０００００００１４
"8 900 000 00 15";d

+7 495 123-45-67;fixed
+7 900 000-00-16 доб. 12;extension
+380 44 123 45 67;abroad
900 000 00
мой номер 89000000017
79000000018
"""


def play(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> tuple[int, Observed]:
    database = folder / "demo.db"
    with observed(monkeypatch) as seen:
        progress = show.progress

        def watching() -> Any:
            inner = progress()

            class Watching:
                def __enter__(self) -> Any:
                    tell = inner.__enter__()

                    def told(stage: str, done: int, total: int) -> None:
                        tell(stage, done, total)
                        if (
                            done == total and stage in STAGES
                        ):  # the log of the database goes when it is closed
                            for name, text in read_all(folder).items():
                                seen.files[f"{name} after {stage}"] = text

                    return told

                def __exit__(self, *args: Any) -> None:
                    inner.__exit__(*args)

            return Watching()

        monkeypatch.setattr(show, "progress", watching)
        status = main(["demo", "--seed", "5", "--database", str(database), *arguments])
        seen.files.update(read_all(folder))
    return status, seen


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["tables", "json"])
def test_a_demo_of_drawn_numbers_leaves_no_trace_of_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: list[str]
) -> None:
    """Database, its log, output, log lines and errors show no number and no code."""
    status, seen = play(monkeypatch, tmp_path, "--users", "150", *form)
    assert status == 0
    assert len(seen.numbers) > 100
    assert len(seen.codes) > 100
    assert any("-wal after" in name for name in seen.files)
    assert seen.errors
    assert seen.found() == []


def test_a_demo_of_listed_numbers_leaves_no_trace_of_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A messy list, its bad lines included, shows nowhere."""
    listed = tmp_path / "messy.csv"
    listed.write_text(MESSY, encoding="cp1251", errors="replace")
    folder = tmp_path / "made"
    folder.mkdir()
    status, seen = play(monkeypatch, folder, "--numbers", str(listed))
    assert status == 0
    assert len(seen.numbers) >= 5
    assert seen.found() == []
    for part in ("4951234567", "495 123", "123-45-67", "441234567", "44 123", "0000016"):
        assert part not in seen.out.getvalue() + seen.err.getvalue() + seen.log.getvalue()


def test_the_search_finds_what_it_looks_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The search is not blind: a number, spaced or bare or binary, and a code are found."""
    _, seen = play(monkeypatch, tmp_path, "--users", "20")
    number = min(seen.numbers)
    digits = number.e164[2:]
    seen.files = {
        "bare": b"x" + digits.encode(),
        "spaced": f"8 ({digits[:3]}) {digits[3:6]}-{digits[6:8]}-{digits[8:]}".encode(),
        "binary": b"\0" + int(number.e164).to_bytes(8, "big"),
        "code": b"code=" + min(seen.codes).encode(),
        "nothing": b"user-00017",
    }
    assert seen.found() == ["bare", "spaced", "binary", "code"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "+7 916 123-45-67"],
        ["demo", "89161234567"],
        ["demo", "--users", "89161234567x"],
        ["demo", "--seed", "8 (916) 123-45-67"],
        ["+79161234567"],
    ],
)
def test_a_command_line_that_is_refused_is_not_quoted(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Who types a number in the wrong place does not read it in an error."""
    assert main(arguments) == 2
    told = "".join(capsys.readouterr())
    assert "916" not in told
    assert told.count("\n") == 1

"""`abonent report`: what a compliance officer is told of a period."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from abonent.audit.log import Log
from abonent.audit.signing import Signer, create_key
from abonent.cli import report, writing
from tests.cli.observing import integers, run
from tests.compliance import service
from tests.compliance.stories import LATE

PERIOD = ("--from", "2026-10-01", "--to", "2027-01-01")
BEFORE = ("--from", "2025-10-01", "--to", "2026-01-01")


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


@pytest.mark.usefixtures("wide")
def test_the_verdict_comes_first() -> None:
    """Who is late, how often and how badly; then tables and cases."""
    status, out, err = run("report", service.TARGET, *PERIOD)
    lines = out.splitlines()
    assert (0, "") == (status, err)
    assert f"{LATE} is late." == lines[0]
    assert lines[1].startswith(f"  {LATE}: 12 of 38 answers (32 %) did not come in time")
    assert "Messenger m, 2026-10-01 to 2026-12-31, Moscow time." in lines
    for each in ("Operators' answers", "Calendar", "Answers that came late or never"):
        assert each in lines


def test_a_period_without_data_says_so() -> None:
    """Exit status 0 all the same; of a whole journal, and of a period in which nothing was."""
    for target, period in ((service.EMPTY, PERIOD), (service.TARGET, BEFORE)):
        status, out, err = run("report", target, *period)
        assert (0, "") == (status, err)
        assert "There is no data: the journal has no entry of this period." == out.splitlines()[0]
        assert "Operators' answers" not in out


def test_json_is_one_object_and_nothing_else(tmp_path: Path) -> None:
    """The page may be written beside it."""
    page = tmp_path / "page.html"
    status, out, err = run("report", service.TARGET, *PERIOD, "--json", "--html", str(page))
    assert (0, "") == (status, err)
    told = json.loads(out)
    assert (1, f"{LATE} is late.") == (told["schema"], told["verdict"]["says"])
    assert f'<p class="headline">{LATE} is late.</p>' in page.read_text("utf-8")


def test_options_reach_the_report() -> None:
    """Cases, silence and what is soon."""
    options = ("--cases", "2", "--silent-after", "365", "--ends-within", "10")
    _, out, _ = run("report", service.TARGET, *PERIOD, "--json", *options)
    told = json.loads(out)
    assert (12, 2) == (told["cases"]["answer"]["found"], len(told["cases"]["answer"]["shown"]))
    assert (365 * 86_400, 10 * 86_400) == (told["silent_after"], told["ends_within"])
    assert not any(each["silent"] for each in told["feeds"])


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-10-01T00:00", "2026-11-01", "NAIVE_INSTANT] an instant"),
        ("2026-10-01", "2026-10-01", "INVALID_VALUE] a period"),
        ("2026-11-01", "2026-10-01", "INVALID_VALUE] a period"),
        ("yesterday", "2026-10-01", "INVALID_VALUE] a date"),
    ],
)
def test_a_period_that_is_none_is_refused_before_anything_is_opened(
    start: str, end: str, said: str
) -> None:
    """One line, exit status 1, and the service is not made."""
    status, out, err = run("report", "no.such:thing", "--from", start, "--to", end)
    assert (1, "", 1) == (status, out, err.count("\n"))
    assert f"[{said}" in err


def test_a_log_is_checked_with_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the checkpoint covers is told, with its root and when it was written."""
    key = create_key(tmp_path / "log.key", "example.com/abonent")
    folder = tmp_path / "log"
    identifier = service.make()
    monkeypatch.setattr(service, "make", lambda: identifier)
    with Signer(tmp_path / "log.key") as signer:
        made = Log(folder, signer).extend(service.last[0].storage, "m")
    os.utime(folder / "checkpoint", (1_800_000_000, 1_800_000_000))
    status, out, _ = run(
        "report", service.TARGET, *PERIOD, "--json", "--log", str(folder), "--key", str(key)
    )
    assert 0 == status
    assert json.loads(out)["checkpoint"] == {
        "origin": "example.com/abonent",
        "size": made.size,
        "root": made.root.hex(),
        "published_at": "2027-01-15T08:00:00+00:00",
        "uncovered": 0,
        "covers": True,
    }


@pytest.mark.usefixtures("wide")
def test_a_covered_period_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In words, where a person reads it; the key may be a file."""
    create_key(tmp_path / "log.key", "example.com/abonent")
    identifier = service.make()
    monkeypatch.setattr(service, "make", lambda: identifier)
    with Signer(tmp_path / "log.key") as signer:
        Log(tmp_path / "log", signer).extend(service.last[0].storage, "m")
    arguments = ("--log", str(tmp_path / "log"), "--key", str(tmp_path / "log.key.vkey"))
    _, out, _ = run("report", service.TARGET, *PERIOD, *arguments)
    assert "Every entry of the period is covered by the checkpoint of example.com/abonent" in out


def test_a_log_needs_its_key_and_a_checkpoint(tmp_path: Path) -> None:
    """A command line with one of both is none; a folder without a checkpoint is an error."""
    assert 2 == run("report", service.TARGET, *PERIOD, "--log", str(tmp_path))[0]
    assert 2 == run("report", service.TARGET, *PERIOD, "--key", "x")[0]
    key = create_key(tmp_path / "log.key", "example.com/abonent")
    arguments = ("--log", str(tmp_path), "--key", str(key))
    status, out, err = run("report", service.TARGET, *PERIOD, *arguments)
    assert (1, "") == (status, out)
    assert "[EVIDENCE_UNAVAILABLE]" in err


def test_a_checkpoint_that_goes_away_meanwhile_has_no_time(tmp_path: Path) -> None:
    """Its content was read and checked; when it was written is not known."""
    assert report._written_at(tmp_path / "checkpoint") is None


def test_the_register_is_read_and_judged(tmp_path: Path) -> None:
    """Its facts are told; a file that is none is refused."""
    file = tmp_path / "register.toml"
    file.write_text('messenger = "m"\n\n[[event]]\nfact = "entered"\non = 2026-01-15\n', "utf-8")
    status, out, err = run("report", service.TARGET, *PERIOD, "--json", "--register", str(file))
    assert (0, "") == (status, err)
    assert {"entry": "Registered", "since": "2026-01-15", "proceedings": []} == json.loads(out)[
        "register"
    ]
    file.write_text("nothing", "utf-8")
    assert 1 == run("report", service.TARGET, *PERIOD, "--register", str(file))[0]


@pytest.mark.parametrize("place", ["missing/page.html", "."])
def test_a_page_that_cannot_be_written_is_one_line_before_the_journal_is_read(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such folder, or a folder."""
    monkeypatch.setattr(writing, "can_draw", lambda: True)
    status, out, err = run("report", "no.such:thing", *PERIOD, "--html", f"{tmp_path}/{place}")
    assert (1, "", 1) == (status, out, err.count("\n"))
    assert "[REPORT_PATH]" in err


def test_without_the_extra_text_and_json_work_and_a_page_says_what_to_install(
    tmp_path: Path,
) -> None:
    """One line on standard error, exit status 2; matplotlib is not looked for otherwise."""
    code = (
        "import sys, importlib.util as util\n"
        "sys.modules['matplotlib'] = None\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'matplotlib' else find(name, *a)\n"
        "from abonent.cli import main\n"
        f"base = ['report', {service.TARGET!r}, *{PERIOD!r}]\n"
        "statuses = [main(base), main([*base, '--json'])]\n"
        f"statuses.append(main([*base, '--html', {str(tmp_path / 'page.html')!r}]))\n"
        "sys.exit(0 if statuses == [0, 0, 2] else 99)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert 0 == done.returncode, done.stderr
    assert done.stderr == "abonent: a report needs matplotlib: pip install 'abonent[report]'\n"
    assert f"{LATE} is late." == done.stdout.splitlines()[0]
    assert [] == list(tmp_path.iterdir())


# --- numbers (I9) ----------------------------------------------------------------------


@pytest.fixture
def outputs(tmp_path: Path) -> dict[str, bytes]:
    page = tmp_path / "page.html"
    every = ("--cases", "10000")
    text = run("report", service.TARGET, *PERIOD, *every, "--html", str(page))
    return {
        "text": "".join(text[1:]).encode(),
        "page": page.read_bytes(),
        "json": run("report", service.TARGET, *PERIOD, *every, "--json")[1].encode(),
    }


def spellings(digits: str) -> Iterator[bytes]:
    """The ten digits as people write them, and any run of four and more of their end."""
    code, one, two, three = digits[:3], digits[3:6], digits[6:8], digits[8:]
    yield from (
        each.encode()
        for each in (
            digits,
            f"{code} {one}-{two}-{three}",
            f"({code}) {one}-{two}-{three}",
            f"{code}-{one}-{two}-{three}",
            f"{code} {one} {two} {three}",
            f"{one}-{two}-{three}",
            f"{one} {two} {three}",
            f"{one}{two}{three}",
        )
    )
    yield from (digits.translate(other).encode() for other in (FULL_WIDTH, ARABIC))


FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def test_no_number_is_in_any_output_beyond_its_last_two_digits(
    outputs: dict[str, bytes],
) -> None:
    """Text, page and JSON, with every case; in no spelling, and no code (I9, P7, P24)."""
    story = service.last[0]
    assert 100 < len(story.numbers)
    for name, data in outputs.items():
        for number in story.numbers.values():
            for each in (*spellings(number.e164[2:]), *integers(number)):
                assert each not in data, name
        for code in story.codes:
            assert f'"{code}"'.encode() not in data, name
        for user in story.numbers:
            assert f"{user}<".encode() not in data, name


def test_the_search_for_numbers_is_not_blind(outputs: dict[str, bytes]) -> None:
    """The last two digits are there, as cases show them; a number that was there would be found."""
    story = service.last[0]
    shown = json.loads(outputs["json"])["cases"]["answer"]["shown"]
    ends = {each.e164[-2:] for each in story.numbers.values()}
    assert {each["number"] for each in shown} <= ends
    digits = min(story.numbers.values()).e164[2:]
    spelt = f"8 ({digits[:3]}) {digits[3:6]}-{digits[6:8]}-{digits[8:]}".encode()
    assert any(each in spelt for each in spellings(digits))

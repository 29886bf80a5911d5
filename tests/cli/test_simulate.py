"""What `abonent simulate` takes, prints and ends with."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import evolve

from abonent.cli import writing
from abonent.cli.simulate import course, figures, show
from abonent.cli.simulate.plan import Plan, StoreKind
from abonent.pages.words import duration
from abonent.ports import Storage
from abonent.simulation.world import Faults, WorldOutcome, run_world
from abonent.stores import SqliteStorage
from tests.cli import worlds
from tests.cli.observing import run

KEYS = [
    "seed",
    "days",
    "subscribers",
    "store",
    "started",
    "ok",
    "steps",
    "seconds",
    "steps_per_s",
    "crashes",
    "events",
    "seen",
    "failures",
    "answer_times",
    "notice_lags",
    "exposures",
    "violation",
]
SMALL = ("--days", "1", "--subscribers", "4")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put a world made by hand in the place of a real one; return what it was asked for."""
    return stand_in(monkeypatch, worlds.full())


def stand_in(monkeypatch: pytest.MonkeyPatch, outcome: WorldOutcome) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = []

    def runs(**asked: Any) -> WorldOutcome:
        calls.append(asked)
        asked["tell"](asked["days"])
        return evolve(outcome, seed=asked["seed"], store=asked["store_name"])

    monkeypatch.setattr(course, "run_world", runs)
    return calls


def never(**_: Any) -> WorldOutcome:
    raise AssertionError("the world was run")


# --- what it runs -------------------------------------------------------------------


def test_a_real_world_is_one_json_object() -> None:
    """`--json` prints one object with these keys, about a world that was run."""
    status, out, err = run("simulate", "--seed", "3", "--json", *SMALL)
    told = json.loads(out)
    assert (status, err, out.count("\n")) == (0, "", 1)
    assert list(told) == KEYS
    assert (3, 1.0, 4, "memory") == tuple(
        told[key] for key in ("seed", "days", "subscribers", "store")
    )
    assert told["steps"] == sum(told["events"].values()) > 0
    assert told["violation"] is None


def test_a_seed_repeats_a_world_on_either_store() -> None:
    """One seed gives the same figures again, in memory and on SQLite; only the time differs."""
    first, second, third = (
        json.loads(run("simulate", "--seed", "5", "--json", *SMALL, "--store", each)[1])
        for each in ("memory", "memory", "sqlite")
    )
    varying = {"seconds", "steps_per_s"}
    assert {k: v for k, v in first.items() if k not in varying} == {
        k: v for k, v in second.items() if k not in varying
    }
    assert third["store"] == "sqlite"
    varying.add("store")
    assert {k: v for k, v in first.items() if k not in varying} == {
        k: v for k, v in third.items() if k not in varying
    }


def test_databases_are_in_a_fresh_folder_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--store sqlite` each world has a file for all of its processes, and none stays."""
    place = Path(tempfile.gettempdir())

    def runs(*, make_store: Callable[[], Callable[[], Storage]], **_: Any) -> WorldOutcome:
        for files in (1, 2):  # the world, and a smaller one that is tried when it broke
            open_store = make_store()
            for each in (open_store(), open_store()):
                assert isinstance(each, SqliteStorage)
                each.close()
            assert files == len(list(place.glob("*/*.db")))
        return worlds.full()

    monkeypatch.setattr(course, "run_world", runs)
    assert 0 == run("simulate", "--store", "sqlite")[0]
    assert [] == list(place.iterdir())


def test_the_defaults(asked: list[dict[str, Any]]) -> None:
    """30 days, 50 subscribers, in memory, the usual faults, and a seed that is drawn and told."""
    out = run("simulate")[1]
    (call,) = asked
    assert (30, 50, "memory", None, Faults()) == tuple(
        call[key] for key in ("days", "subscribers", "store_name", "make_store", "faults")
    )
    assert f"abonent simulate --seed {call['seed']} --days 30.0 --subscribers 50" in out
    seeds = {json.loads(run("simulate", "--json")[1])["seed"] for _ in range(4)}
    assert len(seeds) > 1


def test_the_command_that_repeats_a_world_names_all_it_was_made_from(
    asked: list[dict[str, Any]], tmp_path: Path
) -> None:
    """What the table tells to type gives the same plan again."""
    file = tmp_path / "my faults.toml"
    file.write_text("code_lost = 1", encoding="utf-8")
    options = ("--seed", "9", "--days", "0.125", "--subscribers", "6", "--store", "sqlite")
    out = run("simulate", *options, "--faults", str(file))[1]
    said = f"abonent simulate {' '.join(options)} --faults '{file}'"
    assert said in out
    assert asked[0]["faults"] == Faults(code_lost=1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--days", "0"],
        ["--days", "-1"],
        ["--days", "nan"],
        ["--days", "inf"],
        ["--days", "4000"],
        ["--days", "many"],
        ["--subscribers", "0"],
        ["--subscribers", "1000000"],
        ["--seed", "x"],
        ["--store", "postgres"],
        ["--wrong"],
    ],
)
def test_a_wrong_option_ends_with_2(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be understood is one line on standard error; nothing is run."""
    monkeypatch.setattr(course, "run_world", never)
    status, out, err = run("simulate", *arguments)
    assert (2, "", 1) == (status, out, err.count("\n"))


# --- faults files -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("code_lots = 0.5", "code_lots"),
        ("[answers]\nlost = 1", "answers"),
        ("code_lost = 2", "code_lost"),
        ("code_lost = 'often'", "code_lost"),
        ("seed: 7", "faults.toml"),
    ],
)
def test_a_faults_file_that_is_none_is_refused_by_name(
    text: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unknown key, a rate that is none and a foreign file: one line naming it, nothing run."""
    monkeypatch.setattr(course, "run_world", never)
    file = tmp_path / "faults.toml"
    file.write_text(text, encoding="utf-8")
    status, out, err = run("simulate", "--faults", str(file))
    assert (1, "", 1) == (status, out, err.count("\n"))
    assert "[FAULTS_FILE]" in err
    assert named in err


@pytest.mark.parametrize("place", ["missing.toml", "."])
def test_a_faults_file_that_is_not_there_is_one_line(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file, or a folder."""
    monkeypatch.setattr(course, "run_world", never)
    status, out, err = run("simulate", "--faults", f"{tmp_path}/{place}")
    assert (1, "", 1) == (status, out, err.count("\n"))
    assert "[FAULTS_FILE]" in err


def test_the_page_about_simulate_lists_every_fault() -> None:
    """The table of the how-to has each key with its default, in the order of the code."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "simulate.md"
    told = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", page.read_text("utf-8"), re.MULTILINE)
    usual = Faults()
    known = [(each.name, f"{getattr(usual, each.name):g}") for each in attrs.fields(Faults)]
    assert known == told


# --- what it prints -----------------------------------------------------------------


@pytest.mark.usefixtures("asked")
def test_the_table_tells_what_happened() -> None:
    """Events, rare branches, failures, times against their limits, speed and the verdict."""
    status, out, err = run("simulate")
    assert (0, "") == (status, err)
    lines = [" ".join(each.split()) for each in out.splitlines()]
    for line in (
        "number claimed 30",
        "an answer in the last microsecond 4",
        "Not seen by this seed: keys rotated.",
        "too many failures 7",
        "how many 10 5 6",
        "median 0.9 s 2 h 8.3 h",
        "99 % 22 min 25 h 12 d",
        "limit 20 min 24 h 24 h",
        "beyond it 1 1 2",
        "never 2 0 1",
        "1,234 steps in 0.50 s, 2,468 a second.",
        "9 crashes; store: memory.",
        "Every invariant held.",
    ):
        assert line in lines
    assert not any(each.startswith("displaced") for each in lines)


def test_a_world_in_which_nothing_happened_has_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """No event, no time, no steps a second: the tables say so."""
    stand_in(monkeypatch, worlds.empty())
    status, out, err = run("simulate")
    assert (0, "") == (status, err)
    lines = [" ".join(each.split()) for each in out.splitlines()]
    assert 3 == lines.count("nothing 0")
    assert "median – – –" in lines
    assert "0 steps in 0.00 s, 0 a second." in lines


def test_nothing_is_left_unsaid_when_all_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an unseen branch there is no line about unseen branches."""
    stand_in(monkeypatch, evolve(worlds.full(), seen={"keys rotated": 1}))
    assert "Not seen" not in run("simulate")[1]


def test_a_violation_is_shown_with_its_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant, what, when, the seed and every line of the history; exit status 1."""
    stand_in(monkeypatch, worlds.broken())
    status, out, err = run("simulate", "--seed", "7")
    assert (1, "") == (status, err)
    told = out.splitlines()
    assert list(worlds.HISTORY) == told[-2:]
    assert told[-4].startswith("VIOLATED: I2 with seed 7, at 2026-06-01 10:00:00")
    assert told[-4].endswith("an answer passed that came too late")
    assert "Every invariant held" not in out


def test_a_violation_without_history_says_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """No line promises a history that is not there."""
    violation = worlds.broken().violation
    assert violation is not None
    bare = evolve(worlds.broken(), violation=evolve(violation, history=()))
    stand_in(monkeypatch, bare)
    status, out, _ = run("simulate")
    assert status == 1
    assert out.splitlines()[-1].startswith("VIOLATED: I2")


def test_a_violation_is_in_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--json` says the same, and ends with 1."""
    stand_in(monkeypatch, worlds.broken())
    status, out, _ = run("simulate", "--json")
    told = json.loads(out)
    assert (1, False) == (status, told["ok"])
    assert told["violation"] == {
        "invariant": "I2",
        "what": "an answer passed that came too late",
        "at": "2026-06-01T10:00:00+00:00",
        "history": list(worlds.HISTORY),
    }


def test_the_bar_goes_with_the_days(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal the bar is full when the last day has passed; elsewhere nothing is drawn."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    stand_in(monkeypatch, worlds.full())
    _, _, err = run("simulate", "--days", "12", "--json")
    assert "day 12 of 12" in err
    monkeypatch.delenv("FORCE_COLOR")
    assert "" == run("simulate", "--days", "12", "--json")[2]


@pytest.mark.parametrize(
    ("spelled", "seconds"),
    [
        ("0 s", 0),
        ("0.25 s", 0.25),
        ("42 s", 42.4),
        ("1 min", 60),
        ("1.5 min", 90),
        ("20 min", 1_200),
        ("24 h", 86_400),
        ("2 d", 172_800),
        ("30 d", 30 * 86_400),
    ],
)
def test_durations_are_spelled_in_a_fitting_unit(spelled: str, seconds: float) -> None:
    """Two digits that tell something, and 24 hours are 24 hours."""
    assert spelled == duration(seconds)


def test_quantiles_are_values_that_occurred() -> None:
    """Of a hundred values the 99th is reached by 99 %; of one, all are that one."""
    measured = figures.times(range(1, 101), limit=98, never=0)
    assert (100, 50, 90, 99, 100, 2) == (
        measured.count,
        measured.median,
        measured.p90,
        measured.p99,
        measured.longest,
        measured.beyond,
    )
    assert 7 == figures.times([7], limit=7, never=0).median


# --- reports ------------------------------------------------------------------------


@pytest.mark.usefixtures("asked")
def test_a_report_replaces_what_is_there(tmp_path: Path) -> None:
    """`--report` writes a page beside what is printed."""
    file = tmp_path / "world.html"
    file.write_text("old", encoding="utf-8")
    status, out, err = run("simulate", "--json", "--report", str(file))
    assert (0, "") == (status, err)
    assert json.loads(out)["ok"]
    assert file.read_text("utf-8").startswith("<!doctype html>")
    assert [file] == list(tmp_path.iterdir())


def test_a_violation_has_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is written all the same, and the status is 1."""
    stand_in(monkeypatch, worlds.broken())
    status, _, _ = run("simulate", "--report", str(tmp_path / "world.html"))
    assert status == 1
    assert worlds.HISTORY[0] in (tmp_path / "world.html").read_text("utf-8")


def test_without_the_extra_one_line_says_what_to_install(tmp_path: Path) -> None:
    """Without matplotlib nothing is run: one line on standard error, exit status 2."""
    file = tmp_path / "world.html"
    code = (
        "import sys, importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'matplotlib' else find(name, *a)\n"
        "from abonent.cli import main\n"
        "from abonent.cli.simulate import course\n"
        "course.run_world = None\n"
        f"status = main(['simulate', '--report', {str(file)!r}])\n"
        "sys.exit(99 if 'matplotlib' in sys.modules else status)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr == "abonent: a report needs matplotlib: pip install 'abonent[report]'\n"
    assert not file.exists()


@pytest.mark.parametrize("place", ["missing/world.html", "."])
def test_a_report_that_cannot_be_written_is_one_line_before_the_run(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such folder, or a folder: refused with code and remedy."""
    monkeypatch.setattr(course, "run_world", never)
    monkeypatch.setattr(writing, "can_draw", lambda: True)
    status, out, err = run("simulate", "--report", f"{tmp_path}/{place}")
    assert (1, "", 1) == (status, out, err.count("\n"))
    assert "[REPORT_PATH]" in err
    assert writing.ReportUnwritable.remedy in err
    assert [] == list(tmp_path.iterdir())


def test_looking_whether_a_report_can_be_written_changes_nothing(tmp_path: Path) -> None:
    """A file keeps its content, and none is left where none was, should the run not end."""
    old, new = tmp_path / "old.html", tmp_path / "new.html"
    old.write_text("old", encoding="utf-8")
    writing.check_writable(old)
    writing.check_writable(new)
    assert old.read_text("utf-8") == "old"
    assert not new.exists()


def test_a_report_that_fails_in_the_end_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder went away meanwhile: the figures are printed, then the error."""
    folder = tmp_path / "folder"
    folder.mkdir()

    def runs(**_: Any) -> WorldOutcome:
        folder.rmdir()
        return worlds.full()

    monkeypatch.setattr(course, "run_world", runs)
    status, out, err = run("simulate", "--json", "--report", str(folder / "world.html"))
    assert (1, 1) == (status, err.count("\n"))
    assert json.loads(out)["ok"]
    assert "[REPORT_PATH]" in err


# --- I9 -----------------------------------------------------------------------------


def test_no_number_is_in_any_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tables, JSON and a violation's history name people, never a number (I9)."""
    plan = Plan(seed=3, days=1.0, subscribers=4, store=StoreKind.MEMORY)
    outcome = run_world(seed=3, days=1.0, subscribers=4)
    show.print_json(outcome)
    show.print_tables(outcome, plan)
    out = capsys.readouterr().out
    assert not re.search(r"\+?[78][ (-]*9\d{2}[ )-]*\d{3}-?\d{2}-?\d{2}", out)
    assert not re.search(r"(?<![\d.])\d{10,}", out)
    assert not list(tmp_path.iterdir())

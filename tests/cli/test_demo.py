"""What `abonent demo` plays, counts and prints."""

from __future__ import annotations

import json
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from abonent.cli import demo as story
from abonent.cli.demo import Casting, play
from abonent.cli.telling import timeline
from abonent.core.events import Passed, ReidentificationRequired
from abonent.core.states import NoticeKind
from abonent.feed import ReplayReport
from abonent.identifier import Identifier
from tests.cli.observing import run

KEYS = [
    "users",
    "rejected",
    "passed",
    "not_passed",
    "notices",
    "reidentified",
    "gates_open",
    "displaced",
    "journal_entries",
    "replay_ok",
    "database",
    "seconds",
]
NOT_REPEATED = ("database", "seconds")


def played(*arguments: str) -> dict[str, Any]:
    status, out, err = run("demo", "--json", *arguments)
    assert (status, err) == (0, "")
    told: dict[str, Any] = json.loads(out)
    return told


def repeatable(told: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if key not in NOT_REPEATED}


def silent(_: str, __: int, ___: int) -> None:
    return None


def test_json_is_one_object_with_these_keys() -> None:
    """`--json` prints one object, and the users add up."""
    told = played("--users", "150", "--seed", "1")
    assert list(told) == KEYS
    assert told["users"] == 150 == told["passed"] + sum(told["not_passed"].values())
    assert told["replay_ok"] is True
    assert told["rejected"] == []
    assert Path(told["database"]).is_file()
    assert told["notices"] >= told["reidentified"] > 0
    assert told["gates_open"] <= told["passed"]
    assert {"no_answer", "not_held"} <= set(told["not_passed"])


def test_a_seed_repeats_the_story() -> None:
    """The same seed gives the same figures, however threads ran; another gives others."""
    first, second = (played("--users", "250", "--seed", "11") for _ in range(2))
    assert repeatable(first) == repeatable(second)
    assert first["database"] != second["database"]
    assert repeatable(first) != repeatable(played("--users", "250", "--seed", "12"))


def test_a_thousand_users_are_the_default() -> None:
    """Without options a thousand users take part, some of them displaced."""
    told = played("--seed", "2")
    assert told["users"] == 1000
    assert told["displaced"] > 0


def test_one_number_in_several_spellings_displaces(tmp_path: Path) -> None:
    """Three users claim one number one after the other: the last one keeps it (S22)."""
    listed = tmp_path / "list.txt"
    spellings = ["+7 905 000-00-00", "8(905)0000000", "9050000000"]
    listed.write_text("\n".join(spellings), encoding="utf-8")
    by_seed = [played("--numbers", str(listed), "--seed", str(seed)) for seed in range(6)]
    assert {3} == {each["users"] for each in by_seed}
    passed = [each for each in by_seed if each["passed"] == 3]
    assert passed
    for each in passed:
        assert (each["displaced"], each["not_passed"]) == (2, {})


def test_a_number_claimed_too_often_is_refused_by_name(tmp_path: Path) -> None:
    """A number takes ten codes a day, whoever claims it (P20)."""
    listed = tmp_path / "list.txt"
    listed.write_text("89050000000\n" * 12, encoding="ascii")
    by_seed = [played("--numbers", str(listed), "--seed", str(seed)) for seed in range(4)]
    assert any(each["not_passed"].get("too_many_sends") == 2 for each in by_seed)


def test_tables_and_timeline_tell_the_story() -> None:
    """Without `--json` there are a table, a timeline, the replay and the path of the file."""
    status, out, err = run("demo", "--users", "100", "--seed", "4")
    assert (status, err) == (0, "")
    for part in (
        "took part",
        "passed",
        "not passed: not held",
        "notices received",
        "identified anew",
        "gates open at the end",
        "gives notice",
        "the gate opens",
        "gives every stored state",
        "demo.db",
        "--seed 4",
    ):
        assert part in out


def test_the_history_goes_through_it_all() -> None:
    """The user whose history is told was identified, noticed and identified anew."""
    outcome = play(Casting(seed=4, users=100), silent)
    kinds = [type(each.event) for each in outcome.history]
    assert kinds.count(Passed) == 2
    assert ReidentificationRequired in kinds


def test_a_small_cast_still_has_a_notice() -> None:
    """With few users one of them is given notice all the same, and is identified anew."""
    outcomes = [play(Casting(seed=seed, users=1), silent) for seed in range(8)]
    passed = [each for each in outcomes if each.passed]
    assert passed
    assert all(each.notices == 1 for each in passed)
    assert all(each.replay_ok for each in outcomes)


def test_the_database_and_its_keys_are_for_the_owner_alone(tmp_path: Path) -> None:
    """`--database` says where; the key file stands beside it; nobody else may read either."""
    path = tmp_path / "here.db"
    told = played("--users", "10", "--database", str(path))
    assert str(path) == told["database"]
    keys = tmp_path / "here.db.keys"
    assert {path.name, keys.name} == {each.name for each in tmp_path.iterdir()}
    for each in (path, keys):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    connection = sqlite3.connect(path)
    (entries,) = connection.execute("SELECT count(*) FROM journal").fetchone()
    connection.close()
    assert 0 < entries <= told["journal_entries"]


@pytest.mark.parametrize("place", ["there.db", "missing/there.db", "folder", "link.db"])
def test_a_database_is_only_made_where_nothing_is(tmp_path: Path, place: str) -> None:
    """A path that is taken, or in no folder, is refused with code and remedy, and left alone."""
    (tmp_path / "there.db").write_bytes(b"mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "nowhere")
    before = sorted(tmp_path.rglob("*"))
    status, out, err = run("demo", "--users", "5", "--database", str(tmp_path / place))
    assert (status, out) == (1, "")
    assert "[DATABASE_PATH]" in err
    assert story.DatabaseUnusable.remedy in err
    assert err.count("\n") == 1
    assert before == sorted(tmp_path.rglob("*"))
    assert (tmp_path / "there.db").read_bytes() == b"mine"


def test_a_journal_that_does_not_replay_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit status is 0 only if replaying gives every stored state."""

    def replay(_: Identifier) -> ReplayReport:
        return ReplayReport(records=1, entries=1, events=1, unreadable=0, differing=("user-00001",))

    monkeypatch.setattr(Identifier, "replay", replay)
    status, out, _ = run("demo", "--json", "--users", "5")
    assert (status, json.loads(out)["replay_ok"]) == (1, False)
    status, out, _ = run("demo", "--users", "5")
    assert status == 1
    assert "DOES NOT GIVE" in out


def test_a_user_never_shares_a_number_with_another_thread() -> None:
    """Those who claim one number come in different rounds."""
    outcome = play(Casting(seed=3, users=200), silent)
    assert outcome.displaced > 0
    assert outcome.replay_ok
    assert not [each for each in threading.enumerate() if each.name.startswith("users")]


def test_no_notice_without_an_operator(tmp_path: Path) -> None:
    """Numbers outside of the plan: domestic users pass, foreign ones are refused by name."""
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(f"8999999{each:04d}" for each in range(30)), encoding="ascii")
    told = played("--numbers", str(listed), "--seed", "1")
    assert told["notices"] == 0
    assert told["passed"] > 0
    assert {"number_unrouted"} == set(told["not_passed"])


def test_interrupting_ends_with_130() -> None:
    """Ctrl-C ends the command soon, without a traceback, with exit status 130."""
    code = (
        "import sys, os, signal\n"
        # Who was started in the background of a shell ignores it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from abonent.cli import main, show\n"
        "progress = show.progress\n"
        "from contextlib import contextmanager\n"
        "@contextmanager\n"
        "def interrupted():\n"
        "    with progress() as tell:\n"
        "        def told(stage, done, total):\n"
        "            if done == 20: signal.raise_signal(signal.SIGINT)\n"
        "        yield told\n"
        "show.progress = interrupted\n"
        "sys.exit(main(['demo', '--users', '5000']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert signal.SIGINT == 2


def test_notices_keep_the_gate_open_for_ported_numbers_only() -> None:
    """The timeline says what a notice does to the gate."""
    outcomes = [play(Casting(seed=seed, users=1), silent) for seed in range(8)]
    told = [each.words for found in outcomes for each in timeline(found.history)]
    assert NoticeKind.PORTED.keeps_gate_open
    assert any("stays open until then" in each for each in told)

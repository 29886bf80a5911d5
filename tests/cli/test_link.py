"""`abonent demo --link http`: both sides in two processes, over real HTTP."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import attrs
import psutil
import pytest

from abonent.cli import main
from abonent.cli.link.figures import LinkFigures, LinkOutcome
from abonent.cli.link.sides import OperatorsLost, operators_of, write_files
from abonent.feed import ReplayReport
from abonent.identifier import Identifier
from abonent.transport.http import HttpTransport
from tests.cli.observing import observed, run
from tests.cli.test_demo import KEYS

LINK = [
    "requests",
    "retries",
    "notices_delivered",
    "deliveries_failed",
    "faults",
    "unrecorded",
    "notices_owed",
    "untold",
    "open_in_spite",
]
OF_THE_LINK = ("database", "seconds", "journal_entries", "link")
"""What is another figure each time."""


def played(*arguments: str) -> dict[str, Any]:
    status, out, err = run("demo", "--link", "http", "--json", *arguments)
    assert (status, err) == (0, "")
    told: dict[str, Any] = json.loads(out)
    return told


def test_a_demo_over_a_link_keeps_every_promise(tmp_path: Path) -> None:
    """The summary is that of the demo, with what the link did; all of it arrived."""
    told = played("--users", "60", "--seed", "1", "--database", str(tmp_path / "kept.db"))
    assert [*KEYS, "link"] == list(told)
    assert LINK == list(told["link"])
    assert told["users"] == 60 == told["passed"] + sum(told["not_passed"].values())
    assert told["replay_ok"] is True
    assert told["notices"] >= told["reidentified"] > 0
    # One whose receipt is lost need not come again: the record may have been withdrawn meanwhile.
    assert 0 < told["link"]["notices_delivered"] <= told["notices"]
    assert told["link"]["requests"] > told["passed"]
    assert [0] * 4 == [told["link"][name] for name in LINK[-4:]]
    assert (tmp_path / "kept.db").is_file()


@pytest.mark.slow
def test_a_seed_repeats_what_becomes_of_users() -> None:
    """Whatever goes wrong on the link, the same users are identified, told and identified anew."""
    first, second = (played("--users", "100", "--seed", "7") for _ in range(2))
    for name in OF_THE_LINK:
        del first[name], second[name]
    assert first == second


def test_tables_tell_what_the_link_did() -> None:
    """And one user's history, in real time."""
    status, out, err = run("demo", "--link", "http", "--users", "5", "--seed", "3")
    assert (status, err) == (0, "")
    for part in ("What the link did", "requests to operators", "notices delivered", "(times, UTC)"):
        assert part in out


def test_numbers_are_for_the_demo_without_a_link(tmp_path: Path) -> None:
    """The operators of a link know their own."""
    (tmp_path / "list.txt").write_text("89161234567")
    status, out, err = run("demo", "--link", "http", "--numbers", str(tmp_path / "list.txt"))
    assert (status, out) == (2, "")
    assert "--numbers is for the demo without a link" in err


def test_a_link_needs_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says what to install; the demo without a link does not need it."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    status, out, err = run("demo", "--link", "http")
    assert (2, "", "abonent: a reference operator needs: pip install 'abonent[serve]'\n") == (
        status,
        out,
        err,
    )
    assert 0 == run("demo", "--users", "5", "--seed", "1")[0]


GOOD = LinkOutcome(
    users=1,
    rejected=(),
    passed=1,
    not_passed={},
    notices=1,
    reidentified=1,
    gates_open=1,
    displaced=0,
    journal_entries=1,
    replay_ok=True,
    database=Path("demo.db"),
    seconds=1.0,
    history_of="",
    history=(),
    link=LinkFigures(
        requests=1,
        retries=1,
        notices_delivered=1,
        deliveries_failed=1,
        faults=1,
        unrecorded=0,
        notices_owed=0,
        untold=0,
        open_in_spite=0,
    ),
)


@pytest.mark.parametrize("name", LINK[-4:])
def test_one_broken_promise_is_enough(name: str) -> None:
    """A record nobody has, a notice still owed, a user not told, a gate open in spite of it."""
    assert GOOD.ok
    assert not attrs.evolve(GOOD, link=attrs.evolve(GOOD.link, **{name: 1})).ok
    assert not attrs.evolve(GOOD, replay_ok=False).ok


@pytest.mark.parametrize("ok", [True, False])
def test_the_status_says_whether_promises_were_kept(
    ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 if all of them were."""
    outcome = attrs.evolve(GOOD, replay_ok=ok)
    monkeypatch.setattr("abonent.cli.link.story.play", lambda *_: outcome)
    assert (0 if ok else 1) == run("demo", "--link", "http", "--json")[0]


def test_nothing_is_left_that_shows_a_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """I9: neither side's files, logs included, nor what is printed."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with observed(monkeypatch) as seen:
        assert 0 == main(["demo", "--link", "http", "--users", "60", "--seed", "5"])
        kept = [each for each in tmp_path.rglob("*") if each.is_file()]
        seen.files.update({str(each): each.read_bytes() for each in kept})
    assert {"demo.db", "operator.db", "operators.log", "messenger.log"} <= {e.name for e in kept}
    assert len(seen.numbers) > 40
    assert [] == seen.found()


def differing(times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the messenger's journal differ from its rows so many times."""
    replay, left = Identifier.replay, iter(range(times))

    def now_and_then(identifier: Identifier) -> ReplayReport:
        report = replay(identifier)
        differs = next(left, None) is not None
        return attrs.evolve(report, differing=("somebody",) if differs else ())

    monkeypatch.setattr(Identifier, "replay", now_and_then)


def test_a_journal_that_is_written_while_it_is_read_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It differs for a moment only."""
    differing(2, monkeypatch)
    assert 0 == run("demo", "--link", "http", "--users", "5", "--seed", "3")[0]


def test_a_journal_that_differs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks again sees it again: status 1."""
    differing(10**9, monkeypatch)
    monkeypatch.setattr("abonent.cli.link.story._PATIENCE", 1.0)
    status, out, _ = run("demo", "--link", "http", "--users", "5", "--seed", "3", "--json")
    assert (1, False) == (status, json.loads(out)["replay_ok"])


# --- the operators' process -------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    books: dict[str, Any] = {each: {} for each in ("alpha", "beta", "gamma")}
    write_files(tmp_path, books, "http://127.0.0.1:9/in")
    return tmp_path


def test_operators_end_when_the_story_does(folder: Path) -> None:
    """They finish what they do."""
    with HttpTransport() as transport, operators_of(folder, 1, transport) as operators:
        assert {"alpha", "beta", "gamma"} == set(operators.urls)
        assert operators.call("alpha", "replay")["ok"]
        with pytest.raises(OperatorsLost, match="alpha replies 400"):
            operators.call("alpha", "subscribers", {})
    assert 0 == operators.process.returncode


def test_operators_that_are_lost_are_missed(folder: Path) -> None:
    """Who dies in the middle of the story has not ended well."""
    with (
        HttpTransport() as transport,
        pytest.raises(OperatorsLost, match="ended with -9"),
        operators_of(folder, 1, transport) as operators,
    ):
        operators.process.kill()


def test_operators_that_do_not_start_are_missed(folder: Path) -> None:
    """Nobody waits for them."""
    (folder / "beta.csv").unlink()
    with (
        HttpTransport() as transport,
        pytest.raises(OperatorsLost, match="did not start"),
        operators_of(folder, 1, transport),
    ):
        pass
    assert "beta.csv cannot be read" in (folder / "operators.log").read_text()


def test_operators_do_not_outlive_who_started_them() -> None:
    """Whoever is killed leaves no process behind."""
    with subprocess.Popen(
        [sys.executable, "-m", "abonent.cli", "demo", "--link", "http", "--users", "2000"],
        stdout=subprocess.DEVNULL,
    ) as process:
        until = time.monotonic() + 30
        while not (found := psutil.Process(process.pid).children()) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGKILL)
    (child,) = found
    _, alive = psutil.wait_procs([child], timeout=30)
    assert [] == alive

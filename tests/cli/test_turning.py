"""`abonent keys` turns the keys of a service that runs, on SQLite, and what goes wrong is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from abonent import DeclaredUser, FileKeys
from abonent.cli import main
from abonent.errors import KeyMaterialInvalid, KeyUnavailable
from tests.cli.turning import PAGE, PAGES, TARGET, make, sender

ROOT = Path(__file__).parents[2]
FILE = ("--file", "keys.json")
USERS = 6 * PAGE


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a database of many users, all sealed under k1, and the file of that key."""
    monkeypatch.setenv("TURNED", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert 0 == main(["keys", "new", *FILE])
    proven_at = datetime.now(UTC) - timedelta(days=1)
    users = [
        DeclaredUser(user_id=f"user-{each}", number=f"+7916{each:07d}", proven_at=proven_at)
        for each in range(USERS)
    ]
    with make() as identifier:
        assert USERS == identifier.import_identified(users).imported
    return tmp_path


def identify(identifier: Any, user: str, number: str) -> None:
    identifier.claim(user, number)
    assert identifier.prove(user, sender.code_for(number)).gate


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], place: Path) -> Any:
    """Run a command with --json: status and object."""

    def command(*line: str) -> tuple[int, Any]:
        capsys.readouterr()
        status = main(["keys", *line, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return command


def records(told: Any) -> dict[str, int]:
    _, shown = told("list", TARGET, *FILE)
    return {each["id"]: each.get("records", 0) for each in shown["keys"]}


def later(hours: float) -> None:
    Path("ahead").write_text(str(hours))


def test_from_one_key_to_the_next(place: Path, told: Any):
    """New, restart, rotate, a day, retire, restart: at the end one key opens everything."""
    assert (0, {"id": "k2", "current": False}) == told("new", *FILE)
    assert {"k1": USERS, "k2": 0} == records(told)
    status, shown = told("rotate", TARGET, *FILE, "--to", "k2")
    assert (0, False) == (status, shown["left"])
    assert shown["resealed"] >= USERS
    assert {"k1": 0, "k2": USERS} == records(told)

    status, shown = told("retire", TARGET, "k1", *FILE)
    assert (1, "KEY_IN_USE") == (status, shown["code"])
    ends = datetime.fromisoformat(shown["retry_at"])
    assert timedelta(hours=23) < ends - datetime.now(UTC) <= timedelta(hours=25)
    assert ["k1", "k2"] == sorted(FileKeys("keys.json").keys().roots)

    later(25)
    assert (0, {"id": "k1", "retired": True}) == told("retire", TARGET, "k1", *FILE)
    assert (0, {"id": "k1", "retired": True}) == told("retire", TARGET, "k1", *FILE)
    assert ["k2"] == list(FileKeys("keys.json").keys().roots)
    with make() as identifier:
        assert all(identifier.gate(f"user-{each}") for each in range(0, USERS, 17))
        assert identifier.replay().ok
    assert {"k1": 0, "k2": USERS} == records(told)


@pytest.mark.slow
def test_it_is_killed_in_the_middle_while_the_service_runs(place: Path, told: Any):
    """A process that knew both keys serves throughout; the next run moves what was left."""
    FileKeys("keys.json").add()
    Path("slow").touch()
    shut: list[str] = []
    over = threading.Event()
    with make() as service:  # started anew after the key was added, and sealing under k1

        def serves() -> None:
            while not over.is_set():
                users = [f"user-{each}" for each in range(0, USERS, 7)]
                shut.extend(each for each in users if not service.gate(each))

        server = threading.Thread(target=serves)
        server.start()
        try:
            killed()
            assert 0 < sum(map(int, Path("pages").read_text().split())) < USERS
            Path("slow").unlink()
            left = records(told)
            assert left["k1"] > 0
            assert left["k2"] > 0
            status, shown = told("rotate", TARGET)
            assert (0, False) == (status, shown["left"])
            identify(service, "late", "+79269999999")
            assert 2 == records(told)["k1"]  # it seals under k1 until it is started anew
        finally:
            over.set()
            server.join()
    assert [] == shut
    status, shown = told("rotate", TARGET)
    assert (1, 1, 1) == (status, shown["resealed"], shown["waiting"])  # the count of codes sent
    later(25)
    with make() as service:
        service.sweep()
        assert service.gate("late")
        assert service.replay().ok
    status, shown = told("rotate", TARGET)
    assert (0, 0) == (status, records(told)["k1"])


def killed() -> None:
    """Start a rotation, and kill it after some pages."""
    command = [sys.executable, "-m", "abonent.cli", "keys", "rotate", TARGET, *FILE, "--to", "k2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        pages = Path("pages")
        deadline = time.monotonic() + 60
        while not pages.exists() or len(pages.read_text().split()) < PAGES:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)


def test_what_waits_is_named(place: Path, told: Any):
    """A claim that is under way keeps its key until it ends; until when at most is told."""
    FileKeys("keys.json").add()
    with make() as identifier:
        identifier.claim("boris", "+79267654321")
        identifier.sweep()
    status, shown = told("rotate", TARGET, *FILE, "--to", "k2")
    assert (1, True) == (status, shown["left"])
    assert shown["waiting"] >= 1
    (older,) = [each for each in shown["keys"] if each["id"] == "k1"]
    assert older["records"] >= 1
    assert datetime.fromisoformat(older["retry_at"]) > datetime.now(UTC)
    later(50)
    with make() as identifier:
        identifier.sweep()
    status, shown = told("rotate", TARGET)
    assert (0, 0) == (status, shown["waiting"])


def test_a_key_that_is_lost_is_named(place: Path):
    """Without its key a store opens nothing, takes nobody for new, and says which key it lacks."""
    FileKeys("keys.json").add("k2")
    FileKeys("keys.json").use("k2")
    FileKeys("keys.json").remove("k1")
    with make() as identifier, pytest.raises(KeyUnavailable) as missing:
        identifier.claim("alice", "+79261234567")
    assert "k1" == missing.value.key_id


def test_a_wrong_key_file_is_named(place: Path):
    """A file of another installation, with the same id in it, is told apart at once."""
    Path("keys.json").unlink()
    FileKeys.create("keys.json")
    with make() as identifier, pytest.raises(KeyMaterialInvalid, match="k1"):
        identifier.claim("alice", "+79261234567")

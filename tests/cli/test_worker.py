"""`abonent worker` sweeps until it is told to stop, and carries on where it can."""

import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from abonent.cli import main
from abonent.cli.worker import LIMIT, Worker, found
from abonent.engine.rounds import SweepReport
from abonent.errors import InvalidValue, StoreFull, StoreReadOnly, StoreUnavailable
from abonent.testing import Rehearsal


class Sweeps:
    """Stands for an identifier: each sweep is the next of a list, the last one for ever."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.sweeps = 0
        self.at = []

    def sweep(self, *, limit):
        self.at.append(time.monotonic())
        outcome = self.outcomes[min(self.sweeps, len(self.outcomes) - 1)]
        self.sweeps += 1
        if callable(outcome):
            outcome = outcome()
        if isinstance(outcome, Exception):
            raise outcome
        due, failed = outcome if isinstance(outcome, tuple) else (outcome, 0)
        return SweepReport(due=due, tried=0, events={}, failed=failed)


def test_it_goes_on_while_much_is_due():
    """A sweep that found as much as it may is followed by another at once."""
    sweeps = Sweeps(LIMIT, LIMIT, 3)
    worker = Worker(sweeps, every=50)
    worker.run(once=True)
    assert 3 == sweeps.sweeps
    assert 2 * LIMIT + 3 == worker.swept


def test_it_rests_when_nothing_is_due():
    """Between sweeps that find nothing it waits; told to stop, it does not wait on."""
    sweeps = Sweeps(0)
    worker = Worker(sweeps, every=0.05)
    thread = threading.Thread(target=worker.run)
    thread.start()
    time.sleep(0.5)
    worker.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert 3 <= sweeps.sweeps <= 11


def test_a_store_out_of_reach_is_tried_again(caplog, tmp_path):
    """Pauses grow while it fails, what is due is settled when it is back."""
    alive = tmp_path / "alive"
    stopping = Worker(None, every=0.02, alive=alive)
    sweeps = Sweeps(
        StoreUnavailable("away"), StoreFull("full"), StoreUnavailable("away"), 5, stopping.stop
    )
    sweeps.outcomes[-1] = lambda: stopping.stop() or 0
    stopping._identifier = sweeps
    stopping.run()
    assert 5 == stopping.swept
    assert 5 == sweeps.sweeps
    first, second, third = (b - a for a, b in zip(sweeps.at, sweeps.at[1:4], strict=False))
    assert first >= 0.02
    assert second >= 0.04
    assert third >= 0.08
    assert "abonent.sweep_failed cause=STORE_UNAVAILABLE" in caplog.text
    assert alive.exists()


def test_records_that_fail_are_counted_and_slow_it_down():
    """Others may fail as well, and would be leased away; a single run goes through all once."""
    sweeps = Sweeps((LIMIT, 2), (3, 1))
    worker = Worker(sweeps, every=0.1)
    worker.run(once=True)
    assert (LIMIT + 3, 3) == (worker.swept, worker.failed)

    stopping = Worker(None, every=0.1)
    sweeps = Sweeps((LIMIT, 2), lambda: stopping.stop() or 0)
    stopping._identifier = sweeps
    stopping.run()
    first, second = sweeps.at
    assert second - first >= 0.1


@pytest.mark.parametrize(("failed", "status"), [(0, 0), (2, 1)])
def test_the_status_of_a_single_run(failed, status, monkeypatch, capsys):
    """It is 1 if a record failed, for whoever reads the mail of cron."""

    def work(*_, **__):
        worker = Worker(None, every=1)
        worker.swept, worker.failed = 5, failed
        return worker

    monkeypatch.setattr("abonent.cli.worker.work", work)
    assert status == main(["worker", "--once", "a:b"])
    assert f"swept 5, failed {failed}\n" == capsys.readouterr().out
    assert 0 == main(["worker", "a:b"])


def test_a_file_that_cannot_be_touched(tmp_path, caplog):
    """Whoever watches it will notice; the work goes on."""
    worker = Worker(Sweeps(3), every=1, alive=tmp_path / "missing" / "alive")
    worker.run(once=True)
    assert 3 == worker.swept
    assert "abonent.alive_not_touched cause=FileNotFoundError" in caplog.text


def test_what_trying_again_does_not_mend():
    """It ends, so that whoever runs it notices; so does any failure of a single run."""
    with pytest.raises(StoreReadOnly):
        Worker(Sweeps(StoreReadOnly("standby")), every=1).run()
    with pytest.raises(StoreUnavailable):
        Worker(Sweeps(StoreUnavailable("away")), every=1).run(once=True)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("service", "module:function"),
        (":make", "module:function"),
        ("no_such_module_here:make", "no module no_such_module_here"),
        ("json:no_such_function", "has no function no_such_function"),
        ("json:__name__", "has no function __name__"),
    ],
)
def test_a_target_that_is_none(target, said, capsys, monkeypatch):
    """Each part that is wrong is named."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(InvalidValue, match=said):
        found(target)
    assert 1 == main(["worker", target])
    assert said in capsys.readouterr().err


SERVICE = """
from datetime import timedelta
from abonent import *
from abonent.simulation import SimulatedSender

def make():
    return Identifier(
        messenger=Messenger(id="messenger", kind=MessengerKind.DOMESTIC),
        storage=SqliteStorage("users.db", territory="RU"),
        keys=FileKeys("keys.json"),
        possession=OneTimeCodes(SimulatedSender()),
        policy=Policy(claim_valid=timedelta(seconds=1), settle_after=timedelta(milliseconds=1)),
        unsafe_test_doubles=True,
    )
"""


@pytest.fixture
def service(tmp_path):
    """A folder with a service in it, and a claim that has expired."""
    from abonent import FileKeys

    (tmp_path / "service.py").write_text(SERVICE)
    FileKeys.create(tmp_path / "keys.json")
    names = {}
    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        exec(compile(SERVICE, "service", "exec"), names)
        with names["make"]() as identifier:
            identifier.claim("alice", "+79161234567")
    finally:
        os.chdir(before)
    time.sleep(1.1)
    return tmp_path


def command(*more):
    return [sys.executable, "-m", "abonent.cli", "worker", "service:make", *more]


def test_once(service):
    """As a job of cron it settles what is due and ends."""
    done = subprocess.run(
        command("--once"), cwd=service, capture_output=True, text=True, timeout=60, check=False
    )
    assert 0 == done.returncode, done.stderr
    assert "failed 0" in done.stdout
    assert int(done.stdout.split()[1].rstrip(",")) >= 1
    assert "abonent.swept due=" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order(service, number):
    """SIGTERM lets it finish, say what it did and close what it holds."""
    alive = service / "alive"
    process = subprocess.Popen(
        command("--every", "0.05", "--alive", "alive"),
        cwd=service,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not alive.exists():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    assert 0 == process.returncode
    assert said.startswith("swept ")


def test_a_real_identifier():
    """It settles what has fallen due."""
    with Rehearsal() as rehearsal:
        rehearsal.claimed("alice")
        rehearsal.clock.advance(timedelta(days=3))
        worker = Worker(rehearsal.identifier, every=1)
        worker.run(once=True)
        assert worker.swept >= 1

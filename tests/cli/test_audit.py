"""`abonent audit` publishes, proves and checks, each outcome with an exit status of its own."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from queue import SimpleQueue

import pytest

from abonent.audit.log import Log
from abonent.audit.notes import Checkpoint, VerifierKey
from abonent.audit.signing import Signer, create_key
from abonent.cli import audit as audit_room
from abonent.cli import main
from abonent.cli.audit import follow
from abonent.errors import EvidenceUnavailable, LogRolledBack, StoreUnavailable
from tests.audit.logs import NAME, SPACE, Ledger, entries
from tests.audit.service import TARGET, make, sender

ROOT = Path(__file__).parents[2]
NUMBER = "+79161234567"
FILES = ("--log", "log", "--key", "log.key.vkey", "--out", "proof")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a database of two identified users, and a key."""
    monkeypatch.setenv("AUDITED", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    identify("alice", NUMBER)
    identify("boris", "+79262345678")
    assert 0 == main(["audit", "keys", "create", "log.key", "--name", NAME])
    return tmp_path


def identify(user, number):
    with make() as identifier:
        identifier.claim(user, number)
        identifier.prove(user, sender.code_for(number))


def audit(capsys, *line):
    """Run a command; return status and what it printed on both streams."""
    capsys.readouterr()
    status = main(["audit", *map(str, line)])
    shown = capsys.readouterr()
    return status, shown.out, shown.err


def told(capsys, *line):
    """Run a command with --json; return status and object."""
    status, out, err = audit(capsys, *line, "--json")
    assert "" == err
    return status, json.loads(out)


def publish(capsys, *more):
    return told(capsys, "checkpoint", TARGET, "--log", "log", "--key", "log.key", *more)


def prove(capsys, *more):
    return told(capsys, "prove", *FILES, *more)


def verify(capsys, path, *more):
    return told(capsys, "verify", path, "--key", "log.key.vkey", *more)


# --- what goes well -----------------------------------------------------------------------


def test_keys(place, capsys):
    """The public part is printed when the key is made and whenever it is asked for."""
    status, out, _ = audit(capsys, "keys", "show", "log.key")
    assert (0, (place / "log.key.vkey").read_text()) == (status, out)
    assert NAME == VerifierKey.parse(out).name
    status, out, err = audit(capsys, "keys", "create", "log.key", "--name", NAME)
    assert (1, "") == (status, out)
    assert "KEY_INVALID" in err


def test_from_a_journal_to_a_history(place, capsys):
    """Publish, prove a user's history, check it by files and key, and read it with the opening."""
    status, made = publish(capsys)
    assert (0, NAME) == (status, made["log"])
    status, proof = prove(capsys, TARGET, "--user", "alice", "--opening", "opening")
    assert (0, 0) == (status, proof["unlogged"])
    assert 0o600 == (place / "opening").stat().st_mode & 0o777

    status, shown = verify(capsys, "proof")
    assert 0 == status
    assert shown["ok"]
    assert shown["whole"]
    assert proof["entries"] == len(shown["entries"])
    assert "history" not in shown
    status, shown = verify(capsys, "proof", "--opening", "opening")
    whats = [each["what"] for each in shown["history"]]
    assert "claims a number" == whats[0]
    assert any("the gate opens" in each for each in whats)
    assert NUMBER not in json.dumps(shown)
    status, shown = verify(capsys, "proof", "--opening", "opening", "--numbers")
    assert {NUMBER} == {each["number"] for each in shown["history"] if "number" in each}


def test_in_words(place, capsys):
    """Without --json each fact is a line."""
    line = ["checkpoint", TARGET, "--log", "log", "--key", "log.key"]
    status, out, err = audit(capsys, *line)
    assert (0, "") == (status, err)
    assert out.startswith(f"log: {NAME}\nsize: ")
    assert 0 == prove(capsys, TARGET, "--entry", "1")[0]
    vkey = (place / "log.key.vkey").read_text().strip()
    status, out, err = audit(capsys, "verify", "proof", "--key", vkey, "--entry", "1")
    assert (0, "") == (status, err)
    assert "ok: True\n" in out
    assert "entries: cursor 1, number 1\n" in out
    assert 0 == prove(capsys, TARGET, "--user", "alice", "--opening", "opening")[0]
    line = ["verify", "proof", "--key", vkey, "--opening", "opening"]
    _, out, _ = audit(capsys, *line)
    assert re.search(r"^history: 20[0-9T:.+-]*, claims a number$", out, re.MULTILINE)
    assert "whole: True\n" in out
    status, out, _ = audit(capsys, "verify", "log", "--key", vkey)
    assert 0 == status
    assert not re.search("^(whole|extends|entries|history)", out, re.MULTILINE)


def test_the_growth_of_a_log(place, capsys):
    """Who keeps a checkpoint is shown later that the log only grew; no database is needed."""
    publish(capsys)
    shutil.copy(place / "log" / "checkpoint", place / "kept")
    size = json.loads(audit(capsys, "verify", "kept", "--key", "log.key.vkey", "--json")[1])["size"]
    identify("carol", "+79363456789")
    publish(capsys)
    assert 0 == prove(capsys, "--since", "kept")[0]
    for path in ("proof", "log"):
        status, shown = verify(capsys, path, "--since", "kept")
        assert (0, size) == (status, shown["extends"])
        assert shown["size"] > size


def test_a_folder_is_rebuilt(place, capsys):
    """A lost folder is refused by name, and made anew where that is asked for."""
    _, before = publish(capsys)
    shutil.rmtree(place / "log")
    status, shown = publish(capsys)
    assert (3, "EVIDENCE_ROLLED_BACK", "folder_behind") == (
        status,
        shown["code"],
        shown["finding"],
    )
    shutil.rmtree(place / "log")
    assert (0, before) == publish(capsys, "--rebuild")


def test_the_journal_is_compared(place, capsys):
    """With a folder, one's own database can be compared; a change in it is named."""
    publish(capsys)
    status, shown = verify(capsys, "log", "--journal", TARGET)
    assert (0, f"its first {shown['size']} entries are as they were logged") == (
        status,
        shown["journal"],
    )
    with sqlite3.connect(place / "users.db") as connection:
        connection.execute("UPDATE journal SET body = zeroblob(40) WHERE cursor % (1 << 40) = 3")
    connection.close()
    status, shown = verify(capsys, "log", "--journal", TARGET)
    expected = {"ok": False, "code": "EVIDENCE_TAMPERED", "finding": "row_changed"}
    assert (3, {**expected, "where": "cursor 3"}) == (status, shown)


# --- statuses -----------------------------------------------------------------------------


def test_each_class_has_a_status(place, capsys):
    """Fine, tampered with, damaged, another log's, out of reach: each is told by the status."""
    publish(capsys)
    prove(capsys, TARGET, "--entry", "2")
    assert 0 == verify(capsys, "proof")[0]
    assert 0 == verify(capsys, "proof", "--entry", "2")[0]
    assert 3 == verify(capsys, "proof", "--entry", "3")[0]
    good = (place / "proof").read_bytes()
    (place / "proof").write_bytes(good.replace(b"\nindex 1\n", b"\nindex 2\n"))
    status, shown = verify(capsys, "proof")
    assert (3, "other_entry") == (status, shown["finding"])
    (place / "proof").write_bytes(good.replace(b"\n", b"\r\n"))
    status, shown = verify(capsys, "proof")
    assert (4, "carriage_return") == (status, shown["finding"])
    (place / "proof").write_bytes(good)
    create_key(place / "other", "example.com/other")
    line = ["verify", "proof", "--key", "other.vkey"]
    assert 5 == told(capsys, *line)[0]
    assert 1 == verify(capsys, "nothing")[0]
    assert 4 == told(capsys, "verify", "proof", "--key", "proof")[0]


def test_in_words_it_is_one_line(place, capsys):
    """What does not hold is one line on stderr: code, what, finding, where, and what to do."""
    publish(capsys)
    (place / "log" / "checkpoint").write_text("nonsense\n")
    status, out, err = audit(capsys, "verify", "log", "--key", "log.key.vkey")
    assert (4, "", 1) == (status, out, err.count("\n"))
    assert err.startswith("abonent: [EVIDENCE_DAMAGED] the note has no signature lines")


@pytest.mark.parametrize(
    "line",
    [
        ["prove", *FILES],
        ["prove", *FILES, "--entry", "1"],
        ["prove", TARGET, *FILES, "--entry", "1", "--user", "alice"],
        ["prove", TARGET, *FILES, "--entry", "1", "--opening", "o"],
        ["verify", "log.key", "--key", "log.key.vkey", "--journal", TARGET],
        ["verify", "log.key", "--key", "log.key.vkey", "--numbers"],
        ["verify"],
        ["checkpoint", TARGET],
    ],
)
def test_a_command_line_that_is_none(place, capsys, line):
    """What does not fit together is said before anything is done."""
    status, out, err = audit(capsys, *line)
    assert (2, "", 1) == (status, out, err.count("\n"))


def test_what_is_wrong_with_the_rest(place, capsys):
    """A growth without the older checkpoint, an unknown user or entry, an opening that is none."""
    publish(capsys)
    shutil.copy(place / "log" / "checkpoint", place / "kept")
    prove(capsys, "--since", "kept")
    for line, said in (
        (["verify", "proof", "--key", "log.key.vkey"], "INVALID_VALUE"),
        (["prove", TARGET, *FILES, "--user", "zoe"], "UNKNOWN_USER"),
        (["prove", TARGET, *FILES, "--entry", "999"], "INVALID_VALUE"),
    ):
        status, _, err = audit(capsys, *line)
        assert 1 == status
        assert said in err
    prove(capsys, TARGET, "--entry", "1")
    status, shown = verify(capsys, "proof", "--opening", "nothing")
    assert (1, "file", "nothing") == (status, shown["finding"], shown["where"])
    status, shown = told(capsys, "verify", "proof", "--key", "nothing")
    assert (1, "file", "nothing") == (status, shown["finding"], shown["where"])
    status, _, err = audit(capsys, "verify", "proof", "--key", "log.key")
    assert 4 == status
    assert "this is the private key" in err
    prove(capsys, TARGET, "--user", "alice", "--opening", "opening")
    prove(capsys, TARGET, "--user", "boris")
    status, shown = verify(capsys, "proof", "--opening", "opening")
    assert (3, "other_subject") == (status, shown["finding"])


@pytest.mark.parametrize("more", [("--entry", "1"), ("--opening", "opening")])
@pytest.mark.parametrize("path", ["log", "log/checkpoint", "growth"])
def test_what_shows_no_entry(place, capsys, path, more):
    """Who asks for an entry, or to read one, is told that nothing here is the proof of any."""
    publish(capsys)
    prove(capsys, TARGET, "--user", "alice", "--opening", "opening")
    shutil.copy(place / "log" / "checkpoint", place / "kept")
    prove(capsys, "--since", "kept", "--out", "growth")
    line = ["verify", path, "--key", "log.key.vkey", "--since", "kept", *more]
    status, out, err = audit(capsys, *line)
    assert (2, "") == (status, out)
    assert "go with a proof of entries" in err


def test_a_proof_that_cannot_be_written(place, capsys):
    """Where the proof has no place, no opening is left lying either, and a device stays one."""
    publish(capsys)
    os.mkfifo(place / "proof")
    status, shown = prove(capsys, TARGET, "--user", "alice", "--opening", "opening")
    assert (1, "file", "proof") == (status, shown["finding"], shown["where"])
    assert (place / "proof").is_fifo()
    assert not (place / "opening").exists()


def test_an_entry_that_nobody_writes(place, capsys):
    """What opens and is no entry of abonent's is said to be damaged."""
    from abonent.audit.evidence import Published, entry_at
    from abonent.audit.leaves import Opening
    from abonent.ports import Append, Unit

    key = bytes(32)
    opening = Opening(messenger=SPACE, key=key)
    with make() as identifier:
        archive = identifier._engine.archive
        sealed = archive.keyring.seal_entry(key, 1, b"nonsense")
        archive.storage.commit([Unit(SPACE, appends=(Append(opening.subject, 1, sealed),))])
        last = archive.storage.journal(SPACE, 0, 99)[-1].cursor
        publish(capsys)
        public = VerifierKey.parse((place / "log.key.vkey").read_text())
        entry = entry_at(archive.storage, SPACE, last)
        (place / "proof").write_bytes(Published(place / "log", public).prove(entry).text)
    (place / "opening").write_text(opening.text)
    status, shown = verify(capsys, "proof", "--opening", "opening")
    assert (4, "entry") == (status, shown["finding"])


# --- watching -----------------------------------------------------------------------------


class Archive:
    """A store that does something on the way."""

    space = SPACE

    def __init__(self, storage, *happenings):
        self.storage = self
        self.kept, self.happenings = storage, list(happenings)

    def journal(self, space, after, limit):
        if self.happenings:
            happening = self.happenings.pop(0)
            if isinstance(happening, Exception):
                raise happening
            happening()
        return self.kept.journal(space, after, limit)


def test_watching_goes_on(tmp_path, caplog):
    """It publishes what comes, tries again at growing pauses, and ends when it is told to."""
    caplog.set_level(logging.INFO)
    ledger, told_to = Ledger(tmp_path), SimpleQueue()
    ledger.append(*entries(3))
    archive = Archive(
        ledger.storage,
        StoreUnavailable("away"),
        StoreUnavailable("away"),
        lambda: None,
        lambda: ledger.append(*entries(2, seed=1)),
        lambda: told_to.put(None),
    )
    with Signer(ledger.key_file) as signer:
        began = time.monotonic()
        follow(Log(ledger.folder, signer), archive, 0.01, told_to)
    assert time.monotonic() - began >= 0.02 + 0.04
    assert 5 == Checkpoint.open(ledger.note(), ledger.key).size
    lines = [each.getMessage() for each in caplog.records if each.name == "abonent"]
    assert [
        "abonent.audit_failed cause=STORE_UNAVAILABLE pause=0.0",
        "abonent.audit_failed cause=STORE_UNAVAILABLE pause=0.0",
        "abonent.checkpoint size=3",
        "abonent.checkpoint size=5",
    ] == lines


@pytest.mark.parametrize(
    ("every", "expected"), [(5.0, [0.0, 10.0, 20.0, 30.0, 30.0]), (60.0, [0.0, *[60.0] * 4])]
)
def test_a_store_that_is_away_for_a_day(tmp_path, monkeypatch, every, expected):
    """However often it has failed, it is tried again; pauses grow no longer than half a minute."""
    ledger, pauses = Ledger(tmp_path), []

    def stopped(_, pause):
        pauses.append(pause)
        return len(pauses) > 1_500

    monkeypatch.setattr(audit_room, "_stopped", stopped)
    away = Archive(ledger.storage, *[StoreUnavailable("away")] * 1_500)
    with Signer(ledger.key_file) as signer:
        follow(Log(ledger.folder, signer), away, every, SimpleQueue())
    assert expected == pauses[:5]
    assert max(every, 30.0) == pauses[-1]


def test_watching_ends_where_something_was_tampered_with(tmp_path):
    """What trying again does not mend is not tried again."""
    ledger = Ledger(tmp_path)
    ledger.append(*entries(3))
    ledger.publish()
    empty = Ledger(tmp_path).storage
    with Signer(ledger.key_file) as signer:
        log = Log(ledger.folder, signer)
        with pytest.raises(LogRolledBack):
            follow(log, Archive(empty), 0.01, SimpleQueue())


@pytest.mark.slow
def test_the_process(place, capsys):
    """It publishes, keeps a second one out, and ends in order when it is told to."""
    line = ["watch", TARGET, "--log", "log", "--key", "log.key", "--every", "0.05"]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "abonent.cli", "audit", *line],
        env={**os.environ, "PYTHONPATH": paths},
    )
    deadline = time.monotonic() + 30
    while not (place / "log" / "checkpoint").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    status, _, err = audit(capsys, *line)
    assert 1 == status
    assert "EVIDENCE_UNAVAILABLE" in err
    assert "busy" in err
    with pytest.raises(EvidenceUnavailable):
        Signer("log.key")
    process.send_signal(signal.SIGTERM)
    assert 0 == process.wait(30)
    assert 0 == verify(capsys, "log")[0]


def test_who_verifies_loads_no_engine(place, capsys):
    """The command needs neither store nor engine where it is given files."""
    publish(capsys)
    prove(capsys, TARGET, "--entry", "1")
    script = (
        "import sys; from abonent.cli import main\n"
        "status = main(['audit', 'verify', 'proof', '--key', 'log.key.vkey'])\n"
        "print([each for each in sys.modules if each.startswith(('abonent.engine', "
        "'abonent.stores', 'abonent.sealing', 'abonent.core', 'abonent.identifier'))])\n"
        "sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.endswith("[]\n")

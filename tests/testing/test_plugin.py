"""The plugin of pytest, as an application's tests meet it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

APPLICATION = '''
from abonent import Reason


class Chat:
    """An application: it asks the gate before every message."""

    def __init__(self, identifier):
        self.identifier = identifier
        self.sent = []

    def send(self, user, text):
        if self.identifier.gate(user):
            self.sent.append((user, text))


def test_a_message_goes_out(abonent_identifier):
    chat = Chat(abonent_identifier.identifier)
    abonent_identifier.identified("alice")
    chat.send("alice", "hello")
    assert [("alice", "hello")] == chat.sent


def test_no_message_after_the_contract_ended(abonent_identifier):
    chat = Chat(abonent_identifier.identifier)
    abonent_identifier.identified("alice")
    abonent_identifier.clock.advance(60)
    abonent_identifier.end_subscription("alice")
    chat.send("alice", "hello")
    assert [] == chat.sent


def test_each_test_has_its_own(abonent_identifier):
    assert abonent_identifier.identifier.gate("alice").reason is Reason.NOT_IDENTIFIED
'''


def test_an_application_uses_the_fixture(tmp_path: Path) -> None:
    """The tests of an application pass with nothing but the name of the fixture."""
    (tmp_path / "test_chat.py").write_text(APPLICATION, encoding="utf-8")
    installed = entry_points(group="pytest11", name="abonent")
    plugin = [] if installed else ["-p", "abonent.testing.plugin"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugin]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr


def _imported(code: str) -> set[str]:
    lines = ("import sys, json", code, "print(json.dumps(sorted(sys.modules)))")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


def test_the_plugin_is_light() -> None:
    """Loading the plugin imports nothing of abonent but itself, and nothing heavy."""
    before = _imported("import pytest")
    new = _imported("import pytest, abonent.testing.plugin") - before
    ours = {each for each in new if each.split(".")[0] == "abonent"}
    assert {"abonent", "abonent.testing", "abonent.testing.plugin"} == ours
    heavy = {"attrs", "cryptography", "hypothesis", "msgspec", "phonenumbers", "rich", "sqlite3"}
    assert not heavy & new

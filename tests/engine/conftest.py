"""An application of its own, as commands find it."""

from __future__ import annotations

import importlib
import sys

import pytest

from tests.properties.parts import N1

SERVICE = """
from datetime import timedelta
from abonent import Identifier, MemoryKeys, Messenger, MessengerKind, OneTimeCodes, SqliteStorage
from abonent.ports import Keys
from abonent.simulation import SimulatedClock, SimulatedSender

clock, sender = SimulatedClock(), SimulatedSender()

def make():
    return Identifier(
        messenger=Messenger(id="chat", kind=MessengerKind.DOMESTIC),
        storage=SqliteStorage("users.db", territory="RU"),
        keys=MemoryKeys(Keys(current="k1", roots={"k1": bytes(32)})),
        possession=OneTimeCodes(sender, prompt=True),
        clock=clock,
        unsafe_test_doubles=True,
    )
"""


@pytest.fixture
def service(tmp_path, monkeypatch):
    """An application's module, found by its name, with one user."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "held_service.py").write_text(SERVICE)
    monkeypatch.delitem(sys.modules, "held_service", raising=False)
    sys.path.insert(0, str(tmp_path))
    held_service = importlib.import_module("held_service")
    with held_service.make() as identifier:
        identifier.claim("alice", N1.e164)
        identifier.prove("alice", held_service.sender.code_for(N1))
    yield held_service
    sys.modules.pop("held_service")

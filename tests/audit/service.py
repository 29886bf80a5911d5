"""A messenger's service, as the command line is told of it: `tests.audit.service:make`."""

import os
from pathlib import Path

from abonent import (
    FileKeys,
    Identifier,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    SqliteStorage,
)
from abonent.simulation import SimulatedSender
from tests.audit.logs import SPACE

TARGET = "tests.audit.service:make"
sender = SimulatedSender()


def make() -> Identifier:
    folder = Path(os.environ["AUDITED"])
    if not (folder / "keys.json").exists():
        FileKeys.create(folder / "keys.json")
    return Identifier(
        messenger=Messenger(id=SPACE, kind=MessengerKind.DOMESTIC),
        storage=SqliteStorage(folder / "users.db", territory="RU"),
        keys=FileKeys(folder / "keys.json"),
        possession=OneTimeCodes(sender, prompt=True),
        unsafe_test_doubles=True,
    )

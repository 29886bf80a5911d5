"""A messenger's service in a folder: `tests.cli.turning:make`, for `abonent keys` to turn its keys.

Its clock is ahead by as many hours as the file `ahead` says. Where there is a file `slow`, each
page that is resealed is a line in the file `pages`, and after the third nothing goes on.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from abonent import (
    FileKeys,
    Identifier,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    SqliteStorage,
)
from abonent.simulation import SimulatedSender

TARGET = "tests.cli.turning:make"
PAGE = 40
PAGES = 3
sender = SimulatedSender()


class Clock:
    def __init__(self, folder: Path) -> None:
        self._ahead = folder / "ahead"

    def now(self) -> datetime:
        hours = float(self._ahead.read_text()) if self._ahead.exists() else 0.0
        return datetime.now(UTC) + timedelta(hours=hours)


class Slow(Identifier):
    """Takes small pages, says so, and stops to be killed."""

    def reseal(self, *, after: bytes = b"", limit: int = 500) -> Any:
        done = super().reseal(after=after, limit=min(limit, PAGE))
        pages = Path("pages")
        with pages.open("a") as file:
            file.write(f"{done.resealed}\n")
        if len(pages.read_text().split()) >= PAGES:
            time.sleep(300)
        return done


def make() -> Identifier:
    folder = Path(os.environ["TURNED"])
    return (Slow if (folder / "slow").exists() else Identifier)(
        messenger=Messenger(id="messenger", kind=MessengerKind.DOMESTIC),
        storage=SqliteStorage(folder / "users.db", territory="RU"),
        keys=FileKeys(folder / "keys.json"),
        possession=OneTimeCodes(sender, prompt=True),
        clock=Clock(folder),
        unsafe_test_doubles=True,
    )

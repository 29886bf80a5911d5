"""What a world is made from, as a command line gives it.

Knows ranges and how to say them again. Refuses to import what runs a world.
"""

from __future__ import annotations

import shlex
from enum import Enum
from pathlib import Path
from typing import Final

from attrs import frozen

MOST_DAYS: Final = 3_660
MOST_SUBSCRIBERS: Final = 100_000


class StoreKind(Enum):
    """Where a world keeps what is to survive a crash."""

    MEMORY = "memory"
    SQLITE = "sqlite"


@frozen(kw_only=True)
class Plan:
    """What a world is made from: two worlds of one plan are the same, step for step."""

    seed: int
    days: float
    subscribers: int
    store: StoreKind
    faults: Path | None = None

    @property
    def command(self) -> str:
        """The command line that runs this world again."""
        words = ["abonent", "simulate", "--seed", str(self.seed), "--days", repr(self.days)]
        words += ["--subscribers", str(self.subscribers), "--store", self.store.value]
        words += [] if self.faults is None else ["--faults", str(self.faults)]
        return shlex.join(words)


def is_length(days: float) -> bool:
    """Tell whether a world can last so many days; what is no number is no length."""
    return 0 < days <= MOST_DAYS

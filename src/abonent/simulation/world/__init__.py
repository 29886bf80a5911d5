"""A world in which everything goes wrong: messengers, operators and people on virtual time.

Knows how to run a world from a seed and to say which invariant did not hold.
Refuses to need a test framework, a network or the wall clock.
"""

from abonent.simulation.world.faults import Faults, FaultsFileError
from abonent.simulation.world.outcome import (
    Answered,
    Exposure,
    Noticed,
    Sample,
    Violation,
    WorldOutcome,
)
from abonent.simulation.world.rare import RARE
from abonent.simulation.world.run import run_world

__all__ = [
    "RARE",
    "Answered",
    "Exposure",
    "Faults",
    "FaultsFileError",
    "Noticed",
    "Sample",
    "Violation",
    "WorldOutcome",
    "run_world",
]

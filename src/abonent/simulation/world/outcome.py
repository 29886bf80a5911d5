"""What came of a simulated world: figures, rare branches, and a violation if there was one.

Knows results only, as plain data that can be shown, stored and compared.
Refuses to know how a world runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import frozen


@frozen(kw_only=True)
class Violation:
    """An invariant that did not hold.

    `history` is the shortest course of events found that still breaks it, a line each, in the
    order in which things happened; it names people and numbers of the world only.
    """

    invariant: str
    what: str
    at: datetime
    history: tuple[str, ...] = ()


@frozen(kw_only=True)
class Sample:
    """How many users of all messengers stood where at an instant, by `Status` value.

    `open` counts the gates that were open then.
    """

    at: datetime
    states: Mapping[str, int]
    open: int


@frozen(kw_only=True)
class Answered:
    """A question to an operator that was settled. `seconds` is how long the answer took to come.

    None: no answer came by the time the question was settled. `in_time` tells whether it counted.
    """

    operator: str
    seconds: float | None
    in_time: bool


@frozen(kw_only=True)
class Noticed:
    """A notice that arrived: `lag` seconds after what it tells of; the duty is 24 hours."""

    operator: str
    kind: str
    lag: float


@frozen(kw_only=True)
class Exposure:
    """How long the former holder of a number could still send after it stopped being theirs.

    `seconds` runs from the movement of the number to the instant at which the gate was closed, or
    to the end of the world if it never was (`closed=False`). Zero: it was closed already.
    """

    kind: str
    seconds: float
    closed: bool


@frozen(kw_only=True)
class WorldOutcome:
    """What came of one world. `steps` are events of the protocol, committed to the journals.

    `seen` counts rare branches by name: a branch of `RARE` that stands at 0 was not met by this
    seed. `failures` counts attempts that ended without passing, by the value of their `Reason`,
    and claims that were refused, by the code of the error. `seconds` is wall time.
    """

    seed: int
    days: float
    subscribers: int
    store: str
    started: datetime
    steps: int
    seconds: float
    events: Mapping[str, int]
    seen: Mapping[str, int]
    samples: tuple[Sample, ...]
    answers: tuple[Answered, ...]
    notices: tuple[Noticed, ...]
    exposures: tuple[Exposure, ...]
    failures: Mapping[str, int]
    crashes: int
    violation: Violation | None

    @property
    def ok(self) -> bool:
        """Whether every invariant held to the end."""
        return self.violation is None

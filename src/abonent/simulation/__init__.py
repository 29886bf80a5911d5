"""Doubles for tests and demonstrations: a clock that is set, operators and senders that obey.

Knows how to misbehave on request. Refuses to be used for real: every double says that it is one,
and an identifier refuses it unless built with `unsafe_test_doubles=True` (P12).
"""

from abonent.simulation.doubles import (
    Reply,
    SimulatedClock,
    SimulatedOperator,
    SimulatedRouter,
    SimulatedSender,
)

__all__ = ["Reply", "SimulatedClock", "SimulatedOperator", "SimulatedRouter", "SimulatedSender"]

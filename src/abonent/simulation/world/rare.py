"""Rare branches: what a test that lives by chance must have seen to be worth anything.

Knows their names. Refuses to know how they come about.
"""

from __future__ import annotations

from typing import Final

from abonent.simulation.world.incidents import PLACES

RARE: Final[tuple[str, ...]] = (
    "an answer in the last microsecond",
    "an answer ignored: late",
    "an answer ignored: other operator",
    "an answer after forgetting",
    "a notice before the answer",
    "a notice ignored: stale",
    "a notice ignored: repeated",
    "a notice ignored: already due",
    "a notice ignored: other operator",
    "a graver notice",
    "a displacement during re-identification",
    "a displacement behind another claim",
    "the earlier prover answered later",
    "asked the second operator",
    "an agreement ended before the operator was asked",
    "a claim when no rules are in force",
    "a code in its last microsecond",
    "a code under an older key",
    "a code that takes no more tries",
    "a code entered twice at once",
    "a budget of failures spent",
    "a budget of codes spent",
    "a user declared",
    "a declared user identified anew",
    "a declared user with another number",
    "a declared user displaced",
    "a declared user whom no operator holds",
    "a declared user who lapsed",
    "a notice about a declared user",
    "a claim that lost to a declared user",
    "a row not taken over: NUMBER_TAKEN",
    "a row not taken over: USER_KNOWN",
    "a row not taken over: NO_RULES_IN_FORCE",
    "an import that was ended",
    "an import that went on where it was ended",
    "a debt given up",
    "a record that its withdrawal overtook",
    "a number disclosed",
    "a unit that lost to another process",
    "the gate asked while the store is out of reach",
    "a gate from memory that closed after its commit",
    "a gate from memory that was too old",
    "a clock that stepped",
    "keys rotated",
    *(f"crash {place}" for place in PLACES),
)
"""Each was seen in the worlds of CI, or the session fails."""

"""What the statuses of SMPP mean for a message, and for a link.

Knows numbers and their meaning (SMPP 3.4, 5.1.3). Refuses to know sessions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from abonent.possession.smpp.link import Meaning

ROK: Final = 0x00
RINVCMDID: Final = 0x03
RINVBNDSTS: Final = 0x04
RALYBND: Final = 0x05
RSYSERR: Final = 0x08
RINVDSTADR: Final = 0x0B
RBINDFAIL: Final = 0x0D
RINVPASWD: Final = 0x0E
RMSGQFUL: Final = 0x14
RSUBMITFAIL: Final = 0x45
RTHROTTLED: Final = 0x58
RX_T_APPN: Final = 0x64
RX_R_APPN: Final = 0x66
RDELIVERYFAILURE: Final = 0xFE
RUNKNOWNERR: Final = 0xFF

_MEANINGS: Final[Mapping[int, Meaning]] = {
    ROK: Meaning.TAKEN,
    RTHROTTLED: Meaning.SLOW_DOWN,
    RMSGQFUL: Meaning.SLOW_DOWN,
    RINVBNDSTS: Meaning.TRY_LATER,
    RALYBND: Meaning.TRY_LATER,  # the last session of ours is not over yet, or there are too many
    RSYSERR: Meaning.TRY_LATER,
    RSUBMITFAIL: Meaning.TRY_LATER,
    RX_T_APPN: Meaning.TRY_LATER,
    RDELIVERYFAILURE: Meaning.TRY_LATER,
    RUNKNOWNERR: Meaning.TRY_LATER,
    # Whoever claims a number chooses it. As an alarm it would be one that strangers can raise.
    RINVDSTADR: Meaning.NUMBER_REFUSED,
}


def meaning(status: int, given: Mapping[int, Meaning]) -> Meaning:
    """Say what a status means: as given for this provider, as built in, or else `SETUP`.

    What nobody has explained is for a person to look at.
    """
    return given.get(status) or _MEANINGS.get(status, Meaning.SETUP)

"""What is counted of the demo over a link, and what has to hold at its end.

Knows figures. Refuses to know how they came about, and to import what serves.
"""

from __future__ import annotations

from attrs import frozen

from abonent.cli.demo import Outcome


@frozen(kw_only=True)
class LinkFigures:
    """What the link did.

    `requests` reached the operators' APIs, and `retries` are tries of the messenger that failed and
    were made again. `notices_delivered` were acknowledged, after `deliveries_failed` that were not.
    `faults` went wrong on purpose. The rest says what did not hold: codes whose record no operator
    has acknowledged, notices that are still owed, users whose subscription ended and who were not
    told, and gates that are open for an ended number.
    """

    requests: int
    retries: int
    notices_delivered: int
    deliveries_failed: int
    faults: int
    unrecorded: int
    notices_owed: int
    untold: int
    open_in_spite: int


@frozen(kw_only=True)
class LinkOutcome(Outcome):
    """What came of it, with what the link did."""

    link: LinkFigures

    @property
    def ok(self) -> bool:
        """Whether both sides replay, everything arrived, and no gate is open that must not be."""
        link = self.link
        failed = link.unrecorded + link.notices_owed + link.untold + link.open_in_spite
        return self.replay_ok and failed == 0

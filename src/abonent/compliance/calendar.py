"""The calendar of one messenger, from what is stored, what was agreed and what was ordered.

Knows where each kind of duty stands. Refuses to change anything.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from abonent.compliance.due import DueItem
from abonent.compliance.register import Register

if TYPE_CHECKING:
    from abonent.aio import AsyncIdentifier
    from abonent.identifier import Identifier


def calendar_of(
    identifier: Identifier | AsyncIdentifier,
    *,
    until: datetime,
    register: Register | None = None,
) -> tuple[DueItem, ...]:
    """Return what is due by `until`, inclusive, the earliest first; also what is overdue."""
    raise NotImplementedError

"""The calendar of one messenger: what is stored about users, what was agreed and what was ordered.

Knows how to walk through the store, page by page. Refuses to change anything, and to keep more of
a user than that there is one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from abonent.compliance.agenda import Known, agenda
from abonent.compliance.ahead import Ahead
from abonent.compliance.due import DueItem
from abonent.compliance.proceeding.days import day_of
from abonent.compliance.register import Register
from abonent.core.parties import check_instant
from abonent.core.rules import RULE_SETS
from abonent.engine.archive import Archive, is_sends_key
from abonent.errors import UnknownMessenger

if TYPE_CHECKING:
    from abonent.aio import AsyncIdentifier
    from abonent.identifier import Identifier

_PAGE: Final = 500


def calendar_of(
    identifier: Identifier | AsyncIdentifier,
    *,
    until: datetime,
    register: Register | None = None,
) -> tuple[DueItem, ...]:
    """Return what is due by an instant, inclusive, the earliest first; what is overdue as well.

    Reads every user's record, page by page, so that any number fit in memory. Who changes meanwhile
    is counted as before or after. Agreements and rules are those of the identifier. It blocks: call
    it in a thread where there is an event loop.

    Args:
        identifier: whose users and agreements.
        until: the last instant shown.
        register: the officer's facts about the same messenger, if there are any.

    Raises:
        NaiveInstant: `until` has no time zone.
        UnknownMessenger: the facts are about another messenger.
        StorageError: the store is out of reach, or a record is damaged.
    """
    archive, loop = identifier._engine.archive, identifier._engine.loop
    loop.commits.check()
    terrain, now = archive.terrain, loop.clock.now()
    if register is not None and register.messenger != terrain.messenger.id:
        raise UnknownMessenger(f"the register is not one of {terrain.messenger.id}")
    return agenda(
        Known(
            now=now,
            until=check_instant(until).astimezone(UTC),
            ahead=_ahead(archive, until),
            agreements=terrain.agreements,
            needs_agreement=terrain.needs_agreement,
            rule_sets=RULE_SETS if terrain.rules is None else (),
            register=None if register is None else register.on(day_of(now)),
        )
    )


def _ahead(archive: Archive, until: datetime) -> Ahead:
    """Count every user of a store."""
    counted = Ahead(until=until, rules=archive.terrain.rules)
    after: bytes | None = b""
    while after is not None:
        page = archive.storage.scan(archive.space, after, _PAGE)
        for key, record in page:
            if not is_sends_key(key):
                counted.add(archive.open(key, record).aggregate.state)
        after = page[-1][0] if len(page) == _PAGE else None
    return counted

"""Asking behind an operator's notices: has anybody's number changed hands and nobody told us?

Knows a walk through all users that remembers only where it is: in the order of their keys, each in
turn, so whoever is next was asked about longest ago. Refuses to keep a date for each user, and to
judge the answer: what it finds is a notice like any other.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from abonent.core.states import Identified, NoticeKind, standing_identification
from abonent.engine.archive import Held, is_sends_key
from abonent.engine.effects import Call, Flow, Read
from abonent.engine.inbound import Inbound
from abonent.engine.loop import Loop
from abonent.engine.observing import cause_of
from abonent.errors import (
    AbonentError,
    AdapterError,
    AdapterFault,
    InvalidValue,
    UnknownOperator,
)
from abonent.ports import Notice, Record
from abonent.sealing import TAG_LENGTH

log: Final = logging.getLogger("abonent")
_CHUNK: Final = 256
_MOST_READ: Final = 20_000
"""Records that one call reads at most, however few of them are the operator's."""


@frozen(kw_only=True)
class Reconciled:
    """What a walk found.

    `asked` questions were put; `changed` numbers were in other hands, and their users heard a
    notice; of `unknown` ones the operator had nothing to say. `failed` is the code of the error
    that ended the walk early, None if none did: whom it was about has their turn in the next round,
    so that nobody for whom it always fails holds up the others. `cursor` is where the next walk
    goes on; `b""` means that this one came to the end, and the next begins again.
    """

    operator: str
    asked: int
    changed: int
    unknown: int
    failed: str | None
    cursor: bytes


class Reconciler:
    """Walks through the users of one messenger."""

    def __init__(self, loop: Loop, inbound: Inbound) -> None:
        self._loop = loop
        self._inbound = inbound

    def walk(self, operator: str, check: Any, limit: int, after: bytes | None) -> Flow[Reconciled]:
        """Ask about up to `limit` users whom this operator identified, from a cursor on."""
        if operator not in self._loop.operators:
            raise UnknownOperator(f"operator {operator!r} is not configured")
        if limit < 1:
            raise InvalidValue("a walk asks about at least one user")
        cursor = os.urandom(TAG_LENGTH) if after is None else after
        asked = changed = unknown = read = 0
        failed: str | None = None
        while failed is None and asked < limit and read < _MOST_READ:
            page = yield from self._page(cursor)
            for key, record in page:
                cursor = key
                identified = self._identified(key, record, operator)
                if identified is None:
                    continue
                asked += 1
                try:
                    said = yield from self._ask(operator, check, identified)
                except AdapterError as error:
                    failed = self._loop.alarms.failed_at(operator, error)
                    break
                changed += said is True
                unknown += said is None
                if asked == limit:
                    break
            read += len(page)
            if len(page) < _CHUNK and failed is None and asked < limit:
                cursor = b""
                break
        return Reconciled(
            operator=operator,
            asked=asked,
            changed=changed,
            unknown=unknown,
            failed=failed,
            cursor=cursor,
        )

    def _page(self, after: bytes) -> Flow[Sequence[tuple[bytes, Record]]]:
        page: Sequence[tuple[bytes, Record]] = yield Read(self._loop.archive.scan, (after, _CHUNK))
        return page

    def _identified(self, key: bytes, record: Record, operator: str) -> Identified | None:
        if is_sends_key(key):
            return None
        try:
            held: Held = self._loop.archive.open(key, record)
        except AbonentError as error:
            # One that is damaged is told of by whoever sweeps; the walk goes on behind it.
            log.error("abonent.reconcile_cannot_open cause=%s", cause_of(error))
            return None
        standing = standing_identification(held.aggregate.state)
        if not isinstance(standing, Identified) or standing.operator != operator:
            return None
        return standing

    def _ask(self, operator: str, check: Any, identified: Identified) -> Flow[bool | None]:
        since: datetime = identified.fresh_from
        said: Any = yield Call(operator, False, check.recycled, (identified.number, since))
        if said is not None and not isinstance(said, bool):
            raise AdapterFault("recycled returned neither a bool nor None", adapter=operator)
        if said:
            # When it happened nobody says. Not before the identification, of which it is told; so
            # whoever is identified anew meanwhile is not touched by it.
            notice = Notice(
                id=_id_of(identified),
                operator=operator,
                kind=NoticeKind.REASSIGNED,
                number=identified.number,
                happened_at=since,
            )
            yield from self._inbound.receive(notice, self._loop.clock.now())
        return said


def _id_of(identified: Identified) -> str:
    """One notice for one identification, however often it is found; it tells nobody the code."""
    return f"recycled-{hashlib.sha256(identified.code.encode()).hexdigest()[:40]}"

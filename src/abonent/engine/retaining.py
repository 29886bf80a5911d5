"""Forgetting whoever need not be kept any more.

Knows a walk through all users, page by page. Refuses to judge who may be dropped, which is the
policy's; and to drop anybody on what was read: it is judged again in the task that forgets.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from attrs import frozen

from abonent.core.retention import RetentionPolicy, RetentionRule
from abonent.engine.archive import Held, is_sends_key
from abonent.engine.drafts import Draft
from abonent.engine.effects import Flow, Read, Submit, SubmitAll
from abonent.engine.loop import Done, Loop
from abonent.engine.observing import cause_of
from abonent.errors import AbonentError, InvalidValue
from abonent.ports import Record

log: Final = logging.getLogger("abonent")
_CHUNK: Final = 256


@frozen(kw_only=True)
class Retained:
    """What a walk did, or in a dry run would have done.

    Of `looked_at` records, `dropped` users were forgotten, by the rule that says so; `failed`
    records could not be read, and are kept. `cursor` is where the next walk goes on; None: this one
    came to the end.
    """

    looked_at: int
    dropped: Mapping[str, int]
    failed: int
    cursor: bytes | None
    dry_run: bool


class Retainer:
    """Walks through the users of one messenger."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop

    def walk(
        self, policy: RetentionPolicy, *, dry_run: bool, limit: int, after: bytes | None
    ) -> Flow[Retained]:
        """Look at up to `limit` records from a cursor on, and forget whoever may be dropped."""
        if limit < 1:
            raise InvalidValue("a walk looks at one record at least")
        loop, archive = self._loop, self._loop.archive
        cursor: bytes | None = after or b""
        dropped: Counter[str] = Counter()
        looked_at = failed = 0
        while cursor is not None and looked_at < limit:
            wanted = min(_CHUNK, limit - looked_at)
            page: Sequence[tuple[bytes, Record]] = yield Read(
                archive.storage.scan, (archive.space, cursor, wanted)
            )
            at = loop.clock.now()
            looked_at += len(page)
            cursor = page[-1][0] if len(page) == wanted else None
            held = list(self._opened(page))
            failed += sum(each is None for each in held)
            ripe = [
                (each, rule) for each in held if each and (rule := self._rule(policy, each, at))
            ]
            if dry_run:
                dropped.update(rule.value for _, rule in ripe)
            else:
                yield from self._forget(policy, [each.key for each, _ in ripe], at, dropped)
        return Retained(
            looked_at=looked_at,
            dropped=dict(dropped),
            failed=failed,
            cursor=cursor,
            dry_run=dry_run,
        )

    def _opened(self, page: Sequence[tuple[bytes, Record]]) -> Iterator[Held | None]:
        for key, record in page:
            if is_sends_key(key):
                continue
            try:
                yield self._loop.archive.open(key, record)
            except AbonentError as error:
                log.error("abonent.retain_cannot_open cause=%s", cause_of(error))
                yield None

    def _rule(self, policy: RetentionPolicy, held: Held, at: datetime) -> RetentionRule | None:
        if held.row.user_id is None:
            return None  # forgotten already; what is left goes by itself
        return policy.drops(held.aggregate, at, self._loop.terrain)

    def _forget(
        self, policy: RetentionPolicy, keys: Sequence[bytes], at: datetime, dropped: Counter[str]
    ) -> Flow[None]:
        if not keys:
            return
        tasks = tuple(Submit((key,), partial(self._drop, policy, key, at)) for key in keys)
        results: Sequence[Any] = yield SubmitAll(tasks)
        done: list[Done] = []
        lost: Exception | None = None
        for each in results:
            if isinstance(each, Exception):
                lost = each
            elif each is not None:
                rule, forgotten = each
                dropped[rule.value] += 1
                done.append(forgotten)
        yield from self._loop.perform_all(done)
        if lost is not None:
            raise lost  # who was dropped stays so; the same walk again goes on from here

    def _drop(
        self, policy: RetentionPolicy, key: bytes, at: datetime, draft: Draft
    ) -> tuple[RetentionRule, Done] | None:
        """Forget a user to whom the rule still applies; a task."""
        held = draft.row(key)
        rule = None if held is None else self._rule(policy, held, at)
        if held is None or rule is None:
            return None
        held, step = draft.forget(held, at)
        return rule, Done(held, step.effects, step.events)

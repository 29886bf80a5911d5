"""What in a record still leads to an older key.

Knows all that is made under a root key: a seal, the place of a row, the alias of a number, the key
id of a code, the id of a question. Refuses to change anything.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from abonent.core.budgets import live
from abonent.core.owed import wakes_at
from abonent.core.policy import DAY
from abonent.core.states import ATTEMPTS, AwaitingAnswer, ProvingPossession
from abonent.engine.archive import (
    Archive,
    Held,
    holder_aliases,
    is_sends_key,
    pending_aliases,
)
from abonent.engine.drafts import numbers_of
from abonent.engine.observing import cause_of
from abonent.errors import AbonentError, RecordDamaged
from abonent.ports import Record
from abonent.records import decode_instants
from abonent.sealing import key_of, key_of_query

log: Final = logging.getLogger("abonent")


class Lead(Struct, frozen=True, kw_only=True):
    """The older keys to which a record leads, and the key that sealed it.

    `held` is the row, if it may be moved now. `until` is when what cannot be moved ends by itself,
    None where that is not known.
    """

    key_ids: frozenset[str]
    sealed: str
    until: datetime | None = None
    held: Held | None = None


class _Looked(Struct, frozen=True):
    """A record, opened; aliases that would lead to an older key, each with the key's id."""

    key: bytes
    sealed: str
    held: Held | None
    key_ids: frozenset[str]
    aliases: tuple[tuple[bytes, str], ...] = ()
    until: datetime | None = None


def leads_of(archive: Archive, page: Sequence[tuple[bytes, Record]], now: datetime) -> list[Lead]:
    """Return what leads to older keys in each of these records, in their order.

    Raises:
        StorageError: the store is out of reach. A damaged record leads to the key that sealed it.
    """
    looked = [_look(archive, key, record, now) for key, record in page]
    aliases = [alias for each in looked for alias, _ in each.aliases]
    owners = archive.storage.find(archive.space, aliases) if aliases else []
    return list(_judge(looked, dict(zip(aliases, owners, strict=True))))


def _judge(looked: Sequence[_Looked], owners: dict[bytes, tuple[bytes, ...]]) -> Iterator[Lead]:
    for each in looked:
        known_by = {key_id for alias, key_id in each.aliases if each.key in owners[alias]}
        # Who is known outside by what was made under the key of its time, is not at rest.
        free = each.held is not None and type(each.held.aggregate.state) not in ATTEMPTS
        yield Lead(
            key_ids=each.key_ids | known_by,
            sealed=each.sealed,
            until=each.until,
            held=each.held if free else None,
        )


def _look(archive: Archive, key: bytes, record: Record, now: datetime) -> _Looked:
    try:
        sealed = key_of(record.body)
    except RecordDamaged as error:
        log.error("abonent.reseal_cannot_open cause=%s", cause_of(error))
        return _Looked(key, "", None, frozenset())
    older = frozenset((sealed,)) - {archive.keyring.current}
    try:
        if is_sends_key(key):
            body = archive.keyring.open_row(key, record.version, record.body)
            counted = decode_instants(body)
            return _Looked(key, sealed, None, older, (), counted[-1] + DAY if counted else None)
        return _look_at_row(archive, archive.open(key, record), sealed, older, now)
    except AbonentError as error:
        log.error("abonent.reseal_cannot_open cause=%s", cause_of(error))
        return _Looked(key, sealed, None, older)


def _look_at_row(
    archive: Archive, held: Held, sealed: str, older: frozenset[str], now: datetime
) -> _Looked:
    keyring, aggregate, user_id = archive.keyring, held.aggregate, held.row.user_id
    if user_id is None:
        # Its place cannot be told. While something of it counts, whoever returns is to find it.
        counts = [*(each for _, each in aggregate.failures), aggregate.sends]
        if any(live(each, now) for each in counts):
            return _Looked(held.key, sealed, None, older, (), wakes_at(aggregate))
        return _Looked(held.key, sealed, held, older)
    of_ids = keyring.key_ids
    places = dict(zip(keyring.user_tags(user_id), of_ids, strict=True))
    found = {*older, places.get(held.key, sealed)}
    aliases: list[tuple[bytes, str]] = []
    held_number, asked = numbers_of(aggregate)
    if held_number is not None:
        names = holder_aliases(keyring.number_tags(held_number))
        aliases += zip(names[1:], of_ids[1:], strict=True)
    state, until = aggregate.state, None
    if isinstance(state, ProvingPossession):
        tags = dict(zip(keyring.number_tags(state.number), of_ids, strict=True))
        found.add(tags.get(state.tag, keyring.current))
        found.add(keyring.current if state.code is None else state.code.key_id)
        until = state.expires_at
    elif isinstance(state, AwaitingAnswer):
        found.add(key_of_query(state.query_id) or keyring.current)
        until = state.due
    if asked is not None:
        names = pending_aliases(keyring.number_tags(asked))
        aliases += zip(names[1:], of_ids[1:], strict=True)
    found.discard(keyring.current)
    return _Looked(held.key, sealed, held, frozenset(found), tuple(aliases), until)

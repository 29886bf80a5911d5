"""Where things are in the store: rows, aliases and budgets of one messenger, opened on the way.

Knows keys and places. Refuses to change anything.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from abonent.core.commands import Terrain
from abonent.core.owed import CANNOT_SAY, OPEN, UNKNOWN_USER, Gate, gate
from abonent.core.states import (
    Aggregate,
)
from abonent.engine.ledger import Ledger
from abonent.engine.observing import cause_of
from abonent.ports import Record, Storage
from abonent.records import (
    Row,
    decode_row,
    says_identified,
)
from abonent.sealing import TAG_LENGTH, Keyring, subject_of

log: Final = logging.getLogger("abonent")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Return an instant as microseconds since 1970 UTC."""
    return (at - _EPOCH) // _MICROSECOND


class Held(Struct, frozen=True, kw_only=True):
    """A row as it is held in memory: where it is, at which version, and what it says."""

    key: bytes
    version: int
    row: Row

    def __repr__(self) -> str:
        return f"Held(version={self.version})"

    @property
    def aggregate(self) -> Aggregate:
        """The record itself."""
        return self.row.aggregate

    @property
    def subject(self) -> bytes:
        """The subject that the journal names."""
        return subject_of(self.row.subject_key)


class Archive:
    """Opens and seals the rows of one messenger in one store."""

    def __init__(self, storage: Storage, keyring: Keyring, terrain: Terrain) -> None:
        self.storage = storage
        self.keyring = keyring
        self.terrain = terrain
        self.space = terrain.messenger.id
        self.ledger = Ledger(storage, keyring, self.space)

    def load(self, keys: Sequence[bytes]) -> list[Held | None]:
        """Return the rows with these keys as committed.

        Raises:
            StorageError: the store is out of reach, or a row is damaged.
            KeyUnavailable, KeyMaterialInvalid: the store was written with other keys.
        """
        found = self.read(keys)
        return [
            None if record is None else self.open(key, record)
            for key, record in zip(keys, found, strict=True)
        ]

    def read(self, keys: Sequence[bytes]) -> list[Record | None]:
        """Return the records with these keys as committed, sealed as they are."""
        if not self.ledger.agreed:
            self.ledger.check()
        return self.storage.load(self.space, keys)

    def scan(self, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        """Return a page of records, as `Storage.scan` does."""
        if not self.ledger.agreed:
            self.ledger.check()
        return self.storage.scan(self.space, after, limit)

    def open(self, key: bytes, record: Record) -> Held:
        """Open one row."""
        body = self.keyring.open_row(key, record.version, record.body)
        return Held(key=key, version=record.version, row=decode_row(body))

    def gate(self, user_id: str, now: datetime) -> Gate:
        """Answer for a user from the store. Whatever goes wrong, the gate is closed (P21)."""
        try:
            return self._gate(self.keyring.user_tags(user_id), now)
        except Exception as error:
            log.error("abonent.gate_cannot_say cause=%s", cause_of(error))
            return CANNOT_SAY

    def _gate(self, keys: tuple[bytes, ...], now: datetime) -> Gate:
        found = self.read(keys)
        for key, record in zip(keys, found, strict=True):
            if record is not None:
                body = self.keyring.open_row(key, record.version, record.body)
                # Asked with every message, nearly always of who is identified: no record is built.
                return OPEN if says_identified(body) else gate(decode_row(body).aggregate, now)
        return UNKNOWN_USER

    def user(self, user_id: str) -> Held | None:
        """Return a user's row as committed, wherever a rotation of keys has left it."""
        return next((each for each in self.load(self.keyring.user_tags(user_id)) if each), None)


def holder_aliases(tags: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the aliases under which the one holder of a number is found."""
    return tuple(tag + b"h" for tag in tags)


def pending_aliases(tags: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return the aliases under which those are found who wait for an answer about a number."""
    return tuple(tag + b"p" for tag in tags)


def subject_alias(subject: bytes) -> bytes:
    """Return the alias under which the row of a journal's subject is found."""
    return subject + b"j"


def sends_key(tag: bytes) -> bytes:
    """Return the key of the record that counts codes sent to a number."""
    return tag + b"s"


def is_sends_key(key: bytes) -> bool:
    """Tell the key of a number's send budget from that of a user's row."""
    return len(key) > TAG_LENGTH

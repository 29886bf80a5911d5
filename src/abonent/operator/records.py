"""How what an operator keeps becomes stored bytes, by version.

Knows tags and field order, which never change once released: a new shape gets a new tag, a new
layout a new version. Refuses to know keys: what it makes is sealed elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.msgpack import Decoder

from abonent.operator.core.events import Event
from abonent.operator.core.states import State
from abonent.records import VERSION, _encode, _number, _read, _Stored


class _Row(_Stored, frozen=True, forbid_unknown_fields=True):
    subject_key: bytes
    state: State


class _Entry(_Stored, frozen=True, forbid_unknown_fields=True):
    events: tuple[Event, ...]


_ROW = Decoder(_Row, dec_hook=_number)
_ENTRY = Decoder(_Entry, dec_hook=_number)


class Row(Struct, frozen=True, kw_only=True):
    """All that one row says: the key of its journal, and the state."""

    subject_key: bytes
    state: State

    def __repr__(self) -> str:
        return "Row(…)"


def encode_row(row: Row) -> bytes:
    """Return the bytes of a row, to be sealed."""
    return _encode(_Row(VERSION, row.subject_key, row.state))


def decode_row(body: bytes) -> Row:
    """Read a row.

    Raises:
        RecordDamaged: it is none.
        StoreNewer: a newer release wrote it.
    """
    read = _read(_ROW, body, "a row")
    return Row(subject_key=read.subject_key, state=read.state)


def encode_entry(events: Sequence[Event]) -> bytes:
    """Return the bytes of a journal entry, to be sealed."""
    return _encode(_Entry(VERSION, tuple(events)))


def decode_entry(body: bytes) -> tuple[Event, ...]:
    """Read a journal entry.

    Raises:
        RecordDamaged: it is none.
        StoreNewer: a newer release wrote it.
    """
    return _read(_ENTRY, body, "a journal entry").events

"""How states and events become stored bytes, by version.

Knows tags and field order, which never change once released: a new shape gets a new tag, a new
layout a new version. Refuses to know keys: what it makes is sealed elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import msgspec
from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from abonent.core.budgets import Instants
from abonent.core.events import Event
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import Gate
from abonent.core.states import Aggregate, Debt, Identified, Reason, State
from abonent.errors import InvalidValue, RecordDamaged, StoreNewer

VERSION: Final = 1
"""The layout that is written. All versions up to this one are read, for ever."""

# --- the layout -----------------------------------------------------------------------


class _Stored(Struct, frozen=True, array_like=True, gc=False):
    """The parts of a stored record, in their order. The first tells the layout."""

    version: Literal[1]


class _Row(_Stored, frozen=True, forbid_unknown_fields=True):
    user_id: str | None
    subject_key: bytes
    state: State
    debts: tuple[Debt, ...]
    failures: tuple[tuple[bytes, Instants], ...]
    sends: Instants
    notices: tuple[str, ...]
    begun: int


class _Tagged(Struct, frozen=True, array_like=True, gc=False):
    tag: int


class _RowAtAGlance(_Stored, frozen=True):
    """No more of a row than the name of its state; the rest is passed over."""

    user_id: str | None
    subject_key: bytes
    state: _Tagged


class _Gate(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    open: bool
    until: datetime | None
    reason: Reason | None


class _Entry(_Stored, frozen=True, forbid_unknown_fields=True):
    events: tuple[Event, ...]
    gate: _Gate | None


class _Budget(_Stored, frozen=True, forbid_unknown_fields=True):
    instants: Instants


class KeyLine(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What the ledger says of a root key. Nothing here is secret.

    `check` tells the key from any other; `seals` is how many are counted, ahead of their making;
    `clear_since` is when a whole pass found nothing left under it, in microseconds since 1970 UTC.
    """

    key_id: str
    check: bytes
    seals: int = 0
    clear_since: int | None = None
    retired: bool = False


class _Ledger(_Stored, frozen=True, forbid_unknown_fields=True):
    lines: tuple[KeyLine, ...]


class _AnyVersion(Struct, frozen=True, array_like=True):
    version: int


def _number_packed(value: SubscriberNumber) -> int:
    return int(value.e164[1:])


def _number(_: type[Any], value: Any) -> SubscriberNumber:
    return SubscriberNumber(f"+{value:d}")


_encode: Final = Encoder(enc_hook=_number_packed).encode
_ROW: Final = Decoder(_Row, dec_hook=_number)
_GLANCE: Final = Decoder(_RowAtAGlance)
_ENTRY: Final = Decoder(_Entry, dec_hook=_number)
_BUDGET: Final = Decoder(_Budget)
_LEDGER: Final = Decoder(_Ledger)
_VERSION: Final = Decoder(_AnyVersion)
_IDENTIFIED: Final = Identified.__struct_config__.tag

_DAMAGE: Final = (
    BytesWarning,  # raised under -bb where bytes stand in the place of text or a number
    InvalidValue,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)
"""What reading bytes that nobody wrote may end in."""

T = TypeVar("T")


def _read(decoder: Decoder[T], body: bytes, what: str) -> T:
    try:
        return decoder.decode(body)
    except _DAMAGE:
        if _is_newer(body):
            raise StoreNewer(f"{what} has a layout that this release does not know") from None
        raise RecordDamaged(f"{what} cannot be read") from None


def _is_newer(body: bytes) -> bool:
    try:
        return _VERSION.decode(body).version > VERSION
    except _DAMAGE:
        return False


# --- rows -----------------------------------------------------------------------------


class Row(Struct, frozen=True, kw_only=True):
    """All that is kept about one subject: whose it is, the key of its journal, and the record."""

    user_id: str | None
    subject_key: bytes
    aggregate: Aggregate
    begun: int = 0
    """The version after which the subject began: its journal counts from 1 (S44).

    A row that was moved, or sealed anew, has one by which the count goes on: 0 or less where its
    new place has fewer versions than its journal has entries.
    """

    def __repr__(self) -> str:
        return "Row(…)"


def encode_row(row: Row) -> bytes:
    """Return the bytes of a row, to be sealed."""
    kept = row.aggregate
    return _encode(
        _Row(
            VERSION,
            row.user_id,
            row.subject_key,
            kept.state,
            kept.debts,
            kept.failures,
            kept.sends,
            kept.notices,
            row.begun,
        )
    )


def says_identified(body: bytes) -> bool:
    """Tell whether a row's state is `Identified`, which opens the gate at every instant."""
    return _read(_GLANCE, body, "a row").state.tag == _IDENTIFIED


def decode_row(body: bytes) -> Row:
    """Read a row.

    Raises:
        RecordDamaged: it is none.
        StoreNewer: a newer release wrote it.
    """
    read = _read(_ROW, body, "a row")
    aggregate = Aggregate(
        state=read.state,
        debts=read.debts,
        failures=read.failures,
        sends=read.sends,
        notices=read.notices,
    )
    return Row(
        user_id=read.user_id,
        subject_key=read.subject_key,
        aggregate=aggregate,
        begun=read.begun,
    )


# --- journal entries and budgets ------------------------------------------------------


class JournalBody(Struct, frozen=True, kw_only=True):
    """What one commit told about one subject: the events, and the gate if it changed."""

    events: tuple[Event, ...]
    gate: Gate | None

    def __repr__(self) -> str:
        return f"JournalBody({len(self.events)} events)"


def encode_entry(events: Sequence[Event], gate: Gate | None) -> bytes:
    """Return the bytes of a journal entry, to be sealed."""
    changed = None if gate is None else _Gate(gate.open, gate.until, gate.reason)
    return _encode(_Entry(VERSION, tuple(events), changed))


def decode_entry(body: bytes) -> JournalBody:
    """Read a journal entry.

    Raises:
        RecordDamaged: it is none.
        StoreNewer: a newer release wrote it.
    """
    read = _read(_ENTRY, body, "a journal entry")
    told = read.gate
    gate = None if told is None else Gate(told.open, told.until, told.reason)
    return JournalBody(events=read.events, gate=gate)


def encode_instants(instants: Instants) -> bytes:
    """Return the bytes of a rolling budget, to be sealed."""
    return _encode(_Budget(VERSION, instants))


def decode_instants(body: bytes) -> Instants:
    """Read a rolling budget.

    Raises:
        RecordDamaged: it is none.
        StoreNewer: a newer release wrote it.
    """
    return _read(_BUDGET, body, "a budget").instants


# --- the ledger of keys ---------------------------------------------------------------


def encode_ledger(lines: Sequence[KeyLine]) -> bytes:
    """Return the bytes of a ledger. They are not sealed: they tell which key is the right one."""
    return _encode(_Ledger(VERSION, tuple(lines)))


def decode_ledger(body: bytes) -> tuple[KeyLine, ...]:
    """Read a ledger.

    Raises:
        RecordDamaged: it is none.
        StoreNewer: a newer release wrote it.
    """
    return _read(_LEDGER, body, "the ledger of keys").lines

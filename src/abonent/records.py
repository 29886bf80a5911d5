"""How states and events become stored bytes, by version.

Knows tags and field order, which never change once released: a new shape gets a new tag, a new
layout a new version. Refuses to know keys: what it makes is sealed elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from operator import attrgetter
from typing import Any, Final

import msgspec
from msgspec import Struct

from abonent.core import events as happened
from abonent.core import states
from abonent.core.budgets import Instants
from abonent.core.events import Event
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import Gate
from abonent.core.states import Aggregate, Reason
from abonent.errors import InvalidValue, RecordDamaged, StoreNewer

VERSION: Final = 1
"""The layout that is written. All versions up to this one are read, for ever."""

_TAGS: Final[dict[int, type[Any]]] = {
    # states and their parts
    1: states.Unidentified,
    2: states.ProvingPossession,
    3: states.AwaitingAnswer,
    4: states.Identified,
    5: states.ReidentificationDue,
    6: states.NotPassed,
    7: states.Forgotten,
    10: states.Attempt,
    11: states.Debt,
    12: states.LiveCode,
    # events
    32: happened.NumberClaimed,
    33: happened.CodeIssued,
    34: happened.AttemptStarted,
    35: happened.AttemptFailed,
    36: happened.CodeSent,
    37: happened.CodeExpired,
    38: happened.ProofTried,
    39: happened.ProofFailed,
    40: happened.PossessionProven,
    41: happened.OperatorAsked,
    42: happened.AnswerDeferred,
    43: happened.AnswerReceived,
    44: happened.Passed,
    45: happened.IdentificationNotPassed,
    46: happened.CodeRecorded,
    47: happened.RecordWithdrawn,
    48: happened.DebtGivenUp,
    49: happened.NoticeReceived,
    50: happened.ReidentificationRequired,
    51: happened.Displaced,
    52: happened.Lapsed,
    53: happened.LateAnswerIgnored,
    54: happened.StaleNoticeIgnored,
    55: happened.NumberDisclosed,
    56: happened.UserForgotten,
    57: happened.TombstoneCleared,
}

Convert = Callable[[Any], Any]


def _record(value: Any) -> Any:
    return None if value is None else _pack(value)


def _unrecord(value: Any) -> Any:
    return None if value is None else _unpack(value)


def _enum(kind: type[Enum]) -> tuple[Convert, Convert]:
    by_value: dict[str, Enum] = {each.value: each for each in kind}
    return attrgetter("value"), by_value.__getitem__


def _failures_packed(value: Any) -> Any:
    return value


def _failures(value: Any) -> tuple[tuple[bytes, Instants], ...]:
    return tuple((tag, tuple(instants)) for tag, instants in value)


def _number_packed(value: SubscriberNumber) -> int:
    return int(value.e164[1:])


def _number(value: int) -> SubscriberNumber:
    return SubscriberNumber(f"+{value}")


_PLAIN: Final = frozenset(
    {"datetime", "datetime | None", "str", "str | None", "int", "bytes", "bool"}
)
_CONVERTED: Final[dict[str, tuple[Convert, Convert]]] = {
    "SubscriberNumber": (_number_packed, _number),
    "Before": (_record, _unrecord),
    "Identified": (_record, _unrecord),
    "LiveCode | None": (_record, _unrecord),
    "Attempt": (_record, _unrecord),
    "Attempt | None": (_record, _unrecord),
    "tuple[Debt, ...]": (
        lambda value: [_pack(each) for each in value],
        lambda value: tuple(_unpack(each) for each in value),
    ),
    "tuple[tuple[bytes, Instants], ...]": (_failures_packed, _failures),
    "tuple[bytes, ...]": (_failures_packed, tuple),
    "Instants": (_failures_packed, tuple),
    "Reason": _enum(states.Reason),
    "NoticeKind": _enum(states.NoticeKind),
    "Basis": _enum(states.Basis),
    "EffectKind": _enum(states.EffectKind),
    "Outcome": _enum(happened.Outcome),
    "Ignored": _enum(happened.Ignored),
}


class _Layout(Struct, frozen=True):
    tag: int
    make: Callable[..., Any]
    names: tuple[str, ...]
    packs: tuple[tuple[int, Convert], ...]
    unpacks: tuple[tuple[int, Convert], ...]
    read: Callable[[Any], tuple[Any, ...]]


def _layout(tag: int, kind: type[Any]) -> _Layout:
    names: tuple[str, ...] = kind.__struct_fields__
    packs: list[tuple[int, Convert]] = []
    unpacks: list[tuple[int, Convert]] = []
    for position, name in enumerate(names, start=1):
        annotation = kind.__annotations__[name]
        if annotation in _PLAIN:
            continue
        pack, unpack = _CONVERTED[annotation]
        packs.append((position, pack))
        unpacks.append((position - 1, unpack))
    return _Layout(tag, kind, names, tuple(packs), tuple(unpacks), _reader(names))


def _reader(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return lambda _: ()
    read = attrgetter(*names)
    if len(names) == 1:
        return lambda value: (read(value),)
    return read


_BY_TAG: Final = {tag: _layout(tag, kind) for tag, kind in _TAGS.items()}
_BY_TYPE: Final = {_TAGS[tag]: layout for tag, layout in _BY_TAG.items()}

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


def _pack(value: Any) -> list[Any]:
    layout = _BY_TYPE[type(value)]
    packed = [layout.tag, *layout.read(value)]
    for position, convert in layout.packs:
        packed[position] = convert(packed[position])
    return packed


def _unpack(packed: Sequence[Any]) -> Any:
    layout = _BY_TAG[packed[0]]
    values = list(packed[1:])
    for position, convert in layout.unpacks:
        values[position] = convert(values[position])
    return layout.make(**dict(zip(layout.names, values, strict=True)))


_DAMAGE: Final = (
    ArithmeticError,
    AttributeError,
    BytesWarning,  # raised under -bb where bytes stand in the place of text or a number
    InvalidValue,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)
"""What reading bytes that nobody wrote may end in."""


def _read(body: bytes, what: str) -> list[Any]:
    try:
        parts = _decode(body)
        version = parts[0]
    except _DAMAGE:
        raise RecordDamaged(f"{what} cannot be read") from None
    if not isinstance(version, int) or not 1 <= version <= VERSION:
        raise StoreNewer(f"{what} has a layout that this release does not know")
    return list(parts)


class Row(Struct, frozen=True, kw_only=True):
    """All that is kept about one subject: whose it is, the key of its journal, and the record."""

    user_id: str | None
    subject_key: bytes
    aggregate: Aggregate
    begun: int = 0
    """The version after which the subject began: its journal counts from 1 (S44)."""

    def __repr__(self) -> str:
        return "Row(…)"


def encode_row(row: Row) -> bytes:
    """Return the bytes of a row, to be sealed."""
    kept = row.aggregate
    return _encode(
        (
            VERSION,
            row.user_id,
            row.subject_key,
            _pack(kept.state),
            [_pack(each) for each in kept.debts],
            kept.failures,
            kept.sends,
            kept.notices,
            row.begun,
        )
    )


def says_identified(body: bytes) -> bool:
    """Tell whether a row's state is `Identified`, which opens the gate at every instant."""
    parts = _read(body, "a row")
    try:
        return bool(parts[3][0] == _BY_TYPE[states.Identified].tag)
    except _DAMAGE:
        raise RecordDamaged("a row cannot be read") from None


def decode_row(body: bytes) -> Row:
    """Read a row.

    Raises:
        RecordDamaged: it is none.
        StoreNewer: a newer release wrote it.
    """
    parts = _read(body, "a row")
    try:
        _, user_id, subject_key, state, debts, failures, sends, notices, begun = parts
        aggregate = Aggregate(
            state=_unpack(state),
            debts=tuple(_unpack(each) for each in debts),
            failures=_failures(failures),
            sends=tuple(sends),
            notices=tuple(notices),
        )
    except _DAMAGE:
        raise RecordDamaged("a row cannot be read") from None
    return Row(user_id=user_id, subject_key=subject_key, aggregate=aggregate, begun=begun)


class JournalBody(Struct, frozen=True, kw_only=True):
    """What one commit told about one subject: the events, and the gate if it changed."""

    events: tuple[Event, ...]
    gate: Gate | None

    def __repr__(self) -> str:
        return f"JournalBody({len(self.events)} events)"


def encode_entry(events: Sequence[Event], gate: Gate | None) -> bytes:
    """Return the bytes of a journal entry, to be sealed."""
    changed = None
    if gate is not None:
        changed = (gate.open, gate.until, None if gate.reason is None else gate.reason.value)
    return _encode((VERSION, [_pack(each) for each in events], changed))


def decode_entry(body: bytes) -> JournalBody:
    """Read a journal entry.

    Raises:
        RecordDamaged: it is none.
        StoreNewer: a newer release wrote it.
    """
    parts = _read(body, "a journal entry")
    try:
        _, packed, changed = parts
        events = tuple(_unpack(each) for each in packed)
        gate = None
        if changed is not None:
            is_open, until, reason = changed
            gate = Gate(is_open, until, None if reason is None else Reason(reason))
    except _DAMAGE:
        raise RecordDamaged("a journal entry cannot be read") from None
    return JournalBody(events=events, gate=gate)


def encode_instants(instants: Instants) -> bytes:
    """Return the bytes of a rolling budget, to be sealed."""
    return _encode((VERSION, instants))


def decode_instants(body: bytes) -> tuple[datetime, ...]:
    """Read a rolling budget.

    Raises:
        RecordDamaged: it is none.
    """
    parts = _read(body, "a budget")
    try:
        return tuple(parts[1])
    except _DAMAGE:
        raise RecordDamaged("a budget cannot be read") from None

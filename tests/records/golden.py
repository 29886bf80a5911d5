"""Records as release 0.1 wrote them; every later release must read them, for ever.

`python -m tests.records.golden` writes `golden-0.1.json`. It was run once for the release and is
never run again for it: a later layout gets a file of its own, made in the same way.

The file holds: `layout`, the tag, name and field order of every shape; `samples`, one row, entry
or budget for each shape, as hex, with what it says; `lives`, whole journals of users with the row
that each leads to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

from msgspec import Struct

from abonent import MessengerKind, Notice, NoticeKind, Reason, SubscriberNumber
from abonent.core import states
from abonent.core.events import EVENTS
from abonent.core.owed import Gate
from abonent.core.states import STATES, Aggregate
from abonent.records import Row, encode_entry, encode_instants, encode_row
from abonent.simulation import Reply
from tests.properties.parts import ANSWER_TIME, N1, N2, M, N, World, field_names
from tests.records.shapes import ENUMS

FILE = Path(__file__).with_name("golden-0.1.json")
_EPOCH = datetime(2026, 6, 1, 9, tzinfo=UTC)


def describe(value: Any) -> Any:
    """Say what a value is, in JSON: whatever it is made of, its name and fields."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, SubscriberNumber):
        return value.e164
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, tuple | list):
        return [describe(each) for each in value]
    if isinstance(value, Struct) or field_names(value):
        fields = {name: describe(getattr(value, name)) for name in field_names(value)}
        return {"is": type(value).__name__, **fields}
    return value


def layout() -> dict[str, list[str]]:
    """Tag, name and field order of every shape."""
    kinds = (*STATES, states.Attempt, states.Debt, states.LiveCode, *EVENTS)
    return {
        str(kind.__struct_config__.tag): [kind.__name__, *kind.__struct_fields__] for kind in kinds
    }


class _Filler:
    """Fills the fields of a shape with values that are all different."""

    def __init__(self) -> None:
        self.serial = 0

    def value(self, annotation: str) -> Any:
        self.serial += 1
        serial = self.serial
        at = _EPOCH + timedelta(seconds=serial, microseconds=serial)
        plain: dict[str, Any] = {
            "datetime": at,
            "str": f"text-{serial}-ё",
            "int": serial,
            "bytes": bytes([serial % 256, 0, 255]),
            "bool": serial % 2 == 0,
            "SubscriberNumber": N1 if serial % 2 else N2,
            "Instants": (at, at + timedelta(days=1)),
            "tuple[bytes, ...]": (b"tag-1", bytes([serial % 256])),
            "tuple[str, ...]": (f"text-{serial}",),
            "tuple[tuple[bytes, Instants], ...]": ((b"tag", (at,)),),
        }
        annotation = annotation.removesuffix(" | None")
        if annotation in plain:
            return plain[annotation]
        if annotation in ENUMS:
            return list(ENUMS[annotation])[serial % len(ENUMS[annotation])]
        if annotation == "Before":
            return self.fill(states.ReidentificationDue)
        if annotation == "tuple[Debt, ...]":
            return (self.fill(states.Debt),)
        return self.fill(getattr(states, annotation))

    def fill(self, kind: type[Struct], *, empty: bool = False) -> Any:
        values = {
            name: None
            if empty and (_may_be_none(kind.__annotations__[name]))
            else self.value(kind.__annotations__[name])
            for name in kind.__struct_fields__
        }
        return kind(**values)


def _may_be_none(annotation: str) -> bool:
    return annotation == "Before" or annotation.endswith("| None")


def samples() -> Iterator[dict[str, Any]]:
    """One sample of every shape; of those with fields that may be None, one more without."""
    filler = _Filler()
    for empty in (False, True):
        for kind in STATES:
            aggregate = Aggregate(
                state=filler.fill(kind, empty=empty),
                debts=() if empty else filler.value("tuple[Debt, ...]"),
                failures=() if empty else filler.value("tuple[tuple[bytes, Instants], ...]"),
                sends=() if empty else filler.value("Instants"),
                notices=() if empty else ("mts n1", "beeline n1"),
            )
            row = Row(
                user_id=None if empty else "alice", subject_key=b"s" * 32, aggregate=aggregate
            )
            yield {"kind": "row", "hex": encode_row(row).hex(), "says": describe(row)}
        for event in EVENTS:
            told = filler.fill(event, empty=empty)
            gate = None if empty else Gate(False, _EPOCH, Reason.REIDENTIFICATION_DUE)
            body = encode_entry((told,), gate)
            yield {
                "kind": "entry",
                "hex": body.hex(),
                "says": {"events": [describe(told)], "gate": describe(gate)},
            }
    budget = (_EPOCH, _EPOCH + timedelta(microseconds=1))
    yield {"kind": "budget", "hex": encode_instants(budget).hex(), "says": describe(budget)}


def lives() -> Iterator[dict[str, Any]]:
    """Journals of users through most of what can happen, and the rows that they lead to."""
    for kind in MessengerKind:
        with World(kind=kind) as world:
            world.operators[M].fail_records(Reply.UNAVAILABLE)
            world.identify("alice")
            world.clock.advance(61)
            world.identifier.sweep()
            world.identifier.receive(Notice(id="1", operator=M, kind=NoticeKind.PORTED, number=N1))
            world.identifier.receive(Notice(id="1", operator=M, kind=NoticeKind.PORTED, number=N1))
            world.router.port(N1, N)
            world.operators[N].script(Reply.UNAVAILABLE, Reply.LATER)
            world.identify("alice")
            world.identifier.prove("alice", world.wrong())
            world.clock.advance(61)
            world.identifier.sweep()
            world.clock.advance(ANSWER_TIME)
            world.clock.advance(61)
            world.identifier.sweep()
            world.identify("boris", N2)
            world.clock.advance(61)
            world.identify("clara", N2)
            world.identifier.claim("boris", N1.e164)
            world.identifier.prove("boris", world.wrong(N1))
            world.identifier.forget("clara")
            world.identifier.claim("clara", N2.e164)
            world.flush()
            for user in ("alice", "boris", "clara"):
                held = world.identifier._engine.archive.user(user)
                assert held is not None
                entries = [
                    world.keyring.open_entry(held.row.subject_key, each.number, each.body)
                    for each in world.everything()[1]
                    if each.subject == held.subject
                ]
                yield {
                    "entries": [each.hex() for each in entries],
                    "row": encode_row(held.row).hex(),
                }


def write() -> None:
    """Write the file of this release."""
    content = {"layout": layout(), "samples": list(samples()), "lives": list(lives())}
    FILE.write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n", encoding="ascii")


if __name__ == "__main__":
    write()

"""What is stored is read back as it was, and nothing else is taken for it."""

import json
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent.core.events import EVENTS, Event
from abonent.core.evolution import evolve
from abonent.core.owed import Gate
from abonent.core.states import BLANK, STATES, Aggregate, Reason
from abonent.errors import RecordDamaged, StoreNewer
from abonent.records import (
    VERSION,
    JournalBody,
    Row,
    decode_entry,
    decode_instants,
    decode_row,
    encode_entry,
    encode_instants,
    encode_row,
    says_identified,
)
from tests.properties.parts import bounded
from tests.records import golden
from tests.records.shapes import aggregates, any_event, instants, of_type

GOLDEN = json.loads(golden.FILE.read_text("ascii"))
DECODERS = (decode_row, decode_entry, decode_instants, says_identified)
gates = st.none() | st.builds(Gate, st.booleans(), st.none() | instants, st.sampled_from(Reason))


def samples(kind: str) -> list[Any]:
    return [each for each in GOLDEN["samples"] if each["kind"] == kind]


# --- round trips -----------------------------------------------------------------------


@given(st.none() | st.text(max_size=20), st.binary(min_size=32, max_size=32), aggregates)
@bounded(300)
def test_a_row_comes_back(user_id: str | None, subject_key: bytes, aggregate: Aggregate):
    """Every state, with any debts and budgets, is read as it was written."""
    row = Row(user_id=user_id, subject_key=subject_key, aggregate=aggregate)
    body = encode_row(row)
    assert decode_row(body) == row
    assert encode_row(decode_row(body)) == body
    assert says_identified(body) is (type(aggregate.state).__name__ == "Identified")


@pytest.mark.parametrize("kind", [*STATES, *EVENTS], ids=lambda each: each.__name__)
def test_every_shape_comes_back(kind: type[Any]):
    """Each state and event by itself, whatever its fields hold."""

    @given(of_type(kind))
    @bounded(25)
    def comes_back(value: Any) -> None:
        if kind in EVENTS:
            body = decode_entry(encode_entry((value,), None))
            assert body == JournalBody(events=(value,), gate=None)
            (read,) = body.events
        else:
            row = Row(user_id="a", subject_key=b"", aggregate=Aggregate(state=value))
            read = decode_row(encode_row(row)).aggregate.state
        assert type(read) is kind
        assert golden.describe(read) == golden.describe(value)

    comes_back()


@given(st.lists(any_event, max_size=5).map(tuple), gates)
@bounded(200)
def test_an_entry_comes_back(events: tuple[Event, ...], gate: Gate | None):
    """Several events in their order, and the gate if it changed."""
    assert decode_entry(encode_entry(events, gate)) == JournalBody(events=events, gate=gate)


@given(st.lists(instants, max_size=8).map(tuple))
@bounded(50)
def test_a_budget_comes_back(budget: tuple[datetime, ...]):
    """Instants keep their microseconds and are UTC."""
    read = decode_instants(encode_instants(budget))
    assert read == budget
    assert all(each.utcoffset() == timedelta() for each in read)


# --- for ever --------------------------------------------------------------------------


def test_layouts_do_not_change():
    """Tag, name and field order of every released shape are what they were."""
    now = golden.layout()
    assert {tag: now.get(tag) for tag in GOLDEN["layout"]} == GOLDEN["layout"]


def test_the_golden_file_knows_every_shape():
    """Each state and event has a sample, and the tags of all shapes are different."""
    rows = {each["says"]["aggregate"]["state"]["is"] for each in samples("row")}
    told = {each["says"]["events"][0]["is"] for each in samples("entry")}
    assert rows == {each.__name__ for each in STATES}
    assert told == {each.__name__ for each in EVENTS}
    assert len({name for name, *_ in GOLDEN["layout"].values()}) == len(GOLDEN["layout"])


@pytest.mark.parametrize("position", range(len(samples("row"))))
def test_a_golden_row_is_read_as_it_was(position: int):
    """A row that release 0.1 wrote says what it said."""
    sample = samples("row")[position]
    assert golden.describe(decode_row(bytes.fromhex(sample["hex"]))) == sample["says"]


@pytest.mark.parametrize("position", range(len(samples("entry"))))
def test_a_golden_entry_is_read_as_it_was(position: int):
    """A journal entry that release 0.1 wrote says what it said."""
    sample = samples("entry")[position]
    body = decode_entry(bytes.fromhex(sample["hex"]))
    said = {"events": golden.describe(body.events), "gate": golden.describe(body.gate)}
    assert said == sample["says"]


def test_a_golden_budget_is_read_as_it_was():
    """A send budget that release 0.1 wrote says what it said."""
    (sample,) = samples("budget")
    assert golden.describe(decode_instants(bytes.fromhex(sample["hex"]))) == sample["says"]


@pytest.mark.parametrize("position", range(len(GOLDEN["lives"])))
def test_a_golden_journal_replays(position: int):
    """I7: a journal that release 0.1 wrote still leads to the row that it led to."""
    life = GOLDEN["lives"][position]
    aggregate = BLANK
    for body in life["entries"]:
        for event in decode_entry(bytes.fromhex(body)).events:
            aggregate = evolve(aggregate, event)
    assert aggregate == decode_row(bytes.fromhex(life["row"])).aggregate


def test_golden_lives_are_eventful():
    """The golden journals tell of most that can happen."""
    told = {
        type(event).__name__
        for life in GOLDEN["lives"]
        for body in life["entries"]
        for event in decode_entry(bytes.fromhex(body)).events
    }
    assert len(told) >= 20


# --- what is none ----------------------------------------------------------------------


def read_by_name(body: bytes) -> None:
    """Any decoder either reads it or says by name that it cannot."""
    for decode in DECODERS:
        try:
            decode(body)
        except (RecordDamaged, StoreNewer):
            continue


@given(st.binary(max_size=80))
@bounded(400)
def test_arbitrary_bytes_are_damage(body: bytes):
    """Bytes from anywhere never raise anything but the two errors with a name."""
    read_by_name(body)


packable = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | instants,
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.dictionaries(st.text(max_size=2) | st.integers(0, 3), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(packable)
@bounded(400)
def test_arbitrary_structures_are_damage(value: Any):
    """Well-formed MessagePack that is none of ours is refused by name too."""
    read_by_name(msgspec.msgpack.encode(value))


@given(st.lists(packable, max_size=7), st.sampled_from([1, 1, 1, 2, 0, -1, True, "1", None]))
@bounded(400)
def test_arbitrary_contents_are_damage(parts: list[Any], version: Any):
    """So is anything behind a version, known or not."""
    read_by_name(msgspec.msgpack.encode([version, *parts]))


ALL = [bytes.fromhex(each["hex"]) for each in GOLDEN["samples"]]


@given(st.sampled_from(ALL), st.integers(0, 2000), st.integers(1, 255), st.integers(0, 30))
@bounded(800)
def test_damaged_records_are_refused_by_name(body: bytes, position: int, flip: int, cut: int):
    """A record with a byte changed, or its end missing, raises nothing else."""
    damaged = bytearray(body)
    damaged[position % len(damaged)] ^= flip
    read_by_name(bytes(damaged))
    read_by_name(body[: max(len(body) - cut, 0)])
    read_by_name(bytes(damaged) + body[:cut])


NASTY = {
    "empty": b"",
    "nothing": b"\xc0",
    "text that is not UTF-8": b"\x92\x01\xa2\xff\xfe",
    "very deep": b"\x91" * 100_000 + b"\x01",
    "deep behind a version": b"\x98\x01" + b"\x91" * 5000 + b"\xc0" * 8,
    "a map": b"\x81\x00\x01",
    "a text": b"\xa1\x01",
    "an unknown opcode": b"\xc1",
    "an unknown extension": b"\xc7\x05\x10hello",
    "an instant out of range": b"\xd7\xff" + b"\xff" * 8,
}


@pytest.mark.parametrize("body", NASTY.values(), ids=NASTY)
def test_nasty_bytes_are_refused(body: bytes):
    """Each is refused by every decoder, by name."""
    for decode in DECODERS:
        with pytest.raises((RecordDamaged, StoreNewer)):
            decode(body)


def test_states_within_states_do_not_go_on_for_ever():
    """A forged record that nests identifications without end is damage."""
    nested: Any = None
    for _ in range(400):
        nested = [5, nested, "ported", None, None, None]
    read_by_name(msgspec.msgpack.encode([VERSION, "a", b"", nested, [], [], [], []]))


@pytest.mark.parametrize("version", [VERSION + 1, 99, 2**40])
def test_a_newer_layout_is_named(version: int):
    """What a newer release wrote is not damage: the remedy is to upgrade."""
    for decode, sample in zip(DECODERS, (*_first(), _first()[0]), strict=True):
        parts = msgspec.msgpack.decode(sample)
        parts[0] = version
        with pytest.raises(StoreNewer):
            decode(msgspec.msgpack.encode(parts))


def _first() -> list[bytes]:
    return [bytes.fromhex(samples(kind)[0]["hex"]) for kind in ("row", "entry", "budget")]


@pytest.mark.parametrize("tag", [0, 8, 9, 31, 58, 255, -1])
def test_a_tag_that_never_was_is_damage(tag: int):
    """A state or event under a tag that no layout knows is refused."""
    row, entry, _ = (msgspec.msgpack.decode(each) for each in _first())
    row[3][0] = tag
    entry[1][0][0] = tag
    with pytest.raises(RecordDamaged):
        decode_row(msgspec.msgpack.encode(row))
    with pytest.raises(RecordDamaged):
        decode_entry(msgspec.msgpack.encode(entry))


def test_a_field_too_few_or_too_many_is_damage():
    """Shapes are exact: a later field cannot be mistaken for an earlier one."""
    for change in (lambda packed: packed.pop(), lambda packed: packed.append(None)):
        row, entry, _ = (msgspec.msgpack.decode(each) for each in _first())
        for packed, decode in ((row[3], decode_row), (entry[1][0], decode_entry)):
            if len(packed) > 1 or change.__code__.co_names == ("append",):
                change(packed)
                with pytest.raises(RecordDamaged):
                    decode(msgspec.msgpack.encode(row if decode is decode_row else entry))


def test_a_user_who_was_forgotten_has_no_name_in_a_row():
    """A row without a user id comes back without one."""
    row = Row(user_id=None, subject_key=b"k", aggregate=BLANK)
    assert decode_row(encode_row(row)).user_id is None
    assert "alice" not in repr(Row(user_id="alice", subject_key=b"k", aggregate=BLANK))

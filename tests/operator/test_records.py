"""Stored bytes of a desk: what was written by a release is read by every later one."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from msgspec.msgpack import decode, encode

from abonent.errors import RecordDamaged, StoreNewer
from abonent.operator.core.events import EVENTS
from abonent.operator.core.states import STATES, End, Hold
from abonent.operator.records import Row, decode_entry, decode_row, encode_entry, encode_row
from tests.operator.samples import EVENT_SAMPLES, STATE_SAMPLES

KEY = bytes(range(32))


@pytest.mark.parametrize("state", STATE_SAMPLES, ids=lambda each: type(each).__name__)
def test_a_row_is_read_as_it_was_written(state):
    """Every state comes back as it was, and its row shows nothing."""
    row = Row(subject_key=KEY, state=state)
    assert row == decode_row(encode_row(row))
    assert "Row(…)" == repr(row)


def test_entries_are_read_as_they_were_written():
    """Events come back in their order."""
    assert EVENT_SAMPLES == decode_entry(encode_entry(EVENT_SAMPLES))
    assert () == decode_entry(encode_entry(()))


def test_what_release_0_1_wrote_is_read_for_ever():
    """Bytes that were kept aside read as the states and events they were written from."""
    golden = json.loads(Path(__file__).with_name("golden-0.1.json").read_text("ascii"))
    rows = [decode_row(bytes.fromhex(each)).state for each in golden["rows"]]
    assert list(STATE_SAMPLES) == rows
    assert EVENT_SAMPLES == decode_entry(bytes.fromhex(golden["entry"]))


TAGS = {
    "Blank": 1, "Asked": 2, "AnswerOwed": 3, "Answered": 4, "Lapsed": 5,
    "Recorded": 6, "NoticeOwed": 7, "Told": 8, "Withdrawn": 9, "Line": 10,
    "Hold": 20, "End": 21,
    "QuestionReceived": 32, "AnswerPromised": 33, "AttemptStarted": 34, "AttemptFailed": 35,
    "AnswerFound": 36, "AnswerGiven": 37, "AnswerLapsed": 38, "QuestionCleared": 39,
    "CodeRecorded": 40, "NoticeRequired": 41, "NoticeOverdue": 42, "NoticeAcknowledged": 43,
    "RecordWithdrawn": 44, "HoldingTold": 45, "SubscriptionEnded": 46, "RecordListed": 47,
    "RecordUnlisted": 48, "LineCleared": 49,
}  # fmt: skip
FIELDS = {
    "Asked": "query_id messenger number asked_at received_at due promised looking",
    "AnswerOwed": "query_id messenger number outcome received_at due giving",
    "Answered": "number outcome at kept_until",
    "Lapsed": "number due kept_until",
    "Recorded": "messenger number code since hold",
    "NoticeOwed": "messenger number code since notice_id kind happened_at due overdue telling",
    "Told": "at",
    "Withdrawn": "at",
    "Line": "holds ends records kept_until",
    "Hold": "since asked_at",
    "End": "id kind happened_at believed_until",
    "QuestionReceived": "at asked_at query_id messenger number due rules",
    "CodeRecorded": "at messenger number code hold rules",
    "NoticeRequired": "at notice_id kind happened_at due",
    "HoldingTold": "at messenger hold kept_until",
    "SubscriptionEnded": "at movement_id kind happened_at believed_until kept_until",
}


def test_tags_and_fields_never_change():
    """A released shape keeps its tag and the order of its fields for ever."""
    kinds = {each.__name__: each for each in (*STATES, *EVENTS, Hold, End)}
    assert TAGS == {name: kind.__struct_config__.tag for name, kind in kinds.items()}
    for name, fields in FIELDS.items():
        assert tuple(fields.split()) == kinds[name].__struct_fields__


@pytest.mark.parametrize(
    "body",
    [b"", b"\xc1", encode([1]), encode([1, KEY, [99]]), encode([1, KEY, [8, "no instant"]])],
    ids=["nothing", "no message", "a number", "no state", "no instant"],
)
def test_what_nobody_wrote_is_damage(body):
    """Bytes that are no row and no entry are refused as damaged."""
    with pytest.raises(RecordDamaged):
        decode_row(body)
    with pytest.raises(RecordDamaged):
        decode_entry(body)


def test_what_a_newer_release_wrote_is_told_apart():
    """A layout of a later release is no damage: it wants another release."""
    parts = decode(encode_row(Row(subject_key=KEY, state=STATE_SAMPLES[1])))
    newer = msgspec.msgpack.encode([2, *parts[1:], "more"])
    with pytest.raises(StoreNewer):
        decode_row(newer)
    with pytest.raises(StoreNewer):
        decode_entry(newer)

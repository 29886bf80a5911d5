"""Events: what goes out is the published shape, and nothing else comes in."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent import LateAnswer, Notice, NoticeKind, Outcome, SubscriberNumber
from abonent.errors import InvalidValue, NaiveInstant, RequestRefused
from abonent.wire import ANSWER_TYPE, EVENT_TYPES, decode_event, encode_event
from abonent.wire.events import LONGEST_BODY, LONGEST_ID, claimed_operator
from tests.wire.parts import ANSWER, HOUR, NOTICE, START, M, data, event


def test_a_notice_as_an_event():
    """The members are those of CloudEvents as CAMARA has them; the number is in the data only."""
    assert {
        "specversion": "1.0",
        "id": "n-1",
        "source": "/operators/mts",
        "type": "org.abonent.notices.v1.subscription-terminated",
        "time": "2026-06-01T09:00:00Z",
        "datacontenttype": "application/json",
        "data": {"phoneNumber": "+79161234567", "happenedAt": "2026-06-01T08:00:00Z"},
    } == json.loads(encode_event(NOTICE, at=START))


def test_an_answer_as_an_event():
    """An answer goes under the id of its question, and holds no number at all."""
    assert {
        "specversion": "1.0",
        "id": "q-1",
        "source": "/operators/mts",
        "type": "org.abonent.answers.v1.answer-given",
        "time": "2026-06-01T09:00:00Z",
        "datacontenttype": "application/json",
        "data": {"queryId": "q-1", "outcome": "HELD"},
    } == json.loads(encode_event(ANSWER, at=START))


@pytest.mark.parametrize("item", [NOTICE, ANSWER])
def test_an_event_fits_camara_s_schema(item):
    """CAMARA event guide r4.2, 3.1 and CAMARA_event_common.yaml: members, lengths and forms."""
    written = json.loads(encode_event(item, at=START))
    assert {"id", "source", "type", "specversion", "time"} <= set(written)
    assert set(written) <= {
        *("id", "source", "type", "specversion", "time", "datacontenttype", "data")
    }
    assert 1 <= len(written["id"]) <= 256
    assert 1 <= len(written["source"]) <= 2048
    assert re.fullmatch(r"org\.[a-z]+\.[a-z-]+\.v[0-9]+\.[a-z-]+", written["type"])
    assert len(written["type"]) <= 512
    assert len(written["time"]) <= 64
    assert isinstance(written["data"], dict)


def test_every_kind_has_a_type_of_its_own():
    """Types are stable: a change of one is another version."""
    assert set(NoticeKind) == set(EVENT_TYPES)
    assert {
        "org.abonent.notices.v1.subscription-terminated",
        "org.abonent.notices.v1.number-reassigned",
        "org.abonent.notices.v1.number-ported",
        "org.abonent.notices.v1.number-changed",
        "org.abonent.answers.v1.answer-given",
    } == {*EVENT_TYPES.values(), ANSWER_TYPE}


OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda each: timezone(timedelta(minutes=each)))
INSTANTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=OFFSETS)
IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=LONGEST_ID).filter(str.isprintable)
OPERATORS = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?", fullmatch=True)
NUMBERS = st.from_regex(r"\+[1-9][0-9]{4,14}", fullmatch=True).map(SubscriberNumber)
NOTICES = st.builds(
    Notice,
    id=IDS,
    operator=OPERATORS,
    kind=st.sampled_from(NoticeKind),
    number=NUMBERS,
    happened_at=st.none() | INSTANTS,
)
ANSWERS = st.builds(
    LateAnswer,
    query_id=IDS,
    operator=OPERATORS,
    outcome=st.sampled_from([each for each in Outcome if each is not Outcome.LATER]),
)


@given(NOTICES | ANSWERS, INSTANTS)
def test_what_is_written_is_read(item, at):
    """Every notice and answer comes through unchanged, in UTC."""
    read = decode_event(encode_event(item, at=at))
    assert item == read.item
    assert at == read.told_at
    assert UTC is read.told_at.tzinfo
    assert read.id == (item.id if isinstance(item, Notice) else item.query_id)
    assert item.operator == claimed_operator(encode_event(item, at=at))


@pytest.mark.parametrize(
    "item",
    [
        attrs.evolve(NOTICE, id=""),
        attrs.evolve(NOTICE, id="x" * (LONGEST_ID + 1)),
        attrs.evolve(NOTICE, id="a\nb"),
        attrs.evolve(NOTICE, id="\ud800"),
        attrs.evolve(ANSWER, query_id=""),
        attrs.evolve(ANSWER, outcome=Outcome.LATER),
    ],
)
def test_what_cannot_be_an_event_is_not_written(item):
    """An operator hears of it at home, not from the messenger."""
    with pytest.raises(InvalidValue):
        encode_event(item, at=START)


def test_a_naive_instant_is_not_written():
    """P16: there is no guess at a time zone."""
    with pytest.raises(NaiveInstant):
        encode_event(NOTICE, at=datetime(2026, 6, 1))


def as_bytes(members: Any) -> bytes:
    return json.dumps(members).encode()


def answer(**changes: Any) -> dict[str, Any]:
    members = {"queryId": "q-1", "outcome": "HELD"} | changes
    kept = {name: value for name, value in members.items() if value is not ...}
    return event(type=ANSWER_TYPE, data=kept)


GOOD = as_bytes(event())
REFUSED: dict[str, dict[str, bytes]] = {
    "BODY_TOO_LARGE": {
        "blanks": GOOD + b" " * LONGEST_BODY,
        "a megabyte": as_bytes(event(extra="x" * 10**6)),
    },
    "NOT_UTF8": {
        "latin-1": GOOD.replace(b"n-1", b"\xe9"),
        "utf-16": GOOD.decode().encode("utf-16"),
        "cut in a letter": GOOD.replace(b"n-1", "я".encode()[:1]),
        "a surrogate in bytes": GOOD.replace(b"n-1", b"\xed\xa0\x80"),
        "overlong": GOOD.replace(b"n-1", b"\xc0\x80"),
    },
    "NOT_JSON": {
        "nothing": b"",
        "blanks": b"  ",
        "cut": GOOD[:-1],
        "text": b"hello",
        "two": GOOD + GOOD,
        "a mark before": b"\xef\xbb\xbf" + GOOD,
        "comma": GOOD[:-1] + b",}",
        "comment": b"/* */" + GOOD,
        "single quotes": GOOD.replace(b'"', b"'"),
        "NaN": as_bytes(event(extra=1)).replace(b'"extra": 1', b'"extra": NaN'),
        "infinity": as_bytes(event(extra=1)).replace(b'"extra": 1', b'"extra": -Infinity'),
        "a long number": b'{"id": ' + b"9" * 5000 + b"}",
        "control character": GOOD.replace(b"n-1", b"n\n1"),
        "NUL": GOOD + b"\0",
    },
    "TOO_DEEP": {
        "arrays": b"[" * 9,
        "objects": b'{"a":' * 9 + b"1" + b"}" * 9,
        "thousands": b"[" * 8000 + b"]" * 8000,
        "in the data": as_bytes(data(extra=[[[[[[[[]]]]]]]])),
    },
    "NAME_TWICE": {
        "id": GOOD.replace(b'"id"', b'"id": "n-2", "id"'),
        "the same": GOOD.replace(b'"id": "n-1"', b'"id": "n-1", "id": "n-1"'),
        "escaped": GOOD.replace(b'"id"', b'"\\u0069d": "n-2", "id"'),
        "in the data": GOOD.replace(b'"phoneNumber"', b'"phoneNumber": "+1", "phoneNumber"'),
        "unknown ones": GOOD.replace(b'"id"', b'"x": 1, "x": 2, "id"'),
    },
    "MEMBER_MISSING": {
        **{
            name: as_bytes(event(**{name: ...}))
            for name in ("specversion", "id", "source", "type", "time", "data")
        },
        "number": as_bytes(data(phoneNumber=...)),
        "query": as_bytes(answer(queryId=...)),
        "outcome": as_bytes(answer(outcome=...)),
        "all": b"{}",
    },
    "MEMBER_UNKNOWN": {
        "extension": as_bytes(event(traceparent="00-1")),
        "subject": as_bytes(event(subject="+79161234567")),
        "binary data": as_bytes(event(data_base64="e30=")),
        "schema": as_bytes(event(dataschema="https://example.com")),
        "capital": as_bytes(event(Id="n-1")),
        "in the data": as_bytes(data(name="Ivan")),
        "a number in an answer": as_bytes(answer(phoneNumber="+79161234567")),
        "empty": as_bytes(event(**{"": 1})),
    },
    "MEMBER_WRONG": {
        "array": b"[]",
        "null": b"null",
        "string": b'"event"',
        "number": b"1",
        "batch": as_bytes([event()]),
        "version": as_bytes(event(specversion="1.1")),
        "version as number": as_bytes(event(specversion=1.0)),
        "id as number": as_bytes(event(id=1)),
        "id empty": as_bytes(event(id="")),
        "id long": as_bytes(event(id="x" * (LONGEST_ID + 1))),
        "id null": as_bytes(event(id=None)),
        "id with control": as_bytes(event(id="a\nb")),
        "id with a surrogate": as_bytes(event(id="\ud800")),
        "source empty": as_bytes(event(source="")),
        "source of another kind": as_bytes(event(source="https://mts.example")),
        "source with a capital": as_bytes(event(source="/operators/MTS")),
        "source with a path": as_bytes(event(source="/operators/mts/x")),
        "source with a line end": as_bytes(event(source="/operators/mts\n")),
        "source long": as_bytes(event(source="/operators/" + "m" * 65)),
        "source as list": as_bytes(event(source=["/operators/mts"])),
        "type as number": as_bytes(event(type=1)),
        "type long": as_bytes(event(type="x" * 513)),
        "time as number": as_bytes(event(time=1780304400)),
        "time as text": as_bytes(event(time="now")),
        "time of no day": as_bytes(event(time="2026-02-30T00:00:00Z")),
        "time at 24": as_bytes(event(time="2026-06-01T24:00:00Z")),
        "leap second": as_bytes(event(time="2026-06-30T23:59:60Z")),
        "time before time": as_bytes(event(time="0001-01-01T00:00:00+14:00")),
        "time after time": as_bytes(event(time="9999-12-31T23:59:59-14:00")),
        "year of five": as_bytes(event(time="12026-06-01T00:00:00Z")),
        "content type": as_bytes(event(datacontenttype="text/xml")),
        "data as text": as_bytes(event(data="{}")),
        "data as list": as_bytes(event(data=[])),
        "data null": as_bytes(event(data=None)),
        "number as number": as_bytes(data(phoneNumber=79161234567)),
        "number as typed": as_bytes(data(phoneNumber="8 916 123-45-67")),
        "number without plus": as_bytes(data(phoneNumber="79161234567")),
        "number short": as_bytes(data(phoneNumber="+7916")),
        "number long": as_bytes(data(phoneNumber="+7916123456789012")),
        "number of zeros": as_bytes(data(phoneNumber="+0000000000")),
        "number with a line end": as_bytes(data(phoneNumber="+79161234567\n")),
        "number in other digits": as_bytes(data(phoneNumber="+٧٩١٦١٢٣٤٥٦٧")),
        "number null": as_bytes(data(phoneNumber=None)),
        "number in a list": as_bytes(data(phoneNumber=["+79161234567"])),
        "happened as text": as_bytes(data(happenedAt="yesterday")),
        "happened before time": as_bytes(data(happenedAt="0001-01-01T00:00:00+14:00")),
        "query as number": as_bytes(answer(queryId=1)),
        "query empty": as_bytes(answer(queryId="")),
        "query long": as_bytes(answer(queryId="q" * 257)),
        "outcome later": as_bytes(answer(outcome="LATER")),
        "outcome small": as_bytes(answer(outcome="held")),
        "outcome true": as_bytes(answer(outcome=True)),
        "outcome empty": as_bytes(answer(outcome="")),
    },
    "TIME_NAIVE": {
        "time": as_bytes(event(time="2026-06-01T09:00:00")),
        "happened": as_bytes(data(happenedAt="2026-06-01T09:00:00")),
    },
    "TYPE_UNKNOWN": {
        "other": as_bytes(event(type="org.abonent.notices.v2.number-ported")),
        "CAMARA's": as_bytes(event(type="org.camaraproject.sim-swap-subscriptions.v0.swapped")),
        "empty": as_bytes(event(type="")),
        "kind": as_bytes(event(type="terminated")),
    },
}
CASES = [
    pytest.param(reason, body, id=f"{reason}: {name}")
    for reason, bodies in REFUSED.items()
    for name, body in bodies.items()
]


@pytest.mark.parametrize(("reason", "body"), CASES)
def test_every_other_body_is_refused_by_name(reason, body):
    """Malformed, oversized, deep, wrong-typed, unknown: each by its own name, nothing quoted."""
    with pytest.raises(RequestRefused) as refused:
        decode_event(body)
    assert reason == refused.value.reason
    assert "916" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    claimed_operator(body)  # whatever it says, it says it without an error


def test_null_is_as_good_as_absent():
    """CloudEvents, JSON format 2.2: a member that is null is unset."""
    assert None is decode_event(as_bytes(data(happenedAt=None))).item.happened_at
    assert None is decode_event(as_bytes(data(happenedAt=...))).item.happened_at
    assert NOTICE == decode_event(as_bytes(event(datacontenttype=None))).item
    assert NOTICE == decode_event(as_bytes(event(datacontenttype=...))).item


def test_instants_come_in_any_zone():
    """RFC 3339 with any offset and up to microseconds; read in UTC."""
    read = decode_event(as_bytes(data(happenedAt="2026-06-01T11:00:00.5+03:00")))
    assert START - HOUR + timedelta(milliseconds=500) == read.item.happened_at
    assert UTC is read.item.happened_at.tzinfo


def test_as_deep_as_it_may_be():
    """Eight levels are looked at, and then are no event; brackets in strings are no levels."""
    with pytest.raises(RequestRefused) as refused:
        decode_event(b"[" * 8 + b"]" * 8)
    assert "MEMBER_WRONG" == refused.value.reason
    assert "[" * 99 == decode_event(as_bytes(event(id="[" * 99))).id
    assert '"{[' == decode_event(as_bytes(event(id='"{['))).id


@pytest.mark.parametrize(
    ("body", "operator"),
    [
        (GOOD, M),
        (b'{"source": "/operators/x"}', "x"),
        (b'{"source": "x"}', None),
        (b'{"source": 1}', None),
        (b"{}", None),
        (b"[]", None),
        (b"\xff", None),
        (b"", None),
        (b"[" * 100_000, None),
    ],
)
def test_what_a_body_claims(body, operator):
    """Where to look for a key; None where it does not say, whatever it is."""
    assert operator == claimed_operator(body)

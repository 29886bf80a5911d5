"""What is fuzzed, and what must hold whatever comes.

Knows each reader, the errors that it may raise and what a reading has to agree with. Refuses to
know where bytes come from. A target is a function of bytes that raises when its promise is broken.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

import msgspec
from attrs import field, frozen

from abonent import records
from abonent.cli.lists import NumberList, NumbersUnreadable, read_numbers
from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber, parse_number
from abonent.core.policy import Policy
from abonent.core.states import Identified, NoticeKind
from abonent.errors import (
    AbonentError,
    KeyMaterialInvalid,
    KeyUnavailable,
    NumberingPlanError,
    RecordDamaged,
    RequestRefused,
    StoreNewer,
    UnknownQuery,
    UserInputError,
)
from abonent.keys import MemoryKeys
from abonent.ports import Keys, LateAnswer, Notice
from abonent.routing.lines import OnError, _decoded
from abonent.routing.plan import NumberingPlan
from abonent.sealing import Keyring
from abonent.wire.events import claimed_operator, decode_event, encode_event
from abonent.wire.jwks import read_jwks
from tests.core.test_numbers import SPELLINGS
from tests.routing.files import HEAD, OPERATORS, Span, lines_of, row
from tests.wire.parts import ANSWER, JWKS, NOTICE, Desk, post, signed_by_hand

LONGEST: Final = 4096
"""Inputs are cut to this many bytes."""
SHOWN: Final = 4
"""An error may repeat this many digits of an input in a row, and no more (I9)."""
_DIGITS: Final = re.compile(rf"[0-9]{{{SHOWN + 1},}}")
_GOLDEN: Final = Path(__file__).parents[1] / "records" / "golden-0.1.json"


class Broken(Exception):
    """A promise of a reader does not hold."""


@frozen
class Target:
    """A reader with its promise, and inputs to begin with."""

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]] = field(repr=False)


def promise(kept: bool, what: str) -> None:
    """Raise unless it is kept; an assert would be gone under -O."""
    if not kept:
        raise Broken(what)


@contextmanager
def refusing(data: bytes, *allowed: type[AbonentError]) -> Iterator[list[AbonentError]]:
    """Allow these errors, of a text that prints and gives no number away; note what came."""
    refused: list[AbonentError] = []
    try:
        yield refused
    except allowed as error:
        refused.append(error)
        said = f"{error} {error.remedy}"
        promise(said.isprintable(), "an error's text holds control characters")
        if isinstance(error, KeyUnavailable) and error.key_id:
            said = said.replace(error.key_id, "")  # whoever keeps the keys has to be told which
        digits = "".join(re.findall(r"[0-9]", data.decode("latin-1")))
        for run in _DIGITS.findall(said):
            promise(run not in digits, "an error repeats digits of what it refuses")


# --- numbers ------------------------------------------------------------------------


def numbers(data: bytes) -> None:
    """What people type is one number, the same when read again, or is refused by name."""
    text = data.decode("utf-8", "surrogateescape")
    for region, accepted in (("RU", None), ("RU", frozenset({"RU"})), ("US", None)):
        with refusing(data, UserInputError):
            number = parse_number(text, default_region=region, regions=accepted).number
            again = parse_number(number.e164, default_region=region, regions=accepted)
            promise(again.number == number, "a number is another one when read again")


def _numbers_seeds() -> list[bytes]:
    odd = ["+1 (212) 555-2368", "+7 916 123-45-67 доб. 12", "112", "+77011234567", "8 495 1234567"]
    return [each.encode() for each in (*SPELLINGS, *odd)]


# --- files --------------------------------------------------------------------------

_BETWEEN: Final = b"\x1e"
"""In an input, what stands before it is the plan, what stands after it the ported numbers."""


def _plan(data: bytes, on_error: OnError) -> NumberingPlan:
    plan, _, ported = data.partition(_BETWEEN)
    return NumberingPlan.read(
        _decoded(io.BytesIO(plan)),
        operators=OPERATORS,
        on_error=on_error,
        ported=_decoded(io.BytesIO(ported)),
    )


def numbering_plan(data: bytes) -> None:
    """A plan's ranges ascend and do not overlap; a bad line is refused or listed, never read."""
    with refusing(data, NumberingPlanError) as refused:
        strict = _plan(data, "raise")
        promise(strict.rejected == (), "a bad line was left out unasked")
    with refusing(data, NumberingPlanError):
        plan = _plan(data, "skip")
        promise(bool(plan.rejected) == bool(refused), "a bad line is refused or listed, not both")
        past = -1
        for each in plan.ranges():
            first, last = (int(f"{each.code}{end:07d}") for end in (each.first, each.last))
            promise(past < first <= last, "ranges overlap or do not ascend")
            past = last
            for end in (first, last):
                plan.serving(SubscriberNumber(f"+7{end}"))


def _plan_seeds() -> list[bytes]:
    spans = [Span(9160000000, 9169999999, "Alpha"), Span(9000000000, 9000099999, "Бета Мобайл")]
    good = "\r\n".join(lines_of(spans))
    crossing = "\n".join([HEAD, row(916, 0, 99, "Alpha"), row(916, 50, 149, "?")])
    ported = "number;operator\n+79161234567;alpha\n89160000001;Бета Мобайл\n9160000001;beta\n"
    return [
        good.encode() + _BETWEEN + ported.encode(),
        good.encode("cp1251") + _BETWEEN + ported.encode("cp1251"),
        b"\xef\xbb\xbf# a comment\n" + crossing.encode(),
    ]


@frozen
class _InMemory:
    """As much of a path as the reader of lists needs."""

    data: bytes
    name: str = "list"

    def open(self, _: str) -> io.BytesIO:
        return io.BytesIO(self.data)


def number_list(data: bytes) -> None:
    """A list gives numbers that read back as themselves, and names bad lines by their place."""

    def read(raw: bytes) -> NumberList:
        return read_numbers(cast(Path, _InMemory(raw)), Policy())

    with refusing(data, NumbersUnreadable):
        first = read(data)
        lines = [each.line for each in (*first.numbers, *first.rejected)]
        promise(len(lines) == len(set(lines)), "a line was taken twice")
        if first.numbers:
            again = read("\n".join(each.number.e164 for each in first.numbers).encode())
            promise(
                [each.number for each in again.numbers] == [each.number for each in first.numbers],
                "a list of numbers is another one when read again",
            )


def _list_seeds() -> list[bytes]:
    text = "телефон;имя\n+7 916 123-45-67;А\n'89161234567'\n\n# x\n8 (495) 1234567\tdesk\n"
    encoded = [text.encode(each) for each in ("utf-8", "cp1251", "utf-16")]
    return [*encoded, b"\n".join(_numbers_seeds())]


# --- records ------------------------------------------------------------------------


def _fixed(data: bytes, decode: Callable[[bytes], Any], encode: Callable[[Any], bytes]) -> None:
    with refusing(data, RecordDamaged, StoreNewer):
        once = encode(decode(data))
        # As bytes: a damaged record may hold a NaN, which is not equal to itself.
        promise(encode(decode(once)) == once, "a record is another one when stored again")


def journal_entry(data: bytes) -> None:
    """A journal entry is damaged, too new, or is the same when stored and read again."""
    _fixed(data, records.decode_entry, lambda body: records.encode_entry(body.events, body.gate))


def stored_row(data: bytes) -> None:
    """A row is damaged, too new, or is the same when stored again; both readings agree."""
    _fixed(data, records.decode_row, records.encode_row)
    with refusing(data, RecordDamaged, StoreNewer):
        state = records.decode_row(data).aggregate.state
        promise(
            records.says_identified(data) == isinstance(state, Identified),
            "the gate's quick look at a row and the reading of it differ",
        )
    with refusing(data, RecordDamaged, StoreNewer):
        records.says_identified(data)


def budget(data: bytes) -> None:
    """A budget is damaged, too new, or is the same when stored and read again."""
    _fixed(data, records.decode_instants, records.encode_instants)


def _golden(*kinds: str) -> list[bytes]:
    held = json.loads(_GOLDEN.read_text("ascii"))
    found = [bytes.fromhex(each["hex"]) for each in held["samples"] if each["kind"] in kinds]
    for life in held["lives"]:
        if "entry" in kinds:
            found += [bytes.fromhex(each) for each in life["entries"]]
        if "row" in kinds:
            found.append(bytes.fromhex(life["row"]))
    return found


# --- sealing ------------------------------------------------------------------------

_KEYS: Final = Keys(current="k2", roots={"k1": bytes(range(32)), "k2": bytes(range(32, 64))})
_RING: Final = Keyring(MemoryKeys(_KEYS), "aviso")
_PLACE: Final = b"p" * 16
_SECRET: Final = b"s" * 32


def sealed(data: bytes) -> None:
    """Bytes that we did not seal do not open, whatever they look like."""
    with refusing(data, KeyUnavailable, RecordDamaged):
        promise(_RING.open_row(_PLACE, 7, data) == b"row" and data in _sealed(), "a forgery opens")
    with refusing(data, RecordDamaged):
        opened = _RING.open_entry(_SECRET, 7, data)
        promise(opened == b"entry" and data in _sealed(), "a forgery opens")
    query = data.decode("latin-1")
    with refusing(data, UnknownQuery):
        promise(_RING.row_of_query(query) == _PLACE and data in _sealed(), "a forgery opens")


_made: list[bytes] = []


def _sealed() -> list[bytes]:
    if not _made:
        _made.append(_RING.seal_row(_PLACE, 7, b"row"))
        _made.append(_RING.seal_entry(_SECRET, 7, b"entry"))
        _made.append(_RING.query_id(_PLACE).encode())
    return _made


# --- what operators send ------------------------------------------------------------


def event(data: bytes) -> None:
    """An event is refused by name, or is the same when written and read again."""
    claimed = claimed_operator(data)
    with refusing(data, RequestRefused):
        read = decode_event(data)
        promise(read.item.operator == claimed, "two readings of an event name two operators")
        again = decode_event(encode_event(read.item, at=read.told_at))
        # The id of an answer's event is the sender's; ours is that of the question.
        promise((again.item, again.told_at) == (read.item, read.told_at), "an event changes")


def _event_seeds() -> list[bytes]:
    at = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
    number = SubscriberNumber("+79161234567")
    notices = [
        Notice(id=f"n-{kind.value}", operator="mts", kind=kind, number=number, happened_at=when)
        for kind, when in zip(NoticeKind, (at, None, at, None), strict=True)
    ]
    late = LateAnswer(query_id="q", operator="mts", outcome=Outcome.HELD)
    return [encode_event(each, at=at) for each in (*notices, late)]


_INBOX: Final = Desk()
_LINES: Final = b"\r\n"


def request(data: bytes) -> None:
    """A request is answered, whatever it is; what passes is what was signed."""
    head, _, body = data.partition(_LINES * 2)
    first, *lines = head.split(_LINES)
    method, _, url = first.partition(b" ")
    headers = [(name, value) for name, _, value in (each.partition(b": ") for each in lines)]
    _INBOX.receiver.taken.clear()
    reply = _INBOX.take(method.decode("latin-1"), url.decode("latin-1"), headers, body)
    promise(200 <= reply.status < 500, "an odd request is a failure of ours")
    promise((reply.status == 204) == bool(_INBOX.receiver.taken), "a reply is not what came of it")
    for item, _, _ in _INBOX.receiver.taken:
        promise(item in (NOTICE, ANSWER), "what was not signed is handed on")


def _request_seeds() -> list[bytes]:
    sent = [post(NOTICE), post(ANSWER), signed_by_hand(tag=';expires=1780304500;tag="x"')]
    return [
        _LINES.join(
            [
                f"{each.method} {each.url}".encode(),
                *(f"{name}: {value}".encode() for name, value in each.lines),
                b"",
                each.body,
            ]
        )
        for each in sent
    ]


def jwks(data: bytes) -> None:
    """A set of keys is refused as a whole, or has only keys that can verify."""
    with refusing(data, KeyMaterialInvalid):
        for kid, key in read_jwks(data).items():
            promise(0 < len(kid) <= 256 and len(key.public_bytes_raw()) == 32, "no key")


TARGETS: Final = {
    each.name: each
    for each in (
        Target("numbers", numbers, _numbers_seeds),
        Target("plan", numbering_plan, _plan_seeds),
        Target("list", number_list, _list_seeds),
        Target("entry", journal_entry, lambda: _golden("entry")),
        Target("row", stored_row, lambda: _golden("row")),
        Target("budget", budget, lambda: _golden("budget")),
        Target("sealed", sealed, _sealed),
        Target("event", event, _event_seeds),
        Target("request", request, _request_seeds),
        Target("jwks", jwks, lambda: list(JWKS.values())),
    )
}


# --- a fault to find ----------------------------------------------------------------


def _unguarded(data: bytes) -> None:
    """Look into an entry as a reader without a guard against damage would."""
    if not data:
        return  # every fuzzer begins with it
    version, events, _ = msgspec.msgpack.decode(data)
    promise(version == records.VERSION and len(events) > 0, "not what was sealed")


PLANTED: Final = Target("planted", _unguarded, lambda: _golden("entry"))
"""Not a target: a fault that every run has to find first, or it would not find others either."""


def target(name: str) -> Target:
    """Return a target, or the planted fault, by name."""
    return PLANTED if name == PLANTED.name else TARGETS[name]


def run(name: str, data: bytes) -> None:
    """Throw one input at a target."""
    target(name).check(data[:LONGEST])

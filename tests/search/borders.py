"""What may not even be built, and how numbers are read: one row for every guard at the border.

Knows each refusal by name. Refuses to know what becomes of what was let in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from unittest.mock import patch

from phonenumbers import PhoneNumberType

from abonent.core.agreements import Agreement, Agreements
from abonent.core.budgets import free_at, live, refund, spend
from abonent.core.commands import Terrain
from abonent.core.numbers import SubscriberNumber, parse_number
from abonent.core.parties import (
    Consent,
    Messenger,
    MessengerKind,
    Operator,
    check_instant,
    check_user_id,
)
from abonent.core.policy import Policy, terms
from abonent.core.rules import (
    DRAFT_2017,
    MOSCOW,
    RESOLUTION_1279,
    RESOLUTION_1801,
    rules_by_id,
    rules_in_force,
)
from abonent.errors import AbonentError

_SECOND: Final = timedelta(seconds=1)
_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(hours=24)
_RESOLUTION: Final = timedelta(microseconds=1)
_AT: Final = datetime(2026, 6, 1, 9, tzinfo=UTC)
_NAIVE: Final = datetime(2026, 6, 1, 9)
_RU: Final = frozenset({"RU"})


class Row(NamedTuple):
    """A call and what must come of it: a value, or the name of an error and what it says."""

    what: str
    call: Callable[[], Any]
    expected: Any


def rows() -> Iterator[Row]:
    yield from _numbers()
    yield from _values()
    yield from _policy()
    yield from _parties()
    yield from _agreements()
    yield from _rules()
    yield from _budgets()


def broken() -> Iterator[str]:
    """Say which rows are not as they must be."""
    for row in rows():
        try:
            came = row.call()
        except AbonentError as error:
            came = _named(error)
        except Exception as error:
            came = type(error).__name__
        if came != row.expected:
            yield f"borders: {row.what} gives {came!r}, not {row.expected!r}"


def count() -> int:
    return sum(1 for _ in rows())


def _named(error: AbonentError) -> tuple[str, ...]:
    """An error by its code and by the word that sets it apart."""
    more = (getattr(error, each, None) for each in ("kind", "region", "figure"))
    words = [each for each in _WORDS.get(error.code, ()) if each in error.args[0]]
    return (error.code, *(each for each in more if each), *words)


_WORDS: Final = {
    "NUMBER_UNPARSABLE": ("country code", "letters", "64 char"),
    "INVALID_AGREEMENT": ("overlap", "ends before", "bear the"),
}


# --- numbers --------------------------------------------------------------------------


_MINE: Final = "+79161234567"
SPELLINGS: Final = (
    *(_MINE, "79161234567", "89161234567", "9161234567", "8 (916) 123-45-67"),
    *("+7 (916) 123.45.67", "+7/916/1234567", "  +7 916 123 45 67\n", _MINE.ljust(64)),
    *("tel:+7-916-123-45-67", "TEL:+79161234567", "tel:9161234567;phone-context=+7"),
    "ｔｅｌ:９１６１２３４５６７",
    *("７９１６１２３４５６７", "８ ９１６ １２３ ４５ ６７", "+٧٩١٦١٢٣٤٥٦٧"),
    *("+7\u00a0916\u2011123\u201345\u201467", "+7\u2009916\u202f123\u201045\u201267"),
)
_NO_NUMBER: Final = ("NUMBER_UNPARSABLE",)
REFUSED: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    *(
        (each, _NO_NUMBER)
        for each in ("", "+", "abc", "+7916123", "+791612345678", "+79123456", "0611")
    ),
    ("+9991234567", (*_NO_NUMBER, "country code")),
    ("+7916-CALL-NOW", (*_NO_NUMBER, "letters")),
    ("+79161234567p5", (*_NO_NUMBER, "letters")),
    (_MINE.ljust(65), (*_NO_NUMBER, "64 char")),
    ("+7 916 123-45-67 ext. 5", ("NUMBER_EXTENSION",)),
    ("+79161234567;ext=5", ("NUMBER_EXTENSION",)),
    ("+7 495 123-45-67", ("NUMBER_NOT_MOBILE", "fixed_line")),
    ("8-800-555-35-35", ("NUMBER_NOT_MOBILE", "toll_free")),
    ("+7 809 123-45-67", ("NUMBER_NOT_MOBILE", "premium_rate")),
    ("112", ("NUMBER_NOT_MOBILE", "short")),
    ("+7 300 123-45-67", ("NUMBER_NOT_MOBILE", "not_def")),
    ("+77011234567", ("NUMBER_REGION", "KZ")),
    ("+442079460000", ("NUMBER_REGION", "GB")),
    ("+883510000000000", ("NUMBER_REGION", "001")),
)


def _numbers() -> Iterator[Row]:
    def read(text: str, regions: Any = _RU, default: str = "RU") -> Callable[[], Any]:
        def call() -> Any:
            parsed = parse_number(text, regions=regions, default_region=default)
            return parsed.number.e164, parsed.unlisted

        return call

    for text in SPELLINGS:
        yield Row(f"the spelling {text!r}", read(text), (_MINE, False))
    for text, error in REFUSED:
        yield Row(f"the text {text!r}", read(text), error)
    yield Row("a fixed line", read("+442079460000", None), ("NUMBER_NOT_MOBILE", "fixed_line"))
    yield Row("any country", read("+77011234567", None), ("+77011234567", False))
    yield Row("either kind", read("+12015550123", None), ("+12015550123", False))
    yield Row("unlisted", read("+380101234567", None), ("+380101234567", True))
    yield Row("at home abroad", read("07400 123456", None, "GB"), ("+447400123456", False))
    with_none = patch("phonenumbers.number_type", new=lambda _: PhoneNumberType.UNKNOWN)
    yield Row("a range not heard of yet", with_none(read(_MINE)), (_MINE, True))
    for text in ("+49151123456789012", "+493012345678901234"):
        yield Row(f"beyond E.164, {text}", read(text, None), _NO_NUMBER)
    yield Row("no trunk 8 abroad", read("89161234567", None, "GB"), _NO_NUMBER)
    for text in ("", "79161234567", "+0916123456", "+7916", "+1234567890123456", f"{_MINE}\n"):
        yield Row(f"E.164 {text!r}", lambda text=text: SubscriberNumber(text), ("INVALID_VALUE",))
    number, next_one = SubscriberNumber(_MINE), SubscriberNumber("+79161234568")
    yield Row("the same number", lambda: number == SubscriberNumber(_MINE), True)
    yield Row("another number", lambda: number == next_one, False)
    yield Row("a number's text", lambda: number == _MINE, False)
    ordered = (number < next_one, number < SubscriberNumber(_MINE))
    yield Row("in order", lambda: ordered, (True, False))
    shown = "SubscriberNumber(…67)"
    yield Row("what shows", lambda: {repr(number), str(number), f"{number}"}, {shown})


def _values() -> Iterator[Row]:
    yield Row("a naive instant", lambda: check_instant(_NAIVE), ("NAIVE_INSTANT",))
    yield Row("an instant", lambda: check_instant(_AT), _AT)
    for text in ("", "a" * 129, "a\x00b", "a\nb", "a\u200bb"):
        yield Row(f"user {text[:4]!r}", lambda text=text: check_user_id(text), ("INVALID_USER_ID",))
    for text in ("a", "a" * 128, "Алиса ☺"):
        yield Row(f"user {text[:4]!r}", lambda text=text: check_user_id(text), text)


# --- policy and rules -----------------------------------------------------------------


_BOUNDS: Final[tuple[tuple[str, Any, Any, Any], ...]] = (
    ("code_length", 6, 10, 1),
    ("tries_per_code", 1, 10, 1),
    ("failures_per_day", 1, 100, 1),
    ("sends_per_user", 1, 1000, 1),
    ("sends_per_number", 1, 1000, 1),
    ("code_valid", _SECOND, 10 * _MINUTE, _RESOLUTION),
    ("resend_after", _SECOND, _DAY, _RESOLUTION),
)
_LONGER_THAN_NOTHING: Final = (
    *("claim_valid", "answer_within", "reidentify_within", "inline_wait", "lease"),
    *("retry_first", "retry_longest", "debt_kept", "settle_after", "flush_within"),
)


def _policy() -> Iterator[Row]:
    def choose(figure: str, value: Any) -> Callable[[], Any]:
        return lambda: getattr(Policy(**{figure: value}), figure)

    for figure, least, most, step in _BOUNDS:
        for value in (least, most):
            yield Row(f"{figure}={value}", choose(figure, value), value)
        for value in (least - step, most + step):
            yield Row(f"{figure}={value}", choose(figure, value), ("INVALID_VALUE",))
    for figure in _LONGER_THAN_NOTHING:
        yield Row(f"{figure}=1 us", choose(figure, _RESOLUTION), _RESOLUTION)
        for value in (timedelta(0), -_RESOLUTION):
            yield Row(f"{figure}={value}", choose(figure, value), ("INVALID_VALUE",))
    for figure in ("answer_within", "reidentify_within"):
        yield Row(f"{figure}=None", choose(figure, None), None)


def _rules() -> Iterator[Row]:
    def figures(rules: Any, **chosen: Any) -> Callable[[], Any]:
        def call() -> Any:
            made = terms(rules, Policy(**chosen))
            return made.rules, made.answer_within, made.reidentify_within

        return call

    seven, nine = 7 * _MINUTE, 9 * _MINUTE
    both = {"answer_within": seven, "reidentify_within": nine}
    yield Row("a draft, filled", figures(DRAFT_2017, **both), ("draft-2017", seven, nine))
    statutory = ("1801", 20 * _MINUTE, 20 * _MINUTE)
    yield Row("a resolution", figures(RESOLUTION_1801, **both), statutory)
    for figure in both:
        left = {name: value for name, value in both.items() if name != figure}
        yield Row(f"no {figure}", figures(DRAFT_2017, **left), ("POLICY_INCOMPLETE", figure))

    def force(at: datetime) -> Callable[[], Any]:
        return lambda: rules_in_force(at).id

    none = ("NO_RULES_IN_FORCE",)
    dates = (
        ((2019, 5, 5), none, "1279"),
        ((2022, 3, 1), "1279", "1801"),
        ((2028, 3, 1), "1801", none),
    )
    for date, before, after in dates:
        at = datetime(*date, tzinfo=MOSCOW)
        yield Row(f"just before {date}", force(at - _RESOLUTION), before)
        yield Row(f"at {date}", force(at), after)
    yield Row("naive", force(_NAIVE), ("NAIVE_INSTANT",))
    yield Row("by name", lambda: rules_by_id("draft-2017") is DRAFT_2017, True)
    yield Row("by no name", lambda: rules_by_id("1802"), ("INVALID_VALUE",))
    yield Row("a draft", lambda: DRAFT_2017.in_force(_AT), False)
    endless = _endless()
    yield Row("no end yet", lambda: endless.in_force(_AT), True)
    yield Row("not yet", lambda: endless.in_force(datetime(2001, 1, 1, tzinfo=UTC)), False)
    yield Row("a naive begin", lambda: _endless(starts=_NAIVE), ("NAIVE_INSTANT",))
    yield Row("a naive end", lambda: _endless(ends=_NAIVE), ("NAIVE_INSTANT",))
    once = Terrain(
        messenger=Messenger(id="m", kind=MessengerKind.DOMESTIC),
        policy=Policy(),
        agreements=Agreements("m"),
    )
    yield Row("terms, once", lambda: once.terms_at(_AT) is once.terms_at(_AT), True)


def _endless(**changes: Any) -> Any:
    import attrs

    return attrs.evolve(RESOLUTION_1279, **{"ends": None, **changes})


def _budgets() -> Iterator[Row]:
    at = [_AT + each * _MINUTE for each in range(3)]
    counted = (at[0], at[1], at[1])
    yield Row("taken back once", lambda: refund(counted, at[1]), (at[0], at[1]))
    yield Row("not counted", lambda: refund(counted, at[2]), counted)
    yield Row("a clock set back", lambda: spend(counted[1:], at[0]), counted)
    yield Row("a day old", lambda: live(counted, at[0] + _DAY), counted[1:])
    yield Row("full", lambda: free_at(counted, 2, at[2]), at[1] + _DAY)
    yield Row("not full", lambda: free_at(counted, 4, at[2]), None)


# --- parties and agreements -----------------------------------------------------------


def _parties() -> Iterator[Row]:
    kind = MessengerKind.DOMESTIC
    for text in ("", "A", "-a", "a-", "a b", "a" * 65, "а", "a\n"):
        yield Row(f"id {text[:4]!r}", lambda text=text: Operator(id=text), ("INVALID_VALUE",))
        yield Row(
            f"messenger {text[:4]!r}",
            lambda text=text: Messenger(id=text, kind=kind),
            ("INVALID_VALUE",),
        )
    for text in ("a", "0", "a" * 64, "a.b_c-d"):
        yield Row(f"id {text[:4]!r}", lambda text=text: Operator(id=text).id, text)
    yield Row("no kind", lambda: Messenger(id="m", kind="domestic"), ("INVALID_VALUE",))  # type: ignore[arg-type]
    yield Row("a kind", lambda: Messenger(id="m", kind=kind).kind, kind)
    yield from _consents()


def _consents() -> Iterator[Row]:
    given: dict[str, Any] = {
        "user_id": "alice",
        "recipient": "bank",
        "purpose": "delivery",
        "given_at": _AT,
        "until": _AT + _MINUTE,
    }
    for name, value, code in (
        ("recipient", "Bank", "INVALID_VALUE"),
        ("purpose", "", "INVALID_VALUE"),
        ("given_at", _NAIVE, "NAIVE_INSTANT"),
        ("until", _NAIVE, "NAIVE_INSTANT"),
    ):
        yield Row(
            f"consent {name}",
            lambda name=name, value=value: Consent(**{**given, name: value}),
            (code,),
        )

    def covers(consent: Consent, *asked: Any) -> Callable[[], Any]:
        return lambda: consent.covers(*asked)

    ended, endless = Consent(**given), Consent(**{**given, "until": None})
    mine = ("alice", "bank", "delivery")
    yield Row("as given", covers(ended, *mine, _AT), True)
    yield Row("before it", covers(ended, *mine, _AT - _RESOLUTION), False)
    yield Row("at its end", covers(ended, *mine, _AT + _MINUTE), False)
    yield Row("just before its end", covers(ended, *mine, _AT + _MINUTE - _RESOLUTION), True)
    yield Row("without an end", covers(endless, *mine, _AT + 1000 * _DAY), True)
    for other in (("bob", *mine[1:]), ("alice", "court", "delivery"), (*mine[:2], "case")):
        yield Row(f"for {other}", covers(ended, *other, _AT), False)


def _agreements() -> Iterator[Row]:
    def one(
        name: str = "a", operator: str = "m", since: int = 0, until: int | None = 10
    ) -> Agreement:
        ends = None if until is None else _AT + until * _MINUTE
        return Agreement(
            id=name, messenger="us", operator=operator, starts=_AT + since * _MINUTE, ends=ends
        )

    def several(*each: Agreement, messenger: str = "us") -> Callable[[], Any]:
        return lambda: [it.id for it in Agreements(messenger, each)]

    wrong = "INVALID_AGREEMENT"
    yield Row("ends when it begins", lambda: one(until=0), (wrong, "ends before"))
    yield Row("ends before", lambda: one(until=-1), (wrong, "ends before"))
    yield Row("another's", several(one(), messenger="them"), ("UNKNOWN_MESSENGER",))
    yield Row("one id", several(one(), one(operator="n")), (wrong, "bear the"))
    yield Row("overlap", several(one(), one("b", since=9, until=20)), (wrong, "overlap"))
    yield Row("overlap, any order", several(one("b", since=9, until=20), one()), (wrong, "overlap"))
    yield Row("no end", several(one(until=None), one("b", since=90, until=99)), (wrong, "overlap"))
    yield Row("end to end", several(one("b", since=10, until=20), one()), ["a", "b"])
    yield Row("two operators", several(one(), one("b", operator="n")), ["a", "b"])
    for name, value in (("id", "A"), ("messenger", ""), ("operator", "M")):
        yield _refused_agreement(name, value, "INVALID_VALUE")
    for name in ("starts", "ends"):
        yield _refused_agreement(name, _NAIVE, "NAIVE_INSTANT")
    made = Agreements("us", [one(), one("b", since=10, until=None)])

    def force(at: datetime, operator: str = "m") -> Callable[[], Any]:
        def call() -> Any:
            found = made.in_force(operator, at)
            return None if found is None else found.id

        return call

    yield Row("not yet", force(_AT - _RESOLUTION), None)
    yield Row("from its begin", force(_AT), "a")
    yield Row("until its end", force(_AT + 10 * _MINUTE - _RESOLUTION), "a")
    yield Row("the next", force(_AT + 10 * _MINUTE), "b")
    yield Row("for good", force(_AT + 1000 * _DAY), "b")
    yield Row("of no other", force(_AT, "n"), None)


def _refused_agreement(name: str, value: Any, code: str) -> Row:
    given = {"id": "a", "messenger": "us", "operator": "m", "starts": _AT, "ends": None}
    return Row(f"agreement {name}", lambda: Agreement(**{**given, name: value}), (code,))  # type: ignore[arg-type]


def both() -> Iterable[str]:
    """Everything that is enumerated rather than searched."""
    from tests.search import cells

    return [*broken(), *cells.broken()]

"""What is nearly valid: arguments with one thing wrong, and the error that must refuse them.

Knows what each constructor refuses. Refuses to make what is accepted: a near miss that passes is
a bug of ours, and the tests say so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from attrs import frozen
from hypothesis import strategies as st

from abonent.core.agreements import Agreement, Agreements
from abonent.core.numbers import SubscriberNumber, parse_number
from abonent.core.parties import Consent, Messenger, Operator, check_user_id
from abonent.core.policy import DAY, Policy
from abonent.core.retention import RetentionPolicy
from abonent.core.rules import Rules, rules_by_id, rules_in_force
from abonent.errors import (
    AbonentError,
    InvalidAgreement,
    InvalidCode,
    InvalidNumber,
    InvalidUserId,
    InvalidValue,
    NaiveInstant,
    NoRulesInForce,
    NotAMobileNumber,
    NumberHasExtension,
    UnknownMessenger,
)
from abonent.ports import Keys, LateAnswer, Notice, OneTimeCode
from abonent.possession import SendBudget
from abonent.testing.strategies.records import arguments, of
from abonent.testing.strategies.values import (
    aware_instants,
    mobile_numbers,
    naive_instants,
    text_of,
)

Wrong: TypeAlias = st.SearchStrategy[dict[str, Any]]
_ARABIC: Final = {ord("0") + each: ord("٠") + each for each in range(10)}


@frozen(kw_only=True)
class NearMiss:
    """A call with one argument wrong. Calling it raises `error`, or a kind of it."""

    target: Callable[..., object]
    arguments: Mapping[str, Any]
    error: type[AbonentError]

    def __call__(self) -> object:
        """Make the call."""
        return self.target(**self.arguments)


def near_misses() -> st.SearchStrategy[NearMiss]:
    """Near misses of everything that refuses anything."""
    return st.sampled_from(list(_WRONG)).flatmap(nearly_valid)


def nearly_valid(target: Callable[..., object]) -> st.SearchStrategy[NearMiss]:
    """Near misses of one constructor or function, such as `Agreement` or `parse_number`.

    Raises:
        KeyError: it refuses nothing that its types allow.
    """
    nothing: Wrong = st.just({})
    right = arguments(target) if isinstance(target, type) else nothing

    def of_case(error: type[AbonentError], wrong: Wrong) -> st.SearchStrategy[NearMiss]:
        return st.tuples(right, wrong).map(
            lambda both: NearMiss(target=target, arguments={**both[0], **both[1]}, error=error)
        )

    return st.one_of([of_case(error, wrong) for error, wrong in _WRONG[target]])


# --- what is wrong ------------------------------------------------------------------


def _set(**fields: st.SearchStrategy[Any]) -> Wrong:
    return st.fixed_dictionaries(fields)


def _some(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


_IDS: Final = _some("", "Mts", "-mts", "mts.", "м", "two words", "mts\n", "a" * 65)
_LOOK_ALIKES: Final = _some("foreign", "FOREIGN", "held", "ported", None, 1)
"""What equals the value or name of a member, and is none."""


def _without_the_plus() -> st.SearchStrategy[str]:
    numbers = mobile_numbers().map(lambda each: each.e164)
    return st.one_of(
        numbers.map(lambda each: each[1:]),
        numbers.map(lambda each: each + "\n"),
        numbers.map(lambda each: f"{each[:5]} {each[5:]}"),
        numbers.map(lambda each: each.replace("7", "٧")),
        text_of(r"\+0[0-9]{5,14}|\+[1-9][0-9]{0,3}|\+[1-9][0-9]{15,20}"),
    )


def _backwards(starts: str, ends: str) -> Wrong:
    def before(start: datetime) -> Wrong:
        return _set(
            **{starts: st.just(start), ends: st.timedeltas(-DAY, timedelta()).map(start.__add__)}
        )

    return aware_instants().flatmap(before)


def _strangers() -> st.SearchStrategy[list[Agreement]]:
    """An agreement of another messenger than `messenger`."""
    return of(Agreement).filter(lambda each: each.messenger != "messenger").map(lambda each: [each])


def _overlapping() -> st.SearchStrategy[list[Agreement]]:
    """Two agreements with one operator, the second from within the first."""

    def one(name: str, start: datetime) -> Agreement:
        return Agreement(
            id=name,
            messenger="messenger",
            operator="operator",
            starts=start,
            ends=start + 2 * DAY,
        )

    def twice(start: datetime) -> list[Agreement]:
        return [one("first", start), one("second", start + DAY)]

    return aware_instants().map(twice)


def _roots(key_id: str, length: int) -> st.SearchStrategy[dict[str, bytes]]:
    return st.binary(min_size=length, max_size=length).map(lambda root: {key_id: root})


_A_TIME_TOO_SHORT: Final = st.timedeltas(-DAY, timedelta())
_FIGURES: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "code_length": _some(0, 5, 11),
    "code_valid": _some(timedelta(), timedelta(milliseconds=999), timedelta(minutes=10, seconds=1)),
    "tries_per_code": _some(0, -1, 11),
    "failures_per_day": _some(0, 101),
    "resend_after": _some(timedelta(), timedelta(hours=24, microseconds=1)),
    "sends_per_user": _some(0, 1001),
    "sends_per_number": _some(0, 1001),
    **dict.fromkeys(
        (
            "claim_valid",
            "answer_within",
            "reidentify_within",
            "inline_wait",
            "lease",
            "retry_first",
            "retry_longest",
            "debt_kept",
            "settle_after",
        ),
        _A_TIME_TOO_SHORT,
    ),
}

_WRONG: Final[Mapping[Callable[..., object], tuple[tuple[type[AbonentError], Wrong], ...]]] = {
    SubscriberNumber: ((InvalidValue, _set(e164=_without_the_plus())),),
    parse_number: (
        (InvalidNumber, _set(text=text_of(r"\+79[0-9]{6,8}|\+79[0-9]{10}"))),
        (InvalidNumber, _set(text=_some("", " ", "alice", "+7 916 ABC 45 67", "+79161234567" * 6))),
        (NumberHasExtension, _set(text=mobile_numbers().map(lambda each: f"{each.e164} ext. 7"))),
        (NotAMobileNumber, _set(text=_some("112", "8 800 555 35 35", "+7 495 123-45-67"))),
    ),
    check_user_id: (
        (InvalidUserId, _set(value=_some("", "a" * 129, "al\0ice", "alice\n", "a\u200bb"))),
    ),
    OneTimeCode: (
        (
            InvalidCode,
            _set(
                digits=text_of("[0-9]{0,3}|[0-9]{11,12}|[+ ][0-9]{6}|[0-9]{2}_[0-9]{2}|[0-9]{6}\n")
            ),
        ),
        (InvalidCode, _set(digits=text_of("[0-9]{6}").map(lambda each: each.translate(_ARABIC)))),
        (InvalidCode, _set(digits=st.integers(1000, 999_999))),
    ),
    Messenger: ((InvalidValue, _set(id=_IDS)), (InvalidValue, _set(kind=_LOOK_ALIKES))),
    Operator: ((InvalidValue, _set(id=_IDS)),),
    Agreement: (
        (InvalidValue, _set(operator=_IDS)),
        (NaiveInstant, _set(starts=naive_instants())),
        (NaiveInstant, _set(ends=naive_instants())),
        (InvalidAgreement, _backwards("starts", "ends")),
    ),
    Agreements: (
        (UnknownMessenger, _set(messenger=st.just("messenger"), agreements=_strangers())),
        (InvalidAgreement, _set(messenger=st.just("messenger"), agreements=_overlapping())),
    ),
    Consent: (
        (InvalidValue, _set(recipient=_IDS)),
        (InvalidValue, _set(purpose=_IDS)),
        (NaiveInstant, _set(given_at=naive_instants())),
        (NaiveInstant, _set(until=naive_instants())),
    ),
    Notice: (
        (InvalidValue, _set(kind=_LOOK_ALIKES)),
        (NaiveInstant, _set(happened_at=naive_instants())),
    ),
    LateAnswer: ((InvalidValue, _set(outcome=_LOOK_ALIKES)),),
    Rules: ((NaiveInstant, _set(starts=naive_instants())),),
    rules_in_force: (
        (NaiveInstant, _set(on=naive_instants())),
        (NoRulesInForce, _set(on=aware_instants(latest=datetime(2019, 5, 4)))),  # noqa: DTZ001
    ),
    rules_by_id: ((InvalidValue, _set(rules_id=_some("", "1802", "RESOLUTION_1801"))),),
    Policy: tuple((InvalidValue, _set(**{name: figure})) for name, figure in _FIGURES.items()),
    SendBudget: (
        (InvalidValue, _set(limit=_some(0, -1, 10**9 + 1))),
        (InvalidValue, _set(within=_some(timedelta(seconds=59), timedelta(days=31, seconds=1)))),
    ),
    RetentionPolicy: (
        (InvalidValue, _set(lost=_some(timedelta(days=1) - timedelta.resolution, "1 day"))),
        (InvalidValue, _set(never_passed=_some(timedelta(days=36_526), timedelta(0)))),
    ),
    Keys: (
        (InvalidValue, _set(current=st.just("another"))),
        (InvalidValue, _set(current=st.just("k1"), roots=_roots("k1", 31))),
        (InvalidValue, _set(current=st.just("K_1"), roots=_roots("K_1", 32))),
    ),
}

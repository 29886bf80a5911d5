"""Judging refusals: was the caller right to be told no?

Knows for which reasons each call may fail. Refuses to let one pass that has none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from abonent.core.numbers import SubscriberNumber
from abonent.errors import AbonentError, Refused, StorageError, TooManyFailures
from abonent.simulation.world.docket import MICROSECOND, rules_at
from abonent.simulation.world.ledger import DAY, Account, Trial

if TYPE_CHECKING:
    from abonent.simulation.world.books import Book, Call
    from abonent.simulation.world.watch import Watch


def judge_refusal(watch: Watch, book: Book, call: Call, error: AbonentError, at: datetime) -> None:
    """Insist that an error was justified, by what was asked and what is known."""
    watch.complained(error)
    if isinstance(error, StorageError):
        shut = book.service.is_shut() or call.shut
        watch.insist("I1", shut, f"the store failed by itself: {error.code}")
        return
    account = book.users.get(call.user)
    if account is not None and account.forgotten:
        account = None
    justified = _CAUSES.get((call.name, error.code))
    truth = justified is not None and justified(watch, book, call, account, at)
    watch.insist("I1", truth, f"{call.name} was refused by {error.code} without a cause")
    watch.failures[error.code] += 1
    if isinstance(error, TooManyFailures) and account is not None and not book.unsure:
        _judge_retry(watch, book, account, error, call.number)


def _judge_retry(
    watch: Watch, book: Book, account: Account, error: Refused, claimed: SubscriberNumber | None
) -> None:
    """The instant that is told is the first at which the budget has room (S13)."""
    number = claimed or (account.trial.number if account.trial is not None else None)
    if number is None or error.retry_at is None:
        watch.insist("I6", False, "refused without saying until when")
        return
    limit = book.service.policy.failures_per_day
    free = account.failed(number, error.retry_at) < limit
    full = account.failed(number, error.retry_at - MICROSECOND) >= limit
    watch.insist("I6", free and full, "told to come back at a wrong time")
    watch.saw("a budget of failures spent")


# --- what justifies each refusal ------------------------------------------------------

Cause = Callable[["Watch", "Book", "Call", Account | None, datetime], Any]


def _mistyped(code: str) -> Cause:
    return lambda watch, book, call, account, at: call.mistyped == code


def _no_agreement(w: Watch, book: Book, call: Call, _: Account | None, at: datetime) -> bool:
    judge = w.judge
    return judge.needs(book) and judge.agreement(book, call.serving, at) is None


def _unrouted(w: Watch, book: Book, call: Call, _: Account | None, at: datetime) -> bool:
    return w.judge.asks(book) and call.routed and call.serving is None


def _unreachable(w: Watch, book: Book, call: Call, _: Account | None, at: datetime) -> bool:
    return not call.routed


def _no_rules(w: Watch, book: Book, call: Call, _: Account | None, at: datetime) -> bool:
    w.saw("a claim when no rules are in force")
    return rules_at(at) is None


def _too_many_failures(
    w: Watch, book: Book, call: Call, account: Account | None, at: datetime
) -> bool:
    if account is None:
        return book.users.get(call.user) is not None  # budgets outlive the forgotten
    trial, _ = account.settled(at)
    number = call.number or (None if trial is None else trial.number)
    limit = book.service.policy.failures_per_day
    return number is not None and account.failed(number, at, DAY + book.unsure) >= limit


def _too_many_sends(
    w: Watch, book: Book, call: Call, account: Account | None, at: datetime
) -> bool:
    policy, window = book.service.policy, DAY + book.unsure
    w.saw("a budget of codes spent")
    known = book.users.get(call.user)
    by_user = known is not None and known.sent(at, window) >= policy.sends_per_user
    if call.number is None:
        return by_user
    to_number = sum(at - each < window for each in book.sends[call.number])
    return by_user or to_number >= policy.sends_per_number


def _proving(account: Account | None, at: datetime) -> Trial | None:
    trial = None if account is None else account.settled(at)[0]
    return trial if trial is not None and trial.question is None else None


def _nothing_to_prove(
    w: Watch, book: Book, call: Call, account: Account | None, at: datetime
) -> bool:
    if account is None:
        return False
    trial, holding = account.settled(at)
    identified = trial is None and holding is not None and holding.due is None
    return trial is None and not identified


def _unknown(w: Watch, book: Book, call: Call, account: Account | None, at: datetime) -> bool:
    return account is None


def _code_spent(w: Watch, book: Book, call: Call, account: Account | None, at: datetime) -> bool:
    trial = _proving(account, at)
    w.saw("a code that takes no more tries")
    code = None if trial is None else trial.code
    return code is not None and code.tries >= book.service.policy.tries_per_code


def _no_consent(w: Watch, book: Book, call: Call, _: Account | None, at: datetime) -> bool:
    return not call.consented


def _not_identified(
    w: Watch, book: Book, call: Call, account: Account | None, at: datetime
) -> bool:
    return account is None or account.settled(at)[1] is None


_CAUSES: Final[dict[tuple[str, str], Cause]] = {
    **{
        ("claim", code): _mistyped(code)
        for code in (
            "NUMBER_UNPARSABLE",
            "NUMBER_EXTENSION",
            "NUMBER_NOT_MOBILE",
            "NUMBER_REGION",
            "INVALID_USER_ID",
            "INVALID_VALUE",
        )
    },
    ("claim", "NO_AGREEMENT"): _no_agreement,
    ("claim", "NUMBER_UNROUTED"): _unrouted,
    ("claim", "UNAVAILABLE"): _unreachable,
    ("claim", "NO_RULES_IN_FORCE"): _no_rules,
    ("claim", "TOO_MANY_FAILURES"): _too_many_failures,
    ("claim", "TOO_MANY_SENDS"): _too_many_sends,
    ("prove", "CODE_FORMAT"): _mistyped("CODE_FORMAT"),
    ("prove", "NOTHING_TO_PROVE"): _nothing_to_prove,
    ("prove", "UNKNOWN_USER"): _unknown,
    ("prove", "TOO_MANY_FAILURES"): _too_many_failures,
    ("prove", "CODE_SPENT"): _code_spent,
    ("disclose", "CONSENT_MISSING"): _no_consent,
    ("disclose", "UNKNOWN_USER"): _not_identified,
    ("receive", "UNAVAILABLE"): _unreachable,
    ("receive", "UNKNOWN_OPERATOR"): _mistyped("UNKNOWN_OPERATOR"),
    ("receive", "NAIVE_INSTANT"): _mistyped("NAIVE_INSTANT"),
    ("receive", "INVALID_VALUE"): _mistyped("INVALID_VALUE"),
    ("sweep", "UNAVAILABLE"): _unreachable,
    ("import", "UNAVAILABLE"): lambda watch, book, call, account, at: call.unreached,
}

"""Judging events: was it right that this happened, by what the world really did?

Knows the procedure as `domain.md` and the scenarios tell it, in words of its own.
Refuses to call the core's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from abonent.core import events as told
from abonent.core.events import Event
from abonent.core.states import Aggregate, EffectKind
from abonent.simulation.world.comparing import compare
from abonent.simulation.world.docket import Passes
from abonent.simulation.world.judging_answers import AnswersJudge
from abonent.simulation.world.judging_claims import ClaimsJudge
from abonent.simulation.world.judging_imports import ImportsJudge
from abonent.simulation.world.judging_notices import NoticesJudge
from abonent.simulation.world.ledger import Account

if TYPE_CHECKING:
    from abonent.simulation.world.books import Book
    from abonent.simulation.world.watch import Watch


class Judge(ClaimsJudge, AnswersJudge, NoticesJudge, ImportsJudge):
    """Judges what happened, and keeps the accounts."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(watch)
        self._on: dict[type[Event], Callable[[Book, Account, Any], None]] = {
            told.NumberClaimed: self._claimed,
            told.CodeIssued: self._issued,
            told.AttemptStarted: self._started,
            told.AttemptFailed: self._failed,
            told.CodeSent: self._sent,
            told.CodeExpired: self._expired,
            told.ProofTried: self._tried,
            told.ProofFailed: self._wrong,
            told.PossessionProven: self._proven,
            told.OperatorAsked: self._asked,
            told.AnswerDeferred: self._deferred,
            told.AnswerReceived: self._answered,
            told.Passed: self._passed,
            told.Declared: self._declared,
            told.IdentificationNotPassed: self._not_passed,
            told.CodeRecorded: self._acknowledged,
            told.RecordWithdrawn: self._acknowledged,
            told.DebtGivenUp: self._given_up,
            told.NoticeReceived: self._heard,
            told.ReidentificationRequired: self._required,
            told.Lapsed: self._lapsed,
            told.LateAnswerIgnored: self._answer_ignored,
            told.StaleNoticeIgnored: self._notice_ignored,
            told.NumberDisclosed: self._disclosed,
            told.UserForgotten: self._forgotten,
            told.TombstoneCleared: self._cleared,
        }

    def event(self, book: Book, account: Account, event: Event, passed: Passes) -> None:
        """Judge one event of a unit and fold it in."""
        if account is not self._account:
            self._account, self._last = account, None
        if isinstance(event, told.Displaced):
            self._displaced(book, account, event, passed)
        else:
            self._on[type(event)](book, account, event)
        self._last = event

    def compare(self, book: Book, account: Account, aggregate: Aggregate, wake: int | None) -> None:
        """Compare a stored record with the account."""
        compare(self._insist, book, account, aggregate, wake)

    def _started(self, book: Book, account: Account, event: told.AttemptStarted) -> None:
        due = account.owed.get((event.kind, event.id))
        if due is None:
            raise self._watch.breach("I8", "a try of what is not owed")
        self._insist("I8", due.next_try <= event.at, "a try before its time")
        kept = due.since + book.service.policy.debt_kept
        debt = event.kind in (EffectKind.RECORD, EffectKind.WITHDRAW)
        self._insist("I8", not debt or event.at < kept, "tried for longer than the policy says")
        self._insist(
            "I8",
            event.next_try == event.at + book.service.policy.lease,
            "a lease of another length",
        )
        due.tries, due.next_try = due.tries + 1, event.next_try

    def _failed(self, book: Book, account: Account, event: told.AttemptFailed) -> None:
        due = account.owed.get((event.kind, event.id))
        if due is None:
            raise self._watch.breach("I8", "a failed try of what is not owed")
        policy = book.service.policy
        wait = min(policy.retry_first * 2 ** min(max(due.tries - 1, 0), 16), policy.retry_longest)
        self._insist("I8", event.next_try == event.at + wait, "the next try is at a wrong time")
        due.next_try = event.next_try

    def _sent(self, book: Book, account: Account, event: told.CodeSent) -> None:
        name = (EffectKind.SEND_CODE, f"{event.claim}.{event.issue}")
        self._insist("I8", name in account.owed, "a code is sent that is not owed")
        self._insist("I8", name[1] in self._watch.around.taken, "a code is sent that nobody took")
        account.owed.pop(name, None)

    def _acknowledged(
        self, book: Book, account: Account, event: told.CodeRecorded | told.RecordWithdrawn
    ) -> None:
        recorded = isinstance(event, told.CodeRecorded)
        kind = EffectKind.RECORD if recorded else EffectKind.WITHDRAW
        due = account.owed.pop((kind, f"{event.code}.{kind.value}"), None)
        if due is None:
            raise self._watch.breach("I8", "acknowledged though not owed")
        self._insist("I8", due.operator == event.operator, "another operator acknowledged")
        carrier = self._watch.around.carriers[event.operator]
        self._insist("I8", (kind, event.code) in carrier.acknowledged, "nobody acknowledged")

    def _given_up(self, book: Book, account: Account, event: told.DebtGivenUp) -> None:
        due = account.owed.pop((event.kind, f"{event.code}.{event.kind.value}"), None)
        if due is None:
            raise self._watch.breach("I8", "given up though not owed")
        kept = event.at - due.since
        self._insist("I8", kept >= book.service.policy.debt_kept, "given up too soon")
        self._watch.saw("a debt given up")

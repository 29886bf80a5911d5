"""Judging notices, and what outlives a user: was it fresh, did it count, was enough forgotten?

Knows who may speak of what. Refuses to know how a notice came.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from abonent.core import events as told
from abonent.core.events import Ignored
from abonent.core.states import Basis, Reason
from abonent.ports import Notice
from abonent.simulation.world.docket import ANEW_TIME, Docket, words
from abonent.simulation.world.ledger import DAY, GRACE, Account, Holding

if TYPE_CHECKING:
    from abonent.simulation.world.books import Book


class NoticesJudge(Docket):
    """Judges notices, lapses and forgetting."""

    def verdicts(
        self, book: Book, account: Account, notice: Notice, at: datetime
    ) -> tuple[Ignored | None, Ignored | None]:
        """Return why a notice does not bear on what stands, and on the open question."""
        trial, holding = account.settled(at)
        question = None if trial is None else trial.question
        happened = notice.happened_at
        on_question: Ignored | None = Ignored.STALE
        if question is not None and trial is not None and trial.number == notice.number:
            if question.operator != notice.operator:
                on_question = Ignored.OTHER_OPERATOR
            elif happened is None or happened >= question.asked_at:
                on_question = None
        on_holding: Ignored | None = Ignored.STALE
        if holding is not None and holding.number == notice.number:
            speaker = holding.operator or self._watch.call.serving
            graver = holding.cause in GRACE and notice.kind not in GRACE
            if speaker != notice.operator:
                on_holding = Ignored.OTHER_OPERATOR
            elif happened is not None and happened < holding.fresh_from:
                on_holding = Ignored.STALE
            elif holding.due is not None and not graver:
                on_holding = Ignored.ALREADY_DUE
            else:
                on_holding = None
        return on_holding, on_question

    def _noticed(
        self, account: Account, event: told.NoticeReceived | told.StaleNoticeIgnored
    ) -> Notice:
        item = self._watch.call.item
        if not isinstance(item, Notice):
            raise self._watch.breach("I4", "a notice is heard that nobody gave")
        same = (item.id, item.operator, item.kind) == (event.notice_id, event.operator, event.kind)
        self._insist("I4", same, "another notice is heard")
        return item

    def _heard(self, book: Book, account: Account, event: told.NoticeReceived) -> None:
        notice = self._noticed(account, event)
        self._insist("I4", (event.operator, event.notice_id) not in account.heard, "heard twice")
        on_holding, on_question = self.verdicts(book, account, notice, event.at)
        self._insist("I4", on_holding is None or on_question is None, "a stale notice counts")
        account.heard.append((event.operator, event.notice_id))
        if on_holding is None and account.holding is not None:
            self._require(account, account.holding, event)
        if on_question is None:
            self._watch.expect(account, told.IdentificationNotPassed)

    def _require(self, account: Account, holding: Holding, event: told.NoticeReceived) -> None:
        due = event.at + ANEW_TIME
        if holding.due is not None:
            self._watch.saw("a graver notice")
            due = min(due, holding.due)
        holding.due, holding.cause = due, event.kind
        self._watch.expect(account, told.ReidentificationRequired)

    def _required(self, book: Book, account: Account, event: told.ReidentificationRequired) -> None:
        holding = account.holding
        if holding is None:
            raise self._watch.breach("I4", "re-identification of nobody")
        self._insist(
            "I4",
            isinstance(self._last, told.NoticeReceived)
            and (event.due, event.cause) == (holding.due, holding.cause),
            "re-identification is due at another time, or for another cause",
        )
        if holding.basis is Basis.DECLARED:
            self._watch.saw("a notice about a declared user")
        self._watch.moved(book, account)

    def _notice_ignored(self, book: Book, account: Account, event: told.StaleNoticeIgnored) -> None:
        notice = self._noticed(account, event)
        on_holding, on_question = self.verdicts(book, account, notice, event.at)
        _, holding = account.settled(event.at)
        if (event.operator, event.notice_id) in account.heard:
            expected: Ignored | None = Ignored.REPEATED
        elif on_holding is None or on_question is None:
            expected = None
        else:
            expected = on_question if holding is None else on_holding
            account.heard.append((event.operator, event.notice_id))
        self._insist("I4", event.why is expected, "a notice is ignored for a wrong reason")
        self._watch.saw(f"a notice ignored: {words(event.why)}")

    def _lapsed(self, book: Book, account: Account, event: told.Lapsed) -> None:
        holding = account.holding
        due = None if holding is None else holding.due
        self._insist("I4", due is not None and event.at > due == event.due, "lapsed too early")
        self._watch.failures[Reason.NOT_IDENTIFIED_ANEW.value] += 1
        if holding is not None and holding.basis is Basis.DECLARED:
            self._watch.saw("a declared user who lapsed")
        account.end_holding(event.at)
        self._watch.moved(book, account)

    def _disclosed(self, book: Book, account: Account, event: told.NumberDisclosed) -> None:
        call = self._watch.call
        self._insist(
            "I9",
            (call.name, call.user, call.consented) == ("disclose", account.user, True),
            "a number is disclosed without a consent that covers it",
        )
        self._insist("I1", account.holding, "the number of nobody identified is disclosed")

    def _forgotten(self, book: Book, account: Account, event: told.UserForgotten) -> None:
        call = self._watch.call
        self._insist("I7", (call.name, call.user) == ("forget", account.user), "nobody asked")
        account.end_holding(event.at)
        account.forget()
        self._keep_withdrawals(account, event)
        self._watch.moved(book, account)

    def gone(self, book: Book, account: Account) -> None:
        """A user was forgotten and nothing of them counts any more: not even a record is kept."""
        at = book.latest()
        account.end_holding(at)
        account.forget()
        for name, due in account.owed.items():
            done = (name[0], due.code) in self._watch.around.carriers[due.operator].acknowledged
            self._insist("I8", done, "a withdrawal is forgotten with the user")
        account.owed.clear()
        self._clear(book, account, at)
        self._watch.moved(book, account)

    def _keep_withdrawals(self, account: Account, event: told.UserForgotten) -> None:
        """What the same commit heard of withdrawals is in what the new subject owes."""
        kept = {(each.kind, each.id): each for each in event.debts}
        self._insist("I8", kept.keys() <= account.owed.keys(), "a debt is owed that was none")
        for name, due in list(account.owed.items()):
            debt = kept.get(name)
            if debt is None:
                done = (name[0], due.code) in self._watch.around.carriers[due.operator].acknowledged
                self._insist("I8", done, "a withdrawal is forgotten with the user")
                del account.owed[name]
            else:
                due.tries, due.next_try = debt.attempt.tries, debt.attempt.next_try

    def _cleared(self, book: Book, account: Account, event: told.TombstoneCleared) -> None:
        self._insist("I6", account.forgotten and not account.owed, "cleared too early")
        self._clear(book, account, event.at)

    def _clear(self, book: Book, account: Account, at: datetime) -> None:
        """Nothing that still counts is cleared."""
        window = DAY - book.unsure
        left = [n for n in account.failures if account.failed(n, at, window)]
        self._insist("I6", not left and not account.sent(at, window), "a budget was reset")
        account.failures.clear()
        account.sends.clear()

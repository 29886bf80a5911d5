"""Judging claims and proofs: was a number claimed, a code issued, a try admitted rightly?

Knows budgets, issues and what was really typed. Refuses to know operators' answers.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from abonent.core import events as told
from abonent.core.numbers import SubscriberNumber
from abonent.core.states import Basis, EffectKind
from abonent.simulation.world.docket import Docket, rules_at
from abonent.simulation.world.ledger import DAY, Account, Due, IssuedCode, Trial

if TYPE_CHECKING:
    from abonent.simulation.world.books import Book


class ClaimsJudge(Docket):
    """Judges what users do."""

    def _claimed(self, book: Book, account: Account, event: told.NumberClaimed) -> None:
        call, service = self._watch.call, book.service
        self._insist("I1", call.name == "claim", "a number is claimed that nobody claimed")
        self._insist(
            "I1", (call.user, call.number) == (account.user, event.number), "a claim is another's"
        )
        trial, holding = account.trial, account.holding
        self._insist(
            "I6",
            trial is None or trial.number != event.number,
            "the same claim again is a new one: its tries would begin anew",
        )
        if holding is not None and holding.due is None and trial is None:
            anew = holding.number == event.number and holding.basis is not Basis.DECLARED
            self._insist("I1", not anew, "who is identified is claimed anew")
        operator = call.serving if self.asks(book) else None
        self._insist("I5", event.operator == operator, "not the operator that the router named")
        self._insist("I5", not self.needs(book) or operator, "claimed though nobody can be asked")
        self._insist(
            "I5",
            not self.needs(book) or self.agreement(book, operator, event.at),
            "claimed without an agreement",
        )
        self._insist("I1", event.rules == rules_at(event.at), "not the rules in force")
        self._insist(
            "I10", event.expires_at == event.at + service.policy.claim_valid, "a claim's time"
        )
        self._budgets(book, account, event.number, event.at)
        account.end_trial()
        account.forgotten = False
        account.trial = Trial(
            number=event.number,
            claim=event.claim,
            operator=event.operator,
            rules=event.rules,
            expires_at=event.expires_at,
        )

    def _budgets(
        self, book: Book, account: Account, number: SubscriberNumber, at: datetime
    ) -> None:
        policy = book.service.policy
        window = DAY - book.unsure
        self._insist(
            "I6",
            account.failed(number, at, window) < policy.failures_per_day,
            "a claim beyond the budget of failures",
        )
        self._insist(
            "I6", account.sent(at, window) < policy.sends_per_user, "a code beyond a user's budget"
        )
        to_number = sum(at - each < window for each in book.sends[number])
        self._insist("I6", to_number < policy.sends_per_number, "a code beyond a number's budget")

    def _issued(self, book: Book, account: Account, event: told.CodeIssued) -> None:
        trial, policy = account.trial, book.service.policy
        if trial is None or trial.question is not None:
            raise self._watch.breach("I6", "a code is issued for no claim")
        self._insist("I6", event.claim == trial.claim, "a code of another claim")
        self._insist("I6", event.issue == trial.issued + 1, "issues are not counted")
        if trial.issued_at is not None:
            soon = event.at < trial.issued_at + policy.resend_after
            self._insist("I6", not soon, "a code is sent again too soon")
            self._budgets(book, account, trial.number, event.at)
            self._drop_send(account, trial)
        self._insist("I9", event.key_id == book.service.keys.current, "not under the current key")
        self._insist("I10", event.expires_at == event.at + policy.code_valid, "a code's time")
        trial.issued, trial.issued_at = event.issue, event.at
        trial.code = IssuedCode(issue=event.issue, key_id=event.key_id, expires_at=event.expires_at)
        account.sends.append(event.at)
        book.sends[trial.number].append(event.at)
        account.owed[EffectKind.SEND_CODE, f"{trial.claim}.{event.issue}"] = Due(
            kind=EffectKind.SEND_CODE, operator="", code="", since=event.at, next_try=event.at
        )

    def _expired(self, book: Book, account: Account, event: told.CodeExpired) -> None:
        trial = account.trial
        if trial is None or trial.code is None:
            raise self._watch.breach("I6", "a code expires that is not there")
        self._insist("I6", event.at > trial.code.expires_at, "a code expires too early")
        self._drop_send(account, trial)
        trial.code = None

    def _tried(self, book: Book, account: Account, event: told.ProofTried) -> None:
        call, trial, policy = self._watch.call, account.trial, book.service.policy
        if trial is None or trial.question is not None:
            raise self._watch.breach("I6", "a try on no claim")
        self._insist(
            "I6", (call.name, call.user) == ("prove", account.user), "a try that nobody made"
        )
        self._insist("I6", event.claim == trial.claim, "a try on another claim")
        code, window = trial.code, DAY - book.unsure
        self._insist(
            "I6", code is None or code.tries < policy.tries_per_code, "a try beyond those of a code"
        )
        failed = account.failed(trial.number, event.at, window)
        self._insist("I6", failed < policy.failures_per_day, "a try beyond the budget")
        right = code is not None and event.at <= code.expires_at
        if right and code is not None:
            name = f"{trial.claim}.{code.issue}"
            right = self._watch.around.taken.get(name) == call.offered
            if right and code.key_id != book.service.keys.current:
                self._watch.saw("a code under an older key")
            if right and event.at == code.expires_at:
                self._watch.saw("a code in its last microsecond")
        self._right = right
        if code is not None:
            code.tries += 1
        account.failures.setdefault(trial.number, []).append(event.at)

    def _verdict(self) -> bool:
        self._insist(
            "I6", isinstance(self._last, told.ProofTried), "a verdict on a try that was not charged"
        )
        return self._right

    def _wrong(self, book: Book, account: Account, event: told.ProofFailed) -> None:
        self._insist("I6", not self._verdict(), "the right code failed")

    def _proven(self, book: Book, account: Account, event: told.PossessionProven) -> None:
        self._insist("I6", self._verdict(), "a code passed that is not the live one")
        trial = account.trial
        if trial is None:
            raise self._watch.breach("I6", "proven without a claim")
        self._drop_send(account, trial)
        trial.proven_at, trial.code = event.at, None
        account.failures[trial.number].remove(event.tried_at)

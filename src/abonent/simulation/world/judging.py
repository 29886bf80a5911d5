"""Judging events: was it right that this happened, by what the world really did?

Knows the procedure as `domain.md` and the scenarios tell it, in words of its own.
Refuses to call the core's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from abonent.core import events as told
from abonent.core.events import Event, Ignored, Outcome
from abonent.core.parties import MessengerKind
from abonent.core.states import Aggregate, Basis, EffectKind, NoticeKind, Reason
from abonent.ports import LateAnswer, Notice
from abonent.simulation.world.comparing import compare
from abonent.simulation.world.ledger import (
    DAY,
    GRACE,
    Account,
    Due,
    Holding,
    IssuedCode,
    Question,
    Trial,
)

if TYPE_CHECKING:
    from abonent.simulation.world.watch import Book, Watch

ANSWER_TIME: Final = timedelta(minutes=20)
ANEW_TIME: Final = timedelta(minutes=20)
MICROSECOND: Final = timedelta(microseconds=1)
_MIDNIGHT_MOSCOW: Final = timedelta(hours=-3)
_RULES: Final = tuple(
    (name, datetime(*starts, tzinfo=UTC) + _MIDNIGHT_MOSCOW)
    for name, starts in (
        (None, (1, 1, 2)),
        ("1279", (2019, 5, 5)),
        ("1801", (2022, 3, 1)),
        (None, (2028, 3, 1)),
    )
)
Passes = Sequence[tuple[Account, told.Passed]]


def rules_at(at: datetime) -> str | None:
    """Return the rule set in force at an instant, by its id."""
    return next(name for name, starts in reversed(_RULES) if starts <= at)


class Judge:
    """Judges what happened, and keeps the accounts."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._insist = watch.insist
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
        self._right = False
        self._last: Event | None = None
        self._account: Account | None = None

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

    # --- claims ----------------------------------------------------------------------

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
        done = holding is not None and holding.due is None and trial is None
        self._insist(
            "I1", not done or holding.number != event.number, "who is identified is claimed anew"
        )
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

    def _budgets(self, book: Book, account: Account, number: Any, at: datetime) -> None:
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
            return self._insist("I6", False, "a code is issued for no claim")
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

    def _drop_send(self, account: Account, trial: Trial) -> None:
        account.owed.pop((EffectKind.SEND_CODE, f"{trial.claim}.{trial.issued}"), None)

    # --- effects ---------------------------------------------------------------------

    def _started(self, book: Book, account: Account, event: told.AttemptStarted) -> None:
        due = account.owed.get((event.kind, event.id))
        if due is None:
            return self._insist("I8", False, "a try of what is not owed")
        self._insist("I8", due.next_try <= event.at, "a try before its time")
        self._insist(
            "I8",
            event.next_try == event.at + book.service.policy.lease,
            "a lease of another length",
        )
        due.tries, due.next_try = due.tries + 1, event.next_try

    def _failed(self, book: Book, account: Account, event: told.AttemptFailed) -> None:
        due = account.owed.get((event.kind, event.id))
        if due is None:
            return self._insist("I8", False, "a failed try of what is not owed")
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
            return self._insist("I8", False, "acknowledged though not owed")
        self._insist("I8", due.operator == event.operator, "another operator acknowledged")
        carrier = self._watch.around.carriers[event.operator]
        self._insist("I8", (kind, event.code) in carrier.acknowledged, "nobody acknowledged")

    def _given_up(self, book: Book, account: Account, event: told.DebtGivenUp) -> None:
        due = account.owed.pop((event.kind, f"{event.code}.{event.kind.value}"), None)
        if due is None:
            return self._insist("I8", False, "given up though not owed")
        kept = event.at - due.since
        self._insist("I8", kept >= book.service.policy.debt_kept, "given up too soon")
        self._watch.saw("a debt given up")

    # --- proofs ----------------------------------------------------------------------

    def _expired(self, book: Book, account: Account, event: told.CodeExpired) -> None:
        trial = account.trial
        if trial is None or trial.code is None:
            return self._insist("I6", False, "a code expires that is not there")
        self._insist("I6", event.at > trial.code.expires_at, "a code expires too early")
        self._drop_send(account, trial)
        trial.code = None

    def _tried(self, book: Book, account: Account, event: told.ProofTried) -> None:
        call, trial, policy = self._watch.call, account.trial, book.service.policy
        if trial is None or trial.question is not None:
            return self._insist("I6", False, "a try on no claim")
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
            return self._insist("I6", False, "proven without a claim")
        self._drop_send(account, trial)
        trial.proven_at, trial.code = event.at, None
        account.failures[trial.number].remove(event.tried_at)

    # --- questions -------------------------------------------------------------------

    def asks(self, book: Book) -> bool:
        """Tell whether the messenger asks the operator about a proven number."""
        return self.needs(book) or book.service.policy.ask_operator_too

    def needs(self, book: Book) -> bool:
        """Tell whether it may do so under an agreement only."""
        return book.service.messenger.kind is MessengerKind.FOREIGN

    def agreement(self, book: Book, operator: str | None, at: datetime) -> str | None:
        """Return the agreement in force with an operator."""
        for each in book.service.agreements:
            begun = each.starts <= at and (each.ends is None or at < each.ends)
            if each.operator == operator and begun:
                return each.id
        return None

    def _asked(self, book: Book, account: Account, event: told.OperatorAsked) -> None:
        trial, call = account.trial, self._watch.call
        if trial is None or trial.proven_at is None:
            return self._insist("I5", False, "asked though nothing was proven")
        self._insist("I5", self.asks(book), "an operator is asked that need not be")
        first = trial.question is None
        if first:
            self._insist("I5", event.operator == trial.operator, "a stranger was asked")
        else:
            self._insist("I5", trial.question and not trial.question.rerouted, "asked a third time")
            self._insist("I5", event.operator == call.serving, "rerouted to a stranger")
            self._watch.saw("asked the second operator")
        self._insist("I5", event.rerouted is not first, "rerouting is not noted")
        force = self.agreement(book, event.operator, event.at)
        self._insist("I5", event.agreement == force, "a wrong agreement")
        self._insist("I5", force or not self.needs(book), "asked without an agreement in force")
        self._insist("I2", event.due == event.at + ANSWER_TIME, "a wrong due instant")
        self._insist(
            "I1",
            (event.number, event.proven_at, event.rules)
            == (trial.number, trial.proven_at, trial.rules),
            "asked about something else",
        )
        self._insist("I11", event.query_id not in book.queries, "a question's id came twice")
        book.queries.add(event.query_id)
        if trial.question is not None:
            account.owed.pop((EffectKind.ASK_OPERATOR, trial.question.query_id), None)
        trial.question = Question(
            operator=event.operator,
            query_id=event.query_id,
            asked_at=event.at,
            due=event.due,
            agreement=event.agreement,
            rerouted=event.rerouted,
        )
        account.owed[EffectKind.ASK_OPERATOR, event.query_id] = Due(
            kind=EffectKind.ASK_OPERATOR,
            operator=event.operator,
            code="",
            since=event.at,
            next_try=event.at,
        )

    def _question(self, account: Account, query_id: str) -> Question | None:
        trial = account.trial
        question = None if trial is None else trial.question
        return question if question is not None and question.query_id == query_id else None

    def _deferred(self, book: Book, account: Account, event: told.AnswerDeferred) -> None:
        self._insist("I1", self._question(account, event.query_id), "deferred, but not asked")
        account.owed.pop((EffectKind.ASK_OPERATOR, event.query_id), None)

    def _answered(self, book: Book, account: Account, event: told.AnswerReceived) -> None:
        question = self._question(account, event.query_id)
        if question is None:
            return self._insist("I1", False, "an answer to no question counts")
        self._insist("I5", event.operator == question.operator, "another operator's answer counts")
        self._insist("I2", event.at <= question.due, "an answer counts that came too late")
        said = self._watch.around.carriers[event.operator].said[event.query_id]
        self._insist("I1", event.outcome in said, "an answer that the operator never gave")
        self._watch.answered(question, event.at)
        if event.at == question.due:
            self._watch.saw("an answer in the last microsecond")

    # --- ends ------------------------------------------------------------------------

    def _passed(self, book: Book, account: Account, event: told.Passed) -> None:
        trial, last = account.trial, self._last
        if trial is None or trial.proven_at is None:
            return self._insist("I1", False, "passed without a proof")
        question = trial.question
        if question is None:
            self._insist("I1", isinstance(last, told.PossessionProven), "passed without a proof")
            self._insist("I5", not self.asks(book), "passed without asking the operator")
            expected = (None, None, None, Basis.OWN_DETERMINATION)
        else:
            held = isinstance(last, told.AnswerReceived) and last.outcome is Outcome.HELD
            self._insist("I1", held, "passed though the operator did not say held")
            expected = (
                question.operator,
                question.agreement,
                question.asked_at,
                Basis.OPERATOR_ANSWER,
            )
        self._insist(
            "I1",
            (event.operator, event.agreement, event.asked_at, event.basis) == expected
            and (event.number, event.proven_at, event.rules)
            == (trial.number, trial.proven_at, trial.rules),
            "passed on another basis than that of the attempt",
        )
        rival = self._rival(book, account, trial)
        self._insist("I3", rival is None or rival <= trial.proven_at, "an earlier prover won")
        self._insist("I11", event.code not in book.codes, "an identification code came twice")
        book.codes.add(event.code)
        account.end_holding(event.at)
        account.end_trial()
        account.holding = Holding(
            number=event.number,
            proven_at=event.proven_at,
            asked_at=event.asked_at,
            operator=event.operator,
            agreement=event.agreement,
            code=event.code,
            basis=event.basis,
            rules=event.rules,
        )
        if event.operator is not None:
            account.owe(EffectKind.RECORD, event.operator, event.code, event.at)
        self._watch.moved(book, account)

    def _rival(self, book: Book, account: Account, trial: Trial) -> datetime | None:
        found = self._watch.rival(book, trial.number, account)
        return None if found is None else found.proven_at

    def _not_passed(
        self, book: Book, account: Account, event: told.IdentificationNotPassed
    ) -> None:
        trial, last = account.trial, self._last
        if trial is None:
            return self._insist("I1", False, "an attempt ends that was not made")
        question = trial.question
        outcome = last.outcome if isinstance(last, told.AnswerReceived) else None
        match event.reason:
            case Reason.NO_ANSWER:
                why = question is not None and event.at > question.due == event.due
                if question is not None:
                    self._watch.answered(question, None)
            case Reason.CLAIM_EXPIRED:
                why = question is None and event.at > trial.expires_at == event.due
            case Reason.TOO_MANY_FAILURES:
                count = account.failed(trial.number, event.at, DAY + book.unsure)
                why = isinstance(last, told.ProofFailed) and (
                    count >= book.service.policy.failures_per_day
                )
            case Reason.UNDETERMINED:
                why = outcome is Outcome.UNDETERMINED
            case Reason.NOT_HELD:
                why = outcome is Outcome.NOT_HELD or (
                    outcome is Outcome.NOT_OURS and self._nobody_else(question)
                )
            case Reason.NO_AGREEMENT:
                operator = trial.operator if question is None else self._watch.call.serving
                proven = trial.proven_at is not None and self.needs(book)
                why = proven and self.agreement(book, operator, event.at) is None
                self._watch.saw("an agreement ended before the operator was asked")
            case Reason.DISPLACED:
                rival = self._rival(book, account, trial)
                proven_at = trial.proven_at
                why = rival is not None and proven_at is not None and rival > proven_at
                self._watch.saw("the earlier prover answered later")
            case _:
                why = event.reason is Reason.SUBSCRIPTION_ENDED and self._ends_question(
                    account, last
                )
        self._insist("I1", why, f"an attempt ended by {event.reason.value} without a cause")
        self._watch.failures[event.reason.value] += 1
        self._watch.call.ended = True
        ending = event.reason in (Reason.NOT_HELD, Reason.UNDETERMINED)
        if ending and account.holding is not None and account.holding.number == trial.number:
            account.end_holding(event.at)
        account.end_trial()
        self._watch.moved(book, account)

    def _nobody_else(self, question: Question | None) -> bool:
        serving = self._watch.call.serving
        if question is None:
            return False
        return question.rerouted or serving is None or serving == question.operator

    def _ends_question(self, account: Account, last: Event | None) -> bool:
        self._watch.saw("a notice before the answer")
        return isinstance(last, told.NoticeReceived | told.ReidentificationRequired)

    def _displaced(
        self, book: Book, account: Account, event: told.Displaced, passed: Passes
    ) -> None:
        holding = account.holding
        if holding is None:
            return self._insist("I3", False, "displaced without holding anything")
        winner = [
            each for other, each in passed if other is not account and each.number == holding.number
        ]
        self._insist("I3", winner, "displaced though nobody passed")
        self._insist(
            "I3", winner and winner[0].proven_at >= holding.proven_at, "the later prover lost"
        )
        if holding.due is not None:
            self._watch.saw("a displacement during re-identification")
        if account.trial is not None:
            self._watch.saw("a displacement behind another claim")
        account.end_holding(event.at)
        self._watch.moved(book, account)

    def _lapsed(self, book: Book, account: Account, event: told.Lapsed) -> None:
        holding = account.holding
        due = None if holding is None else holding.due
        self._insist("I4", due is not None and event.at > due == event.due, "lapsed too early")
        self._watch.failures[Reason.NOT_IDENTIFIED_ANEW.value] += 1
        account.end_holding(event.at)
        self._watch.moved(book, account)

    # --- notices ---------------------------------------------------------------------

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

    def _noticed(self, account: Account, event: Any) -> Notice:
        item = self._watch.call.item
        if not isinstance(item, Notice):
            self._insist("I4", False, "a notice is heard that nobody gave")
            raise TypeError
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
            return self._insist("I4", False, "re-identification of nobody")
        self._insist(
            "I4",
            isinstance(self._last, told.NoticeReceived)
            and (event.due, event.cause) == (holding.due, holding.cause),
            "re-identification is due at another time, or for another cause",
        )
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
        self._watch.saw(f"a notice that was {event.why.value}")

    def _answer_ignored(self, book: Book, account: Account, event: told.LateAnswerIgnored) -> None:
        question = self._question(account, event.query_id)
        expected = Ignored.LATE if question is None else Ignored.OTHER_OPERATOR
        self._insist("I2", event.why is expected, "an answer is ignored for a wrong reason")
        self._insist(
            "I2",
            question is None or question.operator != event.operator,
            "an answer is ignored that counts",
        )
        if account.forgotten:
            self._watch.saw("an answer after forgetting")
        self._watch.saw(f"an answer that was {event.why.value}")

    # --- the user's own data ---------------------------------------------------------

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

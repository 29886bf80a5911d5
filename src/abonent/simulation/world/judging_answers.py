"""Judging answers: was the right operator asked, and did the answer lead to what it must?

Knows what operators really said. Refuses to know how they were asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from abonent.core import events as told
from abonent.core.events import Event, Ignored, Outcome
from abonent.core.states import Basis, EffectKind, Reason
from abonent.simulation.world.docket import ANSWER_TIME, Docket, Passes, words
from abonent.simulation.world.ledger import DAY, Account, Due, Holding, Question

if TYPE_CHECKING:
    from abonent.simulation.world.books import Book


class AnswersJudge(Docket):
    """Judges questions, answers, and how attempts end."""

    def _asked(self, book: Book, account: Account, event: told.OperatorAsked) -> None:
        trial, call = account.trial, self._watch.call
        if trial is None or trial.proven_at is None:
            raise self._watch.breach("I5", "asked though nothing was proven")
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

    def _deferred(self, book: Book, account: Account, event: told.AnswerDeferred) -> None:
        self._insist("I1", self._question(account, event.query_id), "deferred, but not asked")
        account.owed.pop((EffectKind.ASK_OPERATOR, event.query_id), None)

    def _answered(self, book: Book, account: Account, event: told.AnswerReceived) -> None:
        question = self._question(account, event.query_id)
        if question is None:
            raise self._watch.breach("I1", "an answer to no question counts")
        self._insist("I5", event.operator == question.operator, "another operator's answer counts")
        self._insist("I2", event.at <= question.due, "an answer counts that came too late")
        said = self._watch.around.carriers[event.operator].said[event.query_id]
        self._insist("I1", event.outcome in said, "an answer that the operator never gave")
        self._watch.answered(question, event.at)
        if event.at == question.due:
            self._watch.saw("an answer in the last microsecond")

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
        if event.why is Ignored.LATE:
            self._watch.answered_late(event.query_id, event.at)
        self._watch.saw(f"an answer ignored: {words(event.why)}")

    def _passed(self, book: Book, account: Account, event: told.Passed) -> None:
        trial, last = account.trial, self._last
        if trial is None or trial.proven_at is None:
            raise self._watch.breach("I1", "passed without a proof")
        question = trial.question
        if question is None:
            self._insist("I1", isinstance(last, told.PossessionProven), "passed without a proof")
            self._insist("I5", not self.asks(book), "passed without asking the operator")
            expected: tuple[object, ...] = (None, None, None, Basis.OWN_DETERMINATION)
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
        won = rival is None or rival.proven_at <= trial.proven_at
        self._insist("I3", won, "an earlier prover won")
        self._insist("I11", event.code not in book.codes, "an identification code came twice")
        book.codes.add(event.code)
        self._see_declared(account, event)
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

    def _see_declared(self, account: Account, event: told.Passed) -> None:
        holding = account.holding
        if holding is not None and holding.basis is Basis.DECLARED:
            anew = holding.number == event.number
            self._watch.saw(
                "a declared user identified anew" if anew else "a declared user with another number"
            )

    def _not_passed(
        self, book: Book, account: Account, event: told.IdentificationNotPassed
    ) -> None:
        trial, last = account.trial, self._last
        if trial is None:
            raise self._watch.breach("I1", "an attempt ends that was not made")
        question = trial.question
        outcome = last.outcome if isinstance(last, told.AnswerReceived) else None
        match event.reason:
            case Reason.NO_ANSWER:
                why = question is not None and event.at > question.due == event.due
                if question is not None:
                    self._watch.unanswered(question)
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
                why = rival is not None and proven_at is not None and rival.proven_at > proven_at
                self._watch.saw("the earlier prover answered later")
                if rival is not None and rival.basis is Basis.DECLARED:
                    self._watch.saw("a claim that lost to a declared user")
            case _:
                why = event.reason is Reason.SUBSCRIPTION_ENDED and self._ends_question(
                    account, last
                )
        self._insist("I1", why, f"an attempt ended by {event.reason.value} without a cause")
        self._watch.failures[event.reason.value] += 1
        self._watch.call.ended = True
        ending = event.reason in (Reason.NOT_HELD, Reason.UNDETERMINED)
        if ending and account.holding is not None and account.holding.number == trial.number:
            if account.holding.basis is Basis.DECLARED:
                self._watch.saw("a declared user whom no operator holds")
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
            raise self._watch.breach("I3", "displaced without holding anything")
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
        if holding.basis is Basis.DECLARED:
            self._watch.saw("a declared user displaced")
        account.end_holding(event.at)
        self._watch.moved(book, account)

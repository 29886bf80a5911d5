"""What each command must lead to: a small model of the procedure, in plain words.

Knows the procedure as the scenarios and invariants tell it. Refuses to know the core: nothing of it
is imported.
"""

from __future__ import annotations

from typing import Any

from tests.search import reading
from tests.search.reading import GRAVE
from tests.search.words import (
    ANSWER_OPAQUE,
    NEW_CLAIM,
    NEW_CODE,
    NEW_QUERY,
    PERFORMED,
    SENT_OPAQUE,
    Acknowledged,
    Answer,
    Ask,
    Awaiting,
    Claim,
    Code,
    Debt,
    Declare,
    Disclose,
    Displace,
    Due,
    End,
    Failed,
    Figures,
    Forget,
    Held,
    Judge,
    Notice,
    Proving,
    Said,
    Sent,
    Tick,
    Try,
    User,
)


class No(Exception):
    """The answer is no; nothing changes."""

    def __init__(self, name: str, retry: int | None = None) -> None:
        super().__init__(name)
        self.name = name
        self.retry = retry


# --- what each command leads to -------------------------------------------------------


def step(user: User, ask: Ask, figures: Figures, now: int) -> Said:
    """Say what a command must lead to."""
    course = _Course(user, figures, now)
    try:
        course.take(ask)
    except No as no:
        return Said(user=user, error=(no.name, no.retry))
    return Said(user=course.user, told=tuple(course.told), owed=course.owed)


class _Course:
    def __init__(self, user: User, figures: Figures, now: int) -> None:
        self.user = user
        self.figures = figures
        self.now = now
        self.told: list[tuple[Any, ...]] = []
        self.owed: tuple[tuple[Any, ...], ...] = ()

    def take(self, ask: Ask) -> None:
        if isinstance(ask, Forget):
            self.forget()
            return
        if isinstance(ask, PERFORMED):
            self.give_up()
        self.settle(self.now - ask.lag if isinstance(ask, Tick) else self.now - 1)
        if not isinstance(ask, Tick):
            getattr(self, f"on_{type(ask).__name__.lower()}")(ask)
        if isinstance(ask, PERFORMED):
            self.lease()

    def tell(self, *fact: Any) -> None:
        self.told.append(fact)

    def set(self, **changes: Any) -> None:
        self.user = self.user._replace(**changes)

    # time

    def give_up(self) -> None:
        for each in self.user.debts:
            if each.next <= self.now and each.since + self.figures.debt_kept <= self.now:
                self.set(debts=tuple(kept for kept in self.user.debts if kept != each))
                self.tell("DebtGivenUp", each.kind, each.operator, each.code)

    def settle(self, until: int) -> None:
        """In the order in which it fell due; of two at once, the attempt's comes first."""
        while True:
            due: list[tuple[int, int, Any]] = []
            match self.user.attempt:
                case Proving(expires=expires, code=code):
                    due.append((expires, 0, lambda at: self.not_passed("claim_expired", at)))
                    if code is not None:
                        due.append((code.expires, 1, lambda _: self.code_expired()))
                case Awaiting(due=at):
                    due.append((at, 0, lambda at: self.not_passed("no_answer", at)))
            if self.user.due is not None:
                due.append((self.user.due.until, 2, self.lapse))
            if self.user.status == "forgotten":
                due += [(at, 3, lambda _: self.clear()) for at in reading.clearing(self.user)]
            due = [each for each in due if each[0] <= until]
            if not due:
                return
            at, _, happen = min(due, key=lambda each: each[:2])
            happen(at)

    def code_expired(self) -> None:
        it = self.proving()
        self.tell("CodeExpired", it.claim, it.code.issue if it.code else None)
        self.set(attempt=it._replace(code=None))

    def lapse(self, due: int) -> None:
        self.tell("Lapsed", due)
        self.lose("not_identified_anew", due)

    def clear(self) -> None:
        self.tell("TombstoneCleared")
        self.set(failures=(), sends=())

    def lease(self) -> None:
        self.owed = reading.owed(self.user, self.now)
        for kind, name, *_ in self.owed:
            self.tell("AttemptStarted", kind, name)
        self.tried([each[:2] for each in self.owed], 1, self.now + self.figures.lease)

    def tried(self, names: list[tuple[Any, ...]], more: int, next_try: int) -> None:
        """Count tries of what bears these ids, and set the next."""

        def after(kind: str, name: str, now: tuple[int, int]) -> tuple[int, int]:
            return (now[0] + more, next_try) if (kind, name) in names else now

        match self.user.attempt:
            case Proving(code=Code(sending=(_, _) as sending) as code) as it:
                sending = after("send_code", f"{it.claim}.{code.issue}", sending)
                self.set(attempt=it._replace(code=code._replace(sending=sending)))
            case Awaiting(asking=(_, _) as asking) as it:
                asking = after("ask_operator", it.query, asking)
                self.set(attempt=it._replace(asking=asking))
        debts: list[Debt] = []
        for each in self.user.debts:
            tries, then = after(each.kind, f"{each.code}.{each.kind}", (each.tries, each.next))
            debts.append(each._replace(tries=tries, next=then))
        self.set(debts=tuple(debts))

    # ends

    def proving(self) -> Proving:
        assert isinstance(self.user.attempt, Proving)
        return self.user.attempt

    def not_passed(self, reason: str, due: int | None = None, retry: int | None = None) -> None:
        """The attempt is over. What stands stands on, except where its own number was denied."""
        self.tell("IdentificationNotPassed", reason, due, retry)
        held, attempt = self.user.held, self.user.attempt
        denied = reason in ("not_held", "undetermined")
        same = held is not None and attempt is not None and attempt.number == held.number
        if denied and same:
            self.end_held()
        if self.user.held is None:
            self.set(end=End(reason, self.now, due, retry))
        self.set(attempt=None)

    def end_held(self) -> None:
        """What stood is over: its record is cancelled, its withdrawal owed."""
        held = self.user.held
        debts = self.user.debts
        if held is not None and held.operator is not None and held.basis != "declared":
            withdrawal = Debt("withdraw", held.operator, held.code, self.now, 0, self.now)
            debts = (*(each for each in debts if each.code != held.code), withdrawal)
        self.set(held=None, due=None, debts=debts)

    def lose(self, reason: str, due: int | None = None) -> None:
        self.end_held()
        if self.user.attempt is None:
            self.set(end=End(reason, self.now, due, None))

    def pass_(self, *, rival: int | None, proven: int, **facts: Any) -> None:
        """Who proved later holds the number, whatever order answers come in."""
        if rival is not None and rival > proven:
            self.not_passed("displaced")
            return
        attempt = self.user.attempt
        assert attempt is not None
        held = Held(
            number=attempt.number,
            proven=proven,
            since=self.now,
            code=NEW_CODE,
            rules=attempt.rules,
            **facts,
        )
        self.tell("Passed", *held)
        self.end_held()
        if held.operator is not None:
            record = Debt("record", held.operator, held.code, self.now, 0, self.now)
            self.set(debts=(*self.user.debts, record))
        self.set(attempt=None, held=held)

    # claims and proofs

    def on_claim(self, ask: Claim) -> None:
        user, attempt = self.user, self.user.attempt
        if isinstance(attempt, Awaiting) and attempt.number == ask.number:
            return
        held = user.held if user.status == "identified" else None
        if held is not None and held.number == ask.number and held.basis != "declared":
            return
        if isinstance(attempt, Proving) and attempt.number == ask.number:
            if self.now < attempt.issued_at + self.figures.resend_after:
                return
            self.within_budgets(ask)
            self.issue(ask, attempt.issued + 1)
            return
        rules = self.figures.rules_at(self.now)
        if rules is None:
            raise No("NoRulesInForce")
        if self.figures.asks and ask.operator is None:
            raise No("NumberUnrouted")
        if self.figures.foreign and not self.figures.agreement_with(str(ask.operator), self.now):
            raise No("NoAgreement")
        self.within_budgets(ask)
        self.tell("NumberClaimed", ask.number, ask.operator, rules)
        tag, *older = ask.tags
        failed = reading.failed_on(user, *ask.tags)
        if older and failed:
            others = (each for each in user.failures if each[0] not in ask.tags)
            self.set(failures=tuple(sorted((*others, (tag, failed)))))
        claimed = Proving(
            number=ask.number,
            tag=tag,
            claim=NEW_CLAIM,
            operator=ask.operator,
            rules=rules,
            locale="ru",
            expires=self.now + self.figures.claim_valid,
            issued=0,
            issued_at=self.now,
            code=None,
        )
        self.set(was="known", attempt=claimed, end=None)
        self.issue(ask, 1)

    def within_budgets(self, ask: Claim) -> None:
        figures = self.figures
        failed = reading.failed_on(self.user, *ask.tags)
        free = reading.free_from(failed, figures.failures_per_day, self.now)
        if free is not None:
            raise No("TooManyFailures", free)
        free = reading.free_from(self.user.sends, figures.sends_per_user, self.now)
        if free is None:
            free = reading.free_from(ask.number_sends, figures.sends_per_number, self.now)
        if free is not None:
            raise No("TooManySends", free)
        if isinstance(ask.unsendable, str):
            raise No("SendingStopped")
        if ask.unsendable is not None:
            raise No("TooManySends", ask.unsendable)

    def issue(self, ask: Claim, issue: int) -> None:
        it = self.proving()
        self.tell("CodeIssued", it.claim, issue, ask.key)
        expires = self.now + self.figures.code_valid
        code = Code(issue, ask.key, self.now, expires, 0, (0, self.now), b"")
        sends = tuple(sorted((*reading.counted(self.user.sends, self.now), self.now)))
        self.set(
            attempt=it._replace(issued=issue, issued_at=self.now, code=code),
            sends=sends,
        )

    def on_try(self, _: Try) -> None:
        user, it = self.user, self.user.attempt
        if isinstance(it, Awaiting) or user.status == "identified":
            return
        if not isinstance(it, Proving):
            raise No("NothingToProve")
        if it.code is not None and it.code.tries >= self.figures.tries_per_code:
            raise No("CodeSpent", max(self.now, it.issued_at + self.figures.resend_after))
        free = reading.free_from(
            reading.failed_on(user, it.tag), self.figures.failures_per_day, self.now
        )
        if free is not None:
            raise No("TooManyFailures", free)
        self.tell("ProofTried", it.claim, it.tag)
        if it.code is not None:
            self.set(attempt=it._replace(code=it.code._replace(tries=it.code.tries + 1)))
        charged = (*reading.failed_on(user, it.tag), self.now)
        failures = {**dict(user.failures), it.tag: charged}
        alive = ((tag, tuple(sorted(reading.counted(w, self.now)))) for tag, w in failures.items())
        self.set(failures=tuple(sorted(each for each in alive if each[1])))

    def on_judge(self, ask: Judge) -> None:
        it = self.user.attempt
        if not isinstance(it, Proving) or it.claim != ask.claim:
            return
        current = it.code is not None and (it.code.issue, it.code.key) == (ask.issue, ask.key)
        if not (current and ask.right):
            self.tell("ProofFailed", it.claim)
            failed = reading.failed_on(self.user, it.tag)
            free = reading.free_from(failed, self.figures.failures_per_day, self.now)
            if free is not None:
                self.not_passed("too_many_failures", retry=free)
            return
        self.tell("PossessionProven", it.claim, ask.tried)
        failures = dict(self.user.failures)
        left = list(failures.pop(it.tag, ()))
        if ask.tried in left:
            left.remove(ask.tried)
        if left:
            failures[it.tag] = tuple(left)
        it = it._replace(code=None)
        self.set(attempt=it, failures=tuple(sorted(failures.items())))
        if not self.figures.asks:
            self.pass_(
                rival=ask.rival,
                proven=self.now,
                asked=None,
                operator=None,
                agreement=None,
                basis="own_determination",
            )
        elif it.operator is None:
            self.not_passed("no_agreement")
        else:
            self.question(it.operator, proven=self.now, rerouted=False)

    def question(self, operator: str, *, proven: int, rerouted: bool) -> None:
        agreement = self.figures.agreement_with(operator, self.now)
        if agreement is None and self.figures.foreign:
            self.not_passed("no_agreement")
            return
        attempt = self.user.attempt
        assert attempt is not None
        asked = Awaiting(
            number=attempt.number,
            proven=proven,
            operator=operator,
            agreement=agreement,
            query=NEW_QUERY,
            asked=self.now,
            due=self.now + self.figures.answer_within(attempt.rules),
            asking=(0, self.now),
            rerouted=rerouted,
            rules=attempt.rules,
            opaque=b"",
        )
        self.tell("OperatorAsked", operator, agreement, asked.due, rerouted)
        self.set(attempt=asked)

    # operators

    def on_answer(self, ask: Answer) -> None:
        it = self.user.attempt
        if not isinstance(it, Awaiting) or it.query != ask.query:
            self.tell("LateAnswerIgnored", ask.operator, ask.outcome, "late")
            return
        if it.operator != ask.operator:
            self.tell("LateAnswerIgnored", ask.operator, ask.outcome, "other_operator")
            return
        if ask.outcome == "later":
            self.tell("AnswerDeferred")
            self.set(attempt=it._replace(asking=None, opaque=ANSWER_OPAQUE))
            return
        self.tell("AnswerReceived", ask.operator, ask.outcome)
        if ask.outcome == "held":
            self.pass_(
                rival=ask.rival,
                proven=it.proven,
                asked=it.asked,
                operator=it.operator,
                agreement=it.agreement,
                basis="operator_answer",
            )
        elif ask.outcome == "undetermined":
            self.not_passed("undetermined")
        elif ask.outcome == "not_ours" and not it.rerouted:
            if ask.serving in (None, it.operator):
                self.not_passed("not_held")
            else:
                self.question(str(ask.serving), proven=it.proven, rerouted=True)
        else:
            self.not_passed("not_held")

    def on_notice(self, ask: Notice) -> None:
        user, it = self.user, self.user.attempt
        name = f"{ask.operator} {ask.name}"
        if name in user.notices:
            self.ignore_notice(ask, "repeated")
            return
        standing_why = self.why_standing_stays(ask)
        attempt_why = "stale"
        if isinstance(it, Awaiting) and it.number == ask.number:
            attempt_why = self.speaks(ask, it.operator, it.asked)
        if standing_why and attempt_why:
            self.ignore_notice(ask, standing_why if user.held else attempt_why)
            return
        self.tell("NoticeReceived", ask.operator, ask.kind, ask.happened)
        self.heard(name)
        if not standing_why and user.held is not None:
            until = self.now + self.figures.reidentify_within(user.held.rules, self.now)
            if user.due is not None:
                until = min(until, user.due.until)
            self.tell("ReidentificationRequired", ask.kind, ask.happened, until)
            self.set(due=Due(ask.kind, ask.happened, self.now, until))
        if not attempt_why:
            self.not_passed("subscription_ended")

    def why_standing_stays(self, ask: Notice) -> str:
        held, due = self.user.held, self.user.due
        if held is None or held.number != ask.number:
            return "stale"
        since = held.proven if held.asked is None else held.asked
        why = self.speaks(ask, ask.serving if held.operator is None else held.operator, since)
        if not why and due is not None and (due.cause in GRAVE or ask.kind not in GRAVE):
            return "already_due"
        return why

    def speaks(self, ask: Notice, speaker: str | None, since: int) -> str:
        if ask.operator != speaker:
            return "other_operator"
        return "stale" if ask.happened is not None and ask.happened < since else ""

    def ignore_notice(self, ask: Notice, why: str) -> None:
        self.tell("StaleNoticeIgnored", ask.operator, ask.kind, why)
        self.heard(f"{ask.operator} {ask.name}")

    def heard(self, name: str) -> None:
        if name not in self.user.notices:
            self.set(notices=(*self.user.notices, name)[-8:])

    def on_displace(self, ask: Displace) -> None:
        if self.user.held is not None and self.user.held.number == ask.number:
            self.tell("Displaced")
            self.lose("displaced")

    # what became of effects

    def on_sent(self, ask: Sent) -> None:
        match self.user.attempt:
            case Proving(claim=ask.claim, code=Code(issue=ask.issue, sending=(_, _)) as code) as it:
                self.tell("CodeSent", ask.claim, ask.issue)
                code = code._replace(sending=None, opaque=SENT_OPAQUE)
                self.set(attempt=it._replace(code=code))

    def on_failed(self, ask: Failed) -> None:
        ever = reading.owed(self.user, None)
        mine = (each[-1] for each in ever if each[:2] == (ask.kind, ask.name))
        tries = next(mine, None)
        if tries is None:
            return
        doubled = self.figures.retry_first * 2 ** max(0, tries - 1)
        next_try = self.now + min(doubled, self.figures.retry_longest)
        self.tell("AttemptFailed", ask.kind, ask.name, next_try)
        self.tried([(ask.kind, ask.name)], 0, next_try)

    def on_acknowledged(self, ask: Acknowledged) -> None:
        done = {(each.kind, each.code) for each in self.user.debts} & {(ask.kind, ask.code)}
        if done:
            name = "CodeRecorded" if ask.kind == "record" else "RecordWithdrawn"
            self.tell(name, ask.operator, ask.code)
            left = (each for each in self.user.debts if (each.kind, each.code) not in done)
            self.set(debts=tuple(left))

    def on_declare(self, ask: Declare) -> None:
        """Only who was never heard of is taken over, by a number that nobody has."""
        if self.user.status != "unidentified":
            raise No("UserKnown")
        if ask.taken:
            raise No("NumberTaken")
        rules = self.figures.rules_at(self.now)
        if rules is None:
            raise No("NoRulesInForce")
        proven = self.now - ask.ago
        self.tell("Declared", ask.number, proven, ask.operator, NEW_CODE, rules)
        held = Held(
            number=ask.number,
            proven=proven,
            asked=None,
            since=self.now,
            operator=ask.operator,
            agreement=None,
            code=NEW_CODE,
            basis="declared",
            rules=rules,
        )
        self.set(was="known", held=held)

    def on_disclose(self, _: Disclose) -> None:
        if self.user.held is None:
            raise No("UnknownUser")
        self.tell("NumberDisclosed")

    def forget(self) -> None:
        """Only withdrawals and what still counts outlive a user; the same again does nothing."""
        if self.user.status == "forgotten":
            return
        self.tell("UserForgotten")
        self.end_held()
        alive = ((tag, reading.counted(when, self.now)) for tag, when in self.user.failures)
        self.user = User(
            was="forgotten",
            debts=tuple(each for each in self.user.debts if each.kind == "withdraw"),
            failures=tuple(each for each in alive if each[1]),
            sends=reading.counted(self.user.sends, self.now),
        )
        self.lease()

"""The pure core under any order of commands: one machine, one invariant at a time.

The machine is the shell: it knows who holds a number, which codes were right and what time it is.
What must be true is kept by the machine itself, folded from what happened, not read from states.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import attrs
import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec.structs import replace

from abonent import Messenger, MessengerKind, NoticeKind, Outcome, Policy, Reason, SubscriberNumber
from abonent.core import commands as ask
from abonent.core import events as told
from abonent.core.agreements import Agreements
from abonent.core.course import Step
from abonent.core.evolution import NOTICES_KEPT, evolve
from abonent.core.identification import decide, forget
from abonent.core.owed import gate, wakes_at
from abonent.core.policy import DAY
from abonent.core.states import (
    BLANK,
    Aggregate,
    AwaitingAnswer,
    EffectKind,
    Forgotten,
    NotPassed,
    ProvingPossession,
    ReidentificationDue,
    identified_in,
    standing_identification,
)
from abonent.errors import CallerError, Refused
from abonent.records import decode_entry, encode_entry
from tests.properties.parts import (
    ANSWER_TIME,
    HOUR,
    MICROSECOND,
    MINUTE,
    N1,
    N2,
    START,
    M,
    N,
    agreement,
    field_names,
    parts_of,
)

USERS = ("a", "b")
NUMBERS = (N1, N2)
POLICY = Policy(
    failures_per_day=4,
    tries_per_code=3,
    sends_per_user=6,
    sends_per_number=8,
    claim_valid=timedelta(minutes=45),
    debt_kept=50 * HOUR,
)
# One agreement ends and the other begins while the machine runs.
AGREEMENTS = (
    agreement(M, ends=START + 3 * HOUR),
    agreement(N, starts=START + 30 * MINUTE),
)
CLOSED = datetime.min.replace(tzinfo=START.tzinfo)
users = st.sampled_from(USERS)
numbers = st.sampled_from(NUMBERS)
picks = st.integers(0, 31)
DEADLINES = {"due", "expires_at", "next_try"}


def tag(number: SubscriberNumber) -> bytes:
    return b"tag " + number.e164.encode()


@attrs.define
class Asked:
    """A question, as the machine remembers it."""

    user: str
    operator: str
    number: SubscriberNumber
    at: datetime


@attrs.define
class Trial:
    """A charged try that waits for its verdict."""

    user: str
    at: datetime
    claim: str
    issue: int
    key_id: str


class Protocol(RuleBasedStateMachine):
    """Two users, two numbers, two operators, a clock that mostly goes forward."""

    focus = ""

    @initialize(
        kind=st.sampled_from(MessengerKind),
        ask_too=st.booleans(),
    )
    def begin(self, kind: MessengerKind, ask_too: bool) -> None:
        self.now = self.latest = START
        self.terrain = ask.Terrain(
            messenger=Messenger(id="m", kind=kind),
            policy=attrs.evolve(POLICY, ask_operator_too=ask_too),
            agreements=Agreements("m", AGREEMENTS),
        )
        self.kept: dict[str, Aggregate] = dict.fromkeys(USERS, BLANK)
        self.journal: dict[str, list[bytes]] = {each: [] for each in USERS}
        self.serving: dict[SubscriberNumber, str | None] = {N1: M, N2: N}
        self.sends: dict[SubscriberNumber, list[datetime]] = {N1: [], N2: []}
        self.serial = 0
        self.asked: dict[str, Asked] = {}
        self.may_ask: dict[str, set[str]] = {each: set() for each in USERS}
        self.trials: list[Trial] = []
        self.notices: list[tuple[str, str, NoticeKind, SubscriberNumber, datetime | None]] = []
        self.heard: dict[str, list[tuple[str, str]]] = {each: [] for each in USERS}
        # The model: which number a user holds, from when it was proven, until when it opens.
        self.holds: dict[str, tuple[SubscriberNumber, datetime] | None] = dict.fromkeys(USERS)
        self.open_until: dict[str, datetime | None] = {}
        self.attempt: dict[str, SubscriberNumber | None] = dict.fromkeys(USERS)
        self.failed: dict[tuple[str, SubscriberNumber], list[datetime]] = {
            (user, number): [] for user in USERS for number in NUMBERS
        }
        self.spent: set[tuple[str, int]] = set()
        self.codes: set[str] = set()

    # --- saying what must hold ---------------------------------------------------------

    def insist(self, invariant: str, truth: object, what: str) -> None:
        if self.focus in ("", invariant):
            assert truth, f"{invariant}: {what}"

    # --- the shell ---------------------------------------------------------------------

    def fresh(self, kind: str) -> str:
        self.serial += 1
        return f"{kind}{self.serial}"

    def give(self, user: str, command: ask.Command) -> Step | None:
        before = self.kept[user]
        try:
            step = decide(before, command, self.terrain)
        except (Refused, CallerError):
            return None
        self.take(user, before, command, step)
        if isinstance(command, ask.Tick):
            wake = wakes_at(step.aggregate)
            self.insist(
                "I10", wake is None or wake > command.settled, "a sweep would spin on this record"
            )
        return step

    def take(self, user: str, before: Aggregate, command: Any, step: Step) -> None:
        aggregate = before
        for event in step.events:
            self.judge(user, aggregate, event, command)
            after = evolve(aggregate, event)
            self.learn(user, aggregate, event)
            aggregate = after
        self.kept[user] = step.aggregate
        if step.events:
            self.journal[user].append(encode_entry(step.events, None))
        for event in step.events:
            if isinstance(event, told.Passed):
                for other in USERS:
                    if other != user and self.holds[other] and self.held(other) == event.number:
                        self.give(other, ask.Displace(at=event.at, number=event.number))

    def held(self, user: str) -> SubscriberNumber | None:
        found = self.holds[user]
        return None if found is None else found[0]

    def rival(self, user: str, number: SubscriberNumber) -> datetime | None:
        proven = [
            found[1]
            for other, found in self.holds.items()
            if other != user and found is not None and found[0] == number
        ]
        return max(proven, default=None)

    # --- what an event may say ---------------------------------------------------------

    def judge(self, user: str, before: Aggregate, event: told.Event, command: Any) -> None:
        match event:
            case told.OperatorAsked():
                self.insist("I5", event.operator in self.may_ask[user], "a stranger was asked")
                force = [
                    each.id for each in AGREEMENTS if _in_force(each, event.operator, event.at)
                ]
                if self.terrain.needs_agreement:
                    self.insist("I5", force, "asked without an agreement in force")
                self.insist("I5", [event.agreement] == (force or [None]), "a wrong agreement")
                self.insist("I2", event.due == event.at + ANSWER_TIME, "a wrong due instant")
            case told.PossessionProven():
                issue = (event.claim, self._issue_of(before))
                self.insist("I6", issue not in self.spent, "a code worked twice")
                self.spent.add(issue)
            case told.ProofTried():
                counted = self.counted(user, self.attempt[user], event.at)
                self.insist(
                    "I6", counted < POLICY.failures_per_day, "a try beyond the budget was admitted"
                )
            case told.Passed():
                self.judge_pass(user, before, event, command)
            case told.IdentificationNotPassed(reason=Reason.DISPLACED):
                rival = self.rival(user, self.attempt[user] or N1)
                state = before.state
                proven = getattr(state, "proven_at", event.at)
                self.insist(
                    "I3", rival is not None and rival > proven, "an earlier prover locked one out"
                )
            case told.ReidentificationRequired():
                end = self.open_until.get(user)
                latest = command.at + ANSWER_TIME
                if end is not None and end is not CLOSED:
                    latest = min(latest, end)
                if isinstance(standing_identification(before.state), ReidentificationDue):
                    due = standing_identification(before.state).due
                    latest = min(latest, due)
                self.insist("I4", event.due == latest, "a due instant moved")

    def judge_pass(self, user: str, before: Aggregate, event: told.Passed, command: Any) -> None:
        self.insist("I1", event.rules == "1801", "a pass under no rule set in force")
        self.insist("I11", event.code not in self.codes, "an identification code came twice")
        self.codes.add(event.code)
        if self.terrain.asks_operator:
            self.insist("I5", event.operator is not None, "nobody confirmed the number")
        if event.operator is None:
            proven = isinstance(command, ask.JudgeProof) and command.proven
            self.insist("I1", proven, "passed without a proof")
            return
        answer = command if isinstance(command, ask.GiveAnswer) else None
        question = None if answer is None else self.asked.get(answer.query_id)
        self.insist("I1", answer and answer.outcome is Outcome.HELD, "passed without HELD")
        self.insist("I1", question and question.user == user, "passed on another's answer")
        if answer is None or question is None:
            return
        self.insist("I2", answer.at <= question.at + ANSWER_TIME, "passed on a late answer")
        self.insist("I5", answer.operator == question.operator, "another operator answered")
        self.insist("I5", event.operator == question.operator, "another operator is on record")
        self.insist("I1", event.number == question.number, "passed with another number")
        rival = self.rival(user, event.number)
        self.insist(
            "I3", rival is None or rival <= event.proven_at, "an earlier prover took the number"
        )

    def learn(self, user: str, before: Aggregate, event: told.Event) -> None:
        match event:
            case told.NumberClaimed():
                self.attempt[user] = event.number
            case told.CodeIssued():
                number = self.attempt[user] or N1
                self.sends[number].append(event.at)
            case told.OperatorAsked():
                asked = Asked(user, event.operator, event.number, event.at)
                self.asked[event.query_id] = asked
            case told.ProofTried():
                self.failed[user, self.attempt[user] or N1].append(event.at)
            case told.PossessionProven():
                self.failed[user, self.attempt[user] or N1].remove(event.tried_at)
            case told.Passed():
                self.holds[user] = (event.number, event.proven_at)
                self.open_until[user] = None
            case told.ReidentificationRequired():
                end = self.open_until.get(user)
                if not event.cause.keeps_gate_open or end is CLOSED:
                    self.open_until[user] = CLOSED
                else:
                    new = event.at + ANSWER_TIME
                    self.open_until[user] = new if end is None else min(end, new)
            case told.Displaced() | told.Lapsed() | told.UserForgotten():
                self.holds[user] = None
            case told.IdentificationNotPassed():
                ends = event.reason in (Reason.NOT_HELD, Reason.UNDETERMINED)
                if ends and self.held(user) == self.attempt[user]:
                    self.holds[user] = None

    def counted(self, user: str, number: SubscriberNumber | None, at: datetime) -> int:
        # What was out of the day once may be dropped, even if the clock then steps back.
        latest = max(self.latest, at)
        return sum(latest - each < DAY for each in self.failed[user, number or N1])

    @staticmethod
    def _issue_of(aggregate: Aggregate) -> int:
        state = aggregate.state
        live = state.code if isinstance(state, ProvingPossession) else None
        return 0 if live is None else live.issue

    # --- users -------------------------------------------------------------------------

    @rule(user=users, number=numbers)
    def claim(self, user: str, number: SubscriberNumber) -> None:
        operator = self.serving[number] if self.terrain.asks_operator else None
        step = self.give(
            user,
            ask.Claim(
                at=self.now,
                number=number,
                unlisted=False,
                tags=(tag(number),),
                claim=self.fresh("claim"),
                key_id="k1",
                operator=operator,
                number_sends=tuple(sorted(self.sends[number])),
                locale="",
            ),
        )
        if step and any(isinstance(each, told.NumberClaimed) for each in step.events):
            self.may_ask[user] = {operator} if operator else set()

    @rule(user=users)
    def try_proof(self, user: str) -> None:
        """The try is charged; its verdict may come after other things."""
        before = self.kept[user]
        step = self.give(user, ask.TryProof(at=self.now))
        if step is None:
            self.insist("I6", self.kept[user] is before, "a refused try left a trace")
            return
        state = step.aggregate.state
        if step.events and any(isinstance(each, told.ProofTried) for each in step.events):
            assert isinstance(state, ProvingPossession)
            key = "" if state.code is None else state.code.key_id
            issue = 0 if state.code is None else state.code.issue
            self.trials.append(Trial(user, self.now, state.claim, issue, key))

    @precondition(lambda self: self.trials)
    @rule(pick=picks, right=st.booleans())
    def judge_trial(self, pick: int, right: bool) -> None:
        self._verdict(self.trials.pop(pick % len(self.trials)), right)

    @rule(user=users, right=st.sampled_from([True, True, False]))
    def prove(self, user: str, right: bool) -> None:
        """Try and verdict at once, as with codes of our own."""
        waiting = len(self.trials)
        self.try_proof(user)
        if len(self.trials) > waiting:
            trial = self.trials.pop()
            self._verdict(trial, right and trial.issue > 0)

    def _verdict(self, trial: Trial, right: bool) -> None:
        state = self.kept[trial.user].state
        number = state.number if isinstance(state, ProvingPossession) else N1
        live = state.code if isinstance(state, ProvingPossession) else None
        step = self.give(
            trial.user,
            ask.JudgeProof(
                at=self.now,
                tried_at=trial.at,
                claim=trial.claim,
                issue=trial.issue,
                key_id=trial.key_id,
                proven=right,
                query_id=self.fresh("query"),
                code=self.fresh("code"),
                rival_proven_at=self.rival(trial.user, number),
            ),
        )
        proven = step and any(isinstance(each, told.PossessionProven) for each in step.events)
        if proven:
            same = live is not None and live.issue == trial.issue
            self.insist("I6", right and same, "a verdict on another code was taken")

    @rule(user=users, rarely=st.integers(0, 3), number=numbers, to=st.sampled_from([M, N, N, None]))
    def now_and_then(
        self, user: str, rarely: int, number: SubscriberNumber, to: str | None
    ) -> None:
        """What is rarer than claims: a number is ported, a user is disclosed or forgotten."""
        if rarely == 0:
            self.forget(user)
        elif rarely == 1:
            self.disclose(user)
        else:
            self.serving[number] = to

    def forget(self, user: str) -> None:
        before = self.kept[user]
        if before == BLANK:
            return
        step = forget(before, self.now, self.terrain)
        if isinstance(before.state, Forgotten):
            assert step.events == ()
            return
        self.journal[user] = []
        self.heard[user] = []
        self.take(user, BLANK, None, step)
        for debt in step.aggregate.debts:
            assert debt.kind is EffectKind.WITHDRAW
        for number in NUMBERS:
            self.compare_failures(user, number)

    def disclose(self, user: str) -> None:
        self.give(
            user,
            ask.Disclose(at=self.now, recipient="court", purpose="case", consent_at=self.now),
        )

    @rule(user=users, number=numbers)
    def ask_about(self, user: str, number: SubscriberNumber) -> None:
        """Claim and prove in one breath, so that runs get far."""
        self.claim(user, number)
        self.prove(user, right=True)

    @rule(user=users, number=numbers, after=st.sampled_from([timedelta(), MINUTE]))
    def identify(self, user: str, number: SubscriberNumber, after: timedelta) -> None:
        """The same, and the operator holds it."""
        self.ask_about(user, number)
        self.move_to(self.now + after)
        if self.asked and isinstance(self.kept[user].state, AwaitingAnswer):
            self.answer(0, Outcome.HELD, other_operator=False, when="now")

    @rule(number=numbers, first=users, held=st.permutations([0, 1]), gap=st.sampled_from([0, 60]))
    def race(self, number: SubscriberNumber, first: str, held: list[int], gap: int) -> None:
        """Both users prove one number, one after the other; the answers come in any order."""
        for user in (first, *(each for each in USERS if each != first)):
            self.ask_about(user, number)
            self.move_to(self.now + timedelta(seconds=gap))
        for pick in held:
            if len(self.asked) > pick:
                self.answer(pick, Outcome.HELD, other_operator=False, when="now")

    @rule(user=users, number=numbers, right=st.booleans())
    def resend_before_the_verdict(self, user: str, number: SubscriberNumber, right: bool) -> None:
        """A try is charged, a new code is issued, and then the verdict on the old one comes."""
        self.claim(user, number)
        waiting = len(self.trials)
        self.try_proof(user)
        self.move_to(self.now + timedelta(seconds=61))
        self.claim(user, number)
        if len(self.trials) > waiting:
            self._verdict(self.trials.pop(), right)

    # --- operators ---------------------------------------------------------------------

    @precondition(lambda self: self.asked)
    @rule(
        pick=st.sampled_from([0, 0, 0, 1, 2]),
        outcome=st.sampled_from([Outcome.HELD, Outcome.HELD, *Outcome]),
        other_operator=st.sampled_from([False, False, False, True]),
        when=st.sampled_from(["now", "now", "now", "at due", "after due", "before due"]),
    )
    def answer(self, pick: int, outcome: Outcome, other_operator: bool, when: str) -> None:
        query = list(self.asked)[-1 - pick % len(self.asked)]
        question = self.asked[query]
        due = question.at + ANSWER_TIME
        at = {
            "now": self.now,
            "at due": due,
            "after due": due + MICROSECOND,
            "before due": due - MICROSECOND,
        }[when]
        self.move_to(at)
        operator = question.operator
        if other_operator:
            operator = N if operator == M else M
        user = question.user
        state = self.kept[user].state
        rival = None
        if outcome is Outcome.HELD and isinstance(state, AwaitingAnswer):
            rival = self.rival(user, state.number)
        serving = self.serving[question.number]
        if outcome is Outcome.NOT_OURS and serving is not None:
            self.may_ask[user] = self.may_ask[user] | {serving}
        settled = self.settled(user)
        waiting = isinstance(settled, AwaitingAnswer) and settled.query_id == query
        step = self.give(
            user,
            ask.GiveAnswer(
                at=at,
                query_id=query,
                operator=operator,
                outcome=outcome,
                opaque=b"",
                serving=serving,
                next_query_id=self.fresh("query"),
                code=self.fresh("code"),
                rival_proven_at=rival,
            ),
        )
        passed = step and any(isinstance(each, told.Passed) for each in step.events)
        if waiting and not other_operator and outcome is Outcome.HELD:
            assert isinstance(settled, AwaitingAnswer)
            ahead = rival is not None and rival > settled.proven_at
            self.insist("I3", bool(passed) is not ahead, "the later prover did not win")
        elif self.focus in ("", "I1"):
            assert not passed

    @rule(
        operator=st.sampled_from([M, N]),
        kind=st.sampled_from(NoticeKind),
        number=numbers,
        ago=st.sampled_from([None, None, timedelta(), -MICROSECOND, HOUR, MINUTE]),
        about=picks,
        apt=st.sampled_from([True, True, False]),
    )
    def notice(
        self,
        *,
        operator: str,
        kind: NoticeKind,
        number: SubscriberNumber,
        ago: timedelta | None,
        about: int,
        apt: bool,
    ) -> None:
        """A new notice. Every operator counts its own: two may give the same id."""
        holders = [each for each in USERS if self.holds[each] is not None]
        if apt and holders:
            # From the operator that may speak, about a number that somebody holds.
            state = self.kept[holders[about % len(holders)]].state
            identified = identified_in(standing_identification(state))
            assert identified is not None
            number = identified.number
            operator = identified.operator or self.serving[number] or operator
        happened = None if ago is None else self.now - ago
        fresh_from = [each.at for each in self.asked.values() if each.number == number]
        if happened is not None and fresh_from and about % 3:
            # About the microsecond in which a question was asked, or the one before.
            happened = fresh_from[about % len(fresh_from)] - MICROSECOND * (about % 3 - 1)
        name = str(sum(each[0] == operator for each in self.notices) + 1)
        self.notices.append((operator, name, kind, number, happened))
        self.deliver(self.notices[-1])

    @precondition(lambda self: self.notices)
    @rule(pick=picks)
    def repeat_notice(self, pick: int) -> None:
        self.deliver(self.notices[-1 - pick % len(self.notices)])

    def deliver(
        self, notice: tuple[str, str, NoticeKind, SubscriberNumber, datetime | None]
    ) -> None:
        operator, name, kind, number, happened = notice
        serving = None if self.terrain.needs_agreement else self.serving[number]
        command = ask.HearNotice(
            at=self.now,
            notice_id=name,
            operator=operator,
            kind=kind,
            number=number,
            happened_at=happened,
            serving=serving,
        )
        for user in USERS:
            state = self.kept[user].state
            waits = isinstance(state, AwaitingAnswer) and state.number == number
            if waits or self.held(user) == number:
                self.hear(user, command)

    def hear(self, user: str, command: ask.HearNotice) -> None:
        state = self.settled(user)
        standing = standing_identification(state)
        identified = identified_in(standing)
        heard = self.heard[user]
        known = (command.operator, command.notice_id)
        repeated = known in heard
        if not repeated:
            self.heard[user] = [*heard, known][-NOTICES_KEPT:]

        def fresh(since: datetime) -> bool:
            return command.happened_at is None or command.happened_at >= since

        ends = (
            not repeated
            and isinstance(state, AwaitingAnswer)
            and state.number == command.number
            and state.operator == command.operator
            and fresh(state.asked_at)
        )
        bears = (
            not repeated
            and identified is not None
            and identified.number == command.number
            and (identified.operator or command.serving) == command.operator
            and fresh(identified.asked_at or identified.proven_at)
        )
        self.give(user, command)
        after = self.kept[user].state
        if ends:
            self.insist("I4", not isinstance(after, AwaitingAnswer), "an attempt outlived a notice")
        if bears:
            due_anew = standing_identification(after)
            self.insist(
                "I4", isinstance(due_anew, ReidentificationDue), "a fresh notice led to nothing"
            )
            if not command.kind.keeps_gate_open:
                open_now = gate(self.kept[user], self.now).open
                self.insist("I4", not open_now, "a grave notice left the gate open")
        if not ends and not bears:
            self.insist("I4", _unleased(after) == _unleased(state), "a stale notice did something")

    def settled(self, user: str) -> Any:
        """The state once everything before now is settled, and nothing else."""
        tick = ask.Tick(at=self.now, settled=self.now - MICROSECOND)
        return decide(self.kept[user], tick, self.terrain).aggregate.state

    # --- effects -----------------------------------------------------------------------

    @rule(user=users, well=st.booleans())
    def report(self, user: str, well: bool) -> None:
        """The outcome of one effect that is owed, whether its turn has come or not."""
        kept = self.kept[user]
        state = kept.state
        if isinstance(state, ProvingPossession) and state.code is not None:
            if well:
                sent = ask.ReportSent(
                    at=self.now, claim=state.claim, issue=state.code.issue, opaque=b"o"
                )
                self.give(user, sent)
            else:
                self.fail(user, EffectKind.SEND_CODE, f"{state.claim}.{state.code.issue}")
        if isinstance(state, AwaitingAnswer) and not well:
            self.fail(user, EffectKind.ASK_OPERATOR, state.query_id)
        for debt in kept.debts:
            if well:
                done = ask.ReportAcknowledged(
                    at=self.now, kind=debt.kind, operator=debt.operator, code=debt.code
                )
                self.give(user, done)
            else:
                self.fail(user, debt.kind, debt.id)

    def fail(self, user: str, kind: EffectKind, name: str) -> None:
        self.give(user, ask.ReportFailed(at=self.now, kind=kind, id=name, cause="UNAVAILABLE"))

    # --- time --------------------------------------------------------------------------

    def move_to(self, at: datetime) -> None:
        self.now = at
        self.latest = max(self.latest, at)

    @rule(
        by=st.sampled_from(
            [
                *[MICROSECOND, timedelta(seconds=61), timedelta(seconds=61), 5 * MINUTE],
                *[5 * MINUTE, ANSWER_TIME, HOUR, 13 * HOUR, 25 * HOUR, -MICROSECOND, -10 * MINUTE],
            ]
        )
    )
    def pass_time(self, by: timedelta) -> None:
        """Mostly forward; a clock that steps back is set, not running."""
        self.move_to(self.now + by)

    @rule(user=users, pick=picks, beyond=st.sampled_from([-MICROSECOND, timedelta(), MICROSECOND]))
    def to_a_deadline(self, user: str, pick: int, beyond: timedelta) -> None:
        """Any that is written in a record, to the microsecond; mostly something looks then."""
        deadlines = sorted(deadlines_in(self.kept[user]))
        if deadlines:
            self.move_to(deadlines[-1 - pick % len(deadlines)] + beyond)
            if pick % 4:
                self.tick(timedelta())

    @rule(lag=st.sampled_from([timedelta(), timedelta(), timedelta(seconds=1)]))
    def tick(self, lag: timedelta) -> None:
        for user in USERS:
            self.give(user, ask.Tick(at=self.now, settled=self.now - lag))

    # --- what is always so -------------------------------------------------------------

    def check_i1(self) -> None:
        for user in USERS:
            expected = self.holds[user] is not None
            end = self.open_until.get(user)
            expected = expected and (end is None or self.now <= end)
            assert gate(self.kept[user], self.now).open is expected, "the gate is wrong"

    def check_i3(self) -> None:
        held = [self.held(user) for user in USERS]
        for user in USERS:
            identified = identified_in(standing_identification(self.kept[user].state))
            number = None if identified is None else identified.number
            assert number == self.held(user)
        for number in NUMBERS:
            assert held.count(number) <= 1, "two users hold one number"

    def check_i6(self) -> None:
        for user in USERS:
            for number in NUMBERS:
                self.compare_failures(user, number)

    def compare_failures(self, user: str, number: SubscriberNumber) -> None:
        if self.focus not in ("", "I6"):
            return
        counted = dict(self.kept[user].failures).get(tag(number), ())
        # What was out of the day once may be dropped, even if the clock then steps back.
        alive = [each for each in self.failed[user, number] if self.latest - each < DAY]
        assert sum(self.latest - each < DAY for each in counted) == len(alive)

    def check_i7(self) -> None:
        for user in USERS:
            replayed = BLANK
            for body in self.journal[user]:
                for event in decode_entry(body).events:
                    replayed = evolve(replayed, event)
            assert replayed == self.kept[user], "the journal does not give the record"

    def check_i10(self) -> None:
        for user in USERS:
            wake = wakes_at(self.kept[user])
            for deadline in deadlines_in(self.kept[user]):
                assert wake is not None
                assert wake <= deadline

    def check_invariants(self, settings: Any, output: Any, runtimes: Any) -> None:
        """Look after every step, at the invariant in focus or at all."""
        super().check_invariants(settings, output, runtimes)
        if not hasattr(self, "kept"):
            return
        for name in ("I1", "I3", "I6", "I7", "I10"):
            if self.focus in ("", name):
                getattr(self, f"check_{name.lower()}")()


def _in_force(each: Any, operator: str, at: datetime) -> bool:
    return each.operator == operator and each.starts <= at and (not each.ends or at < each.ends)


def deadlines_in(aggregate: Aggregate) -> list[datetime]:
    """Every deadline that is written anywhere in a record, whatever it belongs to."""
    found: list[datetime] = []
    for part in parts_of((aggregate.state, aggregate.debts)):
        if isinstance(part, NotPassed):
            continue  # its `due` is over
        for name in field_names(part):
            value = getattr(part, name)
            if name in DEADLINES and isinstance(value, datetime):
                found.append(value)
    return found


def _unleased(state: Any) -> Any:
    """A state without the count of tries, which goes on by itself."""
    if isinstance(state, AwaitingAnswer):
        return replace(state, asking=None)
    if isinstance(state, ProvingPossession) and state.code is not None:
        return replace(state, code=replace(state.code, sending=None))
    return state

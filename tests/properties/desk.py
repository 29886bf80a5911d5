"""A real desk, crashed between any two steps and started again on the same store."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import hypothesis.strategies as st
from attrs import define, field
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from abonent import (
    LateAnswer,
    MemoryStorage,
    Notice,
    NoticeKind,
    Operator,
    Outcome,
    SubscriberNumber,
)
from abonent.errors import AbonentError, Contended, NoAgreement, Unavailable
from abonent.operator import DeskPolicy, Holding, Movement, OperatorDesk
from abonent.operator.core.owed import deadline_of, wakes_at
from abonent.operator.core.states import (
    Answered,
    AnswerOwed,
    Asked,
    Lapsed,
    NoticeOwed,
    Recorded,
    State,
    Told,
    Withdrawn,
)
from abonent.ports import GatewayFeatures, Query, RecordEntry, Storage, WithdrawEntry
from abonent.simulation import SimulatedClock
from tests.properties.parts import KEYS, N1, N2, ROOT, START, agreement, parts_of
from tests.properties.service import Crash, Heard, Mortal, Plan

NUMBERS = (N1, N2)
MESSENGERS = ("messenger-m", "messenger-n", "messenger-over", "messenger-strange")
COVERED = (
    agreement("mts", messenger="messenger-m", name="with-m"),
    agreement("mts", messenger="messenger-n", name="with-n"),
    agreement("mts", messenger="messenger-over", name="with-o", ends=START + timedelta(hours=6)),
)
POLICY = DeskPolicy(base_lag=timedelta(days=30))
DAY = timedelta(days=1)
QUARANTINE = timedelta(days=31)
LAG = timedelta(hours=1)
AWAY = Unavailable("away")
messengers = st.sampled_from(MESSENGERS)
numbers = st.sampled_from(NUMBERS)
picks = st.integers(0, 31)
PLACES = (
    "before commit",
    "after commit",
    "before look-up",
    "after look-up",
    "before notice",
    "after notice",
    "before answer",
    "after answer",
)


@define
class Subscription:
    """One subscription of a number, as it really is."""

    since: datetime
    ended: datetime | None = None
    kind: NoticeKind = NoticeKind.TERMINATED
    told: bool = False
    lags: bool = False


@define
class Filed:
    """A code that a messenger handed in, and what it was told to be held before.

    `unsure`: the process died while it was withdrawn. `vague`: it is not known from here which of
    several subscriptions it was told of.
    """

    messenger: str
    number: SubscriberNumber
    hold: Subscription | None
    acknowledged: bool = False
    withdrawn: bool = False
    unsure: bool = False
    vague: bool = False
    notices: set[str] = field(factory=set)


@define
class Question:
    """A question, what was said to it, and how many subscriptions there were when it came."""

    query: Query
    began: int
    alive: bool
    said: list[Outcome] = field(factory=list)


class Duty(RuleBasedStateMachine):
    """Two numbers, four messengers, one operator, and processes that come and go."""

    focus = ""

    def open_store(self) -> Storage:
        return MemoryStorage()

    def stored_bytes(self) -> bytes:
        """All that lies in the store, as it lies there."""
        assert isinstance(self.store.inner, MemoryStorage)
        parts = (each for each in parts_of(self.store.inner._spaces) if isinstance(each, bytes))
        return b"\xff".join(parts)

    @initialize(says_since=st.booleans())
    def begin(self, says_since: bool) -> None:
        self.says_since = says_since
        self.plan = Plan()
        self.store = Mortal(self.open_store(), self.plan)
        self.clock = SimulatedClock(START)
        self.features = GatewayFeatures(prompt=True)
        self.lines = {each: [Subscription(since=START - DAY)] for each in NUMBERS}
        self.filed: dict[str, Filed] = {}
        self.questions: dict[tuple[str, str], Question] = {}
        self.may: dict[tuple[str, SubscriberNumber], set[int]] = {}
        self.surely_held: set[tuple[str, SubscriberNumber]] = set()
        self.faults: dict[str, int] = {}
        self.base_fails = 0
        self.refusals: set[str] = set()
        self.said: list[str] = []
        self.wrong: list[str] = []
        self.names = 0
        self.log = Heard()
        logging.getLogger("abonent").addHandler(self.log)
        self.start()

    def teardown(self) -> None:
        if not hasattr(self, "log"):
            return
        try:
            self.settle_everything()
            self.check_at_the_end()
        finally:
            logging.getLogger("abonent").removeHandler(self.log)
            self.kill()
            self.store.inner.close()

    def checks(self, *invariants: str) -> bool:
        return self.focus in ("", *invariants)

    def fresh(self, kind: str) -> str:
        self.names += 1
        return f"{kind}-{self.names}"

    def insist(self, right: bool, invariant: str, wrong: str) -> None:
        """Note what is wrong: raised inside an adapter, it would be taken for the adapter's."""
        if not right and self.checks(invariant):
            self.wrong.append(f"{invariant}: {wrong}")

    def check_invariants(self, settings: Any, output: Any, runtimes: Any) -> None:
        super().check_invariants(settings, output, runtimes)
        assert getattr(self, "wrong", []) == []

    # --- processes ---------------------------------------------------------------------

    def start(self) -> None:
        self.alarms: list[Any] = []
        self.desk = OperatorDesk(
            operator=Operator(id="mts"),
            storage=self.store,
            keys=KEYS,
            base=self,
            carrier=self,
            agreements=COVERED,
            policy=POLICY,
            clock=self.clock,
            alarm=self.alarms.append,
            unsafe_test_doubles=True,
        )

    def kill(self) -> None:
        self.desk._commits._closed = True

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call, and note what is said. Returns the answer, an error, or a crash."""
        try:
            answer = function(*arguments)
        except AbonentError as error:
            if isinstance(error, Contended):
                raise  # one writer alone cannot lose to others
            self.said.append(f"{error} {error!r} {vars(error)}")
            return error
        except Crash as crash:
            self.kill()
            self.start()
            return crash
        self.said.append(repr(answer))
        return answer

    def rows(self) -> list[State]:
        return [each.state for each in self.desk._books.pages()]

    # --- the adapters --------------------------------------------------------------------

    def holds(self, number: SubscriberNumber) -> Holding:
        self.plan.visit("before look-up")
        if self.base_fails:
            self.base_fails -= 1
            raise AWAY
        current = self.lines[number][-1]
        since = current.since if current.ended is None else current.ended
        outcome = Outcome.HELD
        if current.lags and current.ended is not None and self.clock.now() < current.ended + LAG:
            since = current.since
        elif current.ended is not None:
            ported = current.kind is NoticeKind.PORTED
            outcome = Outcome.NOT_OURS if ported else Outcome.NOT_HELD
        self.plan.visit("after look-up")
        return Holding(outcome=outcome, since=since if self.says_since else None)

    def reach(self, messenger: str) -> None:
        if self.faults.get(messenger):
            self.faults[messenger] -= 1
            raise AWAY

    def deliver(self, messenger: str, notice: Notice) -> None:
        self.plan.visit("before notice")
        self.reach(messenger)
        owing = [
            each
            for each in self.rows()
            if isinstance(each, NoticeOwed) and each.notice_id == notice.id
        ]
        self.insist(len(owing) == 1, "O7", "a notice is given though it is not owed")
        for each in owing:
            right = (messenger, notice.number) == (each.messenger, each.number)
            self.insist(right, "O1", "a notice goes to another, or about another number")
            filed = self.filed[each.code]
            filed.notices.add(notice.id)
            self.insist(len(filed.notices) == 1, "O1", "two notices of one record")
            self.insist(notice.happened_at is not None, "O1", "a notice does not say when")
            over = filed.vague or filed.hold is None or filed.hold.ended is not None
            self.insist(over, "O1", "a subscription that stands was told to be over")
            asked = [
                each.query.asked_at
                for each in self.questions.values()
                if (each.query.messenger, each.query.number) == (messenger, notice.number)
                and Outcome.HELD in each.said
            ]
            if filed.hold is not None and len(asked) == 1:
                fresh = notice.happened_at is not None and notice.happened_at >= asked[0]
                self.insist(fresh, "O1", "a notice is stale to its messenger")
            self.insist(not filed.withdrawn, "O3", "a withdrawn code was told about")
        self.plan.visit("after notice")

    def deliver_answer(self, messenger: str, answer: LateAnswer) -> None:
        self.plan.visit("before answer")
        self.reach(messenger)
        question = self.questions[messenger, answer.query_id]
        owing = [
            each
            for each in self.rows()
            if isinstance(each, AnswerOwed) and each.query_id == answer.query_id
        ]
        in_time = any(self.clock.now() <= each.due for each in owing)
        self.insist(in_time, "O4", "an answer is given too late, or though it is not owed")
        self.judge(question, answer.outcome, in_reply=False)
        self.plan.visit("after answer")

    # --- messengers ------------------------------------------------------------------------

    @rule(messenger=messengers, number=numbers, again=st.booleans())
    def ask(self, messenger: str, number: SubscriberNumber, again: bool) -> None:
        older = [each for each in self.questions.values() if each.query.messenger == messenger]
        is_new = not (again and older)
        if not is_new:
            question = older[-1]
        else:
            now = self.clock.now()
            query = Query(
                id=self.fresh("query"), messenger=messenger, number=number, asked_at=now, due=now
            )
            line = self.lines[number]
            question = Question(query, len(line) - 1, line[-1].ended is None)
            self.questions[messenger, query.id] = question
        answer = self.try_as(messenger, self.desk.ask, question.query)
        if isinstance(answer, Crash):
            self.may_be(question, self.present(question.query.number))
        elif not isinstance(answer, BaseException):
            self.judge(question, answer.outcome, in_reply=is_new)

    def present(self, number: SubscriberNumber) -> set[int]:
        return {len(self.lines[number]) - 1}

    def may_be(self, question: Question, subscriptions: set[int]) -> None:
        key = (question.query.messenger, question.query.number)
        self.may[key] = self.may.get(key, set()) | subscriptions

    def judge(self, question: Question, outcome: Outcome, *, in_reply: bool) -> None:
        """Note what was said to a question: never two things, and HELD of what stood only."""
        is_new = outcome not in question.said
        question.said.append(outcome)
        spoken = {each for each in question.said if each is not Outcome.LATER}
        self.insist(len(spoken) <= 1, "O4", "one question has two answers")
        if outcome is not Outcome.HELD or not is_new:
            return
        number = question.query.number
        key, last = (question.query.messenger, number), self.lines[number][-1]
        self.surely_held.add(key)
        if in_reply:
            self.may[key] = self.present(number)
            right = last.ended is None or (last.lags and not last.told)
            self.insist(right, "O5", "HELD was said of what was known to be over")
        else:
            span = range(question.began, len(self.lines[number]))
            self.may_be(question, set(span))
            right = question.alive or len(span) > 1 or last.lags
            self.insist(right, "O5", "HELD was said of what was over before the question")

    @rule(messenger=messengers, number=numbers)
    def record(self, messenger: str, number: SubscriberNumber) -> None:
        self.hand_in(self.fresh("code"), messenger, number)

    def hand_in(self, code: str, messenger: str, number: SubscriberNumber) -> None:
        filed = self.filed.setdefault(code, Filed(messenger, number, None))
        entry = RecordEntry(
            id=f"{code}.record", messenger=messenger, number=filed.number, code=code
        )
        if not filed.acknowledged and not filed.withdrawn:
            before = filed.hold, filed.vague
            self.note_hold(filed)
            filed.vague = filed.vague or before not in ((None, False), (filed.hold, filed.vague))
        answer = self.try_as(messenger, self.desk.record, entry)
        filed.acknowledged = filed.acknowledged or answer is None

    def note_hold(self, filed: Filed) -> None:
        """Note which subscription the messenger was last told of, as far as it shows from here."""
        key = (filed.messenger, filed.number)
        line = self.lines[filed.number]
        may = set(self.may.get(key, ()))
        for question in self.questions.values():
            settled = any(each is not Outcome.LATER for each in question.said)
            if (question.query.messenger, question.query.number) == key and not settled:
                may |= set(range(question.began, len(line)))
        said = key in self.surely_held
        filed.hold = line[may.pop()] if said and len(may) == 1 else None
        filed.vague = filed.hold is None

    @rule(messenger=messengers, number=numbers)
    def identify(self, messenger: str, number: SubscriberNumber) -> None:
        self.ask(messenger, number, again=False)
        last = list(self.questions.values())[-1]
        if last.said[-1:] == [Outcome.HELD]:
            self.hand_in(self.fresh("code"), messenger, number)

    @precondition(lambda self: self.filed)
    @rule(pick=picks)
    def record_again(self, pick: int) -> None:
        code, filed = list(self.filed.items())[-1 - pick % len(self.filed)]
        self.hand_in(code, filed.messenger, filed.number)

    @precondition(lambda self: self.filed)
    @rule(pick=picks)
    def withdraw(self, pick: int) -> None:
        code, filed = list(self.filed.items())[-1 - pick % len(self.filed)]
        entry = WithdrawEntry(id=f"{code}.withdraw", messenger=filed.messenger, code=code)
        self.taken_back(filed, self.try_as(filed.messenger, self.desk.withdraw, entry))

    def taken_back(self, filed: Filed, answer: Any) -> None:
        filed.withdrawn = filed.withdrawn or answer is None
        filed.unsure = filed.unsure or isinstance(answer, Crash)

    @rule(messenger=messengers, number=numbers)
    def withdraw_first(self, messenger: str, number: SubscriberNumber) -> None:
        """A withdrawal that overtakes its record."""
        code = self.fresh("code")
        entry = WithdrawEntry(id=f"{code}.withdraw", messenger=messenger, code=code)
        answer = self.try_as(messenger, self.desk.withdraw, entry)
        self.filed[code] = Filed(messenger, number, None)
        self.taken_back(self.filed[code], answer)

    def try_as(self, messenger: str, function: Callable[..., Any], item: Any) -> Any:
        """Call as a messenger; who has no agreement hears one thing, and nothing is done."""
        now = self.clock.now()
        covered = any(each.messenger == messenger and each.in_force(now) for each in COVERED)
        had_one = any(each.messenger == messenger for each in COVERED)
        if covered or (function == self.desk.withdraw and had_one):
            return self.call(function, item)
        before = self.store.inner.journal(self.desk._books.space, 0, 100_000)
        answer = self.call(function, item)
        if self.checks("O2"):
            assert isinstance(answer, NoAgreement), "O2: served without an agreement"
            self.refusals.add(f"{answer} {answer!r} {sorted(vars(answer).items())}")
            assert len(self.refusals) == 1, "O2: two refusals differ"
            after = self.store.inner.journal(self.desk._books.space, 0, 100_000)
            assert before == after, "O2: a refusal left a trace"
        return answer

    # --- subscribers -----------------------------------------------------------------------

    @rule(
        number=numbers,
        kind=st.sampled_from(NoticeKind),
        tell=st.sampled_from([True, True, False]),
        lags=st.booleans(),
    )
    def end(self, number: SubscriberNumber, kind: NoticeKind, tell: bool, lags: bool) -> None:
        current, now = self.lines[number][-1], self.clock.now()
        if current.ended is not None or now <= current.since:
            return
        current.ended, current.kind, current.lags = now, kind, lags and self.says_since
        if tell:
            self.tell(number, 0)

    @rule(messenger=messengers, number=numbers)
    def end_unseen(self, messenger: str, number: SubscriberNumber) -> None:
        """A subscription ends, nobody told us, and the base has not heard of it when asked."""
        self.end(number, NoticeKind.TERMINATED, tell=False, lags=True)
        self.clock.advance(1)
        self.identify(messenger, number)

    @rule(messenger=messengers, number=numbers)
    def pass_on(self, messenger: str, number: SubscriberNumber) -> None:
        """A number goes to the next subscriber, who is identified before the end is told."""
        self.end(number, NoticeKind.REASSIGNED, tell=False, lags=False)
        self.clock.advance(1)
        self.subscribe(number)
        self.identify(messenger, number)

    @rule(number=numbers, pick=picks)
    def tell(self, number: SubscriberNumber, pick: int) -> None:
        """The operator's systems tell of an end, soon or late, once or twice."""
        ends = [each for each in self.lines[number] if each.ended is not None]
        if not ends:
            return
        place = len(ends) - 1 - pick % len(ends)
        each = ends[place]
        movement = Movement(
            id=f"{number.e164[-2:]} {place}",
            number=number,
            kind=each.kind,
            happened_at=each.ended or START,
        )
        if isinstance(self.call(self.desk.subscription_moved, movement), int):
            each.told = True

    @rule(number=numbers)
    def subscribe(self, number: SubscriberNumber) -> None:
        """Somebody else gets the number; after a while, where the base does not say since when."""
        former = self.lines[number][-1]
        if former.ended is None:
            return
        now = self.clock.now()
        rests = timedelta(0) if self.says_since else QUARANTINE
        if now >= former.ended + rests and not (former.lags and now < former.ended + LAG):
            self.lines[number].append(Subscription(since=now))

    # --- time, faults and death --------------------------------------------------------------

    @rule(messenger=messengers, times=st.integers(1, 4))
    def fail(self, messenger: str, times: int) -> None:
        self.faults[messenger] = self.faults.get(messenger, 0) + times

    @rule(times=st.integers(1, 4))
    def fail_base(self, times: int) -> None:
        self.base_fails += times

    @rule(
        seconds=st.sampled_from([1, 7, 31, 61, 601, 1201, 43_200, 86_401, 2_700_000, -5]),
        sweep=st.booleans(),
    )
    def pass_time(self, seconds: int, sweep: bool) -> None:
        self.clock.advance(float(seconds))
        if sweep:
            self.sweep()

    @rule()
    def sweep(self) -> None:
        self.call(self.desk.sweep)

    @rule()
    def look(self) -> None:
        self.call(self.desk.owed_notices)
        self.call(self.desk.overdue)
        for messenger in MESSENGERS:
            self.call(lambda own=messenger: list(self.desk.records(own)))

    @rule(place=st.sampled_from(PLACES), visits=st.sampled_from([0, 0, 0, 1, 2]))
    def die(self, place: str, visits: int) -> None:
        self.plan.place, self.plan.left = place, visits

    # --- what holds at the end -----------------------------------------------------------------

    def settle_everything(self) -> None:
        """The world is kind at last: nobody dies, everybody answers, all is told, time goes on."""
        self.plan.place = ""
        self.faults.clear()
        self.base_fails = 0
        for number in NUMBERS:
            for place in range(len(self.lines[number])):
                self.tell(number, place)
        self.clock.advance(600)  # what a failed commit had claimed comes again
        for _ in range(3):
            self.call(self.desk.sweep)
            self.clock.advance(600)
        self.clock.advance(1201)
        self.call(self.desk.sweep)

    def check_at_the_end(self) -> None:
        rows = self.rows()
        assert self.wrong == []
        if self.checks("O1"):
            self.check_told(rows)
        if self.checks("O3"):
            standing = {each.code for each in rows if isinstance(each, Recorded | NoticeOwed)}
            withdrawn = {code for code, filed in self.filed.items() if filed.withdrawn}
            assert not standing & withdrawn, "O3: a withdrawn code stands"
        if self.checks("O4"):
            assert not [each for each in rows if isinstance(each, Asked | AnswerOwed)], "O4"
            settled = sum(isinstance(each, Answered | Lapsed) for each in rows)
            kept_from = self.clock.now() - POLICY.kept
            promised = [
                each
                for each in self.questions.values()
                if Outcome.LATER in each.said and each.query.asked_at > kept_from
            ]
            assert settled >= len(promised), "O4: a promised answer is neither given nor lapsed"
        if self.checks("O6"):
            report = self.desk.replay()
            assert report.ok, "O6: the journal does not give what is stored"
            assert report.records == len(rows)
        if self.checks("O8"):
            self.check_nothing_shown()
        if self.checks("O9"):
            self.check_wakes(rows)

    def check_told(self, rows: list[State]) -> None:
        assert self.desk.owed_notices() == [], "O1: somebody who answers was not told"
        standing = {each.code: each for each in rows if isinstance(each, Recorded)}
        for code, filed in self.filed.items():
            if not filed.acknowledged or filed.withdrawn or filed.unsure:
                continue
            if filed.vague or filed.hold is None:
                continue
            if filed.hold.ended is not None:
                assert filed.notices, "O1: a recorded messenger was not told"
            else:
                assert code in standing, "O1: a record of what stands is gone"
        closed = sum(isinstance(each, Told) for each in rows)
        told = [each for each in self.filed.values() if each.notices]
        assert (
            len(told) - sum(each.withdrawn or each.unsure for each in told) <= closed <= len(told)
        )

    def check_nothing_shown(self) -> None:
        told = "\n".join((*self.said, *self.log.lines, repr(self.desk), repr(self.alarms)))
        for number in NUMBERS:
            digits = number.e164[2:]
            assert digits not in re.sub(r"[ ()-]", "", told), "O8: a number was shown"
        stored = self.stored_bytes()
        secrets = [number.e164[2:].encode() for number in NUMBERS]
        secrets += [int(number.e164[1:]).to_bytes(8, "big") for number in NUMBERS]
        secrets += [*(each.encode() for each in (*self.filed, *MESSENGERS)), ROOT]
        for secret in secrets:
            assert secret not in stored, "O8: something is stored in the clear"

    def check_wakes(self, rows: list[State]) -> None:
        settled = self.clock.now() - POLICY.settle_after
        for each in rows:
            wake, deadline = wakes_at(each), deadline_of(each)
            assert wake is None or deadline is None or wake <= deadline, "O9: a late wake"
            assert wake is None or wake > settled, "O9: a sweep left something due"
            assert isinstance(each, Told | Withdrawn | Recorded) <= (wake is None)

"""A real identifier, crashed between any two steps and started again on the same store."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from abonent import (
    LateAnswer,
    MemoryStorage,
    MessengerKind,
    Notice,
    NoticeKind,
    Outcome,
    Policy,
    SubscriberNumber,
)
from abonent.core.owed import gate
from abonent.core.policy import DAY
from abonent.core.states import (
    Aggregate,
    AwaitingAnswer,
    EffectKind,
    ProvingPossession,
    identified_in,
    standing_identification,
)
from abonent.errors import AbonentError, Contended
from abonent.ports import (
    Answer,
    CodeMessage,
    Entry,
    Query,
    RecordEntry,
    Storage,
    Unit,
    WithdrawEntry,
)
from abonent.simulation import (
    Reply,
    SimulatedClock,
    SimulatedOperator,
    SimulatedRouter,
    SimulatedSender,
)
from tests.properties.parts import (
    ANSWER_TIME,
    KEYS,
    N1,
    N2,
    ROOT,
    START,
    M,
    N,
    World,
    agreement,
    other_than,
    parts_of,
)

USERS = ("alice-4711", "boris-0815")
NUMBERS = (N1, N2)
SPELLED = {N1: ("8 (916) 123-45-67", "+79161234567"), N2: ("tel:+7-903-555-77-88", "89035557788")}
POLICY = Policy(
    failures_per_day=4,
    tries_per_code=3,
    sends_per_user=30,
    sends_per_number=60,
    resend_after=timedelta(seconds=1),
)
users = st.sampled_from(USERS)
numbers = st.sampled_from(NUMBERS)
picks = st.integers(0, 31)


class Crash(BaseException):
    """The process dies here."""


class Plan:
    """Where the process dies next: a place, and how many visits before."""

    def __init__(self) -> None:
        self.place = ""
        self.left = 0

    def visit(self, place: str) -> None:
        if place != self.place:
            return
        if self.left == 0:
            self.place = ""
            raise Crash(place)
        self.left -= 1


PLACES = (
    "before commit",
    "after commit",
    "before ask",
    "after ask",
    "before record",
    "after record",
    "before withdraw",
    "after withdraw",
    "before send",
    "after send",
)


class Mortal:
    """A store that outlives the process, which may die around a commit."""

    def __init__(self, inner: Storage, plan: Plan) -> None:
        self.inner = inner
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def commit(self, units: list[Unit]) -> list[bool]:
        self._plan.visit("before commit")
        applied = self.inner.commit(units)
        self._plan.visit("after commit")
        return applied

    def close(self) -> None:
        """The process ends; the store does not."""


Performed = Callable[[EffectKind, str], None]


class MortalOperator(SimulatedOperator):
    def __init__(self, name: str, plan: Plan, performed: Performed) -> None:
        super().__init__(name)
        self._plan = plan
        self._performed = performed

    def ask(self, query: Query) -> Answer:
        self._plan.visit("before ask")
        self._performed(EffectKind.ASK_OPERATOR, query.id)
        answer = super().ask(query)
        self._plan.visit("after ask")
        return answer

    def record(self, entry: RecordEntry) -> None:
        self._plan.visit("before record")
        self._performed(EffectKind.RECORD, entry.id)
        super().record(entry)
        self._plan.visit("after record")

    def withdraw(self, entry: WithdrawEntry) -> None:
        self._plan.visit("before withdraw")
        self._performed(EffectKind.WITHDRAW, entry.id)
        super().withdraw(entry)
        self._plan.visit("after withdraw")


class MortalSender(SimulatedSender):
    def __init__(self, plan: Plan, performed: Performed) -> None:
        super().__init__()
        self._plan = plan
        self._performed = performed

    def send(self, message: CodeMessage) -> None:
        self._plan.visit("before send")
        self._performed(EffectKind.SEND_CODE, message.id)
        super().send(message)
        self._plan.visit("after send")


class Heard(logging.Handler):
    """Everything that was logged, as text."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {vars(record)}")


class Service(RuleBasedStateMachine):
    """Two users, two numbers, two operators, one store, and processes that come and go."""

    focus = ""
    keys = KEYS

    def open_store(self) -> Storage:
        return MemoryStorage()

    def stored_bytes(self) -> bytes:
        """All that lies in the store, as it lies there."""
        assert isinstance(self.store.inner, MemoryStorage)
        parts = (each for each in parts_of(self.store.inner._spaces) if isinstance(each, bytes))
        return b"\xff".join(parts)

    @initialize(kind=st.sampled_from(MessengerKind), ask_too=st.booleans())
    def begin(self, kind: MessengerKind, ask_too: bool) -> None:
        self.kind = kind
        self.plan = Plan()
        self.store = Mortal(self.open_store(), self.plan)
        self.clock = SimulatedClock(START)
        self.latest = START
        self.operators = {each: MortalOperator(each, self.plan, self.performing) for each in (M, N)}
        self.sender = MortalSender(self.plan, self.performing)
        self.router = SimulatedRouter(M)
        self.router.port(N2, N)
        self.policy = Policy(
            **{
                name: getattr(POLICY, name)
                for name in (
                    "failures_per_day",
                    "tries_per_code",
                    "sends_per_user",
                    "sends_per_number",
                    "resend_after",
                )
            },
            ask_operator_too=ask_too,
        )
        self.wrong: list[str] = []
        self.failed: dict[tuple[str, SubscriberNumber], list[Any]] = {}
        self.unsure: dict[tuple[str, SubscriberNumber], int] = {}
        self.read: list[Entry] = []
        self.said: list[str] = []
        self.notices = 0
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

    # --- processes ---------------------------------------------------------------------

    def start(self) -> None:
        self.world = World(
            self.store,
            keys=self.keys,
            kind=self.kind,
            policy=self.policy,
            clock=self.clock,
            sender=self.sender,
            operators=self.operators,
            router=self.router,
            agreements=[agreement(M), agreement(N)],
        )
        self.identifier = self.world.identifier
        # Without its own thread a posted outcome rides with the next call: each run is repeatable.
        commits = self.identifier._loop.commits
        commits.post = commits._queue.append

    def kill(self) -> None:
        """Leave no thread and no posted outcome of this process."""
        commits = self.identifier._loop.commits
        commits._queue.clear()
        commits._closed = True

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call, and note what is said. Returns the answer, an error, or a crash."""
        try:
            answer = function(*arguments, **named)
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

    # --- what may be performed ---------------------------------------------------------

    def performing(self, kind: EffectKind, name: str) -> None:
        if self.focus in ("", "I8"):
            owed = {each for kept in self.world.rows() for each in _owed(kept)}
            if (kind, name) not in owed:  # the engine would take what is raised here for a fault
                self.wrong.append(f"I8: {kind.value} is performed though it is not owed")

    # --- users -------------------------------------------------------------------------

    @rule(user=users, number=numbers, way=picks)
    def claim(self, user: str, number: SubscriberNumber, way: int) -> None:
        spelled = SPELLED[number]
        self.call(self.identifier.claim, user, spelled[way % len(spelled)])

    @rule(user=users, right=st.sampled_from([True, True, False]))
    def prove(self, user: str, right: bool) -> None:
        kept = self.world.kept(user)
        state = None if kept is None else kept.state
        digits = "000000"
        if isinstance(state, ProvingPossession) and state.code is not None:
            digits = self.world.keyring.one_time_code(
                claim=state.claim,
                number=state.number,
                issue=state.code.issue,
                key_id=state.code.key_id,
                digits=6,
            ).digits
            if not right:
                digits = other_than(digits)
            right = right and self.clock.now() <= state.code.expires_at
        else:
            right = False
        answer = self.call(self.identifier.prove, user, digits)
        if right or not isinstance(state, ProvingPossession):
            return
        whose = (user, state.number)
        if isinstance(answer, Crash):
            self.unsure[whose] = self.unsure.get(whose, 0) + 1
        elif not isinstance(answer, AbonentError):
            self.failed.setdefault(whose, []).append(self.clock.now())

    @rule(user=users, number=numbers)
    def identify(self, user: str, number: SubscriberNumber) -> None:
        self.claim(user, number, 0)
        self.prove(user, right=True)

    @rule(user=users)
    def look(self, user: str) -> None:
        self.call(self.identifier.standing, user)
        self.call(self.identifier.gate, user)
        self.call(self.identifier.history, user)
        self.call(self.identifier.changes)

    @rule(user=users)
    def forget(self, user: str) -> None:
        self.call(self.identifier.forget, user)

    # --- operators ---------------------------------------------------------------------

    @rule(
        operator=st.sampled_from([M, N]),
        replies=st.lists(st.sampled_from(Reply), min_size=1, max_size=3),
    )
    def tell(self, operator: str, replies: list[Reply]) -> None:
        """What an operator does with the next questions."""
        self.operators[operator].script(*replies)

    @rule(
        operator=st.sampled_from([M, N]),
        fault=st.sampled_from([Reply.UNAVAILABLE, Reply.MISCONFIGURED]),
        sender=st.booleans(),
    )
    def fail(self, operator: str, fault: Reply, sender: bool) -> None:
        if sender:
            self.sender.fail(fault)
        else:
            self.operators[operator].fail_records(fault)

    @precondition(lambda self: any(each.questions for each in self.operators.values()))
    @rule(pick=picks, outcome=st.sampled_from([Outcome.HELD, Outcome.HELD, *Outcome]))
    def answer_late(self, pick: int, outcome: Outcome) -> None:
        asked = [(each.id, query) for each in self.operators.values() for query in each.questions]
        operator, query = asked[-1 - pick % len(asked)]
        item = LateAnswer(query_id=query.id, operator=operator, outcome=outcome)
        self.call(self.identifier.receive, item)

    @rule(
        number=numbers,
        operator=st.sampled_from([M, N]),
        kind=st.sampled_from(NoticeKind),
        fresh=st.sampled_from([True, True, False]),
    )
    def notice(
        self, number: SubscriberNumber, operator: str, kind: NoticeKind, fresh: bool
    ) -> None:
        self.notices += 1
        happened = None if fresh else START - ANSWER_TIME
        self.call(
            self.identifier.receive,
            Notice(
                id=f"n{self.notices}",
                operator=operator,
                kind=kind,
                number=number,
                happened_at=happened,
            ),
        )

    # --- time and death ----------------------------------------------------------------

    @rule(
        seconds=st.sampled_from([1.0, 7.0, 31.0, 61.0, 300.0, 1200.0, 1201.0, 43200.0, -5.0]),
        sweep=st.booleans(),
    )
    def pass_time(self, seconds: float, sweep: bool) -> None:
        self.latest = max(self.latest, self.clock.advance(seconds))
        if sweep:
            self.sweep()

    @rule()
    def sweep(self) -> None:
        self.call(self.identifier.sweep)

    @rule(place=st.sampled_from(PLACES), visits=st.sampled_from([0, 0, 0, 1, 2]))
    def die(self, place: str, visits: int) -> None:
        self.plan.place, self.plan.left = place, visits

    # --- what is always so -------------------------------------------------------------

    def check_invariants(self, settings: Any, output: Any, runtimes: Any) -> None:
        super().check_invariants(settings, output, runtimes)
        if hasattr(self, "world") and self.focus in ("", "I6"):
            self.check_failures()
        if hasattr(self, "world") and self.focus in ("", "I12"):
            self.check_journal()

    def check_journal(self) -> None:
        """What was read of the journal before is still there, in its place."""
        journal = self.store.inner.journal("m", 0, 100_000)
        assert journal[: len(self.read)] == self.read, "I12: the journal was rewritten"
        self.read = journal

    def check_failures(self) -> None:
        for (user, number), instants in self.failed.items():
            confirmed = sum(self.latest - each < DAY for each in instants)
            counted = self.world.failures(user, number)
            unsure = self.unsure.get((user, number), 0)
            # Nothing that was answered is lost; a crash may have counted one more.
            assert confirmed <= counted, "I6: a failed proof was not counted"
            assert counted <= len(instants) + unsure, "I6: a proof was counted twice"
            assert confirmed <= self.policy.failures_per_day, "I6: the budget was exceeded"

    def settle_everything(self) -> None:
        """The world is kind at last: nobody dies, everybody answers, time goes on."""
        self.plan.place = ""
        for each in self.operators.values():
            each._script.clear()
            each._record_faults.clear()
            each.answer_with(Reply.HELD)
        self.sender._faults.clear()
        for _ in range(12):
            self.clock.advance(360)
            self.call(self.identifier.sweep)
            self.world.flush()
            if not any(kept.debts for kept in self.world.rows()):
                break
        self.world.flush()

    def check_at_the_end(self) -> None:
        if self.focus in ("", "I7"):
            report = self.identifier.replay()
            assert report.ok, f"I7: {report.differing}"
        if self.focus in ("", "I8"):
            assert [] == self.wrong
            self.check_debts()
        if self.focus in ("", "I9"):
            self.check_secrets()
        if self.focus in ("", "I11"):
            self.check_codes()
        if self.focus in ("", "I1"):
            self.check_feed()

    def check_debts(self) -> None:
        """What operators hold is what users are identified by, each asked under one id."""
        identified = [
            found
            for kept in self.world.rows()
            if (found := identified_in(standing_identification(kept.state))) is not None
        ]
        assert not any(kept.debts for kept in self.world.rows()), "I8: something is owed for ever"
        for name, operator in self.operators.items():
            codes = {each.code for each in identified if each.operator == name}
            assert set(operator.recorded) == codes, "I8: operators hold other records than ours"
            for entry in operator.records:
                assert entry.id == f"{entry.code}.record"
            by_question: dict[tuple[Any, ...], set[str]] = {}
            for query in operator.questions:
                by_question.setdefault((query.number, query.asked_at, query.due), set()).add(
                    query.id
                )
            ids = [each.id for each in operator.questions]
            for query in operator.questions:
                same = [each for each in operator.questions if each.id == query.id]
                assert all(each.asked_at == query.asked_at for each in same)
            assert len(set(ids)) >= len(by_question)
        for one in self.sender.messages:
            for other in self.sender.messages:
                if one.id == other.id:
                    assert one.code.digits == other.code.digits, "I8: another code, the same id"

    def check_secrets(self) -> None:
        secret_texts = {each.code.digits for each in self.sender.messages}
        for number in NUMBERS:
            secret_texts |= {number.e164[1:], number.e164[2:]}
        spoken = "\n".join([*self.said, *self.log.lines, repr(self.world.alarms)])
        told = set(re.findall(r"\d+", spoken))
        assert not told & secret_texts, "I9: a number or code was shown"
        assert not any(number.e164[2:] in spoken for number in NUMBERS)
        stored = self.stored_bytes()
        assert stored or not self.sender.messages
        needles = [number.e164[2:].encode() for number in NUMBERS]
        needles += [int(number.e164[1:]).to_bytes(8, "big") for number in NUMBERS]
        needles += [each.code.digits.encode() for each in self.sender.messages]
        needles += [user.encode() for user in USERS]
        needles += [ROOT, ROOT.hex().encode()]
        for needle in needles:
            assert needle not in stored, "I9: something lies in the store in the clear"

    def check_codes(self) -> None:
        given: dict[str, str] = {}
        for operator in self.operators.values():
            for entry in operator.records:
                assert given.setdefault(entry.code, entry.number.e164) == entry.number.e164
                assert len(entry.code) >= 22, "I11: fewer than 128 random bits"

    def check_feed(self) -> None:
        """Who follows the feed knows every gate: the last word said of it still holds."""
        last: dict[str, Any] = {}
        for change in self.identifier.changes(limit=100_000):
            last[change.user_id] = change
        now = self.clock.now()
        for held in self.identifier._feed._rows():
            if held.row.user_id is None:
                continue
            word = last.get(held.row.user_id)
            followed = word is not None and word.open and (word.until is None or now <= word.until)
            assert followed is gate(held.aggregate, now).open, "I1: the feed misses a change"
            assert self.identifier.gate(held.row.user_id) == gate(held.aggregate, now)


def _owed(kept: Aggregate) -> Iterator[tuple[EffectKind, str]]:
    state = kept.state
    if isinstance(state, ProvingPossession) and state.code and state.code.sending:
        yield EffectKind.SEND_CODE, f"{state.claim}.{state.code.issue}"
    if isinstance(state, AwaitingAnswer) and state.asking:
        yield EffectKind.ASK_OPERATOR, state.query_id
    for debt in kept.debts:
        yield debt.kind, debt.id

"""The loop: commit, perform what is owed, feed the outcome back.

Knows the order of things after a decision. Refuses to know threads and event loops: each flow is
a generator that a shell drives, so both shells run the same code.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from attrs import frozen
from msgspec import Struct

from abonent.core.commands import (
    Command,
    GiveAnswer,
    ReportAcknowledged,
    ReportFailed,
    ReportSent,
    Tick,
)
from abonent.core.events import DebtGivenUp, Event, Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import AskOperator, Effect, SendCode, is_owed, send_id
from abonent.core.states import (
    AwaitingAnswer,
    identified_in,
    standing_identification,
)
from abonent.engine.archive import Archive, Held, is_sends_key, micros
from abonent.engine.commits import GroupCommit, Task
from abonent.engine.drafts import Draft
from abonent.engine.effects import (
    AlarmKind,
    Call,
    Flow,
    Lane,
    Performer,
    Read,
    Router,
    Spawn,
    Submit,
    SubmitAll,
)
from abonent.engine.observing import Observed, Telling, cause_of
from abonent.engine.settling import Settler
from abonent.errors import AbonentError, StorageError, UnknownQuery
from abonent.ports import Clock, PossessionClaim, Unrouted
from abonent.sealing import new_id

_CHUNK: Final = 256


@frozen(kw_only=True)
class SweepReport:
    """What a sweep did: records looked at, effects tried, and events by name.

    `failed` records could not be settled, for example because they are damaged or sealed under a
    key that is not there; each is logged, and comes again.
    """

    due: int
    tried: int
    events: Mapping[str, int]
    failed: int = 0


class Done(Struct, frozen=True):
    """The result of a task: the row after it, what is owed now, and what happened."""

    held: Held
    effects: tuple[Effect, ...]
    events: tuple[Event, ...]


log: Final = logging.getLogger("abonent")


class Loop:
    """The loop of one messenger on one store."""

    def __init__(
        self,
        *,
        archive: Archive,
        performer: Performer,
        router: Router | None,
        operators: Iterable[str],
        clock: Clock,
        telling: Telling,
    ) -> None:
        self.archive = archive
        self.keyring = archive.keyring
        self.terrain = archive.terrain
        self.policy = archive.terrain.policy
        self.clock = clock
        self.operators = frozenset(operators)
        within = self.policy.flush_within
        self.commits = GroupCommit(
            Settler(archive, telling).settle,
            linger=None if within is None else within.total_seconds(),
        )
        self.telling = telling
        self._performer = performer
        self._router = router

    # --- effects ---------------------------------------------------------------------

    def perform(self, done: Done) -> Flow[Held]:
        """Perform what a commit owes and return the row as it is known then."""
        self._raise_alarms(done.events)
        held = done.held
        if not done.effects:
            return held
        until = self.clock.now() + self.policy.lease
        # Only the first follows its commit at once: what it leads to may cancel the others (I8).
        lanes = tuple(
            self._performer.lane(
                each, partial(self._carry_out, held.key, each, until), just_owed=place == 0
            )
            for place, each in enumerate(done.effects)
        )
        results: Sequence[Held | None] = yield Spawn(lanes)
        for each in results:
            if each is not None and each.version > held.version:
                held = each
        return held

    def _carry_out(
        self, key: bytes, effect: Effect, until: datetime, at_once: bool
    ) -> Flow[Held | None]:
        """Perform one effect and feed its outcome back."""
        if self.clock.now() >= until:
            return None  # it waited in its lane for longer than its lease; another try will come
        try:
            if not at_once:
                (held,) = yield Read(self.archive.load, ((key,),))
                if held is None or not is_owed(held.aggregate, effect):
                    return None  # it was cancelled while it waited (I8)
            if isinstance(effect, SendCode):
                yield from self._begin(key, effect)
            elif isinstance(effect, AskOperator):
                answer = yield from self._performer.ask(effect)
                return (yield from self._answered(key, effect, answer.outcome, answer.opaque))
            else:
                yield from self._performer.acknowledge(effect)
                self._post(
                    key,
                    ReportAcknowledged(
                        at=self.clock.now(),
                        kind=effect.kind,
                        operator=effect.operator,
                        code=effect.code,
                    ),
                )
        except StorageError:
            return None  # the debt stands and its lease runs out
        except AbonentError as error:
            cause = self._performer.failed(effect, error)
            self._post(
                key,
                ReportFailed(at=self.clock.now(), kind=effect.kind, id=effect.id, cause=cause),
            )
        return None

    def _begin(self, key: bytes, effect: SendCode) -> Flow[None]:
        begun = yield from self._performer.begin(
            self.possession_claim(
                claim=effect.claim,
                issue=effect.issue,
                key_id=effect.key_id,
                number=effect.number,
                locale=effect.locale,
            )
        )
        sent = ReportSent(
            at=self.clock.now(), claim=effect.claim, issue=effect.issue, opaque=begun.opaque
        )
        self._post(key, sent)

    def possession_claim(
        self,
        *,
        claim: str,
        issue: int,
        key_id: str,
        number: SubscriberNumber,
        locale: str,
        opaque: bytes = b"",
    ) -> PossessionClaim:
        """Return what a possession check is given, with the code derived anew."""
        code = self.keyring.one_time_code(
            claim=claim,
            number=number,
            issue=issue,
            key_id=key_id,
            digits=self.policy.code_length,
        )
        return PossessionClaim(
            id=send_id(claim, issue), number=number, code=code, locale=locale, opaque=opaque
        )

    def _answered(
        self, key: bytes, effect: AskOperator, outcome: Outcome, opaque: bytes
    ) -> Flow[Held]:
        received_at = self.clock.now()
        serving = None
        if outcome is Outcome.NOT_OURS:
            serving = yield from self.route(effect.number)
        done: Done = yield Submit(
            (key,),
            partial(
                self.give_answer,
                key=key,
                at=received_at,
                query_id=effect.id,
                operator=effect.operator,
                outcome=outcome,
                opaque=opaque,
                serving=serving,
            ),
        )
        return (yield from self.perform(done))

    def give_answer(
        self,
        draft: Draft,
        *,
        key: bytes,
        at: datetime,
        query_id: str,
        operator: str,
        outcome: Outcome,
        opaque: bytes,
        serving: str | None,
    ) -> Done:
        """Judge an answer; a task."""
        held = draft.row(key)
        if held is None:
            raise UnknownQuery("nothing is held about who this question was about")
        state = held.aggregate.state
        rival = None
        if outcome is Outcome.HELD and isinstance(state, AwaitingAnswer):
            rival = rival_of(draft, held, state.number)
        not_ours = outcome is Outcome.NOT_OURS
        command = GiveAnswer(
            at=at,
            query_id=query_id,
            operator=operator,
            outcome=outcome,
            opaque=opaque,
            serving=serving,
            next_query_id=self.keyring.query_id(key) if not_ours else "",
            code=new_id() if outcome is Outcome.HELD else "",
            rival_proven_at=rival,
        )
        held, step = draft.apply(held, command)
        return Done(held, step.effects, step.events)

    def _post(self, key: bytes, command: Command) -> None:
        """Leave an outcome that nobody waits for to the next flush."""

        def work(draft: Draft) -> None:
            held = draft.row(key)
            if held is not None:
                draft.apply(held, command)

        self.commits.post(Task((key,), work))

    def alarm(self, kind: AlarmKind, adapter: str, cause: str) -> None:
        """Tell a person."""
        self._performer.raise_alarm(kind, adapter, cause)

    def _raise_alarms(self, events: Iterable[Event]) -> None:
        for each in events:
            if type(each) is DebtGivenUp:
                self.alarm(AlarmKind.DEBT_GIVEN_UP, each.operator, each.kind.value)

    # --- routing ---------------------------------------------------------------------

    def route(self, number: SubscriberNumber) -> Flow[str | None]:
        """Return the operator that serves a number, or None if none of ours is known to."""
        if self._router is None:
            return None
        answer = yield Call("router", True, self._router.serving, (number,))
        if isinstance(answer, Unrouted) or answer not in self.operators:
            return None if isinstance(answer, Unrouted) else self._foreign_to_us(answer)
        return str(answer)

    def _foreign_to_us(self, operator: object) -> str | None:
        # A foreign messenger hears NO_AGREEMENT; a domestic one has nobody to ask.
        return str(operator) if self.terrain.needs_agreement else None

    # --- time ------------------------------------------------------------------------

    def sweep(self, limit: int) -> Flow[SweepReport]:
        """Settle what is due and try what is owed, up to `limit` records."""
        if self.commits.waiting:
            yield Submit((), _nothing)  # what was posted comes first
        counted: Counter[str] = Counter()
        due = tried = failed = 0
        lease = self.policy.lease // timedelta(microseconds=1)
        while due < limit:
            now = self.clock.now()
            settled = now - self.policy.settle_after
            wanted = (self.archive.space, micros(settled), min(_CHUNK, limit - due), lease)
            keys: Sequence[bytes] = yield Read(self.archive.storage.due, wanted)
            if not keys:
                break
            due += len(keys)
            tasks = tuple(Submit((key,), partial(self._tick, key, now, settled)) for key in keys)
            results: Sequence[Any] = yield SubmitAll(tasks)
            lanes: list[Lane] = []
            until = now + self.policy.lease
            lost: StorageError | None = None
            for done in results:
                if isinstance(done, StorageError) and done.retryable:
                    lost = done
                elif isinstance(done, Exception):
                    failed += 1
                    log.error("abonent.sweep_task_failed cause=%s", cause_of(done))
                if not isinstance(done, Done):
                    continue
                self._raise_alarms(done.events)
                counted.update(type(each).__name__ for each in done.events)
                lanes += [
                    self._performer.lane(
                        each, partial(self._carry_out, done.held.key, each, until), just_owed=False
                    )
                    for each in done.effects
                ]
            tried += len(lanes)
            if lanes:
                yield Spawn(tuple(lanes))
            if lost is not None:
                raise lost  # what was claimed comes again when its lease is over
        if self.commits.waiting:
            yield Submit((), _nothing)
        self.telling.tell(Observed(what="sweep", count=due))
        return SweepReport(due=due, tried=tried, events=dict(counted), failed=failed)

    def _tick(self, key: bytes, now: datetime, settled: datetime, draft: Draft) -> Done | None:
        if is_sends_key(key):
            draft.expire_budget(key, now)
            return None
        held = draft.row(key)
        if held is None:
            return None
        held, step = draft.apply(held, Tick(at=now, settled=settled))
        return Done(held, step.effects, step.events)


def rival_of(draft: Draft, held: Held, number: SubscriberNumber) -> datetime | None:
    """Return when the present holder of a number, if somebody else, proved possession."""
    found = None
    for other in draft.holders(number):
        if other.key == held.key:
            continue
        identified = identified_in(standing_identification(other.aggregate.state))
        if identified is not None and identified.number == number:
            found = identified.proven_at if found is None else max(found, identified.proven_at)
    return found


def _nothing(_: Draft) -> None:
    return None

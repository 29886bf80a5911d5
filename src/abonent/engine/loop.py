"""The loop: commit, perform what is owed, feed the outcome back.

Knows the order of things after a decision. Refuses to know threads and event loops: each flow is
a generator that a shell drives, so both shells run the same code.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial

from abonent.core.commands import (
    GiveAnswer,
    ReportAcknowledged,
    ReportFailed,
    ReportSent,
    Tick,
)
from abonent.core.events import DebtGivenUp, Event, Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import AskOperator, Effect, SendCode, is_owed, send_id, wakes_at
from abonent.core.states import (
    AwaitingAnswer,
    identified_in,
    standing_identification,
)
from abonent.engine.archive import Archive, Held, is_sends_key
from abonent.engine.commits import GroupCommit
from abonent.engine.drafts import Draft
from abonent.engine.effects import (
    AlarmKind,
    Alarms,
    Call,
    Flow,
    Lane,
    Performer,
    Read,
    Router,
    Submit,
)
from abonent.engine.observing import Telling
from abonent.engine.rounds import Decided, Rounds, SweepReport
from abonent.engine.settling import Settler
from abonent.errors import AbonentError, StorageError, UnknownQuery
from abonent.ports import Clock, PossessionClaim, Unrouted
from abonent.sealing import MOST_SEALS, new_id


class Done(Decided[Held, Effect, Event], frozen=True):
    """What a task about one user decided."""


class Loop(Rounds[Held, Effect, Event]):
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
        self.operators = frozenset(operators)
        within = self.policy.flush_within
        super().__init__(
            storage=archive.storage,
            space=archive.space,
            commits=GroupCommit(
                Settler(archive, telling, ledger=archive.ledger).settle,
                linger=None if within is None else within.total_seconds(),
            ),
            clock=clock,
            pace=self.policy,
            telling=telling,
        )
        self._performer = performer
        self.alarms: Alarms = performer
        self._router = router
        archive.ledger.worn = self._tell_worn

    def _tell_worn(self, key_id: str, seals: int) -> None:
        share = f"{seals * 100 // MOST_SEALS}_percent"
        self.alarms.raise_alarm(AlarmKind.KEY_WORN, key_id, share)

    def sweep(self, limit: int) -> Flow[SweepReport]:
        """Settle what is due, but claim nothing that others could settle and this one cannot."""
        if not self.archive.ledger.agreed:
            yield Read(self.archive.ledger.check, ())
        return (yield from super().sweep(limit))

    # --- effects ---------------------------------------------------------------------

    def _lane(self, effect: Effect, key: bytes, until: datetime, *, just_owed: bool) -> Lane:
        run = partial(self._carry_out, key, effect, until)
        return self._performer.lane(effect, run, just_owed=just_owed)

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
        held = draft.row(key) or draft.row_of(self.keyring.subject_of_query(query_id))
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
            next_query_id=self.keyring.query_id(held.key, held.subject) if not_ours else "",
            code=new_id() if outcome is Outcome.HELD else "",
            rival_proven_at=rival,
        )
        held, step = draft.apply(held, command)
        return Done(held, step.effects, step.events)

    def _raise_alarms(self, events: Iterable[Event]) -> None:
        for each in events:
            if type(each) is DebtGivenUp:
                self.alarms.raise_alarm(AlarmKind.DEBT_GIVEN_UP, each.operator, each.kind.value)

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

    def _tick(self, key: bytes, now: datetime, settled: datetime, draft: Draft) -> Done | None:
        if is_sends_key(key):
            draft.expire_budget(key, now)
            return None
        held = draft.row(key)
        if held is None:
            return None
        due = wakes_at(held.aggregate)
        held, step = draft.apply(held, Tick(at=now, settled=settled))
        return Done(held, step.effects, step.events, due)


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

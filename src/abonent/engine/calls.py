"""What a messenger's service calls: claim, prove, disclose, forget, standing.

Knows what each call asks of the core and in which order. Refuses to know what becomes of effects.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from abonent.core.budgets import Unsendable
from abonent.core.commands import Claim, Disclose, JudgeProof, TryProof
from abonent.core.events import CodeIssued, ProofTried
from abonent.core.numbers import SubscriberNumber, parse_number
from abonent.core.owed import Gate
from abonent.core.parties import Consent, check_id, check_user_id
from abonent.core.standing import Standing, standing
from abonent.core.states import (
    BLANK,
    ProvingPossession,
    identified_in,
    standing_identification,
)
from abonent.engine.archive import Held, sends_key
from abonent.engine.drafts import Draft
from abonent.engine.effects import Call, Flow, Limiter, Submit, guarded
from abonent.engine.loop import Done, Loop, rival_of
from abonent.engine.observing import Observed
from abonent.errors import (
    AbonentError,
    AdapterError,
    AdapterFault,
    ConsentMissing,
    GateClosed,
    InvalidValue,
    StorageError,
    UnknownUser,
)
from abonent.ports import NetworkProof, OneTimeCode, PossessionClaim, Verdict
from abonent.sealing import new_id


class Calls:
    """The calls of one messenger's service."""

    def __init__(self, loop: Loop, possession: Any, limiter: Limiter | None) -> None:
        self._loop = loop
        self._limiter = limiter
        self._possession = possession
        self._keyring = loop.keyring
        self._terrain = loop.terrain
        self._policy = loop.policy
        self._clock = loop.clock

    def claim(self, user_id: str, number: str, locale: str) -> Flow[Standing]:
        """Claim a number."""
        check_user_id(user_id)
        if len(locale) > 35 or not locale.isprintable():
            raise InvalidValue("a locale is a language tag of at most 35 characters")
        parsed = parse_number(
            number, default_region=self._policy.default_region, regions=self._policy.regions
        )
        operator = None
        if self._terrain.asks_operator:
            operator = yield from self._loop.route(parsed.number)
        admitted_at = self._clock.now()
        unsendable = yield from self._admit(parsed.number, admitted_at)
        keys = self._keyring.user_tags(user_id)
        tags = self._keyring.number_tags(parsed.number)
        at = self._clock.now()

        def work(draft: Draft) -> Done:
            draft.know(parsed.number, tags)
            held = draft.newcomer(keys, user_id)
            command = Claim(
                at=at,
                number=parsed.number,
                unlisted=parsed.unlisted,
                tags=tags,
                claim=new_id(),
                key_id=self._keyring.current,
                operator=operator,
                number_sends=draft.sends_to(tags),
                locale=locale,
                unsendable=unsendable,
            )
            held, step = draft.apply(held, command)
            return Done(held, step.effects, step.events)

        admitted = self._limiter is not None and unsendable is None
        try:
            done = yield Submit((*keys, *(sends_key(tag) for tag in tags)), work)
        except StorageError:
            raise  # it may have been committed, and the code sent by a sweep
        except AbonentError:
            if admitted:
                yield from self._give_back(parsed.number, admitted_at)
            raise
        if admitted and not any(type(each) is CodeIssued for each in done.events):
            yield from self._give_back(parsed.number, admitted_at)
        return (yield from self._conclude(user_id, done))

    def _admit(self, number: SubscriberNumber, at: datetime) -> Flow[Unsendable | None]:
        """Have a code counted before it is known whether one is sent: two cannot share a place."""
        if self._limiter is None:
            return None
        found = yield Call("limiter", False, self._limiter.admit, (number, at))
        if found is not None and not isinstance(found, Unsendable):
            raise AdapterFault("admit returned no Unsendable", adapter="limiter")
        return found

    def _give_back(self, number: SubscriberNumber, at: datetime) -> Flow[None]:
        if self._limiter is not None:
            with suppress(AdapterError):  # it stays counted, which errs on the right side
                yield Call("limiter", False, self._limiter.give_back, (number, at))

    def prove(self, user_id: str, proof: OneTimeCode | NetworkProof | str) -> Flow[Standing]:
        """Offer a proof of possession."""
        check_user_id(user_id)
        offered = proof if isinstance(proof, OneTimeCode | NetworkProof) else OneTimeCode(proof)
        if isinstance(offered, NetworkProof) is not self._possession.features.silent:
            raise InvalidValue("this possession check takes proofs of the other kind")
        keys = self._keyring.user_tags(user_id)
        at = self._clock.now()

        def attempt(draft: Draft) -> Done:
            held, step = draft.apply(draft.user(keys), TryProof(at=at))
            return Done(held, step.effects, step.events)

        if not self._possession.features.local:
            return (yield from self._prove_remotely(user_id, offered, keys, attempt))

        def work(draft: Draft) -> Done:
            tried = attempt(draft)
            if not _was_tried(tried):
                return tried
            claim = self._possession_claim(tried.held)
            proven = False
            if claim is not None:
                check: Callable[..., Verdict] = self._possession.check
                proven = guarded("possession", check, (offered, claim)) is Verdict.PROVEN
            judged = self._judge(draft, tried.held, at, at, proven=proven)
            return Done(judged.held, judged.effects, (*tried.events, *judged.events))

        done = yield Submit(keys, work)
        return (yield from self._conclude(user_id, done))

    def _prove_remotely(
        self,
        user_id: str,
        offered: OneTimeCode | NetworkProof,
        keys: tuple[bytes, ...],
        attempt: Callable[[Draft], Done],
    ) -> Flow[Standing]:
        """The charge is committed first; the verdict is bound to the issue it was given on."""
        tried: Done = yield Submit(keys, attempt)
        if not _was_tried(tried):
            return (yield from self._conclude(user_id, tried))
        at = tried.events[-1].at
        claim = self._possession_claim(tried.held)
        proven = False
        if claim is not None:
            prompt = self._possession.features.prompt
            call = Call("possession", prompt, self._possession.check, (offered, claim))
            proven = (yield call) is Verdict.PROVEN
        judged_on = tried.held
        now = self._clock.now()

        def work(draft: Draft) -> Done:
            return self._judge(draft, draft.user(keys), now, at, proven=proven, on=judged_on)

        done = yield Submit(keys, work)
        return (yield from self._conclude(user_id, done))

    def _judge(
        self,
        draft: Draft,
        held: Held,
        at: datetime,
        tried_at: datetime,
        *,
        proven: bool,
        on: Held | None = None,
    ) -> Done:
        state = (on or held).aggregate.state
        if not isinstance(state, ProvingPossession):
            return Done(held, (), ())
        live = state.code
        asks = self._terrain.asks_operator
        command = JudgeProof(
            at=at,
            tried_at=tried_at,
            claim=state.claim,
            issue=0 if live is None else live.issue,
            key_id="" if live is None else live.key_id,
            proven=proven,
            query_id=self._keyring.query_id(held.key, held.subject) if asks and proven else "",
            code=new_id() if proven else "",
            rival_proven_at=rival_of(draft, held, state.number) if proven and not asks else None,
        )
        held, step = draft.apply(held, command)
        return Done(held, step.effects, step.events)

    def _possession_claim(self, held: Held) -> PossessionClaim | None:
        state = held.aggregate.state
        if not isinstance(state, ProvingPossession) or state.code is None:
            return None
        return self._loop.possession_claim(
            claim=state.claim,
            issue=state.code.issue,
            key_id=state.code.key_id,
            number=state.number,
            locale=state.locale,
            opaque=state.code.opaque,
        )

    def _conclude(self, user_id: str, done: Done) -> Flow[Standing]:
        """Perform what is owed, as long as the caller may wait, and say where they stand."""
        held = yield from self._loop.perform(done)
        return standing(user_id, held.aggregate, self._clock.now(), self._policy)

    def disclose(
        self, user_id: str, to: str, purpose: str, consent: Consent | None
    ) -> Flow[SubscriberNumber]:
        """Return a number for a third party, under a consent that covers it, and journal it."""
        check_user_id(user_id)
        check_id(None, None, to)
        check_id(None, None, purpose)
        at = self._clock.now()
        if consent is None or not consent.covers(user_id, to, purpose, at):
            raise ConsentMissing("no consent covers this recipient, purpose and time")
        keys = self._keyring.user_tags(user_id)
        given_at = consent.given_at

        def work(draft: Draft) -> Done:
            command = Disclose(at=at, recipient=to, purpose=purpose, consent_at=given_at)
            held, step = draft.apply(draft.user(keys), command)
            return Done(held, step.effects, step.events)

        done: Done = yield Submit(keys, work)
        held = yield from self._loop.perform(done)
        identified = identified_in(standing_identification(held.aggregate.state))
        if identified is None:
            raise UnknownUser("this user is not identified any more")
        return identified.number

    def forget(self, user_id: str) -> Flow[bool]:
        """Erase what is held about a user; False if nothing was."""
        check_user_id(user_id)
        keys = self._keyring.user_tags(user_id)
        at = self._clock.now()

        def work(draft: Draft) -> Done | None:
            held = draft.find_user(keys)
            if held is None:
                return None
            held, step = draft.forget(held, at)
            return Done(held, step.effects, step.events)

        done: Done | None = yield Submit(keys, work)
        if done is None or not done.events:
            return False
        yield from self._loop.perform(done)
        return True

    def standing(self, user_id: str) -> Standing:
        """Say where a user stands, from the store. Blocks on the store."""
        check_user_id(user_id)
        self._loop.commits.check()
        held = self._loop.archive.user(user_id)
        aggregate = BLANK if held is None else held.aggregate
        return standing(user_id, aggregate, self._clock.now(), self._policy)

    def row_key(self, user_id: str) -> bytes | None:
        """Say under which key a user is kept, if at all. Blocks on the store."""
        check_user_id(user_id)
        self._loop.commits.check()
        archive = self._loop.archive
        keys = archive.keyring.user_tags(user_id)
        found = archive.read(keys)
        return next((key for key, record in zip(keys, found, strict=True) if record), None)

    def gate(self, user_id: str) -> Gate:
        """Answer from the store; closed, with a reason of its own, if the store cannot say."""
        check_user_id(user_id)
        self._loop.commits.check()
        found = self._loop.archive.gate(user_id, self._clock.now())
        if self._loop.telling.heard:
            why = "open" if found.reason is None else found.reason.value
            self._loop.telling.tell(Observed(what="gate", detail=why))
        return found


def _was_tried(done: Done) -> bool:
    return any(isinstance(each, ProofTried) for each in done.events)


def require_open(gate: Gate) -> None:
    """Raise unless a gate is open."""
    if not gate.open:
        reason = None if gate.reason is None else gate.reason.value
        raise GateClosed("this user must not transmit messages", reason=reason)

"""What a call would do and say if nothing else happened meanwhile: the core, one call at a time.

Knows the core's `decide`, `forget` and `standing`, and which commands a call consists of. Refuses
to know stores, versions, threads and sealing: what they make of it is what is being checked.

The users of one number are kept in one state, because who proves it later displaces the other. A
history is about the users of one number; others do not bear on it. A notice is heard by each user
in a step of its own: two processes promise an order for each user, and displacement across them,
but no instant at which several hear of a notice. Why a notice moved nobody is not compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, TypeAlias

from attrs import frozen
from msgspec import Struct
from msgspec.structs import replace

from abonent import (
    Agreement,
    Ignored,
    LateAnswer,
    Messenger,
    MessengerKind,
    Notice,
    Policy,
    Standing,
    SubscriberNumber,
)
from abonent.core.agreements import Agreements
from abonent.core.budgets import Instants, live, spend
from abonent.core.commands import (
    Claim,
    Command,
    Displace,
    GiveAnswer,
    HearNotice,
    JudgeProof,
    Terrain,
    Tick,
    TryProof,
)
from abonent.core.course import Step as Decided
from abonent.core.events import (
    CodeIssued,
    LateAnswerIgnored,
    OperatorAsked,
    Passed,
    ProofTried,
    StaleNoticeIgnored,
)
from abonent.core.identification import decide, forget
from abonent.core.owed import UNKNOWN_USER, gate, send_id
from abonent.core.standing import standing
from abonent.core.states import (
    BLANK,
    Aggregate,
    AwaitingAnswer,
    ProvingPossession,
    identified_in,
    standing_identification,
)
from abonent.errors import AbonentError, UnknownUser
from tests.histories.checker import Step

OPERATOR: Final = "mts"
MESSENGER: Final = Messenger(id="m", kind=MessengerKind.FOREIGN)


class User(Struct, frozen=True):
    """What is kept about one; `known` is False once they were forgotten."""

    aggregate: Aggregate
    known: bool


class Kept(Struct, frozen=True):
    """What is kept about the users of one number, in the order of their rows, and its sends."""

    users: tuple[User | None, ...]
    sends: Instants = ()


class Refused(Struct, frozen=True):
    """A call ended in an error of the library: its code, and from when it may be repeated."""

    code: str
    retry_at: datetime | None


def refused(error: AbonentError) -> Refused:
    return Refused(error.code, getattr(error, "retry_at", None))


class Said(Struct, frozen=True):
    """What a claim or proof said, and what it did in the world that can be seen from outside.

    `issued` is the id of the code that was sent, `asked` of the question, `passed` the new
    identification code.
    """

    answer: Standing | Refused | None
    issued: str | None = None
    asked: str | None = None
    passed: str | None = None


Outcomes: TypeAlias = Iterable[tuple[Kept, object]]


@frozen(kw_only=True)
class Sequential:
    """The core for the users of one number. `names` are in the order of their rows' keys."""

    names: tuple[str, ...]
    number: SubscriberNumber
    agreement: Agreement
    policy: Policy

    @property
    def initial(self) -> Kept:
        return Kept((None,) * len(self.names))

    def terrain(self) -> Terrain:
        return Terrain(
            messenger=MESSENGER,
            policy=self.policy,
            agreements=Agreements(MESSENGER.id, [self.agreement]),
        )

    # --- steps ---------------------------------------------------------------------------

    def claim(self, user: str, at: datetime, claim: str, seen: Said) -> Step[Kept]:
        """Claim the number; `claim` is the nonce that a new claim would have."""

        def outcomes(kept: Kept) -> Outcomes:
            found = self._user(kept, user)
            command = Claim(
                at=at,
                number=self.number,
                unlisted=False,
                tags=(b"tag",),
                claim=claim,
                key_id="k1",
                operator=OPERATOR,
                number_sends=kept.sends,
                locale="",
            )
            try:
                decided = self._decide(BLANK if found is None else found.aggregate, command)
            except AbonentError as error:
                yield kept, Said(refused(error))
                return
            issued = None
            for event in decided.events:
                if isinstance(event, CodeIssued):
                    issued = send_id(event.claim, event.issue)
                    kept = replace(kept, sends=spend(live(kept.sends, at), at))
            if decided.events:
                kept = self._put(kept, user, User(decided.aggregate, True))
            yield kept, Said(self._standing(user, decided.aggregate, at), issued=issued)

        return Step(name="claim", outcomes=outcomes, seen=seen)

    def prove(
        self,
        user: str,
        at: datetime,
        typed: str,
        codes: Mapping[str, str],
        *,
        query: str,
        seen: Said,
    ) -> Step[Kept]:
        """Offer a code; `codes` are all that were sent, by id; `query` is what would be asked.

        What is answered after a question was asked is the answer's business.
        """

        def outcomes(kept: Kept) -> Outcomes:
            found = self._user(kept, user)
            if found is None or not found.known:
                yield kept, Said(refused(UnknownUser("")))
                return
            try:
                tried = self._decide(found.aggregate, TryProof(at=at))
            except AbonentError as error:
                yield kept, Said(refused(error))
                return
            decided, state = tried, tried.aggregate.state
            events = tried.events
            was_tried = any(isinstance(each, ProofTried) for each in events)
            if was_tried and isinstance(state, ProvingPossession):
                code = state.code
                proven = code is not None and codes.get(send_id(state.claim, code.issue)) == typed
                command = JudgeProof(
                    at=at,
                    tried_at=at,
                    claim=state.claim,
                    issue=0 if code is None else code.issue,
                    key_id="" if code is None else code.key_id,
                    proven=proven,
                    query_id=query,
                    code="",
                    rival_proven_at=None,
                )
                decided = self._decide(tried.aggregate, command)
                events = (*events, *decided.events)
            if events:
                kept = self._put(kept, user, User(decided.aggregate, True))
            if any(isinstance(each, OperatorAsked) for each in events):
                yield kept, Said(None, asked=query)
            else:
                yield kept, Said(self._standing(user, decided.aggregate, at))

        return Step(name="prove", outcomes=outcomes, seen=seen)

    def answer(
        self, user: str, at: datetime, item: LateAnswer, code: str, seen: object, *, late: bool
    ) -> Step[Kept]:
        """The operator's answer, inside a proof or by itself; `code` is what a pass would give."""

        def outcomes(kept: Kept) -> Outcomes:
            found = self._user(kept, user)
            if found is None:
                yield kept, (frozenset[str](), Ignored.NOT_ASKED)
                return
            command = GiveAnswer(
                at=at,
                query_id=item.query_id,
                operator=item.operator,
                outcome=item.outcome,
                opaque=b"",
                serving=None,
                next_query_id="",
                code=code,
                rival_proven_at=self._rival(kept, user),
            )
            decided = self._decide(found.aggregate, command)
            ignored, passed = None, None
            for event in decided.events:
                if isinstance(event, LateAnswerIgnored):
                    ignored = event.why
                elif isinstance(event, Passed):
                    passed = event.code
                    kept = self._displace(kept, user, at)
            kept = self._put(kept, user, User(decided.aggregate, found.known))
            if late:
                users = {user} if ignored is None and found.known else set[str]()
                yield kept, (frozenset(users), ignored, passed)
            else:
                answer = self._standing(user, decided.aggregate, at)
                yield kept, Said(answer, asked=item.query_id, passed=passed)

        return Step(name=f"answer {item.outcome.value}", outcomes=outcomes, seen=seen)

    def notice(self, user: str, at: datetime, item: Notice, seen: bool) -> Step[Kept]:
        """A notice about the number, as one user hears it: whether it moved them."""
        command = HearNotice(
            at=at,
            notice_id=item.id,
            operator=item.operator,
            kind=item.kind,
            number=item.number,
            happened_at=item.happened_at,
            serving=None,
        )

        def outcomes(kept: Kept) -> Outcomes:
            found = self._user(kept, user)
            if found is None or user not in self._concerned(kept):
                yield kept, False
                return
            decided = self._decide(found.aggregate, command)
            if decided.events:
                kept = self._put(kept, user, User(decided.aggregate, found.known))
            ignored = any(isinstance(each, StaleNoticeIgnored) for each in decided.events)
            yield kept, not ignored

        return Step(name="notice", outcomes=outcomes, seen=seen)

    def forget(self, user: str, at: datetime, seen: object) -> Step[Kept]:
        """Erase a user."""

        def outcomes(kept: Kept) -> Outcomes:
            found = self._user(kept, user)
            if found is None:
                yield kept, False
                return
            decided = forget(found.aggregate, at, self.terrain())
            if not decided.events:
                yield kept, False
                return
            left = decided.aggregate
            gone = not (left.debts or left.failures or left.sends)
            yield self._put(kept, user, None if gone else User(left, False)), True

        return Step(name="forget", outcomes=outcomes, seen=seen)

    def tick(self, user: str, at: datetime) -> Step[Kept]:
        """A sweep comes to a user, or finds that another sweep has claimed their deadline."""

        def outcomes(kept: Kept) -> Outcomes:
            yield kept, None
            found = self._user(kept, user)
            if found is not None:
                command = Tick(at=at, settled=at - self.policy.settle_after)
                decided = self._decide(found.aggregate, command)
                if decided.events:
                    yield self._put(kept, user, User(decided.aggregate, found.known)), None

        return Step(name=f"tick {user}", outcomes=outcomes)

    def look(self, user: str, at: datetime, seen: object) -> Step[Kept]:
        """Ask where a user stands."""

        def outcomes(kept: Kept) -> Outcomes:
            found = self._user(kept, user)
            yield kept, self._standing(user, BLANK if found is None else found.aggregate, at)

        return Step(name="standing", outcomes=outcomes, seen=seen)

    def gate(self, user: str, at: datetime, seen: object) -> Step[Kept]:
        """Ask whether a gate is open."""

        def outcomes(kept: Kept) -> Outcomes:
            found = self._user(kept, user)
            yield kept, UNKNOWN_USER if found is None else gate(found.aggregate, at)

        return Step(name="gate", outcomes=outcomes, seen=seen)

    # --- small parts of the above --------------------------------------------------------

    def _decide(self, aggregate: Aggregate, command: Command) -> Decided:
        return decide(aggregate, command, self.terrain())

    def _user(self, kept: Kept, name: str) -> User | None:
        return kept.users[self.names.index(name)]

    def _put(self, kept: Kept, name: str, user: User | None) -> Kept:
        place = self.names.index(name)
        return replace(kept, users=(*kept.users[:place], user, *kept.users[place + 1 :]))

    def _standing(self, name: str, aggregate: Aggregate, at: datetime) -> Standing:
        return standing(name, aggregate, at, self.policy)

    def _holders(self, kept: Kept) -> list[str]:
        return [
            name
            for name, user in zip(self.names, kept.users, strict=True)
            if user is not None
            and (found := identified_in(standing_identification(user.aggregate.state)))
            and found.number == self.number
        ]

    def _concerned(self, kept: Kept) -> list[str]:
        pending = [
            name
            for name, user in zip(self.names, kept.users, strict=True)
            if user is not None and isinstance(user.aggregate.state, AwaitingAnswer)
        ]
        return list(dict.fromkeys((*self._holders(kept), *pending)))

    def _rival(self, kept: Kept, name: str) -> datetime | None:
        rivals: list[datetime] = []
        for each in self._holders(kept):
            user = self._user(kept, each)
            if each != name and user is not None:
                found = identified_in(standing_identification(user.aggregate.state))
                rivals += [] if found is None else [found.proven_at]
        return max(rivals, default=None)

    def _displace(self, kept: Kept, winner: str, at: datetime) -> Kept:
        for each in self._holders(kept):
            user = self._user(kept, each)
            if each != winner and user is not None:
                decided = self._decide(user.aggregate, Displace(at=at, number=self.number))
                kept = self._put(kept, each, User(decided.aggregate, user.known))
        return kept

"""What can be asked of the core: each command carries the instant at which it arrived.

Knows the question and what the world adds to it (fresh ids, routing, who else holds the number).
Refuses to answer: that is for `decide`.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import TypeAlias

from attrs import define
from msgspec import Struct

from abonent.core.agreements import Agreements
from abonent.core.budgets import Instants, Unsendable
from abonent.core.events import Outcome
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Messenger, MessengerKind
from abonent.core.policy import Policy, Terms, terms
from abonent.core.residency import NOWHERE, Residency
from abonent.core.rules import Rules, rules_by_id, rules_in_force
from abonent.core.states import EffectKind, NoticeKind


@define(kw_only=True, frozen=True, slots=False)
class Terrain:
    """What stays the same between commands: who we are, what we chose, whom we agreed with.

    `rules=None` takes the rule set in force at the instant of each claim.
    """

    messenger: Messenger
    policy: Policy
    agreements: Agreements
    rules: Rules | None = None
    residency: Residency = NOWHERE

    def terms_to_begin(self, at: datetime) -> Terms:
        """Return the terms for whoever begins at this instant: by a claim, or by being taken over.

        Raises:
            NoRulesInForce: none are.
            ResidencyUnmet: the rules demand a territory that the store does not declare.
        """
        self.residency.check(self.rules or rules_in_force(at))
        return self.terms_at(at)

    def terms_at(self, at: datetime) -> Terms:
        """Return the terms in force at this instant.

        Raises:
            NoRulesInForce: none are.
        """
        return self.terms_of((self.rules or rules_in_force(at)).id)

    def terms_of(self, rules_id: str) -> Terms:
        """Return the terms under a named rule set."""
        found = self._terms.get(rules_id)
        if found is None:
            found = self._terms[rules_id] = terms(rules_by_id(rules_id), self.policy)
        return found

    @cached_property
    def _terms(self) -> dict[str, Terms]:
        return {}

    @cached_property
    def asks_operator(self) -> bool:
        """Whether a proven possession is followed by a question to the operator."""
        return self.needs_agreement or self.policy.ask_operator_too

    @cached_property
    def needs_agreement(self) -> bool:
        """A foreign messenger may ask, and identify, under an agreement only."""
        return self.messenger.kind is MessengerKind.FOREIGN


class Tick(Struct, frozen=True, kw_only=True):
    """Time has passed. Deadlines up to `settled`, inclusive, are settled; debts due at `at` tried.

    `settled` may lie before `at`, so that an answer which arrived in time is not overtaken.
    """

    at: datetime
    settled: datetime


class Claim(Struct, frozen=True, kw_only=True):
    """A user claims a number. `tags` are its keyed indexes, the current one first."""

    at: datetime
    number: SubscriberNumber
    unlisted: bool
    tags: tuple[bytes, ...]
    claim: str
    key_id: str
    operator: str | None
    number_sends: Instants
    locale: str
    unsendable: Unsendable | None = None


class TryProof(Struct, frozen=True, kw_only=True):
    """A user offers a proof; this charges the try."""

    at: datetime


class JudgeProof(Struct, frozen=True, kw_only=True):
    """The verdict on a charged try, bound to the claim, issue and key it was judged by."""

    at: datetime
    tried_at: datetime
    claim: str
    issue: int
    key_id: str
    proven: bool
    query_id: str
    code: str
    rival_proven_at: datetime | None


class ReportSent(Struct, frozen=True, kw_only=True):
    """The code sender took a code."""

    at: datetime
    claim: str
    issue: int
    opaque: bytes


class ReportFailed(Struct, frozen=True, kw_only=True):
    """A try of something owed failed."""

    at: datetime
    kind: EffectKind
    id: str
    cause: str


class ReportAcknowledged(Struct, frozen=True, kw_only=True):
    """An operator acknowledged a record or withdrawal."""

    at: datetime
    kind: EffectKind
    operator: str
    code: str


class GiveAnswer(Struct, frozen=True, kw_only=True):
    """An operator's answer, received at `at`. `serving` is the router's second word (S8)."""

    at: datetime
    query_id: str
    operator: str
    outcome: Outcome
    opaque: bytes
    serving: str | None
    next_query_id: str
    code: str
    rival_proven_at: datetime | None


class HearNotice(Struct, frozen=True, kw_only=True):
    """An operator's notice about a number, received at `at`. `serving`: who serves it now."""

    at: datetime
    notice_id: str
    operator: str
    kind: NoticeKind
    number: SubscriberNumber
    happened_at: datetime | None
    serving: str | None


class Displace(Struct, frozen=True, kw_only=True):
    """Another user, who proved later, was identified by this number."""

    at: datetime
    number: SubscriberNumber


class Disclose(Struct, frozen=True, kw_only=True):
    """The number is about to be given to a third party under a checked consent."""

    at: datetime
    recipient: str
    purpose: str
    consent_at: datetime


class Declare(Struct, frozen=True, kw_only=True):
    """A messenger takes over a user it had before. `taken`: another user has the number."""

    at: datetime
    number: SubscriberNumber
    proven_at: datetime
    operator: str | None
    code: str
    taken: bool


Command: TypeAlias = (
    Tick
    | Claim
    | TryProof
    | JudgeProof
    | ReportSent
    | ReportFailed
    | ReportAcknowledged
    | GiveAnswer
    | HearNotice
    | Displace
    | Disclose
    | Declare
)

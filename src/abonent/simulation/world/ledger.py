"""The ledger: what is known of each user, folded from what happened.

Knows what an event means for a user, in words of its own. Refuses to know whether it was right,
and to read the states that are judged by it.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from typing import Final

from attrs import define, field

from abonent.core.numbers import SubscriberNumber
from abonent.core.states import (
    BLANK,
    Aggregate,
    Basis,
    EffectKind,
    NoticeKind,
)
from abonent.simulation.world.agenda import EPOCH

DAY: Final = timedelta(hours=24)
GRACE: Final = frozenset({NoticeKind.PORTED})
"""The causes that keep the gate open until the user is identified anew: the number is theirs."""


@define(kw_only=True)
class IssuedCode:
    """A code that was issued and may still be entered."""

    issue: int
    key_id: str
    expires_at: datetime
    tries: int = 0


@define(kw_only=True)
class Question:
    """A question that waits for its answer."""

    operator: str
    query_id: str
    asked_at: datetime
    due: datetime
    agreement: str | None
    rerouted: bool


@define(kw_only=True)
class Trial:
    """An attempt at identification: the claim, and how far it got."""

    number: SubscriberNumber
    claim: str
    operator: str | None
    rules: str
    expires_at: datetime
    issued: int = 0
    issued_at: datetime | None = None
    code: IssuedCode | None = None
    proven_at: datetime | None = None
    question: Question | None = None


@define(kw_only=True)
class Holding:
    """An identification that stands; with `due`, it is to be made anew until then."""

    number: SubscriberNumber
    proven_at: datetime
    asked_at: datetime | None
    operator: str | None
    agreement: str | None
    code: str
    basis: Basis
    rules: str
    due: datetime | None = None
    cause: NoticeKind | None = None

    @property
    def fresh_from(self) -> datetime:
        """What happened before this instant is stale."""
        return self.proven_at if self.asked_at is None else self.asked_at

    def open_at(self, now: datetime) -> bool:
        """Tell whether its user may send."""
        return self.due is None or (self.cause in GRACE and now <= self.due)


@define(kw_only=True)
class Due:
    """Something owed to the world: tried until acknowledged, not before `next_try`."""

    kind: EffectKind
    operator: str
    code: str
    since: datetime
    next_try: datetime
    tries: int = 0


@define
class Account:
    """One user of one messenger, as the watch knows them."""

    user: str
    key: bytes
    subject: bytes = b""
    subject_key: bytes = b""
    trial: Trial | None = None
    holding: Holding | None = None
    failures: dict[SubscriberNumber, list[datetime]] = field(
        factory=dict[SubscriberNumber, list[datetime]]
    )
    sends: list[datetime] = field(factory=list[datetime])
    owed: dict[tuple[EffectKind, str], Due] = field(factory=dict[tuple[EffectKind, str], Due])
    heard: deque[tuple[str, str]] = field(factory=lambda: deque(maxlen=8))
    forgotten: bool = False
    gone: bool = False
    """Whether not even a record is left."""
    ended: bool = False
    """Whether the subject's journal is about to get its last entry, in the unit that is read."""
    fresh: bool = True
    """Whether the journal tells nothing of the subject yet."""
    replica: Aggregate = BLANK

    @property
    def open_until(self) -> datetime | None:
        """Until when the gate is open if nothing happens: for good, or by now not at all."""
        holding = self.holding
        if holding is None or self.forgotten:
            return EPOCH
        if holding.due is None:
            return None
        return holding.due if holding.open_at(holding.due) else EPOCH

    def settled(self, at: datetime) -> tuple[Trial | None, Holding | None]:
        """Return the attempt and the identification once all before an instant is settled."""
        trial, holding = self.trial, self.holding
        if holding is not None and holding.due is not None and holding.due < at:
            holding = None
        if trial is not None and _over(trial, at):
            trial = None
        return trial, holding

    def deadlines(self) -> list[datetime]:
        """Return every instant at which something of this user runs out."""
        found: list[datetime] = []
        trial, holding = self.trial, self.holding
        if trial is not None and trial.question is not None:
            found.append(trial.question.due)
        elif trial is not None:
            found.append(trial.expires_at)
            if trial.code is not None:
                found.append(trial.code.expires_at)
        if holding is not None and holding.due is not None:
            found.append(holding.due)
        return found

    def failed(self, number: SubscriberNumber, at: datetime, window: timedelta = DAY) -> int:
        """Count failed proofs on a number in the time before an instant."""
        return sum(at - each < window for each in self.failures.get(number, ()))

    def sent(self, at: datetime, window: timedelta = DAY) -> int:
        """Count codes sent to this user in the time before an instant."""
        return sum(at - each < window for each in self.sends)

    def end_trial(self) -> None:
        """The attempt is over, and nothing of it is owed any more."""
        self.trial = None
        for kind in (EffectKind.SEND_CODE, EffectKind.ASK_OPERATOR):
            for name in [name for name in self.owed if name[0] is kind]:
                del self.owed[name]

    def end_holding(self, at: datetime) -> None:
        """The identification is over: its record is not owed any more, its withdrawal is.

        Of who was only declared no operator was told.
        """
        holding, self.holding = self.holding, None
        if holding is None or holding.operator is None or holding.basis is Basis.DECLARED:
            return
        for kind in (EffectKind.RECORD, EffectKind.WITHDRAW):
            self.owed.pop((kind, f"{holding.code}.{kind.value}"), None)
        self.owe(EffectKind.WITHDRAW, holding.operator, holding.code, at)

    def owe(self, kind: EffectKind, operator: str, code: str, at: datetime) -> None:
        """Note a record or withdrawal that is owed from now on."""
        self.owed[kind, f"{code}.{kind.value}"] = Due(
            kind=kind, operator=operator, code=code, since=at, next_try=at
        )

    def forget(self) -> None:
        """Only withdrawals and budgets outlive the user."""
        self.trial = self.holding = None
        self.owed = {
            name: each for name, each in self.owed.items() if each.kind is EffectKind.WITHDRAW
        }
        self.heard.clear()
        self.forgotten = True


def _over(trial: Trial, at: datetime) -> bool:
    if trial.question is not None:
        return trial.question.due < at
    return trial.expires_at < at

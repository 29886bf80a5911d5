"""What one event costs in the core: decide and evolve, no store and no keys."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from abonent.core.agreements import Agreement, Agreements
from abonent.core.commands import Claim, GiveAnswer, JudgeProof, ReportSent, Terrain, TryProof
from abonent.core.events import Outcome
from abonent.core.identification import decide
from abonent.core.numbers import SubscriberNumber
from abonent.core.parties import Messenger, MessengerKind
from abonent.core.policy import Policy
from abonent.core.states import BLANK

_AT = datetime(2026, 6, 1, tzinfo=UTC)
_CODE = "c" * 22


def commands() -> list[Claim | ReportSent | TryProof | JudgeProof | GiveAnswer]:
    """One identification, as commands."""
    return [
        Claim(
            at=_AT,
            number=SubscriberNumber("+79160000000"),
            unlisted=False,
            tags=(b"t" * 16,),
            claim=_CODE,
            key_id="k1",
            operator="operator",
            number_sends=(),
            locale="",
        ),
        ReportSent(at=_AT, claim=_CODE, issue=1, opaque=b""),
        TryProof(at=_AT),
        JudgeProof(
            at=_AT,
            tried_at=_AT,
            claim=_CODE,
            issue=1,
            key_id="k1",
            proven=True,
            query_id="q",
            code=_CODE,
            rival_proven_at=None,
        ),
        GiveAnswer(
            at=_AT,
            query_id="q",
            operator="operator",
            outcome=Outcome.HELD,
            opaque=b"",
            serving=None,
            next_query_id="",
            code=_CODE,
            rival_proven_at=None,
        ),
    ]


def microseconds(rounds: int) -> tuple[float, float]:
    """Return the mean cost of one command and of one event, in microseconds."""
    agreement = Agreement(
        id="agreement", messenger="messenger", operator="operator", starts=_AT - timedelta(days=1)
    )
    terrain = Terrain(
        messenger=Messenger(id="messenger", kind=MessengerKind.FOREIGN),
        policy=Policy(),
        agreements=Agreements("messenger", [agreement]),
    )
    several = commands()
    events = 0
    started = time.perf_counter()
    for _ in range(rounds):
        aggregate = BLANK
        for command in several:
            step = decide(aggregate, command, terrain)
            aggregate = step.aggregate
            events += len(step.events)
    taken = (time.perf_counter() - started) * 1e6
    return taken / (rounds * len(several)), taken / events

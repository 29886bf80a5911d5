"""Where scopes start: the figures they run under, and users who have come some way already.

Knows what is given. Refuses to know what is done with it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from abonent.core.states import (
    Aggregate,
    Attempt,
    Basis,
    Debt,
    EffectKind,
    Identified,
    LiveCode,
    NoticeKind,
    ProvingPossession,
    ReidentificationDue,
)
from tests.search import core
from tests.search.alphabet import OUTCOMES, Later, Prove, answers, when_proving
from tests.search.words import DAY, HOUR, MINUTE, Answer, Claim, Figures

EVER: Final = 400 * DAY
MINUTES: Final = timedelta(minutes=1)
RULES = (("1801", -EVER, EVER),)
COVERED = (("with-m", "M", -EVER, None), ("with-n", "N", -EVER, None))
FOREIGN = Figures(agreements=COVERED, rules=RULES)
OWN = Figures(foreign=False, rules=RULES)
BOTH = Figures(foreign=False, asks_too=True, agreements=COVERED[:1], rules=RULES)

PROVES = when_proving(Prove(), Prove(right=False))
ANSWERS = answers(
    *(Answer(each, "M") for each in OUTCOMES),
    Answer("not_ours", "M", serving="N"),
    Answer("held", "N"),
    Answer("held", "M", query="q0"),
)
ENDED = (Claim(), Prove(), Later(1), Answer("held"))
"""How one is identified by M."""


def identified_by(basis: Basis, operator: str | None = None) -> Aggregate:
    """A user taken over from elsewhere: identified, with no history of ours."""
    return Aggregate(
        state=Identified(
            number=core.NUMBERS["X"],
            proven_at=core.instant(-MINUTE),
            asked_at=None,
            since=core.ORIGIN,
            operator=operator,
            agreement=None,
            code="i1",
            basis=basis,
            rules="1801",
        )
    )


_HELD = identified_by(Basis.OPERATOR_ANSWER, "m").state
DUE_ANEW = Aggregate(
    state=ReidentificationDue(
        was=_HELD,
        cause=NoticeKind.PORTED,
        happened_at=None,
        noticed_at=core.ORIGIN,
        due=core.instant(20 * MINUTE),
    )
)
"""To be identified anew within the time of the rule set of 2021."""
CLAIMED = Aggregate(
    state=ProvingPossession(
        number=core.NUMBERS["X"],
        tag=b"X",
        claim="c1",
        operator="m",
        rules="1801",
        locale="ru",
        expires_at=core.instant(HOUR),
        issued=1,
        issued_at=core.ORIGIN,
        code=LiveCode(
            issue=1,
            key_id="k1",
            issued_at=core.ORIGIN,
            expires_at=core.instant(10 * MINUTE),
            tries=0,
            sending=None,
            opaque=b"",
        ),
        before=None,
    )
)
"""A claim under the rule set of 2021."""
UNASKED = replace(CLAIMED, state=replace(CLAIMED.state, operator=None))
"""The same, made when nobody was to be asked."""
OVER = replace(CLAIMED, failures=((b"X", tuple(map(core.instant, range(-5, 0)))),))
"""The same, with more failures than the policy admits by now."""


def tried(times: int) -> Aggregate:
    """Identified, with a record that was tried so often already."""
    debt = Debt(
        kind=EffectKind.RECORD,
        operator="m",
        code="i1",
        since=core.ORIGIN,
        attempt=Attempt(tries=times, next_try=core.ORIGIN),
    )
    return replace(identified_by(Basis.OPERATOR_ANSWER, "m"), debts=(debt,))

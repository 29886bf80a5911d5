"""What is searched: each scope is an alphabet, the figures it runs under, and where it starts.

Knows which part of what can happen is worth a search of its own. Refuses to know what it leads to.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Final

from abonent.core.states import Basis
from tests.search import core
from tests.search.alphabet import (
    KINDS,
    OUTCOMES,
    Later,
    Prove,
    Scope,
    Start,
    View,
    always,
    answers,
    debts,
    effects,
    notice,
    repeated,
    together,
    verdicts,
    when_proving,
)
from tests.search.starts import (
    ANSWERS,
    BOTH,
    CLAIMED,
    DUE_ANEW,
    ENDED,
    EVER,
    FOREIGN,
    MINUTES,
    OVER,
    OWN,
    PROVES,
    UNASKED,
    identified_by,
    tried,
)
from tests.search.words import (
    DAY,
    HOUR,
    MINUTE,
    Acknowledged,
    Answer,
    Awaiting,
    Claim,
    Declare,
    Disclose,
    Displace,
    Figures,
    Forget,
    Notice,
    Tick,
    Try,
)


def _at(year: int, month: int, day: int) -> int:
    """The begin of a day in Moscow."""
    return core.moment(datetime(year, month, day, tzinfo=timezone(timedelta(hours=3))))


def rival_answers(view: View) -> Iterator[Answer]:
    """The operator holds it, and so does another user, who proved at about the same time."""
    it = view.user.attempt
    if isinstance(it, Awaiting):
        for each in (None, it.proven - 1, it.proven, it.proven + 1):
            yield Answer("held", rival=each)


PLAIN = Scope(
    name="plain",
    about="two users of a foreign messenger, one number, two operators that it agreed with",
    depth=9,
    alone=False,
    figures=FOREIGN,
    asks=together(
        always(Claim(), Claim(operator="N"), Tick()),
        PROVES,
        ANSWERS,
    ),
    notices=notice(("M", "terminated"), ("M", "ported"), ("N", "terminated")),
    deadlines=("answer", "anew"),
    fixed=(MINUTE,),
)

_PASSES = together(PROVES, answers(Answer("held"), Answer("not_held")))
_SWIFT = {"claim_valid": 15 * MINUTE}

OWN_SCOPE = Scope(
    name="own",
    about="two users of a domestic messenger, which determines the number by itself",
    depth=9,
    alone=False,
    figures=OWN,
    asks=together(always(Claim(operator=None), Tick()), PROVES, always(Answer("held"), Disclose())),
    notices=together(
        notice(("M", "terminated"), ("M", "ported"), serving="M"),
        notice(("M", "terminated"), happened=("before",), serving="M"),
        notice(("N", "terminated"), serving="M"),
    ),
    deadlines=("anew",),
    fixed=(MINUTE,),
)

BOTH_SCOPE = Scope(
    name="both",
    about="a domestic messenger that asks the operator too; it has an agreement with one of two",
    depth=7,
    figures=BOTH,
    asks=together(
        always(Claim(), Claim(operator="N"), Claim(operator=None), Tick()),
        PROVES,
        ANSWERS,
        answers(Answer("held", "N"), Answer("later", "N"), Answer("not_ours", "N", serving="M")),
        notice(("M", "terminated"), ("N", "ported"), serving="N"),
    ),
    deadlines=("answer", "anew"),
    fixed=(MINUTE,),
    starts=(Start(), Start(given=UNASKED)),
)

RIVALS = Scope(
    name="rivals",
    about="another holds the number, who proved a microsecond earlier, at once, or later",
    depth=6,
    figures=FOREIGN,
    asks=together(always(Claim(), Tick()), PROVES, rival_answers),
    deadlines=("answer",),
    fixed=(1, MINUTE),
)

OWN_RIVALS = Scope(
    name="own rivals",
    about="the same where the messenger determines the number by itself",
    depth=6,
    figures=OWN,
    asks=together(
        always(Claim(operator=None), Tick()),
        when_proving(*(Prove(rival=each) for each in (None, -1, 0, 1))),
    ),
    fixed=(1, MINUTE),
)

AGREEMENTS = Scope(
    name="agreements",
    about="agreements end, begin and follow each other while somebody claims, proves and waits",
    depth=7,
    anchored=True,
    figures=FOREIGN._replace(
        agreements=(
            ("m-1", "M", -EVER, 10 * MINUTE),
            ("m-2", "M", 10 * MINUTE, 12 * MINUTE),
            ("n-1", "N", 11 * MINUTE, None),
        ),
        lease=DAY,
    ),
    asks=together(
        always(Claim(), Claim(operator="N"), Claim(operator=None), Tick()),
        when_proving(Prove()),
        answers(
            *(Answer("held", each) for each in "MN"),
            Answer("not_ours", "M", serving="N"),
            Answer("not_ours", "N", serving="M"),
            Answer("not_ours", "M", serving="M"),
            Answer("not_held", "M", serving="N"),
            Answer("undetermined", "M", serving="N"),
        ),
    ),
    deadlines=("agreement", "answer"),
    fixed=(MINUTE,),
)

_STARTS_1279 = _at(2019, 5, 5)
_STARTS_1801 = _at(2022, 3, 1)
_ENDS_1801 = _at(2028, 3, 1)

DATES = Scope(
    name="dates",
    about="rule sets begin and end between claim, proof and notice; the rules go by date",
    depth=6,
    anchored=True,
    figures=Figures(
        foreign=False,
        rules=(
            ("1279", _STARTS_1279, _STARTS_1801),
            ("1801", _STARTS_1801, _ENDS_1801),
        ),
        within=(
            ("1279", 20 * MINUTE, 20 * MINUTE),
            ("1801", 20 * MINUTE, 20 * MINUTE),
        ),
    ),
    asks=together(
        always(Claim(operator=None), Claim("Y", None, tags=(b"Y",)), Tick()),
        when_proving(Prove()),
        notice(("M", "ported"), serving="M"),
    ),
    deadlines=("rules", "anew"),
    starts=tuple(Start((Later(each - HOUR),)) for each in (_STARTS_1279, _STARTS_1801, _ENDS_1801)),
)

_DRAFT = (("draft-2017", 7 * MINUTE, 9 * MINUTE), ("1801", 20 * MINUTE, 20 * MINUTE))
NAMED = Scope(
    name="named rules",
    about="a rule set given by name leaves figures open; what began under another keeps that one's",
    depth=6,
    figures=FOREIGN._replace(named="draft-2017", within=_DRAFT),
    policy={"answer_within": 7 * MINUTES, "reidentify_within": 9 * MINUTES},
    asks=together(
        always(Claim(), Claim("Y", tags=(b"Y",)), Tick()),
        when_proving(Prove()),
        answers(Answer("held"), Answer("not_ours", serving="N")),
        notice(("M", "ported"), ("M", "terminated")),
    ),
    deadlines=("answer", "anew"),
    starts=(
        Start(),
        Start(given=identified_by(Basis.OPERATOR_ANSWER, "m")),
        Start(given=DUE_ANEW),
        Start(given=CLAIMED),
    ),
)

NAMED_1801 = Scope(
    name="statutory",
    about="a policy that gives figures of its own does not overrule those of the rule set",
    depth=5,
    figures=FOREIGN._replace(named="1801"),
    policy={"answer_within": 7 * MINUTES, "reidentify_within": 9 * MINUTES},
    asks=together(always(Claim(), Tick()), _PASSES, notice(("M", "ported"))),
    deadlines=("answer", "anew"),
)

DECLARED = Scope(
    name="declared",
    about="users whom the messenger had before are taken over, once, by a number that is free",
    depth=5,
    figures=FOREIGN,
    asks=together(
        always(
            *(Declare(), Declare("Y", "M", HOUR), Declare(taken=True)),
            *(Claim(), Tick(), Disclose(), Displace(), Forget()),
        ),
        _PASSES,
        notice(("M", "terminated"), ("M", "ported"), serving="M"),
        notice(("N", "terminated"), happened=("before", "at"), serving="N"),
        notice(("M", "ported"), number="Y", happened=("before", "at")),
    ),
    deadlines=("answer", "anew"),
    fixed=(MINUTE,),
)

_REROUTED = (Claim(), Prove(), Later(MINUTE), Answer("not_ours", serving="N"))
_HEARD = tuple(Notice(f"h{each}", "N", "terminated") for each in range(8))
NOTICES = Scope(
    name="notices",
    about="notices of every kind, of both operators, about before, at and after, once and again",
    depth=4,
    figures=FOREIGN,
    asks=together(
        always(Claim(), Tick()),
        when_proving(Prove()),
        answers(Answer("held")),
        notice(*(("M", kind) for kind in KINDS), happened=("unknown", "before")),
        notice(("M", "terminated"), ("M", "ported"), happened=("at", "after")),
        notice(("N", "terminated"), happened=("unknown", "before", "at")),
        notice(("N", "ported")),
        notice(("M", "terminated"), ("M", "ported"), number="Y"),
        notice(("M", "ported"), serving="N"),
        repeated,
    ),
    deadlines=("answer", "anew"),
    fixed=(MINUTE,),
    starts=(
        Start((Claim(), Prove())),
        Start(ENDED),
        Start((*_REROUTED, Later(1), Answer("held", "N"))),
        Start((*ENDED, Later(MINUTE), *_HEARD)),
        Start((*ENDED, Later(MINUTE), Notice("a", "M", "ported"), Claim(), Prove())),
        Start((*ENDED, Later(MINUTE), Claim("Y", "N", (b"Y",)), Prove(), Later(MINUTE))),
    ),
)

OWN_NOTICES = Scope(
    name="own notices",
    about="notices about a number that the messenger determined by itself: the serving one speaks",
    depth=5,
    figures=OWN,
    asks=together(
        always(Claim(operator=None), Tick()),
        when_proving(Prove()),
        *(
            notice(
                ("M", "terminated"),
                ("M", "ported"),
                happened=("unknown", "before", "at", "after"),
                serving=each,
            )
            for each in ("M", "N", None)
        ),
        repeated,
    ),
    deadlines=("anew",),
    starts=(Start((Claim(operator=None), Prove())), Start(given=identified_by(Basis.DECLARED))),
)

NUMBERS = Scope(
    name="numbers",
    about="a user who has a number claims another, and what they have stands behind the claim",
    depth=5,
    figures=FOREIGN._replace(**_SWIFT),
    asks=together(
        always(Claim(), Claim("Y", "N", (b"Y",)), Tick(), Displace("X"), Displace("Y")),
        PROVES,
        answers(*(Answer(outcome, operator) for outcome in OUTCOMES for operator in "MN")),
        notice(("M", "terminated"), ("M", "ported")),
        notice(("N", "ported"), ("M", "ported"), number="Y"),
        always(Disclose()),
    ),
    deadlines=("answer", "anew", "claim"),
    starts=(
        Start(ENDED),
        Start((*ENDED, Later(MINUTE), Notice("a", "M", "ported"), Claim("Y", "N", (b"Y",)))),
        Start(given=identified_by(Basis.DECLARED)),
        Start(given=identified_by(Basis.OWN_DETERMINATION)),
    ),
)

_WRONG = Prove(right=False)
_MORE = (Later(MINUTE), Claim(operator=None))
PROOFS = Scope(
    name="proofs",
    about="tries and verdicts apart, two at once, over resends, expiry, other claims and keys",
    depth=5,
    figures=OWN._replace(**_SWIFT),
    asks=together(
        always(
            Claim(operator=None),
            Claim(operator=None, key="k2"),
            Claim("Y", None, (b"Y",)),
            Try(),
            Tick(),
        ),
        verdicts,
    ),
    deadlines=("resend", "code", "claim"),
    starts=(
        Start(),
        Start(given=OVER),
        Start((Claim(operator=None), Later(MINUTE))),
        Start((Claim(operator=None), _WRONG, _WRONG, Later(MINUTE), Claim(operator=None))),
    ),
)

BUDGETS = Scope(
    name="budgets",
    about="failures by user and number, sends by user and number, over a day and a clock set back",
    depth=5,
    figures=OWN._replace(**_SWIFT),
    asks=together(
        always(
            Claim(operator=None),
            Claim("Y", None, (b"Y",)),
            Claim(operator=None, number_sends=(-DAY, *range(-4, 0))),
            Claim(operator=None, number_sends=(-DAY + 1, *range(-4, 0))),
            Claim(operator=None, unsendable=DAY),
            Claim(operator=None, unsendable="fuse"),
            Try(),
            Tick(),
            Forget(),
        ),
        when_proving(Prove(), Prove(right=False)),
    ),
    deadlines=("resend", "budget"),
    fixed=(-10 * MINUTE, -1),
    starts=(
        Start(),
        Start((Claim(operator=None), _WRONG, _WRONG, Later(MINUTE), Claim(operator=None))),
        Start((Claim(operator=None), *_MORE, *_MORE, *_MORE)),
    ),
)

ROTATION = Scope(
    name="rotation",
    about="indexes of a number under older keys count with the current one; codes outlive a key",
    depth=6,
    figures=OWN._replace(**_SWIFT),
    asks=together(
        always(
            Claim(operator=None),
            Claim(operator=None, tags=(b"X2", b"X"), key="k2"),
            Claim(operator=None, tags=(b"X3", b"X2", b"X"), key="k3"),
            Claim("Y", None, (b"Y2", b"Y"), key="k2"),
            Claim("Y", None, (b"Y",)),
        ),
        when_proving(Prove(), Prove(right=False)),
    ),
    deadlines=("resend",),
    fixed=(HOUR,),
)

SENDING = Scope(
    name="sending",
    about="codes and questions that fail, are lost, are tried again and at last arrive",
    depth=7,
    figures=FOREIGN._replace(lease=30_000_000, retry_longest=20_000_000, **_SWIFT),
    asks=together(
        always(Claim(), Tick(), Tick(lag=1_000_000)),
        when_proving(Prove()),
        answers(Answer("later"), Answer("held")),
        effects,
    ),
    deadlines=("try", "code", "answer"),
    around=(-1, 0),
    starts=(Start(), Start((Claim(), Prove()))),
)

DEBTS = Scope(
    name="debts",
    about="records and withdrawals: acknowledged, failed, cancelled, given up",
    depth=5,
    figures=FOREIGN._replace(lease=20 * MINUTE, debt_kept=HOUR),
    asks=together(
        always(Tick(), Claim(), Displace(), Forget()),
        when_proving(Prove()),
        answers(Answer("held")),
        debts,
    ),
    deadlines=("debt", "given up"),
    starts=(
        Start(given=tried(100)),
        Start(ENDED),
        Start((*ENDED, Later(MINUTE), Displace())),
        Start((*ENDED, Notice("a", "M", "ported"), Claim(), Prove(), Later(MINUTE))),
    ),
)

FORGETTING = Scope(
    name="forgetting",
    about="users are forgotten in every state, what outlives them runs out, and they come back",
    depth=5,
    figures=FOREIGN._replace(lease=HOUR, debt_kept=DAY + 2 * HOUR),
    asks=together(
        always(Forget(), Claim(), Tick(), Try(), Disclose(), Displace(), Answer("held")),
        PROVES,
        debts,
    ),
    deadlines=("budget", "debt"),
    starts=(
        Start(),
        Start(ENDED),
        Start((Claim(), Prove(right=False))),
        Start((*ENDED, Later(MINUTE), Notice("a", "M", "terminated"))),
        Start((*ENDED, Later(MINUTE), Claim("Y", "N", (b"Y",)), Prove())),
    ),
)

DEADLINES = Scope(
    name="deadlines",
    about="whatever is due is settled first, in the order in which it fell due, however late",
    depth=5,
    figures=FOREIGN._replace(code_valid=5 * MINUTE, **_SWIFT),
    asks=together(
        always(
            *(Tick(lag=each) for each in (0, 1, 1_000_000, 10 * MINUTE)),
            Claim(),
            Try(),
            Disclose(),
            Displace("Y"),
        ),
        PROVES,
        answers(Answer("held"), Answer("later")),
        notice(("M", "ported")),
        always(Answer("held", query="q0"), Acknowledged("record", "M", "i1")),
    ),
    deadlines=("code", "claim", "answer", "anew"),
    fixed=(HOUR,),
    starts=(
        Start(ENDED),
        Start((*ENDED, Later(MINUTE), Notice("a", "M", "ported"))),
    ),
)

SCOPES: Final[tuple[Scope, ...]] = (
    PLAIN,
    OWN_SCOPE,
    BOTH_SCOPE,
    RIVALS,
    OWN_RIVALS,
    AGREEMENTS,
    DATES,
    NAMED,
    NAMED_1801,
    NOTICES,
    OWN_NOTICES,
    NUMBERS,
    PROOFS,
    BUDGETS,
    ROTATION,
    SENDING,
    DEBTS,
    FORGETTING,
    DECLARED,
    DEADLINES,
)

"""decide(aggregate, command): which events follow. The procedure of identification, in one place.

Knows every rule. Refuses to know clocks, keys, stores and adapters: what it needs of them comes
with the command. The steps, numbered as the code below echoes them:

1. what is due by then is settled first, so no later step checks a deadline again;
2. a claim is refused at once where rules, budgets or a missing agreement forbid it;
3. a proof is charged before it is judged;
4. a proven number is passed by own determination, or its serving operator is asked;
5. nothing but *held*, in time, under an agreement in force at the asking, passes the others;
6. who proved possession later holds the number;
7. a fresh notice of the operator on record makes identification due anew;
8. whatever is owed at the end takes its lease in the same commit.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from abonent.core.answers import displace, give_answer
from abonent.core.budgets import live
from abonent.core.claims import claim, declare, judge_proof, try_proof
from abonent.core.commands import (
    Claim,
    Command,
    Declare,
    Disclose,
    Displace,
    GiveAnswer,
    HearNotice,
    JudgeProof,
    ReportAcknowledged,
    ReportFailed,
    ReportSent,
    Terrain,
    Tick,
    TryProof,
)
from abonent.core.course import Course, Step
from abonent.core.deadlines import give_up, lease, settle
from abonent.core.events import UserForgotten
from abonent.core.evolution import withdrawals_owed
from abonent.core.notices import hear_notice
from abonent.core.outcomes import disclose, report_acknowledged, report_failed, report_sent
from abonent.core.parties import RESOLUTION
from abonent.core.states import Aggregate, Forgotten


def decide(aggregate: Aggregate, command: Command, terrain: Terrain) -> Step:
    """Decide one command.

    Raises:
        Refused: the answer is no, for now; nothing changed.
        CallerError: the command cannot be right in this state; nothing changed.
    """
    course = Course(aggregate, terrain)
    performed = type(command) in _PERFORMED
    if performed:
        give_up(course, command.at)
    if type(command) is Tick:
        settle(course, command.settled, command.at)
    else:
        # A command at an instant sees every earlier instant settled (step 1).
        settle(course, command.at - RESOLUTION, command.at)
        _DECIDED_BY[type(command)](course, command)
    # Where nobody stands by to perform, what is owed is left to the next sweep.
    effects = lease(course, command.at) if performed else ()
    return Step(events=tuple(course.events), aggregate=course.aggregate, effects=effects)


_PERFORMED: Final = frozenset({Tick, Claim, JudgeProof, GiveAnswer, HearNotice})


def _hear(course: Course, command: HearNotice) -> None:
    for event in hear_notice(course.aggregate, command, course.terrain):
        course.add(event)


_DECIDED_BY: Final[dict[type[Command], Callable[[Course, Any], None]]] = {
    Claim: claim,
    TryProof: try_proof,
    JudgeProof: judge_proof,
    GiveAnswer: give_answer,
    HearNotice: _hear,
    ReportSent: report_sent,
    ReportFailed: report_failed,
    ReportAcknowledged: report_acknowledged,
    Displace: displace,
    Disclose: disclose,
    Declare: declare,
}


def forget(aggregate: Aggregate, at: datetime, terrain: Terrain) -> Step:
    """Return the record of the new subject that stands for a forgotten user.

    Only withdrawals and budgets outlive the user; a repeated call changes nothing.
    """
    if isinstance(aggregate.state, Forgotten):
        return Step(events=(), aggregate=aggregate, effects=())
    course = Course(aggregate, terrain)
    course.add(
        UserForgotten(
            at=at,
            debts=withdrawals_owed(aggregate, at),
            failures=tuple(
                (tag, alive)
                for tag, instants in aggregate.failures
                if (alive := live(instants, at))
            ),
            sends=live(aggregate.sends, at),
        )
    )
    effects = lease(course, at)
    return Step(events=tuple(course.events), aggregate=course.aggregate, effects=effects)

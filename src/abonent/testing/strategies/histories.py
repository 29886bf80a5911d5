"""Histories: commands that make sense after one another, as a messenger's days bring them.

Knows which command may come next and when it is interesting. Refuses to judge what follows: that
is for `decide`, and for the test that asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, TypeAlias, TypeVar

from attrs import frozen
from hypothesis import strategies as st

from abonent.core.agreements import Agreement, Agreements
from abonent.core.commands import (
    Claim,
    Command,
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
from abonent.core.course import Step
from abonent.core.events import Outcome
from abonent.core.identification import decide
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import send_id, wakes_at
from abonent.core.parties import RESOLUTION, Messenger, MessengerKind
from abonent.core.policy import Policy
from abonent.core.states import (
    BLANK,
    Aggregate,
    AwaitingAnswer,
    EffectKind,
    NoticeKind,
    ProvingPossession,
    identified_in,
    standing_identification,
)
from abonent.errors import CallerError, Refused

T = TypeVar("T")
Commands: TypeAlias = Callable[[st.DrawFn], list[Command]]

_START: Final = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
_NUMBERS: Final = (SubscriberNumber("+79161234567"), SubscriberNumber("+79262345678"))
_OPERATORS: Final = ("mts", "beeline")
_STEPS: Final = (timedelta(), timedelta(), RESOLUTION, timedelta(seconds=61), timedelta(hours=2))


@frozen(kw_only=True)
class History:
    """What one user was taken through, from nothing. Every command of it is accepted."""

    terrain: Terrain
    commands: tuple[Command, ...]

    def steps(self) -> Iterator[Step]:
        """Decide it, command by command."""
        aggregate = BLANK
        for command in self.commands:
            step = decide(aggregate, command, self.terrain)
            aggregate = step.aggregate
            yield step

    @property
    def aggregate(self) -> Aggregate:
        """What is kept at its end."""
        aggregate = BLANK
        for step in self.steps():
            aggregate = step.aggregate
        return aggregate


@st.composite
def histories(draw: st.DrawFn, max_moves: int = 20) -> History:
    """Histories of one user with two numbers and two operators.

    A try and its verdict are one move. Time goes on by nothing, by a little, or to a deadline, a
    microsecond beside it included.
    """
    terrain = draw(_terrains())
    aggregate, at = BLANK, _START
    commands: list[Command] = []
    for serial in range(draw(st.integers(0, max_moves))):
        at = _later(draw, at, wakes_at(aggregate))
        for command in _pick(draw, _next(aggregate, at, serial))(draw):
            try:
                aggregate = decide(aggregate, command, terrain).aggregate
            except (Refused, CallerError):
                break
            commands.append(command)
    return History(terrain=terrain, commands=tuple(commands))


def reachable() -> st.SearchStrategy[Aggregate]:
    """Records as the procedure makes them, where `of(Aggregate)` gives any shape."""
    return histories().map(lambda each: each.aggregate)


def _terrains() -> st.SearchStrategy[Terrain]:
    agreements = [
        Agreement(id=f"with-{each}", messenger="messenger", operator=each, starts=_START)
        for each in _OPERATORS
    ]
    messengers = [Messenger(id="messenger", kind=kind) for kind in MessengerKind]
    return st.builds(
        Terrain,
        messenger=st.sampled_from(messengers),
        policy=st.booleans().map(lambda asks: Policy(ask_operator_too=asks)),
        agreements=st.just(Agreements("messenger", agreements)),
        rules=st.none(),
    )


def _later(draw: st.DrawFn, at: datetime, wake: datetime | None) -> datetime:
    moments = [at + each for each in _STEPS]
    if wake is not None and wake - RESOLUTION > at:
        moments += [wake - RESOLUTION, wake, wake + RESOLUTION]
    return _pick(draw, moments)


def _pick(draw: st.DrawFn, among: Sequence[T]) -> T:
    """One of several. Strategies that differ in every step would be made anew in every step."""
    return among[draw(st.integers(0, len(among) - 1))]


# --- what may come next -------------------------------------------------------------


def _next(aggregate: Aggregate, at: datetime, serial: int) -> list[Commands]:
    """What has a reason to come now, more often what leads on; a try brings its verdict along."""
    state = aggregate.state
    found: list[Commands] = [partial(_tick, at), partial(_claim, at, serial)]
    if isinstance(state, ProvingPossession):
        sent = ReportSent(at=at, claim=state.claim, issue=state.issued, opaque=b"")
        proof = partial(_proof, state, at, serial)
        failure = _failure(EffectKind.SEND_CODE, send_id(state.claim, state.issued), at)
        found += [proof, proof, proof, proof, _just(sent), failure]
    if isinstance(state, AwaitingAnswer):
        answer = partial(_answer, state, at, serial)
        failure = _failure(EffectKind.ASK_OPERATOR, state.query_id, at)
        found += [answer, answer, answer, failure, partial(_notice, state.number, at)]
    identified = identified_in(standing_identification(state))
    if identified is not None:
        number = identified.number
        disclosed = Disclose(at=at, recipient="bank", purpose="delivery", consent_at=at)
        found += [partial(_notice, number, at), _just(Displace(at=at, number=number))]
        found += [_just(disclosed)]
    for debt in aggregate.debts:
        done = ReportAcknowledged(at=at, kind=debt.kind, operator=debt.operator, code=debt.code)
        found += [_just(done), _just(done), _failure(debt.kind, debt.id, at)]
    return found


def _just(command: Command) -> Commands:
    return lambda _: [command]


def _failure(kind: EffectKind, effect: str, at: datetime) -> Commands:
    return _just(ReportFailed(at=at, kind=kind, id=effect, cause="UNAVAILABLE"))


def _tick(at: datetime, draw: st.DrawFn) -> list[Command]:
    return [Tick(at=at, settled=at - _pick(draw, (timedelta(), timedelta(seconds=1))))]


def _claim(at: datetime, serial: int, draw: st.DrawFn) -> list[Command]:
    number = _pick(draw, _NUMBERS)
    return [
        Claim(
            at=at,
            number=number,
            unlisted=False,
            tags=(f"tag {number.e164}".encode(),),
            claim=f"claim-{serial}",
            key_id="k1",
            operator=_pick(draw, _OPERATORS),
            number_sends=(),
            locale="ru",
        )
    ]


def _proof(state: ProvingPossession, at: datetime, serial: int, draw: st.DrawFn) -> list[Command]:
    code = state.code
    judged = JudgeProof(
        at=at,
        tried_at=at,
        claim=state.claim,
        issue=0 if code is None else code.issue,
        key_id="" if code is None else code.key_id,
        proven=_pick(draw, (True, True, False)),
        query_id=f"query-{serial}",
        code=f"code-{serial}",
        rival_proven_at=None,
    )
    return [TryProof(at=at), judged]


def _answer(state: AwaitingAnswer, at: datetime, serial: int, draw: st.DrawFn) -> list[Command]:
    outcome = _pick(draw, (Outcome.HELD, Outcome.HELD, *Outcome))
    rival = _pick(draw, (False, False, False, True))
    return [
        GiveAnswer(
            at=at,
            query_id=state.query_id,
            operator=state.operator,
            outcome=outcome,
            opaque=b"ticket" if outcome is Outcome.LATER else b"",
            serving=next(each for each in _OPERATORS if each != state.operator),
            next_query_id=f"query-{serial}",
            code=f"code-{serial}",
            rival_proven_at=state.proven_at + RESOLUTION if rival else None,
        )
    ]


def _notice(number: SubscriberNumber, at: datetime, draw: st.DrawFn) -> list[Command]:
    operator = _pick(draw, _OPERATORS)
    ago = _pick(draw, (None, timedelta(), timedelta(hours=3)))
    return [
        HearNotice(
            at=at,
            notice_id=f"notice-{draw(st.integers(0, 5))}",
            operator=operator,
            kind=_pick(draw, tuple(NoticeKind)),
            number=number,
            happened_at=None if ago is None else at - ago,
            serving=operator,
        )
    ]

"""The real core, asked in the model's words: what to give it, and what its records say.

Knows both spellings. Refuses to know what is right. Instants are microseconds from `ORIGIN`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import Any

from msgspec import Struct

from abonent.core import commands as real
from abonent.core import events as told
from abonent.core import states
from abonent.core.agreements import Agreement, Agreements
from abonent.core.budgets import Unsendable
from abonent.core.evolution import evolve
from abonent.core.identification import decide, forget
from abonent.core.numbers import SubscriberNumber
from abonent.core.owed import AskOperator, Effect, SendCode, gate, is_owed, owed, wakes_at
from abonent.core.parties import Messenger, MessengerKind
from abonent.core.policy import Policy
from abonent.core.rules import rules_by_id
from abonent.core.standing import Action, standing
from abonent.core.states import Aggregate
from abonent.errors import AbonentError
from tests.search import words
from tests.search.words import Figures, Said, User

ORIGIN = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
_FAR = ORIGIN + timedelta(days=3000)
_MICROSECOND = timedelta(microseconds=1)
NUMBERS = {
    "X": SubscriberNumber("+79161234567"),
    "Y": SubscriberNumber("+79035557788"),
}
_LETTERS = {number: letter for letter, number in NUMBERS.items()}
_STATUTORY = 20 * words.MINUTE


# --- there ----------------------------------------------------------------------------


@cache
def instant(at: int) -> datetime:
    return ORIGIN + at * _MICROSECOND


def terrain(figures: Figures, policy: dict[str, Any] | None = None) -> real.Terrain:
    """What the core needs to know of these figures."""

    def time(value: int) -> timedelta:
        return value * _MICROSECOND

    kind = MessengerKind.FOREIGN if figures.foreign else MessengerKind.DOMESTIC
    return real.Terrain(
        messenger=Messenger(id="m", kind=kind),
        policy=Policy(
            ask_operator_too=figures.asks_too,
            code_valid=time(figures.code_valid),
            claim_valid=time(figures.claim_valid),
            resend_after=time(figures.resend_after),
            tries_per_code=figures.tries_per_code,
            failures_per_day=figures.failures_per_day,
            sends_per_user=figures.sends_per_user,
            sends_per_number=figures.sends_per_number,
            lease=time(figures.lease),
            retry_first=time(figures.retry_first),
            retry_longest=time(figures.retry_longest),
            debt_kept=time(figures.debt_kept),
            **(policy or {}),
        ),
        agreements=Agreements(
            "m",
            [
                Agreement(
                    id=name,
                    messenger="m",
                    operator=operator.lower(),
                    starts=instant(starts),
                    ends=None if ends is None else instant(ends),
                )
                for name, operator, starts, ends in figures.agreements
            ],
        ),
        rules=None if figures.named is None else rules_by_id(figures.named),
    )


def _unsendable(until: int | str | None) -> Unsendable | None:
    if until is None:
        return None
    return Unsendable(until=None if isinstance(until, str) else instant(until))


def command(ask: words.Ask, at: datetime) -> real.Command:
    """Put a command of the model as one of the core."""
    match ask:
        case words.Tick(lag):
            return real.Tick(at=at, settled=at - lag * _MICROSECOND)
        case words.Claim(number, operator, tags, key, sends, unsendable):
            return real.Claim(
                at=at,
                number=NUMBERS[number],
                unlisted=False,
                tags=tags,
                claim=words.NEW_CLAIM,
                key_id=key,
                operator=_lower(operator),
                number_sends=tuple(map(instant, sends)),
                locale="ru",
                unsendable=_unsendable(unsendable),
            )
        case words.Try():
            return real.TryProof(at=at)
        case words.Judge():
            return real.JudgeProof(
                at=at,
                tried_at=instant(ask.tried),
                claim=ask.claim,
                issue=ask.issue,
                key_id=ask.key,
                proven=ask.right,
                query_id=words.NEW_QUERY,
                code=words.NEW_CODE,
                rival_proven_at=_maybe(ask.rival),
            )
        case words.Answer():
            return real.GiveAnswer(
                at=at,
                query_id=ask.query,
                operator=ask.operator.lower(),
                outcome=told.Outcome(ask.outcome),
                opaque=words.ANSWER_OPAQUE,
                serving=_lower(ask.serving),
                next_query_id=words.NEW_QUERY,
                code=words.NEW_CODE,
                rival_proven_at=_maybe(ask.rival),
            )
        case words.Notice():
            return real.HearNotice(
                at=at,
                notice_id=ask.name,
                operator=ask.operator.lower(),
                kind=states.NoticeKind(ask.kind),
                number=NUMBERS[ask.number],
                happened_at=_maybe(ask.happened),
                serving=_lower(ask.serving),
            )
        case words.Sent(claim, issue):
            return real.ReportSent(at=at, claim=claim, issue=issue, opaque=words.SENT_OPAQUE)
        case words.Failed(kind, name):
            return real.ReportFailed(
                at=at, kind=states.EffectKind(kind), id=name, cause="UNAVAILABLE"
            )
        case words.Acknowledged(kind, operator, code):
            return real.ReportAcknowledged(
                at=at, kind=states.EffectKind(kind), operator=operator.lower(), code=code
            )
        case words.Displace(number):
            return real.Displace(at=at, number=NUMBERS[number])
        case words.Declare(number, operator, ago, taken):
            return real.Declare(
                at=at,
                number=NUMBERS[number],
                proven_at=at - ago * _MICROSECOND,
                operator=_lower(operator),
                code=words.NEW_CODE,
                taken=taken,
            )
        case words.Disclose():
            return real.Disclose(at=at, recipient="bank", purpose="delivery", consent_at=at)
    raise TypeError(ask)


def _lower(operator: str | None) -> str | None:
    return None if operator is None else operator.lower()


def _maybe(at: int | None) -> datetime | None:
    return None if at is None else instant(at)


# --- and back -------------------------------------------------------------------------


@cache
def moment(at: datetime) -> int:
    return (at - ORIGIN) // _MICROSECOND


def plain(value: Any) -> Any:
    """A single value in the model's words."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, SubscriberNumber):
        return _LETTERS[value]
    return value


def user_of(aggregate: Aggregate) -> User:
    """Lay a record open."""
    state = aggregate.state
    attempt: Any = None
    end = None
    was = "known"
    match state:
        case states.Unidentified():
            was = "new"
        case states.Forgotten():
            was = "forgotten"
        case states.NotPassed(reason=reason, at=at, due=due, retry_at=retry):
            end = words.End(reason.value, moment(at), plain(due), plain(retry))
        case states.ProvingPossession():
            attempt = _proving(state)
        case states.AwaitingAnswer():
            attempt = words.Awaiting(
                number=plain(state.number),
                proven=moment(state.proven_at),
                operator=state.operator.upper(),
                agreement=state.agreement,
                query=state.query_id,
                asked=moment(state.asked_at),
                due=moment(state.due),
                asking=_tries(state.asking),
                rerouted=state.rerouted,
                rules=state.rules,
                opaque=state.opaque,
            )
    standing_now = state.before if attempt is not None else state  # type: ignore[union-attr]
    held, due_anew = _held(standing_now)
    return User(
        was=was,
        attempt=attempt,
        held=held,
        due=due_anew,
        end=end,
        debts=tuple(
            words.Debt(
                each.kind.value,
                each.operator.upper(),
                each.code,
                moment(each.since),
                each.attempt.tries,
                moment(each.attempt.next_try),
            )
            for each in aggregate.debts
        ),
        failures=tuple(
            sorted((tag, tuple(map(moment, instants))) for tag, instants in aggregate.failures)
        ),
        sends=tuple(map(moment, aggregate.sends)),
        notices=tuple(_notice_name(each) for each in aggregate.notices),
    )


def _notice_name(heard: str) -> str:
    operator, _, name = heard.partition(" ")
    return f"{operator.upper()} {name}"


def _tries(attempt: states.Attempt | None) -> tuple[int, int] | None:
    return None if attempt is None else (attempt.tries, moment(attempt.next_try))


def _proving(state: states.ProvingPossession) -> words.Proving:
    code = state.code
    return words.Proving(
        number=plain(state.number),
        tag=state.tag,
        claim=state.claim,
        operator=None if state.operator is None else state.operator.upper(),
        rules=state.rules,
        locale=state.locale,
        expires=moment(state.expires_at),
        issued=state.issued,
        issued_at=moment(state.issued_at),
        code=None
        if code is None
        else words.Code(
            issue=code.issue,
            key=code.key_id,
            issued=moment(code.issued_at),
            expires=moment(code.expires_at),
            tries=code.tries,
            sending=_tries(code.sending),
            opaque=code.opaque,
        ),
    )


def _held(state: Any) -> tuple[words.Held | None, words.Due | None]:
    due = None
    if isinstance(state, states.ReidentificationDue):
        due = words.Due(
            state.cause.value,
            plain(state.happened_at),
            moment(state.noticed_at),
            moment(state.due),
        )
        state = state.was
    if not isinstance(state, states.Identified):
        return None, None
    held = words.Held(
        number=plain(state.number),
        proven=moment(state.proven_at),
        asked=plain(state.asked_at),
        since=moment(state.since),
        operator=None if state.operator is None else state.operator.upper(),
        agreement=state.agreement,
        code=state.code,
        basis=state.basis.value,
        rules=state.rules,
    )
    return held, due


_FACTS: dict[str, tuple[str, ...]] = {
    "DebtGivenUp": ("kind", "operator", "code"),
    "CodeExpired": ("claim", "issue"),
    "Lapsed": ("due",),
    "TombstoneCleared": (),
    "AttemptStarted": ("kind", "id"),
    "AttemptFailed": ("kind", "id", "next_try"),
    "IdentificationNotPassed": ("reason", "due", "retry_at"),
    "Passed": (
        *("number", "proven_at", "asked_at", "at", "operator"),
        *("agreement", "code", "basis", "rules"),
    ),
    "Declared": ("number", "proven_at", "operator", "code", "rules"),
    "NumberClaimed": ("number", "operator", "rules"),
    "CodeIssued": ("claim", "issue", "key_id"),
    "ProofTried": ("claim", "tag"),
    "ProofFailed": ("claim",),
    "PossessionProven": ("claim", "tried_at"),
    "OperatorAsked": ("operator", "agreement", "due", "rerouted"),
    "LateAnswerIgnored": ("operator", "outcome", "why"),
    "AnswerDeferred": (),
    "AnswerReceived": ("operator", "outcome"),
    "NoticeReceived": ("operator", "kind", "happened_at"),
    "StaleNoticeIgnored": ("operator", "kind", "why"),
    "ReidentificationRequired": ("cause", "happened_at", "due"),
    "Displaced": (),
    "CodeSent": ("claim", "issue"),
    "CodeRecorded": ("operator", "code"),
    "RecordWithdrawn": ("operator", "code"),
    "NumberDisclosed": (),
    "UserForgotten": (),
}


def fact(event: told.Event) -> tuple[Any, ...]:
    """An event in the model's words."""
    name = type(event).__name__
    parts: list[Any] = []
    for field in _FACTS[name]:
        value = plain(getattr(event, field))
        parts.append(value.upper() if field == "operator" and value else value)
    return (name, *parts)


def effect(it: Effect) -> tuple[Any, ...]:
    """An effect in the model's words."""
    kind = it.kind.value
    if isinstance(it, SendCode):
        return (kind, it.id, plain(it.number), it.claim, it.issue, it.key_id, it.tries)
    if isinstance(it, AskOperator):
        rest = (moment(it.asked_at), moment(it.due), it.opaque, it.tries)
        return (kind, it.id, plain(it.number), it.operator.upper(), *rest)
    number = plain(getattr(it, "number", None))
    return (kind, it.id, number, it.operator.upper(), it.code, moment(it.since), it.tries)


class Done(Struct, frozen=True):
    """What the core made of a command: in its own terms, and as the model would say it."""

    before: Aggregate
    after: Aggregate
    events: tuple[told.Event, ...]
    said: Said


def ask_core(
    aggregate: Aggregate, user: User, ask: words.Ask, where: real.Terrain, now: int
) -> Done:
    """Let the core decide; `user` is what the record says."""
    at = instant(now)
    try:
        if isinstance(ask, words.Forget):
            made = forget(aggregate, at, where)
        else:
            made = decide(aggregate, command(ask, at), where)
    except AbonentError as error:
        no = (type(error).__name__, plain(error.retry_at))
        return Done(aggregate, aggregate, (), Said(user=user, error=no))
    said = Said(
        user=user if made.aggregate is aggregate else user_of(made.aggregate),
        told=tuple(map(fact, made.events)),
        owed=tuple(map(effect, made.effects)),
    )
    return Done(aggregate, made.aggregate, made.events, said)


def replayed(aggregate: Aggregate, events: tuple[told.Event, ...]) -> Aggregate:
    for event in events:
        aggregate = evolve(aggregate, event)
    return aggregate


def readings(aggregate: Aggregate, now: int, policy: Policy) -> tuple[Any, ...]:
    """What the core reads in a record at an instant: standing, gate, wake, what is owed."""
    at = instant(now)
    shown = standing("a", aggregate, at, policy)
    steps = {each.action: each for each in shown.next}
    may = all(shown.may(each) is steps.get(each) for each in Action)
    answer = gate(aggregate, at)
    return (
        (
            shown.status.value,
            _gate(shown.gate),
            plain(shown.reason),
            plain(shown.basis),
            shown.identification_code,
            tuple(
                (each.action.value, moment(each.since), plain(each.until), each.tries)
                for each in (shown.next if may else ())
            ),
        ),
        _gate(answer),
        plain(wakes_at(aggregate)),
        tuple(map(effect, owed(aggregate, at))),
    )


def _gate(answer: Any) -> tuple[bool, int | None, str | None]:
    return (bool(answer), plain(answer.until), plain(answer.reason))


def ever_owed(aggregate: Aggregate) -> tuple[Effect, ...]:
    """All that may be performed at any time, if nothing comes between."""
    return owed(aggregate, _FAR)


def still_owed(aggregate: Aggregate, effects: tuple[Effect, ...]) -> tuple[str, ...]:
    """Which of these effects the core still wants performed, by id."""
    return tuple(each.id for each in effects if is_owed(aggregate, each))

"""One command on one record: what the core did, against the model and the invariants.

Knows how to compare and what to call a difference. Refuses to know which commands come when.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any, NamedTuple

from abonent.core.commands import Terrain
from abonent.core.states import Aggregate
from tests.search import core, model, reading, words
from tests.search.core import Done
from tests.search.words import Ask, Figures, User


class Violation(Exception):
    """What must be so is not: each line of `why` begins with the invariant, or says `model`.

    `asked` is the command after which it was seen, None where time alone had passed.
    """

    def __init__(self, why: list[str]) -> None:
        super().__init__("; ".join(why))
        self.why = why
        self.asked: Any = None


class Ground(NamedTuple):
    """Under what a command is decided: for the model, for the core, and when."""

    figures: Figures
    where: Terrain
    now: int


class NoEnd(Exception):
    """A decision that did not come to an end."""


class _Soon:
    """Whatever is decided here is decided within seconds of processor time, or raises."""

    def __enter__(self) -> None:
        signal.signal(signal.SIGPROF, self._stop)
        signal.setitimer(signal.ITIMER_PROF, _LONGEST_DECISION)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _stop(self, *_: object) -> None:
        raise NoEnd


_LONGEST_DECISION = 2.0


def ask(before: Aggregate, user: User, it: Ask, ground: Ground) -> Done:
    """Let the core decide a command and hold the outcome against model and invariants.

    Raises:
        Violation: they differ.
    """
    figures, where, now = ground
    try:
        with _Soon():
            done = core.ask_core(before, user, it, where, now)
    except Exception as error:
        raise Violation([f"model: the core raised {type(error).__name__}"]) from error
    said = model.step(user, it, figures, now)
    why = list(_broken(user, it, done, figures, now))
    why += [f"model: {each}" for each in _differences(said, done.said)]
    if why:
        raise Violation(why)
    return done


def look(aggregate: Aggregate, user: User, ground: Ground) -> None:
    """Hold what the core reads in a record against what the model reads.

    Raises:
        Violation: they differ.
    """
    figures, where, now = ground
    shown, gate, wake, owed_now = core.readings(aggregate, now, where.policy)
    deadlines = reading.deadlines(user)
    why: list[str] = []
    if gate != reading.gate(user, now):
        why.append(f"I1: the gate is {gate}, not {reading.gate(user, now)}")
    if wake != min(deadlines, default=None):
        why.append(f"I10: wakes at {wake}, not {min(deadlines, default=None)}")
    if owed_now != reading.owed(user, now):
        why.append(f"I8: owed is {owed_now}, not {reading.owed(user, now)}")
    expected = reading.standing(user, now, figures)
    if shown != expected:
        why.append(f"model: the user is told {shown}, not {expected}")
    if why:
        raise Violation(why)


def _differences(expected: words.Said, real: words.Said) -> Iterator[str]:
    if expected.error != real.error:
        yield f"refused with {real.error}, not {expected.error}"
    if expected.told != real.told:
        yield f"told {real.told}, not {expected.told}"
    if expected.owed != real.owed:
        yield f"to be performed {real.owed}, not {expected.owed}"
    for name in User._fields:
        ours, theirs = getattr(expected.user, name), getattr(real.user, name)
        if ours != theirs:
            yield f"{name} is {theirs}, not {ours}"


def _broken(before: User, it: Ask, done: Done, figures: Figures, now: int) -> Iterator[str]:
    """The invariants that can be said of a single step, each on its own."""
    after = done.said.user
    told = {name for name, *_ in done.said.told}
    attempt = before.attempt
    if (
        reading.gate(after, now)[0]
        and not reading.gate(before, now)[0]
        and not {"Passed", "Declared"} & told
    ):
        yield "I1: the gate opened without a pass"
    if "Passed" in told:
        yield from _broken_pass(before, it, after, figures, now)
    if isinstance(it, words.Notice):
        known = f"{it.operator} {it.name}" in before.notices
        if known and "NoticeReceived" in told:
            yield "I4: the same notice counted twice"
        if before.due and after.due and before.due.until < after.due.until:
            yield "I4: a notice put off a due instant"
    if isinstance(it, words.Displace) and after.held and after.held.number == it.number:
        yield "I3: who has to give way holds the number still"
    yield from _broken_count(before, it, told, after, now)
    replayed = core.replayed(done.before, done.events)
    if replayed != done.after and not isinstance(it, words.Forget):
        yield "I7: replaying the events does not give the record"
    yield from _broken_debts(done)
    wake = min(reading.deadlines(after), default=None)
    if isinstance(it, words.Tick) and wake is not None and wake <= now - it.lag:
        yield "I10: a sweep would spin on this record"
    if isinstance(it, words.Answer) and isinstance(attempt, words.Awaiting):
        late = now > attempt.due
        if late and after.held not in (before.held, None):
            yield "I2: a late answer identified"


def _broken_pass(before: User, it: Ask, after: User, figures: Figures, now: int) -> Iterator[str]:
    attempt, held = before.attempt, after.held
    if held is None or attempt is None:
        yield "I1: a pass that nothing led to"
        return
    if held.code != words.NEW_CODE:
        yield "I11: an identification code that is not fresh"
    if held.number != attempt.number or held.rules != attempt.rules:
        yield "I1: passed with another number or under other rules"
    if isinstance(it, words.Judge):
        if not it.right or figures.asks:
            yield "I5: passed by own determination where the operator is to be asked"
    elif isinstance(it, words.Answer) and isinstance(attempt, words.Awaiting):
        if it.outcome != "held" or now > attempt.due:
            yield "I2: passed by another answer than held, in time"
        if (held.operator, it.operator, it.query) != (
            *(attempt.operator, attempt.operator),
            attempt.query,
        ):
            yield "I5: passed by the answer to another question, or of another operator"
        if figures.foreign and held.agreement is None:
            yield "I5: passed without an agreement"
    else:
        yield "I1: passed by nothing that can pass"
    if getattr(it, "rival", None) is not None and it.rival > held.proven:  # type: ignore[union-attr, operator]
        yield "I3: an earlier prover took the number from a later one"


def _broken_count(before: User, it: Ask, told: set[str], after: User, now: int) -> Iterator[str]:
    """Failures are charged by a try and taken back by its proof; nothing else moves them."""
    counted = [at for _, when in before.failures for at in reading.counted(when, now)]
    expected = len(counted) + ("ProofTried" in told)
    if "PossessionProven" in told and isinstance(it, words.Judge):
        expected -= it.tried in counted
    left = sum(len(reading.counted(when, now)) for _, when in after.failures)
    if left != expected:
        yield f"I6: {left} failures are counted, not {expected}"


def _broken_debts(done: Done) -> Iterator[str]:
    """What was owed is owed until it was acknowledged, cancelled or given up by name."""
    ever = core.ever_owed(done.before)
    now_owed = [each[:2] for each in reading.owed(done.said.user, None)]
    expected = tuple(each.id for each in ever if (each.kind.value, each.id) in now_owed)
    if core.still_owed(done.after, ever) != expected:
        yield "I8: something cancelled is still performed, or something owed is not"
    if len({name for _, name in now_owed}) != len(now_owed):
        yield "I8: two things owed bear one id"


def describe(value: Any) -> str:
    """A command as one reads it."""
    fields = ", ".join(
        f"{name}={getattr(value, name)!r}"
        for name in value._fields
        if getattr(value, name) != value._field_defaults.get(name, "")
    )
    return f"{type(value).__name__.lower()}({fields})"


_WITHOUT = frozenset(
    {"tried", "claim", "issue", "rival", "happened", "number_sends", "name", "code", "lag"}
)


def letter(value: Ask) -> str:
    """A command without its ids and instants: one letter of the alphabet."""
    parts: list[str] = []
    for name, each in zip(value._fields, value, strict=True):
        if name == "tags":
            parts += ["under " + "/".join(tag.decode() for tag in each)] if len(each) > 1 else []
        elif name not in _WITHOUT and each not in ("q1", None):
            parts.append(f"serving {each}" if name == "serving" else str(each))
    return " ".join([type(value).__name__.lower(), *parts])

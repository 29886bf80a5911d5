"""The search finds nothing in the core, and finds what is broken on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
import pytest
from msgspec.structs import replace

from abonent.core import answers, claims, evolution, identification, notices, owed
from abonent.core.events import CodeIssued
from abonent.core.owed import OPEN
from abonent.core.states import BLANK, Aggregate, AwaitingAnswer
from tests.search import __main__ as command
from tests.search import alike, borders, cells, checking, core, words
from tests.search.alphabet import Later, Prove, Scope, View, always, notice, together, verdicts
from tests.search.checking import Violation
from tests.search.scopes import SCOPES
from tests.search.search import Search
from tests.search.starts import ANSWERS, FOREIGN, OWN, PROVES
from tests.search.words import HOUR, MINUTE, Answer, Claim, Tick, Try

SHALLOW = 2


def scope(name: str) -> Scope:
    return next(each for each in SCOPES if each.name == name)


@pytest.mark.parametrize("name", [each.name for each in SCOPES])
def test_nothing_is_found(name):
    """To a small depth, core and model agree in every scope, and new states appear at each step."""
    found = Search(scope(name)).run(SHALLOW)

    assert () == found.why
    assert found.complete
    assert SHALLOW + 1 == len(found.per_depth)
    assert all(found.per_depth)
    assert found.alphabet


def test_the_plain_scope_goes_deep():
    """The scope of two users, two operators and one number is made for at least nine steps."""
    plain = scope("plain")
    assert plain.depth >= 9
    assert not plain.alone


def test_nothing_is_let_in():
    """Every construction at the border and every cell of the table is as it must be."""
    assert [] == borders.both()
    assert borders.count() > 150
    assert 27 * 11 == cells.count()


# --- broken on purpose ----------------------------------------------------------------


def late_answers(patch: pytest.MonkeyPatch) -> None:
    """An answer counts as if it had come at its due instant."""

    def decide(aggregate: Aggregate, asked: Any, terrain: Any) -> Any:
        if isinstance(asked, core.real.GiveAnswer) and isinstance(aggregate.state, AwaitingAnswer):
            asked = replace(asked, at=min(asked.at, aggregate.state.due))
        return identification.decide(aggregate, asked, terrain)

    patch.setattr(core, "decide", decide)


def stale_notices(patch: pytest.MonkeyPatch) -> None:
    """A notice counts, whatever it is about."""
    patch.setattr(notices, "_fresh", lambda command, since: True)


def earlier_provers(patch: pytest.MonkeyPatch) -> None:
    """Whose answer comes last holds the number."""

    def pass_(course: Any, *, passed: Any, rival_proven_at: Any) -> None:
        course.add(passed)

    patch.setattr(answers, "pass_", pass_)
    patch.setattr(claims, "pass_", pass_)


def open_gates(patch: pytest.MonkeyPatch) -> None:
    """A gate stays open whatever an operator says."""
    patch.setattr(owed, "_standing_gate", lambda standing, now: OPEN)


def no_refund(patch: pytest.MonkeyPatch) -> None:
    """A right proof stays counted as a failure."""
    patch.setattr(evolution, "refund", lambda instants, at: instants)


def resets(patch: pytest.MonkeyPatch) -> None:
    """A new code comes with a new budget."""
    apply = evolution._APPLY[CodeIssued]

    def forgiving(aggregate: Aggregate, event: Any) -> Aggregate:
        return replace(apply(aggregate, event), failures=())

    patch.setitem(evolution._APPLY, CodeIssued, forgiving)


def zombies(patch: pytest.MonkeyPatch) -> None:
    """A record is made although its identification is over."""

    def ended(debts: Any, older: Any, at: Any) -> Any:
        return debts

    patch.setattr(evolution, "_ended", ended)


def two_holders(patch: pytest.MonkeyPatch) -> None:
    """Nobody gives way."""
    patch.setitem(identification._DECIDED_BY, core.real.Displace, lambda course, command: None)


def asleep(patch: pytest.MonkeyPatch) -> None:
    """What waits for an answer does not wake for its deadline."""
    wakes_at = core.wakes_at

    def later(aggregate: Aggregate) -> Any:
        state = aggregate.state
        if isinstance(state, AwaitingAnswer) and state.asking is not None:
            return state.asking.next_try
        return wakes_at(aggregate)

    patch.setattr(core, "wakes_at", later)


def endless(patch: pytest.MonkeyPatch) -> None:
    """A deadline is settled, and settled, and settled."""

    def settle(course: Any, until: Any, at: Any) -> None:
        while True:
            pass

    patch.setattr(identification, "settle", settle)
    patch.setattr(checking, "_LONGEST_DECISION", 0.1)


@pytest.mark.parametrize(
    ("fault", "where", "invariant", "steps"),
    [
        (late_answers, "plain", "I2", 4),
        (stale_notices, "own", "model", 3),
        (earlier_provers, "plain", "I3", 7),
        (open_gates, "plain", "I1", 4),
        (no_refund, "plain", "I6", 2),
        (resets, "proofs", "I6", 1),
        (zombies, "plain", "I8", 6),
        (two_holders, "own", "I3", 4),
        (asleep, "plain", "I10", 2),
        (endless, "plain", "model", 1),
    ],
)
def test_what_is_broken_is_found(monkeypatch, fault, where, invariant, steps):
    """A broken core is found by the invariant that it breaks, by the shortest history."""
    fault(monkeypatch)

    found = Search(scope(where)).run(8)

    assert (steps, invariant) == (len(found.history), next(iter(found.why)).partition(":")[0]), (
        found.history,
        found.why,
    )


def test_a_broken_history_is_readable(monkeypatch, capsys):
    """The command prints the alphabet, the counts and the shortest history, and fails."""
    stale_notices(monkeypatch)
    monkeypatch.setattr(command, "ProcessPoolExecutor", AtOnce)

    assert 1 == command.main(["--scope", "own", "--depth", "3"])

    said = capsys.readouterr().out
    assert "VIOLATED after 3 steps" in said
    assert "alphabet: " in said
    assert "1. A claim(" in said


def test_a_sound_core_passes(monkeypatch, capsys):
    """Without a violation the command succeeds, and says how many states it saw."""
    monkeypatch.setattr(command, "ProcessPoolExecutor", AtOnce)

    assert 0 == command.main(["--scope", "own", "--depth", "4"])

    said = capsys.readouterr().out
    assert "own: 97 distinct states to depth 4 (1 1 4 16 75)" in said
    assert "VIOLATED" not in said


class AtOnce:
    """A pool of processes without processes."""

    def __init__(self, _: int) -> None:
        pass

    def __enter__(self) -> AtOnce:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, work: Any, *arguments: Any) -> Any:
        import concurrent.futures

        done: concurrent.futures.Future[Any] = concurrent.futures.Future()
        done.set_result(work(*arguments))
        return done


def test_a_scope_that_is_named_wrongly(capsys):
    """A scope that does not exist is refused with the names of those that do."""
    with pytest.raises(SystemExit):
        command.main(["--scope", "nowhere"])
    assert "plain" in capsys.readouterr().err


# --- nothing is merged that a guard tells apart ----------------------------------------


TINY = [
    Scope(
        name="tiny proofs",
        about="",
        depth=4,
        figures=OWN._replace(claim_valid=15 * MINUTE),
        asks=together(always(Claim(operator=None), Try(), Tick()), verdicts),
        deadlines=("resend", "code"),
        around=(0, 1),
    ),
    Scope(
        name="tiny answers",
        about="",
        depth=5,
        figures=FOREIGN._replace(lease=HOUR),
        asks=together(
            always(Claim(), Tick()), PROVES, ANSWERS, notice(("M", "ported"), happened=("at",))
        ),
        deadlines=("answer", "anew"),
        around=(0,),
        fixed=(MINUTE,),
    ),
]


class Naive:
    """The same search without any abstraction: every record as it is, at the time that it is."""

    def __init__(self, tiny: Scope) -> None:
        self.tiny = tiny
        self.where = core.terrain(tiny.figures, tiny.policy)
        self.serial = 0

    def levels(self, depth: int) -> Iterator[dict[Any, None]]:
        level: dict[Any, None] = {(BLANK, (), 0): None}
        yield level
        for _ in range(depth):
            level = {after: None for each in level for _, _, after in self.steps(*each)}
            yield level

    def steps(self, aggregate: Any, trials: Any, now: int) -> Iterator[tuple[Any, Any, Any]]:
        """Each step: its name, what was told, and the record, tries and time after it."""
        view = View(core.user_of(aggregate), trials, now)
        for it in self.tiny.asks(view):
            done = self.ask(aggregate, trials, it, now)
            yield self.relative(it, now), *done
        for by in self.tiny.passing([view]):
            yield Later(by), (), (aggregate, trials, now + by)

    def ask(self, aggregate: Any, trials: Any, it: Any, now: int) -> tuple[Any, Any]:
        if isinstance(it, Prove):
            _, (tried, charged, _) = self.ask(aggregate, trials, Try(), now)
            if len(charged) == len(trials):
                return (), (tried, charged, now)
            it = charged[-1]._replace(right=it.right)
            aggregate, trials = tried, charged
        if isinstance(it, Answer) and it.query == "q1":
            it = it._replace(query=aggregate.state.query_id)
        done = core.ask_core(aggregate, core.user_of(aggregate), it, self.where, now)
        if isinstance(it, words.Judge):
            left = list(trials)
            left.remove(it._replace(right=False))
            trials = tuple(left)
        for name, *_ in done.said.told:
            if name == "ProofTried":
                attempt: Any = done.said.user.attempt
                issue = (attempt.code.issue, attempt.code.key) if attempt.code else (0, "")
                trials = (*trials, words.Judge(now, attempt.claim, *issue, right=False))
        error = done.said.error and (done.said.error[0], (done.said.error[1] or now) - now)
        names = tuple(each[0] for each in done.said.told)
        return (error, names), (self.unique(done.after), trials, now)

    def unique(self, aggregate: Aggregate) -> Aggregate:
        """Fresh ids are never used again."""
        self.serial += 1
        fresh = (words.NEW_CLAIM, words.NEW_QUERY, words.NEW_CODE, "m n9", "n n9")
        return alike.rebuilt(
            aggregate, {str: lambda it: f"{it}-{self.serial}" if it in fresh else it}
        )

    def relative(self, it: Any, now: int) -> Any:
        """A command by what it is to a record, whatever the ids and instants in it."""
        if isinstance(it, words.Judge):
            return it._replace(tried=it.tried - now, claim="")
        if isinstance(it, words.Notice) and it.happened is not None:
            return it._replace(happened=it.happened - now)
        return it

    def alike(self, aggregate: Aggregate, trials: Any, now: int) -> Any:
        return alike.canonical(
            alike.shifted(aggregate, now),
            tuple(each._replace(tried=each.tried - now) for each in trials),
            0,
        )


@pytest.mark.parametrize("tiny", TINY, ids=lambda each: each.name)
def test_the_counts_are_those_of_a_naive_search(tiny):
    """Counted one by one, without abstraction by numbers and shifts, there are as many states."""
    naive = Naive(tiny)
    seen: set[Any] = set()
    counts: list[int] = []
    for level in naive.levels(tiny.depth):
        new = {naive.alike(*each) for each in level} - seen
        counts.append(len(new))
        seen |= new

    assert tuple(counts) == Search(tiny).run(tiny.depth).per_depth


@pytest.mark.parametrize("tiny", TINY, ids=lambda each: each.name)
def test_what_is_merged_behaves_alike(tiny):
    """Records that count as one state lead, by every command, to one refusal or one state."""
    naive = Naive(tiny)
    outcomes: dict[Any, dict[Any, Any]] = {}
    merged = 0
    for level in naive.levels(tiny.depth - 1):
        for each in level:
            led = {step: (what, naive.alike(*after)) for step, what, after in naive.steps(*each)}
            same = outcomes.setdefault(naive.alike(*each), led)
            merged += same is not led
            assert led == same
    assert merged > 10


def test_a_model_that_is_wrong_is_found(monkeypatch):
    """The comparison goes both ways: a model that forgets the resend time disagrees at once."""
    wrong = attrs.evolve(
        scope("proofs"), figures=OWN._replace(resend_after=MINUTE, claim_valid=15 * MINUTE)
    )
    search = Search(wrong)
    search.records.where = core.terrain(wrong.figures._replace(resend_after=2 * MINUTE))

    assert search.run(3).why


def test_a_violation_says_all_that_differs():
    """Every difference is in what is raised."""
    assert ["one", "two"] == Violation(["one", "two"]).why

"""The world repeats itself, keeps quiet while all is well, and says what is wrong if it is not."""

from __future__ import annotations

import importlib
import itertools
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given

from abonent.ports import Storage
from abonent.simulation.world import RARE, Faults, FaultsFileError, WorldOutcome, run_world
from abonent.simulation.world.shrinking import fewest
from abonent.stores import SqliteStorage


def small(seed: int = 0, **changes) -> WorldOutcome:
    return run_world(**{"seed": seed, "days": 8, "subscribers": 16, "shrink_tries": 20, **changes})


def plain(outcome: WorldOutcome) -> dict[str, object]:
    """An outcome without what depends on the machine."""
    return attrs.asdict(attrs.evolve(outcome, seconds=0.0), recurse=False)


def test_a_seed_gives_the_same_world_again():
    """Two runs of one seed differ in nothing but the time they took."""
    assert plain(small(3)) == plain(small(3))


def test_another_seed_gives_another_world():
    """The seed decides what happens."""
    assert small(3).events != small(4).events


@pytest.mark.parametrize("seed", range(4))
def test_no_invariant_is_broken(seed):
    """I1 to I12 hold in worlds in which everything goes wrong, and much of it is seen."""
    outcome = small(seed, days=30, subscribers=50)
    assert outcome.ok, outcome.violation
    assert outcome.steps > 1_000
    assert outcome.crashes > 0
    assert sum(map(bool, outcome.seen.values())) > len(RARE) / 2


def test_a_world_over_sqlite(tmp_path):
    """Processes that crash start again from a real file, each with a handle of its own."""
    files = (tmp_path / f"{number}.db" for number in itertools.count())

    def make_store() -> Callable[[], Storage]:
        path = next(files)
        return lambda: SqliteStorage(path, territory="RU")

    outcome = small(2, make_store=make_store, store_name="sqlite")
    assert outcome.ok, outcome.violation
    assert plain(attrs.evolve(outcome, store="memory")) == plain(small(2))


def test_a_world_without_faults():
    """Where nothing goes wrong nobody crashes, and whoever claims a number rightly passes."""
    outcome = small(1, faults=Faults.none())
    assert outcome.ok, outcome.violation
    assert outcome.crashes == 0
    assert all(each.in_time for each in outcome.answers)
    assert "no_answer" not in outcome.failures


def test_what_is_told_of_a_world():
    """Days are told as they pass; samples, answers, notices and exposures are measured."""
    told: list[float] = []
    outcome = small(1, tell=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(8)
    assert [each.at for each in outcome.samples] == sorted(each.at for each in outcome.samples)
    assert any(each.open for each in outcome.samples)
    assert any(each.seconds is not None for each in outcome.answers)
    assert outcome.notices
    assert any(each.closed for each in outcome.exposures)


# --- broken cores --------------------------------------------------------------------

# What is deleted where, and the invariants by which it may be found.
BROKEN = {
    "a late answer counts": (
        "deadlines",
        "if state.due <= until:",
        "if False:",
        {"I2", "I10"},
    ),
    "an earlier prover wins": (
        "answers",
        "rival_proven_at > passed.proven_at",
        "False",
        {"I3"},
    ),
    "a stale notice counts": (
        "notices",
        "return command.happened_at is None or command.happened_at >= since",
        "return True",
        {"I4"},
    ),
    "a grave notice leaves the gate open": (
        "owed",
        "if standing.cause.keeps_gate_open and now <= standing.due:",
        "if now <= standing.due:",
        {"I1"},
    ),
    "no agreement is needed": (
        "answers",
        "if agreement is None and course.terrain.needs_agreement:",
        "if False:",
        {"I5"},
    ),
    "tries of a code are not counted": (
        "claims",
        "if state.code is not None and state.code.tries >= policy.tries_per_code:",
        "if False:",
        {"I6"},
    ),
    "a record is owed for ever": (
        "outcomes",
        "if kind is EffectKind.RECORD:",
        "if False:",
        {"I7", "I8"},
    ),
    "who has a history is declared": (
        "claims",
        "if not isinstance(course.aggregate.state, Unidentified):",
        "if False:",
        {"I1"},
    ),
    "a number is declared that is taken": (
        "claims",
        "if command.taken:",
        "if False:",
        {"I1", "I3"},
    ),
    "a declared user cannot be identified anew": (
        "claims",
        "and state.basis is not Basis.DECLARED",
        "",
        {"I1"},
    ),
    "of a declared user a record is withdrawn": (
        "evolution",
        "or identified.basis is Basis.DECLARED",
        "",
        {"I8"},
    ),
    "failures are forgotten": (
        "identification",
        "if (alive := live(instants, at))",
        "if (alive := live(instants, at)) and False",
        {"I6"},
    ),
}


@pytest.fixture
def broken(request) -> Iterator[None]:
    """A core with one guard deleted, in the modules that this process has loaded."""
    name, old, new, _ = BROKEN[request.param]
    module = importlib.import_module(f"abonent.core.{name}")
    path = Path(module.__file__)
    source = path.read_text("utf-8")
    assert source.count(old) == 1
    whole = vars(module).copy()
    exec(compile(source.replace(old, new), str(path), "exec"), vars(module))
    changed = {key for key, value in vars(module).items() if whole.get(key) is not value}
    others = [
        (other, key, value)
        for other in list(sys.modules.values())
        if getattr(other, "__name__", "").startswith("abonent.")
        for key, value in list(vars(other).items())
        if key in changed and value is whole.get(key) and callable(value)
    ]
    for other, key, _ in others:
        setattr(other, key, vars(module)[key])
    decided = importlib.import_module("abonent.core.identification")._DECIDED_BY
    before = dict(decided)
    decided.update({kind: vars(module).get(by.__name__, by) for kind, by in before.items()})
    yield
    decided.update(before)
    for other, key, value in others:
        setattr(other, key, value)
    vars(module).update(whole)


@pytest.mark.slow
@pytest.mark.parametrize(("broken", "name"), [(each, each) for each in BROKEN], indirect=["broken"])
def test_a_deleted_guard_is_found(broken, name):
    """The world names an invariant that does not hold, and the shrunk history is short."""
    *_, invariants = BROKEN[name]
    for seed in range(30):
        outcome = run_world(seed=seed, days=20, subscribers=30, shrink_tries=60)
        if not outcome.ok:
            break
    whole = run_world(seed=seed, days=20, subscribers=30, shrink_tries=0)
    assert outcome.violation.invariant in invariants
    assert 0 < len(outcome.violation.history) <= max(15, len(whole.violation.history) * 2 / 3)
    assert not re.search(r"\d{7}", "\n".join(outcome.violation.history))


# --- shrinking -----------------------------------------------------------------------


@given(st.lists(st.integers(0, 30), unique=True, min_size=1), st.data())
def test_the_fewest_are_needed(items, data):
    """What is left still fails, and would not without any one of it."""
    guilty = set(data.draw(st.lists(st.sampled_from(items), unique=True, min_size=1)))

    def still(few):
        return guilty <= set(few)

    assert set(fewest(items, still)) == guilty


# --- the faults file -----------------------------------------------------------------


def test_a_faults_file_gives_rates_by_name(tmp_path):
    """What it names is taken, what it does not name keeps its default."""
    path = tmp_path / "faults.toml"
    path.write_text("answer_lost = 0.5\nprocess_crash = 0\n")
    assert Faults(answer_lost=0.5, process_crash=0) == Faults.read(path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("answer_losst = 0.5", "answer_losst"),
        ("answer_lost = 1.5", "answer_lost"),
        ("answer_lost = -0.1", "answer_lost"),
        ("answer_lost = true", "answer_lost"),
        ('answer_lost = "often"', "answer_lost"),
        ("answer_lost = ", "faults.toml"),
    ],
)
def test_a_wrong_faults_file_is_refused_by_name(tmp_path, text, named):
    """An unknown key, what is no rate, and what is not TOML are each named."""
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(FaultsFileError, match=named):
        Faults.read(path)


def test_a_missing_faults_file_is_named(tmp_path):
    """A file that is not there is named, without its folder."""
    with pytest.raises(FaultsFileError, match=r"none\.toml"):
        Faults.read(tmp_path / "none.toml")

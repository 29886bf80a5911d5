"""Where what identifies users is kept: what rules demand, what a store declares, who is refused."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from abonent import (
    DRAFT_2017,
    RESOLUTION_1279,
    RESOLUTION_1801,
    AsyncIdentifier,
    DeclaredUser,
    Identifier,
    MemoryStorage,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    OneTimeCodes,
    Policy,
    SqliteStorage,
    Status,
)
from abonent.core.residency import NOWHERE, Residency
from abonent.core.rules import RULE_SETS
from abonent.errors import Fault, InvalidValue, NoRulesInForce, ResidencyUnmet
from abonent.ports import StorageFeatures
from abonent.simulation import SimulatedClock, SimulatedSender
from tests.properties.parts import KEYS, N1, START, M, World

CLAUSE = "Federal Law 149-FZ, art. 10.1 part 4.3 ff."
BEFORE_ANY = datetime(2019, 5, 4, tzinfo=UTC)
"""No rule set is in force, so none demands anything."""


class Declaring(MemoryStorage):
    """A store that says of itself what it is told to."""

    def __init__(self, **features):
        super().__init__()
        self.told = {"durable": True, "shared": True, **features}

    @property
    def features(self):
        return StorageFeatures(**self.told)


@pytest.fixture(params=[Identifier, AsyncIdentifier], ids=["threads", "asyncio"])
def build(request):
    """Build an identifier on a store; it is not used, so it need not be closed."""

    def made(storage, *, rules=None, start=START):
        return request.param(
            messenger=Messenger(id="m", kind=MessengerKind.DOMESTIC),
            storage=storage,
            keys=KEYS,
            possession=OneTimeCodes(SimulatedSender()),
            rules=rules,
            policy=Policy(
                answer_within=timedelta(minutes=20), reidentify_within=timedelta(minutes=20)
            ),
            clock=SimulatedClock(start),
            unsafe_test_doubles=True,
        )

    return made


# --- building -----------------------------------------------------------------------------


@pytest.mark.parametrize("declared", [None, "BY", "US"])
@pytest.mark.parametrize("rules", [None, RESOLUTION_1279, RESOLUTION_1801])
def test_a_store_elsewhere_is_refused(build, declared, rules):
    """The demand, its clause and what the store declares are named."""
    with pytest.raises(ResidencyUnmet) as refused:
        build(Declaring(territory=declared), rules=rules)
    error = refused.value
    assert ("RU", CLAUSE, declared) == (error.demanded, error.clause, error.declared)
    assert (Fault.SETUP, "RESIDENCY_UNMET", False) == (error.fault, error.code, error.retryable)
    for each in ("RU", CLAUSE, declared or "no territory", (rules or RESOLUTION_1801).id):
        assert each in str(error)


@pytest.mark.parametrize("rules", [None, *RULE_SETS])
def test_a_store_there_is_taken(build, rules):
    """A store that declares what is demanded is taken under every rule set."""
    build(Declaring(territory="RU"), rules=rules)


@pytest.mark.parametrize("declared", [None, "US", "RU"])
def test_the_draft_demands_nothing(build, declared):
    """A rule set that is silent about the territory takes every store."""
    build(Declaring(territory=declared), rules=DRAFT_2017)


@pytest.mark.parametrize(
    ("durable", "shared", "concerned"),
    [(False, False, False), (True, False, True), (False, True, True), (True, True, True)],
)
def test_what_keeps_nothing_is_not_concerned(build, durable, shared, concerned):
    """Only a store that neither outlives its process nor leaves it needs no territory.

    A server that does not flush is not durable, and still a place where data is kept.
    """
    store = Declaring(durable=durable, shared=shared, territory=None)
    if concerned:
        with pytest.raises(ResidencyUnmet):
            build(store)
    else:
        build(store)


def test_a_file_declares_nothing_by_itself(build, tmp_path):
    """A file without a territory is refused, and the same file with one is taken."""
    with closing(SqliteStorage(tmp_path / "kept.db")) as store:
        with pytest.raises(ResidencyUnmet):
            build(store)
        assert [] == store.scan("m", b"", 1)
    with closing(SqliteStorage(tmp_path / "kept.db", territory="RU")) as store:
        assert StorageFeatures(durable=True, shared=True, territory="RU") == store.features
        build(store)


@pytest.mark.parametrize("wrong", ["", "ru", "RUS", "R", "Ru", "RU\n", "РФ", " RU", 7, b"RU"])
def test_what_is_no_territory_is_refused(tmp_path, wrong):
    """Two capital letters of ISO 3166-1, nothing that merely looks like it; no file is made."""
    with pytest.raises(InvalidValue):
        SqliteStorage(tmp_path / "kept.db", territory=wrong)
    assert [] == list(tmp_path.iterdir())
    with pytest.raises(InvalidValue):
        StorageFeatures(durable=True, shared=True, territory=wrong)
    with pytest.raises(InvalidValue):
        Residency(keeps=True, territory=wrong)


def test_every_demand_of_every_rule_set():
    """What is demanded is met by that territory alone, and by what keeps nothing."""
    for rules in RULE_SETS:
        for territory in (None, "RU", "US", "AA"):
            met = rules.kept_only_in.value in {None, territory}
            if met:
                Residency(keeps=True, territory=territory).check(rules)
            else:
                with pytest.raises(ResidencyUnmet):
                    Residency(keeps=True, territory=territory).check(rules)
            Residency(keeps=False, territory=territory).check(rules)
        NOWHERE.check(rules)


# --- while it runs ------------------------------------------------------------------------


def running(storage, **options):
    """An identifier that was built before any rules came into force, and a day later."""
    world = World(storage, clock=SimulatedClock(BEFORE_ANY), agreements=(), **options)
    with pytest.raises(NoRulesInForce):
        world.identifier.claim("alice", N1.e164)
    world.clock.advance(timedelta(days=2))
    return world


@pytest.mark.parametrize("declared", [None, "US"])
def test_rules_that_come_into_force_refuse_claims(declared):
    """A claim under rules whose demand is not met is refused: no code is sent, nothing is kept."""
    store = Declaring(territory=declared)
    with running(store, kind=MessengerKind.DOMESTIC) as world:
        with pytest.raises(ResidencyUnmet) as refused:
            world.identifier.claim("alice", N1.e164)
        assert ("RU", declared) == (refused.value.demanded, refused.value.declared)
        assert ([], []) == world.everything()
        assert [] == world.sender.messages
        assert not world.identifier.gate("alice")


def test_rules_that_come_into_force_refuse_imports():
    """Nobody is taken over where nobody may be kept; it is not the row that is wrong."""
    store = Declaring(territory=None)
    with running(store, kind=MessengerKind.DOMESTIC) as world:
        declared = DeclaredUser(user_id="alice", number=N1.e164, proven_at=BEFORE_ANY)
        with pytest.raises(ResidencyUnmet):
            world.identifier.import_identified([declared])
        assert ([], []) == world.everything()


def test_rules_that_come_into_force_and_are_met():
    """A store that declares what later rules demand goes on under them."""
    store = Declaring(territory="RU")
    with running(store, kind=MessengerKind.DOMESTIC) as world:
        assert Status.IDENTIFIED is world.identify("alice").status


def test_a_store_that_is_moved_keeps_closing_gates():
    """Notices are taken and gates close whatever the store declares; only beginning is refused."""
    store = Declaring(territory="RU")
    with running(store, kind=MessengerKind.DOMESTIC) as world:
        world.identify("alice")
        terrain = world.identifier._engine.archive.terrain
        moved = attrs.evolve(terrain.residency, territory="US")
        object.__setattr__(terrain, "residency", moved)
        world.identifier.receive(notice(world))
        assert not world.identifier.gate("alice")
        with pytest.raises(ResidencyUnmet):
            world.identifier.claim("alice", N1.e164)


def notice(world):
    """The operator's notice that the number is over."""
    return Notice(
        id="n1",
        operator=M,
        kind=NoticeKind.TERMINATED,
        number=N1,
        happened_at=world.clock.now(),
    )

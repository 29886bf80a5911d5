"""Who need not be kept is forgotten, and who is identified never is, whatever the policy."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent import (
    AbonentError,
    AsyncIdentifier,
    Basis,
    DeclaredUser,
    Identifier,
    MemoryStorage,
    MessengerKind,
    Notice,
    NoticeKind,
    Policy,
    Reason,
    RetentionPolicy,
    Status,
    SubscriberNumber,
)
from abonent.cli import main
from abonent.cli.retention import read_policy
from abonent.core.agreements import Agreements
from abonent.core.commands import Terrain, Tick
from abonent.core.identification import decide
from abonent.core.owed import gate
from abonent.core.parties import Messenger
from abonent.core.retention import LONGEST, SHORTEST, RetentionRule
from abonent.core.states import (
    STATES,
    Aggregate,
    Forgotten,
    Identified,
    NotPassed,
    ProvingPossession,
    identified_in,
    standing_identification,
)
from abonent.errors import InvalidValue, NaiveInstant, StoreUnavailable
from abonent.ports import Put, Unit
from abonent.simulation import Reply
from abonent.testing.strategies.records import of
from abonent.testing.strategies.values import aware_instants
from tests.properties.parts import HOUR, MICROSECOND, N1, START, M, World, bounded
from tests.world import World as Scenario

DAY = timedelta(days=1)
ALL = RetentionPolicy(never_passed=DAY, lost=DAY, declared=DAY)
TERRAIN = Terrain(
    messenger=Messenger(id="m", kind=MessengerKind.FOREIGN),
    policy=Policy(),
    agreements=Agreements("m"),
)
policies = st.builds(
    RetentionPolicy,
    **{
        each.name: st.none() | st.timedeltas(SHORTEST, timedelta(days=9))
        for each in attrs.fields(RetentionPolicy)
    },
)


# --- who may be dropped: pure ---------------------------------------------------------------


def test_each_rule_has_its_field():
    """A rule is named as the field that says how long; by default each keeps for ever."""
    assert [each.value for each in RetentionRule] == [
        each.name for each in attrs.fields(RetentionPolicy)
    ]
    assert {None} == {getattr(RetentionPolicy(), each.value) for each in RetentionRule}


@pytest.mark.parametrize("name", [each.value for each in RetentionRule])
def test_how_long_is_bounded(name):
    """From one day to a hundred years; nothing that is no time."""
    for good in (SHORTEST, LONGEST, None):
        RetentionPolicy(**{name: good})
    for bad in (SHORTEST - MICROSECOND, timedelta(0), -DAY, LONGEST + MICROSECOND, 90, "90"):
        with pytest.raises(InvalidValue, match=name):
            RetentionPolicy(**{name: bad})


def not_passed(reason: Reason) -> Aggregate:
    return Aggregate(state=NotPassed(reason=reason, at=START, due=None, retry_at=None))


@pytest.mark.parametrize("reason", Reason)
def test_by_reason(reason):
    """Who lost an identification goes by one rule, and who never passed by another."""
    lost = reason in {Reason.NOT_IDENTIFIED_ANEW, Reason.DISPLACED}
    expected = RetentionRule.LOST if lost else RetentionRule.NEVER_PASSED
    aggregate = not_passed(reason)
    assert expected is ALL.drops(aggregate, START + DAY, TERRAIN)
    assert ALL.drops(aggregate, START + DAY - MICROSECOND, TERRAIN) is None
    assert RetentionPolicy().drops(aggregate, START + 1000 * DAY, TERRAIN) is None
    without = attrs.evolve(ALL, **{expected.value: None})
    assert without.drops(aggregate, START + 1000 * DAY, TERRAIN) is None


def test_it_counts_from_the_deadline():
    """Time runs from the deadline that ran out, also where nobody has settled it yet."""
    state = ProvingPossession(
        number=N1,
        tag=bytes(16),
        claim="c",
        operator=M,
        rules="1801",
        locale="",
        expires_at=START,
        issued=0,
        issued_at=START - DAY,
        code=None,
        before=None,
    )
    waiting = Aggregate(state=state)
    assert ALL.drops(waiting, START + DAY - MICROSECOND, TERRAIN) is None
    assert RetentionRule.NEVER_PASSED is ALL.drops(waiting, START + DAY, TERRAIN)
    late = decide(waiting, Tick(at=START + HOUR, settled=START + HOUR), TERRAIN).aggregate
    assert START + HOUR == late.state.at
    assert RetentionRule.NEVER_PASSED is ALL.drops(late, START + DAY, TERRAIN)


def test_a_naive_instant_is_refused():
    """An instant without a zone says nothing."""
    with pytest.raises(NaiveInstant):
        ALL.drops(Aggregate(), START.replace(tzinfo=None), TERRAIN)


@bounded(500)
@given(st.builds(Aggregate, state=st.one_of([of(each) for each in STATES])), aware_instants())
def test_nobody_identified_is_dropped(aggregate, at):
    """Who is identified by a proof is kept, whatever the state, the instant and the policy."""
    dropped = ALL.drops(aggregate, at, TERRAIN)
    settled = decide(aggregate, Tick(at=at, settled=at), TERRAIN).aggregate
    identified = identified_in(standing_identification(settled.state))
    if identified is not None and identified.basis is not Basis.DECLARED:
        assert dropped is None
    if gate(aggregate, at).open and dropped is not None:
        assert dropped is RetentionRule.DECLARED
        assert isinstance(settled.state, Identified)
    if dropped is not None:
        assert isinstance(settled.state, NotPassed | Identified)
    if isinstance(aggregate.state, Forgotten):
        assert dropped is None


# --- walking --------------------------------------------------------------------------------

USERS = tuple(f"user-{number}" for number in range(6))
NUMBERS = {each: SubscriberNumber(f"+7916000000{place}") for place, each in enumerate(USERS)}
ACTS = ("claim", "wrong", "prove", "refused", "notice", "declare", "forget", "wait", "long", "take")
courses = st.lists(st.tuples(st.sampled_from(ACTS), st.sampled_from(USERS)), max_size=40)


def live(world: World, course) -> None:
    """Let users do things, sensible or not; a sweep comes by only now and then."""
    notices = 0
    for act, user in course:
        number = NUMBERS[user]
        with suppress(AbonentError):
            if act in {"claim", "prove", "refused"}:
                world.identifier.claim(user, number.e164)
            if act == "wrong":
                world.identifier.prove(user, world.wrong(number))
            if act == "refused":
                world.operators[M].script(Reply.NOT_HELD)
            if act in {"prove", "refused"}:
                world.identifier.prove(user, world.sender.code_for(number))
            if act == "take":  # by another user, who displaces them
                world.identify(f"{user}-again", number)
            if act == "declare":
                row = DeclaredUser(user_id=user, number=number.e164, proven_at=world.clock.now())
                world.identifier.import_identified([row])
            if act == "forget":
                world.identifier.forget(user)
            if act == "notice":
                notices += 1
                world.identifier.receive(
                    Notice(id=f"n{notices}", operator=M, kind=NoticeKind.TERMINATED, number=number)
                )
        if act == "wait":
            world.clock.advance(HOUR)
            world.identifier.sweep()
        if act == "long":
            world.clock.advance(2 * DAY)
    world.flush()


def standings(world: World):
    return {each.user_id: each for each in world.identifier.standings()}


def proven(world: World) -> set[str]:
    """Who is identified by a proof, as their record says."""
    found = set()
    for user in standings(world):
        identified = identified_in(standing_identification(world.kept(user).state))
        gate_open = world.identifier.gate(user).open
        if gate_open and identified is not None and identified.basis is not Basis.DECLARED:
            found.add(user)
    return found


@bounded(60)
@given(courses, policies, st.integers(1, 7))
def test_a_dry_run_says_what_the_run_does(course, policy, limit):
    """It counts the same by the same rules and changes nothing; twice forgets nobody more.

    Nobody who is identified is dropped, nor anybody else but those that were counted, and the
    journal still replays.
    """
    with World() as world:
        live(world, course)
        before, there, kept = world.everything(), standings(world), proven(world)

        def walk(dry_run: bool) -> Counter[str]:
            dropped: Counter[str] = Counter()
            cursor, looked_at = None, 0
            while True:
                page = world.identifier.retain(policy, dry_run=dry_run, limit=limit, after=cursor)
                assert (dry_run, 0) == (page.dry_run, page.failed)
                assert page.looked_at <= limit
                dropped.update(page.dropped)
                looked_at += page.looked_at
                cursor = page.cursor
                if cursor is None:
                    assert looked_at <= len(before[0])
                    return dropped

        expected = walk(dry_run=True)
        assert before == world.everything()
        assert expected == walk(dry_run=False)
        world.flush()
        gone = there.keys() - standings(world).keys()
        assert expected.total() == len(gone)
        assert not gone & kept
        assert kept == proven(world)
        for rule, count in expected.items():
            assert count == 0 or getattr(policy, rule) is not None
        assert Counter() == walk(dry_run=True) == walk(dry_run=False)
        assert world.identifier.replay().ok


def lapsed(world: World) -> None:
    """A user whose claim was never proven, two days ago."""
    world.identifier.claim("alice", N1.e164)
    world.clock.advance(3 * DAY)


def test_a_claim_in_between_keeps_the_user():
    """Who claims again between the reading and the forgetting is kept, and nothing is counted."""
    with World() as world:
        lapsed(world)
        scan, stepped = world.storage.scan, []

        def read(*arguments):
            found = scan(*arguments)
            if not stepped:
                stepped.append(True)
                world.identifier.claim("alice", N1.e164)
            return found

        world.storage.scan = read
        done = world.identifier.retain(ALL, dry_run=False)
        assert {} == done.dropped
        assert Status.PROVING_POSSESSION is world.identifier.standing("alice").status


def test_a_claim_that_wins_the_commit_keeps_the_user():
    """The same, where another process commits while the forgetting is on its way."""
    with World() as world:
        lapsed(world)
        world.flush()
        with World(
            world.storage, clock=world.clock, sender=world.sender, operators=world.operators
        ) as other:
            commit, stepped = world.storage.commit, []

            def step_in(units):
                if not stepped:
                    stepped.append(True)
                    other.identifier.claim("alice", N1.e164)
                return commit(units)

            world.storage.commit = step_in
            assert {} == world.identifier.retain(ALL, dry_run=False).dropped
            assert Status.PROVING_POSSESSION is world.identifier.standing("alice").status
            world.storage.commit = commit


def test_the_operator_is_told_to_withdraw():
    """Who is dropped goes as by `forget`: what operators have recorded of them is withdrawn."""
    with World() as world:
        code = world.identify("alice").identification_code
        world.operators[M].fail_records(*[Reply.UNAVAILABLE] * 2)
        notice = Notice(id="n", operator=M, kind=NoticeKind.TERMINATED, number=N1)
        world.flush()
        world.identifier.receive(notice)
        world.clock.advance(3 * DAY)
        assert {"lost": 1} == world.identifier.retain(ALL, dry_run=False).dropped
        for _ in range(50):
            world.clock.advance(HOUR)
            world.identifier.sweep()
        assert code in {each.code for each in world.operators[M].withdrawals}
        world.flush()
        assert [] == [key for key, _ in world.everything()[0] if len(key) == 16]


def test_who_was_declared_goes_by_a_rule_of_its_own():
    """Somebody who was taken over and never identified goes after `declared`, and not before."""
    only = RetentionPolicy(declared=30 * DAY)
    with World() as world:
        row = DeclaredUser(user_id="alice", number=N1.e164, proven_at=START - 900 * DAY)
        world.identifier.import_identified([row])
        world.clock.advance(30 * DAY - timedelta(seconds=1))
        assert {} == world.identifier.retain(only, dry_run=False).dropped
        assert world.identifier.gate("alice")
        world.clock.advance(1)
        assert {"declared": 1} == world.identifier.retain(only, dry_run=False).dropped
        assert not world.identifier.gate("alice")


def test_who_was_declared_and_proves_meanwhile_is_kept():
    """While an attempt runs they are not dropped, and once it has passed they never are."""
    with World() as world:
        row = DeclaredUser(user_id="alice", number=N1.e164, proven_at=START)
        world.identifier.import_identified([row])
        world.clock.advance(40 * DAY)
        world.identifier.claim("alice", N1.e164)
        assert {} == world.identifier.retain(ALL, dry_run=False).dropped
        world.identifier.prove("alice", world.sender.code_for(N1))
        world.clock.advance(4000 * DAY)
        assert {} == world.identifier.retain(ALL, dry_run=False).dropped


def test_a_record_that_cannot_be_read_is_kept():
    """It is counted, and those behind it have their turn."""
    with World() as world:
        lapsed(world)
        world.identifier.claim("bob", NUMBERS[USERS[0]].e164)
        world.clock.advance(3 * DAY)
        world.flush()
        key = world.identifier.row_key("bob")
        (record,) = world.storage.load("m", [key])
        held = world.storage._spaces["m"].records
        held[key] = type(record)(record.version, record.body[:-1] + b"\0\0")
        done = world.identifier.retain(ALL, dry_run=False)
        assert ({"never_passed": 1}, 1) == (done.dropped, done.failed)
        assert key in held


def test_a_store_that_goes_away_is_told():
    """What cannot be committed is raised; nothing of it is counted as done."""
    with World() as world:
        lapsed(world)
        world.flush()
        commit = world.storage.commit

        def refuse(_):
            raise StoreUnavailable("gone")

        world.storage.commit = refuse
        with pytest.raises(StoreUnavailable):
            world.identifier.retain(ALL, dry_run=False)
        assert {"never_passed": 1} == world.identifier.retain(ALL, dry_run=True).dropped
        world.storage.commit = commit
        assert {"never_passed": 1} == world.identifier.retain(ALL, dry_run=False).dropped


def test_a_walk_looks_at_one_at_least():
    """A limit of nothing is refused."""
    with World() as world, pytest.raises(InvalidValue):
        world.identifier.retain(ALL, dry_run=True, limit=0)


@pytest.mark.parametrize("shell", [Identifier, AsyncIdentifier])
def test_both_shells_retain(shell):
    """The async twin forgets the same."""
    store = MemoryStorage()
    scene = Scenario(shell, lambda: store, kind=MessengerKind.DOMESTIC)
    scene.claim("alice")
    scene.advance(3 * DAY)
    assert {"never_passed": 1} == scene.identifier.retain(ALL, dry_run=True).dropped
    assert {"never_passed": 1} == scene.identifier.retain(ALL, dry_run=False).dropped
    assert {} == scene.identifier.retain(ALL, dry_run=False).dropped
    scene.close()


# --- the command ----------------------------------------------------------------------------


def test_a_policy_is_read(tmp_path):
    """Rules and whole days, and whoever is not named is kept."""
    path = tmp_path / "policy.toml"
    path.write_text("never_passed = 90  # days\ndeclared = 730\n")
    expected = RetentionPolicy(never_passed=90 * DAY, declared=730 * DAY)
    assert expected == read_policy(path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "never_passed = 0",
        "never_passed = -1",
        "never_passed = 36526",
        "never_passed = 1.5",
        "never_passed = true",
        'never_passed = "90"',
        "identified = 90",
        "[never_passed]\ndays = 90",
        "never_passed 90",
        "never_passed = 90\nnever_passed = 91",
        b"\xff\xfe",
    ],
)
def test_what_is_no_policy(tmp_path, text):
    """Anything else is refused, and nobody is dropped by a guess."""
    path = tmp_path / "policy.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InvalidValue):
        read_policy(path)
    with pytest.raises(InvalidValue):
        read_policy(tmp_path / "missing.toml")


def test_the_command_retains(service, capsys, tmp_path):
    """In a dry run it says how many by which rule; then it forgets them; then there is nobody."""
    policy = tmp_path / "policy.toml"
    policy.write_text("never_passed = 2\n")
    with service.make() as identifier:
        identifier.claim("bob", "+79035557788")
    service.clock.advance(timedelta(days=4))
    line = ["data", "retain", "held_service:make", "--policy", str(policy)]

    assert 0 == main([*line, "--dry-run"])
    said = "never_passed: 1 would be forgotten\n4 records looked at, 1 would be forgotten\n"
    assert said == capsys.readouterr().out
    assert 0 == main([*line, "--json"])
    whole = json.loads(capsys.readouterr().out)
    assert ({"never_passed": 1}, False) == (whole["dropped"], whole["dry_run"])
    assert 0 == main(line)
    assert "0 forgotten" in capsys.readouterr().out
    with service.make() as identifier:
        assert {"alice"} == {each.user_id for each in identifier.standings()}


def test_what_could_not_be_read_is_said(service, capsys, tmp_path, monkeypatch):
    """It is a line of its own, and exit status 1."""
    policy = tmp_path / "policy.toml"
    policy.write_text("lost = 2\n")
    with service.make() as identifier:
        key = identifier.row_key("alice")
        (record,) = identifier._engine.archive.storage.load("chat", [key])
        put = Put(key, record.version, record.body[:-1] + b"\0\0")
        assert [True] == identifier._engine.archive.storage.commit([Unit("chat", (put,))])
    assert 1 == main(["data", "retain", "held_service:make", "--policy", str(policy)])
    assert "1 records could not be read, and were kept" in capsys.readouterr().out

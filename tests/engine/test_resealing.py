"""Rows move to the current key, and nobody can tell; a key is retired when nothing leads to it."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from abonent import (
    AsyncIdentifier,
    Ignored,
    LateAnswer,
    MemoryStorage,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    OneTimeCodes,
    Outcome,
    Reason,
    SendBudget,
    SendBudgets,
    Status,
)
from abonent.core.events import LateAnswerIgnored
from abonent.engine.archive import holder_aliases
from abonent.engine.commits import Task
from abonent.engine.leads import leads_of
from abonent.errors import IdentifierClosed, InvalidValue, KeyInUse, KeyUnavailable
from abonent.ports import Put, Record, Unit
from abonent.sealing import key_of
from abonent.simulation import Reply, SimulatedClock, SimulatedSender
from tests.engine.keys import NEW, OLD, ONLY_NEW, OVERLAP, again, keys, moved, one_pass, use
from tests.properties.parts import N1, N2, World

HOUR, DAY = timedelta(hours=1), timedelta(hours=24)


def turned(kind: MessengerKind = MessengerKind.FOREIGN) -> tuple[World, World]:
    """Alice was identified under the old key; the second process has the new one."""
    first = World(keys=OLD, kind=kind)
    first.identify("alice")
    return first, again(first, NEW, kind=kind)


def notice(kind: NoticeKind = NoticeKind.TERMINATED, name: str = "n") -> Notice:
    return Notice(id=name, operator="mts", kind=kind, number=N1)


def later(world: World, by: timedelta) -> None:
    world.clock.advance(by)
    world.identifier.sweep()


# --- a row moves --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MessengerKind)
def test_a_row_moves_and_nobody_can_tell(kind: MessengerKind):
    """I7: gate, standing, history, feed and holder are as before; the row is under the new key."""
    _, second = turned(kind)
    one = second.identifier
    before = (one.standing("alice"), one.history("alice"), one.changes(), one.gate("alice"))
    old_key = one.row_key("alice")
    assert 1 == moved(second)
    assert 0 == moved(second)
    assert before == (one.standing("alice"), one.history("alice"), one.changes(), one.gate("alice"))
    assert second.keyring.user_tags("alice")[0] == one.row_key("alice") != old_key
    assert one.replay().ok
    alias, older = holder_aliases(second.keyring.number_tags(N1))
    assert [(one.row_key("alice"),), ()] == second.storage.find("m", [alias, older])
    users = [each for each in second.storage.scan("m", b"", 99) if len(each[0]) == 16]
    assert ["k2"] == [key_of(record.body) for _, record in users]


def test_the_journal_goes_on_where_it_was():
    """Entries of a subject are numbered without a gap, however often the row was moved."""
    _, second = turned()
    world = second
    for turn in range(4):
        assert 1 == moved(world)
        world.identifier.receive(notice(NoticeKind.PORTED, f"n-{turn}"))
        world.clock.advance(61)
        world.identify("alice", N1)
        world = again(world, keys("k2", "k3", "k1") if turn % 2 else keys("k3", "k2", "k1"))
    entries = world.storage.journal("m", 0, 999)
    numbers = [each.number for each in entries]
    assert list(range(1, len(entries) + 1)) == numbers
    assert world.identifier.replay().ok


def test_in_its_place_a_row_is_sealed_anew():
    """Who wrote it last had the old key as the current one: the place is right, the seal is not."""
    first = World(keys=NEW)
    first.identify("alice")
    late = again(first, OVERLAP)
    late.identifier.receive(notice(NoticeKind.PORTED))
    key = late.identifier.row_key("alice")
    world = again(late, NEW)
    (record,) = world.storage.load("m", [key])
    assert record is not None
    assert "k1" == key_of(record.body)
    assert 1 == moved(world)
    (after,) = world.storage.load("m", [key])
    assert after is not None
    assert ("k2", record.version + 1) == (key_of(after.body), after.version)
    world.clock.advance(61)
    world.identify("alice")
    assert world.identifier.replay().ok
    numbers = [each.number for each in world.storage.journal("m", 0, 999)]
    assert list(range(1, len(numbers) + 1)) == numbers


def test_an_alias_under_the_old_key_is_moved():
    """A row in its place, sealed right, of which only the alias of its number leads to the old."""
    first = World(keys=NEW)
    first.identifier.claim("alice", N1.e164)
    late = again(first, OVERLAP)
    late.identifier.prove("alice", late.sender.code_for(N1))
    world = again(late, NEW)
    world.clock.advance(1)
    world.identifier.receive(notice(NoticeKind.PORTED))  # written by who has the new key
    alias, older = holder_aliases(world.keyring.number_tags(N1))
    key = world.identifier.row_key("alice")
    assert [(), (key,)] == world.storage.find("m", [alias, older])
    assert 1 == moved(world)
    assert [(key,), ()] == world.storage.find("m", [alias, older])
    assert 0 == moved(world)


def test_a_deadline_moves_with_its_row():
    """I10: what is due of a row that was moved comes when it would have come."""
    _, second = turned()
    second.identifier.receive(notice(NoticeKind.PORTED))
    assert 1 == moved(second)
    second.clock.advance(timedelta(minutes=20, seconds=1))
    assert 1 == second.identifier.sweep().events["Lapsed"]
    assert Reason.NOT_IDENTIFIED_ANEW is second.identifier.gate("alice").reason


def test_what_is_owed_moves_with_its_row():
    """I8: a record that no operator has acknowledged yet is made from the new place."""
    first = World(keys=OLD)
    first.operators["mts"].fail_records(*[Reply.UNAVAILABLE] * 3)
    first.identify("alice")
    second = again(first, NEW)
    assert 1 == moved(second)
    for _ in range(10):
        later(second, timedelta(minutes=5))
    second.flush()
    assert 1 == len(second.operators["mts"].recorded)
    kept = second.kept("alice")
    assert kept is not None
    assert () == kept.debts


def test_whoever_came_by_the_old_key_is_found():
    """Processes whose current key is still the old one go on with who was moved, and back."""
    _, second = turned()
    moved(second)
    late = again(second, OVERLAP)
    assert late.identifier.gate("alice").open
    assert ("alice",) == late.identifier.receive(notice(NoticeKind.PORTED)).users
    assert 1 == moved(late)  # switched back: the old key is the current one
    assert late.keyring.user_tags("alice")[0] == late.identifier.row_key("alice")
    assert late.identifier.replay().ok


def test_a_half_turned_store_goes_on():
    """A pass that was killed leaves some here and some there; everybody is found."""
    first = World(keys=OLD, kind=MessengerKind.DOMESTIC)
    users = [f"user-{n}" for n in range(12)]
    for n, user in enumerate(users):
        first.identify(user, type(N1)(f"+7916{n:07d}"))
    second = again(first, NEW, kind=MessengerKind.DOMESTIC)
    page = second.identifier.reseal(limit=10)
    assert page.cursor is not None
    assert 0 < page.resealed < 12
    for each in (second, again(second, OVERLAP), again(second, NEW)):
        assert all(each.identifier.gate(user).open for user in users)
        assert each.identifier.replay().ok
    assert 12 - page.resealed == moved(again(second, NEW))


# --- what is under way --------------------------------------------------------------------


def test_a_claim_that_waits_stays_where_it_is():
    """S40: the code of the old key passes, and the row moves then."""
    first = World(keys=OLD)
    first.identifier.claim("alice", N1.e164)
    second = again(first, NEW)
    (page,) = one_pass(second)
    assert (0, 2) == (page.resealed, page.waiting)  # the row, and the count of codes sent
    assert second.identifier.prove("alice", second.sender.code_for(N1)).status is Status.IDENTIFIED
    assert 1 == moved(second)
    assert second.identifier.replay().ok


def test_a_question_that_was_asked_stays_where_it_is():
    """The answer comes by the id that the operator was given, and the row moves then."""
    first = World(keys=OLD)
    first.operators["mts"].answer_with(Reply.LATER)
    first.identify("alice")
    second = again(first, NEW)
    assert 0 == moved(second)
    (query,) = second.operators["mts"].questions
    item = LateAnswer(query_id=query.id, operator="mts", outcome=Outcome.HELD)
    assert ("alice",) == second.identifier.receive(item).users
    assert 1 == moved(second)


def test_an_answer_that_comes_after_the_move_is_ignored_by_its_name():
    """S29: it belongs to a question of ours that is over, though the row is elsewhere now."""
    first = World(keys=OLD)
    first.operators["mts"].answer_with(Reply.LATER)
    first.identify("alice")
    second = again(first, NEW)
    later(second, timedelta(minutes=21))
    assert 1 == moved(second)
    (query,) = second.operators["mts"].questions
    item = LateAnswer(query_id=query.id, operator="mts", outcome=Outcome.HELD)
    received = second.identifier.receive(item)
    assert received.ignored not in (None, Ignored.NOT_ASKED)
    told = [each.event for each in second.identifier.history("alice")]
    assert received.ignored is next(
        each.why for each in told if isinstance(each, LateAnswerIgnored)
    )
    assert second.identifier.replay().ok


def test_an_answer_for_who_was_forgotten_and_moved_belongs_to_nobody():
    """S25: forgotten stays forgotten, wherever a row may be."""
    first = World(keys=OLD)
    first.operators["mts"].answer_with(Reply.LATER)
    first.identify("alice")
    (query,) = first.operators["mts"].questions
    first.identifier.forget("alice")
    second = again(first, NEW)
    item = LateAnswer(query_id=query.id, operator="mts", outcome=Outcome.HELD)
    assert second.identifier.receive(item).ignored is not None
    assert not second.identifier.gate("alice").open


def test_a_move_while_an_operator_takes_too_long():
    """The attempt lapsed and the row moved while the call hung: the caller learns how it is."""
    first = World(keys=OLD)
    operator = first.operators["mts"]
    world = again(first, NEW)
    ask = operator.ask

    def slowly(query: Any) -> Any:
        answer = ask(query)
        world.clock.advance(timedelta(minutes=21))
        other = again_without_flush(world)
        other.identifier.sweep()
        assert 1 == moved(other)
        return answer

    first.identifier.claim("alice", N1.e164)
    first.flush()
    operator.ask = slowly
    standing = world.identifier.prove("alice", world.sender.code_for(N1))
    assert standing.status is Status.NOT_PASSED
    assert world.identifier.replay().ok


def again_without_flush(world: World) -> World:
    return World(
        world.storage,
        keys=NEW,
        clock=world.clock,
        sender=world.sender,
        operators=world.operators,
        router=world.router,
    )


def test_a_move_between_the_commit_and_its_effect():
    """No caller sees a failure because a row moved while its operator was told."""
    first = World(keys=OLD)
    first.identifier.claim("alice", N1.e164)
    world = again(first, NEW)
    operator = world.operators["mts"]
    record = operator.record

    def meanwhile(entry: Any) -> None:
        assert 1 == moved(again_without_flush(world))
        operator.record = record
        record(entry)

    operator.record = meanwhile
    assert world.identifier.prove("alice", world.sender.code_for(N1)).status is Status.IDENTIFIED
    for _ in range(4):
        later(world, timedelta(minutes=5))
    world.flush()
    assert {1} == {len({each.id for each in operator.records})}  # again under the same id, at most
    kept = world.kept("alice")
    assert kept is not None
    assert () == kept.debts


# --- others write meanwhile ---------------------------------------------------------------


class Between(MemoryStorage):
    """Lets somebody in after a reading of a kind, once."""

    def __init__(self) -> None:
        super().__init__()
        self.after: dict[str, Callable[[], object]] = {}

    def _then(self, name: str) -> None:
        work = self.after.pop(name, None)
        if work is not None:
            work()

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        found = super().load(space, keys)
        if space == "m":
            self._then("load")
        return found

    def find(self, space: str, aliases: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        found = super().find(space, aliases)
        self._then("find")
        return found

    def scan(self, space: str, after: bytes, limit: int) -> list[tuple[bytes, Record]]:
        found = super().scan(space, after, limit)
        self._then("scan")
        return found


def between() -> tuple[Between, World, World]:
    store = Between()
    first = World(store, keys=OLD)
    first.identify("alice")
    return store, again(first, NEW), again(first, NEW)


def test_i4_a_notice_finds_who_is_moved_at_this_moment():
    """I4: between finding the owner of a number and reading the row, it may have moved."""
    store, world, other = between()
    store.after["find"] = lambda: moved(other)
    assert ("alice",) == world.identifier.receive(notice()).users
    assert not world.identifier.gate("alice").open


def test_i4_a_notice_that_shares_a_commit_finds_who_is_moved():
    """I4: also in one batch with another call of the user, which was read before the move."""
    store, world, other = between()
    loop = world.identifier._loop
    loop.commits.post(Task(world.keyring.user_tags("alice"), lambda _: None))
    store.after["load"] = lambda: moved(other)
    assert ("alice",) == world.identifier.receive(notice()).users
    assert not world.identifier.gate("alice").open


def test_the_feed_leaves_nobody_out_who_is_moved_at_this_moment():
    """A change is told at least once, also if its user moves while the page is read."""
    store, world, other = between()
    told = world.identifier.changes()
    store.after["find"] = lambda: moved(other)
    assert told == world.identifier.changes()
    assert {} == store.after


@pytest.mark.parametrize("call", ["prove", "claim", "forget", "displace"])
def test_a_call_whose_user_is_moved_at_this_moment(call: str):
    """It is decided anew on the row in its new place."""
    store, world, other = between()
    store.after["load"] = lambda: moved(other)
    if call == "forget":
        assert world.identifier.forget("alice")
        assert Reason.FORGOTTEN is world.identifier.gate("alice").reason
    elif call == "claim":
        assert world.identifier.claim("alice", N2.e164).gate.open
        assert world.identifier.prove("alice", world.sender.code_for(N2)).gate.open
    elif call == "prove":
        assert world.identifier.prove("alice", "000000").status is Status.IDENTIFIED  # S15
    else:
        world.identifier.claim("boris", N1.e164)
        world.clock.advance(1)
        store.after["load"] = lambda: moved(again_without_flush(world))
        proven = world.identifier.prove("boris", world.sender.code_for(N1))
        assert proven.status is Status.IDENTIFIED
        assert Reason.DISPLACED is world.identifier.gate("alice").reason
    users = 2 if call == "displace" else 1
    assert users == len([key for key, _ in store.scan("m", b"", 99) if len(key) == 16])
    assert world.identifier.replay().ok


def test_a_row_that_is_written_meanwhile_is_moved_as_it_is_then():
    """A unit that loses is made anew within the page."""
    store, world, other = between()
    store.after["scan"] = lambda: other.identifier.receive(notice(NoticeKind.PORTED))
    (page,) = one_pass(world)
    assert 1 == page.resealed
    assert world.identifier.standing("alice").status is Status.REIDENTIFICATION_DUE
    assert world.identifier.replay().ok


def test_a_row_that_always_loses_waits():
    """Somebody writes it over and over: the page ends, and another pass will find it at rest."""
    store, world, _ = between()
    commit = store.commit

    def losing(units: Sequence[Unit]) -> list[bool]:
        if any(put.body is None and put.expected for unit in units for put in unit.puts):
            return [each.space != "m" and commit([each])[0] for each in units]
        return commit(units)

    store.commit = losing
    (page,) = one_pass(world)
    assert (0, 2) == (page.resealed, page.waiting)
    store.commit = commit
    assert 1 == moved(world)


def test_a_row_that_is_gone_meanwhile_is_passed_over():
    """A user who was forgotten, of whom nothing is left, needs no new place."""
    store, world, _ = between()
    world.clock.advance(DAY + HOUR)
    world.identifier.sweep()

    def gone() -> None:
        for key, record in MemoryStorage.scan(store, "m", b"", 9):
            MemoryStorage.commit(store, [Unit("m", (Put(key, record.version, None),))])

    store.after["find"] = gone
    (page,) = one_pass(world)
    assert (0, 0) == (page.resealed, page.waiting)


# --- one user, one number, whoever is first -----------------------------------------------


def test_no_user_has_two_rows():
    """Two processes with different current keys take the same newcomer at once: one row."""
    store = Between()
    one = World(store, keys=OVERLAP)
    other = again(one, NEW)
    store.after["load"] = lambda: other.identifier.claim("alice", N1.e164)
    one.identifier.claim("alice", N2.e164)
    assert 1 == len([key for key, _ in store.scan("m", b"", 99) if len(key) == 16])
    assert one.identifier.replay().ok
    assert one.identifier.standing("alice") == other.identifier.standing("alice")


@pytest.mark.parametrize("kind", MessengerKind)
def test_i3_a_number_has_one_holder_under_all_keys(kind: MessengerKind):
    """I3: of two processes with different current keys, the later sees the earlier."""
    store = Between()
    one = World(store, keys=OVERLAP, kind=kind)
    other = again(one, NEW, kind=kind)
    one.identifier.claim("alice", N1.e164)
    code = one.sender.code_for(N1)
    one.clock.advance(61)
    other.identifier.claim("boris", N1.e164)
    other_code = other.sender.code_for(N1)
    one.flush()
    other.flush()
    store.after["find"] = lambda: other.identifier.prove("boris", other_code)
    one.identifier.prove("alice", code)
    one.flush()
    other.flush()
    holders = [user for user in ("alice", "boris") if one.identifier.gate(user).open]
    assert 1 == len(holders)
    owners = store.find("m", holder_aliases(one.keyring.number_tags(N1)))
    assert 1 == sum(map(len, owners))
    assert one.identifier.replay().ok


def test_the_number_is_known_by_one_key():
    """While several keys are live, a holder's alias is written under the current one only."""
    world = World(keys=NEW)
    world.identify("alice")
    current, older = holder_aliases(world.keyring.number_tags(N1))
    assert [1, 0] == [len(each) for each in world.storage.find("m", [current, older])]
    world.identify("alice", N2)
    assert [(), ()] == world.storage.find("m", [current, older])


# --- who was forgotten --------------------------------------------------------------------


def test_who_was_forgotten_stays_while_something_counts():
    """S44: whoever comes back finds the failures of before, until they run out."""
    first = World(keys=OLD)
    first.identifier.claim("alice", N1.e164)
    first.identifier.prove("alice", first.wrong())
    first.identifier.forget("alice")
    second = again(first, NEW)
    (page,) = one_pass(second)
    assert (0, 2) == (page.resealed, page.waiting)
    second.clock.advance(61)
    second.identifier.claim("alice", N1.e164)
    assert 1 == second.failures("alice")


def test_who_was_forgotten_and_is_owed_something_is_sealed_in_place():
    """A withdrawal that no operator takes may be owed for longer than a key lives."""
    first = World(keys=OLD)
    first.identify("alice")
    first.flush()
    first.operators["mts"].fail_records(*[Reply.UNAVAILABLE] * 400)
    first.identifier.forget("alice")
    second = again(first, NEW)
    second.clock.advance(DAY + HOUR)
    assert 1 == moved(second)
    assert ["k1", "k2"] == sorted(
        key_of(record.body) for _, record in second.storage.scan("m", b"", 9)
    )
    later(second, HOUR)  # the count of codes sent goes
    assert ["k2"] == [key_of(record.body) for _, record in second.storage.scan("m", b"", 9)]
    second.operators["mts"].show(Reply.HELD)
    for _ in range(450):
        later(second, timedelta(minutes=6))
    second.flush()
    assert [] == second.storage.scan("m", b"", 9)
    assert second.identifier.replay().ok


# --- which keys are needed ----------------------------------------------------------------


def test_a_key_is_retired_when_nothing_leads_to_it():
    """Refused while something is left, for a day after; then it can be taken away."""
    first, second = turned()
    first.identifier.claim("boris", N2.e164)
    one = second.identifier
    with pytest.raises(KeyInUse) as refused:
        one.retire_key("k1")
    assert ("k1", 4, None) == (refused.value.key_id, refused.value.records, refused.value.retry_at)
    moved(second)
    with pytest.raises(KeyInUse) as refused:
        one.check_retirable("k1")
    assert 3 == refused.value.records
    assert second.clock.now() + 2 * DAY == refused.value.retry_at
    later(second, DAY + HOUR)
    assert 1 == moved(second)  # of the claim that ran out
    with pytest.raises(KeyInUse, match="no whole pass") as refused:
        one.retire_key("k1")
    assert 0 == refused.value.records
    moved(second)
    at = second.clock.now() + DAY
    with pytest.raises(KeyInUse) as refused:
        one.retire_key("k1")
    assert at == refused.value.retry_at == use(second, "k1").retirable_at
    second.clock.set(at - timedelta(microseconds=1))
    with pytest.raises(KeyInUse):
        one.retire_key("k1")
    second.clock.set(at)
    one.check_retirable("k1")
    with pytest.raises(KeyUnavailable, match="key k1"):
        again(second, ONLY_NEW).identifier.standing("alice")
    one.retire_key("k1")
    one.retire_key("k1")
    third = again(second, ONLY_NEW)
    assert third.identifier.gate("alice").open
    assert third.identifier.replay().ok
    assert ["k2"] == [each.key_id for each in third.identifier.key_uses()]
    third.clock.advance(61)
    third.identify("clara")
    assert Reason.DISPLACED is third.identifier.gate("alice").reason


def test_the_current_key_and_one_that_nobody_has_cannot_be_retired():
    """The one is in use, of the other nothing can be said."""
    _, second = turned()
    with pytest.raises(KeyInUse, match="current"):
        second.identifier.retire_key("k2")
    with pytest.raises(KeyUnavailable):
        second.identifier.retire_key("k9")


def test_what_is_found_again_makes_a_key_unclear():
    """A process that was forgotten about wrote under the old key: its time begins anew."""
    _, second = turned()
    later(second, DAY + HOUR)
    moved(second)
    moved(second)
    clear = use(second, "k1").clear_since
    assert clear is not None
    again(second, OVERLAP).identifier.claim("boris", N2.e164)
    later(second, HOUR)
    one_pass(second)
    assert use(second, "k1").clear_since is None
    later(second, DAY + HOUR)
    assert 1 == moved(second)
    moved(second)
    found = use(second, "k1").clear_since
    assert found is not None
    assert found > clear + DAY


def test_a_pass_that_was_killed_makes_a_key_unclear():
    """What it found and moved before it died was there, though the next pass finds nothing."""
    first = World(keys=NEW)
    late = again(first, OVERLAP)
    late.identify("boris", N2)  # from now on it writes nothing in the ledger for a while
    second = again(late, NEW)
    later(second, DAY + HOUR)
    assert 1 == moved(second)
    moved(second)
    assert use(second, "k1").clear_since is not None
    second.clock.advance(1)
    late.identify("alice", N1)
    killed = again(late, NEW)
    page = killed.identifier.reseal(limit=1)
    while not page.resealed:
        assert page.cursor is not None
        page = killed.identifier.reseal(after=page.cursor, limit=1)
    assert use(second, "k1").clear_since is None


@pytest.mark.parametrize("way", ["tag", "code", "query"])
def test_an_attempt_leads_to_the_key_that_it_began_under(way: str):
    """Its row is in its place and sealed right; the key of its code, count or question is older."""
    first = World(keys=NEW)
    late = again(first, OVERLAP)
    claims, sends = {"tag": (late, first), "code": (first, late), "query": (first, first)}[way]
    first.identifier.claim("alice", N2.e164)
    first.clock.advance(61)
    claims.identifier.claim("alice", N1.e164)
    first.clock.advance(61)
    sends.identifier.claim("alice", N1.e164)
    if way == "query":
        first.operators["mts"].script(Reply.UNAVAILABLE)
        first.operators["mts"].answer_with(Reply.LATER)
        late.identifier.prove("alice", late.sender.code_for(N1))
        late.flush()
        later(first, timedelta(seconds=40))
    else:
        first.identifier.prove("alice", first.wrong())
    first.flush()
    key = first.identifier.row_key("alice")
    assert key == first.keyring.user_tags("alice")[0]
    (record,) = first.storage.load("m", [key])
    assert record is not None
    assert "k2" == key_of(record.body)
    leads = leads_of(first.identifier._engine.archive, [(key, record)], first.clock.now())
    assert [frozenset({"k1"})] == [each.key_ids for each in leads]


def test_a_pass_that_lacks_pages_says_nothing():
    """Only pages that follow one another from the first to the last make a key clear."""
    first = World(keys=OLD, kind=MessengerKind.DOMESTIC)
    for n in range(6):
        first.identify(f"user-{n}", type(N1)(f"+7916{n:07d}"))
    second = again(first, NEW, kind=MessengerKind.DOMESTIC)
    later(second, DAY + HOUR)
    moved(second)
    one = second.identifier
    cursor = one.reseal(limit=2).cursor
    assert cursor is not None
    again(second, NEW, kind=MessengerKind.DOMESTIC).identifier.reseal(after=cursor)
    assert use(second, "k1").clear_since is None
    one.reseal(limit=1)
    assert one.reseal(after=cursor).cursor is None
    assert use(second, "k1").clear_since is None
    one_pass(second, limit=2)
    assert use(second, "k1").clear_since == second.clock.now()


def test_uses_tell_of_every_key():
    """Live ones, those that records name though nobody has them, and how much each sealed."""
    first, second = turned()
    uses = {each.key_id: each for each in second.identifier.key_uses()}
    assert ["k2", "k1"] == list(uses)
    assert (True, 0, None) == (uses["k2"].current, uses["k2"].records, uses["k2"].retirable_at)
    assert (False, 2) == (uses["k1"].current, uses["k1"].records)
    assert uses["k1"].seals >= first.keyring.seals
    moved(second)
    uses = {each.key_id: each for each in second.identifier.key_uses()}
    assert (1, 1) == (uses["k2"].records, uses["k1"].records)
    (key, record), *_ = second.storage.scan("m", b"", 9)
    stray = b"\x02k9" + record.body[3:]
    second.storage.commit([Unit("m", (Put(key, record.version, stray),))])
    assert 1 == use(second, "k9").records


def test_a_damaged_record_keeps_its_key():
    """What cannot be opened cannot be moved; the rest is."""
    first, second = turned()
    key = first.identifier.row_key("alice")
    assert key is not None
    (record,) = first.storage.load("m", [key])
    assert record is not None
    for body, waiting in ((b"\x02k1damage", 2), (b"", 1), (b"\x02k2damage", 1)):
        second.storage.commit([Unit("m", (Put(key, record.version, body),))])
        record = Record(record.version + 1, body)
        (page,) = one_pass(second)
        assert (0, waiting) == (page.resealed, page.waiting)


# --- the limiter's counters ---------------------------------------------------------------


def limited(first: World, provider: Any, **given: Any) -> tuple[World, SendBudgets]:
    limiter = SendBudgets(messenger="m", storage=first.storage, keys=provider, **given)
    second = again(first, provider)
    second.identifier._engine.resealer.__init__(  # as if it had been built with the limiter
        second.identifier._engine.archive, second.clock, limiter
    )
    return second, limiter


def test_counters_of_the_limiter_turn_with_the_rest():
    """What stands for all moves; a range moves when it is used, or goes when it counts no more."""
    given = {"in_all": SendBudget(limit=100), "by_range": SendBudget(limit=50)}
    first = World(keys=OLD)
    old, limiter = limited(first, OLD, **given)
    assert limiter.admit(N1, old.clock.now()) is None
    second, limiter = limited(first, NEW, **given)
    assert 2 == use(second, "k1").records
    pages = one_pass(second)
    assert (1, 1) == (pages[0].resealed, pages[0].waiting)
    with pytest.raises(KeyInUse) as refused:
        second.identifier.retire_key("k1")
    assert 1 == refused.value.records
    assert refused.value.retry_at is not None
    second.clock.advance(timedelta(hours=26))
    assert 1 == moved(second)
    assert 0 == use(second, "k1").records
    assert second.identifier._engine.archive.ledger._made() == (
        second.keyring.seals + limiter.seals()
    )


# --- small things -------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_an_impossible_page_is_refused(limit: int):
    """A page has some records, and not all there are."""
    with pytest.raises(InvalidValue):
        World(keys=NEW).identifier.reseal(limit=limit)


def test_after_closing_nothing_is_resealed():
    """As for every call."""
    world = World(keys=NEW)
    world.identifier.close()
    for call in (
        world.identifier.reseal,
        world.identifier.key_uses,
        lambda: world.identifier.check_retirable("k1"),
        lambda: world.identifier.retire_key("k1"),
    ):
        with pytest.raises(IdentifierClosed):
            call()


def test_gates_in_memory_stay_right_over_a_move():
    """A gate that was read before a move closes when its user's does, by the subject's entry."""
    _, second = turned()
    with second.identifier.gate_cache(max_staleness=DAY) as gates:
        assert gates.gate("alice").open
        moved(second)
        assert gates.gate("alice").open
        second.identifier.receive(notice())
        gates.follow()
        assert not gates.gate("alice").open


@pytest.mark.asyncio
async def test_with_asyncio():
    """The same names with `await`."""
    first = World(keys=OLD, kind=MessengerKind.DOMESTIC)
    first.identify("alice")
    first.flush()
    clock = SimulatedClock(first.clock.now())
    async with AsyncIdentifier(
        messenger=Messenger(id="m", kind=MessengerKind.DOMESTIC),
        storage=first.storage,
        keys=NEW,
        possession=OneTimeCodes(SimulatedSender(), prompt=True),
        clock=clock,
        unsafe_test_doubles=True,
    ) as identifier:
        assert 1 == (await identifier.reseal()).resealed
        clock.advance(DAY + HOUR)
        await identifier.sweep()
        assert (await identifier.reseal()).cursor is None
        with pytest.raises(KeyInUse):
            await identifier.check_retirable("k1")
        clock.advance(DAY)
        await identifier.retire_key("k1")
        assert ["k2", "k1"] == [each.key_id for each in await identifier.key_uses()]
        assert await identifier.gate("alice")

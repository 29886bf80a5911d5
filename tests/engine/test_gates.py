"""Gates from memory: as the store answers, no later than agreed, and closed in doubt."""

import copy
import gc
import logging
import threading
import time
from contextlib import closing, suppress
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abonent import (
    AsyncIdentifier,
    MemoryKeys,
    MemoryStorage,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    Policy,
    Reason,
    SqliteStorage,
)
from abonent.core.states import NoticeKind
from abonent.errors import (
    AbonentError,
    CallerError,
    IdentifierClosed,
    InvalidUserId,
    InvalidValue,
    StoreUnavailable,
)
from abonent.gates import GateCache
from abonent.ports import Append, Unit
from abonent.simulation import SimulatedClock, SimulatedSender
from abonent.testing import Rehearsal

SECOND = timedelta(seconds=1)
USERS = ("alice", "boris", "clara")


class Watch:
    """A monotonic clock that a test moves, apart from the clock of the identifier."""

    def __init__(self):
        self.seconds = 1000.0

    def __call__(self):
        return self.seconds


class Store(MemoryStorage):
    """Fails when told to, and does something in between when told to."""

    def __init__(self):
        super().__init__()
        self.broken = False
        self.meanwhile = {}

    def _happen(self, call):
        if self.broken in (True, call):
            raise StoreUnavailable("out of reach")
        work = self.meanwhile.pop(call, None)
        if work is not None:
            work()

    def load(self, space, keys):
        found = super().load(space, keys)
        self._happen("load")
        return found

    def journal(self, space, after, limit):
        found = super().journal(space, after, limit)
        self._happen("journal")
        return found


class Stand(Rehearsal):
    """A rehearsal with a cache that the test follows by hand."""

    def __init__(self, *, max_users=100, **settings):
        super().__init__(storage=Store(), **settings)
        self.watch = Watch()
        archive = self.identifier._engine.archive
        self.store = archive.storage
        self.cache = GateCache(
            archive, self.clock.now, SECOND, max_users, monotonic=self.watch, by_hand=True
        )


@pytest.fixture
def stand():
    with Stand() as stand:
        yield stand
        stand.store.broken = False


def test_it_answers_as_the_store_does(stand):
    """Known and unknown, open and closed, the first time and from memory."""
    stand.identified("alice")
    stand.claimed("boris")
    for _ in range(2):
        for user in USERS:
            assert stand.cache.gate(user) == stand.identifier.gate(user)
    assert stand.cache.gate("alice").open
    assert stand.cache.kept("clara") is not None


def test_what_is_in_memory_needs_no_store(stand):
    """Within the agreed time nothing is read."""
    stand.identified("alice")
    assert stand.cache.gate("alice").open
    stand.store.broken = True
    stand.watch.seconds += 1.0
    assert stand.cache.gate("alice").open
    assert stand.cache.age == SECOND


def test_too_old_is_closed(stand):
    """A microsecond later nobody is let through, whoever they are."""
    stand.identified("alice")
    assert stand.cache.gate("alice").open
    stand.watch.seconds += 1.000001
    for user in USERS:
        assert stand.cache.gate(user).reason is Reason.CANNOT_SAY
        assert not stand.cache.gate(user)
    stand.cache.follow()
    assert stand.cache.gate("alice").open


def test_what_cannot_be_followed_is_closed_and_comes_back(stand, caplog):
    """While the store is out of reach gates close by themselves; then they open again."""
    stand.identified("alice")
    stand.store.broken = True
    assert stand.cache.gate("alice").reason is Reason.CANNOT_SAY
    assert stand.cache.age is None
    with pytest.raises(StoreUnavailable):
        stand.cache.follow()
    stand.store.broken = False
    stand.cache.follow()
    assert stand.cache.gate("alice").open
    stand.store.broken = True
    assert stand.cache.gate("boris").reason is Reason.CANNOT_SAY
    stand.store.broken = False
    assert stand.cache.gate("boris").reason is Reason.NOT_IDENTIFIED
    assert "abonent.gates_not_followed cause=STORE_UNAVAILABLE" in caplog.text


def test_time_closes_a_gate_by_itself(stand):
    """A gate that is open until an instant is open at it and closed after it, unheard."""
    stand.identified("alice")
    stand.end_subscription("alice", NoticeKind.PORTED)
    until = stand.cache.gate("alice").until
    assert until is not None
    stand.clock.advance(until - stand.clock.now())
    assert stand.cache.gate("alice").open
    stand.clock.advance(timedelta(microseconds=1))
    assert not stand.cache.gate("alice").open
    assert stand.cache.gate("alice") == stand.identifier.gate("alice")


def test_what_is_heard_while_a_user_is_read(stand):
    """What was read before a commit is not kept after the commit was followed."""
    stand.identified("alice")
    stand.cache.follow()

    def close():
        stand.end_subscription("alice")
        stand.cache.follow()

    stand.cache.gate("boris")
    stand.store.meanwhile["load"] = close
    assert stand.cache.gate("alice").open, "as it was when it was read"
    assert not stand.cache.gate("alice").open


def test_more_is_heard_than_is_remembered(stand, monkeypatch):
    """Where it is not known any more who was heard of, nothing is kept."""
    monkeypatch.setattr("abonent.gates._REMEMBERED", 2)
    cache = GateCache(
        stand.identifier._engine.archive,
        stand.clock.now,
        SECOND,
        9,
        monotonic=stand.watch,
        by_hand=True,
    )
    stand.identified("alice")
    cache.follow()

    def much():
        stand.end_subscription("alice")
        for user in ("boris", "clara", "dora"):
            stand.identified(user)
        cache.follow()

    cache.gate("boris")
    stand.store.meanwhile["load"] = much
    assert cache.gate("alice").open
    assert cache.kept("alice") is None
    assert not cache.gate("alice").open


def test_a_user_who_is_forgotten_between_two_reads_of_one_following(stand):
    """Their old subject leads nowhere any more; it is read on until the new one is named."""
    stand.identified("alice")
    assert stand.cache.gate("alice").open
    stand.end_subscription("alice")
    stand.store.meanwhile["journal"] = lambda: stand.identifier.forget("alice")
    stand.cache.follow()
    assert stand.cache.gate("alice") == stand.identifier.gate("alice")
    assert not stand.cache.gate("alice").open


@pytest.mark.parametrize("messenger", MessengerKind)
def test_a_user_of_whom_nothing_is_left(messenger):
    """Their row goes with the forgetting, or with its last debt; the journal still tells of it."""
    with Stand(messenger=messenger) as stand:
        stand.identified("alice")
        stand.pass_time(timedelta(hours=25))
        stand.cache.follow()
        assert stand.cache.gate("alice").open
        stand.identifier.forget("alice")
        stand.pass_time(timedelta(seconds=5))
        assert not stand.store.load("messenger", stand.cache._keys["alice"][1:])[0]
        stand.cache.follow()
        assert stand.cache.gate("alice").reason is Reason.NOT_IDENTIFIED


def test_an_entry_of_nobody_ends_the_following(stand):
    """What belongs to nobody is read once more and no longer waited for."""
    stand.identified("alice")
    assert stand.cache.gate("alice").open
    stand.store.commit([Unit("messenger", appends=(Append(b"nobody", 1, b"x"),))])
    stand.cache.follow()
    assert stand.cache.age == timedelta(0)


def test_who_is_read_before_the_journal_is_followed(stand):
    """Where the journal cannot be read at first and users can, nobody is kept unheard of."""
    stand.identified("alice")
    stand.store.broken = "journal"
    assert stand.cache.gate("alice").open, "as the store says"
    stand.end_subscription("alice")
    stand.store.broken = False
    stand.cache.follow()
    assert not stand.cache.gate("alice").open


def test_a_journal_that_goes_back(stand):
    """After a restore other entries stand where known ones stood: nothing kept can be trusted."""
    stand.claimed("boris")
    space = stand.store._spaces["messenger"]
    before = copy.deepcopy(space)
    for user in ("alice", "clara"):
        stand.identified(user)
        stand.cache.follow()
        assert stand.cache.gate(user).open
    stand.store._spaces["messenger"] = copy.deepcopy(before)  # the last commits were lost
    stand.cache.follow()
    assert not stand.cache.gate("alice").open
    assert stand.cache.gate("alice") == stand.identifier.gate("alice")
    stand.identified("dora")
    stand.cache.follow()
    assert stand.cache.gate("dora").open
    stand.store._spaces["messenger"] = copy.deepcopy(before)
    for _ in range(3):
        stand.claimed("boris")  # the journal is longer than it was, and another
        stand.clock.advance(timedelta(minutes=2))
    stand.cache.follow()
    assert not stand.cache.gate("dora").open


def test_who_is_read_while_the_journal_goes_back(stand):
    """What was read of the lost journal is not kept beside the one in its place."""
    space = copy.deepcopy(stand.store._spaces["messenger"])
    stand.identified("alice")
    stand.cache.follow()

    def restore():
        stand.store._spaces["messenger"] = space
        stand.cache.follow()

    stand.cache.gate("boris")
    stand.store.meanwhile["load"] = restore
    assert stand.cache.gate("alice").open
    assert not stand.cache.gate("alice").open


def test_in_a_child(stand):
    """After a fork nothing is read or waited for there: gates close, and closing returns."""
    stand.identified("alice")
    assert stand.cache.gate("alice").open
    stand.cache._pid += 1
    with stand.cache._starting, stand.cache._following, stand.cache._lock:  # as the parent had them
        assert stand.cache.gate("boris").reason is Reason.CANNOT_SAY
        stand.cache.close()
    stand.cache._pid -= 1


def test_what_was_closed_stays_closed(stand):
    """Whoever follows a closed cache opens nothing; and nothing is kept of it."""
    stand.identified("alice")
    assert stand.cache.gate("alice").open
    stand.cache.close()
    stand.cache.follow()
    assert stand.cache.gate("alice").reason is Reason.CANNOT_SAY
    assert not stand.cache._gates
    assert not stand.cache._users


def test_an_identifier_keeps_no_cache_that_is_over(stand):
    """A cache that was closed and dropped is gone."""
    for _ in range(5):
        cache = stand.identifier.gate_cache()
        cache.gate("alice")
        cache.close()
    del cache
    gc.collect()
    assert len(stand.identifier._gates) <= 1


def test_two_who_read_at_once(stand):
    """Of a user who is read twice, before and after they were forgotten, nothing stale is left."""
    for _ in range(5):
        stand.identified("alice")
        stand.cache.follow()

        def again():
            stand.identifier.forget("alice")
            stand.cache.follow()
            stand.cache.gate("alice")

        stand.store.meanwhile["load"] = again
        stand.cache.gate("alice")
        stand.pass_time(timedelta(days=2))
        stand.cache.follow()
    kept = {key for keys in stand.cache._keys.values() for key in keys}
    assert kept == stand.cache._users.keys()


def test_no_thread_can_be_had(stand, monkeypatch, caplog):
    """Then the gate is closed, and says why."""
    stand.identified("alice")

    def start(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert stand.identifier.gate_cache().gate("alice").reason is Reason.CANNOT_SAY
    assert "abonent.gates_not_followed cause=RuntimeError" in caplog.text


def test_memory_is_bounded():
    """Who was read first makes room; nothing of them is left."""
    with Stand(max_users=3) as stand:
        for number in range(10):
            stand.cache.gate(f"user-{number}")
        cache = stand.cache
        assert list(cache._gates) == ["user-7", "user-8", "user-9"]
        assert cache._keys.keys() == cache._gates.keys()
        assert set(cache._users.values()) == cache._gates.keys()
        assert len(cache._users) == 3


def test_what_cannot_be_a_user(stand):
    """A user id that is none is the caller's fault here too, and is not kept."""
    with pytest.raises(InvalidUserId):
        stand.cache.gate("")
    assert not stand.cache._gates


@pytest.mark.parametrize("wrong", [{"max_staleness": timedelta(0)}, {"max_users": 0}])
def test_impossible_settings(stand, wrong):
    """Nothing is started."""
    with pytest.raises(InvalidValue):
        stand.identifier.gate_cache(**wrong)


@given(size=st.integers(0, 70), after=st.integers(0, 5))
def test_the_end_of_the_journal_is_found(size, after):
    """It begins behind the last entry, and so hears of the next, however long the journal is."""
    with closing(Stand()) as stand:
        for number in range(size):
            stand.store.commit([Unit("messenger", appends=(Append(b"s", number, b"x"),))])
        assert stand.cache._end() == size


ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "identify",
                "claim",
                "prove",
                "terminated",
                "ported",
                "forget",
                "sweep",
                "wait",
                "follow",
                "break",
                "ask",
            ]
        ),
        st.sampled_from(USERS),
        st.sampled_from([0.1, 0.4, 0.9, 700.0]),
    ),
    max_size=40,
)


@settings(max_examples=150)
@given(ACTS)
def test_nobody_passes_later_than_agreed(acts):
    """Whatever happens in whatever order: who passes here passed the store at most a second ago.

    And once the journal was followed, both say the same.
    """
    with closing(Stand()) as stand:
        passed = dict.fromkeys(USERS, -1e9)  # when the store last said that a gate was open
        for act, user, seconds in acts:
            before = {each: stand.identifier.gate(each).open for each in USERS}
            _act(stand, act, user, seconds)
            for each in USERS:
                if before[each] or stand.identifier.gate(each).open:
                    passed[each] = stand.watch.seconds
                if stand.cache.gate(each).open:
                    assert stand.watch.seconds - passed[each] <= 1.0
            if act == "follow":
                for each in USERS:
                    assert stand.cache.gate(each) == stand.identifier.gate(each)


def _act(stand, act, user, seconds):
    if act == "wait":
        stand.watch.seconds += seconds
        stand.clock.advance(timedelta(seconds=seconds))
    elif act == "follow":
        stand.store.broken = False
        stand.cache.follow()
    elif act == "ask":
        stand.cache.gate(user)
    elif act == "break":
        stand.store.broken = "journal" if stand.store.broken is False else False
    elif act == "sweep":
        stand.identifier.sweep()
    elif act == "identify":
        with suppress(AbonentError):
            stand.identified(user)
    elif act == "claim":
        with suppress(AbonentError):
            stand.claimed(user)
    elif act == "prove":
        if (
            user in stand._claimed
            and stand.identifier.standing(user).status.value == "proving_possession"
        ):
            stand.proven(user)
    elif act == "forget":
        stand.identifier.forget(user)
    elif user in stand._claimed:
        stand.end_subscription(user, NoticeKind(act))


# --- the thread ----------------------------------------------------------------------


def eventually(question):
    deadline = time.monotonic() + 20
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def shared(tmp_path):
    """Two services on one file, as two processes would be."""
    path = tmp_path / "abonent.db"
    policy = Policy(sends_per_user=1000)
    with Rehearsal(storage=SqliteStorage(path, territory="RU"), policy=policy) as one:
        yield one


def test_a_thread_follows(shared):
    """A gate that is closed elsewhere closes here, and opens again, without being asked for."""
    shared.identified("alice")
    cache = shared.identifier.gate_cache(max_staleness=timedelta(seconds=10))
    assert not [each for each in threading.enumerate() if each.name == "abonent-gates"]
    assert cache.gate("alice").open
    shared.end_subscription("alice")
    eventually(lambda: not cache.gate("alice").open)
    shared.identified("alice")
    eventually(lambda: cache.gate("alice").open)
    cache.close()
    assert not [each for each in threading.enumerate() if each.name == "abonent-gates"]
    assert not cache.gate("alice").open
    cache.close()


def test_it_is_closed_with_its_identifier(shared):
    """Nothing of it runs on, and every gate is closed."""
    cache = shared.identifier.gate_cache()
    never_asked = shared.identifier.gate_cache()
    shared.identified("alice")
    with cache:
        assert cache.gate("alice").open
    again = shared.identifier.gate_cache()
    assert again.gate("alice").open
    shared.identifier.close()
    for each in (cache, again, never_asked):
        assert each.gate("alice").reason is Reason.CANNOT_SAY
    assert not [each for each in threading.enumerate() if each.name == "abonent-gates"]
    with pytest.raises(IdentifierClosed):
        shared.identifier.gate_cache()


def test_the_thread_outlives_what_goes_wrong(stand, caplog, monkeypatch):
    """A store that fails, in whatever way, is followed again when it works."""
    stand.identified("alice")
    cache = stand.identifier.gate_cache(max_staleness=timedelta(milliseconds=200))
    assert cache.gate("alice").open
    with monkeypatch.context() as broken, caplog.at_level(logging.WARNING):
        broken.setattr(stand.store, "journal", lambda *_: 1 / 0)
        eventually(lambda: not cache.gate("alice").open)
        assert cache.gate("alice").reason is Reason.CANNOT_SAY
    assert "abonent.gates_not_followed cause=ZeroDivisionError" in caplog.text
    eventually(lambda: cache.gate("alice").open)
    cache.close()


def test_many_ask_while_it_is_followed(shared):
    """Threads that ask while gates close and open get one of the two answers, and no error."""
    shared.identified("alice")
    cache = shared.identifier.gate_cache(max_staleness=timedelta(seconds=60), max_users=2)
    over, wrong = threading.Event(), []

    def ask(name):
        while not over.is_set():
            try:
                cache.gate("alice")
                cache.gate(name)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=ask, args=(f"user-{n}",)) for n in range(4)]
    for each in threads:
        each.start()
    for _ in range(10):
        shared.end_subscription("alice")
        shared.identified("alice")
        cache.follow()
    over.set()
    for each in threads:
        each.join()
    assert wrong == []
    assert cache._keys.keys() == cache._gates.keys()
    assert set(cache._users.values()) == cache._gates.keys()
    assert cache.gate("alice").open


@pytest.mark.asyncio
async def test_with_asyncio():
    """The same with `await`; without it, a gate has no truth value (P25)."""
    sender = SimulatedSender()
    async with AsyncIdentifier(
        messenger=Messenger(id="messenger", kind=MessengerKind.DOMESTIC),
        storage=MemoryStorage(),
        keys=MemoryKeys.random(),
        possession=OneTimeCodes(sender),
        clock=SimulatedClock(),
        unsafe_test_doubles=True,
    ) as identifier:
        await identifier.claim("alice", "+79161234567")
        await identifier.prove("alice", sender.code_for("+79161234567"))
        cache = identifier.gate_cache()
        for _ in range(2):
            assert (await cache.gate("alice")).open
            assert not (await cache.gate("boris")).open
        assert cache.age is not None
        with pytest.raises(CallerError, match="await"):
            bool(cache.gate("alice"))
        await cache.close()
        assert not (await cache.gate("alice")).open
        another = identifier.gate_cache()
        assert (await another.gate("alice")).open
    assert not (await another.gate("alice")).open

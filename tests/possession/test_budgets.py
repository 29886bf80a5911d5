"""Budgets of codes sent to many numbers, shared by the processes of a messenger (P20, P2)."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from abonent import (
    AlarmKind,
    AsyncIdentifier,
    Identifier,
    MemoryStorage,
    Messenger,
    MessengerKind,
    OneTimeCodes,
    Policy,
    SendBudget,
    SendBudgets,
    SubscriberNumber,
)
from abonent.core.budgets import Unsendable
from abonent.errors import (
    AbonentError,
    AdapterFault,
    DoubleRefused,
    Fault,
    InvalidValue,
    Misconfigured,
    RecordDamaged,
    SendingStopped,
    StoreUnavailable,
    TooManySends,
    Unavailable,
    UserInputError,
)
from abonent.keys import MemoryKeys
from abonent.ports import Keys, Put, Unit
from abonent.simulation import SimulatedClock, SimulatedSender
from tests.properties.parts import HOUR, KEYS, MICROSECOND, MINUTE, N1, N2, START, bounded

DAY = timedelta(days=1)
ANOTHER = SubscriberNumber("+79161239999")  # begins as N1 does, by seven digits


def budgets(storage=None, **given):
    keys = given.pop("keys", KEYS)
    return SendBudgets(
        messenger="m",
        storage=storage or MemoryStorage(),
        keys=keys,
        **given,
    )


def admitted(limiter, number=N1, upto=10_000, at=START):
    """How many codes are admitted before the first is not."""
    for count in range(upto):
        if limiter.admit(number, at) is not None:
            return count
    return upto


# --- the bound --------------------------------------------------------------------------------


class Processes(RuleBasedStateMachine):
    """Processes that share a budget, die, and have clocks that step back."""

    @initialize(limit=st.sampled_from([1, 3, 20, 100, 700]))
    def begin(self, limit):
        self.budget = SendBudget(limit=limit, within=HOUR)
        self.storage = MemoryStorage()
        self.clock = SimulatedClock(START)
        self.sent = []
        self.processes = [self.made() for _ in range(3)]

    def made(self):
        return budgets(self.storage, in_all=self.budget)

    @rule(which=st.integers(0, 2), count=st.integers(0, 120))
    def send(self, which, count):
        for _ in range(count):
            refused = self.processes[which].admit(N1, self.clock.now())
            if refused is not None:
                assert refused.until > self.clock.now()
                return
            self.sent.append(self.clock.now())

    @rule(which=st.integers(0, 2), minutes=st.integers(0, 5), count=st.integers(0, 9))
    def send_nothing_after_all(self, which, minutes, count):
        began = self.clock.now()
        if self.processes[which].admit(N1, began) is None:
            self.clock.advance(timedelta(minutes=minutes))
            self.send(which, count)
            self.processes[which].give_back(N1, began)

    @rule(which=st.integers(0, 2))
    def die(self, which):
        self.processes[which] = self.made()

    @rule(minutes=st.integers(-10, 80))
    def step(self, minutes):
        self.clock.advance(timedelta(minutes=minutes))

    @invariant()
    def never_more_than_the_budget(self):
        for end in getattr(self, "sent", ()):
            assert self.budget.limit >= sum(end - HOUR < each <= end for each in self.sent)


TestProcesses = Processes.TestCase
TestProcesses.settings = bounded(40, 30)


@given(limit=st.integers(1, 300))
@bounded(30)
def test_one_process_may_spend_all_of_it(limit):
    """A budget is not smaller than it says, and comes back whole when its time is over."""
    limiter = budgets(in_all=SendBudget(limit=limit, within=HOUR))
    assert limit == admitted(limiter)
    assert limit == admitted(limiter, at=limiter.admit(N1, START).until)


def test_when_it_may_be_tried_again():
    """Until the instant that was told it stays refused; from then on there is room."""
    limiter = budgets(in_all=SendBudget(limit=2, within=HOUR))
    limiter.admit(N1, START)
    limiter.admit(N1, START + HOUR / 2)
    until = limiter.admit(N1, START + HOUR / 2).until
    assert START + HOUR <= until <= START + HOUR + HOUR / 16
    assert Unsendable(until=until) == limiter.admit(N1, until - MICROSECOND)
    assert 1 == admitted(limiter, at=until)


def test_what_a_process_has_left_it_puts_back():
    """Shares that were not used up are no sends, however often a slice ends."""
    limiter = budgets(in_all=SendBudget(limit=640, within=16 * HOUR))
    for hour in range(12):
        assert limiter.admit(N1, START + hour * HOUR) is None
    assert 640 - 12 == admitted(limiter, at=START + 12 * HOUR)


def test_a_share_is_spent_in_its_own_slice():
    """What was taken an hour ago is no room now: it would stop counting too early."""
    limiter = budgets(in_all=SendBudget(limit=640, within=16 * HOUR))
    limiter.admit(N1, START)
    assert 9 == admitted(limiter, upto=9, at=START + 15 * HOUR)
    assert 640 - 9 == admitted(limiter, at=START + 17 * HOUR)


def test_a_slice_counts_until_all_of_it_is_old():
    """What was sent at its end is younger than what was sent at its beginning."""
    limiter = budgets(in_all=SendBudget(limit=3, within=16 * HOUR))
    assert 3 == admitted(limiter, at=START + HOUR - MINUTE)
    assert Unsendable(until=START + 17 * HOUR) == limiter.admit(N1, START + 16 * HOUR + HOUR / 2)


def test_a_clock_that_steps_back_finds_what_it_had_counted():
    """What no longer counted by a clock that ran ahead still counts once it is set right."""
    storage = MemoryStorage()
    process = budgets(storage, in_all=SendBudget(limit=3, within=HOUR))
    assert 3 == admitted(process, at=START)
    assert process.admit(N1, START + HOUR + 4 * MINUTE) is None
    assert process.admit(N1, START + HOUR - MINUTE) is not None
    assert budgets(storage, in_all=SendBudget(limit=3, within=HOUR)).admit(
        N1, START + HOUR - MINUTE
    )


def test_a_budget_that_was_made_smaller():
    """It is refused until so much is old that there is room under the new limit."""
    storage = MemoryStorage()
    before = budgets(storage, in_all=SendBudget(limit=10, within=16 * HOUR))
    assert 5 == admitted(before, upto=5)
    assert 5 == admitted(before, at=START + 3 * HOUR)
    after = budgets(storage, in_all=SendBudget(limit=5, within=16 * HOUR))
    assert Unsendable(until=START + 20 * HOUR) == after.admit(N1, START + 4 * HOUR)


def test_what_is_given_back_late_stays_counted():
    """The place was taken in a slice that is over; in the present one it would be one too many."""
    limiter = budgets(in_all=SendBudget(limit=640, within=16 * HOUR))
    limiter.admit(N1, START)
    limiter.admit(N1, START + HOUR)
    limiter.give_back(N1, START)
    assert 640 - 2 == admitted(limiter, at=START + HOUR)


def test_many_threads_share_the_last_places():
    """32 threads ask for more than there is: each place is given once, and all are (P2)."""
    limiter = budgets(in_all=SendBudget(limit=2_000))
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda _: limiter.admit(N1, START), range(3_000)))
    assert 2_000 == found.count(None)


def test_many_processes_share_the_last_places():
    """64 ask at once, in four processes, for 40 places: each is given once (P2)."""
    storage = MemoryStorage()
    processes = [budgets(storage, in_all=SendBudget(limit=40)) for _ in range(4)]
    together = Barrier(64)

    def ask(which):
        together.wait()
        return processes[which % 4].admit(N1, START)

    with ThreadPoolExecutor(64) as pool:
        found = list(pool.map(ask, range(64)))
    assert 40 == found.count(None)


# --- ranges -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("digits", "together"), [(7, True), (8, False), (11, False)])
def test_a_range_is_what_begins_alike(digits, together):
    """One range's budget is spent; another's is not touched."""
    limiter = budgets(by_range=SendBudget(limit=3), range_digits=digits)
    assert 3 == admitted(limiter, N1)
    assert (0 if together else 3) == admitted(limiter, ANOTHER)
    assert 3 == admitted(limiter, N2)


def test_no_range_is_one_number():
    """A counter is never dropped, and is not to tell of a person for ever: two digits are left."""
    limiter = budgets(by_range=SendBudget(limit=1), range_digits=14)
    assert 1 == admitted(limiter, SubscriberNumber("+79161234500"))
    assert 0 == admitted(limiter, SubscriberNumber("+79161234599"))
    assert 1 == admitted(limiter, SubscriberNumber("+79161234600"))


def test_who_is_refused_for_the_range_takes_nothing_of_the_rest():
    """A range that is pumped does not eat up the budget of all."""
    limiter = budgets(by_range=SendBudget(limit=3), in_all=SendBudget(limit=10))
    admitted(limiter, N1)
    for _ in range(20):
        limiter.admit(N1, START)
    assert 3 == admitted(limiter, N2)
    assert 3 == admitted(limiter, SubscriberNumber("+77011234567"))
    assert 1 == admitted(limiter, SubscriberNumber("+77771234567"))


def test_many_ranges_take_little_memory():
    """A process remembers a range for as long as it has something of it."""
    limiter = budgets(by_range=SendBudget(limit=1), range_digits=9)
    for each in range(5000):
        assert limiter.admit(SubscriberNumber(f"+7916{each:05d}00"), START) is None
    assert len(limiter._shares) < 4200
    assert 0 == admitted(limiter, SubscriberNumber("+79160000000"))  # the store knows


# --- the fuse ---------------------------------------------------------------------------------


def test_a_blown_fuse_waits_for_a_person():
    """No code is sent by any process, however long one waits, until it is mended."""
    storage, told, now = MemoryStorage(), [], START
    fuse = SendBudget(limit=5, within=HOUR)
    here, there = (budgets(storage, fuse=fuse, blown=lambda: told.append(1)) for _ in range(2))
    assert 5 == admitted(here)
    assert [1] == told
    for _ in range(40):
        now += HOUR
        assert Unsendable(until=None) == here.admit(N1, now)
        assert Unsendable(until=None) == there.admit(N2, now)
    assert [1] == told
    there.mend()
    assert 1 == admitted(there, upto=1, at=now)
    assert 4 == admitted(here, at=now + timedelta(seconds=5))
    assert [1, 1] == told


def test_the_fuse_tells_nobody_if_nobody_asked():
    """Without a callback it blows all the same."""
    limiter = budgets(fuse=SendBudget(limit=1))
    assert 1 == admitted(limiter)
    limiter.mend()
    assert 1 == admitted(limiter)


def test_mending_without_a_fuse_changes_nothing():
    """Budgets are not refilled by it."""
    limiter = budgets(in_all=SendBudget(limit=2))
    admitted(limiter)
    limiter.mend()
    assert 0 == admitted(limiter)


# --- what is stored ---------------------------------------------------------------------------


def test_a_rotation_of_keys_forgets_nothing():
    """What was counted under the old key counts under the new one, once."""
    storage = MemoryStorage()
    old = {"k1": bytes(32)}
    before = MemoryKeys(Keys(current="k1", roots=old))
    after = MemoryKeys(Keys(current="k2", roots={**old, "k2": bytes(range(32))}))
    budget = SendBudget(limit=10)
    assert 4 == admitted(budgets(storage, keys=before, in_all=budget), upto=4)
    assert 6 == admitted(budgets(storage, keys=after, in_all=budget))
    only = MemoryKeys(Keys(current="k2", roots={"k2": bytes(range(32))}))
    assert 0 == admitted(budgets(storage, keys=only, in_all=budget))


ROOTS = {"k1": bytes(32), "k2": bytes(range(32))}
OLD = MemoryKeys(Keys(current="k1", roots={"k1": ROOTS["k1"]}))
NEW = MemoryKeys(Keys(current="k2", roots=ROOTS))


def test_counters_are_moved_to_the_new_key():
    """What is known by name moves as it is; a range says nowhere which it is, and stays."""
    storage = MemoryStorage()
    given = {
        "in_all": SendBudget(limit=10),
        "fuse": SendBudget(limit=9),
        "by_range": SendBudget(limit=8, within=timedelta(hours=1)),
    }
    assert 5 == admitted(budgets(storage, keys=OLD, **given), upto=5)
    limiter = budgets(storage, keys=NEW, **given)
    at = START
    assert {"k1"} == {key_id for key_id, _ in limiter.left(at)}
    assert 3 == len(limiter.left(at))
    before = limiter.seals()
    assert 2 == limiter.reseal(at)
    assert before + 2 == limiter.seals()
    assert 0 == limiter.reseal(at)
    ((key_id, until),) = limiter.left(at)
    assert "k1" == key_id
    assert until is not None
    assert timedelta(hours=1) <= until - at <= timedelta(hours=1, minutes=4)
    assert 0 == limiter.reseal(until - MICROSECOND)
    assert 1 == limiter.reseal(until)
    assert [] == limiter.left(until)
    only = MemoryKeys(Keys(current="k2", roots={"k2": ROOTS["k2"]}))
    assert 4 == admitted(budgets(storage, keys=only, in_all=given["in_all"], fuse=given["fuse"]))


def test_a_range_moves_when_it_is_used():
    """The counter is written under the current key, and what stood under the old one goes."""
    storage = MemoryStorage()
    given = {"by_range": SendBudget(limit=8)}
    assert 5 == admitted(budgets(storage, keys=OLD, **given), upto=5)
    limiter = budgets(storage, keys=NEW, **given)
    assert 3 == admitted(limiter)
    assert [] == limiter.left(START)


def test_ranges_that_nobody_counts_any_more_are_dropped():
    """Who has taken the budget of ranges away does not keep an old key for it."""
    storage = MemoryStorage()
    admitted(budgets(storage, keys=OLD, by_range=SendBudget(limit=8)), upto=5)
    limiter = budgets(storage, keys=NEW, in_all=SendBudget(limit=8))
    assert 1 == limiter.reseal(START)
    assert [] == limiter.left(START)


def test_a_blown_fuse_is_moved_as_it_is():
    """P20: a rotation of keys mends nothing."""
    storage = MemoryStorage()
    given = {"fuse": SendBudget(limit=3)}
    admitted(budgets(storage, keys=OLD, **given))
    assert 1 == budgets(storage, keys=NEW, **given).reseal(START)
    assert 0 == admitted(budgets(storage, keys=NEW, **given))


@pytest.mark.parametrize("call", ["reseal", "left"])
def test_where_counters_cannot_be_read_nothing_is_said_of_keys(call: str):
    """What a limiter may raise, and nothing else."""
    storage = MemoryStorage()
    admitted(budgets(storage, keys=NEW, in_all=SendBudget(limit=3)))
    limiter = budgets(storage, keys=OLD, in_all=SendBudget(limit=3))
    with pytest.raises(Misconfigured):
        getattr(limiter, call)(START)


def test_a_counter_that_others_keep_writing_is_not_moved():
    """It is said so, and tried again with the next pass."""
    storage = MemoryStorage()
    admitted(budgets(storage, keys=OLD, in_all=SendBudget(limit=3)))
    limiter = budgets(storage, keys=NEW, in_all=SendBudget(limit=3))
    storage.commit = lambda units: [False for _ in units]
    with pytest.raises(Unavailable):
        limiter.reseal(START)


def test_a_process_that_does_not_know_the_new_key_yet():
    """What it counts meanwhile counts as well, and a fuse that blew stays blown."""
    storage = MemoryStorage()
    roots = {"k1": bytes(32), "k2": bytes(range(32))}
    old = MemoryKeys(Keys(current="k1", roots={"k1": roots["k1"]}))
    new = MemoryKeys(Keys(current="k2", roots=roots))
    given = {"in_all": SendBudget(limit=10), "fuse": SendBudget(limit=5)}
    here = budgets(storage, keys=new, in_all=given["in_all"])
    assert 4 == admitted(here, upto=4)
    assert 3 == admitted(budgets(storage, keys=old, in_all=given["in_all"]), upto=3)
    assert 3 == admitted(here)
    blows = budgets(storage, keys=new, fuse=given["fuse"])
    assert 5 == admitted(blows)
    assert 1 == admitted(budgets(storage, keys=old, fuse=given["fuse"]), upto=1)
    assert Unsendable(until=None) == budgets(storage, keys=new, fuse=given["fuse"]).admit(N1, START)


def test_nothing_stored_names_a_range():
    """Neither keys nor bodies show digits of a number (I9)."""
    storage = MemoryStorage()
    admitted(budgets(storage, by_range=SendBudget(limit=3), in_all=SendBudget(limit=9)))
    found = storage.scan("m/sends", b"", 100)
    assert 2 == len(found)
    assert not any(b"7916" in key + record.body for key, record in found)
    assert [] == storage.scan("m", b"", 100)


class Broken(MemoryStorage):
    """A store that fails, or that others always change first."""

    error: Exception | None = None
    loses = False

    def commit(self, units):
        if self.error is not None:
            raise self.error
        return [False] if self.loses else super().commit(units)


@pytest.mark.parametrize(
    ("error", "told"),
    [(StoreUnavailable("gone"), Unavailable), (RecordDamaged("torn"), Misconfigured)],
)
def test_a_store_that_fails(error, told):
    """Who cannot count admits nothing, and says whether trying again may help (P21)."""
    storage = Broken()
    storage.error = error
    with pytest.raises(told):
        budgets(storage, in_all=SendBudget(limit=9)).admit(N1, START)


def test_a_store_that_others_keep_changing():
    """It gives up after a while instead of turning for ever."""
    storage = Broken()
    storage.loses = True
    with pytest.raises(Unavailable):
        budgets(storage, in_all=SendBudget(limit=9)).admit(N1, START)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x93\x01\x90\x05"])
def test_a_counter_that_cannot_be_read(body):
    """Damage is not taken for an untouched budget."""
    storage = MemoryStorage()
    limiter = budgets(storage, in_all=SendBudget(limit=9))
    (key,) = limiter._keyring.range_tags("all")
    sealed = limiter._keyring.seal_row(key, 1, body)
    storage.commit([Unit("m/sends", (Put(key, 0, sealed),))])
    with pytest.raises(Misconfigured):
        limiter.admit(N1, START)


def test_a_counter_sealed_under_a_key_that_is_gone():
    """The index key is there, the other is not: it is refused by name."""
    storage = MemoryStorage()
    limiter = budgets(storage, in_all=SendBudget(limit=9))
    (key,) = limiter._keyring.range_tags("all")
    storage.commit([Unit("m/sends", (Put(key, 0, b"\x02k9" + bytes(40)),))])
    with pytest.raises(Misconfigured):
        limiter.admit(N1, START)


@pytest.mark.parametrize("limit", [0, -1, 10**9 + 1])
def test_impossible_limits(limit):
    """A budget of none would be a way to switch sending off by accident."""
    with pytest.raises(InvalidValue):
        SendBudget(limit=limit)


@pytest.mark.parametrize("within", [timedelta(), timedelta(seconds=59), timedelta(days=32)])
def test_impossible_times(within):
    """A minute to 31 days."""
    with pytest.raises(InvalidValue):
        SendBudget(limit=1, within=within)


@pytest.mark.parametrize("digits", [0, 15])
def test_impossible_ranges(digits):
    """A number has 15 digits, and a range fewer."""
    with pytest.raises(InvalidValue):
        budgets(by_range=SendBudget(limit=1), range_digits=digits)


# --- with an identifier -----------------------------------------------------------------------


class Service:
    """A domestic messenger whose codes are bounded, in either shell."""

    def __init__(self, limiter, *, aio=False, policy=None, storage=None):
        self.clock = SimulatedClock(START)
        self.sender = SimulatedSender()
        self.alarms = []
        self.aio = aio
        self.identifier = (AsyncIdentifier if aio else Identifier)(
            messenger=Messenger(id="m", kind=MessengerKind.DOMESTIC),
            storage=storage or MemoryStorage(),
            keys=KEYS,
            possession=OneTimeCodes(self.sender, prompt=True),
            limiter=limiter,
            policy=policy or Policy(flush_within=None),
            clock=self.clock,
            alarm=self.alarms.append,
            unsafe_test_doubles=True,
        )

    def claims(self, *claims):
        """Claim one after the other, with what happens between; return what each ended in."""
        return asyncio.run(self._claims(claims))

    async def _claims(self, claims):
        found = []
        for each in claims:
            if callable(each):
                each()
                continue
            try:
                standing = self.identifier.claim(*each)
                found.append((await standing if self.aio else standing).status.name)
            except AbonentError as error:
                found.append(error)
        closed = self.identifier.close()
        if self.aio:
            await closed
        return found


both = pytest.mark.parametrize("aio", [False, True], ids=["threads", "asyncio"])
E164 = (N1.e164, ANOTHER.e164, N2.e164)


@both
def test_a_claim_beyond_the_budget_is_refused(aio):
    """No code is sent, the state is as it was, and the caller learns when to come again."""
    service = Service(budgets(by_range=SendBudget(limit=1)), aio=aio)
    first, second, third = service.claims(*zip("abc", E164, strict=True))
    assert ["PROVING_POSSESSION"] * 2 == [first, third]
    assert isinstance(second, TooManySends)
    assert second.retry_at is not None
    assert 2 == len(service.sender.messages)


@both
def test_a_claim_after_the_fuse_blew_is_refused(aio):
    """It is no fault of the user's, and there is no instant to wait for."""
    service = Service(budgets(fuse=SendBudget(limit=1)), aio=aio)
    _, second = service.claims(*zip("ab", E164[:2], strict=True))
    assert isinstance(second, SendingStopped)
    assert (None, Fault.SETUP) == (second.retry_at, second.fault)


@both
def test_a_claim_that_sends_nothing_costs_nothing(aio):
    """Neither a claim repeated too early nor one that is refused for another reason is a send."""
    limiter = budgets(in_all=SendBudget(limit=3))
    service = Service(limiter, aio=aio, policy=Policy(flush_within=None, sends_per_number=1))
    found = service.claims(
        ("a", N1.e164), ("a", N1.e164), ("b", N1.e164), ("c", "+7495"), ("c", N2.e164)
    )
    assert ["PROVING_POSSESSION"] * 3 == [found[0], found[1], found[4]]
    assert isinstance(found[2], TooManySends)
    assert isinstance(found[3], UserInputError)
    assert 1 == admitted(limiter)


@both
def test_a_resend_is_a_send(aio):
    """From the resend instant on the same claim takes a place of its own, or is refused."""
    service = Service(budgets(in_all=SendBudget(limit=2)), aio=aio)
    wait = lambda: service.clock.advance(2 * MINUTE)  # noqa: E731
    found = service.claims(("a", N1.e164), wait, ("a", N1.e164), wait, ("a", N1.e164))
    assert ["PROVING_POSSESSION"] * 2 == found[:2]
    assert isinstance(found[2], TooManySends)
    assert 2 == len(service.sender.messages)


class Odd:
    """A limiter that answers as it is told to."""

    def __init__(self, answer=None, error=None, back=None):
        self.answer, self.error, self.back = answer, error, back
        self.given_back = 0

    def admit(self, number, at):
        if self.error is not None:
            raise self.error
        return self.answer

    def give_back(self, number, at):
        self.given_back += 1
        if self.back is not None:
            raise self.back


class OddLater(Odd):
    """The same over a network."""

    async def admit(self, number, at):
        return super().admit(number, at)

    async def give_back(self, number, at):
        return super().give_back(number, at)


@both
@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ({"error": Unavailable("down", adapter="x")}, Unavailable),
        ({"error": Misconfigured("no", adapter="x")}, Misconfigured),
        ({"error": RuntimeError("+79161234567")}, AdapterFault),
        ({"answer": True}, AdapterFault),
        ({"answer": 0}, AdapterFault),
    ],
)
def test_a_limiter_that_cannot_say(aio, odd, told):
    """Then no code is sent (P21), and what it said goes nowhere."""
    service = Service(OddLater(**odd) if aio else Odd(**odd), aio=aio)
    (found,) = service.claims(("a", N1.e164))
    assert told is type(found)
    assert "7916" not in str(found)
    assert [] == service.sender.messages


@both
def test_a_limiter_that_takes_nothing_back(aio):
    """The answer to the caller is the same; the code stays counted."""
    limiter = (OddLater if aio else Odd)(back=RuntimeError("no"))
    service = Service(limiter, aio=aio)
    assert ["PROVING_POSSESSION"] * 2 == service.claims(("a", N1.e164), ("a", N1.e164))
    assert 1 == limiter.given_back


def test_a_commit_whose_end_is_unknown_stays_counted():
    """It may have been committed; a sweep would then send the code."""
    storage, limiter = Broken(), Odd()
    storage.error = StoreUnavailable("cut")
    service = Service(limiter, storage=storage)
    (found,) = service.claims(("a", N1.e164))
    assert isinstance(found, StoreUnavailable)
    assert 0 == limiter.given_back


def test_a_limiter_on_a_test_store_is_a_test_double():
    """It is refused in production (P12)."""
    store = Broken()
    store.test_double = True
    with pytest.raises(DoubleRefused):
        Identifier(
            messenger=Messenger(id="m", kind=MessengerKind.DOMESTIC),
            storage=MemoryStorage(),
            keys=KEYS,
            possession=OneTimeCodes(object()),
            limiter=budgets(store, in_all=SendBudget(limit=1)),
        )


def test_no_alarm_is_a_false_one():
    """A budget that is spent is a refusal, not something a person has to look at."""
    service = Service(budgets(in_all=SendBudget(limit=1)))
    service.claims(*zip("ab", E164[:2], strict=True))
    assert AlarmKind.ADAPTER_FAULT not in [each.kind for each in service.alarms]
    assert [] == service.alarms

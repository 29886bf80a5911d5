"""The ledger: with which keys a store was written, and how much they have sealed."""

from collections.abc import Sequence

import pytest

from abonent import AlarmKind, MemoryKeys, MemoryStorage, Reason, Status
from abonent.engine.archive import CANNOT_SAY
from abonent.engine.ledger import ALARM_FROM, LARGEST_SHARE, LAST_SHARES, LEDGER
from abonent.errors import (
    KeyMaterialInvalid,
    KeyUnavailable,
    KeyWornOut,
    RecordDamaged,
    StoreNewer,
    StoreUnavailable,
)
from abonent.ports import Put, Record, Unit
from abonent.records import KeyLine, decode_ledger, encode_ledger
from abonent.sealing import MOST_SEALS, Keyring
from tests.engine.keys import NEW, OLD, ONLY_NEW, OVERLAP, again, keys, use
from tests.properties.parts import N1, N2, World

WRONG = keys("k1", k1=b"w" * 32)


def lines(world: World) -> dict[str, KeyLine]:
    (record,) = world.storage.load("m/keys", [LEDGER])
    return {} if record is None else {each.key_id: each for each in decode_ledger(record.body)}


def write(world: World, *written: KeyLine) -> None:
    (record,) = world.storage.load("m/keys", [LEDGER])
    version = 0 if record is None else record.version
    put = Put(LEDGER, version, encode_ledger(written))
    assert world.storage.commit([Unit("m/keys", (put,))]) == [True]


# --- the right keys -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "error", "named"),
    [(WRONG, KeyMaterialInvalid, "k1"), (keys("k3"), KeyUnavailable, "k1")],
)
def test_wrong_keys_are_refused_before_anything_is_done(
    wrong: MemoryKeys, error: type[Exception], named: str
):
    """A service with a wrong or missing key is told so, and takes nobody for a new user."""
    first = World(keys=OLD)
    first.identify("alice")
    before = len(first.storage.scan("m", b"", 99))
    second = again(first, wrong)
    for call in (
        lambda: second.identifier.claim("alice", N1.e164),
        lambda: second.identifier.claim("boris", N2.e164),
        lambda: second.identifier.standing("alice"),
        lambda: second.identifier.row_key("alice"),
        lambda: second.identifier.history("alice"),
        lambda: list(second.identifier.standings()),
        second.identifier.replay,
        second.identifier.sweep,
        second.identifier.reseal,
        second.identifier.key_uses,
    ):
        with pytest.raises(error, match=f"key {named}"):
            call()
    assert CANNOT_SAY == second.identifier.gate("alice")
    assert Reason.CANNOT_SAY is second.identifier.gate_cache().gate("alice").reason
    assert before == len(first.storage.scan("m", b"", 99))
    third = again(first, OLD)
    assert third.identifier.gate("alice").open
    assert third.identifier.replay().ok


def test_nothing_is_claimed_by_who_has_the_wrong_keys():
    """What is due is left to those who can settle it."""
    first = World(keys=OLD)
    first.identifier.claim("alice", N1.e164)
    first.flush()
    first.clock.advance(700)
    with pytest.raises(KeyMaterialInvalid):
        again(first, WRONG).identifier.sweep()
    assert 1 == first.identifier.sweep().due


def test_a_key_counts_from_its_first_seal():
    """While a new key is given to process after process, none has to have it yet."""
    first = World(keys=OLD)
    first.identify("alice")
    second = again(first, OVERLAP)
    second.identify("boris", N2)
    third = again(first, OLD)
    assert third.identifier.gate("boris").open
    again(first, NEW).identify("clara", N2)
    with pytest.raises(KeyUnavailable, match="key k2"):
        again(first, OLD).identifier.standing("clara")


def test_a_process_that_runs_on_without_the_new_key_is_told_so():
    """It learns of the key when it next writes in the ledger, and does no more from then on."""
    first = World(keys=OLD)
    first.identify("alice")
    again(first, NEW).identify("boris", N2)
    first.identifier._engine.archive.ledger._count_at = 0
    first.identifier.claim("clara", N2.e164)
    with pytest.raises(KeyUnavailable, match="key k2"):
        first.identifier.claim("dora", N2.e164)


def test_the_ledger_tells_no_secret():
    """What lies there unsealed is ids, counts, and a value by which nobody guesses a key."""
    world = World(keys=OLD)
    world.identify("alice")
    (record,) = world.storage.load("m/keys", [LEDGER])
    assert record is not None
    for root in (b"o" * 32, b"alice", N1.e164[1:].encode()):
        assert root not in record.body
    one, other = Keyring(OLD, "m"), Keyring(OLD, "n")
    assert one.check_value("k1") != other.check_value("k1")
    assert one.check_value("k1") == lines(world)["k1"].check


def test_a_store_of_an_older_release_is_looked_at():
    """Where there is no ledger yet, what is sealed there tells whether the keys are right."""
    first = World(keys=OLD)
    first.identify("alice")
    first.flush()

    def without_ledger() -> World:
        first.storage._spaces.pop("m/keys", None)
        return first

    with pytest.raises(KeyMaterialInvalid):
        again(without_ledger(), WRONG).identifier.claim("boris", N2.e164)
    with pytest.raises(KeyUnavailable, match="key k1"):
        again(without_ledger(), ONLY_NEW).identifier.claim("boris", N2.e164)
    assert {} == lines(first)
    second = again(without_ledger(), NEW)
    assert second.identifier.gate("alice").open
    second.identify("boris", N2)
    assert {"k1", "k2"} == lines(first).keys()


def test_one_damaged_record_condemns_no_key():
    """Only if none of the first records opens are the keys taken for the wrong ones."""
    world = World(keys=OLD)
    for number in range(3):
        world.identifier.claim(f"user-{number}", f"+7916123456{number}")
    world.flush()
    world.storage._spaces.pop("m/keys")
    key, record = world.storage.scan("m", b"", 1)[0]
    world.storage.commit([Unit("m", (Put(key, record.version, b"\x02k1damage"),))])
    assert again(world, OLD).identify("boris", N2).status is Status.IDENTIFIED


def test_a_ledger_that_cannot_be_read_opens_nothing():
    """Damaged, or of a newer release: the gate is closed, and nothing is written."""
    for body, error in ((b"\xc1", RecordDamaged), (b"\x92\x02\x90", StoreNewer)):
        world = World(keys=OLD)
        world.storage.commit([Unit("m/keys", (Put(LEDGER, 0, body),))])
        with pytest.raises(error):
            world.identifier.claim("alice", N1.e164)
        assert CANNOT_SAY == world.identifier.gate("alice")
        assert [] == world.storage.scan("m", b"", 9)


def test_of_two_that_begin_a_store_with_different_keys_one_is_refused():
    """Both found nothing there; the ledger has room for one key of a name."""
    one = World(keys=OLD)
    other = again(one, WRONG)
    assert other.identifier.gate("alice").reason is Reason.NOT_IDENTIFIED
    one.identify("alice")
    with pytest.raises(KeyMaterialInvalid):
        other.identifier.claim("alice", N1.e164)


def test_a_retired_key_may_come_back_but_not_another_under_its_name():
    """An id stands for one key, for ever."""
    world = World(keys=NEW)
    world.identify("alice")
    check = Keyring(NEW, "m").check_value("k1")
    write(world, *lines(world).values(), KeyLine(key_id="k1", check=check, retired=True))
    assert again(world, ONLY_NEW).identifier.gate("alice").open
    back = again(world, OVERLAP)
    back.identify("boris", N2)
    assert not lines(world)["k1"].retired
    with pytest.raises(KeyMaterialInvalid):
        again(world, keys("k2", "k1", k1=b"w" * 32)).identifier.standing("alice")


# --- seals are counted --------------------------------------------------------------------


class Noting(MemoryStorage):
    """Notes how many units each commit had, of the messenger and of the ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[tuple[int, int]] = []
        self.loads = 0
        self.trouble: Exception | None = None

    def load(self, space: str, keys: Sequence[bytes]) -> list[Record | None]:
        self.loads += space == "m/keys"
        return super().load(space, keys)

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        ledger = sum(each.space == "m/keys" for each in units)
        self.commits.append((len(units) - ledger, ledger))
        if self.trouble is not None and ledger and len(units) > 1:
            raise self.trouble
        return super().commit(units)


def test_counting_costs_nothing_by_call():
    """Entered once, counted with the first batch, and then no more for a share."""
    store = Noting()
    world = World(store, keys=OLD)
    world.identify("alice")
    assert [(0, 1), (1, 1)] == store.commits[:2]
    store.commits.clear()
    loads = store.loads
    for _ in range(40):
        world.clock.advance(1)
        world.identifier.claim("boris", N2.e164)
        assert world.identifier.gate("alice").open
    assert {0} == {ledger for _, ledger in store.commits}
    assert loads == store.loads


def test_seals_are_counted_ahead():
    """The count is never behind what was sealed, and shares grow: who starts anew takes little."""
    world = World(keys=OLD)
    keyring, ledger = world.keyring, world.identifier._engine.archive.ledger
    shares = []
    for _ in range(12):
        keyring._made = iter(range(ledger._counted + 1, MOST_SEALS))
        keyring._count_seal()
        before = lines(world)["k1"].seals if lines(world) else 0
        world.identifier.claim(f"user-{len(shares)}", f"+7916{len(shares):07d}")
        assert lines(world)["k1"].seals >= keyring.seals
        shares.append(lines(world)["k1"].seals - before)
    assert 2**8 <= shares[0] < 2**9
    assert LARGEST_SHARE <= shares[-1] < LARGEST_SHARE + 9
    assert lines(world)["k1"].seals == use(world, "k1").seals


def test_two_processes_count_together():
    """Each adds its own; what was lost to the other is counted with the next batch."""
    one = World(keys=OLD)
    one.identify("alice")
    other = again(one, OLD)
    for n in range(600):
        world = (one, other)[n % 2]
        world.identifier.claim(f"user-{n}", f"+7916{n:07d}")
    one.flush()
    other.flush()
    assert lines(one)["k1"].seals >= one.keyring.seals + other.keyring.seals


def test_a_commit_of_which_nobody_knows_is_counted_again():
    """Too much is counted then, never too little; and the keys are compared anew."""
    store = Noting()
    world = World(store, keys=OLD)
    store.trouble = StoreUnavailable("gone")
    with pytest.raises(StoreUnavailable):
        world.identifier.claim("alice", N1.e164)
    store.trouble = None
    world.identify("alice")
    assert lines(world)["k1"].seals >= world.keyring.seals


def test_a_person_is_told_of_a_key_that_is_worn():
    """From a quarter of what a key may seal on, at each share."""
    world = World(keys=OLD)
    world.identify("alice")
    (line,) = lines(world).values()
    ledger = world.identifier._engine.archive.ledger
    for seals, alarms in ((ALARM_FROM - 2**11, []), (ALARM_FROM, ["25_percent"])):
        write(world, KeyLine(key_id="k1", check=line.check, seals=seals))
        ledger.agreed = ledger.entered = False
        ledger._count_at = 0
        world.identifier.claim("boris", N2.e164)
        told = [each for each in world.alarms if each.kind is AlarmKind.KEY_WORN]
        assert alarms == [each.cause for each in told]
        assert all(each.adapter == "k1" for each in told)
        world.clock.advance(61)


def test_a_key_that_is_worn_out_seals_no_more():
    """NIST SP 800-38D, 8.3: no seal beyond 2**32; what is there is still read."""
    world = World(keys=OLD)
    world.identify("alice")
    (line,) = lines(world).values()
    worn = KeyLine(key_id="k1", check=line.check, seals=MOST_SEALS - LAST_SHARES)
    write(world, worn)
    second = again(world, OLD)
    with pytest.raises(KeyWornOut) as refused:
        second.identifier.claim("boris", N2.e164)
    assert "k1" == refused.value.key_id
    assert second.identifier.gate("alice").open
    third = again(world, NEW)
    assert third.identify("boris", N2).status is Status.IDENTIFIED


def test_a_keyring_seals_no_more_than_it_is_allowed():
    """Rows and questions count, each as one."""
    keyring = Keyring(OLD, "m")
    keyring.allowed = 2
    keyring.seal_row(b"k" * 16, 1, b"")
    keyring.query_id(b"k" * 16)
    assert 2 == keyring.seals
    for seal in (lambda: keyring.seal_row(b"k" * 16, 1, b""), lambda: keyring.query_id(b"")):
        with pytest.raises(KeyWornOut):
            seal()

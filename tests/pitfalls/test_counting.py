"""Mistakes of others in counting tries, codes and sends."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from abonent import Action, MessengerKind, Policy, SqliteStorage, Status
from abonent.errors import (
    CodeSpent,
    InvalidCode,
    NothingToProve,
    TooManyFailures,
    TooManySends,
)
from abonent.ports import (
    Begun,
    CodeMessage,
    OneTimeCode,
    PossessionClaim,
    PossessionFeatures,
    Unit,
    Verdict,
)
from abonent.simulation import Reply, SimulatedClock, SimulatedSender
from tests.properties.parts import HOUR, MINUTE, N1, N2, START, M, World, other_than

FEW = Policy(failures_per_day=4, tries_per_code=3)
RESEND = timedelta(seconds=60)


class Overtaken:
    """A store in which somebody else commits first, once, just before we do."""

    def __init__(self, path: Path) -> None:
        self._inner = SqliteStorage(path, territory="RU")
        self.first: Callable[[], object] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, units: list[Unit]) -> list[bool]:
        first, self.first = self.first, None
        if first is not None:
            first()
        return self._inner.commit(units)


def test_two_guesses_at_once_count_twice(tmp_path: Path):
    """P1: a guess that was overtaken by another is decided anew on what that one left."""
    ours = Overtaken(tmp_path / "kept.db")
    with World(ours) as one, World(SqliteStorage(tmp_path / "kept.db", territory="RU")) as two:
        one.identifier.claim("alice", N1.e164)
        one.flush()
        wrong = one.wrong()
        ours.first = lambda: two.identifier.prove("alice", wrong)
        one.identifier.prove("alice", wrong)
        assert one.failures("alice") == 2
        assert one.events("alice").count("ProofFailed") == 2


def test_a_budget_is_charged_before_the_verdict():
    """P2: of many tries at once, no more than the limit reach a check over a network."""

    class Remote:
        features = PossessionFeatures(local=False, prompt=True)
        checked = 0

        def begin(self, claim: PossessionClaim) -> Begun:
            return Begun()

        def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
            self.checked += 1
            together.wait()
            return Verdict.FAILED

    # Those admitted meet inside the check: none of them has had its verdict yet.
    together = Barrier(3, timeout=20)
    remote = Remote()
    with World(possession=remote, policy=FEW) as world:
        world.identifier.claim("alice", N1.e164)
        refused: list[Exception] = []

        def guess() -> None:
            try:
                world.identifier.prove("alice", "123456")
            except CodeSpent as error:
                refused.append(error)

        threads = [Thread(target=guess, daemon=True) for _ in range(12)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        assert remote.checked == 3
        assert len(refused) == 9
        assert world.failures("alice") == 3


def test_a_verdict_counts_for_the_code_it_was_given_on():
    """P3: if a new code is sent while the old one is being judged, the old one proves nothing."""

    class Slow:
        features = PossessionFeatures(local=False, prompt=True)

        def begin(self, claim: PossessionClaim) -> Begun:
            return Begun()

        def check(self, proof: OneTimeCode, claim: PossessionClaim) -> Verdict:
            world.clock.advance(RESEND)
            world.identifier.claim("alice", N1.e164)
            return Verdict.PROVEN

    with World(possession=Slow()) as world:
        world.identifier.claim("alice", N1.e164)
        standing = world.identifier.prove("alice", "123456")
        assert standing.status is Status.PROVING_POSSESSION
        assert world.failures("alice") == 1
        assert world.events("alice").count("CodeIssued") == 2


@pytest.mark.parametrize("reply", [Reply.HELD, Reply.LATER])
def test_a_proven_session_accepts_nothing_more(reply: Reply):
    """P3: once proven, a right code and a wrong one both change nothing and tell nothing."""
    with World() as world:
        world.operators[M].script(reply)
        first = world.identify("alice")
        right = world.sender.code_for(N1)
        before = world.everything()
        for code in (right, other_than(right.digits)):
            again = world.identifier.prove("alice", code)
            assert (again.status, again.identification_code) == (
                first.status,
                first.identification_code,
            )
        assert world.everything() == before


def test_a_resend_does_not_reset_the_count():
    """P4: failures of one code still count with the next, until the day is over."""
    with World(policy=FEW) as world:
        world.identifier.claim("alice", N1.e164)
        for _ in range(3):
            world.identifier.prove("alice", world.wrong())
        with pytest.raises(CodeSpent):
            world.identifier.prove("alice", world.sender.code_for(N1))
        world.clock.advance(RESEND)
        step = world.identifier.claim("alice", N1.e164).may(Action.PROVE)
        assert step is not None
        assert step.tries == 1
        spent = world.clock.now()
        assert world.identifier.prove("alice", world.wrong()).status is Status.NOT_PASSED
        with pytest.raises(TooManyFailures) as refused:
            world.identifier.claim("alice", N1.e164)
        assert refused.value.retry_at == START + 24 * HOUR
        world.clock.set(START + 24 * HOUR - timedelta(microseconds=1))
        with pytest.raises(TooManyFailures):
            world.identifier.claim("alice", N1.e164)
        world.clock.set(START + 24 * HOUR)
        step = world.identifier.claim("alice", N1.e164).may(Action.PROVE)
        assert step is not None
        assert step.tries == 3
        assert spent > START


def test_who_knows_a_number_cannot_lock_its_owner_out():
    """P5: the failures of one account on a number are nothing to another account."""
    with World(policy=FEW) as world:
        world.identifier.claim("mallory", N1.e164)
        for _ in range(3):
            world.identifier.prove("mallory", world.wrong())
        world.clock.advance(RESEND)
        world.identifier.claim("mallory", N1.e164)
        world.identifier.prove("mallory", world.wrong())
        with pytest.raises(TooManyFailures):
            world.identifier.claim("mallory", N1.e164)
        assert world.identify("alice").status is Status.IDENTIFIED


def test_a_code_works_once():
    """P6: the code that has worked is no code any more, even where the attempt then failed."""
    with World() as world:
        world.operators[M].script(Reply.NOT_HELD)
        assert world.identify("alice").status is Status.NOT_PASSED
        with pytest.raises(NothingToProve):
            world.identifier.prove("alice", world.sender.code_for(N1))
        # Nor does it work for the next claim of the same number by the same user.
        used = world.sender.code_for(N1)
        world.clock.advance(RESEND)
        world.identifier.claim("alice", N1.e164)
        assert world.sender.code_for(N1).digits != used.digits
        assert world.identifier.prove("alice", used).status is Status.PROVING_POSSESSION
        assert world.failures("alice") == 1


def test_a_code_works_once_for_two_processes(tmp_path: Path):
    """P6: the same right code in two processes at once proves possession once."""
    ours = Overtaken(tmp_path / "kept.db")
    with World(ours) as one, World(SqliteStorage(tmp_path / "kept.db", territory="RU")) as two:
        one.identifier.claim("alice", N1.e164)
        one.flush()
        code = one.sender.code_for(N1)
        ours.first = lambda: two.identifier.prove("alice", code)
        assert one.identifier.prove("alice", code).status is Status.IDENTIFIED
        assert one.events("alice").count("PossessionProven") == 1
        assert one.events("alice").count("Passed") == 1


@pytest.mark.parametrize(
    "typed",
    [
        "12_34_56",
        " 123456",
        "123456 ",
        "+123456",
        "-123456",
        "1234.5",
        "١٢٣٤٥٦",
        "１２３４５６",
        "123 456",
        "0x1234",
        "123456\n",
        "²²²²²²",
        "",
        "123",
        "12345678901",
        "12345а",
    ],
)
def test_a_code_is_text(typed: str):
    """P8: what int() would read as a code is refused by name and not counted."""
    with World() as world:
        world.identifier.claim("alice", N1.e164)
        before = world.everything()
        with pytest.raises(InvalidCode):
            world.identifier.prove("alice", typed)
        assert world.everything() == before


def test_leading_zeros_are_part_of_a_code():
    """P8: 0012 and 12 are two codes."""
    assert other_than("000000") == "000001"
    sender = SimulatedSender()
    with World(sender=sender, policy=Policy(sends_per_number=1000, sends_per_user=1)) as world:
        for serial in range(400):
            world.identifier.claim(f"user-{serial}", N1.e164)
            code = sender.code_for(N1).digits
            assert len(code) == 6
            if code.startswith("0"):
                break
        assert code.startswith("0")
        shorter = code.lstrip("0").ljust(4, "0")[:6]
        standing = world.identifier.prove(f"user-{serial}", shorter)
        assert standing.status is Status.PROVING_POSSESSION
        assert world.identifier.prove(f"user-{serial}", code).status is Status.IDENTIFIED


SPELLINGS = ["8 (916) 123-45-67", "+7 916 123 45 67", "tel:+79161234567", "８９１６１２３４５６７"]
SPELLINGS += ["٨٩١٦١٢٣٤٥٦٧", "9161234567", "+7(916)1234567"]


def test_budgets_are_kept_by_number_not_by_spelling():
    """P9: however a number is spelled, it is one claim, one failure budget, one send budget."""
    policy = Policy(failures_per_day=4, tries_per_code=10, sends_per_number=3, sends_per_user=100)
    with World(policy=policy) as world:
        for spelled in SPELLINGS:
            world.identifier.claim("alice", spelled)
        assert len(world.sender.messages) == 1
        for serial, spelled in enumerate(SPELLINGS[:2]):
            world.identifier.claim(f"other-{serial}", spelled)
        with pytest.raises(TooManySends):
            world.identifier.claim("one-more", SPELLINGS[3])
        for spelled in SPELLINGS[:3]:
            world.identifier.claim("alice", spelled)
            world.identifier.prove("alice", world.wrong())
        assert world.failures("alice") == 3


def test_sends_are_bounded_by_user_and_by_number():
    """P20: a user, and a number, get so many codes a day; the caller learns from when on more."""
    policy = Policy(sends_per_user=3, sends_per_number=4)
    with World(policy=policy) as world:
        for _ in range(3):
            world.identifier.claim("alice", N1.e164)
            world.clock.advance(RESEND)
        with pytest.raises(TooManySends) as refused:
            world.identifier.claim("alice", N1.e164)
        assert refused.value.retry_at == START + 24 * HOUR
        with pytest.raises(TooManySends):
            world.identifier.claim("alice", N2.e164)
        world.identifier.claim("boris", N1.e164)
        with pytest.raises(TooManySends) as refused:
            world.identifier.claim("clara", N1.e164)
        assert refused.value.retry_at == START + 24 * HOUR
        assert len(world.sender.messages) == 4
        world.clock.set(START + 24 * HOUR)
        world.identifier.claim("clara", N1.e164)
        assert len(world.sender.messages) == 5


def test_repeating_a_claim_sends_nothing_before_its_time():
    """P20: before the resend instant a repeated claim sends nothing, from it on one code."""
    with World() as world:
        world.identifier.claim("alice", N1.e164)
        for seconds in (0, 30, 29.999999):
            world.clock.advance(seconds)
            standing = world.identifier.claim("alice", N1.e164)
        assert len(world.sender.messages) == 1
        resend = standing.may(Action.RESEND)
        assert resend is not None
        assert resend.since == START + RESEND
        world.clock.set(resend.since)
        world.identifier.claim("alice", N1.e164)
        assert len(world.sender.messages) == 2


class FailsToMark:
    """A store that is out of reach once after the code was sent."""

    def __init__(self, inner: Any, sender: SimulatedSender) -> None:
        self._inner = inner
        self._sender = sender
        self.failed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def commit(self, units: list[Unit]) -> list[bool]:
        from abonent.errors import StoreUnavailable

        if self._sender.messages and not self.failed:
            self.failed += 1
            raise StoreUnavailable("out of reach")
        return list(self._inner.commit(units))


def test_a_send_whose_mark_failed_is_repeated_under_its_id():
    """P14: the same message again has the same id and code, and no third one follows."""
    from abonent import MemoryStorage
    from abonent.errors import StoreUnavailable

    sender = SimulatedSender()
    store = FailsToMark(MemoryStorage(), sender)
    with World(store, sender=sender, kind=MessengerKind.DOMESTIC) as world:
        world.identifier.claim("alice", N1.e164)
        with pytest.raises(StoreUnavailable):
            world.flush()
        assert store.failed == 1
        for _ in range(3):
            world.clock.advance(MINUTE)
            world.identifier.sweep()
        first, second = sender.messages
        assert ids(first) == ids(second)


def ids(message: CodeMessage) -> tuple[str, str]:
    return message.id, message.code.digits


def test_the_clock_of_the_caller_is_not_asked():
    """P16: two clocks in other zones, the same instants: the same deadlines to the microsecond."""
    from zoneinfo import ZoneInfo

    untils = []
    for zone in ("UTC", "Pacific/Kiritimati", "America/St_Johns"):
        clock = SimulatedClock(START.astimezone(ZoneInfo(zone)))
        with World(clock=clock) as world:
            step = world.identifier.claim("alice", N1.e164).may(Action.PROVE)
            assert step is not None
            untils.append(step.until)
            clock.advance(timedelta(minutes=10))
            code = world.sender.code_for(N1)
            assert world.identifier.prove("alice", code).status is Status.IDENTIFIED
    assert untils == [START + timedelta(minutes=10)] * 3


def test_an_expired_code_is_expired_in_every_zone():
    """P16: a microsecond after its time a right code is refused like a wrong one, and counted."""
    from zoneinfo import ZoneInfo

    for zone in ("UTC", "Pacific/Kiritimati", "America/St_Johns"):
        clock = SimulatedClock(START.astimezone(ZoneInfo(zone)))
        with World(clock=clock) as world:
            world.identifier.claim("alice", N1.e164)
            clock.advance(timedelta(minutes=10, microseconds=1))
            code = world.sender.code_for(N1)
            assert world.identifier.prove("alice", code).status is Status.PROVING_POSSESSION
            assert world.failures("alice") == 1

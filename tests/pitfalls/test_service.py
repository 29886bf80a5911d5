"""Mistakes of others in running a service: leaks, silence, open gates, stalls."""

import asyncio
import logging
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from abonent import (
    AlarmKind,
    AsyncIdentifier,
    Identifier,
    LateAnswer,
    MemoryKeys,
    MemoryStorage,
    Messenger,
    MessengerKind,
    Notice,
    NoticeKind,
    OneTimeCode,
    OneTimeCodes,
    Outcome,
    Policy,
    Reason,
    SqliteStorage,
    Status,
    SubscriberNumber,
)
from abonent.errors import (
    CallerError,
    DoubleRefused,
    GateClosed,
    InvalidCode,
    StoreUnavailable,
    Unavailable,
)
from abonent.ports import (
    Answer,
    CodeMessage,
    GatewayFeatures,
    Keys,
    Query,
    RecordEntry,
    WithdrawEntry,
)
from abonent.simulation import (
    Reply,
    SimulatedClock,
    SimulatedOperator,
    SimulatedRouter,
    SimulatedSender,
)
from tests.properties.parts import (
    ANSWER_TIME,
    KEYS,
    MICROSECOND,
    N1,
    N2,
    START,
    M,
    N,
    World,
    agreement,
    parts_of,
)

BOUND = 20.0
"""Seconds after which something that must not wait is said to hang."""


class Silent:
    """An operator that takes a call and does not return until it is let go."""

    def __init__(self, *, concurrency: int = 2) -> None:
        self.features = GatewayFeatures(prompt=False, concurrency=concurrency)
        self.let_go = threading.Event()
        self.called = threading.Event()

    def ask(self, query: Query) -> Answer:
        self.called.set()
        self.let_go.wait(BOUND * 3)
        raise Unavailable("too late")

    def record(self, entry: RecordEntry) -> None:
        self.ask(None)

    def withdraw(self, entry: WithdrawEntry) -> None:
        self.ask(None)


# --- P7, P24: what is shown ------------------------------------------------------------


def test_a_code_is_shown_nowhere(caplog: pytest.LogCaptureFixture, tmp_path: Path):
    """P7: not in the store, a message's repr or format, a log, an error or its traceback."""
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / "store"
    folder.mkdir()
    with World(SqliteStorage(folder / "kept.db", territory="RU")) as world:
        world.identifier.claim("alice", N1.e164)
        (message,) = world.sender.messages
        digits = message.code.digits
        shown = [f"{message} {message!r} {message.code} {message.code!r}"]
        shown += [repr(world.identifier.standing("alice")), repr(world.identifier.history("alice"))]
        with pytest.raises(InvalidCode) as refused:
            world.identifier.prove("alice", digits + "x")
        shown.append("".join(traceback.format_exception(refused.value)))
        world.sender.fail(Reply.MISCONFIGURED)
        world.clock.advance(61)
        world.identifier.claim("alice", N1.e164)
        world.flush()
        files = b"".join(each.read_bytes() for each in sorted(folder.iterdir()))
        assert digits.encode() not in files
    shown.append(caplog.text)
    assert not [text for text in shown if digits in text]


@pytest.mark.parametrize("trouble", [RuntimeError, Unavailable, KeyError])
def test_what_an_adapter_says_is_not_repeated(
    trouble: type[Exception], caplog: pytest.LogCaptureFixture
):
    """P7: an adapter's error may quote number and code; none of it gets into logs or alarms."""

    class Talkative(SimulatedSender):
        said = ""

        def send(self, message: CodeMessage) -> None:
            self.said = f"{message.number.e164} {message.code.digits}"
            raise trouble(self.said)

    class TalkativeRouter(SimulatedRouter):
        def serving(self, number: SubscriberNumber) -> str:
            raise trouble(number.e164)

    caplog.set_level(logging.DEBUG)
    with World(sender=Talkative()) as world:
        world.identifier.claim("alice", N1.e164)
        number, digits = world.sender.said.split()
        shown = f"{caplog.text}{world.alarms}{world.identifier.history('alice')}"
        assert number not in shown
        assert digits not in shown
    with World(router=TalkativeRouter()) as world:
        with pytest.raises(Exception) as raised:  # noqa: PT011
            world.identifier.claim("alice", N1.e164)
        assert N1.e164 not in "".join(traceback.format_exception(raised.value))
        assert N1.e164 not in str(raised.value) + repr(raised.value) + str(vars(raised.value))


def test_events_alarms_and_reports_carry_no_number():
    """P24: what goes to feeds, metrics and pagers has no number in it, not even a hidden one."""
    with World() as world:
        world.operators[M].fail_records(Reply.MISCONFIGURED)
        world.identify("alice")
        told: list[Any] = [world.identifier.sweep()]
        told.append(
            world.identifier.receive(Notice(id="n1", operator=M, kind=NoticeKind.PORTED, number=N1))
        )
        world.clock.advance(1300)
        told += [world.identifier.sweep(), *world.identifier.changes(), *world.alarms]
        told += [world.identifier.replay(), world.identifier.gate("alice")]
        assert world.alarms
        assert len(world.identifier.changes()) >= 2
        for part in parts_of(told):
            assert not isinstance(part, SubscriberNumber)
            if isinstance(part, str | bytes):
                text = part if isinstance(part, str) else part.decode("latin-1")
                assert "9161234567" not in text


# --- P12: doubles ---------------------------------------------------------------------


class Quiet:
    """A sender that is no double."""

    def send(self, message: CodeMessage) -> None:
        pass


@pytest.mark.parametrize("where", ["possession", "gateways", "router", "clock", "keys", "storage"])
def test_a_double_is_refused_unless_asked_for(where: str):
    """P12: one double in any place refuses the identifier; nothing was started."""

    class DoubleStore(MemoryStorage):
        test_double = True

    class DoubleKeys:
        test_double = True

        def keys(self) -> Keys:
            return KEYS.keys()

    real: dict[str, Any] = {
        "messenger": Messenger(id="m", kind=MessengerKind.DOMESTIC),
        "storage": MemoryStorage(),
        "keys": MemoryKeys.random(),
        "possession": OneTimeCodes(Quiet()),
    }
    doubles: dict[str, Any] = {
        "possession": OneTimeCodes(SimulatedSender()),
        "gateways": {M: SimulatedOperator(M)},
        "router": SimulatedRouter(M),
        "clock": SimulatedClock(),
        "keys": DoubleKeys(),
        "storage": DoubleStore(),
    }
    Identifier(**real).close()
    mixed = {**real, "storage": MemoryStorage(), where: doubles[where]}
    for shell in (Identifier, AsyncIdentifier):
        with pytest.raises(DoubleRefused):
            shell(**mixed)
    Identifier(**mixed, unsafe_test_doubles=True).close()


def test_production_code_never_loads_the_doubles():
    """P12: using every public name of the library leaves `abonent.simulation` unimported."""
    code = (
        "import sys, abonent\n"
        "for name in abonent.__all__: getattr(abonent, name)\n"
        "sys.exit(any(name.startswith('abonent.simulation') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


# --- P15: nothing ends in silence --------------------------------------------------------


def unacknowledged(world: World, days: int) -> None:
    world.operators[M].fail_records(*[Reply.UNAVAILABLE] * 500_000)
    world.identify("alice")
    world.flush()
    world.clock.advance(timedelta(days=days))


def test_a_debt_given_up_is_an_event_and_an_alarm():
    """P15: a record that was tried for 30 days ends visibly: in the journal and as an alarm."""
    with World() as world:
        unacknowledged(world, 29)
        world.identifier.sweep()
        assert not world.alarms
        world.clock.advance(timedelta(days=1))
        world.identifier.sweep()
        assert [each.kind for each in world.alarms] == [AlarmKind.DEBT_GIVEN_UP]
        assert world.alarms[0].adapter == M
        assert world.events("alice").count("DebtGivenUp") == 1
        world.clock.advance(timedelta(days=1))
        world.identifier.sweep()
        assert len(world.alarms) == 1


@pytest.mark.parametrize("call", ["claim", "prove", "receive", "forget", "disclose"])
def test_a_debt_is_given_up_visibly_whatever_comes_first(call: str):
    """P15: whichever call finds a debt too old, every such event has its alarm."""
    with World() as world:
        unacknowledged(world, 0)
        world.identifier.claim("alice", N2.e164)
        code = world.sender.code_for(N2)
        world.clock.advance(timedelta(minutes=5))
        # Another process, less patient: the debt is too old when the call comes.
        later = World(
            world.storage,
            policy=Policy(debt_kept=timedelta(minutes=5)),
            clock=world.clock,
            operators=world.operators,
            sender=world.sender,
        )
        call_it(later, call, code)
        later.flush()
        later.identifier.sweep()
        if call == "forget":  # the debt is gone with the user, and the withdrawal is a new one
            assert not later.alarms
        else:
            assert later.events("alice").count("DebtGivenUp") == 1
            assert [each.kind for each in later.alarms] == [AlarmKind.DEBT_GIVEN_UP]


def call_it(world: World, call: str, code: OneTimeCode) -> None:
    from abonent import Consent

    if call == "claim":
        world.identifier.claim("alice", N2.e164)
    elif call == "prove":
        world.identifier.prove("alice", code)
    elif call == "receive":
        world.identifier.receive(Notice(id="n", operator=M, kind=NoticeKind.PORTED, number=N1))
    elif call == "forget":
        world.identifier.forget("alice")
    else:
        consent = Consent(user_id="alice", recipient="court", purpose="case", given_at=START)
        world.identifier.disclose("alice", to="court", purpose="case", consent=consent)


# --- P21: the gate --------------------------------------------------------------------


class OutOfReach:
    """A store that fails in a chosen way whenever it is read."""

    def __init__(self, inner: MemoryStorage) -> None:
        self._inner = inner
        self.trouble: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def load(self, space: str, keys: Any) -> Any:
        if self.trouble is not None:
            raise self.trouble
        return self._inner.load(space, keys)


@pytest.mark.parametrize(
    "trouble",
    [StoreUnavailable("gone"), RuntimeError("bug"), KeyError("x"), MemoryError(), OSError("io")],
    ids=lambda each: type(each).__name__,
)
def test_a_gate_that_cannot_say_is_closed(trouble: Exception):
    """P21: whatever the check raises, the gate is closed, and says that it cannot say."""
    store = OutOfReach(MemoryStorage())
    with World(store) as world:
        world.identify("alice")
        assert world.identifier.gate("alice").open
        store.trouble = trouble
        answer = world.identifier.gate("alice")
        assert (answer.open, answer.reason) == (False, Reason.CANNOT_SAY)
        assert not answer
        with pytest.raises(GateClosed) as closed:
            world.identifier.require_open("alice")
        store.trouble = None
        assert closed.value.reason == Reason.CANNOT_SAY.value


def test_a_gate_without_its_key_is_closed():
    """P21: a key that is not there closes the gate; it is not taken for an unknown user."""
    with World() as world:
        world.identify("alice")
        other = MemoryKeys(Keys(current="k2", roots={"k1": b"x" * 32, "k2": b"y" * 32}))
        missing = World(world.storage, keys=MemoryKeys(Keys(current="k1", roots={"k1": b"z" * 32})))
        assert not missing.identifier.gate("alice").open
        assert not World(world.storage, keys=other).identifier.gate("alice").open
        assert world.identifier.gate("alice").open


# --- P23: sweeping ---------------------------------------------------------------------


def test_a_sweep_does_not_overtake_an_answer_in_time():
    """P23: an answer received at the last instant counts, though a sweep ran in that second."""
    with World() as world:
        world.operators[M].script(Reply.LATER)
        world.identify("alice")
        world.clock.set(START + ANSWER_TIME + timedelta(milliseconds=500))
        world.identifier.sweep()
        (query,) = world.operators[M].questions
        late = LateAnswer(query_id=query.id, operator=M, outcome=Outcome.HELD)
        world.identifier.receive(late, received_at=START + ANSWER_TIME)
        assert world.identifier.standing("alice").status is Status.IDENTIFIED


def test_nothing_expires_by_itself():
    """P23: years without a sweep lose no record; the next one tells what had fallen due, once."""
    with World() as world:
        world.operators[M].script(Reply.LATER)
        world.identify("alice")
        world.clock.advance(timedelta(days=1000))
        assert not world.identifier.gate("alice").open
        assert world.identifier.sweep().events["IdentificationNotPassed"] == 1
        (ended,) = [
            each.event
            for each in world.identifier.history("alice")
            if type(each.event).__name__ == "IdentificationNotPassed"
        ]
        assert ended.due == START + ANSWER_TIME
        assert world.identifier.sweep().due == 0


# --- P25: a forgotten await ------------------------------------------------------------


def test_a_gate_not_awaited_has_no_truth_value():
    """P25: `if identifier.gate(user):` without await raises instead of letting everybody in."""

    async def main() -> None:
        async with AsyncIdentifier(
            messenger=Messenger(id="m", kind=MessengerKind.DOMESTIC),
            storage=MemoryStorage(),
            keys=MemoryKeys.random(),
            possession=OneTimeCodes(Quiet()),
        ) as identifier:
            pending = identifier.gate("alice")
            with pytest.raises(CallerError):
                bool(pending)
            with pytest.raises(CallerError):
                _ = "in" if identifier.gate("alice") else "out"
            with pytest.raises(CallerError):
                _ = not identifier.gate("alice")
            answer = await pending
            assert not answer.open
            assert not answer
            with pytest.raises(GateClosed):
                await identifier.require_open("alice")

    asyncio.run(main())


# --- P26: one dead operator -------------------------------------------------------------

IMPATIENT = Policy(inline_wait=timedelta(milliseconds=20), sends_per_number=1000)


@pytest.fixture
def stalled() -> Iterator[tuple[World, Silent]]:
    """A world whose first operator is dead and serves everybody but N2."""
    dead = Silent()
    world = World(operators={M: dead, N: SimulatedOperator(N)}, policy=IMPATIENT)
    world.router.port(N2, N)
    yield world, dead
    dead.let_go.set()
    world.identifier.close()


def within_bound(function: Any, *arguments: Any) -> Any:
    """Call in a thread; fail if it does not return."""
    box: list[Any] = []
    thread = threading.Thread(target=lambda: box.append(function(*arguments)), daemon=True)
    thread.start()
    thread.join(BOUND)
    assert box, "it hangs"
    return box[0]


def test_a_dead_operator_does_not_stall_claims(stalled: tuple[World, Silent]):
    """P26: its own users wait in their standing; users of others are identified meanwhile."""
    world, dead = stalled
    numbers = [f"+7916123{each:04d}" for each in range(12)]
    for serial, number in enumerate(numbers):
        within_bound(world.identifier.claim, f"user-{serial}", number)
        code = world.sender.code_for(number)
        standing = within_bound(world.identifier.prove, f"user-{serial}", code)
        assert standing.status is Status.AWAITING_ANSWER
    assert dead.called.is_set()
    assert within_bound(world.identify, "alice", N2).status is Status.IDENTIFIED
    assert within_bound(world.identifier.gate, "alice").open


def test_a_dead_operator_does_not_stall_a_sweep(stalled: tuple[World, Silent]):
    """P26: one sweep settles and performs for all others what is due."""
    world, dead = stalled
    for serial in range(12):
        number = f"+7916123{serial:04d}"
        within_bound(world.identifier.claim, f"user-{serial}", number)
        within_bound(world.identifier.prove, f"user-{serial}", world.sender.code_for(number))
    assert dead.called.wait(BOUND)
    world.operators[N].script(Reply.UNAVAILABLE)
    assert within_bound(world.identify, "alice", N2).status is Status.AWAITING_ANSWER
    world.flush()
    world.clock.advance(31)
    report = within_bound(world.identifier.sweep)
    assert report.due == 13
    assert world.identifier.standing("alice").status is Status.IDENTIFIED
    world.clock.advance(ANSWER_TIME + MICROSECOND)
    world.clock.advance(1)
    within_bound(world.identifier.sweep)
    for serial in range(12):
        standing = within_bound(world.identifier.standing, f"user-{serial}")
        assert standing.reason is Reason.NO_ANSWER


def test_an_operator_with_one_place_is_not_waited_for_by_itself():
    """P26: an answer whose record needs the same place does not wait for itself."""

    class OnePlace(SimulatedOperator):
        def __init__(self) -> None:
            super().__init__(M, prompt=False, concurrency=1)

    patient = Policy(inline_wait=timedelta(seconds=BOUND * 3))
    with World(operators={M: OnePlace(), N: SimulatedOperator(N)}, policy=patient) as world:
        assert within_bound(world.identify, "alice").status is Status.IDENTIFIED


def test_a_dead_operator_does_not_stall_the_async_shell():
    """P26: the same for asyncio: others are identified while one operator hangs."""
    dead = Silent()
    sender = SimulatedSender()
    router = SimulatedRouter(M)
    router.port(N2, N)

    async def main() -> None:
        identifier = AsyncIdentifier(
            messenger=Messenger(id="m", kind=MessengerKind.FOREIGN),
            storage=MemoryStorage(),
            keys=KEYS,
            possession=OneTimeCodes(sender, prompt=True),
            agreements=[agreement(M), agreement(N)],
            gateways={M: dead, N: SimulatedOperator(N)},
            router=router,
            policy=IMPATIENT,
            clock=SimulatedClock(START),
            unsafe_test_doubles=True,
        )
        try:
            async with asyncio.timeout(BOUND):
                for serial in range(12):
                    number = f"+7916123{serial:04d}"
                    await identifier.claim(f"user-{serial}", number)
                    await identifier.prove(f"user-{serial}", sender.code_for(number))
                await identifier.claim("alice", N2.e164)
                standing = await identifier.prove("alice", sender.code_for(N2))
            assert standing.status is Status.IDENTIFIED
        finally:
            dead.let_go.set()
            await identifier.close()

    asyncio.run(main())

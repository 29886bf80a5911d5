"""Several senders are as good as the best of them, and say which one somebody has to look at."""

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from abonent import (
    AsyncFallbackSender,
    DeliveryState,
    FallbackSender,
    FallbackTimes,
    OneTimeCode,
    SenderAlarm,
    SubscriberNumber,
)
from abonent.errors import AdapterFault, InvalidValue, Misconfigured, Unavailable
from abonent.ports import CodeMessage
from abonent.simulation import Reply, SimulatedClock, SimulatedSender
from tests.contracts.test_senders import AwaitedSender

NUMBER = SubscriberNumber("+79161234567")
START = datetime(2026, 6, 1, 9, tzinfo=UTC)


def message(message_id="claim.1", number=NUMBER):
    return CodeMessage(id=message_id, number=number, code=OneTimeCode("493817"), locale="")


class ForThreads:
    """A fallback as the thread shell uses it."""

    def __init__(self, senders, **more):
        self.fallback = FallbackSender(senders, **more)

    def send(self, each):
        return self.fallback.send(each)


class ForALoop:
    """A fallback as the async shell uses it."""

    def __init__(self, senders, **more):
        self.fallback = AsyncFallbackSender(
            {name: AwaitedSender(each) for name, each in senders.items()}, **more
        )

    def send(self, each):
        return asyncio.run(self.fallback.send(each))


@pytest.fixture
def clock():
    return SimulatedClock(START)


@pytest.fixture
def alarms():
    return []


@pytest.fixture(params=[ForThreads, ForALoop])
def stage(request, clock, alarms):
    """Two senders, `a` before `b`, as one; `twin` is the fallback itself."""
    a, b = SimulatedSender(), SimulatedSender()
    twin = request.param({"a": a, "b": b}, alarm=alarms.append, clock=clock)
    return SimpleNamespace(a=a, b=b, send=twin.send, twin=twin.fallback)


def ids(sender):
    return [each.id for each in sender.messages]


# --- where one cannot -------------------------------------------------------------------


def test_the_first_takes_it(stage, alarms):
    """Nobody else is asked, and nobody is alarmed."""
    stage.send(message())
    assert (["claim.1"], []) == (ids(stage.a), ids(stage.b))
    assert [] == alarms


def test_where_the_first_is_unavailable_the_next_takes_it(stage, alarms, caplog):
    """That passes: it is logged by the sender's name, and is no alarm."""
    stage.a.fail(Reply.UNAVAILABLE)
    stage.send(message())
    assert ([], ["claim.1"]) == (ids(stage.a), ids(stage.b))
    assert [] == alarms
    assert "abonent.sender_failed sender=a cause=UNAVAILABLE" in caplog.text


def test_where_the_first_is_misconfigured_the_next_takes_it_with_an_alarm(stage, alarms, caplog):
    """Users are served, and somebody is told all the same (S11)."""
    stage.a.fail(Reply.MISCONFIGURED)
    stage.send(message())
    assert ["claim.1"] == ids(stage.b)
    assert [SenderAlarm(sender="a", cause="MISCONFIGURED")] == alarms
    assert "abonent.sender_alarm sender=a cause=MISCONFIGURED" in caplog.text


def test_a_sender_that_breaks_its_contract_is_an_alarm_too(stage, alarms, caplog, monkeypatch):
    """By the type of what it raised; the text may carry a number (I9)."""

    def broken(_):
        raise LookupError(NUMBER.e164)

    monkeypatch.setattr(stage.a, "send", broken)
    stage.send(message())
    assert ["claim.1"] == ids(stage.b)
    assert [SenderAlarm(sender="a", cause="LookupError")] == alarms
    assert NUMBER.e164 not in caplog.text


def test_what_is_not_the_senders_passes(stage, monkeypatch):
    """An interrupt ends the call, and nobody else is asked."""

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(stage.a, "send", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stage.send(message())
    assert [] == ids(stage.b)


def test_an_alarm_that_raises_changes_nothing(stage, caplog):
    """A hook of the application is not trusted to work."""

    def broken(alarm):
        raise LookupError(NUMBER.e164)

    stage.twin._alarm = broken
    stage.a.fail(Reply.MISCONFIGURED)
    stage.send(message())
    assert ["claim.1"] == ids(stage.b)
    assert "abonent.alarm_hook_failed cause=LookupError" in caplog.text
    assert NUMBER.e164 not in caplog.text


def test_an_alarm_may_be_left_out(stage, caplog):
    """Then there is the log."""
    stage.twin._alarm = None
    stage.a.fail(Reply.MISCONFIGURED)
    stage.send(message())
    assert "abonent.sender_alarm sender=a" in caplog.text


def test_who_failed_is_spared_for_a_while(stage, clock):
    """The next messages go to who can; after the while the first choice is the first again."""
    stage.a.fail(Reply.UNAVAILABLE)
    stage.send(message("1"))
    stage.send(message("2", SubscriberNumber("+79161234568")))
    clock.advance(timedelta(seconds=10))
    stage.send(message("3", SubscriberNumber("+79161234569")))
    assert (["3"], ["1", "2"]) == (ids(stage.a), ids(stage.b))


def test_after_its_time_nobody_else_is_asked(stage, clock, monkeypatch):
    """A chain of time-outs would be longer than the lease of a try (P26)."""

    def slow(_):
        clock.advance(timedelta(seconds=20))
        raise Unavailable("too late")

    monkeypatch.setattr(stage.a, "send", slow)
    with pytest.raises(Unavailable):
        stage.send(message())
    assert [] == ids(stage.b)


# --- where nobody can -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of_a", "of_b", "expected"),
    [
        (Unavailable, Unavailable, Unavailable),
        (Unavailable, Misconfigured, Unavailable),
        (Misconfigured, Unavailable, Unavailable),
        (LookupError, Unavailable, Unavailable),
        (Misconfigured, Misconfigured, Misconfigured),
        (LookupError, Misconfigured, Misconfigured),
        (Misconfigured, LookupError, Misconfigured),
        (LookupError, ZeroDivisionError, AdapterFault),
    ],
)
def test_the_most_useful_error_is_raised(stage, monkeypatch, of_a, of_b, expected):
    """What trying again may mend; else what somebody has to mend; else whose fault it is."""

    def failing(kind):
        def send(_):
            raise kind(NUMBER.e164)

        return send

    monkeypatch.setattr(stage.a, "send", failing(of_a))
    monkeypatch.setattr(stage.b, "send", failing(of_b))
    with pytest.raises(expected) as raised:
        stage.send(message())
    assert NUMBER.e164 not in str(raised.value)
    assert raised.value.__suppress_context__
    if expected is AdapterFault:
        assert "LookupError" == raised.value.cause_type


@pytest.mark.parametrize(
    ("of_a", "of_b", "expected"),
    [(5, 3, 3), (5, None, None), (None, None, None)],
)
def test_it_says_from_when_on_one_may_be_free(stage, monkeypatch, of_a, of_b, expected):
    """The earliest instant, if each of them named one."""

    def until(seconds):
        def send(_):
            retry_at = None if seconds is None else START + timedelta(seconds=seconds)
            raise Unavailable("later", retry_at=retry_at)

        return send

    monkeypatch.setattr(stage.a, "send", until(of_a))
    monkeypatch.setattr(stage.b, "send", until(of_b))
    with pytest.raises(Unavailable) as raised:
        stage.send(message())
    assert raised.value.retry_at == (
        None if expected is None else START + timedelta(seconds=expected)
    )


# --- the same message again (P14) -------------------------------------------------------


def test_a_message_again_goes_to_who_took_it(stage, clock):
    """Also when the first choice is there again: two senders would be two messages."""
    stage.a.fail(Reply.UNAVAILABLE)
    stage.send(message())
    clock.advance(timedelta(minutes=5))
    stage.send(message())
    assert ([], ["claim.1"] * 2) == (ids(stage.a), ids(stage.b))


def test_a_message_again_fails_with_who_took_it(stage):
    """Who took it cannot say now whether it went; another would be a second message."""
    stage.send(message())
    stage.a.fail(Reply.UNAVAILABLE)
    with pytest.raises(Unavailable):
        stage.send(message())
    assert [] == ids(stage.b)


def test_a_message_that_nobody_took_goes_to_anybody(stage):
    """After a failure of all, the same message is sent by the first who can."""
    stage.a.fail(Reply.UNAVAILABLE)
    stage.b.fail(Reply.UNAVAILABLE)
    with pytest.raises(Unavailable):
        stage.send(message())
    stage.send(message())
    assert ["claim.1"] == ids(stage.a) + ids(stage.b)


def test_a_message_that_did_not_arrive_goes_to_another(stage):
    """A terminal state feeds the choice (P15)."""
    stage.send(message())
    stage.twin.ended("a", "claim.1", DeliveryState.UNDELIVERABLE)
    stage.send(message())
    assert (["claim.1"], ["claim.1"]) == (ids(stage.a), ids(stage.b))


def test_the_next_code_goes_to_another(stage):
    """Unless the last one came back."""
    stage.send(message("claim.1"))
    stage.send(message("claim.2"))
    stage.twin.proven("claim.2")
    stage.send(message("claim.3"))
    assert (["claim.1", "claim.3"], ["claim.2"]) == (ids(stage.a), ids(stage.b))


# --- who is told ------------------------------------------------------------------------


class Telling(SimulatedSender):
    """A sender that hears what becomes of its messages."""

    def __init__(self):
        super().__init__()
        self.observers = []

    def watch(self, observer):
        self.observers.append(observer)

    def end(self, message_id, state):
        for each in self.observers:
            each(message_id, state)


def test_senders_that_tell_are_listened_to(clock):
    """Whoever watches the fallback hears of all of them, each message by its id."""
    a, b, told = Telling(), SimulatedSender(), []
    fallback = FallbackSender({"a": a, "b": b}, clock=clock)
    fallback.watch(lambda *each: told.append(each))
    fallback.send(message())
    a.end("claim.1", DeliveryState.EXPIRED)
    fallback.send(message())
    assert [("claim.1", DeliveryState.EXPIRED)] == told
    assert (["claim.1"], ["claim.1"]) == (ids(a), ids(b))


def test_a_fallback_may_stand_in_a_fallback(clock):
    """It tells what its senders tell."""
    a, told = Telling(), []
    outer = FallbackSender({"inner": FallbackSender({"a": a}, clock=clock)}, clock=clock)
    outer.watch(lambda *each: told.append(each))
    outer.send(message())
    a.end("claim.1", DeliveryState.DELIVERED)
    assert [("claim.1", DeliveryState.DELIVERED)] == told


def test_a_double_among_the_senders_is_a_double(stage):
    """So that it is refused outside of tests (P12)."""
    assert stage.twin.test_double
    assert not FallbackSender({"real": object()}).test_double


def test_nothing_shows_anybody(stage, caplog, alarms):
    """No number and no code in a log, an alarm or a repr (I9)."""
    caplog.set_level(logging.DEBUG)
    for reply in (Reply.UNAVAILABLE, Reply.MISCONFIGURED, Reply.HELD):
        stage.a.show(reply)
        stage.send(message(reply.value))
    text = caplog.text + repr(alarms) + repr(stage.twin) + repr(vars(stage.twin._rota))
    assert "9161234567" not in text
    assert "493817" not in text


# --- at once ----------------------------------------------------------------------------


def test_one_message_sent_twice_at_once_goes_to_one_sender(clock):
    """Who comes while it is being sent waits, and learns who took it."""
    order = []

    class Slow(SimulatedSender):
        def send(self, each):
            order.append("begun")
            time.sleep(0.02)
            order.append("ended")
            super().send(each)

    a, b = Slow(), Slow()
    a.fail(Reply.UNAVAILABLE)
    fallback = FallbackSender({"a": a, "b": b}, clock=clock)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(fallback.send, [message()] * 3))
    assert ([], ["claim.1"] * 3) == (ids(a), ids(b))
    assert ["begun", "ended"] * 4 == order
    assert set() == fallback._being_sent


def test_one_message_awaited_twice_at_once_goes_to_one_sender(clock):
    """As for threads; a failure of the first wakes the second as well."""
    order = []

    class Slow(AwaitedSender):
        async def send(self, each):
            order.append("begun")
            await asyncio.sleep(0.01)
            order.append("ended")
            await super().send(each)

    a, b = SimulatedSender(), SimulatedSender()
    a.fail(Reply.UNAVAILABLE)
    fallback = AsyncFallbackSender({"a": Slow(a), "b": Slow(b)}, clock=clock)

    async def both():
        await asyncio.gather(*(fallback.send(message()) for _ in range(3)))

    asyncio.run(both())
    assert ([], ["claim.1"] * 3) == (ids(a), ids(b))
    assert ["begun", "ended"] * 4 == order
    assert {} == fallback._being_sent


# --- what is given ----------------------------------------------------------------------


@pytest.mark.parametrize("fallback", [FallbackSender, AsyncFallbackSender])
@pytest.mark.parametrize("senders", [{}, {"": 1}, {"A b": 1}])
def test_what_is_no_sender_is_refused(fallback, senders):
    """None, or a name that has no place in a log."""
    with pytest.raises(InvalidValue):
        fallback(senders)


@pytest.mark.parametrize("name", ["avoid_first", "avoid_longest", "within", "remembered"])
def test_a_time_is_longer_than_nothing(name):
    """Each of them."""
    with pytest.raises(InvalidValue, match=name):
        FallbackTimes(**{name: timedelta(0)})


def test_times_may_be_given(clock):
    """They are those of the choice."""
    a, b = SimulatedSender(), SimulatedSender()
    times = FallbackTimes(avoid_first=timedelta(seconds=1), avoid_longest=timedelta(seconds=1))
    fallback = FallbackSender({"a": a, "b": b}, clock=clock, times=times)
    a.fail(Reply.UNAVAILABLE)
    fallback.send(message("1"))
    clock.advance(timedelta(seconds=1))
    fallback.send(message("2", SubscriberNumber("+79161234568")))
    assert ["2"] == ids(a)

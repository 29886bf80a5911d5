"""What happens is told, once it is committed, and names nobody."""

import logging
from datetime import timedelta

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import abonent.core.events as told
from abonent import Identifier, MemoryStorage, Policy
from abonent.core.events import Event
from abonent.core.states import NoticeKind
from abonent.engine.observing import Observed, Telling, name_of
from abonent.errors import StoreUnavailable
from abonent.otel import Telemetry
from abonent.simulation import Reply
from abonent.testing import Rehearsal


@pytest.fixture
def facts():
    return []


@pytest.fixture
def stand(facts):
    """A rehearsal whose identifier has an observer."""
    with Rehearsal(answers=Reply.HELD) as stand:
        observe(stand, facts.append)
        yield stand


def observe(stand, observer):
    telling = Telling(observer)
    loop = stand.identifier._loop
    loop.telling = telling
    loop.commits._process.__self__._telling = telling


def named(facts, what):
    return [each for each in facts if each.what == what]


def test_it_is_given_to_the_identifier(facts):
    """Whoever is given as observer is told, in either shell."""
    with Rehearsal() as stand:
        engine = stand.identifier._engine
        made = Identifier(
            messenger=engine.archive.terrain.messenger,
            storage=MemoryStorage(),
            keys=stand_keys(),
            possession=stand.identifier._calls._possession,
            agreements=list(engine.archive.terrain.agreements),
            gateways={stand.operator.id: stand.operator},
            router=stand.router,
            clock=stand.clock,
            observer=facts.append,
            unsafe_test_doubles=True,
        )
        with made:
            made.sweep()
            made.gate("alice")
    assert [
        Observed(what="sweep", count=0, seconds=0.0),
        Observed(what="gate", detail="not_identified"),
    ] == facts


def stand_keys():
    from abonent import MemoryKeys

    return MemoryKeys.random()


def test_an_identification_is_told(stand, facts):
    """Each event once, with operator, outcome and how long it took."""
    stand.claimed("alice")
    stand.clock.advance(timedelta(seconds=40))
    stand.operator.script(Reply.LATER)
    stand.proven("alice")
    stand.clock.advance(timedelta(seconds=90))
    stand.answer("alice")
    assert [Observed(what="answer_received", operator="operator", detail="held", seconds=90.0)] == (
        named(facts, "answer_received")
    )
    passed = Observed(what="passed", operator="operator", detail="operator_answer", seconds=90.0)
    assert [passed] == named(facts, "passed")
    assert 1 == len(named(facts, "number_claimed"))
    flushes = named(facts, "flush")
    assert flushes
    assert all(each.seconds >= 0 and each.count >= 1 for each in flushes)


def test_what_is_missed_is_told(stand, facts):
    """A deadline that passed without an answer, and one that passed without a new proof."""
    stand.operator.answer_with(Reply.LATER)
    stand.claimed("boris")
    stand.proven("boris")
    stand.pass_time(timedelta(minutes=21))
    assert ["no_answer"] == [each.detail for each in named(facts, "identification_not_passed")]
    stand.operator.answer_with(Reply.HELD)
    stand.identified("alice")
    stand.end_subscription("alice", NoticeKind.PORTED)
    stand.pass_time(timedelta(minutes=21))
    assert [0.0] == [each.seconds for each in named(facts, "notice_received")]
    assert ["ported"] == [each.detail for each in named(facts, "notice_received")]
    (lapsed,) = named(facts, "lapsed")
    assert 0 < lapsed.seconds <= 60


def test_what_is_not_committed_is_not_told(stand, facts, monkeypatch):
    """Where the store refuses, nothing has happened."""
    with monkeypatch.context() as broken:
        broken.setattr(
            MemoryStorage, "commit", lambda *_: (_ for _ in ()).throw(StoreUnavailable("away"))
        )
        with pytest.raises(StoreUnavailable):
            stand.claimed("alice")
    assert [] == named(facts, "number_claimed")


def test_the_gate_is_told(stand, facts):
    """Open, or why not."""
    stand.identified("alice")
    stand.identifier.gate("alice")
    stand.identifier.gate("boris")
    assert ["open", "not_identified"] == [each.detail for each in named(facts, "gate")]


def test_nobody_is_named(stand, facts):
    """No number, code, user or id is in any fact (P24)."""
    number = stand.fresh_number()
    stand.claimed("alice", number.e164)
    code = stand.code("alice").digits
    stand.proven("alice")
    stand.end_subscription("alice")
    stand.identifier.forget("alice")
    shown = repr(facts)
    for secret in (number.e164, number.e164[1:], code, "alice"):
        assert secret not in shown
    assert {each.operator for each in facts} <= {None, "operator"}


def test_an_observer_that_fails(stand, caplog):
    """It is logged by name; what was committed stands, and who called is answered."""
    observe(stand, lambda _: 1 / 0)
    with caplog.at_level(logging.ERROR):
        stand.identified("alice")
    assert stand.identifier.gate("alice").open
    assert "abonent.observer_failed cause=ZeroDivisionError" in caplog.text


def test_every_event_has_a_name():
    """Names are stable: they are those of the events, in snake case."""
    names = {name_of(each) for each in Event.__args__}
    assert len(names) == len(Event.__args__)
    assert {"answer_received", "identification_not_passed", "user_forgotten"} <= names
    assert name_of(told.CodeIssued) == "code_issued"


# --- OpenTelemetry -------------------------------------------------------------------


@pytest.fixture
def reader():
    return InMemoryMetricReader()


@pytest.fixture
def spans():
    return InMemorySpanExporter()


@pytest.fixture
def telemetry(reader, spans):
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    return Telemetry(meter_provider=MeterProvider(metric_readers=[reader]), tracer_provider=tracing)


def points(reader):
    """Every data point, by metric, with its attributes."""
    found = {}
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    found.setdefault(metric.name, []).append((dict(point.attributes), point))
    return found


def test_metrics(reader, telemetry):
    """Events are counted, answers timed, gates counted by reason; the age of memory is told."""
    with Rehearsal() as stand:
        observe(stand, telemetry)
        stand.operator.script(Reply.LATER)
        stand.claimed("alice")
        stand.proven("alice")
        stand.clock.advance(timedelta(seconds=90))
        stand.answer("alice")
        stand.identifier.gate("alice")
        stand.identifier.sweep()
        gates = stand.identifier.gate_cache()
        telemetry.watch(gates)
        before = points(reader)
        assert "abonent.gate_cache.age" not in before
        gates.gate("alice")
        found = points(reader)
        assert 0 <= found["abonent.gate_cache.age"][0][1].value < 60
    ((attributes, answer),) = found["abonent.answer.duration"]
    assert {"operator": "operator", "detail": "held"} == attributes
    assert (1, 90.0) == (answer.count, answer.sum)
    counted = {each["event"]: point.value for each, point in found["abonent.events"]}
    assert 1 == counted["passed"] == counted["answer_received"]
    assert "flush" not in counted
    assert [({"reason": "open"}, 1)] == [(a, p.value) for a, p in found["abonent.gates"]]
    assert found["abonent.sweep.due"]
    assert found["abonent.flush.tasks"][0][1].count == found["abonent.flush.duration"][0][1].count


def test_how_late_a_sweep_was(reader, telemetry):
    """It tells how long ago the oldest of what it settled had become due, and no more than that."""
    with Rehearsal(policy=Policy(code_valid=timedelta(minutes=10))) as stand:
        observe(stand, telemetry)
        stand.claimed("alice")
        stand.clock.advance(timedelta(minutes=3))
        stand.claimed("boris")
        stand.pass_time(timedelta(minutes=9))
        stand.pass_time(timedelta(seconds=1))
    ((_, lag),) = points(reader)["abonent.sweep.lag"]
    assert (2, 120.0, 0.0) == (lag.count, lag.max, lag.min)


def test_spans(spans, telemetry):
    """Each flush is a span as long as it took."""
    telemetry(Observed(what="flush", seconds=0.5, count=3))
    (span,) = spans.get_finished_spans()
    assert "abonent.flush" == span.name
    assert {"abonent.tasks": 3} == dict(span.attributes)
    assert 500_000_000 == span.end_time - span.start_time


def test_a_clock_that_stepped(reader, telemetry):
    """An answer cannot come before its question, whatever the clock says."""
    telemetry(Observed(what="answer_received", operator="o", detail="held", seconds=-5.0))
    assert points(reader)["abonent.answer.duration"][0][1].sum == 0


def test_without_opentelemetry(monkeypatch):
    """Who lacks it is told what to install."""
    import builtins
    import importlib.util

    import abonent.otel

    real = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    spec = importlib.util.spec_from_file_location("again", abonent.otel.__file__)
    with pytest.raises(ModuleNotFoundError, match=r"abonent\[otel\]"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))

"""What happens, as metrics and spans of OpenTelemetry. Needs the extra `otel`.

Knows instruments and their names. Refuses to know more than an observer is told, which names
operators and codes of fixed lists, and nobody.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from typing import Final

from abonent.engine.observing import Observed
from abonent.gates import GateCache

try:
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, Observation
except ImportError:
    raise ModuleNotFoundError(
        "telemetry needs OpenTelemetry: pip install 'abonent[otel]'"
    ) from None

_NAME: Final = "abonent"
_TIMED: Final = {
    "answer_received": ("abonent.answer.duration", "operators' answers since they were asked"),
    "passed": ("abonent.identification.duration", "identifications since possession was proven"),
    "notice_received": ("abonent.notice.lag", "operators' notices since what they tell of"),
    "lapsed": ("abonent.lapse.lag", "re-identifications that lapsed, since they were due"),
    "sweep": ("abonent.sweep.lag", "what waited longest for a sweep, since it was due"),
    "flush": ("abonent.flush.duration", "flushes, each for all callers who wait"),
}


class Telemetry:
    """An observer that keeps metrics, and a span for every flush.

    Give it to an identifier as `observer`. `abonent.events` counts every event that was committed,
    by `event`, `operator` and `detail`; the histograms are in seconds. A deadline that was missed
    is `identification_not_passed` with `no_answer`, or `lapsed`.

    Args:
        meter_provider: where metrics go; None for the global one.
        tracer_provider: where spans go; None for the global one.
    """

    def __init__(
        self,
        *,
        meter_provider: metrics.MeterProvider | None = None,
        tracer_provider: trace.TracerProvider | None = None,
    ) -> None:
        meter = metrics.get_meter(_NAME, meter_provider=meter_provider)
        self._tracer = trace.get_tracer(_NAME, tracer_provider=tracer_provider)
        self._events = meter.create_counter(
            "abonent.events", description="events that were committed"
        )
        self._gates = meter.create_counter(
            "abonent.gates", description="gates asked of the store, by why they are closed"
        )
        self._due = meter.create_counter("abonent.sweep.due", description="records swept")
        self._tasks = meter.create_histogram(
            "abonent.flush.tasks", description="tasks that share a flush"
        )
        self._timed = {
            what: meter.create_histogram(name, unit="s", description=description)
            for what, (name, description) in _TIMED.items()
        }
        self._caches: weakref.WeakSet[GateCache] = weakref.WeakSet()
        meter.create_observable_gauge(
            "abonent.gate_cache.age",
            callbacks=[self._ages],
            unit="s",
            description="since the journal was last followed to its end",
        )

    def watch(self, gates: GateCache) -> None:
        """Report the age of gates from memory, for as long as they are there."""
        self._caches.add(gates)

    def __call__(self, fact: Observed) -> None:
        """Take one fact."""
        attributes = {
            name: value
            for name, value in (("operator", fact.operator), ("detail", fact.detail))
            if value is not None
        }
        if fact.seconds is not None and fact.what in self._timed:
            self._timed[fact.what].record(max(0.0, fact.seconds), attributes)
        special = _SPECIAL.get(fact.what)
        if special is None:
            self._events.add(1, {"event": fact.what, **attributes})
        else:
            special(self, fact)

    def _flushed(self, fact: Observed) -> None:
        self._tasks.record(fact.count)
        end = time.time_ns()
        began = end - int((fact.seconds or 0.0) * 1e9)
        span = self._tracer.start_span("abonent.flush", start_time=began)
        span.set_attribute("abonent.tasks", fact.count)
        span.end(end_time=end)

    def _swept(self, fact: Observed) -> None:
        self._due.add(fact.count)

    def _asked(self, fact: Observed) -> None:
        self._gates.add(1, {"reason": fact.detail or "open"})

    def _ages(self, _: CallbackOptions) -> Iterable[Observation]:
        for gates in list(self._caches):
            age = gates.age
            if age is not None:
                yield Observation(age.total_seconds())


_SPECIAL: Final[dict[str, Callable[[Telemetry, Observed], None]]] = {
    "flush": Telemetry._flushed,
    "sweep": Telemetry._swept,
    "gate": Telemetry._asked,
}

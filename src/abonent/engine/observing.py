"""What may be told of what happens: for metrics, logs and traces.

Knows which facts say nothing about a person. Refuses to tell numbers, codes, users and ids (P24).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct

from abonent.core.events import AnswerReceived, Event, Lapsed, NoticeReceived, Passed
from abonent.core.states import Aggregate, AwaitingAnswer

log: Final = logging.getLogger("abonent")


class Observed(Struct, frozen=True, kw_only=True):
    """One fact. It names an operator and codes of a fixed list, and nobody.

    `what` is the name of an event in snake case (`passed`, `answer_received` …), told once it is
    committed; or `flush` (`count` tasks were settled together), `sweep` (`count` records were
    due), or `gate` (asked of the store).

    `detail` is the outcome of an answer, the reason, kind or cause of an event, or why a gate is
    closed (`open` if it is not).

    `seconds` is how long it took: an answer since the question, a pass since the proof, a notice
    since what it tells of, a lapse since it was due, a flush; at a sweep, what had waited longest.
    """

    what: str
    operator: str | None = None
    detail: str | None = None
    seconds: float | None = None
    count: int = 1


Observer: TypeAlias = Callable[[Observed], object]

_DETAILS: Final = ("outcome", "reason", "why", "cause", "basis", "kind")
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")
_names: dict[type, str] = {}


def name_of(kind: type[object]) -> str:
    """Return the stable name of an event: `AnswerReceived` is `answer_received`."""
    found = _names.get(kind)
    if found is None:
        found = _names[kind] = _CAPITAL.sub("_", kind.__name__).lower()
    return found


def observed_in(before: Aggregate, events: Iterable[Event]) -> Iterator[Observed]:
    """Return what may be told of events that happened to one user."""
    for event in events:
        yield Observed(
            what=name_of(type(event)),
            operator=getattr(event, "operator", None),
            detail=_detail(event),
            seconds=_seconds(before, event),
        )


def _detail(event: Event) -> str | None:
    for name in _DETAILS:
        value = getattr(event, name, None)
        if isinstance(value, Enum):
            return str(value.value)
        if name == "cause" and isinstance(value, str):
            return value  # the code of an error of ours
    return None


def _seconds(before: Aggregate, event: Event) -> float | None:
    since: datetime | None = None
    if type(event) is AnswerReceived:
        state = before.state
        if type(state) is AwaitingAnswer and state.query_id == event.query_id:
            since = state.asked_at
    elif type(event) is Passed:
        since = event.proven_at
    elif type(event) is NoticeReceived:
        since = event.happened_at
    elif type(event) is Lapsed:
        since = event.due
    return None if since is None else (event.at - since).total_seconds()


def cause_of(error: BaseException) -> str:
    """Return what may be told of an error: its code, or its type; never its text."""
    return str(getattr(error, "code", type(error).__name__))


class Telling:
    """Tells an observer, if there is one, and survives it."""

    def __init__(self, observer: Observer | None) -> None:
        self.heard = observer is not None
        self._observer = observer

    def tell(self, fact: Observed) -> None:
        """Tell one fact. An observer that fails is logged, and nothing else comes of it."""
        if self._observer is None:
            return
        try:
            self._observer(fact)
        except Exception as error:
            log.error("abonent.observer_failed cause=%s", cause_of(error))

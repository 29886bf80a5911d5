"""Both shells are one library: the same names, and the same answers to the same history."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from itertools import groupby
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from abonent import (
    AbonentError,
    AsyncIdentifier,
    Consent,
    Identifier,
    MemoryStorage,
    NoticeKind,
    Outcome,
    SubscriberNumber,
)
from abonent.simulation import Reply
from tests.world import DAY, MINUTE, SECOND, START, M, N, World, X, Y

USERS, NUMBERS = ("alice", "bob", "carol"), (X, Y)


def public(shell: type) -> dict[str, Any]:
    return {name: getattr(shell, name) for name in dir(shell) if not name.startswith("_")}


def shape(function: Callable[..., Any]) -> list[tuple[str, Any, Any, Any]]:
    """Parameters, in order. An adapter that one shell takes may be async for the other."""
    parameters = inspect.signature(function).parameters.values()
    return [
        (each.name, each.kind, each.default, re.sub(r" \| Async\w+", "", str(each.annotation)))
        for each in parameters
    ]


def test_the_same_names():
    """What one shell can do, the other can."""
    assert set(public(Identifier)) == set(public(AsyncIdentifier))


def test_the_same_signatures():
    """Every call takes the same arguments and gives the same answer, awaited or not."""
    for name, method in public(Identifier).items():
        twin = public(AsyncIdentifier)[name]
        assert shape(method) == shape(twin)
        if name not in {"gate", "gate_cache", "standings"}:
            assert inspect.iscoroutinefunction(twin)
            expected = inspect.signature(method).return_annotation
            assert expected == inspect.signature(twin).return_annotation
    assert "PendingGate" == inspect.signature(AsyncIdentifier.gate).return_annotation
    assert inspect.isasyncgenfunction(AsyncIdentifier.standings)
    assert "AsyncGateCache" == inspect.signature(AsyncIdentifier.gate_cache).return_annotation


def test_built_from_the_same_parts():
    """They are built from the same parts, with the same defaults; async adapters aside."""
    threads, loop = (
        [(name, kind, default) for name, kind, default, _ in shape(shell.__init__)]
        for shell in (Identifier, AsyncIdentifier)
    )
    assert threads == loop


# --- one history, told to both ------------------------------------------------------

Step = tuple[str, tuple[Any, ...]]
users, numbers = st.sampled_from(USERS), st.sampled_from(NUMBERS)
TIMES = [SECOND, 6 * SECOND, MINUTE, 10 * MINUTE, 20 * MINUTE, 20 * MINUTE + SECOND, DAY]


def steps() -> st.SearchStrategy[Step]:
    def step(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Step]:
        return st.tuples(st.just(name), st.tuples(*arguments))

    return st.one_of(
        step("identify", users, numbers),
        step("claim", users, numbers),
        step("prove", users, st.booleans()),
        step(
            "notice",
            st.sampled_from(NoticeKind),
            numbers,
            st.sampled_from((M, N)),
            st.sampled_from((None, -1, 0)),
            st.integers(1, 9),
        ),
        step("answer", st.sampled_from(Outcome), st.sampled_from((M, N)), st.integers(0, 3)),
        step("reply", st.sampled_from(Reply)),
        step("fail", st.sampled_from((Reply.UNAVAILABLE, Reply.MISCONFIGURED))),
        step("port", numbers, st.sampled_from((M, N))),
        step("pass_time", st.sampled_from(TIMES)),
        step("forget", users),
        step("disclose", users),
        step("unreadable", st.sampled_from(("", "112", "+7 495 123-45-67"))),
    )


OUTCOMES = {"CodeSent", "AttemptFailed", "CodeRecorded", "RecordWithdrawn"}


def in_one_order(happened: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Outcomes of several adapters come in any order; what they are about stays where it is."""
    runs = [list(run) for _, run in groupby(happened, lambda each: each[0] in OUTCOMES)]
    return [
        each for run in runs for each in (sorted(run, key=repr) if run[0][0] in OUTCOMES else run)
    ]


class Told:
    """One shell, told a history; what is random in its answers is named by its first mention."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._names: dict[str, str] = {}

    def do(self, step: Step) -> Any:
        name, arguments = step
        try:
            answer = getattr(self, "_" + name)(*arguments)
        except AbonentError as error:
            return type(error).__name__, str(error), error.retry_at
        finally:
            self.world.flush()
        return self._plain(answer)

    def everything(self) -> Any:
        """What can be seen of every user now."""
        world = self.world
        seen = []
        for user in USERS:
            told = [
                (each.open, each.until, each.reason, each.at)
                for each in world.identifier.changes()
                if each.user_id == user
            ]
            happened = [
                (type(each.event).__name__, self._plain(each.event))
                for each in world.identifier.history(user)
            ]
            happened = in_one_order(happened)
            standing = self._plain(world.standing(user))
            seen.append((standing, world.gate(user), told, happened))
        report = world.identifier.replay()
        assert report.ok
        traffic = [
            [len(each.questions), len(each.records), len(each.withdrawals)]
            for each in (world.m, world.n)
        ]
        return seen, traffic, len(world.sender.attempts), report.records

    def _plain(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._plain(each) for each in value]
        if hasattr(value, "__struct_fields__"):
            return {key: self._named(key, each) for key, each in asdict(value).items()}
        return value

    def _named(self, key: str, value: Any) -> Any:
        if key in ("claim", "code", "query_id", "id", "identification_code") and value:
            text, dot, rest = value.partition(".")
            return self._names.setdefault(text, f"{key}-{len(self._names)}") + dot + rest
        return self._plain(value)

    def _identify(self, user: str, number: str) -> Any:
        return self.world.identify(user, number)

    def _claim(self, user: str, number: str) -> Any:
        return self.world.claim(user, number)

    def _prove(self, user: str, right: bool) -> Any:
        if user not in self.world._claimed:
            return self.world.prove(user, "000000")
        return self.world.prove(user) if right else self.world.wrong(user)

    def _notice(
        self, kind: NoticeKind, number: str, operator: str, ago: int | None, name: int
    ) -> Any:
        happened_at = None if ago is None else self.world.now + ago * MINUTE
        return self.world.notice(
            kind, number, operator=operator, name=f"n-{name}", happened_at=happened_at
        )

    def _answer(self, outcome: Outcome, operator: str, back: int) -> Any:
        asked = self.world.m.questions + self.world.n.questions
        if back >= len(asked):
            return None
        return self.world.answer(outcome, to=asked[-1 - back], operator=operator)

    def _reply(self, reply: Reply) -> None:
        self.world.m.script(reply)
        self.world.n.script(reply)

    def _fail(self, fault: Reply) -> None:
        self.world.m.fail_records(fault)
        self.world.sender.fail(fault)

    def _port(self, number: str, operator: str) -> None:
        self.world.router.port(SubscriberNumber(number), operator)

    def _pass_time(self, time: timedelta) -> Any:
        self.world.advance(time)
        report = self.world.sweep()
        return report.due, report.tried, sorted(report.events.items())

    def _forget(self, user: str) -> bool:
        return bool(self.world.identifier.forget(user))

    def _disclose(self, user: str) -> Any:
        consent = Consent(
            user_id="alice", recipient="bank", purpose="delivery", given_at=START, until=None
        )
        number: SubscriberNumber = self.world.identifier.disclose(
            user, to="bank", purpose="delivery", consent=consent
        )
        return number.e164

    def _unreadable(self, text: str) -> Any:
        return self.world.claim("alice", text)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=st.lists(steps(), min_size=8, max_size=40))
def test_the_same_history(history: list[Step]):
    """Whatever is called in whatever order, both shells answer, tell and record the same."""
    with ExitStack() as stack:
        told = []
        for shell in (Identifier, AsyncIdentifier):
            store = MemoryStorage()
            world = World(shell, lambda store=store: store)
            stack.callback(world.close)
            told.append(Told(world))
        threads, loop = told
        for step in history:
            assert threads.do(step) == loop.do(step), step
        assert threads.everything() == loop.everything()

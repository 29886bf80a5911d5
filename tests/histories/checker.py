"""Is there an order in which one after the other would have said the same? (Linearizability.)

Knows the search of Wing and Gong with Lowe's memory: what was tried from the same calls done and
the same state is not tried again. Refuses to know what the calls are about.

A call that moves the state more than once is a chain of steps: each takes effect at one instant
between the call and its return, in their order, and other calls may come in between. A call that
never returned may have taken effect in part or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from attrs import evolve, frozen

S = TypeVar("S", bound=Hashable)


class Anything:
    """What is seen of a step that nobody saw the result of."""


@frozen(kw_only=True)
class Step(Generic[S]):
    """One atomic step: from a state, the states it may lead to and what would be seen each time.

    `seen` is what was seen of it: an outcome that differs is no explanation.
    """

    name: str
    outcomes: Callable[[S], Iterable[tuple[S, object]]]
    seen: object = Anything


@frozen(kw_only=True)
class Call(Generic[S]):
    """A call as it was seen. Instants are of one counter that all callers share."""

    caller: str
    name: str
    result: str
    invoked: int
    returned: int | None
    steps: tuple[Step[S], ...]

    def __str__(self) -> str:
        until = "…" if self.returned is None else self.returned
        return f"{self.invoked:>4}–{until:<4} {self.caller}: {self.name} → {self.result}"


@frozen(kw_only=True)
class Explained:
    """An order that explains a history: steps by call and name."""

    order: tuple[str, ...]


@frozen(kw_only=True)
class Unexplained(Generic[S]):
    """No order explains the history.

    `prefix` is the shortest beginning that nothing explains, cut after a return: the calls invoked
    by then, those under way at the cut without their result.
    """

    prefix: tuple[Call[S], ...]

    def __str__(self) -> str:
        lines = "\n".join(str(each) for each in self.prefix)
        return f"no order explains these calls:\n{lines}"


def check(calls: Sequence[Call[S]], initial: S) -> Explained | Unexplained[S]:
    """Look for an order that explains a history."""
    order = _search(calls, initial)
    if order is not None:
        return Explained(order=tuple(order))
    cuts = sorted(each.returned for each in calls if each.returned is not None)
    # What explains a history explains each beginning of it, so the shortest bad one is found by
    # halving.
    low, high = 0, len(cuts) - 1
    while low < high:
        middle = (low + high) // 2
        if _search(_prefix(calls, cuts[middle]), initial) is None:
            high = middle
        else:
            low = middle + 1
    return Unexplained(prefix=tuple(_prefix(calls, cuts[low])))


def _prefix(calls: Sequence[Call[S]], until: int) -> list[Call[S]]:
    """The calls as they had been seen at an instant."""
    seen: list[Call[S]] = []
    for each in calls:
        if each.invoked > until:
            continue
        if each.returned is None or each.returned <= until:
            seen.append(each)
        else:
            seen.append(_under_way(each))
    return seen


def _under_way(call: Call[S]) -> Call[S]:
    return Call(
        caller=call.caller,
        name=call.name,
        result="…",
        invoked=call.invoked,
        returned=None,
        steps=tuple(evolve(step, seen=Anything) for step in call.steps),
    )


def _search(calls: Sequence[Call[S]], initial: S) -> list[str] | None:
    """Depth first over which step comes next; None if no order reaches the end."""
    done = (0,) * len(calls)
    seen: set[tuple[tuple[int, ...], S]] = {(done, initial)}
    order: list[str] = []
    stack = [_moves(calls, done, initial)]
    if _complete(calls, done):
        return order
    while stack:
        move = next(stack[-1], None)
        if move is None:
            stack.pop()
            if order:
                order.pop()
            continue
        name, done, state = move
        if (done, state) in seen:
            continue
        seen.add((done, state))
        order.append(name)
        if _complete(calls, done):
            return order
        stack.append(_moves(calls, done, state))
    return None


def _complete(calls: Sequence[Call[S]], done: tuple[int, ...]) -> bool:
    return all(
        each.returned is None or count == len(each.steps)
        for each, count in zip(calls, done, strict=True)
    )


def _moves(
    calls: Sequence[Call[S]], done: tuple[int, ...], state: S
) -> Iterator[tuple[str, tuple[int, ...], S]]:
    """The steps that may come next: of calls invoked before the first unfinished one returned."""
    open_calls = [n for n, each in enumerate(calls) if done[n] < len(each.steps)]
    returns = [calls[n].returned for n in open_calls]
    first = min((each for each in returns if each is not None), default=None)
    for n in open_calls:
        call = calls[n]
        if first is not None and call.invoked > first:
            continue
        step = call.steps[done[n]]
        progress = (*done[:n], done[n] + 1, *done[n + 1 :])
        for after, outcome in step.outcomes(state):
            if step.seen is Anything or step.seen == outcome:
                yield f"{call.caller}: {call.name}, {step.name}", progress, after

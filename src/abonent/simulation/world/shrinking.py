"""Shrinking a world that broke an invariant: the least of it that still breaks the same one.

Knows how to leave things out. Refuses to change what is left: every draw depends on what it is
about and not on what came before, so the rest of a world goes on as it did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from abonent.simulation.world.outcome import Violation

if TYPE_CHECKING:
    from abonent.simulation.world.faults import Faults
    from abonent.simulation.world.run import World

T = TypeVar("T")
Build = Callable[["Faults", frozenset[int]], "World"]

MOST: Final = 300
"""Smaller worlds that are tried, at most."""


def shrunk(build: Build, world: World, most: int = MOST) -> Violation:
    """Return the violation of a world that ran, with the shortest history found for it.

    Args:
        build: makes the same world with other faults and with those intents only.
        world: the one that ran.
        most: how many smaller worlds to try, at most.
    """
    found = world.watch.violation
    if found is None:
        raise ValueError("no invariant was broken in this world")
    broken, least = found, world
    left = most

    def still(faults: Faults, intents: Sequence[int]) -> bool:
        nonlocal least, left
        if left <= 0:
            return False
        left -= 1
        smaller = build(faults, frozenset(intents))
        smaller.run()
        other = smaller.watch.violation
        if other is None or (other.invariant, other.what) != (broken.invariant, broken.what):
            return False
        least = smaller
        return True

    faults = world.faults_at_first
    intents = [each.place for each in world.intents]
    persons = sorted({each.person for each in world.intents})
    of = {each.place: each.person for each in world.intents}
    kept = set(
        fewest(persons, lambda few: still(faults, [each for each in intents if of[each] in few]))
    )
    intents = [each for each in intents if of[each] in kept]
    intents = fewest(intents, lambda few: still(faults, few))
    for name in (each.name for each in attrs.fields(type(faults))):
        without = attrs.evolve(faults, **{name: 0.0})
        if still(without, intents):
            faults = without
    violation = least.watch.violation
    return attrs.evolve(violation or found, history=least.history())


def fewest(items: Sequence[T], still: Callable[[Sequence[T]], bool]) -> list[T]:
    """Return a part of the items for which something is still so, and is not for a smaller one.

    It is delta debugging (Zeller and Hildebrandt, 2002): leave out ever smaller parts.
    """
    left, parts = list(items), 2
    while len(left) > 1:
        size = -(-len(left) // parts)
        chunks = [left[at : at + size] for at in range(0, len(left), size)]
        for leaving in range(len(chunks)):
            rest = [each for at, chunk in enumerate(chunks) if at != leaving for each in chunk]
            if rest and still(rest):
                left, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(2 * parts, len(left))
    return left

"""Keys that follow one another, and processes that have some of them."""

from __future__ import annotations

from typing import Any

from abonent import KeyUse, MemoryKeys, Resealed
from abonent.ports import Keys
from tests.properties.parts import World

ROOTS = {"k1": b"o" * 32, "k2": b"n" * 32, "k3": b"p" * 32}


def keys(current: str, *others: str, **changed: bytes) -> MemoryKeys:
    """The keys with these ids, the first of them current; some with other bytes."""
    roots = {each: changed.get(each, ROOTS[each]) for each in (current, *others)}
    return MemoryKeys(Keys(current=current, roots=roots))


OLD = keys("k1")
OVERLAP = keys("k1", "k2")
NEW = keys("k2", "k1")
ONLY_NEW = keys("k2")


def again(world: World, provider: MemoryKeys = NEW, **changes: Any) -> World:
    """Another process on the same store, with the same doubles."""
    kept = {
        "clock": world.clock,
        "sender": world.sender,
        "operators": world.operators,
        "router": world.router,
    }
    world.flush()
    return World(world.storage, keys=provider, **{**kept, **changes})


def one_pass(world: World, limit: int = 500) -> list[Resealed]:
    """All pages of a pass."""
    pages = [world.identifier.reseal(limit=limit)]
    while pages[-1].cursor is not None:
        pages.append(world.identifier.reseal(after=pages[-1].cursor, limit=limit))
    return pages


def moved(world: World) -> int:
    """How many records a pass moves."""
    return sum(each.resealed for each in one_pass(world))


def use(world: World, key_id: str) -> KeyUse:
    """What there is to know about one key."""
    return next(each for each in world.identifier.key_uses() if each.key_id == key_id)

"""Every scenario runs in both shells and on both stores, and is looked over when it is done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from abonent import AsyncIdentifier, Identifier, MemoryStorage, SqliteStorage
from tests.world import World

Build = Callable[..., World]


@pytest.fixture(params=[MemoryStorage, SqliteStorage], ids=["memory", "sqlite"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Callable[[], Any]]:
    """For each world, a way to open its store, as often as it has processes."""
    count = iter(range(100))

    def for_a_world() -> Callable[[], Any]:
        if request.param is SqliteStorage:
            return partial(SqliteStorage, tmp_path / f"{next(count)}.db", territory="RU")
        store = MemoryStorage()
        return lambda: store

    return for_a_world


@pytest.fixture(params=[Identifier, AsyncIdentifier], ids=["threads", "asyncio"])
def build(
    request: pytest.FixtureRequest,
    opener: Callable[[], Callable[[], Any]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Build]:
    """Build worlds. When the scenario is over, each must replay and show no secret (I7, I9)."""
    caplog.set_level(logging.DEBUG)
    with ExitStack() as stack:
        made: list[World] = []

        def make(**options: Any) -> World:
            world = World(request.param, opener(), **options)
            stack.callback(world.close)
            made.append(world)
            return world

        yield make
        for world in made:
            look_over(world, tmp_path, caplog)


def look_over(world: World, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    world.link.cut = False
    report = world.identifier.replay()
    assert report.differing == ()
    assert report.ok
    stored = b"\n".join([world.stored(), *(path.read_bytes() for path in folder.rglob("*.db*"))])
    logged = "\n".join(caplog.handler.format(each) for each in caplog.get_records("call"))
    for secret in world.secrets():
        assert secret.encode() not in stored
        assert secret not in logged
        assert secret not in repr(world.alarms)


@pytest.fixture
def world(build: Build) -> World:
    """A foreign messenger with agreements with both operators."""
    return build()

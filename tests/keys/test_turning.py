"""Whatever is done to a key file in whatever order: it holds what a dictionary would."""

import shutil
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from abonent import FileKeys, WrappedKeys
from abonent.errors import InvalidValue, KeyUnavailable
from tests.keys.services import LocalService

few_ids = st.sampled_from(["k1", "k2", "k3", "k10", "spring"])


class KeyFileMachine(RuleBasedStateMachine):
    """The model: live keys, the current one, and the ids that were removed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(mkdtemp())
        self.keys = self.made()
        self.live = dict(self.keys.keys().roots)
        self.current = "k1"
        self.removed: list[str] = []

    def made(self):
        return FileKeys.create(self.folder / "keys.json")

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def took(self, key_id: str) -> None:
        root = self.keys.keys().roots[key_id]
        assert root not in self.live.values()
        self.live[key_id] = root

    @rule()
    def add_the_next(self) -> None:
        new = self.keys.add()
        assert new not in {*self.live, *self.removed}
        self.took(new)

    @rule(key_id=few_ids)
    def add(self, key_id: str) -> None:
        if key_id in {*self.live, *self.removed}:
            with pytest.raises(InvalidValue):
                self.keys.add(key_id)
        else:
            assert key_id == self.keys.add(key_id)
            self.took(key_id)

    @rule(key_id=few_ids)
    def use(self, key_id: str) -> None:
        if key_id in self.live:
            self.keys.use(key_id)
            self.current = key_id
        else:
            with pytest.raises(KeyUnavailable):
                self.keys.use(key_id)

    @rule(key_id=few_ids)
    def remove(self, key_id: str) -> None:
        if key_id == self.current:
            with pytest.raises(InvalidValue):
                self.keys.remove(key_id)
        elif key_id in self.live:
            self.keys.remove(key_id)
            del self.live[key_id]
            self.removed.append(key_id)
        else:
            with pytest.raises(KeyUnavailable):
                self.keys.remove(key_id)

    @invariant()
    def the_file_is_the_model(self) -> None:
        keys, ids = self.keys.keys(), self.keys.ids()
        assert self.live == dict(keys.roots)
        assert self.current == keys.current == ids.current
        assert (tuple(self.live), tuple(self.removed)) == (ids.live, ids.removed)
        assert ["keys.json"] == [each.name for each in self.folder.iterdir()]


class WrappedKeyFileMachine(KeyFileMachine):
    """The same, with a service that turns its own key now and then."""

    def made(self):
        self.service = LocalService()
        return WrappedKeys.create(self.folder / "keys.json", self.service)

    @rule()
    def turn(self) -> None:
        self.service.turn()

    @rule()
    @precondition(lambda self: len(self.service._keys) > 1)
    def rewrap(self) -> None:
        self.keys.rewrap()
        newest = f"local/{len(self.service._keys) - 1}"
        assert {newest} == set(self.keys.wrapped_by().values())


class TestKeyFile(KeyFileMachine.TestCase):
    settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


class TestWrappedKeyFile(WrappedKeyFileMachine.TestCase):
    settings = settings(max_examples=30, stateful_step_count=20, deadline=None)

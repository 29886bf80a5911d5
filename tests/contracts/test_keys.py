"""Our key providers keep the promises of their port."""

import pytest

from abonent import MemoryKeys
from abonent.testing import KeyProviderContract, Stage
from tests.contracts.stages import environment_stage, file_stage


class TestMemoryKeys(KeyProviderContract):
    @pytest.fixture
    def stage(self, keys):
        return Stage(adapter=MemoryKeys(keys), shows=frozenset())


class TestFileKeys(KeyProviderContract):
    @pytest.fixture
    def stage(self, keys, tmp_path):
        return file_stage(tmp_path / "keys.json", keys)


class TestEnvironmentKeys(KeyProviderContract):
    @pytest.fixture
    def stage(self, keys, monkeypatch):
        return environment_stage(monkeypatch, keys)

"""The reference keeps the contract that it is the reference of."""

import pytest

from abonent.ports import StorageFeatures
from abonent.stores import MemoryStorage
from abonent.testing import StorageContract


class TestMemoryStorage(StorageContract):
    @pytest.fixture
    def open_storage(self):
        store = MemoryStorage()
        return lambda: store


def test_it_says_what_it_cannot_do():
    """It promises neither to outlive a crash nor to be shared by processes."""
    assert StorageFeatures(durable=False, shared=False) == MemoryStorage().features

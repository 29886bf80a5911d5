"""A key service in this process keeps the promises of its port, and so do keys wrapped by it."""

import pytest

from abonent import WrappedKeys
from abonent.simulation import Reply
from abonent.testing import KeyProviderContract, KeyServiceContract, Stage
from tests.keys.services import LocalService


@pytest.fixture
def service():
    return LocalService()


class TestLocalService(KeyServiceContract):
    @pytest.fixture
    def stage(self, service):
        return Stage(adapter=service, tell=service.show)

    @pytest.fixture
    def turn(self, service):
        return service.turn


class TestWrappedKeys(KeyProviderContract):
    @pytest.fixture
    def stage(self, keys, service, tmp_path):
        wrapped = WrappedKeys.create(tmp_path / "keys.json", service, keys=keys)
        shows = frozenset({Reply.UNAVAILABLE, Reply.MALFORMED})
        return Stage(adapter=wrapped, tell=service.show, shows=shows)


class TestKeysInADamagedFile(KeyProviderContract):
    @pytest.fixture
    def stage(self, keys, service, tmp_path):
        path = tmp_path / "keys.json"
        wrapped = WrappedKeys.create(path, service, keys=keys)

        def tell(reply):
            text = path.read_text() if path.exists() else "{}"
            path.unlink(missing_ok=True)
            if reply is not Reply.UNAVAILABLE:
                path.touch(0o600)
                path.write_text(text[:-3])

        shows = frozenset({Reply.UNAVAILABLE, Reply.MALFORMED})
        return Stage(adapter=wrapped, tell=tell, shows=shows)

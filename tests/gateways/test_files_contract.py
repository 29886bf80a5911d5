"""The gateway over files keeps the promises of its port, files going both ways."""

import threading

import pytest

from abonent.simulation import Reply
from abonent.testing import AsyncOperatorGatewayContract, OperatorGatewayContract, Stage
from tests.gateways.exchange import OUTCOMES, Exchange, Folders

SHOWS = frozenset({*OUTCOMES, Reply.LATER, Reply.UNAVAILABLE, Reply.MISCONFIGURED})
"""Nobody is slow or silent on a disk, and what cannot be read is not in a reply."""


class OneAtATime(Exchange):
    """Several threads ask, and one of them carries the files."""

    def __init__(self, folders: Folders) -> None:
        super().__init__(folders)
        self._mutex = threading.Lock()

    def ask(self, query):
        with self._mutex:
            return super().ask(query)

    def __repr__(self) -> str:
        return repr(self.gateway)


class Awaited:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.features = exchange.features

    async def ask(self, query):
        return self._exchange.ask(query)

    async def record(self, entry):
        return self._exchange.record(entry)

    async def withdraw(self, entry):
        return self._exchange.withdraw(entry)


class TestFilesGateway(OperatorGatewayContract):
    @pytest.fixture
    def stage(self, tmp_path):
        exchange = OneAtATime(Folders(tmp_path))
        return Stage(adapter=exchange, tell=exchange.show, heard=exchange.heard, shows=SHOWS)


class TestFilesGatewayAwaited(AsyncOperatorGatewayContract):
    @pytest.fixture
    def stage(self, tmp_path):
        exchange = Exchange(Folders(tmp_path))
        return Stage(
            adapter=Awaited(exchange), tell=exchange.show, heard=exchange.heard, shows=SHOWS
        )

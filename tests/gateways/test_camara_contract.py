"""The CAMARA gateway keeps the promises of its port: in process, over loopback, and awaited."""

from datetime import timedelta

import pytest

from abonent.gateways.camara import (
    AsyncCamaraGateway,
    AsyncCamaraLink,
    CamaraGateway,
    CamaraLink,
    Rate,
)
from abonent.simulation import Reply
from abonent.testing import AsyncOperatorGatewayContract, OperatorGatewayContract, Stage
from abonent.transport.http import AsyncHttpTransport, HttpTransport
from tests.camara.agreed import agreed, async_link_to, link_to
from tests.camara.operator import CamaraOperator
from tests.camara.serving import Serving

SHOWS = frozenset(Reply) - {Reply.SILENCE, Reply.LATER}
"""CAMARA answers at once or not at all."""


class TestCamaraGateway(OperatorGatewayContract):
    @pytest.fixture
    def stage(self):
        operator = CamaraOperator()
        gateway = CamaraGateway(link_to(operator))
        return Stage(adapter=gateway, tell=operator.show, heard=operator.heard, shows=SHOWS)


class TestAsyncCamaraGateway(AsyncOperatorGatewayContract):
    @pytest.fixture
    def stage(self):
        operator = CamaraOperator()
        gateway = AsyncCamaraGateway(async_link_to(operator))
        return Stage(adapter=gateway, tell=operator.show, heard=operator.heard, shows=SHOWS)


def profile_at(url):
    return agreed(url, timeout=timedelta(seconds=0.4), rate=Rate(calls=100))


@pytest.mark.slow
class TestCamaraGatewayOverHttp(OperatorGatewayContract):
    @pytest.fixture
    def stage(self):
        operator = CamaraOperator()
        with Serving(operator) as server, HttpTransport() as transport:
            gateway = CamaraGateway(CamaraLink(profile_at(server.url), transport=transport))
            yield Stage(adapter=gateway, tell=operator.show, heard=operator.heard, shows=SHOWS)


@pytest.mark.slow
class TestAsyncCamaraGatewayOverHttp(AsyncOperatorGatewayContract):
    @pytest.fixture
    def stage(self, calls_close):
        operator = CamaraOperator()
        with Serving(operator) as server:
            transport = AsyncHttpTransport()
            calls_close.append(transport.close)
            link = AsyncCamaraLink(profile_at(server.url), transport=transport)
            gateway = AsyncCamaraGateway(link)
            yield Stage(adapter=gateway, tell=operator.show, heard=operator.heard, shows=SHOWS)

    @pytest.fixture
    def calls_close(self):
        return []

    @pytest.fixture
    def calls(self, stage, calls_close):
        from abonent.testing.contracts.stage import AsyncCalls, running_loop

        with running_loop() as loop:
            calls = AsyncCalls(stage.patience, loop)
            yield calls
            for each in calls_close:
                calls(each)

"""The numbering plan and the simulated router keep the promises of their port."""

import pytest

from abonent.ports import Unrouted
from abonent.simulation import SimulatedRouter
from abonent.testing import AsyncNumberRouterContract, NumberRouterContract, Stage
from tests.contracts.stages import plan_of, router_stage


class TestNumberingPlan(NumberRouterContract):
    @pytest.fixture
    def stage(self, routes):
        return Stage(adapter=plan_of(routes), shows=frozenset())


class TestSimulatedRouter(NumberRouterContract):
    @pytest.fixture
    def stage(self, routes):
        return router_stage(SimulatedRouter(), routes)


class AwaitedRouter:
    """A simulated router that has to be awaited."""

    def __init__(self, router: SimulatedRouter) -> None:
        self.router = router

    async def serving(self, number) -> str | Unrouted:
        return self.router.serving(number)


class TestAwaitedRouter(AsyncNumberRouterContract):
    @pytest.fixture
    def stage(self, routes):
        router = SimulatedRouter()
        router_stage(router, routes)
        return Stage(adapter=AwaitedRouter(router), tell=router.show)

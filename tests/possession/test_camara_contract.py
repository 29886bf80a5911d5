"""The operator's own codes keep the promises of their port, from threads and awaited."""

import pytest

from abonent.core.states import EffectKind
from abonent.possession.camara import AsyncCamaraCodes, CamaraCodes
from abonent.simulation import Reply
from abonent.testing import AsyncPossessionCheckContract, PossessionCheckContract, Stage
from tests.camara.agreed import async_link_to, link_to
from tests.camara.operator import CamaraOperator

MESSAGE = "{{code}} — код для входа"
SHOWS = frozenset(
    {Reply.HELD, Reply.UNAVAILABLE, Reply.SLOW, Reply.HANGS, Reply.MISCONFIGURED, Reply.MALFORMED}
)


def sent(operator):
    return lambda: [each for each in operator.heard() if each.kind is EffectKind.SEND_CODE]


class TestCamaraCodes(PossessionCheckContract):
    @pytest.fixture
    def stage(self):
        operator = CamaraOperator()
        check = CamaraCodes(link_to(operator), message=MESSAGE)
        return Stage(adapter=check, tell=operator.show, heard=sent(operator), shows=SHOWS)


class TestAsyncCamaraCodes(AsyncPossessionCheckContract):
    @pytest.fixture
    def stage(self):
        operator = CamaraOperator()
        check = AsyncCamaraCodes(async_link_to(operator), message=MESSAGE)
        return Stage(adapter=check, tell=operator.show, heard=sent(operator), shows=SHOWS)

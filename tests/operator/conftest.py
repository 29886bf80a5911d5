"""Both shells of a desk, one after the other."""

import pytest

from abonent.operator import AsyncOperatorDesk, OperatorDesk


@pytest.fixture(params=[OperatorDesk, AsyncOperatorDesk], ids=["threads", "asyncio"])
def shell(request):
    return request.param

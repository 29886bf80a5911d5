"""The senders over SMPP keep the promises of their port, before a centre that does as told."""

import pytest

from abonent import AsyncFallbackSender, FallbackSender
from abonent.possession.smpp import AsyncSmppSender, SmppSender
from abonent.testing import AsyncCodeSenderContract, CodeSenderContract, Stage
from tests.smsc import PASSWORD, SHOWS, FaultyCentre, link_to

SECRETS = (*CodeSenderContract.secrets, PASSWORD)


@pytest.fixture
def centre():
    with FaultyCentre() as centre:
        yield centre


def stage_of(centre, adapter):
    return Stage(adapter=adapter, tell=centre.show, heard=centre.heard, shows=SHOWS)


class TestSmppSender(CodeSenderContract):
    secrets = SECRETS

    @pytest.fixture
    def stage(self, centre):
        with SmppSender(link_to(centre)) as sender:
            yield stage_of(centre, sender)


class TestAsyncSmppSender(AsyncCodeSenderContract):
    secrets = SECRETS

    @pytest.fixture
    def stage(self, centre):
        return stage_of(centre, AsyncSmppSender(link_to(centre)))


class TestFallbackOverSmpp(CodeSenderContract):
    secrets = SECRETS

    @pytest.fixture
    def stage(self, centre):
        with SmppSender(link_to(centre)) as one, SmppSender(link_to(centre)) as other:
            yield stage_of(centre, FallbackSender({"one": one, "other": other}))


class TestAsyncFallbackOverSmpp(AsyncCodeSenderContract):
    secrets = SECRETS

    @pytest.fixture
    def stage(self, centre):
        senders = {name: AsyncSmppSender(link_to(centre)) for name in ("one", "other")}
        return stage_of(centre, AsyncFallbackSender(senders))

"""The senders over SMPP keep the promises of their port, before a centre that does as told."""

from datetime import timedelta

import pytest

from abonent import FallbackSender
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


def link(centre):
    """Patient enough for a busy machine, and less than what is slow."""
    return link_to(centre, timeout=timedelta(seconds=0.8))


class TestSmppSender(CodeSenderContract):
    secrets = SECRETS

    @pytest.fixture
    def stage(self, centre):
        with SmppSender(link(centre)) as sender:
            yield stage_of(centre, sender)


class TestAsyncSmppSender(AsyncCodeSenderContract):
    secrets = SECRETS

    @pytest.fixture
    def stage(self, centre):
        return stage_of(centre, AsyncSmppSender(link(centre)))


@pytest.mark.slow
class TestFallbackOverSmpp(CodeSenderContract):
    secrets = SECRETS

    @pytest.fixture
    def stage(self, centre):
        with SmppSender(link(centre)) as one, SmppSender(link(centre)) as other:
            yield stage_of(centre, FallbackSender({"one": one, "other": other}))

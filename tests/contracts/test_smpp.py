"""The senders over SMPP keep the promises of their port, before a centre that does as it is told."""

from datetime import timedelta

import pytest

from abonent.possession.smpp import SmppLink, SmppSender
from abonent.testing import CodeSenderContract, Stage
from tests.smsc import ID_TAG, PASSWORD, SHOWS, SYSTEM_ID, FaultyCentre


def link_to(centre, **more):
    return SmppLink(
        **{
            "host": "127.0.0.1",
            "port": centre.port,
            "system_id": SYSTEM_ID,
            "password": PASSWORD,
            "source": "abonent",
            "timeout": timedelta(seconds=0.4),
            "retry_longest": timedelta(seconds=0.05),
            "id_tag": ID_TAG,
            **more,
        }
    )


class TestSmppSender(CodeSenderContract):
    secrets = (*CodeSenderContract.secrets, PASSWORD)

    @pytest.fixture
    def stage(self):
        with FaultyCentre() as centre, SmppSender(link_to(centre)) as sender:
            yield Stage(adapter=sender, tell=centre.show, heard=centre.heard, shows=SHOWS)

"""What every `CodeSender` must do, and every asynchronous one.

Knows that a code reaches a user once, and nobody else. Refuses to know how it travels.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import attrs
import pytest

from abonent.core.states import EffectKind
from abonent.errors import Unavailable
from abonent.ports import CodeMessage, OneTimeCode
from abonent.simulation import Reply
from abonent.testing.contracts.adapters import (
    AdapterContract,
    Awaited,
    Work,
    error_of,
    heard,
    shown,
)
from abonent.testing.contracts.contract import to_provide
from abonent.testing.contracts.stage import Calls, Heard, Stage

_CODE: Final = "493817"


class CodeSenderContract(AdapterContract, shared_tests=True):
    """The library sends from several threads, and the same message again after a failure.

    Give it a fixture `stage`: the sender, and the handle to what stands for the user's phone.
    """

    secrets: ClassVar[tuple[str, ...]] = (_CODE,)
    stage = to_provide(
        "Stage",
        "your sender, and what moves the provider at its other end",
        """
        @pytest.fixture
        def stage(self, server):
            return Stage(adapter=MySender(server.url), tell=server.show, heard=server.heard)
        """,
    )

    @pytest.fixture
    def message(self) -> CodeMessage:
        """A code on its way."""
        code = OneTimeCode(_CODE)
        return CodeMessage(id="claim-1.1", number=self.number, code=code, locale="ru")

    @pytest.fixture(params=["send"])
    def work(self, request: pytest.FixtureRequest, stage: Stage[Any], message: CodeMessage) -> Work:
        """The one call of the port."""
        call = getattr(stage.adapter, request.param)
        return lambda name: (call, attrs.evolve(message, id=name))

    def test_a_code_arrives_as_given(
        self, stage: Stage[Any], calls: Calls, message: CodeMessage
    ) -> None:
        """The user gets the code, at the number, under the id; returning None means taken."""
        assert calls(stage.adapter.send, message) is None
        arrived = Heard(
            kind=EffectKind.SEND_CODE, id=message.id, number=self.number.e164, code=_CODE
        )
        assert [arrived] == heard(stage)

    def test_a_code_begins_with_any_digit(
        self, stage: Stage[Any], calls: Calls, message: CodeMessage
    ) -> None:
        """A code is text: one that begins with zeros arrives with them (P8)."""
        calls(stage.adapter.send, attrs.evolve(message, code=OneTimeCode("007300")))
        (arrived,) = heard(stage)
        assert arrived.code == "007300"

    def test_the_same_message_again_reaches_the_user_once(
        self, stage: Stage[Any], calls: Calls, message: CodeMessage
    ) -> None:
        """A message that comes again under its id is sent once (P14)."""
        assert calls(stage.adapter.send, message) is None
        assert calls(stage.adapter.send, message) is None
        assert [message.id] == [each.id for each in heard(stage)]

    def test_another_message_is_sent_too(
        self, stage: Stage[Any], calls: Calls, message: CodeMessage
    ) -> None:
        """The id makes the message: another one to the same number is sent."""
        calls(stage.adapter.send, message)
        calls(stage.adapter.send, attrs.evolve(message, id="claim-1.2"))
        assert [message.id, "claim-1.2"] == [each.id for each in heard(stage)]

    @shown(Reply.UNAVAILABLE)
    def test_a_message_that_failed_is_sent_when_it_comes_again(
        self, stage: Stage[Any], calls: Calls, message: CodeMessage
    ) -> None:
        """After a failure the same message reaches the user, once."""
        stage.tell(Reply.UNAVAILABLE)
        error_of(calls, Unavailable, stage.adapter.send, message)
        stage.tell(Reply.HELD)
        calls(stage.adapter.send, message)
        assert [message.id] == [each.id for each in heard(stage)]


class AsyncCodeSenderContract(Awaited, CodeSenderContract, shared_tests=True):
    """The same behaviours, awaited, in one event loop. Give it the same fixture `stage`."""

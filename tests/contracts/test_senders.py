"""The simulated sender keeps the promises of its port, alone, among others, and under our codes."""

import inspect

import pytest

from abonent import AsyncFallbackSender, AsyncOneTimeCodes, FallbackSender, OneTimeCodes
from abonent.ports import CodeMessage
from abonent.simulation import SimulatedSender
from abonent.testing import AsyncCodeSenderContract, CodeSenderContract, PossessionCheckContract
from abonent.testing.contracts.stage import AsyncCalls, Calls, running_loop
from tests.contracts.stages import sender_stage


class TestSimulatedSender(CodeSenderContract):
    @pytest.fixture
    def stage(self):
        return sender_stage(SimulatedSender())


class AwaitedSender:
    """A simulated sender that has to be awaited."""

    test_double = True

    def __init__(self, sender: SimulatedSender) -> None:
        self.sender = sender

    async def send(self, message: CodeMessage) -> None:
        self.sender.send(message)


class TestAwaitedSender(AsyncCodeSenderContract):
    @pytest.fixture
    def stage(self):
        sender = SimulatedSender()
        return sender_stage(sender, AwaitedSender(sender))


class TestFallbackSender(CodeSenderContract):
    @pytest.fixture
    def stage(self):
        sender = SimulatedSender()
        return sender_stage(sender, FallbackSender({"one": sender, "other": sender}))


class TestAsyncFallbackSender(AsyncCodeSenderContract):
    @pytest.fixture
    def stage(self):
        sender = SimulatedSender()
        awaited = AwaitedSender(sender)
        return sender_stage(sender, AsyncFallbackSender({"one": awaited, "other": awaited}))


class TestOneTimeCodes(PossessionCheckContract):
    @pytest.fixture
    def stage(self):
        sender = SimulatedSender()
        return sender_stage(sender, OneTimeCodes(sender))


class AsTheShellCalls(AsyncCalls):
    """Awaits what has to be awaited, and calls what judges by itself, as the async shell does."""

    def begin(self, function, *arguments):
        if inspect.iscoroutinefunction(function):
            return super().begin(function, *arguments)
        return Calls.begin(self, function, *arguments)


class TestAsyncOneTimeCodes(PossessionCheckContract):
    @pytest.fixture
    def stage(self):
        sender = SimulatedSender()
        return sender_stage(sender, AsyncOneTimeCodes(AwaitedSender(sender)))

    @pytest.fixture
    def calls(self, stage):
        with running_loop() as loop:
            yield AsTheShellCalls(stage.patience, loop)

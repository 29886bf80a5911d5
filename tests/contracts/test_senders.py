"""The simulated sender keeps the promises of its port, alone and under our own codes."""

import pytest

from abonent import OneTimeCodes
from abonent.simulation import SimulatedSender
from abonent.testing import CodeSenderContract, PossessionCheckContract
from tests.contracts.stages import sender_stage


class TestSimulatedSender(CodeSenderContract):
    @pytest.fixture
    def stage(self):
        return sender_stage(SimulatedSender())


class TestOneTimeCodes(PossessionCheckContract):
    @pytest.fixture
    def stage(self):
        sender = SimulatedSender()
        return sender_stage(sender, OneTimeCodes(sender))

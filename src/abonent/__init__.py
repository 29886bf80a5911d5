"""abonent: identify a messenger's users by subscriber number, and keep that true."""

from abonent.aio import AsyncIdentifier
from abonent.core.agreements import Agreement
from abonent.core.events import Ignored, Outcome
from abonent.core.numbers import SubscriberNumber, parse_number
from abonent.core.owed import Gate
from abonent.core.parties import Consent, Messenger, MessengerKind, Operator
from abonent.core.policy import Policy
from abonent.core.rules import (
    DRAFT_2017,
    RESOLUTION_1279,
    RESOLUTION_1801,
    Rules,
    rules_in_force,
)
from abonent.core.standing import Action, NextStep, Standing, Status
from abonent.core.states import Basis, NoticeKind, Reason
from abonent.engine.assembly import SystemClock
from abonent.engine.effects import Alarm, AlarmKind
from abonent.engine.inbound import Received
from abonent.engine.loop import SweepReport
from abonent.errors import AbonentError
from abonent.feed import GateChanged, Happening, ReplayReport
from abonent.identifier import Identifier
from abonent.ports import LateAnswer, Notice, OneTimeCode
from abonent.possession import OneTimeCodes
from abonent.routing import NumberingPlan
from abonent.sealing import EnvironmentKeys, FileKeys, MemoryKeys
from abonent.stores import MemoryStorage, SqliteStorage

__all__ = [
    "DRAFT_2017",
    "RESOLUTION_1279",
    "RESOLUTION_1801",
    "AbonentError",
    "Action",
    "Agreement",
    "Alarm",
    "AlarmKind",
    "AsyncIdentifier",
    "Basis",
    "Consent",
    "EnvironmentKeys",
    "FileKeys",
    "Gate",
    "GateChanged",
    "Happening",
    "Identifier",
    "Ignored",
    "LateAnswer",
    "MemoryKeys",
    "MemoryStorage",
    "Messenger",
    "MessengerKind",
    "NextStep",
    "Notice",
    "NoticeKind",
    "NumberingPlan",
    "OneTimeCode",
    "OneTimeCodes",
    "Operator",
    "Outcome",
    "Policy",
    "Reason",
    "Received",
    "ReplayReport",
    "Rules",
    "SqliteStorage",
    "Standing",
    "Status",
    "SubscriberNumber",
    "SweepReport",
    "SystemClock",
    "parse_number",
    "rules_in_force",
]

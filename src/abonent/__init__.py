"""abonent: identify a messenger's users by subscriber number, and keep that true.

The façade: sorted names, nothing else. Each name is imported when it is first used, so that
importing the package costs next to nothing and who uses threads never loads asyncio.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from abonent.aio import AsyncGateCache, AsyncIdentifier
    from abonent.core.agreements import Agreement
    from abonent.core.events import Ignored, Outcome
    from abonent.core.numbers import SubscriberNumber, parse_number
    from abonent.core.owed import Gate
    from abonent.core.parties import Consent, Messenger, MessengerKind, Operator
    from abonent.core.policy import Policy
    from abonent.core.retention import RetentionPolicy
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
    from abonent.engine.importing import DeclaredUser, ImportReport, RejectedUser
    from abonent.engine.inbound import Received
    from abonent.engine.observing import Observed
    from abonent.engine.reconciling import Reconciled
    from abonent.engine.resealing import KeyUse, Resealed
    from abonent.engine.retaining import Retained
    from abonent.engine.rounds import SweepReport
    from abonent.errors import AbonentError
    from abonent.feed import GateChanged, Happening, ReplayReport
    from abonent.gates import GateCache
    from abonent.holding import Holding
    from abonent.identifier import Identifier
    from abonent.keys import EnvironmentKeys, FileKeys, MemoryKeys, WrappedKeys
    from abonent.ports import LateAnswer, Notice, OneTimeCode
    from abonent.possession import AsyncOneTimeCodes, OneTimeCodes, SendBudget, SendBudgets
    from abonent.possession.delivery import DeliveryState
    from abonent.possession.fallback import (
        AsyncFallbackSender,
        FallbackSender,
        FallbackTimes,
        SenderAlarm,
    )
    from abonent.possession.texts import CodeTexts
    from abonent.routing import NumberingPlan
    from abonent.stores import MemoryStorage, SqliteStorage
    from abonent.watch import FeedState, FeedWatch, WatchedFeed

__all__ = [
    "DRAFT_2017",
    "RESOLUTION_1279",
    "RESOLUTION_1801",
    "AbonentError",
    "Action",
    "Agreement",
    "Alarm",
    "AlarmKind",
    "AsyncFallbackSender",
    "AsyncGateCache",
    "AsyncIdentifier",
    "AsyncOneTimeCodes",
    "Basis",
    "CodeTexts",
    "Consent",
    "DeclaredUser",
    "DeliveryState",
    "EnvironmentKeys",
    "FallbackSender",
    "FallbackTimes",
    "FeedState",
    "FeedWatch",
    "FileKeys",
    "Gate",
    "GateCache",
    "GateChanged",
    "Happening",
    "Holding",
    "Identifier",
    "Ignored",
    "ImportReport",
    "KeyUse",
    "LateAnswer",
    "MemoryKeys",
    "MemoryStorage",
    "Messenger",
    "MessengerKind",
    "NextStep",
    "Notice",
    "NoticeKind",
    "NumberingPlan",
    "Observed",
    "OneTimeCode",
    "OneTimeCodes",
    "Operator",
    "Outcome",
    "Policy",
    "Reason",
    "Received",
    "Reconciled",
    "RejectedUser",
    "ReplayReport",
    "Resealed",
    "Retained",
    "RetentionPolicy",
    "Rules",
    "SendBudget",
    "SendBudgets",
    "SenderAlarm",
    "SqliteStorage",
    "Standing",
    "Status",
    "SubscriberNumber",
    "SweepReport",
    "SystemClock",
    "WatchedFeed",
    "WrappedKeys",
    "parse_number",
    "rules_in_force",
]

_HOMES = {
    "AbonentError": "abonent.errors",
    "Action": "abonent.core.standing",
    "Agreement": "abonent.core.agreements",
    "Alarm": "abonent.engine.effects",
    "AlarmKind": "abonent.engine.effects",
    "AsyncFallbackSender": "abonent.possession.fallback",
    "AsyncGateCache": "abonent.aio",
    "AsyncIdentifier": "abonent.aio",
    "AsyncOneTimeCodes": "abonent.possession",
    "Basis": "abonent.core.states",
    "CodeTexts": "abonent.possession.texts",
    "Consent": "abonent.core.parties",
    "DRAFT_2017": "abonent.core.rules",
    "DeclaredUser": "abonent.engine.importing",
    "DeliveryState": "abonent.possession.delivery",
    "EnvironmentKeys": "abonent.keys",
    "FallbackSender": "abonent.possession.fallback",
    "FallbackTimes": "abonent.possession.fallback",
    "FeedState": "abonent.watch",
    "FeedWatch": "abonent.watch",
    "FileKeys": "abonent.keys",
    "Gate": "abonent.core.owed",
    "GateCache": "abonent.gates",
    "GateChanged": "abonent.feed",
    "Happening": "abonent.feed",
    "Holding": "abonent.holding",
    "Identifier": "abonent.identifier",
    "Ignored": "abonent.core.events",
    "ImportReport": "abonent.engine.importing",
    "KeyUse": "abonent.engine.resealing",
    "LateAnswer": "abonent.ports",
    "MemoryKeys": "abonent.keys",
    "MemoryStorage": "abonent.stores",
    "Messenger": "abonent.core.parties",
    "MessengerKind": "abonent.core.parties",
    "NextStep": "abonent.core.standing",
    "Notice": "abonent.ports",
    "NoticeKind": "abonent.core.states",
    "NumberingPlan": "abonent.routing",
    "Observed": "abonent.engine.observing",
    "OneTimeCode": "abonent.ports",
    "OneTimeCodes": "abonent.possession",
    "Operator": "abonent.core.parties",
    "Outcome": "abonent.core.events",
    "Policy": "abonent.core.policy",
    "RESOLUTION_1279": "abonent.core.rules",
    "RESOLUTION_1801": "abonent.core.rules",
    "Reason": "abonent.core.states",
    "Received": "abonent.engine.inbound",
    "Reconciled": "abonent.engine.reconciling",
    "RejectedUser": "abonent.engine.importing",
    "ReplayReport": "abonent.feed",
    "Resealed": "abonent.engine.resealing",
    "Retained": "abonent.engine.retaining",
    "RetentionPolicy": "abonent.core.retention",
    "Rules": "abonent.core.rules",
    "SendBudget": "abonent.possession",
    "SendBudgets": "abonent.possession",
    "SenderAlarm": "abonent.possession.fallback",
    "SqliteStorage": "abonent.stores",
    "Standing": "abonent.core.standing",
    "Status": "abonent.core.standing",
    "SubscriberNumber": "abonent.core.numbers",
    "SweepReport": "abonent.engine.rounds",
    "SystemClock": "abonent.engine.assembly",
    "WatchedFeed": "abonent.watch",
    "WrappedKeys": "abonent.keys",
    "parse_number": "abonent.core.numbers",
    "rules_in_force": "abonent.core.rules",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'abonent' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

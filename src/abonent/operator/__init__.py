"""The operator's side: answers, records, notices.

Knows its public names, nothing else. `AsyncOperatorDesk` is imported when it is first used, so
that who uses threads never loads asyncio.
"""

from typing import TYPE_CHECKING

from abonent.operator.core.policy import DeskPolicy
from abonent.operator.desk import KeptRecord, OperatorDesk, OwedNotice
from abonent.operator.gateway import DeskGateway, IdentifierCarrier
from abonent.operator.ports import (
    AsyncNoticeCarrier,
    AsyncSubscriberBase,
    Holding,
    Movement,
    NoticeCarrier,
    SubscriberBase,
)

if TYPE_CHECKING:
    from abonent.operator.aio import AsyncOperatorDesk

__all__ = [
    "AsyncNoticeCarrier",
    "AsyncOperatorDesk",
    "AsyncSubscriberBase",
    "DeskGateway",
    "DeskPolicy",
    "Holding",
    "IdentifierCarrier",
    "KeptRecord",
    "Movement",
    "NoticeCarrier",
    "OperatorDesk",
    "OwedNotice",
    "SubscriberBase",
]


def __getattr__(name: str) -> object:
    if name != "AsyncOperatorDesk":
        raise AttributeError(f"module 'abonent.operator' has no attribute {name!r}")
    from abonent.operator.aio import AsyncOperatorDesk

    return AsyncOperatorDesk

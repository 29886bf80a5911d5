"""What became of a message after it was taken for delivery (P15).

Knows final states and who is told of them. Refuses to know numbers: a message is its id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, Protocol, TypeAlias, runtime_checkable

log: Final = logging.getLogger("abonent")


class DeliveryState(Enum):
    """How a message ended (SMPP 3.4, 5.2.28). The values are stable."""

    DELIVERED = "delivered"
    """It reached the handset."""
    EXPIRED = "expired"
    """Its time ran out first."""
    DELETED = "deleted"
    """The centre removed it."""
    UNDELIVERABLE = "undeliverable"
    """It cannot be delivered."""
    REJECTED = "rejected"
    """The centre refused it, at once or later."""
    UNKNOWN = "unknown"
    """The centre has lost it, or does not say."""

    @property
    def failed(self) -> bool:
        """Whether the message is known not to have arrived."""
        return self not in {DeliveryState.DELIVERED, DeliveryState.UNKNOWN}


DeliveryObserver: TypeAlias = Callable[[str, DeliveryState], object]
"""Called with the id of a message and its final state, once by each sender that had the message, in
a thread of the sender's: it counts or notes, and returns."""


@runtime_checkable
class TellsDelivery(Protocol):
    """A sender that hears what becomes of its messages."""

    def watch(self, observer: DeliveryObserver) -> None:
        """Have this called with every final state from now on."""
        ...


def tell(observers: Iterable[DeliveryObserver], message_id: str, state: DeliveryState) -> None:
    """Tell each of them; one that raises is logged, by the type of it, and stops nobody else."""
    for observer in observers:
        try:
            observer(message_id, state)
        except Exception as error:
            log.error("abonent.observer_failed cause=%s", type(error).__name__)

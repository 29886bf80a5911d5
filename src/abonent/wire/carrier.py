"""An operator's sending end: notices and late answers, signed and posted to messengers."""

from __future__ import annotations

from collections.abc import Mapping

from abonent.ports import Clock, LateAnswer, Notice
from abonent.wire.keys import SigningKeySource


class SignedCarrier:
    """Delivers notices of one operator to messengers, each at an address of its own.

    Args:
        addresses: where each messenger receives, by messenger id.
        keys: what signs.
        transport: what sends; one request, one reply.
        clock: tells the time; None for the system's.
        timeout: seconds for one delivery, as a whole.
    """

    def __init__(
        self,
        *,
        addresses: Mapping[str, str],
        keys: SigningKeySource,
        transport: object,
        clock: Clock | None = None,
        timeout: float = 10.0,
    ) -> None:
        raise NotImplementedError

    def deliver(self, messenger: str, notice: Notice | LateAnswer) -> None:
        """Deliver; returning means that the messenger acknowledged it.

        Raises:
            Unavailable: not reached, or it asks to be tried again.
            Misconfigured: it refuses us.
        """
        raise NotImplementedError

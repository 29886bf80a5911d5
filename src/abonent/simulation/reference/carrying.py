"""The way from a reference operator to its messengers, with faults in it.

Knows what can go wrong on the way, and counts what got through. Refuses to sign or to post: the
signed carrier does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from msgspec import UnsetType

from abonent.core.numbers import SubscriberNumber
from abonent.errors import AdapterError, Unavailable
from abonent.operator import Holding
from abonent.ports import Clock, GatewayFeatures, LateAnswer, Notice
from abonent.simulation.reference.faults import ANSWERS, BASE, NOTICES, Fault, Faults, What
from abonent.simulation.reference.subscribers import Subscribers
from abonent.transport import AsyncTransport
from abonent.wire import AsyncSignedCarrier, SigningKeys, SigningKeySource

USUAL_DELAY: Final = 1.0


async def delay(fault: Fault) -> None:
    """Wait for as long as a fault says."""
    await asyncio.sleep(USUAL_DELAY if isinstance(fault.seconds, UnsetType) else fault.seconds)


class FaultyBase:
    """The subscribers, as the desk asks for them; it may be slow, or out of reach."""

    test_double = True

    def __init__(self, subscribers: Subscribers, faults: Faults) -> None:
        self.features = GatewayFeatures(prompt=True, concurrency=64)
        self._subscribers = subscribers
        self._faults = faults

    async def holds(self, number: SubscriberNumber) -> Holding:
        """See `SubscriberBase.holds`."""
        fault = self._faults.meet(BASE)
        if fault is not None:
            if fault.what is What.UNAVAILABLE:
                raise Unavailable("the base is out of reach, as asked for")
            await delay(fault)
        return self._subscribers.holding(number)


class FaultyCarrier:
    """A `NoticeCarrier` that signs and posts, and fails where it is asked to.

    `deliveries` counts notices and answers, by whether they were acknowledged.
    """

    test_double = True

    def __init__(
        self,
        addresses: Mapping[str, str],
        keys: SigningKeySource,
        transport: AsyncTransport,
        faults: Faults,
        *,
        clock: Clock,
        timeout: float,
    ) -> None:
        def carrier(keys: SigningKeySource) -> AsyncSignedCarrier:
            return AsyncSignedCarrier(
                addresses=addresses, keys=keys, transport=transport, clock=clock, timeout=timeout
            )

        self._ours = carrier(keys)
        self._strange = carrier(SigningKeys.generate(clock.now()))
        self._faults = faults
        self.features = self._ours.features
        self.deliveries: Counter[str] = Counter()

    async def deliver(self, messenger: str, notice: Notice) -> None:
        """See `NoticeCarrier.deliver`."""
        await self._counted(
            NOTICES,
            partial(self._ours.deliver, messenger, notice),
            partial(self._strange.deliver, messenger, notice),
        )

    async def deliver_answer(self, messenger: str, answer: LateAnswer) -> None:
        """See `NoticeCarrier.deliver_answer`."""
        await self._counted(
            ANSWERS,
            partial(self._ours.deliver_answer, messenger, answer),
            partial(self._strange.deliver_answer, messenger, answer),
        )

    async def _counted(
        self,
        place: str,
        deliver: Callable[[], Awaitable[None]],
        strangely: Callable[[], Awaitable[None]],
    ) -> None:
        try:
            await self._delivered(self._faults.meet(place), deliver, strangely)
        except AdapterError:
            self.deliveries[f"{place} failed"] += 1
            raise
        self.deliveries[f"{place} delivered"] += 1

    async def _delivered(
        self,
        fault: Fault | None,
        deliver: Callable[[], Awaitable[None]],
        strangely: Callable[[], Awaitable[None]],
    ) -> None:
        what = None if fault is None else fault.what
        if what is What.UNAVAILABLE:
            raise Unavailable("it does not get through, as asked for")
        if what is What.WRONG_SIGNATURE:
            return await strangely()
        if fault is not None and what is What.SLOW:
            await delay(fault)
        await deliver()
        if what is What.TWICE:
            await deliver()
        if what is What.LOST:
            raise Unavailable("nobody hears that it got through, as asked for")
        return None

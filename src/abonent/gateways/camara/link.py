"""The link to one operator, from threads and from asyncio: what drives the flows.

Knows how to send, wait and take turns. Refuses to know what is asked.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from abonent.errors import AdapterError
from abonent.gateways.camara.asking import Asking
from abonent.gateways.camara.profile import CamaraProfile
from abonent.gateways.camara.steps import Alone, Flow, Wait
from abonent.ports import Clock
from abonent.transport import AsyncTransport, Request, Transport

T = TypeVar("T")


class _SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class CamaraLink:
    """A link that any thread may use. What shares a link shares its tokens, rate and breaker.

    Args:
        profile: what is agreed with the operator.
        transport: how requests leave, for example `abonent.transport.http.HttpTransport`.
        clock: what assertions are dated by; None for the clock of this machine.
        monotonic: seconds by a clock that only runs forward.
        sleep: how to wait for a place in the rate.
    """

    def __init__(
        self,
        profile: CamaraProfile,
        *,
        transport: Transport,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.profile = profile
        self.asking = Asking(profile, clock or _SystemClock(), monotonic)
        self._transport = transport
        self._sleep = sleep
        self._turns: dict[str, threading.Lock] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(operator={self.profile.operator!r})"

    @property
    def test_double(self) -> bool:
        """A double as transport makes this a double too (P12)."""
        return bool(getattr(self._transport, "test_double", False))

    def run(self, flow: Flow[T]) -> T:
        """Drive a flow to its end.

        Raises:
            Unavailable, Misconfigured: as the flow says.
        """
        answer: Any = None
        error: AdapterError | None = None
        try:
            while True:
                try:
                    step = flow.send(answer) if error is None else flow.throw(error)
                except StopIteration as end:
                    result: T = end.value
                    return result
                answer, error = None, None
                try:
                    answer = self._do(step)
                except AdapterError as raised:
                    error = raised
        finally:
            flow.close()

    def _do(self, step: Any) -> Any:
        if type(step) is Request:
            return self._transport.send(step)
        if type(step) is Wait:
            return self._sleep(step.seconds)
        if type(step) is Alone:
            turn = self._turns.setdefault(step.name, threading.Lock())
            if not turn.acquire(timeout=step.patience):
                return None
            try:
                return self.run(step.flow())
            finally:
                turn.release()
        raise TypeError(f"a flow asked for {type(step).__name__}")


class AsyncCamaraLink:
    """The same in one event loop.

    Args: as for `CamaraLink`.
    """

    def __init__(
        self,
        profile: CamaraProfile,
        *,
        transport: AsyncTransport,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self.profile = profile
        self.asking = Asking(profile, clock or _SystemClock(), monotonic)
        self._transport = transport
        self._sleep = sleep
        self._turns: dict[str, asyncio.Lock] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}(operator={self.profile.operator!r})"

    @property
    def test_double(self) -> bool:
        """A double as transport makes this a double too (P12)."""
        return bool(getattr(self._transport, "test_double", False))

    async def run(self, flow: Flow[T]) -> T:
        """See `CamaraLink.run`."""
        answer: Any = None
        error: AdapterError | None = None
        try:
            while True:
                try:
                    step = flow.send(answer) if error is None else flow.throw(error)
                except StopIteration as end:
                    result: T = end.value
                    return result
                answer, error = None, None
                try:
                    answer = await self._do(step)
                except AdapterError as raised:
                    error = raised
        finally:
            flow.close()

    async def _do(self, step: Any) -> Any:
        if type(step) is Request:
            return await self._transport.send(step)
        if type(step) is Wait:
            return await self._sleep(step.seconds)
        if type(step) is Alone:
            return await self._alone(step)
        raise TypeError(f"a flow asked for {type(step).__name__}")

    async def _alone(self, step: Alone) -> Any:
        turn = self._turns.setdefault(step.name, asyncio.Lock())
        if step.patience <= 0 and turn.locked():
            return None
        try:
            async with asyncio.timeout(step.patience or None):
                await turn.acquire()
        except TimeoutError:
            return None
        try:
            return await self.run(step.flow())
        finally:
            turn.release()

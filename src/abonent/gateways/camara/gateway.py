"""`OperatorGateway` over CAMARA, for threads and for asyncio.

Knows which API answers which question. CAMARA has none by which a messenger's name and the
identification code are recorded, and the law wants them recorded: so they go by an extension of
this project that the operator offers, or by another channel, and without either nothing is built.
Refuses to know how requests travel.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, Protocol

from abonent.errors import InvalidValue
from abonent.gateways.camara.link import AsyncCamaraLink, CamaraLink
from abonent.gateways.camara.profile import CamaraProfile, Service
from abonent.ports import Answer, GatewayFeatures, Query, RecordEntry, WithdrawEntry


class RecordKeeper(Protocol):
    """Has identification codes recorded and removed by a channel of its own.

    Every `OperatorGateway` is one; so the gateway over files keeps records for this one.
    """

    def record(self, entry: RecordEntry) -> None:
        """See `OperatorGateway.record`."""
        ...

    def withdraw(self, entry: WithdrawEntry) -> None:
        """See `OperatorGateway.withdraw`."""
        ...


class AsyncRecordKeeper(Protocol):
    """The same for the async shell."""

    async def record(self, entry: RecordEntry) -> None:
        """See `OperatorGateway.record`."""
        ...

    async def withdraw(self, entry: WithdrawEntry) -> None:
        """See `OperatorGateway.withdraw`."""
        ...


def _check(profile: CamaraProfile, records: object | None) -> GatewayFeatures:
    profile.api(Service.TENURE)
    if records is None:
        if Service.RECORDS not in profile.apis:
            raise InvalidValue(
                "CAMARA cannot record identification codes: name the operator's "
                "abonent-records in the profile, or pass `records`"
            )
    elif Service.RECORDS in profile.apis:
        raise InvalidValue("records go one way: by the operator's extension, or by `records`")
    return GatewayFeatures(concurrency=profile.concurrency)


class CamaraGateway:
    """Asks one operator by kyc-tenure.

    A tenure, however long, is HELD. An identifier that the operator does not know is NOT_OURS, and
    NOT_HELD only where it says so by `ABONENT.NOT_HELD`. What is not applicable is UNDETERMINED.
    Anything else is no answer.

    Args:
        link: the link to the operator.
        records: who has codes recorded, if the operator does not offer `abonent-records`.

    Raises:
        InvalidValue: no kyc-tenure in the profile, or not exactly one way to record codes.
    """

    def __init__(self, link: CamaraLink, *, records: RecordKeeper | None = None) -> None:
        self.features = _check(link.profile, records)
        self._link = link
        self._records = records

    def __repr__(self) -> str:
        return f"CamaraGateway({self._link!r})"

    @property
    def test_double(self) -> bool:
        """A double as transport or keeper makes this a double too (P12)."""
        return self._link.test_double or bool(getattr(self._records, "test_double", False))

    def ask(self, query: Query) -> Answer:
        """See `OperatorGateway.ask`."""
        return self._link.run(self._link.asking.ask(query))

    def record(self, entry: RecordEntry) -> None:
        """See `OperatorGateway.record`."""
        if self._records is not None:
            return self._records.record(entry)
        return self._link.run(self._link.asking.record(entry))

    def withdraw(self, entry: WithdrawEntry) -> None:
        """See `OperatorGateway.withdraw`."""
        if self._records is not None:
            return self._records.withdraw(entry)
        return self._link.run(self._link.asking.withdraw(entry))


class AsyncCamaraGateway:
    """The same for asyncio. A keeper of records that is not async is called in a thread.

    Args, Raises: as for `CamaraGateway`.
    """

    def __init__(
        self, link: AsyncCamaraLink, *, records: AsyncRecordKeeper | RecordKeeper | None = None
    ) -> None:
        self.features = _check(link.profile, records)
        self._link = link
        self._records = records

    def __repr__(self) -> str:
        return f"AsyncCamaraGateway({self._link!r})"

    @property
    def test_double(self) -> bool:
        """A double as transport or keeper makes this a double too (P12)."""
        return self._link.test_double or bool(getattr(self._records, "test_double", False))

    async def ask(self, query: Query) -> Answer:
        """See `OperatorGateway.ask`."""
        return await self._link.run(self._link.asking.ask(query))

    async def record(self, entry: RecordEntry) -> None:
        """See `OperatorGateway.record`."""
        if self._records is not None:
            return await _kept(self._records.record, entry)
        return await self._link.run(self._link.asking.record(entry))

    async def withdraw(self, entry: WithdrawEntry) -> None:
        """See `OperatorGateway.withdraw`."""
        if self._records is not None:
            return await _kept(self._records.withdraw, entry)
        return await self._link.run(self._link.asking.withdraw(entry))


async def _kept(function: Any, entry: RecordEntry | WithdrawEntry) -> None:
    if inspect.iscoroutinefunction(function):
        await function(entry)
    else:
        await asyncio.to_thread(function, entry)

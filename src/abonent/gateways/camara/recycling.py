"""`RecyclingCheck` over CAMARA's number-recycling 0.2.0.

Knows days: the API is asked since a day and tells of changes after it. Refuses to know who is asked
about, and what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final

from abonent.core.numbers import SubscriberNumber
from abonent.errors import InvalidValue
from abonent.gateways.camara.link import AsyncCamaraLink, CamaraLink
from abonent.gateways.camara.profile import Service

MOSCOW: Final = timezone(timedelta(hours=3))


def _today() -> datetime:
    return datetime.now(UTC)


class _Days:
    """Which day to ask about."""

    def __init__(
        self, zone: tzinfo, lookback: timedelta | None, now: Callable[[], datetime]
    ) -> None:
        if lookback is not None and lookback < timedelta(days=1):
            raise InvalidValue("an operator looks back for at least a day")
        self._zone = zone
        self._lookback = lookback
        self._now = now

    def day(self, since: datetime) -> date:
        """Return the day of an instant where the operator is, no earlier than it looks back.

        A change on that day itself is not told of. So nobody loses a number to whoever gave it up
        hours before they proved that it is theirs.
        """
        day = since.astimezone(self._zone).date()
        if self._lookback is None:
            return day
        return max(day, (self._now() - self._lookback).astimezone(self._zone).date())


class CamaraRecycling:
    """Asks one operator whether numbers have changed hands.

    Args:
        link: the link to the operator; its profile names number-recycling.
        zone: the time zone by which the operator dates. By default Moscow time.
        lookback: how far back the operator can look, None if as far as one likes. A walk through
            all users has to take less.
        now: the time by which it looks back.

    Raises:
        InvalidValue: an operator that does not offer the API, or no day to look back.
    """

    def __init__(
        self,
        link: CamaraLink,
        *,
        zone: tzinfo = MOSCOW,
        lookback: timedelta | None = None,
        now: Callable[[], datetime] = _today,
    ) -> None:
        link.profile.api(Service.RECYCLING)
        self._link = link
        self._days = _Days(zone, lookback, now)

    def recycled(self, number: SubscriberNumber, since: datetime) -> bool | None:
        """See `RecyclingCheck.recycled`."""
        return self._link.run(self._link.asking.recycled(number, self._days.day(since)))


class AsyncCamaraRecycling:
    """The same for asyncio.

    Args, Raises: as for `CamaraRecycling`.
    """

    def __init__(
        self,
        link: AsyncCamaraLink,
        *,
        zone: tzinfo = MOSCOW,
        lookback: timedelta | None = None,
        now: Callable[[], datetime] = _today,
    ) -> None:
        link.profile.api(Service.RECYCLING)
        self._link = link
        self._days = _Days(zone, lookback, now)

    async def recycled(self, number: SubscriberNumber, since: datetime) -> bool | None:
        """See `RecyclingCheck.recycled`."""
        return await self._link.run(self._link.asking.recycled(number, self._days.day(since)))

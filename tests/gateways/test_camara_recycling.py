"""Since which day an operator is asked whether a number has changed hands."""

import asyncio
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from abonent import SubscriberNumber
from abonent.errors import InvalidValue
from abonent.gateways.camara import AsyncCamaraRecycling, CamaraRecycling, Service
from tests.camara.agreed import agreed, async_link_to, link_to
from tests.camara.operator import CamaraOperator, Subscriber

NUMBER = SubscriberNumber("+79161234567")
LATE = datetime(2025, 5, 31, 21, 30, tzinfo=UTC)  # the first of June in Moscow


def asked(operator):
    return json.loads(operator.requests[-1].body)


def test_the_day_is_the_operators():
    """Half past nine in the evening in UTC is tomorrow in Moscow."""
    operator = CamaraOperator()
    check = CamaraRecycling(link_to(operator))
    assert False is check.recycled(NUMBER, LATE)
    assert {"specifiedDate": "2025-06-01", "phoneNumber": NUMBER.e164} == asked(operator)
    east = CamaraRecycling(link_to(operator), zone=timezone(timedelta(hours=-5)))
    east.recycled(NUMBER, LATE)
    assert "2025-05-31" == asked(operator)["specifiedDate"]


def test_whoever_gave_the_number_up_on_that_day_takes_it_from_nobody():
    """A change on the day itself is that of the user's own proof, and not told of."""
    operator = CamaraOperator()
    check = CamaraRecycling(link_to(operator))
    day = datetime(2025, 6, 1, tzinfo=UTC).date()
    operator.subscribers[NUMBER.e164] = Subscriber(recycled_at=day)
    assert False is check.recycled(NUMBER, LATE)
    operator.subscribers[NUMBER.e164] = Subscriber(recycled_at=day + timedelta(days=1))
    assert True is check.recycled(NUMBER, LATE)


def test_no_operator_is_asked_about_longer_ago_than_it_can_look():
    """The day is then as far back as it looks."""
    operator = CamaraOperator()
    check = CamaraRecycling(
        link_to(operator),
        lookback=timedelta(days=90),
        now=lambda: datetime(2025, 12, 1, tzinfo=UTC),
    )
    check.recycled(NUMBER, LATE)
    assert "2025-09-02" == asked(operator)["specifiedDate"]
    check.recycled(NUMBER, datetime(2025, 11, 1, tzinfo=UTC))
    assert "2025-11-01" == asked(operator)["specifiedDate"]


def test_by_the_clock_of_this_machine_unless_told_otherwise():
    """Looking back begins now."""
    operator = CamaraOperator()
    CamaraRecycling(link_to(operator), lookback=timedelta(days=1)).recycled(NUMBER, LATE)
    day = datetime.fromisoformat(asked(operator)["specifiedDate"]).date()
    assert abs(datetime.now(UTC).date() - timedelta(days=1) - day) <= timedelta(days=1)


def test_the_same_awaited():
    """For the async shell."""
    operator = CamaraOperator()
    check = AsyncCamaraRecycling(async_link_to(operator))
    assert False is asyncio.run(check.recycled(NUMBER, LATE))


def test_what_cannot_be_is_refused_at_building():
    """An operator without the API, and one that looks back for less than a day."""
    without = agreed(without=frozenset({Service.RECYCLING}))
    operator = CamaraOperator()
    with pytest.raises(InvalidValue):
        CamaraRecycling(link_to(operator, without))
    with pytest.raises(InvalidValue):
        AsyncCamaraRecycling(async_link_to(operator, without))
    with pytest.raises(InvalidValue):
        CamaraRecycling(link_to(operator), lookback=timedelta(hours=23))

"""A changed SIM is a hint, and never a notice."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abonent import SubscriberNumber
from abonent.errors import InvalidValue
from abonent.gateways.camara.hints import (
    EndOfFeed,
    SimSwapped,
    SubscriptionEnded,
    read_event,
)
from tests.properties.parts import N1, World

SWAPPED = {
    "id": "123655",
    "source": "supertelco.notificationSendServer12",
    "type": "org.camaraproject.sim-swap-subscriptions.v0.swapped",
    "specversion": "1.0",
    "datacontenttype": "application/json",
    "data": {"phoneNumber": "+79161234567", "subscriptionId": "2ghy-55gg-7iup-yuo9"},
    "time": "2026-01-18T13:18:23.682Z",
}
ENDED = SWAPPED | {
    "type": "org.camaraproject.sim-swap-subscriptions.v0.subscription-ended",
    "data": {"terminationReason": "ACCESS_TOKEN_EXPIRED", "subscriptionId": "s"},
}


def read(event):
    return read_event(json.dumps(event).encode())


def test_a_changed_sim_is_a_hint():
    """Number, time and subscription, as the operator says."""
    assert SimSwapped(
        id="123655",
        source="supertelco.notificationSendServer12",
        subscription="2ghy-55gg-7iup-yuo9",
        number=SubscriberNumber("+79161234567"),
        at=datetime(2026, 1, 18, 13, 18, 23, 682000, tzinfo=UTC),
    ) == read(SWAPPED)
    alone = read(SWAPPED | {"data": {"subscriptionId": "s"}})
    assert alone.number is None


def test_a_hint_is_not_taken_for_a_notice():
    """The identifier has no place to put one (P18)."""
    with World() as world:
        world.identify("alice", N1)
        with pytest.raises(InvalidValue):
            world.identifier.receive(read(SWAPPED))
        assert world.identifier.gate("alice")


@pytest.mark.parametrize(
    ("reason", "expected"),
    [(each.value, each) for each in EndOfFeed] + [("NEW", EndOfFeed.OTHER), (7, EndOfFeed.OTHER)],
)
def test_why_a_subscription_ended(reason, expected):
    """Whatever the reason, it has ended."""
    told = read(ENDED | {"data": {"terminationReason": reason, "subscriptionId": "s"}})
    assert isinstance(told, SubscriptionEnded)
    assert expected is told.why


@pytest.mark.parametrize(
    "kind",
    [
        "org.camaraproject.sim-swap-subscriptions.v0.subscription-started",
        "org.camaraproject.device-status.v0.swapped",
        "org.camaraproject.sim-swap-subscriptions.swapped",
        "swapped",
        "xorg.camaraproject.sim-swap-subscriptions.v0.swapped",
    ],
)
def test_an_event_of_another_kind_says_nothing(kind):
    """It is neither a hint nor an error."""
    assert read(SWAPPED | {"type": kind}) is None


def test_the_released_file_names_events_in_two_ways():
    """A place for the API's name is taken for its name."""
    told = read(ENDED | {"type": "org.camaraproject.api-name.v0.subscription-ended"})
    assert EndOfFeed.ACCESS_TOKEN_EXPIRED is told.why
    later = read(SWAPPED | {"type": "org.camaraproject.sim-swap-subscriptions.v1.swapped"})
    assert isinstance(later, SimSwapped)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": ""},
        {"id": 7},
        {"id": "a" * 257},
        {"id": "a\nb"},
        {"source": None},
        {"type": None},
        {"specversion": "0.3"},
        {"specversion": 1.0},
        {"time": "yesterday"},
        {"time": "2026-01-18T13:18:23"},
        {"time": 1768742303},
        {"data": None},
        {"data": []},
        {"data": {}},
        {"data": {"subscriptionId": "s", "phoneNumber": "89161234567"}},
        {"data": {"subscriptionId": "s", "phoneNumber": 79161234567}},
    ],
)
def test_what_is_no_such_event_is_refused_and_not_quoted(wrong):
    """Nothing is read into it."""
    with pytest.raises(InvalidValue) as caught:
        read(SWAPPED | wrong)
    assert "9161234567" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.binary())
def test_bytes_that_nobody_wrote_are_refused(body):
    """Nothing else is raised."""
    try:
        read_event(body)
    except InvalidValue:
        return
    raise AssertionError


@pytest.mark.parametrize("body", [b"[]", b"null", b"[" * 16_000, b" " * 16_385, b'{"id": "\xff"}'])
def test_what_is_no_object_or_too_long_is_refused(body):
    """Before anything of it is looked at."""
    with pytest.raises(InvalidValue):
        read_event(body)


def test_a_repr_shows_no_number():
    """Nor the subscription, which may be one number's (I9)."""
    assert "9161234567" not in repr(read(SWAPPED))
    assert "2ghy" not in repr(read(SWAPPED))

"""Messengers, operators, consents, agreements: which are refused, and when they hold."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from abonent import Agreement, Consent, Messenger, MessengerKind, Operator
from abonent.core.agreements import Agreements
from abonent.core.parties import check_instant, check_user_id
from abonent.errors import (
    InvalidAgreement,
    InvalidUserId,
    InvalidValue,
    NaiveInstant,
    UnknownMessenger,
)
from tests.core.samples import DAY, HOUR, MICROSECOND, NOW

NAIVE = datetime(2026, 6, 1)


@pytest.mark.parametrize("good", ["m", "a" * 64, "mts-1.ru_x", "0"])
def test_an_id(good):
    """An id is 1 to 64 characters of a small alphabet, which fits every store and log."""
    assert good == Operator(id=good).id
    assert good == Messenger(id=good, kind=MessengerKind.FOREIGN).id


@pytest.mark.parametrize("bad", ["", "a" * 65, "-a", "a-", ".a", "A", "a b", "a\n", "мтс", "a/b"])
def test_no_id(bad):
    """Whatever else is refused."""
    with pytest.raises(InvalidValue):
        Operator(id=bad)
    with pytest.raises(InvalidValue):
        Messenger(id=bad, kind=MessengerKind.DOMESTIC)


def test_a_kind_is_a_member():
    """A kind that is mere text is refused: it would be taken for domestic."""
    with pytest.raises(InvalidValue):
        Messenger(id="m", kind="foreign")


@pytest.mark.parametrize("good", ["a", "x" * 128, "Юлия 7", "🙂"])
def test_a_user_id(good):
    """A user id is any printable text of 1 to 128 characters."""
    assert good == check_user_id(good)


@pytest.mark.parametrize("bad", ["", "x" * 129, "a\0", "a\nb", "\u200e"])
def test_no_user_id(bad):
    """One that is empty, too long or unprintable is refused."""
    with pytest.raises(InvalidUserId):
        check_user_id(bad)


def test_an_instant_has_a_zone():
    """A naive instant is refused with an error that says so (P16); any zone will do."""
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-3, minutes=-30)))
    assert elsewhere == check_instant(elsewhere) == NOW
    with pytest.raises(NaiveInstant, match="time zone"):
        check_instant(NAIVE)


def consent(**changes) -> Consent:
    given = {
        "user_id": "alice",
        "recipient": "bank",
        "purpose": "delivery",
        "given_at": NOW,
        "until": NOW + HOUR,
    }
    return Consent(**(given | changes))


def covers(given: Consent, at: datetime = NOW, **changes) -> bool:
    asked = {"user_id": "alice", "recipient": "bank", "purpose": "delivery"} | changes
    return given.covers(at=at, **asked)


def test_a_consent_covers_exactly_what_it_says():
    """A consent covers its user, recipient and purpose, from when it was given."""
    assert covers(consent())
    assert not covers(consent(), user_id="bob")
    assert not covers(consent(), recipient="shop")
    assert not covers(consent(), purpose="marketing")
    assert not covers(consent(), NOW - MICROSECOND)
    assert covers(consent(), NOW + HOUR - MICROSECOND)
    assert not covers(consent(), NOW + HOUR)
    assert covers(consent(until=None), NOW + 3650 * DAY)


@pytest.mark.parametrize("bad", [{"recipient": "The Bank"}, {"purpose": ""}, {"recipient": ""}])
def test_a_consent_names_by_id(bad):
    """Recipient and purpose are ids: there is no place for a person's name."""
    with pytest.raises(InvalidValue):
        consent(**bad)


@pytest.mark.parametrize("field", ["given_at", "until"])
def test_a_consent_has_zones(field):
    """A consent in a naive time is refused."""
    with pytest.raises(NaiveInstant):
        consent(**{field: NAIVE})


# --- agreements ---------------------------------------------------------------------


def agreement(name: str = "a-1", **changes) -> Agreement:
    fields = {"messenger": "m", "operator": "mts", "starts": NOW, "ends": NOW + DAY}
    return Agreement(id=name, **(fields | changes))


def test_in_force_from_until():
    """An agreement is in force from its start, inclusive, until its end, exclusive."""
    agreements = Agreements("m", [agreement()])
    assert agreements.in_force("mts", NOW - MICROSECOND) is None
    assert agreement() == agreements.in_force("mts", NOW)
    assert agreement() == agreements.in_force("mts", NOW + DAY - MICROSECOND)
    assert agreements.in_force("mts", NOW + DAY) is None
    assert agreements.in_force("beeline", NOW) is None
    lasting = Agreements("m", [agreement(ends=None)])
    assert lasting.in_force("mts", NOW + 3650 * DAY) is not None


def test_several_one_after_another():
    """Agreements with one operator may follow each other, given in any order."""
    later = agreement("a-2", starts=NOW + DAY, ends=None)
    other = agreement("a-3", operator="beeline")
    agreements = Agreements("m", [later, other, agreement()])

    assert agreement() == agreements.in_force("mts", NOW)
    assert later == agreements.in_force("mts", NOW + DAY)
    assert other == agreements.in_force("beeline", NOW)
    assert {"a-1", "a-2", "a-3"} == {each.id for each in agreements}


@pytest.mark.parametrize("ends", [NOW, NOW - MICROSECOND])
def test_an_agreement_that_ends_before_it_begins(ends):
    """An agreement lasts."""
    with pytest.raises(InvalidAgreement, match="a-1"):
        agreement(ends=ends)


@pytest.mark.parametrize(
    "second",
    [
        agreement("a-2", starts=NOW + DAY - MICROSECOND, ends=None),
        agreement("a-2", starts=NOW - DAY, ends=NOW + MICROSECOND),
        agreement("a-2", starts=NOW - DAY, ends=None),
    ],
)
def test_overlapping_agreements(second):
    """Two agreements with one operator at once are refused, both named."""
    with pytest.raises(InvalidAgreement, match="overlap") as refused:
        Agreements("m", [agreement(), second])

    assert "a-1" in str(refused.value)
    assert "a-2" in str(refused.value)


def test_one_id_twice():
    """An id names one agreement, whichever operator it is with."""
    with pytest.raises(InvalidAgreement, match="a-1"):
        Agreements("m", [agreement(), agreement(operator="beeline")])


def test_somebody_elses_agreement():
    """Another messenger's agreement is refused."""
    with pytest.raises(UnknownMessenger, match="a-1"):
        Agreements("n", [agreement()])


@pytest.mark.parametrize("field", ["starts", "ends"])
def test_an_agreement_has_zones(field):
    """An agreement in a naive time is refused."""
    with pytest.raises(NaiveInstant):
        agreement(**{field: NAIVE})


@pytest.mark.parametrize("field", ["name", "messenger", "operator"])
def test_an_agreement_names_by_id(field):
    """What an agreement names has ids."""
    with pytest.raises(InvalidValue):
        agreement(**{field: "Not An Id"})

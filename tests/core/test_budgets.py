"""Rolling budgets: any 24 hours, to the microsecond."""

from __future__ import annotations

from abonent.core.budgets import free_at, live, refund, spend
from tests.core.samples import DAY, HOUR, MICROSECOND, NOW, at


def test_what_counts_is_younger_than_a_day():
    """A charge counts for 24 hours and no microsecond longer."""
    charged = (NOW, NOW + HOUR)
    assert charged == live(charged, NOW + DAY - MICROSECOND)
    assert (NOW + HOUR,) == live(charged, NOW + DAY)
    assert () == live(charged, NOW + HOUR + DAY)
    assert () == live((), NOW)


def test_free_again():
    """A spent budget is free again when so many charges have run out that one more fits."""
    charged = (at(0), at(1), at(2))
    assert free_at(charged, 4, at(3)) is None
    assert at(0) + DAY == free_at(charged, 3, at(3))
    assert at(1) + DAY == free_at(charged, 2, at(3))
    assert at(0) + DAY == free_at(charged, 3, at(0) + DAY - MICROSECOND)
    assert free_at(charged, 3, at(0) + DAY) is None
    assert free_at((), 1, NOW) is None


def test_spending():
    """A charge is added in order, also by a clock that stepped back; what ran out is dropped."""
    assert (NOW,) == spend((), NOW)
    assert (at(0), at(1)) == spend((at(0),), at(1))
    assert (at(0), at(1), at(2)) == spend((at(0), at(2)), at(1))
    assert (at(1), at(0) + DAY) == spend((at(0), at(1)), at(0) + DAY)
    assert (NOW, NOW) == spend((NOW,), NOW)


def test_refunding():
    """One charge of that instant is taken back, or none if it does not count any more."""
    assert (at(0), at(2)) == refund((at(0), at(1), at(2)), at(1))
    assert (NOW,) == refund((NOW, NOW), NOW)
    assert (at(0),) == refund((at(0),), at(1))
    assert () == refund((), NOW)

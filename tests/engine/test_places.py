"""Where the engine keeps what it has to find again."""

from __future__ import annotations

from abonent import MessengerKind
from abonent.engine import archive
from abonent.simulation import Reply, SimulatedOperator
from tests.properties.parts import M, World

TAG = b"t" * 16


def test_places_never_change():
    """The aliases under which release 0.1 kept holders, pending users and subjects stay."""
    assert (TAG + b"h",) == archive.holder_aliases((TAG,))
    assert (TAG + b"p",) == archive.pending_aliases((TAG,))
    assert TAG + b"j" == archive.subject_alias(TAG)
    assert TAG + b"s" == archive.sends_key(TAG)


def test_every_journal_counts_from_one():
    """Who returns after being forgotten begins at 1 as well, and goes on without a gap (S44)."""
    numbers: dict[bytes, list[int]] = {}
    with World(kind=MessengerKind.DOMESTIC) as world:
        world.identify("alice")
        world.identifier.forget("alice")
        world.clock.advance(61)
        world.identify("alice")
        for each in world.everything()[1]:
            numbers.setdefault(each.subject, []).append(each.number)
        assert world.identifier.replay().ok
    assert 2 == len(numbers)
    assert all(len(each) >= 2 for each in numbers.values())
    for each in numbers.values():
        assert list(range(1, len(each) + 1)) == each


def test_what_is_logged_is_logged_under_the_name_of_the_library(caplog):
    """Whoever sends the library's log elsewhere finds all of it under one name."""
    operator = SimulatedOperator(M)
    operator.script(Reply.MISCONFIGURED)
    with World(operators={M: operator}) as world:
        world.identify("alice")
        world.flush()
        assert world.alarms
    assert {"abonent"} == {each.name for each in caplog.records}

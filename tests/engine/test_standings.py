"""Every user's standing, page by page."""

from contextlib import closing
from datetime import timedelta

import pytest

from abonent import (
    AsyncIdentifier,
    MemoryKeys,
    MemoryStorage,
    Messenger,
    MessengerKind,
    OneTimeCodes,
)
from abonent.errors import IdentifierClosed
from abonent.simulation import SimulatedClock, SimulatedSender
from abonent.testing import Rehearsal


@pytest.mark.parametrize("page", [1, 2, 3, 500])
def test_every_known_user_is_shown_once(page, monkeypatch):
    """As `standing` would, whatever the page; budgets and forgotten users are not users."""
    monkeypatch.setattr("abonent.feed._CHUNK", page)
    with Rehearsal(messenger=MessengerKind.DOMESTIC) as stand:
        assert list(stand.identifier.standings()) == []
        for user in ("alice", "boris", "clara", "dora"):
            stand.claimed(user)
        stand.identified("alice")
        stand.identifier.forget("dora")
        found = {each.user_id: each for each in stand.identifier.standings()}
        assert found.keys() == {"alice", "boris", "clara"}
        assert all(found[user] == stand.identifier.standing(user) for user in found)


def test_they_are_read_as_they_are_asked_for(monkeypatch):
    """Memory holds a page, not all; and each page shows what is so by then."""
    monkeypatch.setattr("abonent.feed._CHUNK", 2)
    with Rehearsal() as stand:
        for number in range(6):
            stand.claimed(f"user-{number}")
        scans = []
        scan = MemoryStorage.scan
        monkeypatch.setattr(MemoryStorage, "scan", lambda *given: scans.append(1) or scan(*given))
        with closing(stand.identifier.standings()) as shown:
            first = next(shown)
            # A page may hold nothing but counters of numbers; of six users and six of those, no
            # more than four pages come before the first user's is read.
            assert len(scans) <= 4
        stand.clock.advance(timedelta(seconds=1))
        assert first.user_id.startswith("user-")
    with pytest.raises(IdentifierClosed):
        list(stand.identifier.standings())


@pytest.mark.asyncio
async def test_with_asyncio():
    """The same with `async for`."""
    async with AsyncIdentifier(
        messenger=Messenger(id="messenger", kind=MessengerKind.DOMESTIC),
        storage=MemoryStorage(),
        keys=MemoryKeys.random(),
        possession=OneTimeCodes(SimulatedSender()),
        clock=SimulatedClock(),
        unsafe_test_doubles=True,
    ) as identifier:
        await identifier.claim("alice", "+79161234567")
        assert [await identifier.standing("alice")] == [
            each async for each in identifier.standings()
        ]

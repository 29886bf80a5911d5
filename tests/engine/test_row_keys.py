"""An application learns under which key a user is kept, and nothing by it."""

import pytest

from abonent import (
    AsyncIdentifier,
    MemoryKeys,
    MemoryStorage,
    Messenger,
    MessengerKind,
    OneTimeCodes,
)
from abonent.errors import CallerError, IdentifierClosed, InvalidUserId
from abonent.simulation import SimulatedClock, SimulatedSender
from abonent.testing import Rehearsal


def test_it_is_the_key_of_the_row():
    """Another for each user, the same for one for as long as something is kept of them."""
    store = MemoryStorage()
    with Rehearsal(messenger=MessengerKind.DOMESTIC, storage=store) as stand:
        assert stand.identifier.row_key("alice") is None
        keys = {}
        for user in ("alice", "boris"):
            stand.claimed(user)
            keys[user] = stand.identifier.row_key(user)
        stand.proven("alice")
        assert keys["alice"] == stand.identifier.row_key("alice")
        users = {key for key, _ in store.scan("messenger", b"", 99) if len(key) == 16}
        assert users == set(keys.values())


def test_who_is_forgotten_has_one_while_something_is_kept():
    """Budgets outlive the user, under the same key; then nothing is there."""
    with Rehearsal(messenger=MessengerKind.DOMESTIC) as stand:
        stand.claimed("alice")
        key = stand.identifier.row_key("alice")
        stand.identifier.forget("alice")
        assert key == stand.identifier.row_key("alice")
        for _ in range(3):
            stand.pass_time(24 * 3600)
        assert stand.identifier.row_key("alice") is None


def test_who_cannot_be_asked_about():
    """What is no user id is refused, and so is an identifier that was closed."""
    with Rehearsal() as stand, pytest.raises(InvalidUserId):
        stand.identifier.row_key("")
    with pytest.raises(IdentifierClosed):
        stand.identifier.row_key("alice")
    assert issubclass(InvalidUserId, CallerError)


@pytest.mark.asyncio
async def test_with_asyncio():
    """The same with `await`."""
    async with AsyncIdentifier(
        messenger=Messenger(id="messenger", kind=MessengerKind.DOMESTIC),
        storage=MemoryStorage(),
        keys=MemoryKeys.random(),
        possession=OneTimeCodes(SimulatedSender()),
        clock=SimulatedClock(),
        unsafe_test_doubles=True,
    ) as identifier:
        assert await identifier.row_key("alice") is None
        await identifier.claim("alice", "+79161234567")
        assert len(await identifier.row_key("alice")) == 16

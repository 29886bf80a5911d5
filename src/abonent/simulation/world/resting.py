"""A service at rest: what must be true once nothing goes wrong and nothing is under way.

Knows what is left in stores and operators' books. Refuses to change anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from abonent.core.states import Basis, EffectKind
from abonent.ports import Storage
from abonent.simulation.world.services import Service

if TYPE_CHECKING:
    from abonent.simulation.world.run import World

_LATELY: Final = timedelta(hours=6)


def check_at_rest(world: World, service: Service) -> None:
    """Look at everything that a service and the operators have kept."""
    _nothing_is_owed(world, service)
    _books_agree(world, service)
    _journal_replays(world, service)
    _feed_agrees(world, service)
    _nothing_in_the_clear(world, service)
    world.watch.unbroken(service)


def _nothing_is_owed(world: World, service: Service) -> None:
    """What was owed was performed, or given up with an alarm (I8)."""
    lately = world.agenda.now - _LATELY
    for account in world.watch.book(service).accounts.values():
        for due in account.owed.values():
            world.watch.insist("I8", due.since > lately, f"{due.kind.value} is owed for ever")


def _books_agree(world: World, service: Service) -> None:
    """Operators have on record exactly who is identified with them (I8)."""
    book, name = world.watch.book(service), service.messenger.id
    given_up = world.watch.events["DebtGivenUp"]
    expected = {
        (account.holding.operator, account.holding.code)
        for account in book.accounts.values()
        if account.holding is not None
        and account.holding.operator is not None
        and account.holding.basis is not Basis.DECLARED  # of whom no operator was told
    }
    unsettled = {
        (due.operator, due.code)
        for account in book.accounts.values()
        for due in account.owed.values()
        if due.kind in (EffectKind.RECORD, EffectKind.WITHDRAW)
    }
    recorded = {
        (carrier.id, code)
        for carrier in world.carriers.values()
        for code, (messenger, _) in carrier.book.items()
        if messenger == name
    }
    differing = (expected ^ recorded) - unsettled
    world.watch.insist(
        "I8", len(differing) <= given_up, "operators have other records than are due"
    )


def _journal_replays(world: World, service: Service) -> None:
    process = service.pick("rest")
    if process is not None and process.identifier is not None:
        report = process.identifier.replay()
        world.watch.insist("I7", report.ok, "the journal does not give every record")


def _feed_agrees(world: World, service: Service) -> None:
    """Who follows the feed of changes knows every gate (I1)."""
    process = service.pick("rest")
    if process is None or process.identifier is None:
        return
    told: dict[str, bool] = {}
    after = 0
    while changes := process.identifier.changes(after=after):
        after = changes[-1].cursor
        for each in changes:
            told[each.user_id] = each.open and (
                each.until is None or each.until >= world.agenda.now
            )
    for user, account in world.watch.book(service).users.items():
        if account.forgotten or account.user != user:
            continue
        is_open = account.holding is not None and account.holding.open_at(world.agenda.now)
        world.watch.insist("I1", told.get(user, False) is is_open, "the feed tells another gate")


def _nothing_in_the_clear(world: World, service: Service) -> None:
    """No number and no code lies anywhere in the store (I9)."""
    kept = b"\xff".join(_stored(service.open_store(), service.messenger.id))
    for number in world.ground.homes:
        digits = number.e164[1:]
        packed = int(digits).to_bytes(8, "big")
        clear = digits[1:].encode() in kept or packed in kept
        world.watch.insist("I9", not clear, "a number lies in the store in the clear")


def _stored(store: Storage, space: str) -> Iterator[bytes]:
    after = b""
    while page := store.scan(space, after, 1000):
        for key, record in page:
            yield key
            yield record.body
        after = page[-1][0]
    cursor = 0
    while entries := store.journal(space, cursor, 1000):
        for entry in entries:
            yield entry.subject
            yield entry.body
        cursor = entries[-1].cursor
    if store.features.shared:
        store.close()

"""A message of an operator counts once, however often it comes.

Knows under which keys a message that was taken is remembered, and for how long. Refuses to know
what it leads to: whoever acts on it notes it in the same unit, so that both are committed or none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct

from abonent.core.budgets import live
from abonent.engine.drafts import Draft
from abonent.errors import EventReused, InvalidValue
from abonent.ports import LateAnswer, Notice
from abonent.sealing import Keyring

LONGEST_EVENT_ID: Final = 256


class Once(Struct, frozen=True):
    """A message, by its sender's id of it and by what it says.

    It is remembered like a budget of one that counts for 24 hours: sealed, under keyed hashes, and
    dropped by the sweep. Each tuple has a key for every live root key, the current one first.
    """

    by_id: tuple[bytes, ...]
    by_content: tuple[bytes, ...]

    @property
    def keys(self) -> tuple[bytes, ...]:
        """The records that are looked at."""
        return (*self.by_id, *self.by_content)

    def heard(self, draft: Draft, at: datetime) -> bool:
        """Tell whether it was taken before.

        Raises:
            EventReused: something else was, under the same id.
        """
        if not _any_live(draft, self.by_id, at):
            return False
        if not _any_live(draft, self.by_content, at):
            raise EventReused("this id was given to another message before")
        return True

    def note(self, draft: Draft, at: datetime) -> None:
        """Remember that it was taken."""
        for key in (self.by_id[0], self.by_content[0]):
            version, _ = draft._budget(key)
            draft._budgets[key] = (version, (at,))


def once(keyring: Keyring, item: Notice | LateAnswer, event_id: str) -> Once:
    """Return a message by its id.

    Raises:
        InvalidValue: the id is not 1–256 printable characters.
    """
    if not 0 < len(event_id) <= LONGEST_EVENT_ID or not event_id.isprintable():
        raise InvalidValue(f"an event id is 1 to {LONGEST_EVENT_ID} printable characters")
    name = f"{item.operator}\0{event_id}"
    return Once(_keys(keyring, b"event", name), _keys(keyring, b"says", f"{name}\0{_said(item)}"))


def _keys(keyring: Keyring, purpose: bytes, text: str) -> tuple[bytes, ...]:
    # Longer than a row's key, as those of send budgets are: nobody takes them for users.
    return tuple(tag + b"e" for tag in keyring._tags(purpose, text))


def _said(item: Notice | LateAnswer) -> str:
    parts: tuple[str, ...]
    if isinstance(item, Notice):
        happened = "" if item.happened_at is None else str(item.happened_at.timestamp())
        parts = ("notice", item.id, item.kind.value, item.number.e164, happened)
    else:
        parts = ("answer", item.query_id, item.outcome.value)
    return "\0".join(parts).encode("utf-8", "backslashreplace").decode()


def _any_live(draft: Draft, keys: tuple[bytes, ...], at: datetime) -> bool:
    return any(live(draft._budget(key)[1], at) for key in keys)

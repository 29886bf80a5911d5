"""What a source of keys holds, as text and as a record, and the changes that it takes.

Knows ids, bytes and JSON. Refuses to know files, and whether the bytes are keys or wrapped ones.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import evolve, frozen

from abonent.errors import InvalidValue, KeyMaterialInvalid, KeyUnavailable

PLAIN: Final = "keys"
WRAPPED: Final = "wrapped"
_ID: Final = re.compile(r"[a-z0-9-]{1,16}", re.ASCII)
_COUNTED: Final = re.compile(r"k([0-9]{1,6})", re.ASCII)
_MISTAKEN: Final = {
    PLAIN: "holds wrapped keys, which are read through a key service",
    WRAPPED: "holds keys that are not wrapped",
}


@frozen(kw_only=True)
class KeyIds:
    """The ids in a source: the one that seals, all that open, and those that were removed.

    An id that was removed is never given to another key: what an old backup holds under it would
    seem to be damaged.
    """

    current: str
    live: tuple[str, ...]
    removed: tuple[str, ...]


@frozen(kw_only=True, repr=False)
class Listing:
    """Keys by id, or wrapped keys by id, and the ids of removed ones."""

    current: str
    entries: Mapping[str, bytes]
    removed: tuple[str, ...] = ()

    @property
    def ids(self) -> KeyIds:
        """What may be shown of it."""
        return KeyIds(current=self.current, live=tuple(self.entries), removed=self.removed)

    def next_id(self) -> str:
        """Return the id after the highest of k1, k2 …, whether live or removed."""
        known = [_COUNTED.fullmatch(each) for each in (*self.entries, *self.removed)]
        return f"k{1 + max((int(each[1]) for each in known if each), default=0)}"

    def adding(self, key_id: str, entry: bytes) -> Listing:
        """Return it with one more, which is not current.

        Raises:
            InvalidValue: the id is none, is there, or was there.
        """
        check_key_id(key_id)
        if key_id in self.entries:
            raise InvalidValue(f"there is a key {key_id} already")
        if key_id in self.removed:
            raise InvalidValue(f"there was a key {key_id} once: take an id that is new")
        return evolve(self, entries={**self.entries, key_id: entry})

    def using(self, key_id: str) -> Listing:
        """Return it with another current key.

        Raises:
            KeyUnavailable: it is not there.
        """
        self.entry(key_id)
        return evolve(self, current=key_id)

    def removing(self, key_id: str) -> Listing:
        """Return it without one, whose id is kept.

        Raises:
            InvalidValue: it is the current one.
            KeyUnavailable: it is not there.
        """
        self.entry(key_id)
        if key_id == self.current:
            raise InvalidValue(f"key {key_id} is the current one: make another current first")
        entries = {each: entry for each, entry in self.entries.items() if each != key_id}
        return evolve(self, entries=entries, removed=(*self.removed, key_id))

    def entry(self, key_id: str) -> bytes:
        """Return what is held under an id.

        Raises:
            KeyUnavailable: nothing is.
        """
        found = self.entries.get(key_id)
        if found is None:
            check_key_id(key_id)
            raise KeyUnavailable(f"there is no key {key_id} in the file", key_id=key_id)
        return found

    def text(self, kind: str) -> str:
        """Return it as JSON; `kind` is PLAIN or WRAPPED."""
        entries = {each: base64.b64encode(entry).decode() for each, entry in self.entries.items()}
        told: dict[str, Any] = {"current": self.current, kind: entries}
        if self.removed:
            told["removed"] = self.removed
        return json.dumps(told)


def check_key_id(key_id: str) -> None:
    """Refuse what is no id of a key, without repeating it: it may be a key.

    Raises:
        InvalidValue: not 1 to 16 characters of a-z, 0-9 and '-'.
    """
    if not _ID.fullmatch(key_id):
        raise InvalidValue("a key id is 1 to 16 characters of a-z, 0-9 and '-'")


def parsed(text: str, kind: str, source: str) -> Listing:
    """Read what `Listing.text` wrote.

    Raises:
        KeyMaterialInvalid: the source does not hold keys of this kind. Its text is not repeated.
    """
    try:
        parts: Any = json.loads(text)
        if _is_of_the_other_kind(parts, kind):
            raise KeyMaterialInvalid(f"{source} {_MISTAKEN[kind]}")
        encoded: Mapping[str, str] = parts[kind]
        removed: Iterable[Any] = parts.get("removed", ())
        entries = {each: base64.b64decode(entry, validate=True) for each, entry in encoded.items()}
        for each in (*entries, *removed):
            check_key_id(each)
        if parts["current"] not in entries:
            raise InvalidValue("the current key is not among the keys")
        # One that was put back by hand is live.
        gone = tuple(each for each in removed if each not in entries)
        return Listing(current=parts["current"], entries=entries, removed=gone)
    except InvalidValue as error:
        raise KeyMaterialInvalid(f"{source}: {error.args[0]}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error):
        raise KeyMaterialInvalid(f"{source} does not hold keys") from None


def _is_of_the_other_kind(parts: Any, kind: str) -> bool:
    other = WRAPPED if kind == PLAIN else PLAIN
    return isinstance(parts, dict) and other in parts and kind not in parts

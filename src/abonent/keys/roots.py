"""Root keys, made and judged.

Knows that one is 32 random bytes. Refuses to show one.
"""

from __future__ import annotations

import secrets
from typing import Final

from abonent.errors import InvalidValue, KeyMaterialInvalid
from abonent.keys.listing import Listing
from abonent.ports import Keys

KEY_LENGTH: Final = 32


def fresh_key() -> bytes:
    """Return a new root key from the system's random source."""
    return secrets.token_bytes(KEY_LENGTH)


def roots_of(listing: Listing, source: str) -> Keys:
    """Return the keys of a listing of unwrapped ones.

    Raises:
        KeyMaterialInvalid: one of them is none.
    """
    try:
        return Keys(current=listing.current, roots=listing.entries)
    except InvalidValue as error:
        raise KeyMaterialInvalid(f"{source}: {error.args[0]}") from None

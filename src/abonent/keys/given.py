"""Keys that somebody else keeps: the application, or whoever sets its environment.

Knows how they are taken. Refuses to change them.
"""

from __future__ import annotations

import os

from attrs import frozen

from abonent.errors import KeyUnavailable
from abonent.keys.listing import PLAIN, parsed
from abonent.keys.roots import fresh_key, roots_of
from abonent.ports import Keys


@frozen(repr=False)
class MemoryKeys:
    """Keys that the application holds: from its own secret store, or random for a test."""

    _keys: Keys

    @classmethod
    def random(cls, key_id: str = "k1") -> MemoryKeys:
        """Return one fresh key. Gone with the process."""
        return cls(Keys(current=key_id, roots={key_id: fresh_key()}))

    def keys(self) -> Keys:
        """Return them."""
        return self._keys


@frozen
class EnvironmentKeys:
    """Keys in an environment variable, as the JSON text that `FileKeys` keeps in a file.

    To turn them, change the variable where it is set: the newer text holds both keys.
    """

    variable: str = "ABONENT_KEYS"

    def keys(self) -> Keys:
        """Read the variable.

        Raises:
            KeyUnavailable: it is not set.
            KeyMaterialInvalid: it does not hold keys.
        """
        text = os.environ.get(self.variable)
        if not text:
            raise KeyUnavailable(f"the environment variable {self.variable} is not set")
        return roots_of(parsed(text, PLAIN, self.variable), self.variable)

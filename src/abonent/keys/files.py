"""Keys in a file of their owner's.

Knows adding, using and removing. Refuses to know whether anything is sealed under a key.
"""

from __future__ import annotations

import os
from pathlib import Path

from attrs import field, frozen

from abonent.keys.disk import OTHERS, KeyFile
from abonent.keys.listing import PLAIN, KeyIds, Listing, check_key_id
from abonent.keys.roots import fresh_key, roots_of
from abonent.ports import Keys


@frozen
class FileKeys:
    """Keys in a JSON file that only its owner may read: `{"current": id, "keys": {id: base64}}`.

    Every change replaces the file as a whole. A process takes the keys when its identifier is
    built: start it anew for it to know of a change.
    """

    path: Path = field(converter=Path)

    @classmethod
    def create(cls, path: str | os.PathLike[str], key_id: str = "k1") -> FileKeys:
        """Write a file with one fresh key, mode 0600. An existing file is never touched.

        Raises:
            InvalidValue: the id is none.
            KeyMaterialInvalid: it exists, or cannot be written.
        """
        check_key_id(key_id)
        made = cls(Path(path))
        made._file.create(Listing(current=key_id, entries={key_id: fresh_key()}))
        return made

    def keys(self) -> Keys:
        """Read the file.

        Raises:
            KeyUnavailable: there is no such file.
            KeyMaterialInvalid: others may read it, or it does not hold keys.
        """
        return roots_of(self._file.read(), f"the key file {self.path.name}")

    def ids(self) -> KeyIds:
        """Return the ids in the file; errors as for `keys`."""
        return self._file.read().ids

    def add(self, key_id: str | None = None) -> str:
        """Add a fresh key, which opens and does not seal; return its id, by default the next.

        Raises:
            InvalidValue: the id is none, is there, or was there.
            KeyUnavailable, KeyMaterialInvalid: as for `keys`; the file cannot be written.
            KeyFileBusy: another process is changing it.
        """
        made = fresh_key()
        after = self._file.change(
            lambda held: held.adding(held.next_id() if key_id is None else key_id, made)
        )
        return next(each for each, entry in after.entries.items() if entry == made)

    def use(self, key_id: str) -> None:
        """Make a key the current one. All processes have to know it before.

        Raises:
            KeyUnavailable: it is not there.
            KeyMaterialInvalid, KeyFileBusy: as for `add`.
        """
        self._file.change(lambda held: held.using(key_id))

    def remove(self, key_id: str) -> None:
        """Remove a key for good: what is sealed under it is lost. See `check_retirable`.

        Raises:
            InvalidValue: it is the current one.
            KeyUnavailable: it is not there.
            KeyMaterialInvalid, KeyFileBusy: as for `add`.
        """
        self._file.change(lambda held: held.removing(key_id))

    @property
    def _file(self) -> KeyFile:
        return KeyFile(self.path, PLAIN, OTHERS)

"""Keys that stand wrapped in a file, under a key that never leaves a service.

Knows when the service is asked, and believes nothing that it gives. Refuses to know which service
it is, and to let its words cross.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from attrs import evolve, field, frozen

from abonent.errors import (
    AdapterFault,
    KeyMaterialInvalid,
    KeyServiceUnavailable,
    Misconfigured,
    Unavailable,
)
from abonent.keys.disk import OTHERS_WRITE, KeyFile
from abonent.keys.listing import WRAPPED, KeyIds, Listing, check_key_id
from abonent.keys.roots import fresh_key, roots_of
from abonent.ports import Keys, KeyService

T = TypeVar("T")
_ADAPTER: Final = "key service"
_LONGEST: Final = 16_384
_LONGEST_NAME: Final = 200


@frozen
class WrappedKeys:
    """Wrapped keys in a JSON file: `{"current": id, "wrapped": {id: base64}}`.

    The file tells nothing without the service; who can write it can do harm, so that only its
    owner may. The service is asked once for each key whenever an identifier is built, and not
    again: while it is out of reach what runs goes on, and what is started fails.
    """

    path: Path = field(converter=Path)
    _service: KeyService = field(repr=False)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        service: KeyService,
        key_id: str = "k1",
        *,
        keys: Keys | None = None,
    ) -> WrappedKeys:
        """Write a file with one fresh key, or with these. An existing file is never touched.

        Raises:
            InvalidValue: the id is none.
            KeyServiceUnavailable: the service cannot be reached.
            KeyMaterialInvalid: the service refuses; the file exists, or cannot be written.
            AdapterFault: the service gives what it may not.
        """
        check_key_id(key_id)
        given = Keys(current=key_id, roots={key_id: fresh_key()}) if keys is None else keys
        made = cls(Path(path), service)
        entries = {each: made._wrap(each, root) for each, root in given.roots.items()}
        made._file.create(Listing(current=given.current, entries=entries))
        return made

    def keys(self) -> Keys:
        """Read the file, and have each key unwrapped.

        Raises:
            KeyUnavailable: there is no such file.
            KeyServiceUnavailable: the service cannot be reached; a `KeyUnavailable`, too.
            KeyMaterialInvalid: others may write the file, it does not hold wrapped keys, or the
                service refuses one of them, or us.
            AdapterFault: the service gives what it may not.
        """
        held = self._file.read()
        roots = {each: self._unwrap(each, wrapped) for each, wrapped in held.entries.items()}
        return roots_of(evolve(held, entries=roots), f"the key file {self.path.name}")

    def ids(self) -> KeyIds:
        """Return the ids in the file; the service is not asked."""
        return self._file.read().ids

    def add(self, key_id: str | None = None) -> str:
        """Add a fresh key, which opens and does not seal; return its id, by default the next.

        Raises:
            InvalidValue: the id is none, is there, or was there.
            KeyFileBusy: another process is changing the file.
            KeyUnavailable, KeyMaterialInvalid, AdapterFault: as for `keys`, and where the file
                cannot be written.
        """
        held = self._file.read()
        chosen = held.next_id() if key_id is None else key_id
        held.adding(chosen, b"")  # refused before the service is asked
        wrapped = self._wrap(chosen, fresh_key())
        self._file.change(lambda now: now.adding(chosen, wrapped))
        return chosen

    def use(self, key_id: str) -> None:
        """Make a key the current one, if the service unwraps it. All processes have to know it.

        Raises:
            KeyUnavailable: it is not there.
            KeyServiceUnavailable, KeyMaterialInvalid, AdapterFault, KeyFileBusy: as for `add`.
        """
        self._unwrap(key_id, self._file.read().entry(key_id))
        self._file.change(lambda held: held.using(key_id))

    def remove(self, key_id: str) -> None:
        """Remove a key for good: what is sealed under it is lost. See `check_retirable`.

        Raises:
            InvalidValue: it is the current one.
            KeyUnavailable: it is not there.
            KeyMaterialInvalid, KeyFileBusy: the file cannot be changed.
        """
        self._file.change(lambda held: held.removing(key_id))

    def rewrap(self) -> None:
        """Wrap every key anew, under what the service wraps under now. The keys stay the same.

        Raises:
            KeyUnavailable, KeyMaterialInvalid, AdapterFault, KeyFileBusy: as for `add`; the file
                is as it was.
        """
        before = self._file.read().entries
        made = {each: self._wrap(each, self._unwrap(each, old)) for each, old in before.items()}
        self._file.change(lambda held: _with(held, before, made))

    def wrapped_by(self) -> Mapping[str, str]:
        """Return, by id, what the service calls the key under which each key is wrapped.

        Raises:
            KeyUnavailable, KeyMaterialInvalid, AdapterFault: as for `keys`.
        """
        return {each: self._name(each, old) for each, old in self._file.read().entries.items()}

    # --- asking the service -------------------------------------------------------------

    def _wrap(self, key_id: str, root: bytes) -> bytes:
        """Have a key wrapped. What is stored was seen to open again, and shows no key."""
        wrapped = _asked(self._service.wrap, key_id, root)
        if not isinstance(_any(wrapped), bytes) or not 0 < len(wrapped) <= _LONGEST:
            raise _fault("wrap returned no bytes, or too many")
        if any(each in wrapped for each in _spellings(root)):
            raise _fault("wrap returned the key in clear")
        if self._unwrap(key_id, wrapped) != root:
            raise _fault("unwrap did not give what was wrapped")
        return wrapped

    def _unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        root = _asked(self._service.unwrap, key_id, wrapped)
        if not isinstance(_any(root), bytes):
            raise _fault("unwrap returned no bytes")
        return root

    def _name(self, key_id: str, wrapped: bytes) -> str:
        name = _asked(self._service.wrapped_by, key_id, wrapped)
        if not isinstance(_any(name), str) or not 0 < len(name) <= _LONGEST_NAME:
            raise _fault("wrapped_by returned no name")
        if not name.isprintable():
            raise _fault("wrapped_by returned no name")
        return name

    @property
    def _file(self) -> KeyFile:
        return KeyFile(self.path, WRAPPED, OTHERS_WRITE)


def _with(held: Listing, before: Mapping[str, bytes], made: Mapping[str, bytes]) -> Listing:
    """Replace what is as it was; what another process changed meanwhile stays."""
    entries = {
        each: made[each] if before.get(each) == entry else entry
        for each, entry in held.entries.items()
    }
    return evolve(held, entries=entries)


def _asked(call: Callable[[str, bytes], T], key_id: str, data: bytes) -> T:
    """Ask the service. Its text is dropped: it may carry a key."""
    try:
        return call(key_id, data)
    except Unavailable:
        message = f"the key service is out of reach, asked for key {key_id}"
        raise KeyServiceUnavailable(message, key_id=key_id) from None
    except Misconfigured:
        message = f"the key service refuses us, or key {key_id}"
        raise KeyMaterialInvalid(message) from None
    except Exception as error:
        name = type(error).__name__
        raise AdapterFault(
            f"the key service raised {name}", adapter=_ADAPTER, cause_type=name
        ) from None


def _fault(what: str) -> AdapterFault:
    return AdapterFault(what, adapter=_ADAPTER)


def _any(value: Any) -> Any:
    """Look at what an adapter gave without believing its annotations."""
    return value


def _spellings(root: bytes) -> tuple[bytes, ...]:
    return (
        root,
        root.hex().encode(),
        base64.b64encode(root).rstrip(b"="),
        base64.urlsafe_b64encode(root).rstrip(b"="),
    )

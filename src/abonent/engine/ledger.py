"""The ledger of a messenger's keys: which ones a store was written with, and how much they sealed.

Knows one record, in a space of its own beside the messenger's, that every process compares its
keys with before it uses the store. Refuses to know a key: it holds what tells one from another.

1. A key is entered before the first seal under it, by a commit of its own. So a process that lacks
   a key that the store was written with, or has another one under its id, is told so; it would take
   every user for a new one.
2. Seals are counted ahead, in shares, with a unit that rides in the commit of somebody's batch. A
   process that dies makes the count larger than it is, never smaller by more than one batch.
3. The first shares are small and double, so that a process that starts over and over wears nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from abonent.errors import (
    AbonentError,
    Contended,
    KeyMaterialInvalid,
    KeyUnavailable,
    RecordDamaged,
)
from abonent.ports import Put, Storage, Unit
from abonent.records import KeyLine, decode_ledger, encode_ledger
from abonent.sealing import MOST_SEALS, Keyring, key_of

LEDGER: Final = b"ledger"
ALARM_FROM: Final = MOST_SEALS // 4
"""Seals from which a person is told, at each share: a quarter of what a key may make."""
LAST_SHARES: Final = 1 << 24
"""Seals that are left for what processes have in hand when no more are given out."""
LARGEST_SHARE: Final = 1 << 16
_SMALLEST_SHARE: Final = 1 << 8
_AT_ONCE: Final = 1 << 17
"""Seals that may be made before they are counted: more than one batch takes."""
_SAMPLE: Final = 16
_ROUNDS: Final = 64


class Ledger:
    """The ledger of one messenger in one store, as one process sees it."""

    def __init__(self, storage: Storage, keyring: Keyring, messenger: str) -> None:
        self.space = f"{messenger}/keys"  # no messenger has an id with a slash
        self.worn: Callable[[str, int], object] | None = None
        """Called with a key and its seals, at each share from `ALARM_FROM` on."""
        self.others: Callable[[], int] | None = None
        """Tells how many seals somebody else in this process made under the current key."""
        self.agreed = False
        """Whether the keys were compared with the ledger, and are the right ones."""
        self.entered = False
        """Whether the current key stands in it."""
        self._storage = storage
        self._messenger = messenger
        self._keyring = keyring
        self._lock = threading.Lock()
        self._version = 0
        self._lines: dict[str, KeyLine] = {}
        self._counted = 0
        self._count_at = 0
        self._share = _SMALLEST_SHARE

    # --- whether the keys are the right ones -------------------------------------------

    def check(self) -> None:
        """Compare the keys with the ledger, unless that was done. Blocks on the store.

        Raises:
            KeyUnavailable: the store was written with a key that is not there.
            KeyMaterialInvalid: a key is not the one with which the store was written.
            StorageError: the store cannot say.
        """
        if not self.agreed:
            with self._lock:
                if not self.agreed:  # others may have waited with us
                    self._check()

    def enter(self) -> None:
        """Have the current key in the ledger before anything is sealed under it.

        Raises:
            As `check`.
        """
        if not self.entered:
            with self._lock:
                self._check()
                self._change(self._with_current)
                self.agreed = self.entered = True

    def lines(self) -> dict[str, KeyLine]:
        """Return what the ledger says now, by key."""
        with self._lock:
            self._read()
            return dict(self._lines)

    def change(self, to: Callable[[dict[str, KeyLine]], dict[str, KeyLine]]) -> None:
        """Change what it says, whoever else does."""
        with self._lock:
            self._change(to)

    def _change(self, to: Callable[[dict[str, KeyLine]], dict[str, KeyLine]]) -> None:
        for _ in range(_ROUNDS):
            self._read()
            after = to(dict(self._lines))
            if after == self._lines:
                return
            if self._storage.commit([self._unit(after)])[0]:
                self._version, self._lines = self._version + 1, after
                return
        raise Contended("others keep writing the ledger of keys")

    def _read(self) -> None:
        (record,) = self._storage.load(self.space, (LEDGER,))
        self._version = 0 if record is None else record.version
        read = () if record is None else decode_ledger(record.body)
        self._lines = {each.key_id: each for each in read}
        for line in read:
            self._compare(line)

    def _compare(self, line: KeyLine) -> None:
        known = line.key_id in self._keyring.key_ids
        if not known and not line.retired:
            message = f"the store was written with key {line.key_id}, which is not there"
            raise KeyUnavailable(message, key_id=line.key_id)
        if known and self._keyring.check_value(line.key_id) != line.check:
            message = f"key {line.key_id} is not the one that the store was written with"
            raise KeyMaterialInvalid(message)

    def _unit(self, lines: dict[str, KeyLine]) -> Unit:
        body = encode_ledger([lines[key_id] for key_id in sorted(lines)])
        return Unit(self.space, (Put(LEDGER, self._version, body),))

    def _check(self) -> None:
        self._read()
        if not self._version:
            self._check_rows()
        self.agreed = True
        self._allow()

    def _check_rows(self) -> None:
        """Compare the keys with what an older release wrote, which kept no ledger."""
        opened: AbonentError | None = None
        for key, record in self._storage.scan(self._messenger, b"", _SAMPLE):
            try:
                if key_of(record.body) not in self._keyring.key_ids:
                    self._keyring.open_row(key, record.version, record.body)  # says which it lacks
                self._keyring.open_row(key, record.version, record.body)
            except RecordDamaged as error:
                opened = error  # it may be this one that is damaged
            else:
                return
        if opened is not None:
            raise KeyMaterialInvalid("no key opens what the store holds") from None

    def _with_current(self, lines: dict[str, KeyLine]) -> dict[str, KeyLine]:
        keyring = self._keyring
        entered = [keyring.current]
        if not lines and self._storage.scan(self._messenger, b"", 1):
            entered = list(keyring.key_ids)  # an older release may have used any of them
        for key_id in entered:
            check = keyring.check_value(key_id)
            line = lines.get(key_id, KeyLine(key_id=key_id, check=check))
            lines[key_id] = replace(line, retired=False)
        line = lines[keyring.current]
        lines[keyring.current] = replace(line, clear_since=None)
        return lines

    # --- counting seals -----------------------------------------------------------------

    def commit(self, units: Sequence[Unit]) -> list[bool]:
        """Commit units; if it is time to count seals, the unit that does so rides along."""
        made = self._made()
        if made < self._count_at or not self._lock.acquire(blocking=False):
            return self._storage.commit(units)
        try:
            return self._count(units, made)
        finally:
            self._lock.release()

    def _made(self) -> int:
        return self._keyring.seals + (0 if self.others is None else self.others())

    def _count(self, units: Sequence[Unit], made: int) -> list[bool]:
        current = self._keyring.current
        line = self._lines.get(current)
        if line is None or not self.entered:
            return self._storage.commit(units)
        more = made - self._counted + self._share
        after = {
            **self._lines,
            current: replace(line, seals=line.seals + more, clear_since=None),
        }
        done = False
        try:
            *applied, done = self._storage.commit([*units, self._unit(after)])
        finally:
            if not done:
                # Somebody else wrote it, or nobody knows: it is compared anew before the next use.
                self.agreed = self.entered = False
        if done:
            self._version, self._lines = self._version + 1, after
            self._counted += more
            self._count_at = self._counted - self._share // 2
            self._share = min(self._share * 2, LARGEST_SHARE)
            self._allow()
            if after[current].seals >= ALARM_FROM and self.worn is not None:
                self.worn(current, after[current].seals)
        return applied

    def _allow(self) -> None:
        line = self._lines.get(self._keyring.current)
        worn = line is not None and line.seals >= MOST_SEALS - LAST_SHARES
        self._keyring.allowed = self._counted if worn else self._counted + _AT_ONCE

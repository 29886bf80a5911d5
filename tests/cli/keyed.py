"""What `abonent keys` is told of: a key service, and a stand-in for an identifier.

The stand-in keeps, in a file of its folder, how many records are under each key; it takes its keys
from the key file beside it, as a service does.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from abonent import FileKeys, WrappedKeys
from abonent.errors import KeyInUse, KeyUnavailable
from tests.keys.services import LocalService

SERVICE = "tests.cli.keyed:service"
STAND_IN = "tests.cli.keyed:stand_in"
FROM = datetime(2026, 11, 26, 10, 30, tzinfo=UTC)

services: dict[str, LocalService] = {}


def service() -> LocalService:
    """One for each folder: the service outlives the commands that ask it."""
    return services.setdefault(os.environ["KEYED"], LocalService())


def no_service() -> object:
    return object()


def stand_in() -> StandIn:
    return StandIn(Path(os.environ["KEYED"]))


class StandIn:
    """Records are counts; `waiting` of them under each older key cannot be moved."""

    def __init__(self, folder: Path) -> None:
        self._store = folder / "records.json"
        path = folder / "keys.json"
        wrapped = '"wrapped"' in path.read_text()
        self._keys = (WrappedKeys(path, service()) if wrapped else FileKeys(path)).keys()
        keyring = SimpleNamespace(current=self._keys.current)
        self._engine = SimpleNamespace(archive=SimpleNamespace(keyring=keyring))
        self.closed = False
        told: dict[str, Any] = {"records": {}, "waiting": 0, "fails": [], "retired": []}
        if self._store.exists():
            told.update(json.loads(self._store.read_text()))
        self.records: dict[str, int] = told["records"]
        self.waiting: int = told["waiting"]
        self.retired: list[str] = told["retired"]
        self.fails: list[BaseException] = list(failures)

    def __enter__(self) -> StandIn:
        return self

    def __exit__(self, *_: object) -> None:
        told = {"records": self.records, "waiting": self.waiting, "retired": self.retired}
        self._store.write_text(json.dumps(told))

    def reseal(self, *, after: bytes = b"", limit: int = 500) -> Any:
        if failures:
            raise failures.pop(0)
        page = int(after or b"0")
        older = [each for each in self.records if each != self._keys.current]
        moved = waiting = 0
        for each in older:
            moving = min(limit, max(0, self.records[each] - self.waiting))
            self.records[each] -= moving
            moved += moving
            waiting += min(self.waiting, self.records[each])
        self.records[self._keys.current] = self.records.get(self._keys.current, 0) + moved
        more = any(self.records[each] > self.waiting for each in older)
        pages.append((after, limit))
        return SimpleNamespace(
            seen=limit if more else max(0, sum(self.records.values()) - page * limit),
            resealed=moved,
            waiting=0 if more else waiting,
            cursor=b"%d" % (page + 1) if more else None,
        )

    def key_uses(self) -> tuple[Any, ...]:
        asked.append("key_uses")
        known = [self._keys.current, *(each for each in self._keys.roots)]
        ids = dict.fromkeys([*known, *self.records])
        return tuple(
            SimpleNamespace(
                key_id=each,
                current=each == self._keys.current,
                records=self.records.get(each, 0),
                seals=10 * self.records.get(each, 0),
                clear_since=None,
                retirable_at=None if each in (self._keys.current, *self.in_use()) else FROM,
            )
            for each in ids
        )

    def in_use(self) -> set[str]:
        return {each for each, count in self.records.items() if count}

    def check_retirable(self, key_id: str) -> None:
        if key_id not in self._keys.roots:
            raise KeyUnavailable(f"there is no key {key_id}", key_id=key_id)
        if self.records.get(key_id):
            count = self.records[key_id]
            message = f"{count} records are sealed under key {key_id}"
            raise KeyInUse(message, key_id=key_id, records=count, retry_at=FROM)

    def retire_key(self, key_id: str) -> None:
        self.check_retirable(key_id)
        self.retired.append(key_id)


failures: list[BaseException] = []
"""What the next calls of `reseal` raise."""
pages: list[tuple[bytes, int]] = []
asked: list[str] = []

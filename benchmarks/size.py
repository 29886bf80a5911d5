"""How many bytes an identified user takes, indexes in, the journal apart.

The rows are the library's own: a user who was identified by an operator's answer, a day later, when
no budget counts any more. They are written in batches, without the steps that lead there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg

from abonent import MemoryKeys, Messenger, MessengerKind, Policy, SqliteStorage, SubscriberNumber
from abonent.core.agreements import Agreements
from abonent.core.commands import Terrain
from abonent.core.states import BLANK, Aggregate, Basis, Identified
from abonent.engine.archive import Archive, Held
from abonent.engine.drafts import Draft, _Change
from abonent.engine.loop import new_id
from abonent.engine.reading import Batch
from abonent.ports import Storage, Unit
from abonent.records import Row
from abonent.sealing import Keyring, new_subject_key
from abonent.stores.postgres import PostgresStorage

_AT: Final = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
_BATCH: Final = 1_000
_VERSION: Final = 6
"""The steps that an identification takes, and with it the number in its row's version."""


def identified(storage: Storage, users: int) -> Iterator[Unit]:
    """The units that make so many users, without their journal."""
    messenger = Messenger(id="messenger", kind=MessengerKind.FOREIGN)
    terrain = Terrain(messenger=messenger, policy=Policy(), agreements=Agreements("messenger"))
    archive = Archive(storage, Keyring(MemoryKeys.random(), "messenger"), terrain)
    for number in range(users):
        user_id = f"{number:08d}-{os.urandom(4).hex()}"
        at = _AT + timedelta(seconds=number)
        aggregate = Aggregate(
            state=Identified(
                number=SubscriberNumber(f"+79{number:09d}"),
                proven_at=at,
                asked_at=at,
                since=at + timedelta(seconds=2),
                operator="operator",
                agreement="agreement",
                code=new_id(),
                basis=Basis.OPERATOR_ANSWER,
                rules="1801",
            )
        )
        key = archive.keyring.user_tags(user_id)[0]
        row = Row(user_id=user_id, subject_key=new_subject_key(), aggregate=aggregate)
        blank = Row(user_id=user_id, subject_key=row.subject_key, aggregate=BLANK)
        draft = Draft(Batch(archive))
        draft._changes[key] = _Change(
            Held(key=key, version=0, row=blank), Held(key=key, version=1, row=row), at, ()
        )
        unit = draft.unit()
        if unit is not None:
            yield Unit(unit.space, unit.puts, unit.aliases)


def fill(storage: Storage, users: int) -> None:
    """Write them."""
    batch: list[Unit] = []
    for unit in identified(storage, users):
        batch.append(unit)
        if len(batch) == _BATCH:
            storage.commit(batch)
            batch.clear()
    storage.commit(batch)


def on_sqlite(folder: Path, users: int) -> float:
    """Bytes a user in one file, once its log was copied back."""
    path = folder / "size.db"
    storage = SqliteStorage(path, territory="RU")
    fill(storage, users)
    storage.close()
    return path.stat().st_size / users


def on_postgres(conninfo: str, storage: PostgresStorage, users: int) -> float:
    """Bytes a user in all tables and indexes, as they were filled: nothing is packed anew."""
    fill(storage, users)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relnamespace = %s::regnamespace AND relkind = 'r' AND relname <> 'journal'",
            (storage.schema,),
        ).fetchone()
    return float(row[0]) / users if row is not None else 0.0

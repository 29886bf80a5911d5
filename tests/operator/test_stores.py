"""A desk on every store: the same life, and nothing in clear on the disk."""

from __future__ import annotations

import logging
import re
import sqlite3
from contextlib import closing

import pytest

from abonent import AbonentError, MemoryStorage, NoticeKind, Outcome, SqliteStorage
from abonent.errors import Misconfigured, Unavailable
from abonent.operator.core.states import Line, Told
from abonent.stores.postgres import PostgresStorage
from abonent.stores.postgres_schema import upgrade
from tests.cli.observing import integers, read_all
from tests.operator.parts import (
    CODE,
    CODE_2,
    DAY,
    HOUR,
    MINUTE,
    ROOTS,
    SECOND,
    START,
    Desk,
    X,
    Y,
)
from tests.postgres import run

SCHEMA = "desk"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def store(request, tmp_path):
    if request.param == "memory":
        return MemoryStorage()
    if request.param == "sqlite":
        return SqliteStorage(tmp_path / "desk.db")
    conninfo = request.getfixturevalue("conninfo")
    run(conninfo, f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    upgrade(conninfo, schema=SCHEMA)
    return PostgresStorage(conninfo, schema=SCHEMA)


FAULTS = (LookupError(X.e164), Misconfigured(f"no {X.e164}"), RuntimeError(X.e164))
"""What adapters raise, with a number in it that must go no further."""


def live(desk: Desk) -> None:
    """All that a desk does, with everything going wrong once."""
    desk.base.hold(X, since=START - DAY)
    desk.base.script.append(FAULTS[0])
    assert desk.ask("m") is Outcome.LATER
    desk.sweep(7 * SECOND)
    desk.sweep()
    desk.record("m", X, CODE)
    desk.identify("n", X, CODE_2)
    desk.identify("n", Y, "code-of-y")
    desk.withdraw("n", "code-of-y")
    desk.withdraw("n", "code-before")
    desk.record("n", Y, "code-before")
    desk.clock.advance(HOUR)
    desk.carrier.fail("m", *FAULTS[1:])
    desk.carrier.dead["n"] = Unavailable("away")
    assert 2 == desk.move(NoticeKind.PORTED)
    for _ in range(3):
        desk.sweep(MINUTE)
    assert ["m"] == [messenger for messenger, _ in desk.carrier.told]
    desk.sweep(DAY)
    assert ["n"] == [each.messenger for each in desk.desk.overdue()]
    desk.carrier.dead.clear()
    desk.sweep(HOUR)
    assert 2 == len(desk.kept(Told))


def test_a_life_on_every_store(store):
    """What a desk promises does not depend on where its books lie."""
    with Desk(storage=store) as desk:
        live(desk)
        report = desk.desk.replay()
        assert report.ok
        assert report.records == len(desk.states())


def test_a_desk_takes_up_its_books_again(tmp_path):
    """What was committed is there when another process opens the file."""
    path = tmp_path / "desk.db"
    with Desk(storage=SqliteStorage(path)) as desk:
        desk.identify()
        desk.move(at=START + SECOND)
    with Desk(storage=SqliteStorage(path)) as desk:
        assert 1 == len(desk.desk.owed_notices())
        desk.sweep()
        assert 1 == len(desk.carrier.told)


def test_an_older_row_that_was_put_back_is_named(tmp_path):
    """What was committed on it gave a number in the journal for a second time."""
    path = tmp_path / "desk.db"
    with Desk(storage=SqliteStorage(path)) as desk, closing(sqlite3.connect(path)) as intruder:
        desk.base.hold(X)
        desk.ask(name="query-1")
        (line,) = (each for each in desk.books.pages() if isinstance(each.state, Line))
        place = "(SELECT id FROM name WHERE key = ?)"
        old = intruder.execute(f"SELECT version, body FROM record WHERE id = {place}", (line.key,))
        version, body = old.fetchone()
        desk.ask(name="query-2")
        assert desk.desk.replay().ok
        change = f"UPDATE record SET version = ?, body = ? WHERE id = {place}"
        with intruder:
            intruder.execute(change, (version, body, line.key))
        desk.ask(name="query-3")
        assert (line.key.hex(),) == desk.desk.replay().differing


class Seen:
    """Everything that was logged, raised or shown while a desk lived."""

    def __init__(self, monkeypatch):
        self.parts: list[str] = []
        make = AbonentError.__init__

        def making(error, *args, **kwargs):
            make(error, *args, **kwargs)
            self.parts.append(f"{error!r} {error} {error.args!r} {vars(error)!r}")

        monkeypatch.setattr(AbonentError, "__init__", making)


def test_no_number_and_no_code_is_left_anywhere(tmp_path, monkeypatch, caplog, capsys):
    """Database, its log, log lines, errors, alarms, observations and reprs show none (I9, P24)."""
    caplog.set_level(logging.DEBUG)
    seen = Seen(monkeypatch)
    with Desk(storage=SqliteStorage(tmp_path / "desk.db")) as desk:
        live(desk)
        shown = [desk.alarms, desk.observed, desk.desk.owed_notices(), desk.desk.inner]
        shown += [desk.books, list(desk.desk.records("n")), list(desk.books.pages())]
        files = read_all(tmp_path)
        assert any(name.endswith("-wal") for name in files)
    files |= {f"{name} when closed": text for name, text in read_all(tmp_path).items()}
    text = "\n".join((*seen.parts, *map(repr, shown), caplog.text, *capsys.readouterr()))
    assert "LookupError" in text
    dense = re.sub(r"[ ()-]", "", text)
    for number in (X, Y):
        assert number.e164[2:] not in dense
        for name, body in files.items():
            assert number.e164[2:].encode() not in body, name
            assert not any(each in body for each in integers(number)), name
    for secret in (CODE, CODE_2, "code-of-y", "query-1", *(root.hex() for root in ROOTS.values())):
        assert secret not in text
        assert not any(secret.encode() in body for body in files.values())
    assert not any(root in body for root in ROOTS.values() for body in files.values())


def test_the_search_is_not_blind(tmp_path):
    """What is looked for is found where it is: spelled, and as an integer."""
    number = X.e164[2:]
    (tmp_path / "bare").write_bytes(b"x" + number.encode())
    (tmp_path / "binary").write_bytes(int(X.e164).to_bytes(8, "big"))
    found = read_all(tmp_path)
    assert number.encode() in found["bare"]
    assert any(each in found["binary"] for each in integers(X))

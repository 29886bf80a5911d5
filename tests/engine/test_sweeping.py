"""A sweep says what it could not settle."""

import logging

import pytest

from abonent import MemoryStorage
from abonent.errors import StoreUnavailable
from abonent.ports import Put, Record, Unit
from abonent.testing import Rehearsal


def test_a_damaged_record_is_counted_and_logged(caplog):
    """It fails alone; its neighbours are settled, and it comes again."""
    with Rehearsal() as stand:
        for user in ("alice", "boris"):
            stand.claimed(user)
        archive = stand.identifier._engine.archive
        (key,) = archive.keyring.user_tags("alice")
        (record,) = archive.storage.load("messenger", [key])
        assert isinstance(record, Record)
        torn = Put(key, record.version, record.body[:-1] + b"x", 0)
        assert archive.storage.commit([Unit("messenger", (torn,))]) == [True]
        with caplog.at_level(logging.ERROR):
            report = stand.pass_time(3 * 24 * 3600)
        assert 1 == report.failed
        assert report.due >= 2
        assert "abonent.sweep_task_failed cause=RECORD_DAMAGED" in caplog.text
        assert stand.identifier.standing("boris").status.value == "not_passed"


def test_a_store_that_fails_fails_the_sweep(monkeypatch):
    """It is an error, and no more is claimed: what was comes again after its lease."""
    with Rehearsal() as stand:
        for number in range(3):
            stand.claimed(f"user-{number}")
        stand.identifier.sweep()  # nothing waits for a flush any more
        claims = []
        due = MemoryStorage.due

        def counted(store, *given):
            claims.append(1)
            return due(store, *given)

        monkeypatch.setattr(MemoryStorage, "due", counted)

        def away(*_):
            raise StoreUnavailable("away")

        with monkeypatch.context() as broken:
            broken.setattr(MemoryStorage, "commit", away)
            with pytest.raises(StoreUnavailable):
                stand.pass_time(3 * 24 * 3600)
        assert 1 == len(claims)
        assert stand.pass_time(3600).due >= 3

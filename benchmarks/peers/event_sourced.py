"""A peer: an aggregate of `eventsourcing`, with its AES cipher and its own persistence modules.

One application, one aggregate a user, one event a step, saved by the application; each step takes
the aggregate from the repository, which replays its events from the store. Every event is sealed
with AES-GCM by the cipher of `eventsourcing.cryptography`. No snapshots, no cache: the default, and
three events are quickly replayed.

In its favour: on PostgreSQL its own function in the database inserts the events, which is not the
default and doubles what many callers reach, and its pool holds 16 connections; nothing is indexed
but the aggregate's id, and the user's id is no secret.
"""

from __future__ import annotations

import hmac
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.cryptography import AESCipher
from eventsourcing.domain import Aggregate, event
from psycopg.conninfo import conninfo_to_dict

from benchmarks.peers import code_for, parsed


class Identification(Aggregate):
    """A user on the way to being identified."""

    @event("Claimed")
    def __init__(self, user: str, number: str) -> None:
        self.user = user
        self.number = number
        self.state = "claimed"
        self.operator = ""

    @staticmethod
    def create_id(user: str) -> UUID:
        """One aggregate a user."""
        return uuid5(NAMESPACE_URL, user)

    def prove(self, code: str) -> None:
        """Compare the code, then ask the operator."""
        if self.state != "claimed":
            raise RuntimeError("nothing to prove")
        if not hmac.compare_digest(code, code_for(self.user, self.number)):
            raise RuntimeError("a wrong code")
        self._proven("operator")

    @event("ProvenAndAsked")
    def _proven(self, operator: str) -> None:
        self.state = "asked"
        self.operator = operator

    def answer(self, outcome: str) -> None:
        """Take the operator's answer."""
        if self.state != "asked":
            raise RuntimeError("nobody was asked")
        self._passed(outcome)

    @event("Passed")
    def _passed(self, outcome: str) -> None:
        self.state = "passed" if outcome == "held" else "not passed"


class EventSourced(Application):
    """The application, and the benchmark's way into it."""

    def claim(self, user: str, spelling: str) -> str:
        """First step; the code that is sent."""
        number = parsed(spelling)
        self.save(Identification(user, number))
        return code_for(user, number)

    def prove(self, user: str, code: str) -> None:
        """Second step."""
        found: Identification = self.repository.get(Identification.create_id(user))
        found.prove(code)
        self.save(found)

    def answered(self, user: str, outcome: str) -> bool:
        """Third step; whether the user is identified."""
        found: Identification = self.repository.get(Identification.create_id(user))
        found.answer(outcome)
        self.save(found)
        return found.state == "passed"

    def identify(self, first: int, count: int) -> None:
        """Identify users, one after the other."""
        for each in range(first, first + count):
            user = f"user-{each}"
            code = self.claim(user, f"+7916{each:07d}")
            self.prove(user, code)
            if not self.answered(user, "held"):
                raise RuntimeError("not identified")


def _sealed() -> dict[str, str]:
    return {
        "CIPHER_TOPIC": "eventsourcing.cryptography:AESCipher",
        "CIPHER_KEY": AESCipher.create_key(32),
    }


def on_sqlite(path: Path) -> EventSourced:
    """On a file; it sets WAL itself, and `synchronous` is FULL unless somebody changes it."""
    return EventSourced(
        {
            **_sealed(),
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(path),
            "SQLITE_LOCK_TIMEOUT": "60",
        }
    )


def on_postgres(conninfo: str, schema: str) -> EventSourced:
    """In a schema that is there."""
    told = conninfo_to_dict(conninfo)
    return EventSourced(
        {
            **_sealed(),
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": str(told["dbname"]),
            "POSTGRES_HOST": str(told["host"]),
            "POSTGRES_PORT": str(told.get("port", 5432)),
            "POSTGRES_USER": str(told["user"]),
            "POSTGRES_PASSWORD": str(told.get("password", "")),
            "POSTGRES_SCHEMA": schema,
            "POSTGRES_POOL_SIZE": "16",
            "POSTGRES_MAX_OVERFLOW": "0",
            "POSTGRES_ENABLE_DB_FUNCTIONS": "yes",
        }
    )

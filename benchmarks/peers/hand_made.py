"""A peer: what a team writes by hand, with `transitions`, the ORM of SQLAlchemy and `phonenumbers`.

A row a user with its state and the number sealed by AES-GCM, a journal row a step, one session and
one transaction a step, in which the row is read anew and moved by the machine.

In its favour: one machine and one AEAD object for all; the number is not indexed; a journal row
holds the state's name and the instant and is not sealed; on SQLite the callers take turns at one
connection instead of waiting in its busy handler.
"""

from __future__ import annotations

import hmac
import os
import time
from pathlib import Path
from typing import Any

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import BigInteger, Engine, create_engine, event, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker
from transitions import Machine

from benchmarks.peers import code_for, parsed


class _Tables(DeclarativeBase):
    """The tables."""


class User(_Tables):
    """A row a user."""

    __tablename__ = "users"
    id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    number: Mapped[bytes]
    operator: Mapped[str] = mapped_column(default="")


class Step(_Tables):
    """A row a step."""

    __tablename__ = "journal"
    id: Mapped[int] = mapped_column(primary_key=True)
    user: Mapped[str]
    state: Mapped[str]
    at: Mapped[int] = mapped_column(BigInteger)


class HandMade:
    """The service."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._sessions = sessionmaker(engine)
        self._sealing = AESGCM(AESGCM.generate_key(256))
        self._machine = Machine(
            model=None,
            states=["new", "claimed", "asked", "passed", "failed"],
            initial="new",
            auto_transitions=False,
            transitions=[
                ["claim", "new", "claimed"],
                ["prove", "claimed", "asked"],
                ["hold", "asked", "passed"],
                ["refuse", "asked", "failed"],
            ],
        )
        _Tables.metadata.create_all(engine)

    def _move(self, session: Session, user: User, trigger: str) -> None:
        self._machine.add_model(user, initial=user.state)
        try:
            user.trigger(trigger)  # type: ignore[attr-defined]
        finally:
            self._machine.remove_model(user)
        session.add(Step(user=user.id, state=user.state, at=time.time_ns() // 1_000))

    def _read(self, session: Session, user_id: str) -> User:
        return session.scalars(select(User).where(User.id == user_id).with_for_update()).one()

    def claim(self, user_id: str, spelling: str) -> str:
        """First step; the code that is sent."""
        number = parsed(spelling)
        with self._sessions.begin() as session:
            if session.get(User, user_id) is not None:
                raise RuntimeError("claimed before")
            nonce = os.urandom(12)
            sealed = nonce + self._sealing.encrypt(nonce, number.encode(), user_id.encode())
            user = User(id=user_id, state="new", number=sealed)
            session.add(user)
            self._move(session, user, "claim")
        return code_for(user_id, number)

    def prove(self, user_id: str, code: str) -> None:
        """Second step."""
        with self._sessions.begin() as session:
            user = self._read(session, user_id)
            nonce, sealed = user.number[:12], user.number[12:]
            number = self._sealing.decrypt(nonce, sealed, user_id.encode()).decode()
            if not hmac.compare_digest(code, code_for(user_id, number)):
                raise RuntimeError("a wrong code")
            user.operator = "operator"
            self._move(session, user, "prove")

    def answered(self, user_id: str, trigger: str) -> bool:
        """Third step; whether the user is identified."""
        with self._sessions.begin() as session:
            user = self._read(session, user_id)
            self._move(session, user, trigger)
            return user.state == "passed"

    def identify(self, first: int, count: int) -> None:
        """Identify users, one after the other."""
        for each in range(first, first + count):
            user_id = f"user-{each}"
            code = self.claim(user_id, f"+7916{each:07d}")
            self.prove(user_id, code)
            if not self.answered(user_id, "hold"):
                raise RuntimeError("not identified")

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


def on_sqlite(path: Path) -> HandMade:
    """On a file: WAL, `synchronous=FULL`, each transaction a writer from its beginning."""
    engine = create_engine(f"sqlite:///{path}", pool_size=1, max_overflow=0, pool_timeout=60)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return HandMade(engine)


def on_postgres(conninfo: str, schema: str) -> HandMade:
    """In a schema that is there."""

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(conninfo, options=f"-c search_path={schema}")

    engine = create_engine(
        "postgresql+psycopg://", creator=connect, pool_size=16, max_overflow=0, pool_timeout=60
    )
    return HandMade(engine)

"""How the PostgreSQL store reaches its server, and what the errors of the driver mean.

Knows the driver, connections and SQLSTATEs. Refuses to know tables and what is in them.
"""

from __future__ import annotations

import os
import select
import time
from abc import abstractmethod
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from struct import pack
from typing import Any, Final, TypeAlias, TypeVar

from abonent.errors import (
    AbonentError,
    InvalidValue,
    RecordDamaged,
    StorageError,
    StoreFull,
    StoreMissing,
    StoreReadOnly,
    StoreRefused,
    StoreUnavailable,
)

try:
    import psycopg
    from psycopg import conninfo as _conninfo
    from psycopg.abc import PQGen
    from psycopg.adapt import AdaptersMap, Dumper
    from psycopg.pq import Format
    from psycopg.types.numeric import Int8BinaryDumper
    from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests
except ImportError:
    raise ModuleNotFoundError(
        "a PostgreSQL store needs psycopg: pip install 'abonent[postgres]'"
    ) from None

T = TypeVar("T")

TRY_AGAIN: Final = ("40001", "40P01")
"""Serialization failure and deadlock: the server took the whole transaction back."""
READ_ONLY: Final = "25006"
"""The server takes no writes on this connection: nothing was done."""


# --- values -------------------------------------------------------------------------
# By itself the driver chooses the type of an array by what is in it, so that one statement would
# be many, and has none for an empty one.


class Blobs(list[bytes]):
    """A `bytea[]`."""


class Longs(list[int]):
    """A `bigint[]`."""


class Flags(list[bool]):
    """A `boolean[]`."""


class _ArrayDumper(Dumper):
    """An array of one dimension in the protocol's binary form, without nulls."""

    format = Format.BINARY
    element: int

    def dump(self, obj: list[Any]) -> bytes:
        if not obj:
            return pack("!iii", 0, 0, self.element)
        head = pack("!iiiii", 1, 0, self.element, len(obj), 1)
        return b"".join((head, *self.parts(obj)))

    @abstractmethod
    def parts(self, obj: list[Any]) -> Iterable[bytes]:
        """Each element with its length before it."""


class _BlobsDumper(_ArrayDumper):
    oid, element = 1001, 17

    def parts(self, obj: list[bytes]) -> Iterable[bytes]:
        for each in obj:
            yield pack("!i", len(each))
            yield each


class _LongsDumper(_ArrayDumper):
    oid, element = 1016, 20

    def parts(self, obj: list[int]) -> Iterable[bytes]:
        return [pack("!iq", 8, each) for each in obj]


class _FlagsDumper(_ArrayDumper):
    oid, element = 1000, 16

    def parts(self, obj: list[bool]) -> Iterable[bytes]:
        return [pack("!i?", 1, each) for each in obj]


class _Context:
    """How our values are sent: on our connections only, whatever the application has chosen."""

    def __init__(self) -> None:
        self.connection = None
        self.adapters = AdaptersMap(psycopg.adapters)
        self.adapters.register_dumper(Blobs, _BlobsDumper)
        self.adapters.register_dumper(Longs, _LongsDumper)
        self.adapters.register_dumper(Flags, _FlagsDumper)
        self.adapters.register_dumper(int, Int8BinaryDumper)


_OURS: Final = _Context()


# --- connections --------------------------------------------------------------------


class Unanswered(psycopg.OperationalError):
    """The server did not answer in time; what it was asked may have been done."""


class Unconfirmed(psycopg.OperationalError):
    """What was committed may be on no standby: its wait for one was cancelled."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which nobody waits for ever, and that takes no warning for a success.

    The server's time-outs end what it is doing; they do not end a disk that hangs, nor a commit
    that waits for a standby which is gone. `answer_within` is in seconds; None: however long.
    """

    answer_within: float | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.spaces: dict[str, int] = {}
        """The ids of spaces by name: what one server says is not true of another."""
        self._cancelled: list[object] = []
        self.add_notice_handler(partial(_hear, self._cancelled))

    def check_confirmed(self) -> None:
        """Refuse to take for committed what no standby may have.

        Raises:
            Unconfirmed: the server warned of it. The connection is closed.
        """
        if self._cancelled:
            self.close()
            raise Unconfirmed

    def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """Let the server answer, for as long as was agreed; then close the connection.

        Raises:
            Unanswered: it did not.
        """
        if self.answer_within is None:
            return super().wait(gen, *args, **kwargs)
        try:
            return super().wait(_within(self.answer_within, gen), *args, **kwargs)
        except Unanswered:
            self.close()
            raise

    def answer_to(self, patience: timedelta) -> None:
        """Leave the server the time of its own time-outs, and then that again."""
        self.answer_within = 2.0 * _seconds(patience)


def _hear(cancelled: list[object], notice: psycopg.errors.Diagnostic) -> None:
    # It comes where the wait for a synchronous standby is cancelled; the commit is then called a
    # success all the same. The words may be translated, and the state is that of any warning.
    if notice.source_file == "syncrep.c":
        cancelled.append(notice.severity)


def _within(seconds: float, steps: PQGen[T]) -> PQGen[T]:
    """The same steps, none of which is taken after so long a time without an answer."""
    until = time.monotonic() + seconds
    try:
        waits_for = next(steps)
        while True:
            ready = yield waits_for
            if not ready and time.monotonic() > until:
                raise Unanswered
            waits_for = steps.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result


def connect(conninfo: str, **settings: Any) -> Connection:
    """Open one connection, each statement of which is a transaction unless one is begun.

    Raises:
        StorageError: what the server, or the lack of one, says.
    """
    try:
        return Connection.connect(conninfo, autocommit=True, context=_OURS, **settings)
    except psycopg.Error as error:
        raise _unconnected(error) from None


def settings(conninfo: str, patience: timedelta, *, pooled: bool) -> dict[str, Any]:
    """Return the settings of connections that never wait for longer than a caller would.

    Behind a transaction pooler nothing that belongs to a session can be set: there the role has
    these time-outs, and statements are not prepared.

    Raises:
        InvalidValue: the connection string cannot be read.
    """
    try:
        given = _conninfo.conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise InvalidValue("the connection string cannot be read") from None
    seconds = _seconds(patience)
    chosen: dict[str, Any] = {
        "connect_timeout": seconds,
        "keepalives_idle": seconds,
        "keepalives_interval": 1,
        "keepalives_count": seconds,
        "tcp_user_timeout": seconds * 1000,
        "application_name": "abonent",
    }
    chosen = {
        name: value
        for name, value in chosen.items()
        if name not in given and not os.environ.get(_BY_ENVIRONMENT.get(name, ""))
    }
    if pooled:
        return {**chosen, "prepare_threshold": None}
    limits = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
    options = " ".join(f"-c {each}={seconds * 1000}" for each in limits)
    options += " -c client_min_messages=warning"  # one of them says that no standby confirmed
    theirs = given.get("options") or os.environ.get("PGOPTIONS") or ""
    return {**chosen, "options": f"{options} {theirs}".strip()}


def _seconds(patience: timedelta) -> int:
    return max(1, round(patience.total_seconds()))


_BY_ENVIRONMENT: Final = {"application_name": "PGAPPNAME", "connect_timeout": "PGCONNECT_TIMEOUT"}


def open_pool(conninfo: str, patience: timedelta, size: int, *, pooled: bool) -> Pool:
    """Return a pool of connections, of which none is open yet."""
    return ConnectionPool(
        conninfo,
        connection_class=Connection,
        configure=lambda made: made.answer_to(patience),
        kwargs={
            "autocommit": True,
            "context": _OURS,
            **settings(conninfo, patience, pooled=pooled),
        },
        min_size=0,
        max_size=size,
        timeout=patience.total_seconds(),
        reconnect_timeout=patience.total_seconds(),  # then whoever comes next tries anew
        check=_alive,
        num_workers=1,
        name="abonent",
        open=False,
    )


Pool: TypeAlias = "ConnectionPool[Connection]"


def _alive(connection: Connection) -> None:
    """Refuse a connection on which the server has meanwhile said good-bye.

    A server that was restarted has closed it, and what is sent on it is lost in silence: whether a
    commit was taken could then not be known.
    """
    # On an idle connection there is nothing to read, unless it is its end or the word before it.
    waiting = select.poll()  # unlike select, for any number of open files
    waiting.register(connection.pgconn.socket, select.POLLIN)
    if waiting.poll(0):
        connection.close()  # or the pool would take it back
        raise psycopg.OperationalError("the server said something unasked")


@contextmanager
def guarded() -> Generator[None]:
    """Let no error of the driver cross, nor its text, which may quote what was bound."""
    try:
        yield
    except psycopg.Error as error:
        raise ours(error) from None


# --- errors -------------------------------------------------------------------------

_POOLER: Final = "there is a pooler in between: say pooled=True"
_MEANING: Final[dict[str, tuple[type[AbonentError], str]]] = {
    "40001": (StoreUnavailable, "other transactions kept winning"),
    "40P01": (StoreUnavailable, "other transactions kept winning"),
    "55P03": (StoreUnavailable, "other transactions kept a lock"),
    "57014": (StoreUnavailable, "the statement took too long"),
    "25P03": (StoreUnavailable, "this process paused for too long in a transaction"),
    "25P04": (StoreUnavailable, "this process paused for too long in a transaction"),
    READ_ONLY: (StoreReadOnly, "the server is a standby, or its transactions are read only"),
    "42501": (StoreRefused, "the role lacks a privilege"),
    "3F000": (StoreMissing, "the schema has not been made"),
    "42P01": (StoreMissing, "a table is missing"),
    "42883": (StoreMissing, "a function is missing"),
    "26000": (StoreRefused, _POOLER),
    "42P05": (StoreRefused, _POOLER),
    "28P01": (StoreRefused, "the server refuses the password"),
    "28000": (StoreRefused, "the server refuses the role"),
    "3D000": (StoreRefused, "there is no such database"),
    "XX001": (RecordDamaged, "the server found its data damaged"),
    "XX002": (RecordDamaged, "the server found an index damaged"),
    "53100": (StoreFull, "the disk of the server is full"),
}
_MEANING_OF_CLASS: Final[dict[str, tuple[type[AbonentError], str]]] = {
    "08": (StoreUnavailable, "the connection was lost"),
    "22": (InvalidValue, "a number or text that PostgreSQL cannot hold"),
    "53": (StoreUnavailable, "the server lacks memory, connections or another resource"),
    "54": (InvalidValue, "more than PostgreSQL can hold"),
    "57": (StoreUnavailable, "the server is being stopped or started"),
    "58": (StoreUnavailable, "the system of the server failed"),
}


_IDLED: Final = ("25P03", "25P04")
"""The server ended a transaction that nothing was said in for too long."""


def is_lost(error: psycopg.Error) -> bool:
    """Tell whether the connection was lost: what only reads can be asked again on another.

    Not where patience is spent.
    """
    if isinstance(error, PoolTimeout | TooManyRequests | PoolClosed | Unanswered):
        return False
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return (state[:2] in {"08", "57"} and state != "57014") or state in _IDLED


def ours(error: psycopg.Error) -> AbonentError:
    """What an error of the driver means."""
    if isinstance(error, PoolTimeout | TooManyRequests):
        return StoreUnavailable("no connection became free in time")
    if isinstance(error, PoolClosed):
        return StoreUnavailable("the connections are being closed")
    if isinstance(error, Unanswered):
        return StoreUnavailable("the server did not answer in time")
    if isinstance(error, Unconfirmed):
        return StoreUnavailable("no standby confirmed the commit")
    state = error.sqlstate
    if state is None:
        if isinstance(error, psycopg.DataError):
            return InvalidValue("a number or text that PostgreSQL cannot hold")
        if isinstance(error, psycopg.OperationalError):
            # Cut off in the middle: of a commit nobody knows whether it was taken, all or nothing.
            return StoreUnavailable("the connection was lost")
        return StorageError(f"the driver refused the call ({type(error).__name__})")
    kind, text = _MEANING.get(state) or _MEANING_OF_CLASS.get(
        state[:2], (StorageError, "PostgreSQL failed")
    )
    if kind is StoreFull and error.diag.severity_nonlocalized == "PANIC":
        # No room for the log of writes: whether the commit is in it shows when it is back.
        return StoreUnavailable(f"the server went down: {text} ({state})")
    return kind(f"{text} ({state})")


# A connection that was refused has no SQLSTATE, only words of the server or of libpq, which may be
# translated.
_SAID: Final = (
    ("password authentication failed", "28P01"),
    ("no password supplied", "28P01"),
    ("too many", "53300"),
    ("remaining connection slots", "53300"),
    ("no pg_hba.conf entry", "28000"),
    ("permission denied", "42501"),
    ('role "', "28000"),
    ('database "', "3D000"),
    ("starting up", "57P03"),
    ("shutting down", "57P03"),
    ("session is read-only", READ_ONLY),
    ("in hot standby mode", READ_ONLY),
)
_TOLD_FIRST: Final = (StoreRefused, StoreUnavailable)
"""Of several hosts: a fault of the set-up; then that one may come up, since a standby may too."""


def _unconnected(error: psycopg.Error) -> AbonentError:
    if isinstance(error, psycopg.ProgrammingError):
        return InvalidValue("the connection string cannot be read")
    whole, *attempts = str(error).split("\n- host: ")
    met = [_said(each) for each in attempts or [whole]]
    return next((each for kind in _TOLD_FIRST for each in met if type(each) is kind), met[0])


def _said(text: str) -> AbonentError:
    """What the failure to connect to one host means."""
    if "unsupported startup parameter" in text:
        return StoreRefused(_POOLER)
    for words, state in _SAID:
        if words in text:
            kind, meaning = _MEANING.get(state) or _MEANING_OF_CLASS[state[:2]]
            return kind(f"{meaning} ({state})")
    return StoreUnavailable("the server cannot be reached")

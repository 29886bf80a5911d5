"""What a process says of itself while it lives, line by line through a pipe.

Knows the lines. Refuses to know what follows from them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from abonent.ports import Unit


class Mark(Struct, frozen=True, tag=True):
    """The process reached a place: `open`, `sweeping`, `swept`, `closing`, `closed`."""

    place: str


class Trying(Struct, frozen=True, tag=True):
    """The store is about to be given these units."""

    units: tuple[Unit, ...]


class Applied(Struct, frozen=True, tag=True):
    """The store returned from that commit, with these verdicts."""

    verdicts: tuple[bool, ...]


class Asking(Struct, frozen=True, tag=True):
    """The store is about to be asked for what is due."""

    now: int
    limit: int
    lease: int


class Due(Struct, frozen=True, tag=True):
    """The store returned these from that."""

    keys: tuple[bytes, ...]


class Forgetting(Struct, frozen=True, tag=True):
    """A user is about to be forgotten."""

    user: str
    at: datetime


class Returned(Struct, frozen=True, tag=True, kw_only=True):
    """A call returned: an acknowledged step, with what it said.

    `told` names an event, by its type and the text of one field, that the call cannot have
    returned without.
    """

    user: str
    call: str
    at: datetime
    status: str | None = None
    reason: str | None = None
    code: str | None = None
    open: bool | None = None
    told: tuple[str, str, str] | None = None


class Failed(Struct, frozen=True, tag=True):
    """The process met an error that it must not meet."""

    trace: str


Message: TypeAlias = Mark | Trying | Applied | Asking | Due | Forgetting | Returned | Failed
encode: Final = msgspec.json.Encoder().encode
decode: Final = msgspec.json.Decoder(Message).decode

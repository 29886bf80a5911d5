"""Why a request is refused, and what the sender is told.

Knows every refusal by name, with its status and its code in CAMARA's shape. Refuses to know what
was refused: no answer repeats anything of a request but its correlator.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class HttpReply(NamedTuple):
    """What goes back: a status, headers, and a body that may be empty."""

    status: int
    headers: dict[str, str]
    body: bytes


class Refusal(Enum):
    """Why a request was refused. The names are stable."""

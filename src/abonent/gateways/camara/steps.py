"""What a call to an operator is made of, step by step, for threads and asyncio alike.

Knows the requests that a flow yields: a `Request` to send (sent back is its response), `Wait`, and
`Alone`. Refuses to perform them; the link does. Errors of the transport are thrown into the flow.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct

T = TypeVar("T")
Flow: TypeAlias = Generator[Any, Any, T]


class Wait(Struct, frozen=True):
    """Let time pass."""

    seconds: float


class Alone(Struct, frozen=True):
    """Run a flow while no other of the same name runs; sent back is its result.

    Whoever waits longer than `patience` seconds for their turn is sent None.
    """

    name: str
    flow: Callable[[], Flow[Any]]
    patience: float

"""Callers of a service, one or many at once, and how fast they are served.

Knows threads and a stopwatch. Refuses to know what is behind the service.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol

WARM_UP = 20
FAR = 9_000_000
"""The first of the numbers that warm a service up."""


class Identifies(Protocol):
    """Ours and the peers."""

    def identify(self, first: int, count: int) -> None:
        """Identify users by number from `first` on, one after the other."""

    def close(self) -> None:
        """Close it."""


def per_second(service: Identifies, count: int, callers: int, first: int = 0) -> float:
    """Identifications a second by so many threads; an error in any of them is raised here."""
    share = max(1, count // callers)
    failed: list[Exception] = []

    def call(begin: int) -> None:
        try:
            service.identify(begin, share)
        except Exception as error:
            failed.append(error)

    starts = range(first, first + callers * share, share)
    threads = [threading.Thread(target=call, args=(begin,)) for begin in starts]
    started = time.perf_counter()
    if callers == 1:
        call(first)
    else:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    taken = time.perf_counter() - started
    if failed:
        raise failed[0]
    return share * callers / taken


def measured(service: Identifies, count: int, callers: int) -> float:
    """The same on a service that is warmed up before and closed afterwards."""
    try:
        service.identify(FAR, WARM_UP)
        return per_second(service, count, callers)
    finally:
        service.close()

"""A process of its own for each mutant, forked from one that has everything heavy loaded.

Knows processes, time limits and how many run at once. Refuses to know what they do. The parent
must not have imported the library: what it has imported, no child could see mutated.
"""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Final, Generic, TypeVar

from attrs import define, frozen

_MEMORY: Final = 4 * 2**30
"""Bytes of address space that one process may take."""

Name = TypeVar("Name")
Said = TypeVar("Said")


@frozen
class Crashed:
    """The child raised, or died, before it could answer."""

    why: str


@frozen
class TimedOut:
    """The child was stopped at its limit, in seconds."""

    limit: float


@frozen(kw_only=True)
class Job(Generic[Name, Said]):
    """Something to do in a process of its own, in at most so many seconds."""

    name: Name
    work: Callable[[], Said]
    limit: float


@define
class _Child(Generic[Name, Said]):
    job: Job[Name, Said]
    process: BaseProcess
    answer: Connection
    until: float


def run(
    jobs: Iterable[Job[Name, Said]], at_once: int = 1
) -> Iterator[tuple[Name, Said | Crashed | TimedOut]]:
    """Run every job and return what it said, in the order in which they end."""
    context = get_context("fork")
    waiting = iter(jobs)
    running: list[_Child[Name, Said]] = []
    try:
        while True:
            while len(running) < at_once and (job := next(waiting, None)) is not None:
                receiving, sending = context.Pipe(duplex=False)
                process = context.Process(target=_child, args=(job.work, sending), daemon=False)
                process.start()
                sending.close()
                running.append(_Child(job, process, receiving, monotonic() + job.limit))
            if not running:
                return
            patience = max(0.0, min(each.until for each in running) - monotonic())
            ready = wait([each.answer for each in running], timeout=patience)
            now = monotonic()
            for each in [one for one in running if one.answer in ready or one.until <= now]:
                said = _heard(each) if each.answer in ready else TimedOut(each.job.limit)
                _end(each)
                running.remove(each)
                yield each.job.name, said
    finally:
        for each in running:
            _end(each)


def _child(work: Callable[[], object], sending: Connection) -> None:
    # A session of its own, so that what the work starts ends with it.
    os.setsid()
    # A loop that never ends may also fill a list.
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    output = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process lives
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    try:
        said = work()
    except BaseException as error:
        output.seek(0)
        printed = output.read().decode(errors="replace").splitlines()[-20:]
        said = Crashed("\n".join([*printed, *traceback.format_exception(error, limit=-3)]))
    with suppress(BrokenPipeError):
        sending.send(said)
    sending.close()
    # What the work left running, threads and exit hooks included, is not waited for.
    os._exit(0)


def _heard(child: _Child[Name, Said]) -> Said | Crashed:
    try:
        said: Said | Crashed = child.answer.recv()
    except EOFError:
        child.process.join()
        return Crashed(f"the process ended with {child.process.exitcode}")
    return said


def _end(child: _Child[Name, Said]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid or 0, signal.SIGKILL)
    child.process.kill()
    child.process.join()
    child.answer.close()

"""Processes that die at a step of writing, and what the key has signed until then."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from abonent.audit import signing


class Crash(BaseException):
    """The process dies here."""


@contextmanager
def dying(at: int, after: bool = False) -> Generator[None]:
    """Let the process die before, or after, the n-th flush or renaming; 0: never."""
    fsync, replace = os.fsync, Path.replace
    done = 0

    def step(work, *args):
        nonlocal done
        done += 1
        if done == at and not after:
            raise Crash
        work(*args)
        if done == at:
            raise Crash

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: step(fsync, file))
        patch.setattr(Path, "replace", lambda path, target: step(replace, path, target))
        yield


@contextmanager
def watched() -> Generator[list[str]]:
    """Remember every text that a key signs."""
    signed: list[str] = []
    sign = signing.sign

    def signing_watched(text, key, private):
        signed.append(text)
        return sign(text, key, private)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing, "sign", signing_watched)
        yield signed

"""A messenger's service with a quarter behind it, as the command line is told of it."""

from __future__ import annotations

from abonent import Identifier
from tests.compliance.stories import Story, quarter

TARGET = "tests.compliance.service:make"
EMPTY = "tests.compliance.service:empty"
last: list[Story] = []
"""The story that was made last, for who wants to know its numbers."""


def make() -> Identifier:
    told = Story()
    quarter(told)
    last[:] = [told]
    return told.identifier


def empty() -> Identifier:
    told = Story()
    last[:] = [told]
    return told.identifier

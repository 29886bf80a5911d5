"""The run itself is put to the test: an assert that is not executed proves nothing."""

import os
import sys
import time
from pathlib import Path

import pytest

import abonent
from tests.asserting import insist

ANNOUNCED = os.environ.get("ABONENT_TESTED_AS", "").split()


def test_asserts_bite():
    """An assert in a test fails the test, also where the interpreter drops asserts (-O)."""
    with pytest.raises(AssertionError):
        assert not __name__


def test_asserts_of_helpers_bite():
    """An assert in a module that tests import is as alive as one in a test."""
    with pytest.raises(AssertionError):
        insist(claim=False)


def test_the_interpreter_is_the_announced_one():
    """A session that announces -O or -bb runs the tests, workers included, under it."""
    for flag, actual in (("-O", sys.flags.optimize), ("-bb", sys.flags.bytes_warning)):
        if flag in ANNOUNCED:
            assert actual == flag.count("O") + flag.count("b")


def test_the_time_zone_is_the_announced_one():
    """The zone of the session reached the C library, not only the environment (P16)."""
    hours = {"Pacific/Kiritimati": -14.0, "America/St_Johns": 3.5}
    for zone, west_of_utc in hours.items():
        if zone in ANNOUNCED:
            assert time.timezone == west_of_utc * 3600


def test_the_wheel_is_what_is_tested():
    """A session that announces the wheel does not test the source tree by mistake."""
    if "wheel" in ANNOUNCED:
        source = Path(__file__).parents[1] / "src"
        assert not Path(abonent.__file__).is_relative_to(source)

"""Settings of Hypothesis for every run, and a PostgreSQL server for the tests that want one."""

import pytest
from hypothesis import settings

from tests.postgres import GIVEN, Server

# Time limits by example would fail on a busy machine; the reproduction line is worth its length.
settings.register_profile("abonent", deadline=None, print_blob=True)
settings.load_profile("abonent")


@pytest.fixture(scope="session")
def server():
    """A server that belongs to this run, whatever server the others use."""
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def conninfo(request):
    """How to connect to the server that tests use, as its superuser."""
    return GIVEN or request.getfixturevalue("server").conninfo

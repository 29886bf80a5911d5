"""An operator for each test."""

import pytest

from tests.simulation.reference.asgi import reached


@pytest.fixture
def operator(tmp_path):
    with reached(tmp_path) as found:
        yield found

"""An operator for each test."""

import pytest

from tests.reference.asgi import reached


@pytest.fixture
def operator(tmp_path):
    with reached(tmp_path) as found:
        yield found

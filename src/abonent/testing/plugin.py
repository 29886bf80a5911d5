"""The plugin of pytest: the fixture `abonent_identifier`.

Knows pytest. Refuses to import anything of abonent before a test asks for the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from abonent.testing.rehearsal import Rehearsal


@pytest.fixture
def abonent_identifier() -> Iterator[Rehearsal]:
    """An identifier of a foreign messenger with a simulated operator, sender and clock.

    It is `abonent.testing.identifier()` and closed after the test.
    """
    from abonent.testing.rehearsal import identifier

    with identifier() as rehearsal:
        yield rehearsal

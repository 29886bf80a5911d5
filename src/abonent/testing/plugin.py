"""The plugin of pytest: the fixture `abonent_identifier`, and contracts that cannot be silenced.

Knows pytest. Refuses to import anything of abonent before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from abonent.testing.rehearsal import Rehearsal

# What the kit asserts is shown with its values, and survives -O. Newer pytests see to it by
# themselves, but not where this plugin is loaded by name.
pytest.register_assert_rewrite("abonent.testing.contracts", "abonent.testing.machine")


@pytest.fixture
def abonent_identifier() -> Iterator[Rehearsal]:
    """An identifier of a foreign messenger with a simulated operator, sender and clock.

    It is `abonent.testing.identifier()` and closed after the test.
    """
    from abonent.testing.rehearsal import identifier

    with identifier() as rehearsal:
        yield rehearsal


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The guard of a contract cannot be expected to fail, say by a mark on the whole class."""
    report = yield
    test = getattr(item, "function", None)
    if getattr(test, "__module__", "") == "abonent.testing.contracts.contract" and hasattr(
        report, "wasxfail"
    ):
        report.outcome = "failed" if report.outcome == "skipped" else report.outcome
        del report.wasxfail
    return report

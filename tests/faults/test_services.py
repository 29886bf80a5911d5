"""The contract of key services is put to the test: every fault is named, what is right passes."""

import pytest

from tests.faults import services
from tests.faults.running import failures


@pytest.mark.slow
def test_every_wrong_service_is_named():
    """The contract, alone and unchanged, fails each wrong service by the test meant for it."""
    failed = failures(services)
    assert {each.__name__: set() for each in services.RIGHT} == {
        each.__name__: failed[f"Test{each.__name__}"] for each in services.RIGHT
    }
    assert {each.__name__: each.named_by for each in services.WRONG} == {
        each.__name__: each.named_by
        for each in services.WRONG
        if each.named_by in failed[f"Test{each.__name__}"]
    }


@pytest.mark.parametrize("wrong", services.WRONG)
def test_a_wrong_service_is_wrong_in_one_thing(wrong):
    """Each overrides one method of a service that passes."""
    overridden = {name for name, each in vars(wrong).items() if callable(each)}
    assert len(overridden) == 1
    assert overridden <= set(dir(wrong.__base__))

"""The contracts of links are put to the test: every fault is named, and what is right passes."""

import pytest

from tests.faults import gateways
from tests.faults.running import failures


@pytest.mark.slow
def test_every_wrong_adapter_is_named():
    """The contracts, alone and unchanged, fail each wrong adapter by the test meant for it."""
    failed = failures(gateways)
    assert {each.__name__: set() for each in gateways.RIGHT} == {
        each.__name__: failed[f"Test{each.__name__}"] for each in gateways.RIGHT
    }
    assert {each.__name__: each.named_by for each in gateways.WRONG} == {
        each.__name__: each.named_by
        for each in gateways.WRONG
        if each.named_by in failed[f"Test{each.__name__}"]
    }


@pytest.mark.parametrize("wrong", gateways.WRONG)
def test_a_wrong_adapter_is_wrong_in_one_thing(wrong):
    """Each overrides one method of an adapter that passes."""
    overridden = {
        name for name, each in vars(wrong).items() if callable(each) or type(each) is property
    }
    assert len(overridden) == 1
    assert overridden <= set(dir(wrong.__base__))

"""The contract for stores is itself put to the test: what is wrong fails, and by name."""

import pytest

from tests.faults import stores
from tests.faults.running import failures


@pytest.mark.slow
def test_every_wrong_store_is_named():
    """What is right passes the whole contract; each fault fails the test that is meant for it."""
    right = [f"Test{each.__name__}" for each in stores.RIGHT]
    wrong = {f"Test{each.__name__}": each.named_by for each in stores.WRONG}
    failed = failures(stores, *right, *(f"{name}::{test}" for name, test in wrong.items()))
    assert {name: set() for name in right} == {name: failed[name] for name in right}
    assert {name: {test} for name, test in wrong.items()} == {name: failed[name] for name in wrong}


@pytest.mark.parametrize("wrong", stores.WRONG)
def test_a_wrong_store_is_wrong_in_one_thing(wrong):
    """Each overrides one method of a store that passes."""
    changed = [each for name, each in vars(wrong).items() if hasattr(wrong.__base__, name)]
    assert len([each for each in changed if callable(each) or isinstance(each, property)]) == 1

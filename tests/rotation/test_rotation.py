"""Keys turn under callers, and who turns them is killed: nobody notices, and all is moved.

The full run is `python -m tests.rotation --users 100000 --callers 16 --kills 5`.
"""

import pytest

from tests.rotation.turning import rotate


@pytest.mark.slow
def test_keys_turn_while_callers_identify(tmp_path):
    """No call fails, no row is lost or doubled, and the old key can be taken away at the end."""
    found = rotate(tmp_path, users=2_000, callers=4, kills=2)
    assert [] == found.wrong
    assert 2 == found.kills
    assert found.identified > 10

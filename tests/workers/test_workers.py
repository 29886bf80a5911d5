"""Workers share what is due: each deadline is handled once, also if one of them dies.

The full run is `python -m tests.workers --deadlines 100000 --workers 4`.
"""

import pytest

from tests.workers.sharing import share


@pytest.mark.slow
@pytest.mark.parametrize("kill", [False, True])
def test_workers_share_a_sweep(conninfo, kill):
    """Nothing is handled twice, nothing is missed, and who lives ends in order."""
    found = share(conninfo, 2_000, 3, kill=kill)
    assert [] == found.wrong
    assert kill == found.killed
    assert 3 - kill == len(found.swept)

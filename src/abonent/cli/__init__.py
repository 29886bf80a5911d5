"""The command `abonent`.

Knows whether what it needs is installed. Refuses to import it before that is known, and anything
heavy before a command runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

__all__ = ["main"]

_NEEDED = ("typer", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    0: done. 1: something went wrong, the demo's journal did not replay, or a world broke an
    invariant. 2: the command line cannot be understood, or an extra is not installed. Of evidence
    that does not hold: 3 it was tampered with, 4 it is damaged, 5 it is another log's. 130:
    interrupted.

    Args:
        arguments: the command line without the program's name; None takes that of the process.
    """
    if any(find_spec(each) is None for each in _NEEDED):
        sys.stderr.write(
            "abonent: the command line needs typer and rich: pip install 'abonent[cli]'\n"
        )
        return 2
    from abonent.cli.app import run

    return run(sys.argv[1:] if arguments is None else arguments)

"""Let workers share a sweep: `python -m tests.workers --deadlines 100000 --workers 4`.

Exit status 0 only if every deadline was handled once; with `--kill`, although one was killed.
"""

# ruff: noqa: T201 - tells on standard output

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from tests.postgres import GIVEN, Server
from tests.workers.sharing import share


def main() -> int:
    """Run it and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.workers", description=__doc__)
    parser.add_argument("--deadlines", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    failed = 0
    with ExitStack() as stack:
        conninfo = GIVEN or stack.enter_context(Server()).conninfo
        for kill in (False, True):
            found = share(conninfo, options.deadlines, options.workers, kill=kill)
            print(
                f"{found.deadlines} deadlines, {options.workers} workers, {found.killed} killed:"
                f" {found.seconds:.1f} s, {found.deadlines / found.seconds:,.0f} a second"
            )
            print(f"  swept by each that lived: {', '.join(map(str, found.swept))}")
            for line in found.wrong:
                print(f"  {line}")
            failed += len(found.wrong)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

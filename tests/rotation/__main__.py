"""Turn the keys under callers: `python -m tests.rotation --users 100000 --callers 16 --kills 5`.

Exit status 0 only if no call failed and every row ended under the new key.
"""

# ruff: noqa: T201 - tells on standard output

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.rotation.turning import rotate


def main() -> int:
    """Run it and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.rotation", description=__doc__)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--callers", type=int, default=16)
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = rotate(Path(folder), options.users, options.callers, options.kills)
    print(f"users         {found.users} before, {found.rows} rows at the end")
    print(f"callers       {found.callers}, {found.identified} identified in {found.seconds:.1f} s")
    for name, count in sorted(found.calls.items()):
        print(f"  {name:<12}{count}")
    print(f"kills         {found.kills}, in {found.passes} passes")
    print(f"resealed      {found.resealed}, as far as was told")
    print(f"violations    {len(found.wrong)}")
    for line in found.wrong:
        print(f"  {line}")
    return 1 if found.wrong or found.kills != options.kills else 0


if __name__ == "__main__":
    sys.exit(main())

"""Hold client and operator to the specifications of a folder: `python -m tests.camara FOLDER`.

Exit status 0 only if everything complies and every scenario was run, or listed with the reason.
"""

# ruff: noqa: T201 - tells on standard output

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.camara.checking import (
    Row,
    client_rows,
    event_rows,
    operator_rows,
    token_rows,
    word_rows,
)
from tests.camara.operator import ROOT, CamaraOperator
from tests.camara.reference import reference_site
from tests.camara.site import OwnSite
from tests.camara.specs import Specs


def show(title: str, rows: Iterable[Row]) -> int:
    """Print a table and return how many of its rows are wrong."""
    wrong = count = 0
    print(title)
    for row in rows:
        count += 1
        wrong += bool(row.wrong)
        state = "WRONG" if row.wrong else "ok" if row.not_run is None else "not run"
        print(f"  {state:7}  {row.what}: {row.said or row.not_run or 'as agreed'}")
        for each in row.wrong:
            print(f"           {each}")
    if not count:
        print("  WRONG    nothing was checked")
    print(f"  {count} checked, {wrong} wrong\n")
    return wrong or not count


def main() -> int:
    """Check everything and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.camara", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the specifications are")
    folder: Path = parser.parse_args().folder
    if not folder.is_dir():
        print(f"there is no folder {folder}", file=sys.stderr)
        return 2
    logging.getLogger("abonent").setLevel(logging.CRITICAL)  # what it logs is in the tables
    specs = Specs(folder)

    def own() -> OwnSite:
        operator = CamaraOperator()
        return OwnSite(operator, operator, ROOT)

    wrong = show("what the client sends, and what it makes of the reply", client_rows(specs))
    wrong += show("what the client sends for a token", token_rows())
    wrong += show(
        "scenarios, run against the operator of these tests", operator_rows(folder, own(), specs)
    )
    wrong += show("the client's word on each reply", word_rows(folder, own(), specs))
    with reference_site() as site:
        rows = operator_rows(folder, site, specs)
        wrong += show("scenarios, run against `abonent operator serve`", rows)
    wrong += show("what the client reads in events", event_rows(folder))
    print(f"{wrong} wrong" if wrong else "all right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

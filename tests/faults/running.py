"""Runs contracts against wrong adapters: `failures(module, …)` tells which tests failed for which.

The contract is run unchanged, by a pytest of its own in a process of its own, as an integrator
would run it. All adapters of a module take one process, because starting one takes the time.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
# Beyond any honest run: a kit that hangs on a wrong adapter names nothing.
LIMIT = 300


def failures(module: ModuleType, *tests: str) -> dict[str, set[str]]:
    """Run these tests of the module; the names of those that failed, by class.

    A test is `TestLosesUpdates` (all of the class) or `TestLosesUpdates::test_a[x]`; none given
    means all. The names returned are like `test_a[x]`; a class of which nothing failed has an
    empty set. A test that is not there is an error. The module is not collected otherwise, as its
    name does not begin with `test_`; classes made in a loop are put into it by
    `globals().update(...)`.
    """
    path = str(Path(module.__file__).relative_to(ROOT))
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(
            [
                *(sys.executable, *["-O"] * sys.flags.optimize, "-m", "pytest"),
                *("-q", "--tb=short", "-p", "no:cacheprovider", f"--junitxml={report}"),
                *([f"{path}::{test}" for test in tests] or [path]),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise AssertionError(f"pytest did not run the contracts:\n{done.stdout}{done.stderr}")
        return _failed(ElementTree.parse(report))


def _failed(report: "ElementTree.ElementTree[ElementTree.Element]") -> dict[str, set[str]]:
    failed: dict[str, set[str]] = {}
    for case in report.iter("testcase"):
        names = failed.setdefault(case.attrib["classname"].rpartition(".")[2], set())
        if case.find("failure") is not None or case.find("error") is not None:
            names.add(case.attrib["name"])
    return failed

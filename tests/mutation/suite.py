"""Judging mutants by the test suite.

Knows which tests run which line, from one measured run, and runs for each mutant just those, the
quickest first. Refuses to run what is slow: a test over `SLOWEST` seconds, and the variants on
SQLite of tests that also run in memory, judge no mutant.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from attrs import define, field, frozen

from tests.mutation.forking import Crashed, Job, TimedOut, run
from tests.mutation.mutants import SOURCE, Mutant, file_of, substitute

if TYPE_CHECKING:
    from coverage import Coverage

ROOT: Final = SOURCE.parent
SLOWEST: Final = 1.0
STAGES: Final = (
    ("tests/core", "tests/sealing", "tests/engine", "tests/records"),
    ("tests/pitfalls", "tests/scenarios", "tests/concurrency"),
)
"""Unit tests first; the others only for what those leave alive."""
_LEFT_OUT: Final = "not sqlite"
_OPTIONS: Final = (
    *("-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--rootdir={ROOT}"),
    # What is loaded beforehand cannot have its asserts rewritten, and needs not.
    *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
)
_IMPORTED: Final = ""
"""coverage's name for what ran outside of any test."""


@contextmanager
def prepared() -> Iterator[None]:
    """Load what is heavy and not ours, so that no child has to, and tidy up after all of them."""
    # Registered strategies would bring the library in.
    os.environ["HYPOTHESIS_NO_PLUGINS"] = "1"
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    # What is measured and mutated is the source, also where a wheel is installed.
    sys.path.insert(0, str(SOURCE))
    import coverage
    import cryptography.hazmat.primitives.ciphers.aead
    import hypothesis.stateful
    import msgspec
    import phonenumbers.shortnumberinfo

    del coverage, cryptography, hypothesis, msgspec, phonenumbers
    # A child that is stopped leaves its files behind.
    with tempfile.TemporaryDirectory(prefix="mutation-") as scratch:
        tempfile.tempdir = scratch
        try:
            yield
        finally:
            tempfile.tempdir = None


@define(eq=False)
class _Watcher:
    """A pytest plugin: who ran, for how long, and how it went."""

    coverage: Coverage | None = None
    wanted: frozenset[str] | None = None
    order: dict[str, float] = field(factory=dict)
    seconds: dict[str, float] = field(factory=dict)
    failed: list[str] = field(factory=list)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        if self.wanted is None:
            return
        found = {each.nodeid for each in items}
        # A mutant may change the very names of tests; then those with new names count as well.
        renamed = bool(self.wanted - found)
        items[:] = sorted(
            (
                each
                for each in items
                if each.nodeid in self.wanted or (renamed and each.nodeid not in self.order)
            ),
            key=lambda each: self.order.get(each.nodeid, 0.0),
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        if self.coverage is not None:
            self.coverage.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed.append(report.nodeid)


def _pytest(watcher: _Watcher, *arguments: str) -> int:
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as scratch:
        os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = f"{scratch}/hypothesis"
        options = (*_OPTIONS, f"--basetemp={scratch}/pytest")
        return int(pytest.main([*options, *arguments], plugins=[watcher]))


@frozen
class Measured:
    """One run of the suite without a mutant."""

    seconds: dict[str, float]
    failed: tuple[str, ...]
    by_line: dict[str, dict[int, frozenset[str]]] = field(repr=False)

    def tests_for(self, mutant: Mutant) -> frozenset[str]:
        """Return the quick tests that run the mutated line.

        What runs at import is judged by those that run any line of the file, and by all unit
        tests: a constant may be read by who runs no line there.
        """
        lines = self.by_line.get(mutant.path, {})
        ran = lines.get(mutant.line, frozenset())
        if mutant.at_import or _IMPORTED in ran:
            units = {each for each in self.seconds if each.startswith(STAGES[0])}
            ran = frozenset(units).union(*lines.values())
        tests = ran - {_IMPORTED}
        return frozenset(each for each in tests if self.seconds[each] <= SLOWEST)


def measure(paths: Iterable[str]) -> Measured:
    """Run the suite once, in a process of its own, and note who runs which line of these files.

    Raises:
        RuntimeError: it did not run to its end.
    """
    files = {path: str(file_of(path)) for path in paths}

    def work() -> Measured:
        from coverage import Coverage

        measuring = Coverage(data_file=None, config_file=False, include=list(files.values()))
        watcher = _Watcher(coverage=measuring)
        folders = [each for stage in STAGES for each in stage]
        measuring.start()
        code = _pytest(watcher, "-k", _LEFT_OUT, *folders)
        measuring.stop()
        if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            raise RuntimeError(f"pytest ended with {code}")
        data = measuring.get_data()
        by_line = {
            path: {line: frozenset(names) for line, names in data.contexts_by_lineno(file).items()}
            for path, file in files.items()
        }
        return Measured(watcher.seconds, tuple(watcher.failed), by_line)

    (_, said), *_ = run([Job(name="measure", work=work, limit=900.0)])
    if isinstance(said, Crashed | TimedOut):
        raise RuntimeError(f"the suite could not be measured: {said}")
    return said


@frozen
class Verdict:
    """Whether the mutant was killed, and by what; `tests` ran the mutated line."""

    killed: bool
    by: str
    tests: int


def judge(
    mutants: Iterable[Mutant], measured: Measured, at_once: int
) -> Iterator[tuple[Mutant, Verdict]]:
    """Judge each mutant by the tests that run its line. A time-out or a crash is a kill."""

    def job(mutant: Mutant) -> Job[Mutant, Verdict]:
        tests = measured.tests_for(mutant)
        seconds = sum(measured.seconds[each] for each in tests)
        work = partial(_judged, mutant, tests, measured)
        return Job(name=mutant, work=work, limit=20 + 5 * seconds)

    for mutant, said in run(map(job, mutants), at_once):
        match said:
            case TimedOut(limit):
                yield mutant, Verdict(True, f"time-out after {limit:.0f} s", 0)
            case Crashed(why):
                yield mutant, Verdict(True, f"crash: {why.strip().splitlines()[-1]}", 0)
            case verdict:
                yield mutant, verdict


def _judged(mutant: Mutant, tests: frozenset[str], measured: Measured) -> Verdict:
    code = mutant.compiled
    substitute({mutant.path: code})
    for stage in STAGES:
        wanted = frozenset(each for each in tests if each.startswith(stage))
        if not wanted:
            continue
        watcher = _Watcher(wanted=wanted, order=measured.seconds)
        files = sorted({each.partition("::")[0] for each in wanted})
        ended = _pytest(watcher, "-x", *files)
        if ended not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            by = watcher.failed[0] if watcher.failed else f"pytest ended with {ended}"
            return Verdict(True, by, len(tests))
    return Verdict(False, "", len(tests))

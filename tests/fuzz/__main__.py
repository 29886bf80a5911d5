"""Fuzz the readers of the library, guided by coverage.

    python -m tests.fuzz --seconds 60                     all targets, the time divided among them
    python -m tests.fuzz --seconds 60 --target numbers    one of them
    python -m tests.fuzz --target numbers --repeat FILE   one input again, with its traceback

Knows the command line and how findings are told. Ends with 1 when there is one, and with 2 when
the planted fault was not found: then a run without findings would mean nothing.
"""

# ruff: noqa: T201 - tells on standard output

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from attrs import frozen

from tests.fuzz.targets import PLANTED, TARGETS, run

_PLANTED_SECONDS = 20


@frozen
class Fuzzed:
    """What became of one target."""

    executions: int
    seconds: float
    findings: tuple[Path, ...]
    output: str


def fuzz(name: str, seconds: int, seed: int, folder: Path) -> Fuzzed:
    """Fuzz one target; what it finds is saved to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    before = set(folder.glob(f"{name}-*"))
    began = monotonic()
    with tempfile.TemporaryDirectory() as corpus:
        arguments = [name, str(seconds), str(seed), corpus, str(folder)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds + 120,
            check=False,
        )
    output = done.stdout + done.stderr
    found = tuple(sorted(set(folder.glob(f"{name}-*")) - before))
    ran = [int(each) for each in re.findall(r"^(?:#|Done )(\d+)", output, re.MULTILINE)]
    if done.returncode and not found:
        raise RuntimeError(f"{name} could not be fuzzed:\n{output[-2000:]}")
    return Fuzzed(max(ran, default=0), monotonic() - began, found, output)


def repeated(name: str, file: Path) -> str:
    """Read one input again and say what happens."""
    try:
        run(name, file.read_bytes())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no promise is broken"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=60, help="in all")
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), metavar="FOLDER")
    parser.add_argument("--repeat", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    names = options.target or list(TARGETS)
    if options.repeat is not None:
        if len(names) != 1:
            parser.error("--repeat needs one --target")
        run(names[0], options.repeat.read_bytes())
        print("no promise is broken")
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        planted = fuzz(PLANTED.name, _PLANTED_SECONDS, options.seed, Path(scratch))
    if not planted.findings:
        print(f"the planted fault was not found in {planted.executions} executions")
        return 2
    print(f"planted fault found after some {planted.executions} executions")
    each_gets = max(1, options.seconds // len(names))
    findings = 0
    for name in names:
        fuzzed = fuzz(name, each_gets, options.seed, options.findings)
        rate = fuzzed.executions / fuzzed.seconds
        print(
            f"{name:<10} {fuzzed.executions:>10} executions {rate:>8.0f}/s"
            f" {len(fuzzed.findings)} findings"
        )
        for file in fuzzed.findings:
            findings += 1
            print(f"  {file.read_bytes()!r}")
            if "-timeout-" not in file.name:
                print(f"  {repeated(name, file)}")
            print(f"  repeat: python -m tests.fuzz --target {name} --repeat {file}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

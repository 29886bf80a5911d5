"""Mutate the library and see who notices.

Knows the command line and how a result is told. Refuses to know how mutants are made and judged:
that is `tests/mutation`.

    python scripts/mutation.py --sample 150 --seed 1   a sample of all mutants, judged by the tests
    python scripts/mutation.py --all                   every one of them
    python scripts/mutation.py --guards                every guard of the core, judged by the
                                                       search and the world alone

Ends with 1 when the score is below 90 %, when a guard is missed that `tests/mutation/
equivalent.toml` does not name, or when an entry of that file is out of date.
"""

# ruff: noqa: INP001, T201 - a script is run, never imported, and tells on standard output

from __future__ import annotations

import argparse
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.mutation import guards, judges, known, suite
from tests.mutation.mutants import Mutant, files_of

ROOMS = ("core", "sealing.py", "engine")
GOAL = 0.90


def interval(killed: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z = 1.96
    share, spread = killed / total, z * z / total
    middle = share + spread / 2
    half = z * sqrt(share * (1 - share) / total + spread / (4 * total))
    return (middle - half) / (1 + spread), (middle + half) / (1 + spread)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--sample", type=int, metavar="N", help="judge N mutants drawn at random")
    how.add_argument("--all", action="store_true", help="judge all of them")
    how.add_argument("--guards", action="store_true", help="delete the guards of the core")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--only", metavar="ROOM", action="append", help="such as core/claims.py")
    parser.add_argument("--worlds", type=int, default=200, help="seeds of the world, from 0")
    parser.add_argument("--days", type=int, default=30, help="of a world")
    parser.add_argument("--subscribers", type=int, default=50, help="of a world")
    parser.add_argument("--depth", type=int, default=4, help="of the search")
    parser.add_argument("--tries", type=int, default=20, help="worlds that a guard is tried in")
    options = parser.parse_args(arguments)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    # Stopped, it stops its children too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with suite.prepared():
        return by_judges(options) if options.guards else by_suite(options)


def by_suite(options: argparse.Namespace) -> int:
    """The score: mutants of the three rooms, judged by the tests that run their lines."""
    from tests.mutation import library

    paths = files_of(options.only or ROOMS)
    everyone = [mutant for path in paths for mutant in library.mutants_of(path)]
    drawn = everyone
    if options.sample is not None:
        chance = random.Random(options.seed)  # noqa: S311 - repeatable, not secret
        drawn = chance.sample(everyone, min(options.sample, len(everyone)))
    print(f"{len(everyone)} mutants of {len(paths)} files; {len(drawn)} to judge")
    began = monotonic()
    measured = suite.measure(paths)
    if measured.failed:
        print("Without any mutant these tests fail:", *measured.failed, sep="\n  ")
        return 2
    print(f"{len(measured.seconds)} tests measured in {monotonic() - began:.0f} s")

    entries = known.load("suite")
    killed: list[Mutant] = []
    survived: list[Mutant] = []
    excused: Counter[str] = Counter()
    judged: list[tuple[Mutant, bool]] = []
    timed_out = 0
    for mutant, verdict in suite.judge(drawn, measured, options.jobs):
        judged.append((mutant, verdict.killed))
        if verdict.killed:
            killed.append(mutant)
            if verdict.by.startswith("time-out"):
                timed_out += 1
                print(f"\n{verdict.by}, counted as killed\n{mutant}")
        elif (reason := known.reason_for(mutant, entries)) is not None:
            excused[reason] += 1
        else:
            survived.append(mutant)
            print(f"\nsurvived {verdict.tests} tests\n{mutant}")
    # With --only, entries of other files are not at stake.
    stale = known.out_of_date([each for each in entries if each.path in paths], everyone, judged)
    return told(killed, survived, excused, stale, timed_out)


def told(
    killed: Sequence[Mutant],
    survived: Sequence[Mutant],
    excused: Counter[str],
    stale: Sequence[tuple[known.Known, str]],
    timed_out: int,
) -> int:
    """Print the score by room and by operator; return the exit code."""
    print()
    kinds: list[Callable[[Mutant], str]] = [
        lambda each: each.path.partition("/")[0],
        lambda each: each.operator,
    ]
    for kind in kinds:
        by_kind = {kind(each) for each in (*killed, *survived)}
        for name in sorted(by_kind):
            dead = sum(kind(each) == name for each in killed)
            alive = sum(kind(each) == name for each in survived)
            print(f"  {name:<32} {dead:>5} of {dead + alive:>5}  {dead / (dead + alive):7.1%}")
        print()
    say_known(excused, stale)
    total = len(killed) + len(survived)
    if not total:
        print("No mutant was judged")
        return 2
    score = len(killed) / total
    low, high = interval(len(killed), total)
    print(
        f"score {score:.1%} (95 % interval {low:.1%} to {high:.1%}): {len(killed)} killed,"
        f" {timed_out} of them by time-out, {len(survived)} survived, {excused.total()} known"
    )
    return 1 if score < GOAL or stale else 0


def say_known(excused: Counter[str], stale: Iterable[tuple[known.Known, str]]) -> None:
    """Print what the list of known survivors did, and where it is out of date."""
    for reason, count in excused.items():
        print(f"known, {count} times: {reason}")
    for entry, why in stale:
        print(f"out of date ({why}): {entry}")


def by_judges(options: argparse.Namespace) -> int:
    """Every guard of the core, deleted; judged by the search and the world alone."""
    paths = files_of(options.only or ["core"])
    mutants = [mutant for path in paths for mutant in guards.mutants_of(path)]
    bounds = judges.Bounds(depth=options.depth, days=options.days, subscribers=options.subscribers)
    cases = [
        *(judges.Case("search", each, bounds) for each in judges.scopes()),
        *(judges.Case("world", str(seed), bounds) for seed in range(options.worlds)),
    ]
    print(f"{len(mutants)} deletions in {len(paths)} files; {len(cases)} cases to notice them")
    began = monotonic()
    watched = judges.watch(cases, paths, options.jobs)
    broken = [each for each in watched if each.broke is not None]
    if broken:
        print("Without any mutant these cases break:")
        for each in broken:
            print(f"  {each.case}: {each.broke}")
        return 2
    print(f"watched in {monotonic() - began:.0f} s")

    entries = known.load("guards")
    caught: list[Mutant] = []
    missed: list[Mutant] = []
    excused: Counter[str] = Counter()
    judged: list[tuple[Mutant, bool]] = []
    by_whom: Counter[str] = Counter()
    for mutant, verdict in judges.judge(mutants, watched, options.tries, options.jobs):
        judged.append((mutant, verdict.caught))
        if verdict.caught:
            caught.append(mutant)
            by_whom[verdict.by] += 1
        elif (reason := known.reason_for(mutant, entries)) is not None:
            excused[reason] += 1
        else:
            missed.append(mutant)
            print(f"missed, {verdict.by}\n{mutant}")
    print()
    stale = known.out_of_date([each for each in entries if each.path in paths], mutants, judged)
    say_known(excused, stale)
    for name, count in by_whom.most_common():
        print(f"  caught by {name}: {count}")
    print(f"{len(caught)} caught, {excused.total()} known, {len(missed)} missed")
    return 1 if missed or stale else 0


if __name__ == "__main__":
    sys.exit(main())

"""Kill processes that identify users, or their server, or cut the logs that they leave.

    python -m tests.crash --kills 1000 --jobs 2     kill, and compare with what was acknowledged
    python -m tests.crash --wal                     cut the log at every frame and inside it
    python -m tests.crash --wal --commits 10        a shorter log
    python -m tests.crash --servers 100             kill a PostgreSQL server under its users
    python -m tests.crash --link 20                 kill either side of a link between two processes

Knows the command line and how findings are told. Ends with 1 when a promise is broken, and with 2
when the kills did not strike everywhere they were meant to: then finding nothing means less.
"""

# ruff: noqa: T201 - tells on standard output

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from enum import Enum
from pathlib import Path
from time import monotonic

from tests.crash.contents import open_sqlite
from tests.crash.killing import Moment, Tally, kill_on_one_store
from tests.crash.life import OpenStore
from tests.crash.linked import Strike, kill_links
from tests.crash.logs import cut, record
from tests.crash.servers import Way, kill_servers
from tests.postgres import Server

KILLS_EACH = 20
"""Kills on one store: what recovered from one is what the next is killed on."""
ENOUGH = 200
"""Kills from which on every moment must have been struck."""
ENOUGH_SERVERS = 50
ENOUGH_LINKS = 10


def kill_all(
    kills: int, seed: int, jobs: int, folder: Path, open_store: OpenStore = open_sqlite
) -> Tally:
    """Kill so many processes; each store is one process's work."""
    total = Tally()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        shares = [min(KILLS_EACH, kills - done) for done in range(0, kills, KILLS_EACH)]
        running = [
            pool.submit(kill_on_one_store, folder / str(n), share, f"{seed}-{n}", open_store)
            for n, share in enumerate(shares)
        ]
        for each in as_completed(running):
            total.add(each.result())
    return total


def tell_kills(
    tally: Tally, seed: int, seconds: float, kinds: type[Enum] = Moment, enough: int = ENOUGH
) -> int:
    """Print what came of the kills."""
    moments = {each.value: tally.moments.get(each.value, 0) for each in kinds}
    print(f"kills                         {tally.kills} in {seconds:.0f} s, seed {seed}")
    print(f"ended before the kill         {tally.survivors}")
    for name, count in moments.items():
        print(f"  {name:<28}  {count}")
    print(f"acknowledged calls            {tally.acknowledged}, commits {tally.commits}")
    for name, count in sorted(tally.calls.items()):
        print(f"  {name:<28}{count}")
    print(f"found, never acknowledged     {tally.recovered} commits")
    print(f"violations                    {len(tally.violations)}")
    for line in tally.violations:
        print(f"  {line}")
    if tally.violations:
        return 1
    if tally.kills >= enough and not (all(moments.values()) and tally.recovered):
        print("some moment was never struck")
        return 2
    return 0


def tell_link(tally: Tally, seed: int, seconds: float) -> int:
    """Print what came of the kills of either side."""
    print(f"kills                         {tally.kills} in {seconds:.0f} s, seed {seed}")
    for strike in Strike:
        print(f"  {strike.value:<44}{tally.moments.get(strike.value, 0)}")
    print(f"acknowledged calls            {tally.acknowledged}")
    for name, count in sorted(tally.calls.items()):
        print(f"  {name:<28}{count}")
    print(f"violations                    {len(tally.violations)}")
    for line in tally.violations:
        print(f"  {line}")
    if tally.violations:
        return 1
    if tally.kills >= ENOUGH_LINKS and not (
        tally.calls["Passed"] and tally.calls["NoticeReceived"]
    ):
        print("nobody was identified, or nobody was told anything")
        return 2
    return 0


def cut_all(commits: int, seed: int, folder: Path, open_store: OpenStore = open_sqlite) -> int:
    """Cut two logs and print what came of it."""
    broken = 0
    for recording in record(folder, commits, seed, open_store):
        begun = monotonic()
        report = cut(recording, folder, seed, open_sqlite)
        print(f"{report.name}, seed {seed}: {monotonic() - begun:.0f} s")
        print(f"  {report.frames} frames of {report.commits} commits; behind them {report.stale}")
        print(f"  stale frames, {report.alike} of them with the live salt")
        print(f"  {report.cuts} cuts, {report.turned} damaged bytes, each opened and compared")
        print(f"  {report.carried_on} times carried on from there")
        print(f"  {report.torn} times copied back in part")
        print(f"  violations {len(report.violations)}")
        for line in report.violations:
            print(f"    {line}")
        broken += len(report.violations)
    return 1 if broken else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=2, help="processes that kill at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wal", action="store_true", help="cut logs instead")
    parser.add_argument("--servers", type=int, metavar="N", help="kill a server so often instead")
    parser.add_argument("--link", type=int, metavar="N", help="kill either side of a link instead")
    parser.add_argument("--commits", type=int, default=40, help="in each log that is cut")
    options = parser.parse_args(arguments)
    if min(options.kills, options.jobs, options.commits) < 1:
        parser.error("kills, jobs and commits are at least 1")
    with tempfile.TemporaryDirectory() as folder:
        if options.wal:
            return cut_all(options.commits, options.seed, Path(folder))
        begun = monotonic()
        if options.link:
            tally = kill_links(Path(folder) / "link", options.link, options.seed)
            return tell_link(tally, options.seed, monotonic() - begun)
        if options.servers:
            with Server() as server:
                tally = kill_servers(server, options.servers, options.seed)
            return tell_kills(tally, options.seed, monotonic() - begun, Way, ENOUGH_SERVERS)
        tally = kill_all(options.kills, options.seed, options.jobs, Path(folder))
        return tell_kills(tally, options.seed, monotonic() - begun)


if __name__ == "__main__":
    sys.exit(main())

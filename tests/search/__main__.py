"""`python -m tests.search`: search every scope, print what was seen, fail on a violation."""

from __future__ import annotations

import argparse
import gc
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.search import borders, cells
from tests.search.scopes import SCOPES
from tests.search.search import Found, Search


def main(arguments: list[str] | None = None) -> int:
    """Return 1 if anything that must be so is not."""
    asked = _parser().parse_args(arguments)
    if asked.list:
        say(*(f"{each.name:13} depth {each.depth}  {each.about}" for each in SCOPES))
        return 0
    wrong = borders.both()
    say(f"borders: {borders.count()} constructions; table: {cells.count()} cells")
    say(*(f"  VIOLATED {each}" for each in wrong))
    found: list[Found] = []
    with ProcessPoolExecutor(asked.jobs) as pool:
        names = asked.scope or [each.name for each in SCOPES]
        runs = [pool.submit(search, each, asked.depth, asked.seconds) for each in names]
        for run in as_completed(runs):
            found.append(run.result())
            say(told(found[-1]))
    states, decided = sum(each.states for each in found), sum(each.decided for each in found)
    say(f"in all: {states:,} distinct states; {decided:,} decisions of the core held to the model")
    cut = [each.scope for each in found if not each.complete and not each.why]
    if cut:
        say(f"OUT OF TIME before the depth was reached: {', '.join(cut)}")
    return 1 if wrong or any(each.why for each in found) else 0


def say(*lines: str) -> None:
    sys.stdout.writelines(f"{each}\n" for each in lines)
    sys.stdout.flush()


def search(name: str, depth: int | None, seconds: float) -> Found:
    """Search one scope, in a process of its own."""
    scope = next(each for each in SCOPES if each.name == name)
    gc.disable()  # nothing here is cyclic, and there are millions
    return Search(scope).run(scope.depth if depth is None else depth, seconds)


def told(found: Found) -> str:
    """What was seen, as one reads it."""
    rate = found.states / max(found.seconds, 1e-9)
    reached = len(found.per_depth) - 1
    depths = " ".join(map(str, found.per_depth))
    lines = [
        f"{found.scope}: {found.states:,} distinct states to depth {reached} ({depths})",
        f"  {found.records:,} records, {found.decided:,} decisions, {found.seconds:.1f} s of CPU,",
        f"  alphabet: {', '.join(found.alphabet)}",
    ]
    lines[1] += f" {rate:,.0f} states/s"
    scope = next(each for each in SCOPES if each.name == found.scope)
    lines.append(f"  time passes: {scope.times()}")
    if found.why:
        lines.append(f"  VIOLATED after {len(found.history)} steps:")
        lines += [f"    given: {each}" for each in found.given]
        lines += [f"    {number}. {step}" for number, step in enumerate(found.history, 1)]
        lines += [f"  {each}" for each in found.why]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.search", description=__doc__)
    names = [each.name for each in SCOPES]
    parser.add_argument("--scope", action="append", choices=names, help="only this one; repeatable")
    parser.add_argument("--depth", type=int, help="instead of each scope's own")
    parser.add_argument("--seconds", type=float, default=1e9, help="for each scope")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--list", action="store_true", help="name the scopes and do nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())

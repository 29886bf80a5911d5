"""The course of `abonent simulate`: everything is looked at first, then one world is run.

Knows where the store and the report of a world are. Refuses to print.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path

from abonent.cli.simulate.plan import Plan, StoreKind
from abonent.errors import CallerError
from abonent.ports import Storage
from abonent.simulation.world import Faults, WorldOutcome, run_world
from abonent.stores import SqliteStorage


class ReportUnwritable(CallerError):
    """A path at which the report cannot be written."""

    code = "REPORT_PATH"
    remedy = "Give a path in a folder that exists and can be written to."


def can_draw() -> bool:
    """Tell whether the extra `report` is installed; nothing of it is imported."""
    return find_spec("matplotlib") is not None


def check_writable(path: Path) -> None:
    """Open the file of a report as it will be opened, and leave everything as it was.

    Raises:
        ReportUnwritable: it cannot be opened for writing.
    """
    try:
        new = not path.exists()
        with path.open("ab"):
            pass
        if new:
            path.unlink()
    except OSError as error:
        raise _unwritable(path, error) from None


def write_report(path: Path, outcome: WorldOutcome, plan: Plan) -> None:
    """Draw the report and write it; one that was there is replaced.

    Raises:
        ReportUnwritable: the file cannot be written any more.
    """
    # On its first run anywhere, matplotlib would tell standard error about a cache of fonts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    from abonent.cli.simulate.page import page

    try:
        path.write_text(page(outcome, plan), encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> ReportUnwritable:
    return ReportUnwritable(f"cannot write {path.name or path}: {error.strerror}")


def simulate(plan: Plan, tell: Callable[[float], object]) -> WorldOutcome:
    """Run the world of a plan; `tell` hears how many of its days have passed.

    Raises:
        FaultsFileError: the faults file cannot be read, or names no fault.
        StoreUnavailable, StoreFull: the database cannot be created.
    """
    faults = Faults() if plan.faults is None else Faults.read(plan.faults)
    with _stores(plan.store) as make_store:
        return run_world(
            seed=plan.seed,
            days=plan.days,
            subscribers=plan.subscribers,
            faults=faults,
            make_store=make_store,
            store_name=plan.store.value,
            tell=tell,
        )


@contextmanager
def _stores(kind: StoreKind) -> Generator[Callable[[], Callable[[], Storage]] | None]:
    """Give what makes empty stores; databases live in a fresh folder, until the world is over."""
    if kind is StoreKind.MEMORY:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="abonent-world-") as folder:
        numbers = count(1)

        def make() -> Callable[[], Storage]:
            path = Path(folder, f"world-{next(numbers)}.db")
            return lambda: SqliteStorage(path, territory="RU")

        yield make

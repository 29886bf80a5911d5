"""The course of `abonent simulate`: everything is looked at first, then one world is run.

Knows where the store and the report of a world are. Refuses to print.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from abonent.cli.simulate.plan import Plan, StoreKind
from abonent.cli.writing import write_page
from abonent.ports import Storage
from abonent.simulation.world import Faults, WorldOutcome, run_world
from abonent.stores import SqliteStorage


def write_report(path: Path, outcome: WorldOutcome, plan: Plan) -> None:
    """Draw the report and write it; one that was there is replaced.

    Raises:
        ReportUnwritable: the file cannot be written any more.
    """

    def make() -> str:
        from abonent.cli.simulate.page import page

        return page(outcome, plan)

    write_page(path, make)


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

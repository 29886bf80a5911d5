"""Settling a batch: decide every task, commit once, decide anew what lost.

Knows batches and conflicts. Refuses to know what a task is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from abonent.engine.archive import Archive, Batch, Draft
from abonent.engine.commits import Task
from abonent.errors import Contended, StorageError

_ROUNDS: Final = 64
"""How often a batch is decided anew after losing to other writers."""


class Settler:
    """Settles the tasks that a group commit has collected."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def settle(self, tasks: Sequence[Task]) -> None:
        """Set the result or error of every task."""
        left = list(tasks)
        for _ in range(_ROUNDS):
            left = self._round(left)
            if not left:
                return
        for each in left:
            each.error = Contended("other writers kept winning")

    def _round(self, tasks: list[Task]) -> list[Task]:
        """Decide and commit a batch; return the tasks that lost and have to decide anew."""
        batch = Batch(self._archive)
        outcomes: list[tuple[Task, bool, Any, Exception | None]] = []
        units = []
        try:
            batch.preload(key for task in tasks for key in task.keys)
            for task in tasks:
                draft = Draft(batch)
                try:
                    result = task.work(draft)
                    unit = draft.unit()
                except StorageError:
                    raise
                except Exception as error:
                    outcomes.append((task, False, None, error))
                    continue
                if unit is not None:
                    units.append(unit)
                    draft.merge(unit)
                outcomes.append((task, unit is not None, result, None))
            applied = self._archive.storage.commit(units) if units else []
        except StorageError as error:
            return self._fail(tasks, error)
        verdicts = iter(applied)
        whole = all(applied)
        lost = []
        for task, wrote, result, failure in outcomes:
            # What was read from a neighbour's change that lost is read anew as well.
            if not (next(verdicts) if wrote else whole):
                lost.append(task)
                continue
            task.result, task.error = result, failure
        return lost

    def _fail(self, tasks: list[Task], error: StorageError) -> list[Task]:
        """One damaged row hurts its own task only; a store out of reach hurts all."""
        if len(tasks) == 1 or error.retryable:
            for task in tasks:
                task.error = type(error)(*error.args)
            return []
        for task in tasks:
            for lost in self._round([task]):
                self.settle([lost])
        return []

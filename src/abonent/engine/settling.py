"""Settling a batch: decide every task, commit once, decide anew what lost.

Knows batches and conflicts. Refuses to know what a task is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Struct

from abonent.engine.archive import Archive
from abonent.engine.commits import Task
from abonent.engine.drafts import Batch, Draft
from abonent.errors import Contended, StorageError
from abonent.ports import Unit

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
        groups: list[_Group] = []
        units: list[Unit] = []
        try:
            batch.preload(key for task in tasks for key in task.keys)
            for together in _by_user(tasks):
                group = _decide(batch, together)
                groups.append(group)
                if group.unit is not None:
                    units.append(group.unit)
            applied = self._archive.storage.commit(units) if units else []
        except StorageError as error:
            return self._fail(tasks, error)
        verdicts = iter(applied)
        whole = all(applied)
        lost: list[Task] = []
        for group in groups:
            # What was read from a neighbour's change that lost is read anew as well.
            if next(verdicts) if group.unit is not None else whole:
                for task, result, failure in group.outcomes:
                    task.result, task.error = result, failure
            else:
                lost += [task for task, _, _ in group.outcomes]
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


class _Group(Struct, frozen=True):
    """The tasks about one user, how each ended, and the unit that carries them all."""

    outcomes: tuple[tuple[Task, Any, Exception | None], ...]
    unit: Unit | None


def _by_user(tasks: list[Task]) -> Iterable[list[Task]]:
    """Bring together what is about one user, in order: one unit then carries it all."""
    groups: dict[object, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.keys[0] if task.keys else task, []).append(task)
    return groups.values()


def _decide(batch: Batch, tasks: list[Task]) -> _Group:
    draft = Draft(batch)
    outcomes: list[tuple[Task, Any, Exception | None]] = []
    for task in tasks:
        try:
            outcomes.append((task, draft.attempt(task.work), None))
        except StorageError:
            raise
        except Exception as error:
            outcomes.append((task, None, error))
    unit = draft.unit()
    if unit is not None:
        draft.merge(unit)
    return _Group(tuple(outcomes), unit)

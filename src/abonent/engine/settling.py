"""Settling a batch: decide every task, commit once, decide anew what lost.

Knows batches and conflicts. Refuses to know what a task is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from time import perf_counter
from typing import Any, Final

from msgspec import Struct

from abonent.engine.archive import Archive
from abonent.engine.commits import Task
from abonent.engine.drafts import Draft
from abonent.engine.ledger import Ledger
from abonent.engine.observing import Observed, Telling
from abonent.engine.reading import Batch
from abonent.errors import AbonentError, Contended, StorageError
from abonent.ports import Unit

_ROUNDS: Final = 64
"""How often a batch is decided anew after losing to other writers."""


class Settler:
    """Settles the tasks that a group commit has collected.

    `batch` and `draft` make what the tasks are settled in; the operator's side has its own. With a
    `ledger`, nothing is settled before the keys were found to be the right ones.
    """

    def __init__(
        self,
        archive: Archive,
        telling: Telling,
        *,
        batch: Callable[[Any], Batch[Any]] = Batch,
        draft: Callable[[Any], Any] = Draft,
        ledger: Ledger | None = None,
    ) -> None:
        self._archive = archive
        self._telling = telling
        self._batch = batch
        self._draft = draft
        self._ledger = ledger

    def settle(self, tasks: Sequence[Task]) -> None:
        """Set the result or error of every task."""
        began = perf_counter()
        left = [] if self._refused(tasks) else list(tasks)
        for _ in range(_ROUNDS):
            left = self._round(left)
            if not left:
                break
        for each in left:
            each.error = Contended("other writers kept winning")
        if self._telling.heard:
            seconds = perf_counter() - began
            self._telling.tell(Observed(what="flush", seconds=seconds, count=len(tasks)))

    def _refused(self, tasks: Sequence[Task]) -> bool:
        """Refuse all tasks where the keys are not those that the store was written with."""
        if self._ledger is None or self._ledger.entered:
            return False
        try:
            self._ledger.enter()
        except AbonentError as error:
            for task in tasks:
                task.error = copy(error)
            return True
        return False

    def _round(self, tasks: list[Task]) -> list[Task]:
        """Decide and commit a batch; return the tasks that lost and have to decide anew."""
        batch: Batch[Draft] = self._batch(self._archive)
        try:
            batch.preload(key for task in tasks for key in task.keys)
            batch.foresee(alias for task in tasks for alias in task.aliases)
            bundles = _decide(batch, tasks, self._draft)
            units = [each.unit for each in bundles if each.unit is not None]
            applied = self._commit(units)
        except StorageError as error:
            return self._fail(tasks, error)
        verdicts = iter(applied)
        lost: list[Task] = []
        for bundle in bundles:
            if bundle.unit is None or next(verdicts):
                for task, result, failure in bundle.outcomes:
                    task.result, task.error = result, failure
                if self._telling.heard:
                    for fact in bundle.draft.observed():
                        self._telling.tell(fact)
            else:
                lost += [task for task, _, _ in bundle.outcomes]
        return lost

    def _commit(self, units: Sequence[Unit]) -> list[bool]:
        if not units:
            return []
        if self._ledger is None:
            return self._archive.storage.commit(units)
        return self._ledger.commit(units)

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


_Outcome = tuple[Task, Any, Exception | None]


class _Bundle(Struct, frozen=True):
    """Tasks that win or lose together, how each ended, and the unit that carries them all."""

    outcomes: tuple[_Outcome, ...]
    unit: Unit | None
    draft: Draft


def _by_user(tasks: list[Task]) -> Iterable[list[Task]]:
    """Bring together what is about one user, in order: one unit then carries it all."""
    groups: dict[object, list[Task]] = {}
    for task in tasks:
        groups.setdefault(task.keys[0] if task.keys else task, []).append(task)
    return groups.values()


def _decide(batch: Batch[Draft], tasks: list[Task], begin: Callable[[Any], Draft]) -> list[_Bundle]:
    """Decide tasks user by user; what saw a change of others is decided again, as one with it."""
    bundles: dict[Draft, _Bundle] = {}
    for together in _by_user(tasks):
        leant_on: dict[Draft, None] = {}
        while True:
            draft = begin(batch)
            for each in leant_on:
                draft.absorb(each)
            outcomes = tuple(_work(draft, together))
            seen = {each: None for each in batch.leant_on() if each not in leant_on}
            if not seen:
                break
            leant_on |= seen
        for each in leant_on:
            outcomes = (*bundles.pop(each).outcomes, *outcomes)
            batch.taken_over(each)
        unit = draft.unit()
        if unit is not None:
            draft.merge(unit)
        bundles[draft] = _Bundle(outcomes, unit, draft)
    return list(bundles.values())


def _work(draft: Draft, tasks: list[Task]) -> Iterator[_Outcome]:
    for task in tasks:
        try:
            yield task, draft.attempt(task.work), None
        except StorageError:
            raise
        except Exception as error:
            yield task, None, error

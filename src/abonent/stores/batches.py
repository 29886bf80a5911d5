"""A batch of units, judged in memory against what is stored.

Knows when a unit conflicts, and what is to be written after all of them.
Refuses to know SQL: a store reads what the batch needs before, and writes what came of it after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from abonent.ports import Append, Unit

Name = tuple[int, bytes]
"""A key or alias, and the space it belongs to."""
Written = tuple[int, bytes | None, int | None]
"""Version, body and deadline of a record; of one that is gone, 0 and twice None."""


class Batch:
    """Units in order, each seeing the ones before it that were applied.

    `versions` holds the stored version of every record that the units put, where there is one;
    `owners` the stored owners of every alias that a unit wants to have a sole one.
    """

    def __init__(self, versions: Mapping[Name, int], owners: Mapping[Name, set[bytes]]) -> None:
        self.versions = dict(versions)
        self.owners = dict(owners)
        self.records: dict[Name, Written] = {}
        """What becomes of each record."""
        self.aliases: dict[tuple[int, bytes, bytes], bool] = {}
        """Space, alias, owner: whether it is to be there."""
        self.entries: dict[int, list[Append]] = {}
        """What each space's journal gets, in order."""

    def take(self, space: int, unit: Unit) -> bool:
        """Apply one unit; False, and nothing of it stays, if it conflicts."""
        records: dict[Name, Written] = {}
        for put in unit.puts:
            name = (space, put.key)
            written = records.get(name) or self.records.get(name)
            version = self.versions.get(name, 0) if written is None else written[0]
            if version != put.expected:
                return False
            gone = put.body is None
            records[name] = (0, None, None) if gone else (version + 1, put.body, put.wake)
        if unit.aliases and not self._take_aliases(space, unit):
            return False
        self.records.update(records)
        if unit.appends:
            self.entries.setdefault(space, []).extend(unit.appends)
        return True

    def _take_aliases(self, space: int, unit: Unit) -> bool:
        owners: dict[Name, set[bytes]] = {}
        for change in unit.aliases:
            alias = (space, change.alias)
            if alias in self.owners:
                after = owners.setdefault(alias, set(self.owners[alias]))
                (after.add if change.present else after.discard)(change.owner)
        for change in unit.aliases:
            if change.sole and owners[space, change.alias] - {change.owner}:
                return False
        self.owners.update(owners)
        for change in unit.aliases:
            self.aliases[space, change.alias, change.owner] = change.present
        return True


def keys_put(units: Sequence[Unit]) -> list[bytes]:
    """The keys of which a batch needs the stored version."""
    return [put.key for unit in units for put in unit.puts]


def aliases_judged(units: Sequence[Unit]) -> list[bytes]:
    """The aliases of which a batch needs the stored owners."""
    return [change.alias for unit in units for change in unit.aliases if change.sole]

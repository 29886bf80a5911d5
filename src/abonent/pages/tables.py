"""A table as a record, to be shown on a page or on a terminal.

Knows heads, rows and which cells matter. Refuses to know how either shows it.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Cell:
    """A cell of a table; `bad` makes it stand out."""

    words: str
    bad: bool = False


@frozen(kw_only=True)
class Table:
    """A table: what it is called, what has to be known about it, and its cells.

    The first cell of a row names it; columns in `words` hold words, all others figures. Without
    rows there is no table: `says` says why.
    """

    name: str
    title: str
    says: str
    heads: tuple[str, ...]
    words: frozenset[str]
    rows: tuple[tuple[Cell, ...], ...]

    def shown(self) -> Table:
        """Return the table without columns in which there is nothing, zeroes or dashes only."""
        kept = [
            place
            for place in range(len(self.heads))
            if not place or any(row[place].words not in _NOTHING for row in self.rows)
        ]
        return Table(
            name=self.name,
            title=self.title,
            says=self.says,
            words=self.words,
            heads=tuple(self.heads[place] for place in kept),
            rows=tuple(tuple(row[place] for place in kept) for row in self.rows),
        )


_NOTHING = frozenset({"", "0", "–"})

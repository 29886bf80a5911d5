"""Tiles: the hashes of a tree as plain files (C2SP tlog-tiles, height 8, partial tiles).

Knows paths, widths, and which tile holds which subtree. Refuses to know what is hashed, or signed.

Entry bundles, which that specification has beside the hashes, are not written: they would give the
sealed entries to everybody who may see the log.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from abonent.audit.disk import flush, put, read
from abonent.audit.tree import HASH, joined, root_of, row_above
from abonent.errors import EvidenceDamaged

WIDTH: Final = 256
"""Hashes of a full tile."""
_HEIGHT: Final = 8
_KEPT: Final = 64
"""Tiles that a reader keeps in memory, with all hashes above them: about 50 KB each."""

Rows: TypeAlias = list[list[bytes]]


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """Return where a tile is, below the log's folder."""
    digits = f"{index:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    name = "/".join([*(f"x{each}" for each in parts[:-1]), parts[-1]])
    return f"tile/{level}/{name}" + (f".p/{width}" if width < WIDTH else "")


class Tiles:
    """The tiles of a log's folder, as the tree of `size` leaves needs them."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        self._rows: dict[tuple[int, int], Rows] = {}

    def width(self, level: int, index: int) -> int:
        """Return how many hashes a tile has in this tree: 0 if it has no such tile."""
        return max(0, min(WIDTH, (self.size >> _HEIGHT * level) - index * WIDTH))

    def levels(self) -> int:
        """Return how many levels of tiles there are."""
        return -(-self.size.bit_length() // _HEIGHT)

    def tile(self, level: int, index: int) -> list[bytes]:
        """Return the hashes of a tile.

        Raises:
            EvidenceDamaged: it is not there, or shorter or longer than it has to be.
        """
        width = self.width(level, index)
        path = tile_path(level, index, width)
        data = read(self.folder / path, WIDTH * HASH, path)
        whole = width
        if data is None and width < WIDTH:  # the full one may be there already, and begins with it
            path, whole = tile_path(level, index), WIDTH
            data = read(self.folder / path, WIDTH * HASH, path)
        if data is None:
            raise EvidenceDamaged("a tile is missing", finding="tile_missing", where=path)
        if len(data) != whole * HASH:
            message = f"a tile is {len(data)} bytes long, not {whole * HASH}"
            raise EvidenceDamaged(message, finding="tile_length", where=path)
        return [data[at : at + HASH] for at in range(0, width * HASH, HASH)]

    def node(self, level: int, index: int) -> bytes:
        """Return the hash over `1 << level` leaves; see `abonent.audit.tree`."""
        floor, height = divmod(level, _HEIGHT)
        number, place = divmod(index << height, WIDTH)
        rows = self._rows.get((floor, number))
        if rows is None:
            if len(self._rows) >= _KEPT:
                self._rows.clear()
            rows = self._rows[floor, number] = [self.tile(floor, number)]
        while len(rows) <= height:
            rows.append(row_above(rows[-1]))
        return rows[height][place >> height]


class Edge:
    """The right edge of a tree that grows: the hashes of the tiles that are not full.

    Full tiles are written as they come. `save` writes the rest, and flushes all of it; before,
    nobody may be told of the tree. What fails leaves the edge as it was, to be tried again.
    """

    def __init__(self, folder: Path, size: int = 0, rows: Rows | None = None) -> None:
        self.folder = folder
        self.size = size
        self._rows: Rows = [] if rows is None else rows
        self._saved = size
        self._folders: set[Path] = set()
        self._full: list[Path] = []

    @classmethod
    def of(cls, tiles: Tiles) -> Edge:
        """Read the edge of a tree that was written.

        Raises:
            EvidenceDamaged: one of its tiles is missing, or of the wrong length.
        """
        rows: Rows = []
        for level in range(tiles.levels()):
            index, width = divmod(tiles.size >> _HEIGHT * level, WIDTH)
            rows.append(tiles.tile(level, index) if width else [])
        return cls(tiles.folder, tiles.size, rows)

    def root(self) -> bytes:
        """Return the root over all leaves so far."""
        found: list[bytes] = []
        for row in reversed(self._rows):
            at = 0
            while at < len(row):
                width = 1 << (len(row) - at).bit_length() - 1
                found.append(root_of(row[at : at + width]))
                at += width
        return joined(found)

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append the hashes of leaves."""
        rows = [list(row) for row in self._rows]
        level, new = 0, leaves
        while new:
            if level == len(rows):
                rows.append([])
            row, first = rows[level], self.size >> _HEIGHT * (level + 1)
            row.extend(new)
            tiles = [row[at : at + WIDTH] for at in range(0, len(row) - WIDTH + 1, WIDTH)]
            for index, tile in enumerate(tiles, first):
                self._full.append(self._write(tile_path(level, index), tile))
            del row[: len(tiles) * WIDTH]
            level, new = level + 1, [root_of(tile) for tile in tiles]
        self._rows = rows
        self.size += len(leaves)

    def save(self) -> None:
        """Write the tiles that are not full, and have all that was written last."""
        if self._saved == self.size:
            return
        for level, row in enumerate(self._rows):
            if row:
                index = self.size >> _HEIGHT * (level + 1)
                self._write(tile_path(level, index, len(row)), row)
        flush(sorted(self._folders, reverse=True))
        self._folders.clear()
        self._saved = self.size

    def tidy(self) -> None:
        """Remove what stands in for tiles that are full by now. Only once the tree is published."""
        for path in self._full:
            shutil.rmtree(path.with_name(path.name + ".p"), ignore_errors=True)
        self._full.clear()

    def _write(self, path: str, tile: Sequence[bytes]) -> Path:
        target = self.folder / path
        put(target, b"".join(tile))
        self._folders.update(self.folder / each for each in Path(path).parents)
        return target

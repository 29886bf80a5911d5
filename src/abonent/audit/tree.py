"""A Merkle tree of SHA-256, its proofs, and how they are checked (RFC 9162, section 2.1).

Knows hashes. Refuses to know what is hashed, and where hashes are kept: who makes proofs is given
`node(level, index)`, the hash over the leaves `index << level` up to `(index + 1) << level`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, TypeAlias

Node: TypeAlias = Callable[[int, int], bytes]

HASH: Final = 32
"""Bytes of a hash."""
EMPTY: Final = sha256().digest()
"""The root of the tree without leaves."""
LONGEST_PATH: Final = 63
"""Hashes of a proof: a tree has fewer than 2**63 leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Hash a leaf. The prefix keeps it apart from every inner node."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into the one above them."""
    return sha256(b"\1" + left + right).digest()


def row_above(row: Sequence[bytes]) -> list[bytes]:
    """Hash a row in pairs; who has no neighbour goes up as it is."""
    pairs = zip(row[::2], row[1::2], strict=False)
    above = [sha256(b"\1" + left + right).digest() for left, right in pairs]
    return [*above, row[-1]] if len(row) % 2 else above


def root_of(row: Sequence[bytes]) -> bytes:
    """Return the root over a row of subtrees of the same size."""
    while len(row) > 1:
        row = row_above(row)
    return row[0] if row else EMPTY


def joined(subtrees: Iterable[bytes]) -> bytes:
    """Return the root over ever smaller complete subtrees, from left to right."""
    root = b""
    for each in reversed(list(subtrees)):
        root = node_hash(each, root) if root else each
    return root or EMPTY


def span(node: Node, start: int, end: int) -> bytes:
    """Return the root over the leaves from `start` up to `end`, as a part of a tree that has it."""
    found: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        found.append(node(level, start >> level))
        start += 1 << level
    return joined(found)


# --- making proofs ------------------------------------------------------------------


def _split(start: int, end: int) -> int:
    """Where a tree divides: behind the greatest power of two that leaves something."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def inclusion_path(node: Node, index: int, size: int) -> list[bytes]:
    """Return what shows that leaf `index` is in the tree of `size` leaves (section 2.1.3.1)."""
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            path.append(span(node, middle, end))
            end = middle
        else:
            path.append(span(node, start, middle))
            start = middle
    return path[::-1]


def consistency_path(node: Node, old: int, new: int) -> list[bytes]:
    """Return what shows that a tree of `old` leaves begins that of `new` (section 2.1.4.1)."""
    path: list[bytes] = []
    start, end = 0, new
    while old not in (0, end):
        middle = _split(start, end)
        if old <= middle:
            path.append(span(node, middle, end))
            end = middle
        else:
            path.append(span(node, start, middle))
            start = middle
    if start:
        path.append(span(node, start, end))
    return path[::-1]


# --- checking them ------------------------------------------------------------------


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tell whether a leaf's hash is at a place of the tree with this root (section 2.1.3.2)."""
    if not 0 <= index < size or len(leaf) != HASH:
        return False
    here, last, found = index, size - 1, leaf
    for each in path:
        if last == 0:
            return False
        if here & 1 or here == last:
            found = node_hash(each, found)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, each)
        here, last = here >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(
    old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]
) -> bool:
    """Tell whether one tree only extends another (section 2.1.4.2)."""
    if not 0 <= old <= new or (old == 0 and old_root != EMPTY) or (new == 0 and new_root != EMPTY):
        return False
    if old in (0, new):
        return not path and (old == 0 or old_root == new_root)
    nodes = list(path) if old & (old - 1) else [old_root, *path]
    if not nodes:
        return False
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    before = after = nodes[0]
    for each in nodes[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            before, after = node_hash(each, before), node_hash(each, after)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            after = node_hash(after, each)
        here, last = here >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root

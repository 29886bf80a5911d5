"""The tree gives the published roots and proofs, and agrees with its definition at every size."""

import random
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from abonent.audit.tree import (
    EMPTY,
    consistency_path,
    inclusion_path,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    root_of,
    span,
)
from tests.audit import naive

# Published with Certificate Transparency: leaves, roots and paths of its Merkle tree tests
# (github.com/google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc; the same in
# github.com/transparency-dev/merkle, testonly/constants.go and testdata/).
LEAVES = [
    bytes.fromhex(each)
    for each in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
H1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
H01 = ROOTS[2]
H23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
H4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
H45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
H67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
H0_3 = ROOTS[4]
H4_7 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
PATHS = [  # index, size, path
    (0, 1, []),
    (0, 8, [H1, H23, H4_7]),
    (5, 8, [H4, H67, H0_3]),
    (2, 3, [H01]),
    (1, 5, [ROOTS[1], H23, H4]),
]
EXTENSIONS = [  # old, new, path
    (1, 1, []),
    (1, 8, [H1, H23, H4_7]),
    (6, 8, [H45, H67, H0_3]),
    (2, 5, [H23, H4]),
]


def hexed(path):
    return [each.hex() for each in path]


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots(size):
    """The trees of 0 to 8 published leaves have the published roots."""
    leaves = [leaf_hash(each) for each in LEAVES[:size]]
    assert ROOTS[size] == root_of(leaves).hex()
    assert ROOTS[size] == span(naive.node_of(leaves), 0, size).hex()


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_the_published_inclusion_paths(index, size, path):
    """The published paths are made, and hold."""
    leaves = [leaf_hash(each) for each in LEAVES[:size]]
    made = inclusion_path(naive.node_of(leaves), index, size)
    assert path == hexed(made)
    assert is_included(leaves[index], index, size, made, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new", "path"), EXTENSIONS)
def test_the_published_consistency_paths(old, new, path):
    """The published paths are made, and hold."""
    leaves = [leaf_hash(each) for each in LEAVES[:new]]
    made = consistency_path(naive.node_of(leaves), old, new)
    assert path == hexed(made)
    roots = [bytes.fromhex(each) for each in ROOTS]
    assert is_consistent(old, roots[old], new, roots[new], made)


def test_the_worked_example():
    """RFC 9162, section 2.1.5: seven leaves, and the proofs that it lists by letter."""
    a, b, c, d, e, f, j = (leaf_hash(b"d%d" % each) for each in range(7))
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, m = node_hash(g, h), node_hash(i, j)
    leaves = [a, b, c, d, e, f, j]
    node = naive.node_of(leaves)
    root = node_hash(k, m)
    assert root == root_of(leaves)
    for index, path in ((0, [b, h, m]), (3, [c, g, m]), (4, [f, j, k]), (6, [i, k])):
        assert path == inclusion_path(node, index, 7)
    for old, path in ((3, [c, d, g, m]), (4, [m]), (6, [i, j, k])):
        assert path == consistency_path(node, old, 7)
        assert is_consistent(old, root_of(leaves[:old]), 7, root, path)


@cache
def leaves_of(seed: int, size: int) -> list[bytes]:
    chance = random.Random(seed)
    return [chance.randbytes(32) for _ in range(size)]


def compare(leaves: list[bytes], index: int, old: int) -> None:
    """Compare root and two proofs with the definition, and check them."""
    size, node = len(leaves), naive.node_of(leaves)
    root = naive.mth(leaves)
    assert root == root_of(leaves)
    assert root == span(node, 0, size)
    path = naive.path(index, leaves)
    assert path == inclusion_path(node, index, size)
    assert is_included(leaves[index], index, size, path, root)
    extension = naive.proof(old, leaves)
    assert extension == consistency_path(node, old, size)
    assert is_consistent(old, naive.mth(leaves[:old]), size, root, extension)


def test_every_size_up_to_300():
    """Roots and proofs are those of the definition, for a few places of every size."""
    for size in range(1, 301):
        leaves = leaves_of(0, 300)[:size]
        for place in sorted({0, size // 3, size // 2, size - 1}):
            compare(leaves, place, place + 1)
        compare(leaves, 0, 0)


def test_every_place_of_small_trees():
    """Every leaf and every older size of the trees up to 33 leaves."""
    for size in range(1, 34):
        leaves = leaves_of(1, 40)[:size]
        for place in range(size):
            compare(leaves, place, place + 1)


@given(seed=st.integers(0, 9), size=st.integers(1, 3_000), data=st.data())
@settings(max_examples=60)
def test_random_sizes(seed, size, data):
    """The same for any size and place."""
    leaves = leaves_of(seed, 3_000)[:size]
    compare(leaves, data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size)))


@given(size=st.integers(1, 70), data=st.data())
@settings(max_examples=300)
def test_a_changed_proof_does_not_hold(size, data):
    """No proof holds with a hash changed, doubled, taken away, or for another place or size."""
    leaves = leaves_of(2, 70)[:size]
    root, node = naive.mth(leaves), naive.node_of(leaves)
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    path = inclusion_path(node, index, size)
    extension = consistency_path(node, old, size)
    older = naive.mth(leaves[:old])
    for wrong in changed(path, data):
        assert not is_included(leaves[index], index, size, wrong, root)
    for wrong in changed(extension, data):
        assert not is_consistent(old, older, size, root, wrong)
    other = data.draw(st.integers(-1, 80).filter(lambda each: each != index))
    assert not is_included(leaves[index], other, size, path, root)
    assert not is_included(leaves[index], index, size, path, bytes(32))
    assert not is_consistent(old, bytes(32), size, root, extension)
    assert not is_consistent(old, older, size, bytes(32), extension)
    if old != size:
        assert not is_consistent(size, root, old, older, extension)
        assert not is_consistent(old, older, old, root, ())


def changed(path, data):
    yield [*path, bytes(32)]
    yield [bytes(32), *path]
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        flipped = bytes((path[at][0] ^ 1,)) + path[at][1:]
        yield [*path[:at], flipped, *path[at + 1 :]]
        yield path[:-1]
        yield [*path[: at + 1], *path[at:]]


def test_the_empty_tree():
    """Every tree extends the empty one, and only the empty one has its root at size 0."""
    leaf = leaf_hash(b"")
    assert is_consistent(0, EMPTY, 0, EMPTY, ())
    assert is_consistent(0, EMPTY, 1, leaf, ())
    assert not is_consistent(0, leaf, 1, leaf, ())
    assert not is_consistent(0, EMPTY, 0, leaf, ())
    assert not is_consistent(0, EMPTY, 1, leaf, (leaf,))
    assert not is_consistent(1, leaf, 0, EMPTY, ())
    assert not is_consistent(-1, EMPTY, 1, leaf, ())
    assert not is_consistent(3, leaf, 5, leaf, ())
    assert not is_included(leaf, 0, 0, (), EMPTY)
    assert not is_included(b"", 0, 1, (), b"")

"""The tree and its proofs, against RFC 6962 written down naively."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.merkle import (
    EMPTY_ROOT,
    HASH_LENGTH,
    VerificationError,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from services.ledger.merkle import (
    TILE_WIDTH,
    Tile,
    TileId,
    Tree,
    consistency_ranges,
    edge_tiles,
    inclusion_ranges,
    tile_root,
    tiles_of,
)
from tests.unit.ledger import reference

# Inputs and roots that implementations of RFC 6962 have in common.
LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243")] + [
    bytes(range(0x50, 0x58)),
    bytes(range(0x60, 0x70)),
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

SIZES = st.one_of(st.integers(1, 40), st.sampled_from([255, 256, 257, 511, 512, 513, 700, 1024]))


def entries(count: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(count)]


def grown(leaves: Sequence[bytes]) -> tuple[Tree, dict[TileId, bytes]]:
    """A tree and every tile of it, full or partial, as a store would have them."""
    tree, full = Tree(0, {}).grow(leaf_hash(leaf) for leaf in leaves)
    return tree, stored(full, leaves)


def stored(full: Sequence[Tile], leaves: Sequence[bytes]) -> dict[TileId, bytes]:
    tiles = {tile.id: tile.hashes for tile in full}
    roots = {tile.id: tile.root for tile in full}
    for tile in edge_tiles(len(leaves)):
        first = tile.index * TILE_WIDTH
        if tile.level == 0:
            tiles[tile] = b"".join(leaf_hash(leaf) for leaf in leaves[first:])
        else:
            below = [TileId(tile.level - 1, first + place) for place in range(tile.width(len(leaves)))]
            tiles[tile] = b"".join(roots[one] for one in below)
    return tiles


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    tree, _ = Tree(0, {}).grow(leaf_hash(leaf) for leaf in LEAVES[:size])

    assert tree.root().hex() == ROOTS[size]
    assert reference.mth(LEAVES[:size]).hex() == ROOTS[size]


@given(SIZES)
@settings(deadline=None)
def test_root_is_that_of_the_rfc_however_the_tree_grew(size: int) -> None:
    leaves = entries(size)
    step = max(1, size // 3)

    tree = Tree(0, {})
    for start in range(0, size, step):
        tree, _ = tree.settled().grow(leaf_hash(leaf) for leaf in leaves[start : start + step])

    assert tree.root() == reference.mth(leaves)
    assert tree.settled().root() == reference.mth(leaves)


@given(st.data())
@settings(deadline=None)
def test_inclusion_proof_is_that_of_the_rfc_and_verifies(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    leaves = entries(size)
    _, tiles = grown(leaves)
    ranges = inclusion_ranges(index, size)
    needed = tiles_of(ranges)

    tree = Tree.load(size, {tile: tiles[tile] for tile in needed})
    hashes = tree.hashes(ranges)

    assert list(hashes) == reference.path(index, leaves)
    verify_inclusion(leaf_hash(leaves[index]), index, size, hashes, reference.mth(leaves))


@given(st.data())
@settings(deadline=None)
def test_consistency_proof_is_that_of_the_rfc_and_verifies(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    old_size = data.draw(st.integers(1, size))
    leaves = entries(size)
    _, tiles = grown(leaves)
    ranges = consistency_ranges(old_size, size)

    tree = Tree.load(size, {tile: tiles[tile] for tile in tiles_of(ranges)})
    hashes = tree.hashes(ranges)

    assert list(hashes) == reference.proof(old_size, leaves)
    verify_consistency(old_size, reference.mth(leaves[:old_size]), size, reference.mth(leaves), hashes)


@given(st.data())
@settings(deadline=None)
def test_newest_leaves_are_proved_from_the_edge_alone(data: st.DataObject) -> None:
    before = data.draw(st.one_of(st.integers(0, 40), st.sampled_from([255, 256, 511, 512, 700])))
    added = data.draw(st.one_of(st.integers(1, 40), st.sampled_from([256, 600])))
    leaves = entries(before + added)
    old, tiles = grown(leaves[:before])
    edge = Tree.load(before, {tile: tiles[tile] for tile in edge_tiles(before)})

    tree, _ = edge.grow(leaf_hash(leaf) for leaf in leaves[before:])

    assert edge.root() == old.root()
    for index in {before, before + added // 2, before + added - 1}:
        verify_inclusion(
            leaf_hash(leaves[index]), index, tree.size, tree.inclusion(index), reference.mth(leaves)
        )


@given(st.data())
@settings(deadline=None)
def test_altered_inclusion_proof_does_not_verify(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 40))
    index = data.draw(st.integers(0, size - 1))
    leaves = entries(size)
    hashes = reference.path(index, leaves)
    root = reference.mth(leaves)
    leaf = leaf_hash(leaves[index])
    place = data.draw(st.integers(0, len(hashes) - 1))
    flipped = bytes([hashes[place][0] ^ 1]) + hashes[place][1:]
    other_index = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))

    with pytest.raises(VerificationError):
        verify_inclusion(leaf, index, size, [*hashes[:place], flipped, *hashes[place + 1 :]], root)
    with pytest.raises(VerificationError):
        verify_inclusion(leaf, index, size, hashes[:-1], root)
    with pytest.raises(VerificationError):
        verify_inclusion(leaf, index, size, [*hashes, hashes[0]], root)
    with pytest.raises(VerificationError):
        verify_inclusion(leaf, other_index, size, hashes, root)
    with pytest.raises(VerificationError):
        verify_inclusion(leaf_hash(b"another entry"), index, size, hashes, root)
    with pytest.raises(VerificationError):
        verify_inclusion(leaf, size, size, hashes, root)


@given(st.data())
@settings(deadline=None)
def test_rewritten_log_has_no_consistency_proof(data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 40))
    old_size = data.draw(st.integers(1, size - 1))
    leaves = entries(size)
    rewritten = [*leaves[: old_size - 1], b"another entry", *leaves[old_size:]]

    with pytest.raises(VerificationError):
        verify_consistency(
            old_size,
            reference.mth(leaves[:old_size]),
            size,
            reference.mth(rewritten),
            reference.proof(old_size, rewritten),
        )


def test_every_tree_extends_the_empty_one_by_an_empty_proof() -> None:
    root = reference.mth(entries(5))

    verify_consistency(0, EMPTY_ROOT, 5, root, [])
    verify_consistency(5, root, 5, root, [])
    with pytest.raises(VerificationError):
        verify_consistency(0, root, 5, root, [])
    with pytest.raises(VerificationError):
        verify_consistency(6, root, 5, root, [])


def test_hash_of_a_wrong_length_does_not_verify() -> None:
    with pytest.raises(VerificationError, match="32 bytes"):
        verify_inclusion(leaf_hash(b""), 0, 2, [b"\x00" * 31], EMPTY_ROOT)


def test_tiles_of_a_tree_of_70_000_are_those_of_the_specification() -> None:
    assert [(tile, tile.width(70_000)) for tile in edge_tiles(70_000)] == [
        (TileId(0, 273), 112),
        (TileId(1, 1), 17),
        (TileId(2, 0), 1),
    ]
    assert [(tile, tile.width(256)) for tile in edge_tiles(256)] == [(TileId(1, 0), 1)]
    assert edge_tiles(0) == []


def test_full_tiles_hold_the_subtrees_of_the_specification() -> None:
    leaves = entries(66_000)
    tree, full = Tree(0, {}).grow(leaf_hash(leaf) for leaf in leaves)
    by_id = {tile.id: tile for tile in full}

    assert len(by_id) == len(full) == 257 + 1
    lowest = by_id[TileId(0, 256)]
    assert lowest.hashes == b"".join(leaf_hash(leaf) for leaf in leaves[65_536:65_792])
    assert lowest.root == tile_root(lowest.hashes) == reference.mth(leaves[65_536:65_792])
    upper = by_id[TileId(1, 0)]
    assert upper.hashes == b"".join(by_id[TileId(0, index)].root for index in range(256))
    assert upper.root == tile_root(upper.hashes) == reference.mth(leaves[:65_536])
    assert tree.root() == tree.settled().root() == reference.mth(leaves)
    for index in (0, 65_535, 65_536, 65_999):
        verify_inclusion(leaf_hash(leaves[index]), index, 66_000, tree.inclusion(index), tree.root())


def test_growing_leaves_the_smaller_tree_as_it_was() -> None:
    tree, _ = Tree(0, {}).grow([leaf_hash(b"one")])
    root = tree.root()

    tree.grow([leaf_hash(b"two")])

    assert (tree.size, tree.root()) == (1, root)


def test_tree_does_not_load_from_a_tile_that_lacks_hashes() -> None:
    with pytest.raises(ValueError, match="lacks hashes"):
        Tree.load(3, {TileId(0, 0): b"\x00" * (2 * HASH_LENGTH)})

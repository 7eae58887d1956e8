"""Proofs from tiles that are kept: those of the RFC, whatever was asked before and however the log grew."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.merkle import HASH_LENGTH, leaf_hash
from services.ledger.merkle import (
    TILE_HEIGHT,
    TileId,
    Tree,
    consistency_ranges,
    edge_tiles,
    inclusion_ranges,
    tile_root,
)
from services.ledger.proving import Prover
from tests.unit.ledger import reference

LEAVES = [b"entry %d" % number for number in range(900)]
SIZES = st.one_of(st.integers(1, 40), st.sampled_from([255, 256, 257, 511, 512, 513, 700, 900]))


class Shelf:
    """Tiles as a store gives them at one size of the log, and what was asked for."""

    def __init__(self) -> None:
        self.size = 0
        self.asked: list[TileId] = []
        self.spoilt = False

    async def tiles(self, wanted: Collection[TileId]) -> Mapping[TileId, bytes]:
        self.asked += wanted
        return {tile: self._hashes(tile) for tile in wanted}

    def _hashes(self, tile: TileId) -> bytes:
        width = tile.width(self.size)
        span = 1 << (TILE_HEIGHT * tile.level)
        first = (tile.index << TILE_HEIGHT) * span
        starts = range(first, first + width * span, span)
        hashes = b"".join(reference.mth(LEAVES[start : start + span]) for start in starts)
        return hashes[:-HASH_LENGTH] if self.spoilt else hashes


@given(st.lists(st.tuples(SIZES, st.randoms(use_true_random=False)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=30)
def test_proofs_are_those_of_the_rfc_whatever_is_kept(asked: list[tuple[int, st.DataObject]]) -> None:
    shelf = Shelf()
    prover = Prover(shelf, most=2)

    async def ask() -> None:
        for size, chance in asked:
            shelf.size = max(shelf.size, size)
            index = chance.randrange(size)  # type: ignore[attr-defined]
            old = chance.randint(1, size)  # type: ignore[attr-defined]
            leaves = LEAVES[:size]
            inclusion = await prover.hashes(size, inclusion_ranges(index, size))
            consistency = await prover.hashes(size, consistency_ranges(old, size))
            assert list(inclusion) == reference.path(index, leaves)
            assert list(consistency) == reference.proof(old, leaves)

    asyncio.run(ask())


async def test_what_is_kept_is_not_read_again_until_it_is_too_narrow() -> None:
    shelf = Shelf()
    prover = Prover(shelf)
    shelf.size = 700
    await prover.hashes(700, inclusion_ranges(3, 700))
    first = list(shelf.asked)

    await prover.hashes(700, inclusion_ranges(5, 700))
    again = shelf.asked[len(first) :]
    shelf.size = 900
    await prover.hashes(900, inclusion_ranges(3, 900))
    grown = shelf.asked[len(first) + len(again) :]

    assert TileId(0, 0) in first
    assert again == []
    assert set(grown) == {TileId(1, 0), TileId(0, 3)}


async def test_forgotten_tiles_are_read_again() -> None:
    shelf = Shelf()
    prover = Prover(shelf)
    shelf.size = 300
    await prover.hashes(300, inclusion_ranges(3, 300))
    before = len(shelf.asked)

    prover.forget()
    await prover.hashes(300, inclusion_ranges(3, 300))

    assert len(shelf.asked) == 2 * before


async def test_tile_that_lacks_hashes_proves_nothing() -> None:
    shelf = Shelf()
    shelf.size, shelf.spoilt = 300, True

    with pytest.raises(ValueError, match="lacks hashes"):
        await Prover(shelf).hashes(300, inclusion_ranges(3, 300))


def test_root_of_a_tile_is_the_root_of_its_leaves() -> None:
    leaves = LEAVES[:256]
    tree, (tile,) = Tree.load(0, {}).grow(leaf_hash(leaf) for leaf in leaves)

    assert tile_root(tile.hashes) == tile.root == tree.root() == reference.mth(leaves)
    assert edge_tiles(256) == [TileId(1, 0)]

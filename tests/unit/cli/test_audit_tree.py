"""The audit's own tree says what the ledger's says, at every size."""

from __future__ import annotations

from cli.audit.tree import Frontier, Tiles
from core.merkle import EMPTY_ROOT, leaf_hash
from services.ledger.merkle import Tree


def test_roots_and_tiles_are_those_of_the_ledger() -> None:
    frontier, tiles, tree = Frontier(), Tiles(), Tree(0, {})
    assert frontier.root() == EMPTY_ROOT

    for number in range(3 * 256 + 5):
        leaf = leaf_hash(b"%d" % number)
        frontier.add(leaf)
        tree, full = tree.grow([leaf])
        expected = [(one.id.level, one.id.index, one.hashes, one.root) for one in full]
        assert list(tiles.add(leaf)) == expected
        assert frontier.root() == tree.root()
        assert frontier.size == number + 1


def test_tiles_of_tiles_fill_too() -> None:
    tiles, tree = Tiles(), Tree(0, {})
    leaves = [leaf_hash(b"%d" % number) for number in range(256 * 256)]
    expected = [(one.id.level, one.id.index, one.hashes, one.root) for one in tree.grow(leaves)[1]]

    filled = [tile for leaf in leaves for tile in tiles.add(leaf)]

    assert filled == expected
    assert filled[-1][:2] == (1, 0)

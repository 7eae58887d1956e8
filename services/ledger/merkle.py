"""The growing Merkle tree of RFC 6962, its C2SP tiles, and the proofs that are made from them. Pure.

A complete subtree is named by its height and its position among its equals: (h, i) is
MTH(D[i * 2**h : (i + 1) * 2**h]). A tile (C2SP tlog-tiles) of level l holds 256 neighbours of height 8l.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from core.merkle import EMPTY_ROOT, HASH_LENGTH, NODE_PREFIX, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

Range = tuple[int, int]
"""Leaves from the first up to, without, the second: the tree over them is one hash of a proof."""
Subtree = tuple[int, int]
"""Height and position of a complete subtree."""


@dataclass(frozen=True, slots=True, order=True)
class TileId:
    """Names a tile: its level from 0 at the leaves, its index within the level."""

    level: int
    index: int

    def width(self, size: int) -> int:
        """How many hashes the tile holds in a tree of `size` leaves: 0 to 256."""
        return max(0, min(TILE_WIDTH, (size >> (TILE_HEIGHT * self.level)) - (self.index << TILE_HEIGHT)))


@dataclass(frozen=True, slots=True)
class Tile:
    """A full tile: 256 hashes of 32 bytes, and the root of the subtree that they span."""

    id: TileId
    hashes: bytes
    root: bytes


class TileBranches:
    """Every complete subtree within one tile, from its 1 to 256 hashes of 32 bytes."""

    def __init__(self, tile: TileId, hashes: bytes) -> None:
        self.width = len(hashes) // HASH_LENGTH
        self._height = tile.level * TILE_HEIGHT
        self._first = tile.index << TILE_HEIGHT
        self._rows = [hashes[: self.width * HASH_LENGTH]]
        while len(self._rows[-1]) >= 2 * HASH_LENGTH:
            self._rows.append(_row_above(self._rows[-1]))

    def node(self, subtree: Subtree) -> bytes:
        """The root of a subtree whose top lies in this tile."""
        height, position = subtree
        row = height - self._height
        at = (position - (self._first >> row)) * HASH_LENGTH
        return self._rows[row][at : at + HASH_LENGTH]


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """The subtrees of the inclusion proof of leaf `index`, from the leaf upwards (RFC 6962 2.1.1)."""
    low, high = 0, size
    ranges: list[Range] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return ranges[::-1]


def consistency_ranges(old_size: int, size: int) -> list[Range]:
    """The subtrees of the consistency proof between two sizes, 0 < old_size <= size (RFC 6962 2.1.2)."""
    low, high, ranges = 0, size, []
    # While the old tree is a left edge of what is looked at, its own root is known to the verifier.
    whole_old_tree = True
    while old_size != high:
        middle = low + _split(high - low)
        if old_size <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
            whole_old_tree = False
    if not whole_old_tree:
        ranges.append((low, high))
    return ranges[::-1]


def tiles_of(ranges: Iterable[Range]) -> set[TileId]:
    """The tiles that hold what the hashes of these subtrees are made of."""
    return {tile_with(subtree) for low, high in ranges for subtree in _subtrees(low, high)}


def tile_with(subtree: Subtree) -> TileId:
    """The tile that holds the hashes right below a subtree, or its own."""
    height, position = subtree
    level = height // TILE_HEIGHT
    return TileId(level, (position << (height - TILE_HEIGHT * level)) >> TILE_HEIGHT)


def span_of(node: Callable[[Subtree], bytes], low: int, high: int) -> bytes:
    """MTH of the leaves of a range that a proof names, from the roots of complete subtrees."""
    *rest, last = _subtrees(low, high)
    root = node(last)
    for subtree in reversed(rest):
        root = node_hash(node(subtree), root)
    return root


def edge_tiles(size: int) -> list[TileId]:
    """The partial tiles of a tree of `size` leaves, one or none a level."""
    tiles = []
    level = 0
    while size >> (TILE_HEIGHT * level):
        tile = TileId(level, size >> (TILE_HEIGHT * (level + 1)))
        if tile.width(size):
            tiles.append(tile)
        level += 1
    return tiles


class Tree:
    """A tree of `size` leaves by its edge: every complete subtree inside the tiles that still grow.

    That is the compact frontier of the tree and what the proofs of its newest leaves need: growing by
    n leaves and proving them reads no store. `grow` leaves this tree as it was.
    """

    def __init__(self, size: int, nodes: dict[tuple[int, int], bytes]) -> None:
        self.size = size
        self._nodes = nodes
        self._spans: dict[Range, bytes] = {}
        # The way to the leaf that was proved last: each subtree on it, and that subtree's own proof.
        self._way: list[tuple[int, int, tuple[bytes, ...]]] = [(0, size, ())]

    @classmethod
    def load(cls, size: int, tiles: Mapping[TileId, bytes]) -> Self:
        """The tree of `size` leaves from tiles: `edge_tiles(size)` to grow it, `tiles_of` to prove.

        Raises ValueError where a tile is narrower than this size makes it; wider ones are cut.
        """
        nodes: dict[tuple[int, int], bytes] = {}
        for tile, hashes in tiles.items():
            width = tile.width(size)
            if len(hashes) < width * HASH_LENGTH:
                raise ValueError(f"tile {tile.level}/{tile.index} lacks hashes")
            height, first = tile.level * TILE_HEIGHT, tile.index << TILE_HEIGHT
            for place in range(width):
                nodes[height, first + place] = hashes[place * HASH_LENGTH : (place + 1) * HASH_LENGTH]
                _combine(nodes, height, first + place, height + TILE_HEIGHT)
        return cls(size, nodes)

    def grow(self, leaves: Iterable[bytes]) -> tuple[Tree, list[Tile]]:
        """The tree with further leaf hashes, and the tiles that became full by them.

        The grown tree keeps what proves its new leaves; `settled` lets go of that.
        """
        nodes, size, full = dict(self._nodes), self.size, []
        for leaf in leaves:
            nodes[0, size] = leaf
            top = _combine(nodes, 0, size, 64)
            size += 1
            for level in range(top // TILE_HEIGHT):
                tile = TileId(level, (size >> (TILE_HEIGHT * (level + 1))) - 1)
                full.append(_full_tile(nodes, tile))
        return Tree(size, nodes), full

    def settled(self) -> Tree:
        """The same tree with its edge alone."""
        size = self.size
        kept = {
            (height, position): node
            for (height, position), node in self._nodes.items()
            if TileId(height // TILE_HEIGHT, position >> (TILE_HEIGHT - height % TILE_HEIGHT)).width(size)
            < TILE_WIDTH
        }
        return Tree(size, kept)

    def root(self) -> bytes:
        """MTH of the whole tree. Needs the edge."""
        return self.span(0, self.size)

    def span(self, low: int, high: int) -> bytes:
        """MTH of the leaves from `low` up to, without, `high`; a range that a proof names."""
        if low == high:
            return EMPTY_ROOT
        known = self._spans.get((low, high))
        if known is None:
            known = self._spans[low, high] = span_of(self._nodes.__getitem__, low, high)
        return known

    def hashes(self, ranges: Sequence[Range]) -> tuple[bytes, ...]:
        """The hashes of a proof, from its ranges."""
        return tuple(self.span(low, high) for low, high in ranges)

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """The inclusion proof of a leaf whose tiles this tree knows; neighbours share most of the way."""
        while not self._way[-1][0] <= index < self._way[-1][1]:
            self._way.pop()
        low, high, proof = self._way[-1]
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                proof, high = (self.span(middle, high), *proof), middle
            else:
                proof, low = (self.span(low, middle), *proof), middle
            self._way.append((low, high, proof))
        return proof


def tile_root(hashes: bytes) -> bytes:
    """The root of the subtree that a full tile's 256 hashes span."""
    while len(hashes) > HASH_LENGTH:
        hashes = _row_above(hashes)
    return hashes


def _row_above(row: bytes) -> bytes:
    """The nodes over each whole pair of a row."""
    pair = 2 * HASH_LENGTH
    ends = range(pair, len(row) + 1, pair)
    return b"".join([sha256(NODE_PREFIX + row[end - pair : end]).digest() for end in ends])


def _split(count: int) -> int:
    """The largest power of two smaller than `count`, which is at least 2."""
    return 1 << ((count - 1).bit_length() - 1)


def _subtrees(low: int, high: int) -> list[Subtree]:
    """The complete subtrees, largest first, that a proof's range is made of.

    `low` is a multiple of the largest power of two in the range's length, as RFC 6962 splits trees.
    """
    subtrees = []
    while low < high:
        height = (high - low).bit_length() - 1
        subtrees.append((height, low >> height))
        low += 1 << height
    return subtrees


def _combine(nodes: dict[tuple[int, int], bytes], height: int, position: int, limit: int) -> int:
    """Adds every subtree that the newest node completes, up to height `limit`; answers the highest."""
    while height < limit and position & 1:
        nodes[height + 1, position >> 1] = node_hash(nodes[height, position - 1], nodes[height, position])
        height, position = height + 1, position >> 1
    return height


def _full_tile(nodes: Mapping[tuple[int, int], bytes], tile: TileId) -> Tile:
    height, first = tile.level * TILE_HEIGHT, tile.index << TILE_HEIGHT
    hashes = b"".join(nodes[height, first + place] for place in range(TILE_WIDTH))
    return Tile(tile, hashes, nodes[height + TILE_HEIGHT, tile.index])

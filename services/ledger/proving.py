"""The hashes of proofs, from the stored tiles. Tiles that many proofs share are read and hashed once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from services.ledger.merkle import Range, Subtree, TileBranches, TileId, span_of, tile_with, tiles_of

MOST_TILES = 512
"""So many tiles are kept, of 16 KiB each: all above the leaves in a log of 20 million entries, and more."""


class Tiles(Protocol):
    """The stored tiles."""

    async def tiles(self, wanted: Collection[TileId]) -> Mapping[TileId, bytes]:
        """The hashes of tiles, as many as there are now. Raises StoreLostError."""
        ...


class Prover:
    """Makes proofs. What it says is as good as the store: verify a proof before it leaves."""

    def __init__(self, stored: Tiles, most: int = MOST_TILES) -> None:
        self._stored = stored
        self._most = most
        self._kept: OrderedDict[TileId, TileBranches] = OrderedDict()

    async def hashes(self, size: int, ranges: Sequence[Range]) -> tuple[bytes, ...]:
        """The hashes of these ranges in the tree of `size` leaves.

        Raises ValueError where a stored tile lacks hashes, KeyError where there is none, StoreLostError.
        """
        wanted = tiles_of(ranges)
        branches = {tile: self._kept[tile] for tile in wanted if self._is_kept(tile, tile.width(size))}
        missing = wanted - branches.keys()
        if missing:
            stored = await self._stored.tiles(missing)
            branches |= {tile: self._keep(tile, stored[tile], size) for tile in missing}

        def node(subtree: Subtree) -> bytes:
            return branches[tile_with(subtree)].node(subtree)

        return tuple(span_of(node, low, high) for low, high in ranges)

    def forget(self) -> None:
        """Lets go of every tile: a proof was wrong, so what was read may have been altered."""
        self._kept.clear()

    def _is_kept(self, tile: TileId, width: int) -> bool:
        kept = self._kept.get(tile)
        if kept is None or kept.width < width:  # A tile at the edge has grown since.
            return False
        self._kept.move_to_end(tile)
        return True

    def _keep(self, tile: TileId, hashes: bytes, size: int) -> TileBranches:
        made = TileBranches(tile, hashes)
        if made.width < tile.width(size):
            raise ValueError(f"tile {tile.level}/{tile.index} lacks hashes")
        self._kept[tile] = made
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return made

"""Proves that the store holds the log that was released; a ledger that cannot stays read-only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import orjson

from core.entries import EntryKind
from core.merkle import EMPTY_ROOT, HASH_LENGTH, leaf_hash
from services.ledger.domain import CustodyError, Head, TreeHead
from services.ledger.entry import says_pruned
from services.ledger.merkle import TILE_HEIGHT, TILE_WIDTH, TileId, Tree, edge_tiles, tile_root

_TILES_A_READ = 4


@dataclass(frozen=True, slots=True)
class LeafRow:
    """A leaf with the columns that repeat parts of it."""

    index: int
    item_id: UUID
    kind: EntryKind
    recorder: str
    caller: str
    intent_id: UUID | None
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Pruned:
    """The beginning of the log whose entries are gone: up to, without, `end`; and the entry that says so."""

    end: int
    said_by: LeafRow | None
    """None where the store holds no such entry."""


class LogReader(Protocol):
    """The stored log."""

    async def pruned(self) -> Pruned | None:
        """What is gone by the newest pruning; None where nothing ever went."""
        ...

    async def leaves(self, first: int, end: int) -> Sequence[LeafRow]:
        """The stored leaves from `first` up to, without, `end`, in order."""
        ...

    async def tiles(self, wanted: Collection[TileId]) -> Mapping[TileId, bytes]:
        """The hashes of tiles, as many as there are now; partial ones are made from what lies below."""
        ...

    async def tile_roots(self, level: int, first: int, end: int) -> Sequence[bytes]:
        """The roots of the level's full tiles from `first` up to, without, `end`, in order."""
        ...


class Notary(Protocol):
    """Signs this log's checkpoints, and knows its own signature."""

    def sign(self, head: TreeHead) -> str:
        """The checkpoint of a tree, as a signed note."""
        ...

    def is_current(self, checkpoint: str) -> bool:
        """Whether exactly the keys that sign now have signed it."""
        ...

    def open(self, checkpoint: str) -> TreeHead:
        """What a checkpoint says. Raises CustodyError unless this log's key signed it."""
        ...


async def load_tree(log: LogReader, size: int) -> Tree:
    """The tree of `size` leaves by its edge. Raises CustodyError where the store lacks a part of it."""
    try:
        return Tree.load(size, await log.tiles(edge_tiles(size)))
    except (KeyError, ValueError):
        raise CustodyError(f"the stored tree is not whole at size {size}") from None


async def prove(
    log: LogReader,
    notary: Notary,
    head: Head,
    released: Sequence[str | None],
    first_tile: int,
) -> Tree:
    """The tree, once it is proved that the store holds the log up to its head and all that was released.

    Checked: the head's checkpoint is signed by this log's key and is what the stored tree leads to; so is
    every checkpoint in `released`, which is kept outside the database; all tiles above the leaves, and the
    leaves from the tile `first_tile` on, hash into it. Nobody appends meanwhile. Raises CustodyError.
    """
    for one in released:
        await prove_released(log, notary, head, one)
    present = _present(notary, head)
    tree = await load_tree(log, present.size)
    if tree.root() != present.root:
        raise CustodyError("the stored tree does not lead to the root of the newest checkpoint")
    await _prove_inner_tiles(log, present.size)
    full = present.size >> TILE_HEIGHT
    await prove_leaf_tiles(log, first_tile, full)
    _leaf_hashes(await log.leaves(full << TILE_HEIGHT, present.size + 1), full << TILE_HEIGHT, present.size)
    return tree


async def prove_leaf_tiles(log: LogReader, first: int, end: int) -> None:
    """Proves that entries, their columns and the full tiles above them agree. Raises CustodyError."""
    start = first
    while start < end:
        stop = min(start + _TILES_A_READ, end)
        rows = await log.leaves(start << TILE_HEIGHT, stop << TILE_HEIGHT)
        if len(rows) < (stop - start) << TILE_HEIGHT and (gone := await _proved_pruned(log)) > start:
            stop = min(stop, gone)
            # No leaves are left to hash here. What they hashed to still leads to the tiles above.
            kept = await log.tiles([TileId(0, index) for index in range(start, stop)])
            await _prove_tiles(log, 0, start, [kept[TileId(0, index)] for index in range(start, stop)])
            start = stop
            continue
        hashes = _leaf_hashes(rows, start << TILE_HEIGHT, stop << TILE_HEIGHT)
        width = TILE_WIDTH * HASH_LENGTH
        pieces = [hashes[at : at + width] for at in range(0, len(hashes), width)]
        await _prove_tiles(log, 0, start, pieces)
        start = stop


async def _proved_pruned(log: LogReader) -> int:
    """How many tiles of leaves are gone as an entry of the log says they are: 0 where none does.

    Raises CustodyError where the store says so and the log does not.
    """
    pruned = await log.pruned()
    if pruned is None:
        return 0
    row = pruned.said_by
    if row is None or not _agrees(row) or not says_pruned(row.leaf, pruned.end):
        raise CustodyError(f"no entry of the log says that the entries up to {pruned.end} were pruned")
    tile = TileId(0, row.index >> TILE_HEIGHT)
    at = row.index % TILE_WIDTH * HASH_LENGTH
    if (await log.tiles([tile]))[tile][at : at + HASH_LENGTH] != leaf_hash(row.leaf):
        raise CustodyError(f"the entry {row.index}, which says what was pruned, is not the one of the log")
    return pruned.end >> TILE_HEIGHT


def _present(notary: Notary, head: Head) -> TreeHead:
    """What the head's checkpoint says, which is of the head's size."""
    present = notary.open(head.checkpoint) if head.checkpoint else TreeHead(0, EMPTY_ROOT)
    if present.size != head.size:
        raise CustodyError(f"the head has size {head.size}, its checkpoint {present.size}")
    return present


async def prove_released(log: LogReader, notary: Notary, head: Head, last_released: str | None) -> None:
    """Proves that the stored log contains the tree of a checkpoint that was kept outside; None is a file
    that is not there. Raises CustodyError."""
    present = _present(notary, head)
    if last_released is None:
        if present.size:
            raise CustodyError("the file that keeps the last released checkpoint is missing")
        return
    released = notary.open(last_released)
    if released.size > present.size:
        raise CustodyError(
            f"the database holds {present.size} entries, and a checkpoint over {released.size} was released:"
            " it has been rolled back"
        )
    if (await load_tree(log, released.size)).root() != released.root:
        raise CustodyError("the stored tree does not lead to the root of the last released checkpoint")


async def _prove_inner_tiles(log: LogReader, size: int) -> None:
    """Every full tile above the leaves holds the roots of the tiles below it."""
    level = 1
    while full := size >> (TILE_HEIGHT * (level + 1)):
        for index in range(full):
            below = await log.tile_roots(level - 1, index << TILE_HEIGHT, (index + 1) << TILE_HEIGHT)
            await _prove_tiles(log, level, index, [b"".join(below)])
        level += 1


async def _prove_tiles(log: LogReader, level: int, first: int, expected: Sequence[bytes]) -> None:
    """The stored full tiles from `first` on are the expected ones, and their roots are right."""
    wanted = [TileId(level, first + place) for place in range(len(expected))]
    stored = await log.tiles(wanted)
    roots = await log.tile_roots(level, first, first + len(expected))
    if len(roots) != len(expected):
        raise CustodyError(f"full tiles of level {level} are missing from {first} on")
    for tile, hashes, root in zip(wanted, expected, roots, strict=True):
        whole = len(hashes) == TILE_WIDTH * HASH_LENGTH
        if not whole or stored.get(tile) != hashes or tile_root(hashes) != root:
            raise CustodyError(f"the tile {level}/{tile.index} is not what the log below it hashes to")


def _leaf_hashes(rows: Sequence[LeafRow], first: int, end: int) -> bytes:
    """The hashes of a run of leaves, whose rows are all there and agree with them."""
    if [row.index for row in rows] != list(range(first, end)):
        raise CustodyError(f"the entries from {first} up to {end} are not all there, or there are others")
    for row in rows:
        if not _agrees(row):
            raise CustodyError(f"the row of entry {row.index} does not agree with the entry")
    return b"".join(leaf_hash(row.leaf) for row in rows)


def _agrees(row: LeafRow) -> bool:
    try:
        entry = orjson.loads(row.leaf)
    except ValueError:
        return False
    said = [entry.get(name) for name in ("id", "kind", "recorder", "caller", "intent_id")]
    intent_id = str(row.intent_id) if row.intent_id else None
    return said == [str(row.item_id), row.kind.name.lower(), row.recorder, row.caller, intent_id]

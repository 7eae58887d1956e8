"""The log in PostgreSQL: reading it, and the one session that appends to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from uuid import UUID

import asyncpg

from core import queries
from core.db import Connection, Pool
from core.entries import EntryKind
from core.merkle import HASH_LENGTH, leaf_hash
from services.ledger.custody import LeafRow, Pruned
from services.ledger.domain import (
    Batch,
    FencedError,
    Head,
    ItemsTakenError,
    Kept,
    Known,
    Shredding,
    StoreLostError,
)
from services.ledger.merkle import TILE_HEIGHT, TILE_WIDTH, TileId

Q = queries.load(__package__)

COMMIT_SECONDS = 10.0
ITEM_ID_KEY = "entry_item_id_key"


@contextmanager
def lost() -> Iterator[None]:
    """Whatever the database or the way to it does, is said as StoreLostError; never with the row's data."""
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise StoreLostError(f"the database: {type(error).__name__}") from error
    except (OSError, TimeoutError) as error:
        raise StoreLostError(f"the way to the database: {type(error).__name__}") from error


@contextmanager
def _taken() -> Iterator[None]:
    """An item's id that is there already is no fault of the database's."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name != ITEM_ID_KEY:
            raise
        raise ItemsTakenError from None


class PgLogStore:
    """The stored log."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def session(self) -> AsyncIterator[PgLogSession]:
        """A connection of its own; the sequencer's place, if it takes that, is given back at the end."""
        with lost():
            connection = await self._pool.acquire(timeout=COMMIT_SECONDS)
        try:
            with lost():
                await connection.execute(Q.session_settings)
            yield PgLogSession(connection)
        finally:
            # The sequencer's place and settings go before somebody else gets the connection.
            try:
                await connection.reset(timeout=COMMIT_SECONDS)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                with suppress(asyncpg.InterfaceError):  # Lost already: the pool has let go of it.
                    connection.terminate()
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                await self._pool.release(connection, timeout=COMMIT_SECONDS)

    async def head(self) -> Head:
        """Where the log stands."""
        with lost():
            return _head(await self._pool.fetchrow(Q.read_head))

    async def leaves(self, first: int, end: int) -> Sequence[LeafRow]:
        """The stored leaves from `first` up to, without, `end`, in order."""
        with lost():
            return [_leaf_row(row) for row in await self._pool.fetch(Q.find_leaves, first, end)]

    async def tiles(self, wanted: Collection[TileId]) -> Mapping[TileId, bytes]:
        """The hashes of tiles, as many as there are now; partial ones are made from what lies below."""
        levels = [tile.level for tile in wanted]
        indexes = [tile.index for tile in wanted]
        with lost():
            rows = await self._pool.fetch(Q.find_tiles, levels, indexes)
        tiles = {TileId(row["level"], row["idx"]): row["hashes"] for row in rows}
        for tile in wanted:
            if tile not in tiles:
                tiles[tile] = await self._partial_tile(tile)
        return tiles

    async def tile_roots(self, level: int, first: int, end: int) -> Sequence[bytes]:
        """The roots of the level's full tiles from `first` up to, without, `end`, in order."""
        with lost():
            rows = await self._pool.fetch(Q.tile_roots, level, first, end)
        return _unbroken([(row["idx"], row["root"]) for row in rows], first)

    async def kept(self, item_ids: Collection[UUID]) -> Mapping[UUID, Kept]:
        """The stored entries under these ids."""
        with lost():
            rows = await self._pool.fetch(Q.find_kept, list(item_ids))
        return {row["item_id"]: _kept(row) for row in rows}

    async def open_intents(
        self, recorder: str, older_than: datetime, limit: int
    ) -> Sequence[tuple[UUID, bytes, bytes | None]]:
        """Item id, leaf and sealed opening of the recorder's intents without outcome, oldest first."""
        with lost():
            rows = await self._pool.fetch(Q.list_open_intents, recorder, older_than, limit)
        return [(row["item_id"], row["leaf"], row["sealed"]) for row in rows]

    async def tell_signer(
        self, signer: UUID, process: str, signs: Sequence[str], knows: Sequence[str]
    ) -> None:
        """Says which keys a process signs with, and which it accepts."""
        with lost():
            await self._pool.execute(Q.tell_signer, signer, process, list(signs), list(knows))

    async def forget_signer(self, signer: UUID) -> None:
        """Says that a process signs no more."""
        with lost():
            await self._pool.execute(Q.forget_signers, signer)

    async def approved_shreddings(self, limit: int) -> Sequence[Shredding]:
        """What was approved and is not in the log to its end, oldest first."""
        with lost():
            rows = await self._pool.fetch(Q.approved_shreddings, limit)
        return [
            Shredding(
                row["shredding_id"],
                row["batch"],
                row["item_ids"],
                row["reason"],
                row["asked_by"],
                row["approved_by"],
            )
            for row in rows
        ]

    async def carry_out(self, shredding: Shredding, intent_id: UUID) -> None:
        """Destroys the openings of a batch, for good and all or none; again, it changes nothing."""
        with lost():
            await self._pool.execute(
                Q.carry_out_shredding, shredding.shredding_id, shredding.batch, intent_id
            )

    async def shredding_recorded(self, shredding: Shredding) -> None:
        """Notes that the log holds the outcome."""
        with lost():
            await self._pool.execute(Q.shredding_recorded, shredding.shredding_id, shredding.batch)

    async def pruned(self) -> Pruned | None:
        """What is gone by the newest pruning; None where nothing ever went."""
        with lost():
            row = await self._pool.fetchrow(Q.newest_pruning)
        if row is None:
            return None
        return Pruned(row["end_idx"], None if row["idx"] is None else _leaf_row(row))

    async def pruned_for(self, item_id: UUID) -> str | None:
        """The caller of an entry that was pruned; None where none was under this id."""
        with lost():
            caller: str | None = await self._pool.fetchval(Q.find_pruned, item_id)
        return caller

    async def _partial_tile(self, tile: TileId) -> bytes:
        first = tile.index << TILE_HEIGHT
        if tile.level:
            return b"".join(await self.tile_roots(tile.level - 1, first, first + TILE_WIDTH))
        leaves = await self.leaves(first, first + TILE_WIDTH)
        hashes = [(row.index, leaf_hash(row.leaf)) for row in leaves]
        return b"".join(_unbroken(hashes, first))


class PgLogSession:
    """The session that appends; what it does ends with its connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def try_lead(self) -> bool:
        """Takes the sequencer's place, if nobody has it."""
        with lost():
            return bool(await self._connection.fetchval(Q.try_lead))

    async def stop_leading(self) -> None:
        """Lets go of the place, as a session does that ends."""
        with lost():
            await self._connection.execute(Q.stop_leading)

    async def take_epoch(self) -> Head:
        """Makes every earlier sequencer's writes impossible; the head after what they had committed."""
        with lost():
            return _head(await self._connection.fetchrow(Q.take_epoch))

    async def begin(self, epoch: int, checkpoint: str) -> None:
        """Keeps the checkpoint of the empty tree, with which a log begins. Raises FencedError."""
        with lost():
            done = await self._connection.execute(Q.begin_log, epoch, checkpoint)
        if done != "UPDATE 1":
            raise FencedError

    async def lead_beside(self) -> None:
        """Takes the place beside that of a session which does not end."""
        with lost():
            await self._connection.execute(Q.lead_beside)

    async def end_stale_leader(self, beat: int) -> bool:
        """Ends the session that has the place, if its beat is still this one and its process says nothing."""
        with lost():
            return bool(await self._connection.fetchval(Q.end_stale_leader, beat))

    async def head(self) -> Head:
        """Where the log stands."""
        with lost():
            return _head(await self._connection.fetchrow(Q.read_head))

    async def sign_head(self, epoch: int, size: int, checkpoint: str) -> None:
        """Keeps another signature of the same tree. Raises FencedError."""
        with lost():
            done = await self._connection.execute(Q.sign_head, epoch, size, checkpoint)
        if done != "UPDATE 1":
            raise FencedError

    async def beat(self, epoch: int) -> None:
        """Shows whoever stands by that this sequencer is at work. Raises FencedError."""
        with lost():
            done = await self._connection.execute(Q.beat, epoch)
        if done != "UPDATE 1":
            raise FencedError

    async def known(self, item_ids: Collection[UUID]) -> Mapping[UUID, Known]:
        """What the log holds under these ids."""
        with lost():
            rows = await self._connection.fetch(Q.find_known, list(item_ids))
        return {
            row["item_id"]: Known(EntryKind(row["kind"]), row["recorder"], row["digest"], row["open"])
            for row in rows
        }

    async def commit(self, epoch: int, batch: Batch) -> None:
        """Appends durably, all or nothing.

        Raises FencedError, ItemsTakenError, or StoreLostError: then it is not known whether it did.
        """
        entries, tiles = batch.entries, batch.tiles
        further = [(entry, index) for entry in entries for index in entry.further_indexes]
        with lost(), _taken():
            moved = await self._connection.fetchval(
                Q.append_batch,
                *(epoch, batch.first, batch.size, batch.checkpoint, batch.signed_at),
                [entry.item_id for entry in entries],
                [entry.kind.value for entry in entries],
                [entry.recorder for entry in entries],
                [entry.caller for entry in entries],
                [entry.intent_id for entry in entries],
                [entry.appended_at for entry in entries],
                [entry.leaf for entry in entries],
                [entry.sealed for entry in entries],
                [entry.digest for entry in entries],
                [entry.subject_index for entry in entries],
                [entry.index_version for entry in entries],
                [tile.id.level for tile in tiles],
                [tile.id.index for tile in tiles],
                [tile.hashes for tile in tiles],
                [tile.root for tile in tiles],
                batch.opened,
                batch.closed,
                [entry.item_id for entry, _ in further],
                [index for _, index in further],
                [entry.index_version for entry, _ in further],
            )
        if moved is None:
            raise FencedError


def _unbroken(numbered: Sequence[tuple[int, bytes]], first: int) -> list[bytes]:
    """The hashes up to the first gap: what comes after one belongs to another place."""
    return [one for place, (index, one) in enumerate(numbered) if index == first + place]


def _head(row: asyncpg.Record | None) -> Head:
    if row is None:
        raise StoreLostError("the log has no head: the migrations have not run")
    return Head(row["epoch"], row["size"], row["checkpoint"], row["beat"])


def _leaf_row(row: asyncpg.Record) -> LeafRow:
    return LeafRow(
        index=row["idx"],
        item_id=row["item_id"],
        kind=EntryKind(row["kind"]),
        recorder=row["recorder"],
        caller=row["caller"],
        intent_id=row["intent_id"],
        leaf=row["leaf"],
    )


def _kept(row: asyncpg.Record) -> Kept:
    return Kept(
        item_id=row["item_id"],
        index=row["idx"],
        tree_size=row["tree_size"],
        checkpoint=row["note"],
        kind=EntryKind(row["kind"]),
        recorder=row["recorder"],
        caller=row["caller"],
        intent_id=row["intent_id"],
        leaf=row["leaf"],
        sealed=row["sealed"],
        subject_index=row["subject_index"],
    )


assert HASH_LENGTH * TILE_WIDTH == 8192  # as the table's check says

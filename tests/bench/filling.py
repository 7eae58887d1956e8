"""Fills a log fast: rows as the ledger would have written them, made on every core, by COPY in binary form.

Each entry has its leaf, its opening and its place under real tiles; each fifty share a signed checkpoint, as
under load. A ledger that starts on it proves it like any other, and an audit finds nothing.
"""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from struct import Struct

import asyncpg

from core.merkle import HASH_LENGTH, leaf_hash
from core.vault import Vault
from services.ledger.checkpoint import CheckpointNotary
from services.ledger.custody import load_tree
from services.ledger.domain import TreeHead
from services.ledger.entry import Opening, leaf_bytes
from services.ledger.merkle import Tree
from services.ledger.released import LastReleasedFile
from services.ledger.service import SEALED
from services.ledger.store import PgLogStore
from tests.bench.appender import entry

BATCH = 50
"""So many entries share a checkpoint, as under load."""
CHUNK = 1_024 * BATCH
RECORDER = b"licence"

ENTRY_COLUMNS = (
    *("idx", "item_id", "tree_size", "kind", "recorder", "caller"),
    *("intent_id", "appended_at", "leaf"),
)
OPENING_COLUMNS = ("item_id", "sealed", "digest", "subject_index", "index_version")

# PostgreSQL's binary COPY: a header, rows of counted fields (-1 for null), and a row of -1 fields.
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_ENTRY = Struct("!hiqi16siqih")
_TIME = Struct("!iq")
_OPENING = Struct("!hi16s")
_LENGTH = Struct("!i")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Made:
    """Some entries that follow each other: their leaves' hashes, and both tables' rows for COPY."""

    hashes: bytes
    entries: bytes
    openings: bytes


Maker = Callable[[int, int, datetime], Awaitable[Made]]
"""Makes the entries from a place on, so many of them, of a log that is filled since a moment."""


class _Fresh:
    """Random bytes, asked of the system a megabyte at a time: a call for each few costs more than they do."""

    def __init__(self) -> None:
        self._bytes, self._at = b"", 0

    def take(self, count: int) -> bytes:
        """The next so many."""
        if self._at + count > len(self._bytes):
            self._bytes, self._at = os.urandom(1 << 20), 0
        self._at += count
        return self._bytes[self._at - count : self._at]


def make(vault: Vault, first: int, count: int, began: datetime) -> Made:
    """The entries `first` to `first + count - 1`. Their times follow `began`, a microsecond a batch."""
    hashes, entries, openings = [], [_HEADER], [_HEADER]
    fresh = _Fresh().take
    for start in range(first, first + count, BATCH):
        end = min(start + BATCH, first + count)
        moment = began + start // BATCH * _MICROSECOND
        at = _TIME.pack(8, (moment - _EPOCH) // _MICROSECOND)
        for index in range(start, end):
            item = entry(fresh)
            opening = Opening.of(item, fresh(32), fresh(32))
            leaf = leaf_bytes(item, opening, recorder=RECORDER.decode(), time=moment)
            hashes.append(leaf_hash(leaf))
            uuid = item.item_id.bytes
            row = _ENTRY.pack(len(ENTRY_COLUMNS), 8, index, 16, uuid, 8, end, 2, item.kind.value)
            names = _field(RECORDER) + _field(item.caller.encode())
            entries += (row, names, _NULL, at, _field(leaf))
            sealed = vault.seal(opening.to_bytes(), row=item.item_id, column=SEALED)
            row = _OPENING.pack(len(OPENING_COLUMNS), 16, uuid)
            openings += (row, _field(sealed), _field(fresh(32)), _NULL, _NULL)
    return Made(b"".join(hashes), b"".join((*entries, _TRAILER)), b"".join((*openings, _TRAILER)))


async def fill(
    owner: asyncpg.Connection,
    store: PgLogStore,
    notary: CheckpointNotary,
    released: LastReleasedFile,
    wanted: int,
    maker: Maker,
    *,
    say: Callable[[str], None] = lambda _: None,
    ahead: int = 4,
) -> int:
    """Makes a log that nobody appends to as long as `wanted`; its size.

    One that is broken off goes on from its head: a chunk is in the tables whole, or not at all.
    """
    await owner.execute("SET synchronous_commit = off")  # What a crash takes is made again.
    head = await store.head()
    tree, began, started = await load_tree(store, head.size), datetime.now(UTC), time.monotonic()
    note, due = head.checkpoint, head.size
    coming: deque[asyncio.Future[Made]] = deque()
    while tree.size < wanted:
        while due < wanted and len(coming) < ahead:
            count = min(CHUNK, wanted - due)
            coming.append(asyncio.ensure_future(maker(due, count, began)))
            due += count
        made = await coming.popleft()
        tree, note = await _write(owner, notary, tree, made, began)
        rate = (tree.size - head.size) / (time.monotonic() - started)
        say(f"{tree.size:,} of {wanted:,} entries are in the log, {rate:,.0f} a second")
    await owner.execute("SET synchronous_commit = on")
    if tree.size > head.size:
        await owner.execute("VACUUM (ANALYZE) ledger.entry, ledger.opening, ledger.tile, ledger.checkpoint")
        await released.keep(note)
    return tree.size


async def _write(
    owner: asyncpg.Connection, notary: CheckpointNotary, tree: Tree, made: Made, began: datetime
) -> tuple[Tree, str]:
    """A chunk into the tables, all or none; the tree with it, and its newest checkpoint."""
    leaves = [made.hashes[at : at + HASH_LENGTH] for at in range(0, len(made.hashes), HASH_LENGTH)]
    tiles, notes = [], []
    for place in range(0, len(leaves), BATCH):
        moment = began + tree.size // BATCH * _MICROSECOND
        tree, full = tree.grow(leaves[place : place + BATCH])
        notes.append((tree.size, notary.sign(TreeHead(tree.size, tree.root())), moment))
        tiles += [(one.id.level, one.id.index, one.hashes, one.root) for one in full]
        tree = tree.settled()
    async with owner.transaction():
        for table, rows, columns in (
            ("entry", made.entries, ENTRY_COLUMNS),
            ("opening", made.openings, OPENING_COLUMNS),
        ):
            await owner.copy_to_table(
                table, source=io.BytesIO(rows), schema_name="ledger", columns=columns, format="binary"
            )
        await owner.copy_records_to_table("tile", schema_name="ledger", records=tiles)
        await owner.copy_records_to_table("checkpoint", schema_name="ledger", records=notes)
        note = notes[-1][1]
        await owner.execute("UPDATE ledger.head SET size = $1, checkpoint = $2", tree.size, note)
    return tree, note


@contextmanager
def makers(open_vault: Callable[[], Vault]) -> Iterator[Maker]:
    """Processes that make entries, one a core; each opens the vault for itself."""
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, get_context("spawn"), _begin, (open_vault,)) as pool:

        async def maker(first: int, count: int, began: datetime) -> Made:
            return await asyncio.get_running_loop().run_in_executor(pool, _make, first, count, began)

        yield maker


_vaults: list[Vault] = []


def _begin(open_vault: Callable[[], Vault]) -> None:
    _vaults[:] = [open_vault()]


def _make(first: int, count: int, began: datetime) -> Made:
    return make(_vaults[0], first, count, began)


def _field(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data

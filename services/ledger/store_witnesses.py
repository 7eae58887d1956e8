"""Cosignatures and continuations in PostgreSQL, beside the log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from core.cosignature import Cosignature
from core.db import Pool
from services.ledger.continuation import Continuation, read_continuation
from services.ledger.store import Q, lost


class PgCosignatures:
    """What witnesses have signed."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def keep(self, size: int, made: Cosignature, line: str) -> None:
        """Keeps a proved cosignature of the checkpoint of this size; a later one of the same witness instead
        of an earlier one."""
        at = datetime.fromtimestamp(made.seconds, UTC)
        with lost():
            await self._pool.execute(Q.keep_cosignature, size, made.key.name, made.key.key_id, line, at)

    async def of(self, size: int) -> Sequence[str]:
        """The cosignature lines of the checkpoint of this size."""
        with lost():
            return [row["line"] for row in await self._pool.fetch(Q.find_cosignatures, size)]

    async def newest(self, larger_than: int, limit: int) -> Sequence[tuple[int, str, str]]:
        """Size, note and one cosignature line of the newest checkpoints that have any, newest first."""
        with lost():
            rows = await self._pool.fetch(Q.find_cosigned, larger_than, limit)
        return [(row["size"], row["note"], row["line"]) for row in rows]


class PgContinuations:
    """The logs that this one continues, as its own entries name them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def all(self) -> Mapping[UUID, Continuation]:
        """By the entry's id, oldest first."""
        with lost():
            rows = await self._pool.fetch(Q.list_continuations)
        return {row["item_id"]: read_continuation(row["leaf"]) for row in rows}

"""What documents of a template share, in PostgreSQL, so that a first answer can be given again."""

from __future__ import annotations

from collections import OrderedDict

from core import queries
from core.db import Pool

Q = queries.load(__package__)


_KEPT = 64
"""Plates kept in memory; one is 50 to 100 kB."""


class PgPlates:
    """Plates by their digests; they never change, and hold nobody's data. Those in use stay in memory."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._ready: OrderedDict[bytes, bytes] = OrderedDict()

    async def keep(self, sha256: bytes, content: bytes) -> None:
        """Keeps a plate by its digest; once, however often it is told."""
        await self._pool.execute(Q.keep_plate, sha256, content)
        self._hold(sha256, content)

    async def find(self, sha256: bytes) -> bytes | None:
        """A plate by its digest."""
        content = self._ready.get(sha256)
        if content is None:
            content = await self._pool.fetchval(Q.find_plate, sha256)
        if content is not None:
            self._hold(sha256, content)
        return content

    def _hold(self, sha256: bytes, content: bytes) -> None:
        self._ready[sha256] = content
        self._ready.move_to_end(sha256)
        if len(self._ready) > _KEPT:
            self._ready.popitem(last=False)

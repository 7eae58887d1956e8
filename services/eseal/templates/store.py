"""What documents of a template share, in PostgreSQL, so that a first answer can be given again."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta

from core import queries
from core.clock import Clock
from core.db import Pool, is_outage
from core.log import get_logger
from core.replies import KEPT

Q = queries.load(__package__)

_MARKED_FOR = timedelta(hours=1)
"""So long a plate counts as in use without being marked again."""
_UNUSED = 2 * KEPT
"""After so long nobody can ask for an answer that holds a plate: it was marked an hour before, at most."""
_SWEEP_SECONDS = 3600.0
_KEPT = 64
"""Plates kept in memory; one is 50 to 100 kB."""

_logger = get_logger()


class PgPlates:
    """Plates by their digests; they never change, and hold nobody's data. Those in use stay in memory."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._ready: OrderedDict[bytes, bytes] = OrderedDict()
        self._marked: dict[bytes, datetime] = {}
        self._marking = asyncio.Lock()

    async def keep(self, sha256: bytes, content: bytes) -> None:
        """Keeps a plate by its digest for as long as an answer that is made with it now may be given again;
        to be told before each. Once an hour that is written down."""
        if not self._is_marked(sha256):
            async with self._marking:
                if not self._is_marked(sha256):
                    began = self._clock()
                    await self._pool.execute(Q.keep_plate, sha256, content)
                    self._marked[sha256] = began
            self._hold(sha256, content)

    async def find(self, sha256: bytes) -> bytes | None:
        """A plate by its digest."""
        content = self._ready.get(sha256)
        if content is None:
            content = await self._pool.fetchval(Q.find_plate, sha256)
        if content is not None:
            self._hold(sha256, content)
        return content

    async def sweep(self) -> None:
        """Deletes the plates that no answer can need any more."""
        await self._pool.execute(Q.delete_unused_plates, _UNUSED)
        marked = self._marked
        self._marked = {sha256: at for sha256, at in marked.items() if self._is_marked(sha256)}

    async def sweep_forever(self) -> None:
        """The same again and again. Runs beside the server."""
        while True:
            try:
                await self.sweep()
            except Exception as error:
                if not is_outage(error):
                    _logger.exception("plates_not_swept")
            await asyncio.sleep(_SWEEP_SECONDS)

    def _is_marked(self, sha256: bytes) -> bool:
        at = self._marked.get(sha256)
        # By the wall clock, which goes on while a machine is suspended; one that was set back proves nothing.
        return at is not None and timedelta() <= self._clock() - at < _MARKED_FOR

    def _hold(self, sha256: bytes, content: bytes) -> None:
        self._ready[sha256] = content
        self._ready.move_to_end(sha256)
        if len(self._ready) > _KEPT:
            self._ready.popitem(last=False)

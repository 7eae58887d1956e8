"""What the witness has cosigned, in a file of its own (SQLite): no restore of a log's database reaches it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
from pathlib import Path
from typing import Self

from core import queries
from services.witness.domain import Seen

Q = queries.load(__package__)

BUSY_SECONDS = 3.0


class MemoryFileError(Exception):
    """The file cannot be used; the message says why."""


class SqliteMemory:
    """One row a log. A transaction is on disk when it returns."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()

    @classmethod
    def open(cls, path: Path) -> Self:
        """The memory in this file, which is made (0600) where there is none. Raises MemoryFileError."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            for statement in (Q.durable, Q.rollback_journal, Q.make_seen):
                connection.execute(statement)
        except (OSError, sqlite3.Error) as error:
            raise MemoryFileError(f"{path.name} cannot be used as the witness's memory: {error}") from None
        return cls(connection)

    async def find(self, origin: str) -> Seen | None:
        """The last checkpoint of a log that was cosigned."""
        return await self._read(Q.find_seen, origin)

    async def find_by_hash(self, digest: str) -> Seen | None:
        """The same, by the SHA-256 of the log's origin in hexadecimal."""
        return await self._read(Q.find_seen_by_hash, digest)

    async def replace(self, origin: str, old_size: int, new: Seen) -> bool:
        """Puts a checkpoint in place of the one of `old_size`; False where that is not there any more."""
        digest = hashlib.sha256(origin.encode()).hexdigest()
        row = (origin, digest, new.size, new.root, new.note, old_size)
        async with self._lock:
            changed = await asyncio.to_thread(lambda: self._connection.execute(Q.replace_seen, row).rowcount)
        return changed == 1

    async def close(self) -> None:
        """Closes the file."""
        async with self._lock:
            self._connection.close()

    async def _read(self, statement: str, key: str) -> Seen | None:
        async with self._lock:
            row = await asyncio.to_thread(lambda: self._connection.execute(statement, (key,)).fetchone())
        return Seen(*row) if row else None

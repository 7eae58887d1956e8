"""Rows that wait on disk, a file for each table, until the whole town has been made.

Then they are copied table after table: so the server meets one index at a time, which it can hold in memory,
where rows of all tables in turns would have it fetch and write back pages of all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from core.db import Connection
from deploy.town import pgcopy
from deploy.town.copying import Rows, Table

_PIECE = 1 << 20

Told = Callable[[int], None]
"""Called with the number of bytes that have been copied since the last call."""


class Spool:
    """The files of one process, in a folder that it makes for its owner alone, and removes.

    The rows lie in it as they will lie in the tables, identity payload sealed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Table, IO[bytes]] = {}
        self.rows = self.size = 0
        """How many rows have been added, and how many bytes they take."""

    def __enter__(self) -> Self:
        self._folder.mkdir(mode=0o700)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for table, file in self._files.items():
            file.close()
            self._path(table).unlink(missing_ok=True)
        self._folder.rmdir()

    def add(self, rows: Rows) -> None:
        """Takes rows whose every column has been given."""
        if not rows.count:
            return
        file = self._files.get(rows.table)
        if file is None:
            file = self._files[rows.table] = self._path(rows.table).open("w+b", buffering=_PIECE)
            file.write(pgcopy.HEADER)
        self.rows += rows.count
        self.size += file.write(rows.encoded())

    async def copy(self, connection: Connection, told: Told) -> None:
        """Copies everything; a file is gone when its table is done."""
        for table, file in self._files.items():
            file.write(pgcopy.TRAILER)
            file.seek(0)
            await connection.copy_to_table(
                table.name,
                schema_name=table.schema,
                columns=table.columns,
                source=_pieces(file, told),
                format="binary",
            )
            file.close()
            self._path(table).unlink()

    def _path(self, table: Table) -> Path:
        return self._folder / f"{table.schema}.{table.name}"


async def _pieces(file: IO[bytes], told: Told) -> AsyncIterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece
        told(len(piece))

"""A way to the database that breaks at a chosen moment."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

COMMIT = "— onestop.example/ledger".encode()
"""A signed checkpoint on its way to the database: the statement that appends and commits."""


class Break(Enum):
    """When the way breaks, once."""

    BEFORE_COMMIT = "before the server sees it"
    AFTER_COMMIT = "after the server has committed, before it can say so"


class Way:
    """Passes bytes between a port of its own and the database's socket."""

    def __init__(self, dsn: str) -> None:
        address = urlsplit(dsn)
        place = parse_qs(address.query)
        self._socket = Path(place["host"][0]) / f".s.PGSQL.{place['port'][0]}"
        self._address = address
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.next_break: Break | None = None
        self.breaks = 0
        self.hangs = False
        """Whether what is sent arrives nowhere, although every connection stays."""

    async def open(self) -> str:
        """The DSN that leads through here."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        login = self._address.netloc.rpartition("@")[0]
        return urlunsplit(self._address._replace(netloc=f"{login}@127.0.0.1:{port}", query="sslmode=disable"))

    async def close(self) -> None:
        """Breaks every connection and lets no more through."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_unix_connection(str(self._socket))
        pair = (writer, there_writer)
        self._writers.update(pair)
        broken = asyncio.Event()

        async def up() -> None:
            while data := await reader.read(1 << 16):
                if self.hangs:
                    continue
                wanted = self.next_break if COMMIT in data else None
                if wanted is not None:
                    self.next_break = None
                    self.breaks += 1
                    broken.set()
                if wanted is Break.BEFORE_COMMIT:
                    return
                there_writer.write(data)
                await there_writer.drain()

        async def down() -> None:
            while data := await there_reader.read(1 << 16):
                if broken.is_set():
                    return
                if self.hangs:
                    continue
                writer.write(data)
                await writer.drain()

        tasks = [asyncio.create_task(up()), asyncio.create_task(down())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await task
            for one in pair:
                self._writers.discard(one)
                one.transport.abort()

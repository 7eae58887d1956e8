"""A way to a part that can go wrong: slow, silent, refused, reset, dripping, or cut."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")

BLOCK = 1 << 16
DRIP_BYTES = 8
DRIP_SECONDS = 0.25
RESET_AFTER_BYTES = 4096
CLOSE_SECONDS = 5.0


class Trouble(Enum):
    """What befalls what travels on a way."""

    NONE = "none"
    SLOW = "slow"
    """Every piece arrives `Way.delay` seconds late."""
    SILENT = "silent"
    """Connections are taken and nothing passes any more, either way: packets that are dropped."""
    FORGOTTEN = "forgotten"
    """Connections that are open fall silent for ever, new ones are well: a machine that vanished and has a
    successor, or a firewall that lost its memory."""
    REFUSED = "refused"
    """Nobody listens, and what was connected is closed."""
    RESETTING = "resetting"
    """Each connection is reset once it has carried a few kilobytes."""
    DRIPPING = "dripping"
    """Answers come a few bytes at a time."""


class Way:
    """Passes bytes between a port of its own and another one, in a thread of its own.

    `trouble` may be set at any time; it holds for connections that are open as well.
    """

    def __init__(self, port: int, *, delay: float = 0.5) -> None:
        self.delay = delay
        self._target = port
        self._trouble = Trouble.NONE
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"way to {port}", daemon=True)
        self._clear = asyncio.Event()
        self._over = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._forgotten: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    def __enter__(self) -> Way:
        self._clear.set()
        self._thread.start()
        self.port = self._do(self._listen(0))
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def trouble(self) -> Trouble:
        """What befalls it now."""
        return self._trouble

    @trouble.setter
    def trouble(self, trouble: Trouble) -> None:
        self._do(self._turn(trouble))

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        done: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return done.result(10.0)

    async def _listen(self, port: int) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def _turn(self, trouble: Trouble) -> None:
        was, self._trouble = self._trouble, trouble
        if trouble is Trouble.SILENT:
            self._clear.clear()
        else:
            self._clear.set()
        if trouble is Trouble.FORGOTTEN:
            self._forgotten |= self._writers
        if trouble is Trouble.REFUSED:
            self._stop_listening()
            self._break_all()
        elif was is Trouble.REFUSED:
            await self._listen(self.port)

    async def _close(self) -> None:
        self._clear.set()
        self._over.set()
        self._trouble = Trouble.NONE
        self._stop_listening()
        self._break_all()
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=CLOSE_SECONDS)

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _break_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._clear.wait()
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, there_writer)
        self._writers.update(pair)
        carried = [0]
        tasks = [
            asyncio.create_task(self._carry(reader, there_writer, carried, answers=False)),
            asyncio.create_task(self._carry(there_reader, writer, carried, answers=True)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for one in pair:
                self._writers.discard(one)
                self._forgotten.discard(one)
                one.transport.abort()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        carried: list[int],
        *,
        answers: bool,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(BLOCK):
                await self._clear.wait()
                if writer in self._forgotten:
                    await self._over.wait()
                    return
                carried[0] += len(data)
                if self._trouble is Trouble.RESETTING and carried[0] > RESET_AFTER_BYTES:
                    return
                if self._trouble is Trouble.SLOW:
                    await asyncio.sleep(self.delay)
                if self._trouble is Trouble.DRIPPING and answers:
                    await self._drip(writer, data)
                    continue
                writer.write(data)
                await writer.drain()

    async def _drip(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        for at in range(0, len(data), DRIP_BYTES):
            writer.write(data[at : at + DRIP_BYTES])
            await writer.drain()
            if self._trouble is Trouble.DRIPPING:
                await asyncio.sleep(DRIP_SECONDS)
            await self._clear.wait()

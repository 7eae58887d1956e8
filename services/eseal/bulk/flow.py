"""What of a stream is in hand: as much as there is room for, each by itself, results as they come."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Generic, TypeVar

R = TypeVar("R")


class Flow(Generic[R]):
    """Work of one stream. Room is given back when a result has been handed on, so that a reader who takes
    none stops what is read.

    `take` waits for room; `results` gives what is done, some at a time, until `end` was said and all is.
    """

    def __init__(self, *, most: int, most_bytes: int, size_of: Callable[[R], int]) -> None:
        """`size_of` says how many bytes a result takes on its way."""
        self._size_of = size_of
        self._most = most
        self._most_bytes = most_bytes
        self._held = 0
        self._held_bytes = 0
        self._room = asyncio.Event()
        self._news = asyncio.Event()
        self._done: deque[tuple[R, int, int]] = deque()
        self._running: dict[asyncio.Task[R], Callable[[], bool]] = {}
        self._ended = False

    async def take(
        self, size: int, work: Callable[[], Coroutine[Any, Any, R]], may_drop: Callable[[], bool]
    ) -> None:
        """Starts a piece of work of so many bytes, once there is room; one alone may be of any size.

        `work` raises nothing. `may_drop` says whether it can still be left undone without a trace.
        """
        while self._held >= self._most or (self._held and self._held_bytes + size > self._most_bytes):
            self._room.clear()
            await self._room.wait()
        self._held += 1
        self._held_bytes += size
        task = asyncio.create_task(work())
        self._running[task] = may_drop
        task.add_done_callback(lambda done: self._finish(done, size))

    def end(self) -> None:
        """No more is taken."""
        self._ended = True
        self._news.set()

    async def results(self, *, most: int, most_bytes: int) -> AsyncIterator[list[R]]:
        """What is done, in the order in which it was: so many at a time, or of so many bytes. One alone may
        be of any size."""
        while True:
            while not self._done:
                if self._ended and not self._running:
                    return
                self._news.clear()
                await self._news.wait()
            batch: list[R] = []
            room = size = 0
            while self._done and len(batch) < most and (not batch or size + self._done[0][2] <= most_bytes):
                result, taken, large = self._done.popleft()
                batch.append(result)
                room, size = room + taken, size + large
            yield batch
            self._held -= len(batch)
            self._held_bytes -= room
            self._room.set()

    def abandon(self) -> list[asyncio.Task[R]]:
        """Leaves undone what can be; answers what goes on to its end."""
        self.end()
        going_on = []
        for task, may_drop in self._running.items():
            if may_drop():
                task.cancel()
            else:
                going_on.append(task)
        return going_on

    def _finish(self, task: asyncio.Task[R], size: int) -> None:
        del self._running[task]
        if not task.cancelled():
            result = task.result()
            self._done.append((result, size, self._size_of(result)))
        self._news.set()

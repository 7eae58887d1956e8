"""Coalescing: what arrives while a call is in flight goes together in the next one. No timers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """Sends items in batches, at most `slots` calls in flight, first come first served.

    Two slots keep both sides busy: one makes the next batch while the other answers the last.

    `send` takes the items and answers a result or an exception for each, in order: one bad item fails
    alone. An item whose caller has gone is left out if it has not been sent yet, and a call whose callers
    have all gone is called off. Each caller keeps its own deadline by cancelling its own wait.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Result | BaseException]]],
        *,
        slots: int = 2,
        largest: int = 256,
    ) -> None:
        self._send = send
        self._slots = slots
        self._largest = largest
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._flights: dict[asyncio.Task[None], Sequence[asyncio.Future[Result]]] = {}

    async def submit(self, item: Item) -> Result:
        """The item's own result, or its own error."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._launch()
        try:
            return await future
        except asyncio.CancelledError:
            self._call_off()
            raise

    def _call_off(self) -> None:
        for flight, aboard in self._flights.items():
            if aboard and all(future.done() for future in aboard):
                flight.cancel()

    def _launch(self) -> None:
        while self._waiting and len(self._flights) < self._slots:
            flight = asyncio.create_task(self._fly())
            self._flights[flight] = ()
            flight.add_done_callback(self._landed)

    def _landed(self, flight: asyncio.Task[None]) -> None:
        del self._flights[flight]
        if not flight.cancelled():
            flight.result()
        self._launch()

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        taken: list[tuple[Item, asyncio.Future[Result]]] = []
        while self._waiting and len(taken) < self._largest:
            item, future = self._waiting.popleft()
            if not future.done():
                taken.append((item, future))
        return taken

    async def _fly(self) -> None:
        taken = self._take()
        if not taken:
            return
        flight = asyncio.current_task()
        assert flight is not None
        self._flights[flight] = [future for _, future in taken]
        try:
            results = await self._send([item for item, _ in taken])
            if len(results) != len(taken):
                # Else some would wait for ever, and none could be sure that its result is its own.
                raise RuntimeError(f"{len(taken)} items were sent and {len(results)} results came back")
        except Exception as failure:
            for _, future in taken:
                if not future.done():
                    future.set_exception(failure)
            return
        except BaseException:
            for _, future in taken:
                future.cancel()
            raise
        for (_, future), result in zip(taken, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)

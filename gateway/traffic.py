"""Requests in hand: counted, so that a stop can wait for them, bodies that are still arriving included."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Traffic:
    """The requests of the outer listeners. Once they are to end, each connection ends with its answer."""

    def __init__(self) -> None:
        self.ending = False
        self._in_hand = 0
        self._none = asyncio.Event()
        self._none.set()

    @contextmanager
    def one(self) -> Iterator[None]:
        """A request, from its headers to its answer."""
        self._in_hand += 1
        self._none.clear()
        try:
            yield
        finally:
            self._in_hand -= 1
            if not self._in_hand:
                self._none.set()

    async def ended(self, seconds: float) -> None:
        """Returns when nothing is in hand any more, or the time is up."""
        self.ending = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._none.wait()

"""Room for requests: so many in hand at each part, so many waiting for a place there, and none for long.

Without a bound a crowd would be taken in until memory ends, and every answer would come too late to be of
use. With one, what cannot be served is told so at once, and what is taken in is served (docs/faults.md).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from core.errors import Kind, LateError, ServiceError
from gateway.config import GatewayConfig
from gateway.metrics import Metrics

STANDING_SECONDS = 0.05
"""How long one may wait where a queue has not been empty for a while: it will not be soon, and who waits long
in it would only make everybody's answer later."""

BURST_SECONDS = 1.0
"""A queue that was empty within this time is a burst, which passes; it may be waited out in full."""

RETRY_SECONDS = 1.0

FEWEST_PLACES = 8
"""A part that is late with everything keeps so many places, by which it is found to be well again."""

SHRINK, GROW = 0.9, 0.25
"""What an answer that came too late does to the number of places, and one that came in time."""

PATIENT_SECONDS = 1.0
"""Whoever waited less says nothing about a part by being late."""


class OverloadedError(ServiceError):
    """As many requests as there is room for are in hand."""

    kind = Kind.UNAVAILABLE
    reason = "OVERLOADED"


class Gate:
    """The places at one part: first come, first served, and nobody waits longer than is of use.

    Where the part answers too late there are too many at it: the places become fewer with each late answer,
    and more again with each that is in time, up to the setting. Else a part that is slower than usual would
    work on what nobody waits for any more, and answer nobody.
    """

    def __init__(self, name: str, places: int, queue: int, longest_wait: float) -> None:
        self.name = name
        self.in_hand = 0
        self._most = places
        self._places = float(places)
        self._queue = queue
        self._longest = longest_wait
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._empty_at = time.monotonic()

    async def enter(self, seconds_left: float) -> None:
        """Takes a place, which `leave` gives back. Waits for one as long as is of use.

        Raises OverloadedError where there is none, LateError where the caller's own time is up first.
        """
        if self.in_hand < self.places:
            self.in_hand += 1
            return
        if len(self._waiting) >= self._queue:
            raise self._full()
        now = time.monotonic()
        if not self._waiting:
            self._empty_at = now
        patience = self._longest if now - self._empty_at < BURST_SECONDS else STANDING_SECONDS
        patience = min(patience, self._longest)
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(min(patience, max(seconds_left, 0.0))):
                await place
        except BaseException as failure:
            self._forget(place)
            if not isinstance(failure, TimeoutError):
                raise
            if seconds_left <= patience:
                raise LateError("the deadline passed before there was room", part="gateway") from None
            raise self._full() from None

    @property
    def places(self) -> int:
        """How many may be at the part at a time now."""
        return int(self._places)

    def leave(self, in_time: bool | None = None) -> None:
        """Gives a place back, to who waits longest. `in_time` says how the part has answered, if it tells."""
        self.in_hand -= 1
        if in_time is not None:
            fewest = min(FEWEST_PLACES, self._most)
            changed = self._places + GROW if in_time else self._places * SHRINK
            self._places = min(float(self._most), max(float(fewest), changed))
        while self._waiting and self.in_hand < self.places:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                self.in_hand += 1

    def _forget(self, place: asyncio.Future[None]) -> None:
        """Whoever goes while a place is handed over hands it on."""
        if place.done() and not place.cancelled():
            self.leave()
            return
        with suppress(ValueError):  # `leave` may have passed it over meanwhile.
            self._waiting.remove(place)

    def _full(self) -> OverloadedError:
        return OverloadedError(
            "more is asked than can be answered; try again shortly",
            part=self.name,
            retry_after=RETRY_SECONDS,
        )


class Admission:
    """A gate for each part, so that one which hangs fills its own and nobody else's; and a bound on the
    requests that are read at a time, of which one caller may hold half.
    """

    def __init__(self, config: GatewayConfig, metrics: Metrics) -> None:
        self._config = config
        self._metrics = metrics
        self._gates: dict[str, Gate] = {}
        self._held: Counter[str] = Counter()
        self._total = 0

    @contextmanager
    def held(self, caller: str) -> Iterator[None]:
        """Room to read one request of the caller while the context lasts. Raises OverloadedError."""
        most = self._config.most_requests
        if self._total >= most or self._held[caller] >= max(1, most // 2):
            self._shed("gateway")
            raise OverloadedError(
                "more is asked than can be read; try again shortly", part="gateway", retry_after=RETRY_SECONDS
            )
        self._total += 1
        self._held[caller] += 1
        try:
            yield
        finally:
            self._total -= 1
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]

    @asynccontextmanager
    async def place(self, part: str, seconds_left: float) -> AsyncIterator[None]:
        """A place at the part while the context lasts. Raises OverloadedError or LateError."""
        gate = self._gates.get(part)
        if gate is None:
            config = self._config
            gate = Gate(part, config.most_at_part, config.most_waiting, config.wait_seconds)
            self._gates[part] = gate
        try:
            await gate.enter(seconds_left)
        except ServiceError:
            self._shed(part)
            raise
        in_time: bool | None = None
        try:
            yield
            in_time = True
        except ServiceError as failure:
            if failure.kind is Kind.LATE and seconds_left >= PATIENT_SECONDS:
                in_time = False
            raise
        finally:
            gate.leave(in_time)

    def _shed(self, part: str) -> None:
        self._metrics.shed.labels(part).inc()

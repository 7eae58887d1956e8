"""How long a process's event loop was held up: a beat every few milliseconds that comes late tells of it.

It is told beside every answer to a health check, in the trailing metadata, and shown by the gateway's
`/metrics`: the longest delay of the last half minute to minute.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

EVERY = 0.005
"""Seconds between two beats. A delay that begins between them is told by so much too short at the most."""
HELD = 30.0
"""So long a delay is told at the least, in seconds; at the most twice as long."""
LOOP_DELAY = "loop-delay-ms"
"""The name in the trailing metadata; milliseconds with three decimals."""


class Heartbeat:
    """Beats on the running loop from `start` to `stop`. It costs some microseconds a beat."""

    def __init__(self) -> None:
        self._due = 0.0
        self._turned_at = 0.0
        self._recent = self._before = 0.0
        self._next: asyncio.TimerHandle | None = None

    @property
    def longest(self) -> float:
        """The longest delay of late, in seconds."""
        return max(self._recent, self._before)

    def start(self) -> None:
        """Begins, on the loop that runs."""
        self._due = self._turned_at = time.monotonic()
        self._beat()

    def stop(self) -> None:
        """Ends; what was noted stays."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def note(self, now: float) -> None:
        """Takes down that a beat came at this moment, which was due at `due`."""
        if now - self._turned_at >= HELD:
            self._before, self._recent, self._turned_at = self._recent, 0.0, now
        self._recent = max(self._recent, now - self._due)
        self._due = now + EVERY

    def _beat(self) -> None:
        self.note(time.monotonic())
        self._next = asyncio.get_running_loop().call_later(EVERY, self._beat)


class BeatingHealth(health.aio.HealthServicer):
    """The health of a server, with its loop's delay beside each answer."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        super().__init__()
        self._heartbeat = heartbeat

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthCheckResponse:
        """The state that was asked for."""
        context.set_trailing_metadata(((LOOP_DELAY, f"{1000 * self._heartbeat.longest:.3f}"),))
        answer: health_pb2.HealthCheckResponse = await super().Check(request, context)
        return answer


async def loop_delay(call: object) -> float | None:
    """What an answered health check said beside its answer, in seconds; None where it said nothing."""
    if not isinstance(call, grpc.aio.UnaryUnaryCall):
        return None
    for name, value in await call.trailing_metadata() or ():
        if name == LOOP_DELAY:
            try:
                return float(value) / 1000
            except ValueError:
                return None
    return None

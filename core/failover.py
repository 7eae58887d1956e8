"""A channel to several processes of a part, of which one leads: a call goes to that one, wherever it is.

Whoever does not lead answers UNAVAILABLE, and the next is asked; one that says nothing for a second is asked
on, and the next beside it. So only calls may go this way that do the same thing once however often they come.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import grpc
from grpc_health.v1 import health_pb2

SILENCE_SECONDS = 1.0
PAUSE_SECONDS = 0.2
TAKEOVER_SECONDS = 6.0
"""So long after the leader was lost, calls wait for the next one; after that they are refused at once."""
USUAL_SECONDS = 10.0

Call: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[Any, Any]"  # generic in its type stubs only


class Leader:
    """Which of the addresses answered last, and since when none has."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._last = 0
        self._lost_at: float | None = None

    def order(self) -> list[int]:
        """All of them, the one that answered last first."""
        return [(self._last + step) % self._count for step in range(self._count)]

    def answered(self, number: int) -> None:
        """This one leads."""
        self._last = number
        self._lost_at = None

    def lost_its_place(self) -> None:
        """The one that answered last does not lead any more: the next one is asked first."""
        self._last = (self._last + 1) % self._count

    def lost(self) -> bool:
        """None leads; whether it is too long since one did for waiting."""
        if self._lost_at is None:
            self._lost_at = time.monotonic()
        return time.monotonic() - self._lost_at > TAKEOVER_SECONDS


class FailoverCall(grpc.aio.UnaryUnaryMultiCallable[Any, Any]):
    """One method of the part, at whichever address leads."""

    def __init__(self, calls: Sequence[Call], leader: Leader, leads: Callable[[Any], bool]) -> None:
        self._calls = calls
        self._leader = leader
        self._leads = leads

    async def __call__(self, request: Any, *, timeout: float | None = None, **options: Any) -> Any:  # type: ignore[override]
        """The answer. Raises the AioRpcError of whoever refused for another reason than not leading,
        UNAVAILABLE where none leads, DEADLINE_EXCEEDED where the time is over."""
        until = time.monotonic() + (USUAL_SECONDS if timeout is None else timeout)
        flights: dict[asyncio.Task[Any], int] = {}
        waiting = deque(self._leader.order())
        refusal: Any = None
        try:
            while True:
                if waiting:
                    number = waiting.popleft()
                    left = max(0.0, until - time.monotonic())
                    flights[asyncio.ensure_future(self._ask(number, request, left, options))] = number
                pause = SILENCE_SECONDS if waiting else PAUSE_SECONDS
                done, _ = await asyncio.wait(flights, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                for flight in done:
                    number = flights.pop(flight)
                    answer = flight.result()
                    if not isinstance(answer, grpc.aio.AioRpcError) and self._leads(answer):
                        self._leader.answered(number)
                        return answer
                    refusal = answer
                if waiting or (flights and refusal is None):
                    continue
                if refusal is not None and (self._leader.lost() or time.monotonic() + PAUSE_SECONDS > until):
                    return _given(refusal)
                if flights:
                    await asyncio.wait(flights, timeout=PAUSE_SECONDS)
                else:
                    await asyncio.sleep(PAUSE_SECONDS)
                waiting.extend(one for one in self._leader.order() if one not in flights.values())
        finally:
            for flight in flights:
                flight.cancel()

    async def _ask(self, number: int, request: Any, left: float, options: dict[str, Any]) -> Any:
        """The answer, or the error of one that does not lead."""
        try:
            return await self._calls[number](request, timeout=left, **options)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return error


def _given(answer: Any) -> Any:
    if isinstance(answer, grpc.aio.AioRpcError):
        raise answer
    return answer


class FailoverChannel(grpc.aio.Channel):
    """The addresses of a part as one channel. Its calls are unary."""

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        self._channels = channels
        self._leader = Leader(len(channels))

    def unary_unary(self, method: str, *serializers: Any, **options: Any) -> FailoverCall:
        """A method of the part."""
        calls = [one.unary_unary(method, *serializers, **options) for one in self._channels]
        return FailoverCall(calls, self._leader, _leads)

    def ask_another(self) -> None:
        """Whoever answered has said in its answer that it does not lead."""
        self._leader.lost_its_place()

    async def close(self, grace: float | None = None) -> None:
        """Closes all of them."""
        for one in self._channels:
            await one.close(grace)

    async def __aenter__(self) -> FailoverChannel:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """The best state of all."""
        states = {one.get_state(try_to_connect) for one in self._channels}
        best = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.CONNECTING)
        return next((state for state in best if state in states), states.pop())

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Not for several addresses."""
        raise NotImplementedError

    async def channel_ready(self) -> None:
        """Returns when one of them is connected."""
        ready = [asyncio.ensure_future(one.channel_ready()) for one in self._channels]
        await asyncio.wait(ready, return_when=asyncio.FIRST_COMPLETED)
        for one in ready:
            one.cancel()

    def unary_stream(self, *_: Any, **__: Any) -> Any:
        """Not for several addresses."""
        raise NotImplementedError

    stream_unary = stream_stream = unary_stream


def _leads(answer: Any) -> bool:
    """Whoever answers leads; of a health check, whoever says that it serves."""
    if isinstance(answer, health_pb2.HealthCheckResponse):
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
    return True

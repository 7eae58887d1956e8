"""`eseal.lag`: how long the seal service keeps others waiting while it seals.

A health check goes to the service every few milliseconds, over a connection of its own: once while nothing
happens, once while documents are uploaded and sealed without pause. The longest wait is more than the event
loop was ever blocked: the way there and back, and turns of the loop before its own, count too. `loop` is what
the service's own heartbeat says of its loop (`core/heartbeat.py`), made longer by the time between two beats.
The service's own process is held to one core, which its workers keep out of.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

import grpc
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2

from core.heartbeat import EVERY as BEAT
from core.heartbeat import loop_delay
from core.rpc import channel
from deploy.local.pki import PROBER
from deploy.local.probe import CHECK, READ, WRITE
from tests.bench.bulk import on_one_core
from tests.bench.callers import address_of, peer_config, processes_of
from tests.bench.figures import LESS_IS_BETTER, Figure, Goal, median, paired
from tests.bench.ground import Bench
from tests.bench.load import Load
from tests.bench.load import run as ask
from tests.bench.seals import own_side

NAME = "eseal.lag"
CONNECTIONS = 8
EVERY = 0.005
"""Seconds between two checks."""
GOAL = Goal(LESS_IS_BETTER, 20.0)
Check = grpc.aio.UnaryUnaryMultiCallable[Message, health_pb2.HealthCheckResponse]
_ASKED = health_pb2.HealthCheckRequest()


@dataclass
class Waits:
    """How long checks waited, in milliseconds."""

    all: list[float] = field(default_factory=list)
    loop: float = 0.0
    """So long the loop was blocked at the most, by its own heartbeat."""

    @property
    def longest(self) -> float:
        """Of all of them."""
        return max(self.all)

    @property
    def p99(self) -> float:
        """What one in a hundred waits longer than."""
        return sorted(self.all)[int(len(self.all) * 0.99)]


def measure(bench: Bench) -> Iterable[Figure]:
    """Each round of checks among sealing beside a round without."""
    side = own_side(bench)
    idle, busy, loads = list[Waits](), list[Waits](), list[Load]()
    with on_one_core(bench.city):
        for number in range(bench.rounds):
            bench.say(f"{NAME}, round {number + 1} of {bench.rounds}")
            job = replace(side.job(), connections=CONNECTIONS, seconds=bench.seconds)
            quiet, loud, load = asyncio.run(
                _round(bench, partial(ask, job, partial(processes_of, bench.city)))
            )
            if load.failed or not load.answer.requests:
                raise SystemExit(f"not every document was sealed: {load.answer.errors}")
            idle.append(quiet)
            busy.append(loud)
            loads.append(load)
    alone = median(f"{NAME}.idle.p99", [one.p99 for one in idle], "ms")
    return [
        alone,
        paired(f"{NAME}.p99", [one.p99 for one in busy], alone, "ms"),
        median(f"{NAME}.loop", [one.loop for one in busy], "ms", GOAL),
        median(f"{NAME}.longest", [one.longest for one in busy], "ms"),
        median(f"{NAME}.idle.longest", [one.longest for one in idle], "ms"),
        median(f"{NAME}.sealed", [load.throughput for load in loads], "/s"),
    ]


async def _round(bench: Bench, seal: partial[Load]) -> tuple[Waits, Waits, Load]:
    """Checks while nothing happens, then until the load has ended."""
    async with channel(
        peer_config(bench.city.settings.pki, PROBER, eseal=address_of(bench.city, "eseal")), "eseal"
    ) as way:
        check = way.unary_unary(CHECK, request_serializer=WRITE, response_deserializer=READ)
        quiet = await _checked(check, asyncio.create_task(asyncio.sleep(bench.seconds)))
        sealing = asyncio.create_task(asyncio.to_thread(seal))
        loud = await _checked(check, sealing)
        return quiet, loud, await sealing


async def _checked(check: Check, until: asyncio.Task[object]) -> Waits:
    """Checks at their times, one after another, until a task has ended."""
    waits = Waits()
    await check(_ASKED)
    while not until.done():
        began = time.perf_counter()
        await check(_ASKED)
        took = time.perf_counter() - began
        waits.all.append(took * 1000)
        await asyncio.sleep(max(0.0, EVERY - took))
    last = check(_ASKED)
    await last
    if (delay := await loop_delay(last)) is None:
        raise SystemExit(f"{NAME}: the seal service says nothing of its loop")
    waits.loop = 1000 * (delay + BEAT)
    return waits

"""Calls one by one straight at the seal service, as the gateway makes them, its process on one core.

Mutual TLS, token, permission, the intent, signed, stored, the outcome, the whole file in the answer. So many
callers ask without pause; each has one call under way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

import grpc
from onestop.common.v1 import context_pb2

from core.rpc import channel
from tests.bench.bulk import WATCHED, on_one_core, spent
from tests.bench.callers import address_of, peer_config, thumbprint
from tests.bench.figures import Figure, Goal, median, paired
from tests.bench.ground import Bench
from tests.bench.seals import PEER, PeerJob, run_peer
from tests.bench.sm2 import one_core
from tests.city import City
from tests.story import MATTER, Json, cast_of, platform_of

Ask = Callable[[int], Awaitable[None]]
"""Makes the call of this number; raises where it is not answered as it should be."""


@dataclass
class Singles:
    """What a round did: how long each call took, in seconds, the shortest first; processor time a call."""

    times: list[float] = field(default_factory=list)
    cpu: Mapping[str, float] = field(default_factory=dict)


async def round_of(
    bench: Bench, name: str, at_once: int, asking: Callable[[grpc.aio.Channel], Ask]
) -> Singles:
    """Calls that were answered within the round."""
    done = Singles()
    config = peer_config(bench.city.settings.pki, "gateway", eseal=address_of(bench.city, "eseal"))
    async with channel(config, "eseal") as way:
        ask, numbers = asking(way), count()
        await asyncio.gather(*(ask(next(numbers)) for _ in range(2)))
        before, ends = spent(bench.city), time.perf_counter() + bench.seconds

        async def go_on() -> None:
            while (began := time.perf_counter()) < ends:
                await ask(next(numbers))
                if (now := time.perf_counter()) <= ends:
                    done.times.append(now - began)

        await asyncio.gather(*(go_on() for _ in range(at_once)))
        after = spent(bench.city)
    if not done.times:
        raise SystemExit(f"{name}: nothing was answered within {bench.seconds} s")
    done.times.sort()
    done.cpu = {part: (after[part] - before[part]) * 1e6 / len(done.times) for part in WATCHED}
    return done


def beside_peer(
    bench: Bench,
    name: str,
    steps: Mapping[int, Goal | None],
    asking: Callable[[grpc.aio.Channel], Ask],
    peer_job: PeerJob,
) -> Iterable[Figure]:
    """Each step's rounds, each beside one of pyHanko's `sign_pdf` on one core."""
    for at_once, goal in steps.items():
        ours, theirs = list[Singles](), list[float]()
        for number in range(bench.rounds):
            bench.say(f"{name}, {at_once} at once, round {number + 1} of {bench.rounds}")
            with on_one_core(bench.city):
                ours.append(asyncio.run(round_of(bench, name, at_once, asking)))
            with one_core():
                theirs.append(run_peer(peer_job).throughput)
        peer = median(f"{PEER}.c{at_once}.throughput", theirs, "/s a core")
        step = f"{name}.c{at_once}"
        yield peer
        yield paired(f"{step}.throughput", [len(one.times) / bench.seconds for one in ours], peer, "/s", goal)
        yield median(f"{step}.p50", [1000 * one.times[len(one.times) // 2] for one in ours], "ms")
        yield median(f"{step}.p99", [1000 * one.times[len(one.times) * 99 // 100] for one in ours], "ms")
        for part in WATCHED:
            yield median(f"{step}.cpu.{part}", [one.cpu[part] for one in ours], "µs/call")


def credential_of(city: City) -> context_pb2.Credential:
    """The approval platform's, as the gateway relays it."""
    with platform_of(city) as proved:
        token = proved.token
    return context_pb2.Credential(token=token, certificate_thumbprint=thumbprint(city, "approval-platform"))


def context_for(city: City, number: int, request_id: str = "") -> context_pb2.RequestContext:
    """A case of the office's."""
    office: Json = cast_of(city)["office"]
    context = context_pb2.RequestContext(
        office=office["code"], operator="clerk-017", purpose="个体工商户设立登记", request_id=request_id
    )
    context.basis.kind = context_pb2.BASIS_KIND_MATTER
    context.basis.matter_code, context.basis.case_number = MATTER, f"BENCH-{number:08d}"
    return context


def seal_for(city: City, seals: Sequence[Json], kind: str) -> str:
    """An official seal in force for documents of this media type."""
    fitting = [one["id"] for one in seals if one["state"] == "in_force" and one["document_type"] == kind]
    if not fitting:
        raise SystemExit(f"the office has no seal for {kind}")
    return str(fitting[0])

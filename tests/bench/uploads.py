"""`eseal.upload`: any uploaded PDF gets a visible seal, beside pyHanko's `sign_pdf` on the same files.

As `eseal.pdf`, but asked of the seal service itself, as the gateway asks it: mutual TLS, token, laid out, the
intent, signed, stored, the outcome, PAdES B-B with P-256. The signing process is held to one core, and so is
pyHanko's, which keeps no record and asks nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from uuid import uuid4

from onestop.common.v1 import context_pb2
from onestop.eseal.v1 import eseal_pb2 as pb
from onestop.eseal.v1 import eseal_pb2_grpc as pb_grpc

from cli.demo.client import Caller
from core.rpc import channel
from tests.bench.bulk import on_one_core
from tests.bench.callers import address_of, peer_config, thumbprint
from tests.bench.figures import MORE_IS_BETTER, Figure, Goal, median, paired
from tests.bench.ground import Bench
from tests.bench.seals import documents_in, folder_of, peer_job_for, run_peer
from tests.bench.sm2 import one_core
from tests.city import City
from tests.story import MATTER, Json, cast_of, platform_of

NAME = "eseal.upload"
PEER = "peer.pyhanko.sign_pdf"
STEPS = (1, 8)
GOAL_STEP = 8
GOAL_TIMES = 5.0


def measure(bench: Bench) -> Iterable[Figure]:
    """Each round of ours beside one of pyHanko's on the same files."""
    documents = documents_in(folder_of(bench))
    peer_job = peer_job_for(bench.city, folder_of(bench), bench.seconds)
    requests = _requests(bench.city, documents)
    figures: list[Figure] = []
    for at_once in STEPS:
        ours, theirs = list[list[float]](), list[float]()
        for number in range(bench.rounds):
            bench.say(f"{NAME}, {at_once} at once, round {number + 1} of {bench.rounds}")
            with on_one_core(bench.city):
                ours.append(asyncio.run(_round(bench, requests, at_once)))
            with one_core():
                theirs.append(run_peer(peer_job).throughput)
        peer = median(f"{PEER}.c{at_once}.throughput", theirs, "/s a core")
        rates = [len(one) / bench.seconds for one in ours]
        goal = Goal(MORE_IS_BETTER, GOAL_TIMES, of_ratio=True) if at_once == GOAL_STEP else None
        name = f"{NAME}.c{at_once}"
        figures += [
            peer,
            paired(f"{name}.throughput", rates, peer, "/s", goal),
            median(f"{name}.p50", [1000 * one[len(one) // 2] for one in ours], "ms"),
            median(f"{name}.p99", [1000 * one[len(one) * 99 // 100] for one in ours], "ms"),
        ]
    return figures


async def _round(bench: Bench, requests: Sequence[pb.SignDocumentRequest], at_once: int) -> list[float]:
    """How long each call took that was answered within the round, in seconds, the shortest first."""
    times: list[float] = []
    config = peer_config(bench.city.settings.pki, "gateway", eseal=address_of(bench.city, "eseal"))
    async with channel(config, "eseal") as way:
        stub = pb_grpc.EsealServiceStub(way)
        await asyncio.gather(*(_seal(stub, request) for request in requests[:2]))
        numbers, ends = count(), time.perf_counter() + bench.seconds

        async def ask() -> None:
            while (began := time.perf_counter()) < ends:
                await _seal(stub, requests[next(numbers) % len(requests)])
                if (now := time.perf_counter()) <= ends:
                    times.append(now - began)

        await asyncio.gather(*(ask() for _ in range(at_once)))
    if not times:
        raise SystemExit(f"{NAME}: nothing was sealed within {bench.seconds} s")
    return sorted(times)


async def _seal(stub: pb_grpc.EsealServiceAsyncStub, request: pb.SignDocumentRequest) -> None:
    """One document, under a key of its own."""
    fresh = pb.SignDocumentRequest()
    fresh.CopyFrom(request)
    fresh.context.request_id = str(uuid4())
    sealed = await stub.SignDocument(fresh, timeout=30)
    if not sealed.document.startswith(request.document):
        raise SystemExit(f"{NAME}: what came back is another document")


def _requests(city: City, documents: Sequence[Path]) -> list[pb.SignDocumentRequest]:
    office: Json = cast_of(city)["office"]
    with Caller(city.machines, city.settings.pki, "approval-platform") as platform:
        found = platform.get("/approval/v1/seals", office=office["code"])["seals"]
    seal = next(one["id"] for one in found if one["state"] == "in_force" and "审批" in one["name"])
    with platform_of(city) as proved:
        token = proved.token
    credential = context_pb2.Credential(
        token=token, certificate_thumbprint=thumbprint(city, "approval-platform")
    )
    requests = []
    for number, path in enumerate(documents):
        context = context_pb2.RequestContext(
            office=office["code"], operator="clerk-017", purpose="个体工商户设立登记"
        )
        context.basis.kind = context_pb2.BASIS_KIND_MATTER
        context.basis.matter_code, context.basis.case_number = MATTER, f"BENCH-{number:08d}"
        requests.append(
            pb.SignDocumentRequest(
                credential=credential, context=context, seal_id=seal, document=path.read_bytes()
            )
        )
    return requests

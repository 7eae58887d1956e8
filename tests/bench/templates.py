"""`eseal.template`: a decision letter filled and sealed by one call for each, as PDF and as OFD.

`single` is the gateway's call to the seal service, `SignTemplate`, the signing process on one core
(`singles.py`): record, intent and outcome, PAdES B-B with P-256, beside pyHanko's `sign_pdf` on its
files (`seals.py`), which fills nothing. `public` is the same through the whole city, `ofd` with SM2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from uuid import uuid4

import grpc
from onestop.eseal.v1 import template_pb2 as pb
from onestop.eseal.v1 import template_pb2_grpc as pb_grpc

from cli.demo.client import Caller
from tests.bench.callers import job_of, processes_of, write_bodies
from tests.bench.client import Job
from tests.bench.figures import MORE_IS_BETTER, Figure, Goal, median
from tests.bench.ground import Bench
from tests.bench.load import Load
from tests.bench.load import run as ask
from tests.bench.seals import (
    PeerAnswer,
    bench_case,
    documents_in,
    figures_of,
    folder_of,
    peer_job_for,
    run_peer,
)
from tests.bench.singles import Ask, beside_peer, context_for, credential_of, seal_for
from tests.city import City
from tests.story import Json, cast_of

STEPS = (1, 8)
SINGLE_STEPS = {1: None, 8: None, 32: Goal(MORE_IS_BETTER, 10.0, of_ratio=True)}
"""What `sign_pdf` does, at the least so many times."""
BODIES = 64
TEMPLATE = "permit_decision"
FIELDS = {
    "office_name": "武江区市场监督管理局",
    "applied_on": "2026-02-20",
    "permit_name": "食品经营许可",
    "legal_basis": "《食品经营许可和备案管理办法》第十二条",
    "valid_until": "2031-03-01",
    "decided_on": "2026-03-02",
}


def measure(bench: Bench) -> Iterable[Figure]:
    """Each step's rounds, those of PDF beside rounds of the peer's."""
    folder = folder_of(bench)
    documents_in(folder)
    peer_job = peer_job_for(bench.city, folder, bench.seconds)
    figures = list(beside_peer(bench, "eseal.template.single", SINGLE_STEPS, _asking(bench), peer_job))
    for connections in STEPS:
        loads, peers = list[Load](), list[PeerAnswer]()
        for number in range(bench.rounds):
            bench.say(f"eseal.template.public, {connections} connections, round {number + 1}")
            loads.append(_round(bench, _job(bench, "application/pdf"), connections))
            peers.append(run_peer(peer_job))
        figures += figures_of(f"eseal.template.public.c{connections}", loads, peers)
    for connections in STEPS:
        name = f"eseal.template.ofd.c{connections}"
        bench.say(name)
        job = _job(bench, "application/ofd")
        loads = [_round(bench, job, connections) for _ in range(bench.rounds)]
        figures += [
            median(f"{name}.throughput", [load.throughput for load in loads], "/s"),
            median(f"{name}.p50", [load.p50 for load in loads], "ms"),
            median(f"{name}.p99", [load.p99 for load in loads], "ms"),
            median(f"{name}.cpu", [load.cpu_served for load in loads], "µs/document"),
        ]
    return figures


def _round(bench: Bench, job: Job, connections: int) -> Load:
    load = ask(
        replace(job, connections=connections, seconds=bench.seconds), partial(processes_of, bench.city)
    )
    if load.failed or not load.answer.requests:
        raise SystemExit(f"not every template was filled: {load.answer.errors}")
    return load


def _asking(bench: Bench) -> Callable[[grpc.aio.Channel], Ask]:
    """One letter after another, each under a key of its own."""
    city = bench.city
    office: Json = cast_of(city)["office"]
    seal, credential = _seal(city, office["code"], "application/pdf"), credential_of(city)

    def asking(way: grpc.aio.Channel) -> Ask:
        stub = pb_grpc.TemplateServiceStub(way)

        async def ask(number: int) -> None:
            fill = pb.TemplateFill(template=TEMPLATE, fields=_fields(number % BODIES))
            request = pb.SignTemplateRequest(
                credential=credential,
                context=context_for(city, number, str(uuid4())),
                seal_id=seal,
                fill=fill,
            )
            sealed = await stub.SignTemplate(request, timeout=30)
            if not sealed.document.startswith(b"%PDF"):
                raise SystemExit("eseal.template.single: what came back is no PDF")

        return ask

    return asking


def _fields(number: int) -> Json:
    return {
        **FIELDS,
        "decision_code": f"武市监许准字〔2026〕第{number:04}号",
        "applicant": f"武江区第{number}号小吃店",
        "content": f"经营项目：热食类食品制售。\n经营场所：韶关市武江区演示路{number}号。",
    }


def _job(bench: Bench, kind: str) -> Job:
    """Our call with a seal for documents of this media type, each time under a new Idempotency-Key."""
    office: Json = cast_of(bench.city)["office"]
    seal = _seal(bench.city, office["code"], kind)
    bodies = [
        {
            "case": bench_case(office["code"], number),
            "template": TEMPLATE,
            "fields": _fields(number),
        }
        for number in range(BODIES)
    ]
    path = write_bodies(bench, "templates", bodies)
    job = job_of(bench.city, "approval-platform", f"/approval/v1/seals/{seal}:sign_template", path)
    return replace(job, headers={**job.headers, "Accept": kind}, fresh_key=True)


def _seal(city: City, office: str, kind: str) -> str:
    """A seal of the office for documents of this media type."""
    with Caller(city.machines, city.settings.pki, "approval-platform") as platform:
        seals = platform.get("/approval/v1/seals", office=office)["seals"]
    return seal_for(city, seals, kind)

"""`eseal.bulk`: documents sealed by one stream through gRPC, the signing process on one core, beside pyHanko.

Templates that are filled and sealed, as PDF by P-256 (`template`) and as OFD by SM2 (`ofd`), and PDFs that
are uploaded; record, ledger and answer included. While they are sealed somebody else lists seals, one call
after another: `other` says how long that takes.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil
from onestop.common.v1 import context_pb2
from onestop.eseal.v1 import bulk_pb2, bulk_pb2_grpc, eseal_pb2, eseal_pb2_grpc, template_pb2

from cli.demo.client import Caller
from core.rpc import channel
from tests.bench import seals
from tests.bench.callers import address_of, peer_config, thumbprint
from tests.bench.figures import MORE_IS_BETTER, Figure, Goal, median, paired
from tests.bench.ground import Bench
from tests.city import City
from tests.story import Json, cast_of

GOALS = {"template": Goal(MORE_IS_BETTER, 1500), "ofd": Goal(MORE_IS_BETTER, 700), "upload": None}
A_MESSAGE = 32
WATCHED = ("eseal", "ledger")
SHOPS = ("小满", "清和", "百旺", "新华", "风采", "沐溪", "芙蓉", "东河", "西联", "重阳", "龙归", "江湾")
"""Names in which letters differ, so that the glyphs that a document needs do, too."""
LETTER = {
    "office_name": "武江区市场监督管理局",
    "applied_on": "2026-02-20",
    "permit_name": "食品经营许可",
    "legal_basis": "《食品经营许可和备案管理办法》第十二条",
    "valid_until": "2031-03-01",
    "decided_on": "2026-03-02",
}


@dataclass
class Round:
    """What one round did; times in milliseconds, processor time in microseconds a document."""

    sealed: int = 0
    seconds: float = 0.0
    cpu: Mapping[str, float] = field(default_factory=dict)
    others: list[float] = field(default_factory=list)

    @property
    def throughput(self) -> float:
        """Documents a second."""
        return self.sealed / self.seconds

    def other(self, part: float) -> float:
        """So long, or less, took this part of the other calls."""
        times = sorted(self.others)
        return times[min(len(times) - 1, int(part * len(times)))] if times else 0.0


def measure(bench: Bench) -> Iterable[Figure]:
    """Each kind of document in turn; uploads beside rounds of the peer's with the same files."""
    folder = bench.folder / "seals"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    documents = [path.read_bytes() for path in seals.documents_in(folder)]
    peer_job = seals.peer_job_for(bench.city, folder, bench.seconds)
    figures: list[Figure] = []
    for kind, goal in GOALS.items():
        rounds, beside, peers = [], [], []
        for number in range(bench.rounds):
            bench.say(f"eseal.bulk.{kind}, round {number + 1} of {bench.rounds}")
            with on_one_core(bench.city):
                rounds.append(asyncio.run(seal(bench.city, kind, documents, bench.seconds)))
                beside.append(asyncio.run(seal(bench.city, kind, documents, bench.seconds, others=True)))
            peers.append(seals.run_peer(peer_job))
        name = f"eseal.bulk.{kind}"
        peer = median(f"{seals.PEER}.throughput", [one.throughput for one in peers], "/s")
        figures += [
            paired(f"{name}.throughput", [one.throughput for one in rounds], peer, "/s", goal),
            *(
                median(f"{name}.cpu.{part}", [one.cpu[part] for one in rounds], "µs/document")
                for part in WATCHED
            ),
            median(f"{name}.beside.throughput", [one.throughput for one in beside], "/s"),
            median(f"{name}.other.p50", [one.other(0.5) for one in beside], "ms"),
            median(f"{name}.other.p99", [one.other(0.99) for one in beside], "ms"),
        ]
    return figures


async def seal(
    city: City, kind: str, documents: Sequence[bytes], seconds: float, *, others: bool = False
) -> Round:
    """One stream for so long, and other calls beside it if that is wanted."""
    done = Round()
    with Caller(city.machines, city.settings.pki, "approval-platform") as platform:
        office: Json = cast_of(city)["office"]
        found = platform.get("/approval/v1/seals", office=office["code"])["seals"]
        credential = context_pb2.Credential(
            token=platform._token, certificate_thumbprint=thumbprint(city, "approval-platform")
        )
    wanted = "application/ofd" if kind == "ofd" else "application/pdf"
    seal_id = next(
        one["id"] for one in found if one["document_type"] == wanted and one["state"] == "in_force"
    )
    config = peer_config(city.settings.pki, "gateway", eseal=address_of(city, "eseal"))
    async with channel(config, "eseal") as opened:
        bulk, single = bulk_pb2_grpc.BulkSealServiceStub(opened), eseal_pb2_grpc.EsealServiceStub(opened)
        before, began = spent(city), time.monotonic()
        asking = asyncio.create_task(_others(single, credential, office["code"], done)) if others else None
        try:
            requests = _requests(credential, seal_id, office["code"], kind, documents, began + seconds)
            async for response in bulk.SealDocuments(requests):
                for result in response.results:
                    if result.HasField("error"):
                        raise SystemExit(f"a document was not sealed: {result.error.message}")
                    done.sealed += 1
        finally:
            if asking is not None:
                asking.cancel()
        done.seconds = time.monotonic() - began
    after = spent(city)
    done.cpu = {part: (after[part] - before[part]) * 1e6 / max(1, done.sealed) for part in WATCHED}
    return done


@contextmanager
def on_one_core(city: City) -> Iterator[None]:
    """Holds the signing process, with all its threads, to one core; its workers and everybody else who has a
    part in this keep out of that."""
    pid, database = city.pid("eseal"), city.pid("postgres")
    assert pid is not None
    assert database is not None
    us = psutil.Process()
    cores = us.cpu_affinity()
    assert cores
    servers = psutil.Process(database)
    others = [us, *us.children(recursive=True), servers, *servers.children(recursive=True)]
    for one in others:
        _hold(one, cores[1:] or cores)
    _hold(psutil.Process(pid), cores[:1])
    try:
        yield
    finally:
        for one in (*others, psutil.Process(pid)):
            _hold(one, cores)


def _hold(process: psutil.Process, cores: Sequence[int]) -> None:
    """Each thread by itself: the kernel knows no affinity of a whole process."""
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        for thread in process.threads():
            os.sched_setaffinity(thread.id, cores)


async def _requests(
    credential: context_pb2.Credential,
    seal_id: str,
    office: str,
    kind: str,
    documents: Sequence[bytes],
    until: float,
) -> AsyncIterator[bulk_pb2.SealDocumentsRequest]:
    yield bulk_pb2.SealDocumentsRequest(credential=credential, seal_id=seal_id)
    number = 0
    while time.monotonic() < until:
        message = bulk_pb2.SealDocumentsRequest()
        for _ in range(A_MESSAGE):
            number += 1
            item = bulk_pb2.SealItem(context=_context(office, number, uuid.uuid4().hex))
            if kind == "upload":
                item.upload.document = documents[number % len(documents)]
            else:
                filled = template_pb2.TemplateFill(template="permit_decision", fields=_letter(number))
                item.fill.MergeFrom(filled)
            message.items.append(item)
        yield message


def _letter(number: int) -> dict[str, str]:
    """The fields of one of many decisions: who applied, for what place, and the number differ in each."""
    shop, road = SHOPS[number % len(SHOPS)], SHOPS[-number % len(SHOPS)]
    return {
        **LETTER,
        "decision_code": f"武市监许准字〔2026〕第{number:04}号",
        "applicant": f"武江区{shop}第{number}号小吃店",
        "content": f"经营项目：热食类食品制售。\n经营场所：韶关市武江区{road}路{number}号。",
    }


async def _others(
    single: eseal_pb2_grpc.EsealServiceAsyncStub,
    credential: context_pb2.Credential,
    office: str,
    done: Round,
) -> None:
    """Lists seals, one call after another."""
    while True:
        request = eseal_pb2.ListSealsRequest(credential=credential, context=_context(office, 0, ""))
        began = time.monotonic()
        await single.ListSeals(request)
        done.others.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(0.01)


def _context(office: str, number: int, key: str) -> context_pb2.RequestContext:
    case = seals.bench_case(office, number)
    return context_pb2.RequestContext(
        basis=context_pb2.Basis(
            kind=context_pb2.BASIS_KIND_MATTER,
            matter_code=case["matter_code"],
            case_number=case["case_number"],
        ),
        office=office,
        operator=case["operator"],
        purpose=case["purpose"],
        request_id=key,
    )


def spent(city: City) -> dict[str, float]:
    """Processor seconds of the parts' own processes; not of eseal's workers, which lay documents out."""
    spent = {}
    for part in WATCHED:
        pid = city.pid(part)
        assert pid is not None
        times = psutil.Process(pid).cpu_times()
        spent[part] = times.user + times.system
    return spent

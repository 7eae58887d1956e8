"""`eseal.verify`: a file that was sealed here is checked, beside pyHanko checking the same file by itself.

Our side is the gateway's call to the seal service, `VerifyDocument`: mutual TLS, token, the file's digest
looked up in the record of signatures, the seal's state as it is now, the check recorded in the ledger before
the answer. pyHanko's is `validate_pdf_signature` as its documentation shows it, in a process that does
nothing else. `eseal.verify.digest` is the same by the files' digests alone, one or 64 in a call, each with
its own entry and receipt, the seal service held to one core. `eseal.verify.read` is our check of a file that
is not in the record: pyHanko's validation in a confined process, and our rules.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from itertools import count, cycle
from pathlib import Path
from typing import Any, TypeAlias

from onestop.common.v1 import context_pb2
from onestop.eseal.v1 import eseal_pb2 as pb
from onestop.eseal.v1 import eseal_pb2_grpc as pb_grpc

from cli.demo.client import Caller
from core.rpc import channel
from deploy.local.migrate import ROOT
from tests.bench import seals
from tests.bench.bulk import on_one_core
from tests.bench.callers import address_of, peer_config, thumbprint
from tests.bench.figures import MORE_IS_BETTER, Figure, Goal, median, paired
from tests.bench.ground import Bench
from tests.city import City
from tests.story import MATTER, Json, cast_of, platform_of

STEPS = (1, 8, 32)
GOAL = Goal(MORE_IS_BETTER, 20.0, of_ratio=True)
DIGESTS = {"single": (1, 32, None), "batch": (64, 4, GOAL)}
"""By name: digests in a call, calls at once, what is to be reached."""
PEER = "peer.pyhanko.validate"
NAME = "eseal.verify"
LEFT = "\n"
"""What makes a file of ours one that never left here."""


About: TypeAlias = tuple[context_pb2.Credential, context_pb2.RequestContext]
Ask: TypeAlias = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class CheckJob:
    """What a process checks, for how long; `address` is the seal service's, empty for pyHanko alone."""

    files: str
    root: str
    seconds: float
    at_once: int = 1
    digests: int = 0
    """So many digests in a call, in place of a file."""
    address: str = ""
    pki: str = ""
    token: str = ""
    thumbprint: str = ""
    office: str = ""


@dataclass
class Checked:
    """What it did; times in milliseconds."""

    files: int
    seconds: float
    p50: float
    p99: float

    @property
    def throughput(self) -> float:
        """Files a second."""
        return self.files / self.seconds


def measure(bench: Bench) -> Iterable[Figure]:
    """Each round of ours beside a round of pyHanko's on the same files."""
    city = bench.city
    sealed, others = _files(bench)
    peer = CheckJob(str(sealed), str(city.settings.pki / "seal-ca.crt"), bench.seconds)
    peers: list[Checked] = []
    rounds: dict[str, list[Checked]] = {}
    for number in range(bench.rounds):
        bench.say(f"{PEER}, round {number + 1} of {bench.rounds}")
        peers.append(_run(peer))
        for name, folder, steps in (("recorded", sealed, STEPS), ("read", others, (8,))):
            for step in steps:
                bench.say(f"{NAME}.{name}, {step} at once, round {number + 1} of {bench.rounds}")
                job = _job(city, folder, bench.seconds, step)
                rounds.setdefault(f"{NAME}.{name}.c{step}", []).append(_run(job))
        for name, (digests, step, _) in DIGESTS.items():
            bench.say(f"{NAME}.digest.{name}, {step} at once, round {number + 1} of {bench.rounds}")
            job = replace(_job(city, sealed, bench.seconds, step), digests=digests)
            with on_one_core(city):
                rounds.setdefault(f"{NAME}.digest.{name}", []).append(_run(job))
    base = median(f"{PEER}.throughput", [one.throughput for one in peers], "/s")
    figures = [base, median(f"{PEER}.p50", [one.p50 for one in peers], "ms")]
    for name, ours in rounds.items():
        goal = DIGESTS[name.rpartition(".")[2]][2] if name.startswith(f"{NAME}.digest.") else None
        figures += [
            paired(f"{name}.throughput", [one.throughput for one in ours], base, "/s", goal),
            median(f"{name}.p50", [one.p50 for one in ours], "ms"),
            median(f"{name}.p99", [one.p99 for one in ours], "ms"),
        ]
    return figures


def _files(bench: Bench) -> tuple[Path, Path]:
    """Folders of files that were sealed here, and of others that look alike."""
    city, folder = bench.city, bench.folder / "checks"
    sealed, others = folder / "sealed", folder / "others"
    for one in (sealed, others):
        one.mkdir(parents=True, exist_ok=True, mode=0o700)
    office: Json = cast_of(city)["office"]
    with Caller(city.machines, city.settings.pki, "approval-platform") as platform:
        found = platform.get("/approval/v1/seals", office=office["code"])["seals"]
        seal = next(one["id"] for one in found if one["state"] == "in_force" and "审批" in one["name"])
        for number, path in enumerate(seals.documents_in(seals.folder_of(bench))):
            case = seals.bench_case(office["code"], number)
            answer = platform.upload(f"/approval/v1/seals/{seal}:sign", path.read_bytes(), {"case": case})
            (sealed / path.name).write_bytes(answer.content)
            (others / path.name).write_bytes(answer.content + LEFT.encode())
    return sealed, others


def _job(city: City, folder: Path, seconds: float, at_once: int) -> CheckJob:
    with platform_of(city) as platform:
        token = platform.token
    pki = city.settings.pki
    return CheckJob(
        str(folder),
        str(pki / "seal-ca.crt"),
        seconds,
        at_once,
        address=address_of(city, "eseal"),
        pki=str(pki),
        token=token,
        thumbprint=thumbprint(city, "approval-platform"),
        office=cast_of(city)["office"]["code"],
    )


def _run(job: CheckJob) -> Checked:
    """One round, in a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.checking"],
        input=json.dumps(asdict(job)),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
        check=True,
    )
    return Checked(**json.loads(done.stdout))


def _by_pyhanko(job: CheckJob, files: Sequence[bytes]) -> Checked:
    """Validates one file after another, as pyHanko's documentation shows it ("Validation functionality")."""
    from pyhanko.keys import load_cert_from_pemder
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    root: Any = load_cert_from_pemder(job.root)

    def check(file: bytes) -> None:
        (signature,) = PdfFileReader(BytesIO(file)).embedded_signatures
        context = ValidationContext(trust_roots=[root], allow_fetching=False)
        if not validate_pdf_signature(signature, context).bottom_line:
            raise SystemExit("pyHanko does not believe what the city has sealed")

    for file in files:
        check(file)
    times: list[float] = []
    began = time.perf_counter()
    for file in cycle(files):
        start = time.perf_counter()
        check(file)
        times.append(time.perf_counter() - start)
        if time.perf_counter() - began >= job.seconds:
            break
    return _checked(times, time.perf_counter() - began)


async def _by_service(job: CheckJob, files: Sequence[bytes]) -> Checked:
    """Asks the seal service, as the gateway does."""
    config = peer_config(Path(job.pki), "gateway", eseal=job.address)
    credential = context_pb2.Credential(token=job.token, certificate_thumbprint=job.thumbprint)
    context = context_pb2.RequestContext(
        office=job.office, operator="clerk-017", purpose="个体工商户设立登记"
    )
    context.basis.kind = context_pb2.BASIS_KIND_MATTER
    context.basis.matter_code, context.basis.case_number = MATTER, "BENCH-00000001"
    opened = channel(config, "eseal")
    stub = pb_grpc.EsealServiceStub(opened)
    about = credential, context
    asking = _digests(stub, about, files, job.digests) if job.digests else _whole(stub, about, files)
    await asking(0)
    await asking(1)
    times: list[float] = []
    numbers, began = count(), time.perf_counter()

    async def ask() -> None:
        while (start := time.perf_counter()) - began < job.seconds:
            await asking(next(numbers))
            times.append(time.perf_counter() - start)

    await asyncio.gather(*(ask() for _ in range(job.at_once)))
    seconds = time.perf_counter() - began
    await opened.close()
    return _checked(times, seconds, max(1, job.digests))


def _whole(stub: pb_grpc.EsealServiceAsyncStub, about: About, files: Sequence[bytes]) -> Ask:
    """Sends one file after another."""
    credential, context = about
    requests = [
        pb.VerifyDocumentRequest(credential=credential, context=context, document=one) for one in files
    ]

    async def ask(number: int) -> None:
        await stub.VerifyDocument(requests[number % len(requests)], timeout=30)

    return ask


def _digests(
    stub: pb_grpc.EsealServiceAsyncStub, about: About, files: Sequence[bytes], in_a_call: int
) -> Ask:
    """Sends the digests of files, so many in a call."""
    credential, context = about
    items = [
        pb.VerifyDigestItem(
            context=context, query=pb.VerifyDigestQuery(sha256=hashlib.sha256(one).hexdigest())
        )
        for one in files
    ]

    async def ask(number: int) -> None:
        asked = [items[(number + place) % len(items)] for place in range(in_a_call)]
        request = pb.BatchVerifyDigestsRequest(credentials=[credential], items=asked)
        response = await stub.BatchVerifyDigests(request, timeout=30)
        if any(one.answer.verdict != pb.DOCUMENT_VERDICT_VALID for one in response.results):
            raise SystemExit(f"{NAME}: a file that was sealed here was not found valid by its digest")

    return ask


def _checked(times: Sequence[float], seconds: float, files: int = 1) -> Checked:
    """`files` are those of one call."""
    ordered = sorted(1000 * one for one in times)
    return Checked(
        files * len(ordered), seconds, ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    )


def main() -> None:
    """A round, told by standard input and answered on standard output."""
    job = CheckJob(**json.load(sys.stdin))
    files = [path.read_bytes() for path in sorted(Path(job.files).iterdir())]
    done = asyncio.run(_by_service(job, files)) if job.address else _by_pyhanko(job, files)
    json.dump(asdict(done), sys.stdout)


if __name__ == "__main__":
    main()

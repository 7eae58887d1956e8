"""`eseal.pdf`: a document sealed through the whole city, beside pyHanko signing the same file by itself.

Our side is the public call: client certificate, token, upload, intent and outcome in the ledger, the record
in the database, a visible seal, PAdES B-B with P-256. pyHanko's is its `sign_pdf` as its documentation shows
it, in a process of its own that does nothing else: no network, no record, files and key at hand.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from fpdf import FPDF
from PIL import Image

from cli.demo.client import Caller
from deploy.local.migrate import ROOT
from services.eseal.domain import Picture
from services.eseal.pictures.vector import draw_round_seal
from services.eseal.trust.authority import SealAuthority
from tests.bench.callers import job_of, processes_of
from tests.bench.client import Job
from tests.bench.figures import MORE_IS_BETTER, Figure, Goal, median, paired, single
from tests.bench.ground import SEED, Bench
from tests.bench.limits import openssl_signs
from tests.bench.load import Load
from tests.bench.load import run as ask
from tests.bench.turns import Side
from tests.city import City
from tests.story import MATTER, Json, cast_of

STEPS = (1, 8, 32)
GOAL_STEP = 8
GOAL_TIMES = 2.0
"""What `sign_pdf` does, at the least so many times: through the whole city, at 8 connections."""
FILES = 16
FILE_BYTES = 100_000
BOUNDARY = "onestop-bench-7d1f0c55e1"
PEER = "peer.pyhanko.sign_pdf"
SEAL_BOX = (433, 43, 553, 163)
"""42 mm across at the lower right of A4, in points, as our seal; a point wider, for pyHanko's margin."""


@dataclass(frozen=True)
class PeerJob:
    """What the peer's process signs, with what, for how long."""

    files: str
    """A folder of PDFs, signed in turn."""
    key: str
    certificate: str
    chain: str
    picture: str
    """A PDF whose first page is the stamp."""
    seconds: float


@dataclass
class PeerAnswer:
    """What the peer did; times in milliseconds."""

    signed: int
    seconds: float
    cpu_seconds: float
    p50: float
    p99: float

    @property
    def throughput(self) -> float:
        """Documents a second."""
        return self.signed / self.seconds

    @property
    def cpu(self) -> float:
        """Microseconds of processor time per document."""
        return self.cpu_seconds * 1e6 / self.signed


def measure(bench: Bench) -> Iterable[Figure]:
    """All steps, each round beside a round of the peer's."""
    folder = folder_of(bench)
    documents = documents_in(folder)
    peer_job = peer_job_for(bench.city, folder, bench.seconds)
    job = partial(_job, bench.city, folder, documents)
    _require_valid(bench.city, job(), documents[0])
    loads: dict[int, list[Load]] = {connections: [] for connections in STEPS}
    peers: dict[int, list[PeerAnswer]] = {connections: [] for connections in STEPS}
    for connections in STEPS:
        for number in range(bench.rounds):
            bench.say(f"eseal.pdf, {connections} connections, round {number + 1} of {bench.rounds}")
            asked = replace(job(), connections=connections, seconds=bench.seconds)
            load = ask(asked, partial(processes_of, bench.city))
            if load.failed or not load.answer.requests:
                raise SystemExit(f"not every document was sealed: {load.answer.errors}")
            loads[connections].append(load)
            bench.say(f"{PEER}, round {number + 1} of {bench.rounds}")
            peers[connections].append(run_peer(peer_job))
    every = [one for step in peers.values() for one in step]
    figures = [
        median(f"{PEER}.throughput", [one.throughput for one in every], "/s"),
        median(f"{PEER}.p50", [one.p50 for one in every], "ms"),
        median(f"{PEER}.p99", [one.p99 for one in every], "ms"),
        median(f"{PEER}.cpu", [one.cpu for one in every], "µs/document"),
    ]
    for connections in STEPS:
        goal = Goal(MORE_IS_BETTER, GOAL_TIMES, of_ratio=True) if connections == GOAL_STEP else None
        figures += figures_of(f"eseal.pdf.c{connections}", loads[connections], peers[connections], goal)
    signs = openssl_signs("ecdsap256")
    if signs is not None:
        figures.append(single("limit.openssl.ecdsap256.sign", signs, "/s a core"))
    return figures


def own_side(bench: Bench) -> Side:
    """Our side of it, in the bench's city."""
    folder = folder_of(bench)
    job = partial(_job, bench.city, folder, documents_in(folder))
    return Side("eseal.pdf", job, partial(processes_of, bench.city))


def folder_of(bench: Bench) -> Path:
    """Where what is sealed lies."""
    folder = bench.folder / "seals"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def figures_of(
    name: str, loads: Sequence[Load], peers: Sequence[PeerAnswer], goal: Goal | None = None
) -> list[Figure]:
    """One step of ours, each round beside the peer's round of the same turn."""
    rate = median(f"{PEER}.throughput", [one.throughput for one in peers], "/s")
    cost = median(f"{PEER}.cpu", [one.cpu for one in peers], "µs/document")
    spent = (
        median(f"{name}.cpu.{process}", [load.cpu.get(process, 0.0) for load in loads], "µs/document")
        for process in loads[0].cpu
    )
    return [
        paired(f"{name}.throughput", [load.throughput for load in loads], rate, "/s", goal),
        median(f"{name}.p50", [load.p50 for load in loads], "ms"),
        median(f"{name}.p99", [load.p99 for load in loads], "ms"),
        paired(f"{name}.cpu", [load.cpu_served for load in loads], cost, "µs/document"),
        *spent,
    ]


def _require_valid(city: City, job: Job, path: Path) -> None:
    """Passes when pyHanko finds valid what the city answers to one call of the job."""
    from pyhanko.keys import load_cert_from_pemder
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    office: Json = cast_of(city)["office"]
    with Caller(city.machines, city.settings.pki, "approval-platform") as platform:
        sealed = platform.upload(
            job.paths[0], path.read_bytes(), {"case": bench_case(office["code"], 0)}
        ).content
    root = load_cert_from_pemder(str(city.settings.pki / "seal-ca.crt"))
    (signature,) = PdfFileReader(BytesIO(sealed)).embedded_signatures
    status = validate_pdf_signature(signature, ValidationContext(trust_roots=[root], allow_fetching=False))
    if not (sealed.startswith(path.read_bytes()) and status.bottom_line):
        raise SystemExit("what the city seals is not valid")


def documents_in(folder: Path) -> list[Path]:
    """One-page PDFs of FILE_BYTES, each with a picture of noise, which nothing can pack any further."""
    made = []
    (folder / "documents").mkdir(exist_ok=True)
    for number in range(FILES):
        path = folder / "documents" / f"{number:02}.pdf"
        path.write_bytes(_document(number))
        made.append(path)
    return made


def _document(number: int) -> bytes:
    side = round((FILE_BYTES * 0.985 / 3) ** 0.5)
    noise = random.Random(SEED + number).randbytes(side * side * 3)
    pdf = FPDF(format="A4")
    pdf.set_creation_date(datetime(2026, 11, 28, tzinfo=UTC))
    pdf.add_page()
    pdf.set_font("helvetica", size=14)
    pdf.cell(0, 10, f"Decision {number}")
    pdf.image(Image.frombytes("RGB", (side, side), noise), x=20, y=40, w=100)
    return bytes(pdf.output())


def _job(city: City, folder: Path, documents: Sequence[Path]) -> Job:
    """Our call, with one of the documents after another, each time under a new Idempotency-Key."""
    office: Json = cast_of(city)["office"]
    with Caller(city.machines, city.settings.pki, "approval-platform") as platform:
        seals = platform.get("/approval/v1/seals", office=office["code"])["seals"]
    seal = next(one for one in seals if one["state"] == "in_force" and "审批" in one["name"])
    bodies = folder / "bodies"
    bodies.mkdir(exist_ok=True)
    for number, path in enumerate(documents):
        request = {"case": bench_case(office["code"], number)}
        (bodies / path.name).write_bytes(_multipart(request, path.read_bytes()))
    job = job_of(city, "approval-platform", f"/approval/v1/seals/{seal['id']}:sign", bodies)
    headers = {
        **job.headers,
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Accept": "application/pdf",
    }
    return replace(job, headers=headers, fresh_key=True)


def bench_case(office: str, number: int) -> Json:
    """A case of the office."""
    return {
        "matter_code": MATTER,
        "case_number": f"BENCH-{number:08d}",
        "office": office,
        "operator": "clerk-017",
        "purpose": "个体工商户设立登记",
    }


def _multipart(request: Json, document: bytes) -> bytes:
    """The upload as it goes over the line."""
    mark = f"--{BOUNDARY}".encode()
    return b"\r\n".join(
        (
            mark,
            b'Content-Disposition: form-data; name="request"',
            b"Content-Type: application/json",
            b"",
            json.dumps(request, ensure_ascii=False).encode(),
            mark,
            b'Content-Disposition: form-data; name="document"; filename="document.pdf"',
            b"Content-Type: application/pdf",
            b"",
            document,
            mark + b"--",
            b"",
        )
    )


def peer_job_for(city: City, folder: Path, seconds: float) -> PeerJob:
    """A key of the kind that the city's seals have, certified by the same authority, and the same picture."""
    pki = city.settings.pki
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = SealAuthority.load(pki / "seal-ca.crt", pki / "seal-ca.key").issue(
        key.public_key(),
        seal_name="bench",
        owner_code="11440299MB2L000380",
        owner_name="bench",
        valid_from=now - timedelta(days=1),
        valid_until=now + timedelta(days=1),
    )
    (folder / "peer.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "peer.crt").write_bytes(certificate)
    (folder / "stamp.pdf").write_bytes(
        _stamp(draw_round_seal("武江区市场监督管理局", bottom_text="行政审批专用章"))
    )
    return PeerJob(
        files=str(folder / "documents"),
        key=str(folder / "peer.key"),
        certificate=str(folder / "peer.crt"),
        chain=str(pki / "seal-ca.crt"),
        picture=str(folder / "stamp.pdf"),
        seconds=seconds,
    )


def _stamp(picture: Picture) -> bytes:
    """The seal's picture as the one page of a PDF."""
    from pyhanko.pdf_utils import generic
    from pyhanko.pdf_utils.generic import pdf_name
    from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

    writer = PdfFileWriter(stream_xrefs=False)
    content = generic.StreamObject(
        {pdf_name("/Filter"): pdf_name("/FlateDecode")}, encoded_data=picture.content
    )
    size = 72 / 25.4 * picture.width_mm, 72 / 25.4 * picture.height_mm
    ink = generic.DictionaryObject({pdf_name("/BM"): pdf_name("/Multiply")})
    states = generic.DictionaryObject({pdf_name("/Ink"): ink})
    writer.insert_page(
        PageObject(
            contents=writer.add_object(content),
            media_box=(0, 0, *size),
            resources=generic.DictionaryObject({pdf_name("/ExtGState"): states}),
        )
    )
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def run_peer(job: PeerJob) -> PeerAnswer:
    """One round of the peer's, in a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.seals"],
        input=json.dumps(asdict(job)),
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
        check=True,
    )
    return PeerAnswer(**json.loads(done.stdout))


def _sign_with_pyhanko(job: PeerJob) -> PeerAnswer:
    """Signs one file after another, as pyHanko's documentation shows it ("Signing functionality")."""
    from pyhanko import stamp
    from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
    from pyhanko.sign import fields, signers

    signer: Any = signers.SimpleSigner.load(job.key, job.certificate, ca_chain_files=(job.chain,))
    style = stamp.StaticStampStyle.from_pdf_file(job.picture, border_width=0, background_opacity=1)
    documents = [path.read_bytes() for path in sorted(Path(job.files).iterdir())]

    def sign(document: bytes) -> None:
        writer = IncrementalPdfFileWriter(BytesIO(document))
        meta = signers.PdfSignatureMetadata(
            field_name="Signature", subfilter=fields.SigSeedSubFilter.PADES, md_algorithm="sha256"
        )
        spec = fields.SigFieldSpec("Signature", on_page=0, box=SEAL_BOX)
        pdf_signer = signers.PdfSigner(meta, signer=signer, stamp_style=style, new_field_spec=spec)
        pdf_signer.sign_pdf(writer)

    for document in documents:
        sign(document)
    times: list[float] = []
    began, cpu = time.perf_counter(), time.process_time()
    for document in cycle(documents):
        start = time.perf_counter()
        sign(document)
        times.append((time.perf_counter() - start) * 1000)
        if time.perf_counter() - began >= job.seconds:
            break
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    times.sort()
    return PeerAnswer(len(times), seconds, cpu, times[len(times) // 2], times[int(len(times) * 0.99)])


if __name__ == "__main__":
    json.dump(asdict(_sign_with_pyhanko(PeerJob(**json.load(sys.stdin)))), sys.stdout)

"""`eseal.upload`: any uploaded PDF gets a visible seal, beside pyHanko's `sign_pdf` on the same files.

As `eseal.pdf`, but asked of the seal service itself, as the gateway asks it: mutual TLS, token, laid out, the
intent, signed, stored, the outcome, PAdES B-B with P-256. The signing process is held to one core, and so is
pyHanko's, which keeps no record and asks nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from uuid import uuid4

import grpc
from onestop.eseal.v1 import eseal_pb2 as pb
from onestop.eseal.v1 import eseal_pb2_grpc as pb_grpc

from cli.demo.client import Caller
from tests.bench.figures import MORE_IS_BETTER, Figure, Goal
from tests.bench.ground import Bench
from tests.bench.seals import documents_in, folder_of, peer_job_for
from tests.bench.singles import Ask, beside_peer, context_for, credential_of, seal_for
from tests.city import City
from tests.story import Json, cast_of

NAME = "eseal.upload"
STEPS = {1: None, 8: Goal(MORE_IS_BETTER, 5.0, of_ratio=True)}


def measure(bench: Bench) -> Iterable[Figure]:
    """Each round of ours beside one of pyHanko's on the same files."""
    documents = documents_in(folder_of(bench))
    peer_job = peer_job_for(bench.city, folder_of(bench), bench.seconds)
    asking = partial(_asking, _requests(bench.city, documents))
    return beside_peer(bench, NAME, STEPS, asking, peer_job)


def _asking(requests: Sequence[pb.SignDocumentRequest], way: grpc.aio.Channel) -> Ask:
    """One document after another, each under a key of its own."""
    stub = pb_grpc.EsealServiceStub(way)

    async def ask(number: int) -> None:
        request, fresh = requests[number % len(requests)], pb.SignDocumentRequest()
        fresh.CopyFrom(request)
        fresh.context.request_id = str(uuid4())
        sealed = await stub.SignDocument(fresh, timeout=30)
        if not sealed.document.startswith(request.document):
            raise SystemExit(f"{NAME}: what came back is another document")

    return ask


def _requests(city: City, documents: Sequence[Path]) -> list[pb.SignDocumentRequest]:
    office: Json = cast_of(city)["office"]
    with Caller(city.machines, city.settings.pki, "approval-platform") as platform:
        found = platform.get("/approval/v1/seals", office=office["code"])["seals"]
    seal, credential = seal_for(city, found, "application/pdf"), credential_of(city)
    return [
        pb.SignDocumentRequest(
            credential=credential,
            context=context_for(city, number),
            seal_id=seal,
            document=path.read_bytes(),
        )
        for number, path in enumerate(documents)
    ]

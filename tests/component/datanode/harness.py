"""The data node as it runs: real TLS, real tokens, a real database with a hamlet in it; the clock stands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import grpc
from google.rpc import error_details_pb2, status_pb2
from onestop.common.v1 import context_pb2, subject_pb2
from onestop.datanode.v1 import datanode_pb2 as pb
from onestop.datanode.v1 import datanode_pb2_grpc as pb_grpc

from core.config import Mode, PeerConfig, ServiceConfig
from core.context import ContextReader
from core.identity import Scope, Subject
from core.keyring import Keyring
from core.rpc import build_server, channel
from core.vault import Vault
from services.datanode.rpc import SERVICE, DataNodeServicer
from services.datanode.service import DataNode
from services.datanode.store import PgCatalogues, PgRegisters
from tests.database import CityDatabase
from tests.fakes import FakeClock, FakeIssuer


@dataclass(frozen=True)
class Asking:
    """Who asks, and on what ground; a test changes what it is about."""

    client: str = "approval-platform"
    scopes: tuple[str, ...] = (Scope.AUTOFILL_FILL,)
    office: str = "11440299MB2L01030E"
    matter_code: str = "sole-trader-registration"
    consent_id: str = ""
    thumbprint: str = FakeIssuer.THUMBPRINT


CLERK = Asking()
BANK = Asking("rural-bank", (Scope.CREDIT_FETCH,), "", "", "4b6a8c2e-0000-4000-8000-000000000001")


@dataclass
class Node:
    """A running data node, and connections to it under several names."""

    autofill: pb_grpc.DataNodeServiceAsyncStub
    agricredit: pb_grpc.DataNodeServiceAsyncStub
    gateway: pb_grpc.DataNodeServiceAsyncStub
    issuer: FakeIssuer
    clock: FakeClock

    def credential(self, asking: Asking) -> context_pb2.Credential:
        token = self.issuer.machine(asking.client, asking.scopes)
        return context_pb2.Credential(token=token, certificate_thumbprint=asking.thumbprint)

    async def read(
        self, resource: str, subject: Subject, *names: str, asking: Asking = CLERK
    ) -> pb.ReadRecordsResult:
        """One item's result."""
        return (await self.read_batch([item(resource, subject, *names, asking=asking)], asking))[0]

    async def read_batch(
        self, items: Sequence[pb.ReadRecordsItem], asking: Asking = CLERK
    ) -> list[pb.ReadRecordsResult]:
        """The results of a batch, of which every item uses one credential."""
        stub = self.agricredit if asking.consent_id else self.autofill
        request = pb.BatchReadRecordsRequest(credentials=[self.credential(asking)], items=items)
        return list((await stub.BatchReadRecords(request)).results)


def context(asking: Asking) -> context_pb2.RequestContext:
    """The context of one item."""
    made = context_pb2.RequestContext(office=asking.office, operator="clerk7", purpose="测试")
    if asking.matter_code:
        made.basis.CopyFrom(
            context_pb2.Basis(
                kind=context_pb2.BASIS_KIND_MATTER, matter_code=asking.matter_code, case_number="2026-0001"
            )
        )
    if asking.consent_id:
        made.basis.CopyFrom(
            context_pb2.Basis(kind=context_pb2.BASIS_KIND_CONSENT, consent_id=asking.consent_id)
        )
    return made


def item(resource: str, subject: Subject, *names: str, asking: Asking = CLERK) -> pb.ReadRecordsItem:
    """One item of a batch."""
    about = subject_pb2.Subject(code_type=subject.code_type, code=subject.code)
    query = pb.ReadRecordsQuery(resource=resource, subject=about, field_names=names)
    return pb.ReadRecordsItem(context=context(asking), query=query)


def reason(status: status_pb2.Status) -> str:
    """The reason that an error gives; empty where there is no error."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def faults(status: status_pb2.Status) -> list[str]:
    """The fields that an error names."""
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return [violation.field for violation in bad.field_violations]
    return []


@asynccontextmanager
async def running_node(database: CityDatabase, pool: asyncpg.Pool, pki: Path) -> AsyncIterator[Node]:
    """The service on a free port, and connections to it."""
    clock = FakeClock()
    issuer = FakeIssuer(clock)
    vault = await Vault.open(pool, Keyring.load(database.keyring("datanode")))
    node = DataNode(PgRegisters(pool, vault), PgCatalogues(pool), clock)
    contexts = ContextReader(issuer.verifier(), clock)

    def register(server: grpc.aio.Server) -> Sequence[str]:
        pb_grpc.add_DataNodeServiceServicer_to_server(DataNodeServicer(node, contexts), server)
        return [SERVICE]

    config = ServiceConfig(
        mode=Mode.DEVELOPMENT,
        listen="127.0.0.1:0",
        database_dsn_file=database.dsn_file("datanode"),
        keyring=database.keyring("datanode"),
        **_identity(pki, "datanode"),
    )
    server, port, _ = build_server(config, register)
    await server.start()
    try:
        async with (
            _peer(pki, "autofill", port) as autofill,
            _peer(pki, "agricredit", port) as agricredit,
            _peer(pki, "gateway", port) as gateway,
        ):
            yield Node(
                autofill=pb_grpc.DataNodeServiceStub(autofill),
                agricredit=pb_grpc.DataNodeServiceStub(agricredit),
                gateway=pb_grpc.DataNodeServiceStub(gateway),
                issuer=issuer,
                clock=clock,
            )
    finally:
        await server.stop(None)


def _identity(pki: Path, name: str) -> dict[str, Any]:
    return {"tls_ca": pki / "ca.crt", "tls_cert": pki / f"{name}.crt", "tls_key": pki / f"{name}.key"}


def _peer(pki: Path, name: str, port: int) -> grpc.aio.Channel:
    config = PeerConfig(mode=Mode.DEVELOPMENT, datanode=f"127.0.0.1:{port}", **_identity(pki, name))
    return channel(config, "datanode")

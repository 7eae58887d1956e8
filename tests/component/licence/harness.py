"""The licence service as it runs: real TLS, real tokens, a real database; only ledger and clock are fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import grpc
from google.rpc import error_details_pb2, status_pb2
from onestop.common.v1 import context_pb2, subject_pb2
from onestop.licence.v1 import licence_pb2 as pb
from onestop.licence.v1 import licence_pb2_grpc as pb_grpc

from core.clock import now
from core.config import Mode, PeerConfig, ServiceConfig
from core.context import ContextReader
from core.disclosure import Disclosure
from core.identity import Scope, Subject
from core.keyring import Keyring
from core.replies import PgReplies
from core.rpc import build_server, channel
from core.vault import Vault
from services.licence.answers import present
from services.licence.catalogue import load_catalogue
from services.licence.rpc import register
from services.licence.service import LicenceDesk
from services.licence.store import PgRegister
from services.licence.usecode import SealedUseCodes
from tests.database import CityDatabase
from tests.fakes import FakeClock, FakeIssuer, FakeLedger
from tests.store.licence.samples import Town

OFFICE = "11440299MB2L000380"
EVERY_SCOPE = (Scope.LICENCE_READ, Scope.LICENCE_VERIFY, Scope.AUTOFILL_FILL)


@dataclass(frozen=True)
class Asking:
    """Who asks, and for which case; a test changes what it is about."""

    client: str = "approval-platform"
    scopes: tuple[str, ...] = EVERY_SCOPE
    office: str = OFFICE
    operator: str = "clerk7"
    matter_code: str = "sole-trader-registration"
    case_number: str = "2026-0001"
    request_id: str = ""
    purpose: str = "个体工商户设立登记"


@dataclass
class Desk:
    """A running licence service, and a gateway's and an autofill's connection to it."""

    gateway: pb_grpc.LicenceServiceAsyncStub
    autofill: pb_grpc.LicenceServiceAsyncStub
    ledger: FakeLedger
    issuer: FakeIssuer
    clock: FakeClock
    town: Town
    asking: Asking = field(default_factory=Asking)

    def credentials(self, asking: Asking) -> list[context_pb2.Credential]:
        token = self.issuer.machine(asking.client, asking.scopes)
        return [context_pb2.Credential(token=token, certificate_thumbprint=FakeIssuer.THUMBPRINT)]

    async def search(
        self, holder: Subject, type_codes: list[str], asking: Asking | None = None
    ) -> pb.SearchLicencesResult:
        asked = asking or self.asking
        query = pb.SearchLicencesQuery(holder=to_pb(holder), type_codes=type_codes)
        item = pb.SearchLicencesItem(context=context(asked), query=query)
        request = pb.BatchSearchLicencesRequest(credentials=self.credentials(asked), items=[item])
        return (await self.gateway.BatchSearchLicences(request)).results[0]

    async def get(self, licence_id: str, use_code: str, asking: Asking | None = None) -> pb.GetLicenceResult:
        asked = asking or self.asking
        query = pb.GetLicenceQuery(id=licence_id, use_code=use_code)
        item = pb.GetLicenceItem(context=context(asked), query=query)
        request = pb.BatchGetLicencesRequest(credentials=self.credentials(asked), items=[item])
        return (await self.gateway.BatchGetLicences(request)).results[0]

    async def verify(self, identifier: str, asking: Asking | None = None) -> pb.VerifyLicenceResult:
        asked = asking or self.asking
        query = pb.VerifyLicenceQuery(identifier=identifier)
        item = pb.VerifyLicenceItem(context=context(asked), query=query)
        request = pb.BatchVerifyLicencesRequest(credentials=self.credentials(asked), items=[item])
        return (await self.gateway.BatchVerifyLicences(request)).results[0]

    async def read_fields(
        self, holder: Subject, type_code: str, names: list[str], asking: Asking | None = None
    ) -> pb.ReadLicenceFieldsResult:
        asked = asking or self.asking
        query = pb.ReadLicenceFieldsQuery(holder=to_pb(holder), type_code=type_code, field_names=names)
        item = pb.ReadLicenceFieldsItem(context=context(asked), query=query)
        request = pb.BatchReadLicenceFieldsRequest(credentials=self.credentials(asked), items=[item])
        return (await self.autofill.BatchReadLicenceFields(request)).results[0]


def context(asking: Asking) -> context_pb2.RequestContext:
    """The context of one item; no basis where no matter is named."""
    made = context_pb2.RequestContext(
        office=asking.office,
        operator=asking.operator,
        purpose=asking.purpose,
        request_id=asking.request_id,
    )
    if asking.matter_code:
        made.basis.CopyFrom(
            context_pb2.Basis(
                kind=context_pb2.BASIS_KIND_MATTER,
                matter_code=asking.matter_code,
                case_number=asking.case_number,
            )
        )
    return made


BARE = replace(Asking(), office="", operator="", matter_code="", case_number="", purpose="")
"""What comes with a GET: the caller and nothing else; the use code carries the rest."""


def to_pb(subject: Subject) -> subject_pb2.Subject:
    return subject_pb2.Subject(code_type=subject.code_type, code=subject.code)


def reason(status: status_pb2.Status) -> str:
    """The reason that an error gives; empty where there is no error."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def fault(status: status_pb2.Status) -> str:
    """The first field that an error names."""
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return str(bad.field_violations[0].field)
    return ""


@asynccontextmanager
async def running_desk(
    database: CityDatabase, pool: asyncpg.Pool, pki: Path, register_pool: asyncpg.Pool | None = None
) -> AsyncIterator[Desk]:
    """The service on a free port, and connections to it under the names of gateway and autofill.

    `register_pool`: another pool for the register's own statements.
    """
    clock, ledger = FakeClock(), FakeLedger()
    issuer = FakeIssuer(clock)
    vault = await Vault.open(pool, Keyring.load(database.keyring("licence")))
    catalogue = load_catalogue()
    desk = LicenceDesk(
        register=PgRegister(register_pool or pool, vault, catalogue.types),
        catalogue=catalogue,
        use_codes=SealedUseCodes(vault),
        disclosure=Disclosure(
            ledger=ledger,
            replies=PgReplies(pool, vault, now),  # the database's own clock ends a reply
            present=present,
            clock=clock,
        ),
        clock=clock,
    )
    config = ServiceConfig(
        mode=Mode.DEVELOPMENT,
        listen="127.0.0.1:0",
        database_dsn_file=database.dsn_file("licence"),
        keyring=database.keyring("licence"),
        **identity(pki, "licence"),
    )
    server, port, _ = build_server(config, partial(register, desk, ContextReader(issuer.verifier(), clock)))
    await server.start()
    try:
        async with peer(pki, "gateway", port) as gateway, peer(pki, "autofill", port) as autofill:
            yield Desk(
                gateway=pb_grpc.LicenceServiceStub(gateway),
                autofill=pb_grpc.LicenceServiceStub(autofill),
                ledger=ledger,
                issuer=issuer,
                clock=clock,
                town=Town(database.admin_dsn, vault),
            )
    finally:
        await server.stop(None)


def identity(pki: Path, name: str) -> dict[str, Any]:
    """Settings of a certificate."""
    return {"tls_ca": pki / "ca.crt", "tls_cert": pki / f"{name}.crt", "tls_key": pki / f"{name}.key"}


def peer(pki: Path, name: str, port: int) -> grpc.aio.Channel:
    """A connection under a name."""
    config = PeerConfig(mode=Mode.DEVELOPMENT, licence=f"127.0.0.1:{port}", **identity(pki, name))
    return channel(config, "licence")

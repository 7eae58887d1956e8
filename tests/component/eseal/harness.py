"""The seal service as it runs: real TLS, tokens, database and workers; only ledger and clock are fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from onestop.common.v1 import context_pb2
from onestop.eseal.v1 import bulk_pb2_grpc, remote_pb2_grpc, template_pb2, template_pb2_grpc
from onestop.eseal.v1 import eseal_pb2 as pb
from onestop.eseal.v1 import eseal_pb2_grpc as pb_grpc

from core.clock import now
from core.config import Mode, PeerConfig, ServiceConfig
from core.context import ContextReader
from core.disclosure import Disclosure
from core.identity import Scope
from core.keyring import Keyring
from core.replies_many import PgManyReplies
from core.rpc import build_server, channel
from core.together import Together
from core.vault import Vault
from deploy.local.pki import open_authority
from deploy.local.sm2_pki import load_maker, make_sm2_pki
from services.eseal.bulk.desk import BulkDesk
from services.eseal.bulk.rpc import BulkServicer
from services.eseal.bulk.rpc import register as register_bulk
from services.eseal.bulk.turns import CALLS
from services.eseal.confined.patience import PatientWorkshop
from services.eseal.confined.workshop import Workshop
from services.eseal.domain import Format
from services.eseal.envelope import pades_envelope
from services.eseal.gm.ses_making import seal_signature
from services.eseal.gm.sm2 import load_sm2
from services.eseal.gm.sm2_certificate import load_certificates
from services.eseal.keystore import VaultKeystore
from services.eseal.operating.making import SealOrder, Sm2Maker, make_seal
from services.eseal.pictures.vector import draw_round_seal
from services.eseal.remote.desk import RemoteDesk
from services.eseal.remote.keys import RemoteKeys
from services.eseal.remote.rpc import RemoteServicer, presenting
from services.eseal.remote.rpc import register as register_remote
from services.eseal.remote.signing import BOTTOM_TEXT, RemoteSigning
from services.eseal.remote.store import PgRemoteStore
from services.eseal.rpc import present, register
from services.eseal.sealing.ports import Workshop as AnyWorkshop
from services.eseal.sealing.pressing import Presses
from services.eseal.sealing.putting import Proofs, Putting
from services.eseal.service import SealDesk
from services.eseal.store import PgSealStore
from services.eseal.templates.desk import TemplateDesk
from services.eseal.templates.filler import TemplateFiller
from services.eseal.templates.rpc import register as register_templates
from services.eseal.templates.store import PgPlates
from services.eseal.trust.authority import SealAuthority, known_above, load_roots
from services.eseal.trust.timestamps import OutsideStamps, TimestampAuthority
from tests.database import CityDatabase
from tests.fakes import FakeClock, FakeIssuer, FakeLedger
from tests.unit.eseal.documents import KIND, OFFICE, OFFICE_CODE

LINKS = "https://city.example/public/v1/sealed_documents/"
OTHER_OFFICE = "11440299MB2L000118"
EVERY_SCOPE = (Scope.SEAL_USE, Scope.DOCUMENT_VERIFY)


@dataclass(frozen=True)
class Asking:
    """Who asks, and for which case; a test changes what it is about."""

    scopes: tuple[str, ...] = EVERY_SCOPE
    office: str = OFFICE_CODE
    operator: str = "clerk7"
    matter_code: str = "sole-trader-registration"
    case_number: str = "2026-0001"
    request_id: str = ""
    deadline: float = 0.0
    """Seconds from now; 0 names none."""


@dataclass
class Desk:
    """A running seal service, and a gateway's connection to it."""

    gateway: pb_grpc.EsealServiceAsyncStub
    bulk: bulk_pb2_grpc.BulkSealServiceAsyncStub
    remote: remote_pb2_grpc.RemoteSigningServiceAsyncStub
    templates: template_pb2_grpc.TemplateServiceAsyncStub
    ledger: FakeLedger
    issuer: FakeIssuer
    clock: FakeClock
    workshop: Workshop
    database: CityDatabase
    authority: SealAuthority
    maker: Sm2Maker
    plates: PgPlates
    settled: Callable[[], Awaitable[None]]
    """Waits until what failed has been closed, and what had begun is done."""
    asking: Asking = field(default_factory=Asking)

    async def seals(
        self, asking: Asking | None = None, *, page_size: int = 0, page_token: str = ""
    ) -> pb.ListSealsResponse:
        return await self.gateway.ListSeals(
            pb.ListSealsRequest(**self.about(asking), page_size=page_size, page_token=page_token)
        )

    async def sign(
        self,
        seal_id: UUID,
        document: bytes,
        asking: Asking | None = None,
        place: pb.SealPlace | None = None,
        *,
        level: pb.SealLevel.ValueType = pb.SEAL_LEVEL_UNSPECIFIED,
        certify: bool = False,
    ) -> pb.SignDocumentResponse:
        """Seals under a new request_id unless one is named."""
        asked = asking or self.asking
        if not asked.request_id:
            asked = replace(asked, request_id=str(uuid4()))
        return await self.gateway.SignDocument(
            pb.SignDocumentRequest(
                **self.about(asked),
                seal_id=str(seal_id),
                document=document,
                place=place,
                level=level,
                certify=certify,
            )
        )

    async def sign_template(
        self,
        seal_id: UUID,
        template: str,
        fields: Mapping[str, str],
        asking: Asking | None = None,
        *,
        version: int = 0,
        level: pb.SealLevel.ValueType = pb.SEAL_LEVEL_UNSPECIFIED,
        pictures: Mapping[str, bytes] | None = None,
    ) -> template_pb2.SignTemplateResponse:
        """Fills and seals under a new request_id unless one is named."""
        asked = asking or self.asking
        if not asked.request_id:
            asked = replace(asked, request_id=str(uuid4()))
        return await self.templates.SignTemplate(
            template_pb2.SignTemplateRequest(
                **self.about(asked),
                seal_id=str(seal_id),
                fill=template_pb2.TemplateFill(
                    template=template, version=version, fields=fields, level=level, pictures=pictures
                ),
            )
        )

    async def list_templates(
        self, *, page_size: int = 0, page_token: str = ""
    ) -> template_pb2.ListTemplatesResponse:
        return await self.templates.ListTemplates(
            template_pb2.ListTemplatesRequest(**self.about(None), page_size=page_size, page_token=page_token)
        )

    async def verify(self, document: bytes, asking: Asking | None = None) -> pb.VerifyDocumentAnswer:
        response = await self.gateway.VerifyDocument(
            pb.VerifyDocumentRequest(**self.about(asking), document=document)
        )
        return response.answer

    async def verify_digests(
        self, digests: Sequence[str], asking: Asking | None = None
    ) -> Sequence[pb.VerifyDigestResult]:
        """What is said of files by their digests, hexadecimal."""
        about = self.about(asking)
        request = pb.BatchVerifyDigestsRequest(
            credentials=[about["credential"]],
            items=[
                pb.VerifyDigestItem(context=about["context"], query=pb.VerifyDigestQuery(sha256=one))
                for one in digests
            ],
        )
        return (await self.gateway.BatchVerifyDigests(request)).results

    async def make_seal(self, *, sm2: bool = False, **change: Any) -> UUID:
        """A seal of OFFICE, in force for a year, which OFFICE may use for everything; with P-256 or SM2."""
        order = SealOrder(
            owner_code=OFFICE_CODE,
            owner_name=OFFICE,
            kind=KIND + ("（国密）" if sm2 else ""),
            division="440299",
            valid_from=self.clock() - timedelta(days=1),
            valid_until=self.clock() + timedelta(days=365),
            users=[(OFFICE_CODE, "")],
        )
        connection = await self.owner()
        try:
            vault = await Vault.open(connection, Keyring.load(self.database.keyring("eseal")))
            who = self.maker if sm2 else self.authority
            seal_id, _ = await make_seal(connection, vault, who, replace(order, **change))
        finally:
            await connection.close()
        return seal_id

    async def owner(self) -> asyncpg.Connection:
        """A connection with the owner's rights."""
        return await asyncpg.connect(self.database.admin_dsn, server_settings={"search_path": "eseal"})

    async def execute(self, statement: str, *values: object) -> None:
        """Runs a statement with the owner's rights."""
        connection = await self.owner()
        await connection.execute(statement, *values)
        await connection.close()

    async def signatures(self) -> list[asyncpg.Record]:
        """The records of signatures."""
        connection = await self.owner()
        rows: list[asyncpg.Record] = await connection.fetch("SELECT * FROM signature ORDER BY signed_at")
        await connection.close()
        return rows

    def about(self, asking: Asking | None) -> Mapping[str, Any]:
        asked = asking or self.asking
        token = self.issuer.machine("approval-platform", asked.scopes)
        credential = context_pb2.Credential(token=token, certificate_thumbprint=FakeIssuer.THUMBPRINT)
        return {"credential": credential, "context": self.context(asked)}

    def context(self, asked: Asking) -> context_pb2.RequestContext:
        made = context_pb2.RequestContext(
            office=asked.office,
            operator=asked.operator,
            purpose="个体工商户设立登记",
            request_id=asked.request_id,
        )
        if asked.matter_code:
            made.basis.kind = context_pb2.BASIS_KIND_MATTER
            made.basis.matter_code = asked.matter_code
            made.basis.case_number = asked.case_number
        if asked.deadline:
            made.deadline.FromDatetime(self.clock() + timedelta(seconds=asked.deadline))
        return made


def reason(error: grpc.aio.AioRpcError) -> str:
    """The reason that a failed call gives."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # the aio error has the same methods
    assert status is not None
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


async def certificate_of(desk: Desk) -> bytes:
    connection = await desk.owner()
    found: bytes = await connection.fetchval("SELECT certificate FROM seal_key")
    await connection.close()
    return found


async def refused(desk: Desk, seal_id: UUID, document: bytes, **how: object) -> str:
    """Why sealing is refused; nothing may have been recorded of a seal, and no intent be left open."""
    before = len(await desk.signatures())
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await desk.sign(seal_id, document, **how)  # type: ignore[arg-type]
    assert len(await desk.signatures()) == before
    return reason(failure.value)


@asynccontextmanager
async def running_desk(
    database: CityDatabase,
    pool: asyncpg.Pool,
    pki: Path,
    workshop: Workshop,
    *,
    timestamps: TimestampAuthority | None = None,
    clock: FakeClock | None = None,
    proofs: Proofs = Proofs(),  # noqa: B008  # frozen
) -> AsyncIterator[Desk]:
    """The service on a free port, and a connection to it under the gateway's name."""
    # The database forgets replies by its own clock, so ours starts at the same time.
    clock, ledger = clock or FakeClock(now().replace(microsecond=0)), FakeLedger()
    issuer = FakeIssuer(clock)
    # Its authority is as old as the tests' clock.
    folder = pki / "seals"
    folder.mkdir(exist_ok=True)
    open_authority(folder / "seal-ca", "test seal authority", clock() - timedelta(days=2))
    make_sm2_pki(folder, clock() - timedelta(days=2))
    maker = load_maker(folder)
    assert maker is not None
    vault = await Vault.open(pool, Keyring.load(database.keyring("eseal")))
    replies = PgManyReplies(pool, vault, clock)
    disclosure = Disclosure(ledger=ledger, replies=replies, present=presenting(present), clock=clock)
    store, plates = PgSealStore(pool), PgPlates(pool, clock)
    filler = TemplateFiller(LINKS, plates)
    await filler.open()
    keystore = VaultKeystore(pool, vault, load_sm2())
    together = Together(ledger=ledger, replies=replies, present=present, clock=clock)

    def putting_by(workshop: AnyWorkshop) -> Putting:
        return Putting(
            store=store,
            keystore=keystore,
            presses=Presses(workshop, pades_envelope, seal_signature, proofs.lasting),
            filler=filler,
            proofs=proofs,
            hasher=vault,
            clock=clock,
        )

    putting = putting_by(workshop)
    desk = SealDesk(
        store=store,
        putting=putting,
        sealing=BulkDesk(store, putting, together, clock, turns=CALLS),
        workshop=workshop,
        public_workshop=workshop,
        disclosure=disclosure,
        roots={
            Format.PDF: load_roots(folder / "seal-ca.crt"),
            Format.OFD: load_certificates(folder / "seal-ca-sm2.crt"),
        },
        hasher=vault,
        clock=clock,
        proofs=proofs,
    )
    config = ServiceConfig(
        mode=Mode.DEVELOPMENT,
        listen="127.0.0.1:0",
        database_dsn_file=database.dsn_file("eseal"),
        keyring=database.keyring("eseal"),
        **_identity(pki, "eseal"),
    )
    contexts = ContextReader(issuer.verifier(), clock)
    patient = putting_by(PatientWorkshop(workshop))
    remote, keys = PgRemoteStore(pool, vault, clock), RemoteKeys()
    signing = RemoteSigning(
        store=remote,
        keys=keys,
        workshop=workshop,
        envelope=pades_envelope,
        draw=partial(draw_round_seal, bottom_text=BOTTOM_TEXT),
        disclosure=disclosure,
        require_time=lambda: None,
        clock=clock,
    )
    servicer = RemoteServicer(
        RemoteDesk(store=remote, keys=keys, disclosure=disclosure, clock=clock),
        signing,
        OutsideStamps(timestamps),
        contexts,
        above=known_above(load_roots(folder / "seal-ca.crt")),
    )

    templates = TemplateDesk(filler=filler, plates=plates, store=store, clock=clock)
    streams = BulkDesk(store, patient, together, clock)
    bulk = BulkServicer(streams, patient, contexts, templates.plate)

    def register_all(server: grpc.aio.Server) -> Sequence[str]:
        return [
            *register(desk, contexts, clock, server),
            *register_bulk(bulk, server),
            *register_remote(servicer, server),
            *register_templates(desk, templates, contexts, server),
        ]

    async def settle() -> None:
        await bulk.drain()
        await together.drain()
        await disclosure.drain()

    server, port, _ = build_server(config, register_all)
    await server.start()
    peer = PeerConfig(mode=Mode.DEVELOPMENT, eseal=f"127.0.0.1:{port}", **_identity(pki, "gateway"))
    try:
        async with channel(peer, "eseal") as gateway:
            yield Desk(
                gateway=pb_grpc.EsealServiceStub(gateway),
                bulk=bulk_pb2_grpc.BulkSealServiceStub(gateway),
                remote=remote_pb2_grpc.RemoteSigningServiceStub(gateway),
                templates=template_pb2_grpc.TemplateServiceStub(gateway),
                ledger=ledger,
                issuer=issuer,
                clock=clock,
                workshop=workshop,
                database=database,
                authority=SealAuthority.load(folder / "seal-ca.crt", folder / "seal-ca.key"),
                maker=maker,
                plates=plates,
                settled=settle,
            )
    finally:
        await server.stop(None)


def _identity(pki: Path, part: str) -> dict[str, Any]:
    return {"tls_ca": pki / "ca.crt", "tls_cert": pki / f"{part}.crt", "tls_key": pki / f"{part}.key"}

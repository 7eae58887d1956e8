"""The autofill service as it runs: real TLS, tokens, database and upstream calls; the ledger is a fake."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import grpc
from google.rpc import error_details_pb2, status_pb2
from onestop.autofill.v1 import autofill_pb2 as pb
from onestop.autofill.v1 import autofill_pb2_grpc as pb_grpc
from onestop.common.v1 import context_pb2, subject_pb2
from onestop.datanode.v1 import datanode_pb2_grpc
from onestop.licence.v1 import licence_pb2_grpc

from core.clock import now
from core.config import Mode, PeerConfig, ServiceConfig
from core.context import ContextReader
from core.disclosure import Disclosure
from core.identity import Scope
from core.keyring import Keyring
from core.replies import PgReplies
from core.rpc import Register, build_server, channel
from core.vault import Vault
from core.wire import put
from services.autofill.answers import present
from services.autofill.budget import GuessLimits
from services.autofill.clients import Upstreams
from services.autofill.comparison import Json
from services.autofill.rpc import register
from services.autofill.service import FormDesk, Waiting
from services.autofill.store import PgGuessBook
from services.autofill.templates import load_matters
from tests.component.autofill.upstreams import FakeDataNode, FakeLicences, Upstream
from tests.database import CityDatabase
from tests.fakes import FakeIssuer, FakeLedger

HER = "440299199001010012"
HIM = "440299196502030122"
OFFICE = "11440299MB2L01030E"
ID_CARD = "licence.11100000000013127D001"
REGISTER = "licence.11100000000013127D902"
PERSON = "population.person"
HOUSEHOLD = "population.household"
HOUSING = "housing.real_estate"
EVERY_SCOPE = (Scope.MATTER_READ, Scope.AUTOFILL_FILL, Scope.AUTOFILL_VERIFY)


@dataclass(frozen=True)
class Asking:
    """Who asks, and for which case; a test changes what it is about."""

    client: str = "approval-platform"
    scopes: tuple[str, ...] = EVERY_SCOPE
    office: str = OFFICE
    matter_code: str = "sole-trader-registration"
    case_number: str = "2026-0001"
    request_id: str = ""
    seconds: float = 10.0
    """Until the deadline."""

    def context(self) -> context_pb2.RequestContext:
        """The context of one item; no basis where no matter is named."""
        made = context_pb2.RequestContext(
            office=self.office, operator="clerk7", purpose="个体工商户设立登记", request_id=self.request_id
        )
        made.deadline.FromDatetime(now() + timedelta(seconds=self.seconds))
        if self.matter_code:
            made.basis.kind = context_pb2.BASIS_KIND_MATTER
            made.basis.matter_code = self.matter_code
            made.basis.case_number = self.case_number
        return made


@dataclass
class Counter:
    """A running autofill service, and connections to it under several names."""

    gateway: pb_grpc.AutofillServiceAsyncStub
    stranger: pb_grpc.AutofillServiceAsyncStub
    upstream: Upstream
    licences: grpc.aio.Server
    ledger: FakeLedger
    issuer: FakeIssuer
    asking: Asking = field(default_factory=Asking)

    def credential(self, asking: Asking | None = None) -> context_pb2.Credential:
        asked = asking or self.asking
        token = self.issuer.machine(asked.client, asked.scopes)
        return context_pb2.Credential(token=token, certificate_thumbprint=FakeIssuer.THUMBPRINT)

    def fill_item(
        self, *names: str, subjects: Mapping[str, str] | None = None, asking: Asking | None = None
    ) -> pb.AutofillItem:
        query = pb.AutofillQuery(field_names=names, subjects=_subjects(subjects or {"applicant": HER}))
        return pb.AutofillItem(context=(asking or self.asking).context(), query=query)

    async def fill(
        self, *names: str, subjects: Mapping[str, str] | None = None, asking: Asking | None = None
    ) -> pb.AutofillResult:
        item = self.fill_item(*names, subjects=subjects, asking=asking)
        return (await self.fill_batch([item], asking))[0]

    async def fill_batch(
        self, items: Sequence[pb.AutofillItem], asking: Asking | None = None
    ) -> Sequence[pb.AutofillResult]:
        request = pb.BatchAutofillRequest(credentials=[self.credential(asking)], items=items)
        return (await self.gateway.BatchAutofill(request, timeout=60)).results

    async def verify(
        self,
        values: Mapping[str, Json],
        *,
        subjects: Mapping[str, str] | None = None,
        asking: Asking | None = None,
    ) -> pb.VerifyFieldsResult:
        query = pb.VerifyFieldsQuery(subjects=_subjects(subjects or {"applicant": HER}))
        for name, value in values.items():
            put(query.values[name], value)
        item = pb.VerifyFieldsItem(context=(asking or self.asking).context(), query=query)
        request = pb.BatchVerifyFieldsRequest(credentials=[self.credential(asking)], items=[item])
        return (await self.gateway.BatchVerifyFields(request, timeout=20)).results[0]


def _subjects(subjects: Mapping[str, str]) -> dict[str, subject_pb2.Subject]:
    """Numbers by role; what does not begin with a digit of a person's region is an organisation's."""
    return {
        role: subject_pb2.Subject(code_type="111" if code.startswith("440") else "001", code=code)
        for role, code in subjects.items()
    }


def by_name(result: pb.AutofillResult) -> dict[str, pb.FilledField]:
    """The fields of an answer; an error fails the test that did not expect it."""
    assert not result.HasField("error"), result.error.message
    return {filled.name: filled for filled in result.answer.fields}


def verdicts(result: pb.VerifyFieldsResult) -> dict[str, str]:
    """The verdicts of an answer by field: match, mismatch, or why it is unknown."""
    assert not result.HasField("error"), result.error.message
    words = {pb.MATCH_MATCH: "match", pb.MATCH_MISMATCH: "mismatch"}
    return {verdict.name: words.get(verdict.verdict, verdict.reason) for verdict in result.answer.fields}


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
            return [str(violation.field) for violation in bad.field_violations]
    return []


@asynccontextmanager
async def running_counter(
    database: CityDatabase,
    pool: asyncpg.Pool,
    pki: Path,
    *,
    waiting: Waiting | None = None,
    real: Callable[[ContextReader], Mapping[str, Register]] | None = None,
) -> AsyncIterator[Counter]:
    """The service on a free port, its upstreams' stand-ins, and connections to it.

    `real` gives the upstreams themselves instead, as what registers them by part.
    """
    upstream, ledger, issuer = Upstream(), FakeLedger(), FakeIssuer(now)
    registers = real(ContextReader(issuer.verifier(), now)) if real else _stand_ins(upstream)
    async with AsyncExitStack() as stack:
        licences, licence_port = await _start(database, pki, "licence", registers)
        stack.push_async_callback(licences.stop, None)
        datanode, datanode_port = await _start(database, pki, "datanode", registers)
        stack.push_async_callback(datanode.stop, None)
        own = partial(_peer, pki, "autofill")
        to_licence = await stack.enter_async_context(own("licence", licence_port))
        to_datanode = await stack.enter_async_context(own("datanode", datanode_port))
        vault = await Vault.open(pool, Keyring.load(database.keyring("autofill")))
        desk = FormDesk(
            matters=load_matters(),
            sources=Upstreams(to_licence, to_datanode, now),
            guesses=PgGuessBook(pool, vault, GuessLimits(), now),
            disclosure=Disclosure(
                ledger=ledger,
                replies=PgReplies(pool, vault, now),
                present=present,
                clock=now,
            ),
            clock=now,
            waiting=waiting,
        )
        server, port, _ = build_server(
            _config(database, pki, "autofill"), partial(register, desk, ContextReader(issuer.verifier(), now))
        )
        await server.start()
        stack.push_async_callback(server.stop, None)
        peers = {
            name: await stack.enter_async_context(_peer(pki, name, "autofill", port))
            for name in ("gateway", "licence")
        }
        yield Counter(
            gateway=pb_grpc.AutofillServiceStub(peers["gateway"]),
            stranger=pb_grpc.AutofillServiceStub(peers["licence"]),
            upstream=upstream,
            licences=licences,
            ledger=ledger,
            issuer=issuer,
        )


def _stand_ins(upstream: Upstream) -> dict[str, Register]:
    """What registers the stand-ins."""

    def licences(server: grpc.aio.Server) -> Sequence[str]:
        licence_pb2_grpc.add_LicenceServiceServicer_to_server(FakeLicences(upstream), server)
        return []

    def registers(server: grpc.aio.Server) -> Sequence[str]:
        datanode_pb2_grpc.add_DataNodeServiceServicer_to_server(FakeDataNode(upstream), server)
        return []

    return {"licence": licences, "datanode": registers}


async def _start(
    database: CityDatabase, pki: Path, part: str, registers: Mapping[str, Register]
) -> tuple[grpc.aio.Server, int]:
    """One upstream, with the part's own certificate and the guard of every server."""
    server, port, _ = build_server(_config(database, pki, part), registers[part])
    await server.start()
    return server, port


def _peer(pki: Path, name: str, part: str, port: int) -> grpc.aio.Channel:
    """A connection to a part under a name."""
    return channel(PeerConfig.model_validate({part: f"127.0.0.1:{port}", **identity(pki, name)}), part)


def _config(database: CityDatabase, pki: Path, part: str) -> ServiceConfig:
    return ServiceConfig(
        mode=Mode.DEVELOPMENT,
        listen="127.0.0.1:0",
        database_dsn_file=database.dsn_file(part),
        keyring=database.keyring(part),
        **identity(pki, part),
    )


def identity(pki: Path, name: str) -> dict[str, Any]:
    """Settings of a certificate."""
    return {"tls_ca": pki / "ca.crt", "tls_cert": pki / f"{name}.crt", "tls_key": pki / f"{name}.key"}


def moment_of(result: pb.AutofillResult, name: str) -> datetime:
    """The moment for which a filled field's source vouches."""
    made: datetime = by_name(result)[name].provenance.as_of.ToDatetime(tzinfo=now().tzinfo)
    return made

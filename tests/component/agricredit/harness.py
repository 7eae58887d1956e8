"""The service in-process over mutual TLS on real PostgreSQL, beside a data node that can fail."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast

import asyncpg
import grpc
from google.protobuf.struct_pb2 import Value
from joserfc import jwe, jws
from joserfc.jwk import ECKey, KeySet
from onestop.agricredit.v1 import agricredit_pb2 as pb
from onestop.agricredit.v1 import agricredit_pb2_grpc as pb_grpc
from onestop.common.v1 import context_pb2, subject_pb2
from onestop.datanode.v1 import datanode_pb2, datanode_pb2_grpc

from core.batch import answer_inner_batch
from core.config import Mode, PeerConfig, ServiceConfig
from core.context import ContextReader
from core.disclosure import Disclosure, Ledger
from core.errors import Kind, RelayedError, ServiceError
from core.es256 import Es256Keys
from core.identity import Subject
from core.keyring import Keyring
from core.present import AnswerPresenter
from core.replies import PgReplies
from core.rpc import build_server, channel
from core.status import from_rpc_error, from_status
from core.tokens import IssuerKeys, TokenVerifier
from core.vault import Vault
from services.agricredit.answers import answer_to_pb
from services.agricredit.clients import DataNode
from services.agricredit.domain import Item
from services.agricredit.envelope import Envelope
from services.agricredit.fetching import FetchDesk
from services.agricredit.rpc import AgriCreditServicer, register
from services.agricredit.service import ConsentDesk
from services.agricredit.store_uses import PgUses
from services.issuer.domain import Claims
from services.issuer.signing import TokenSigner
from tests.component.gateway.pki import Authority
from tests.database import CityDatabase

THUMBPRINT = "A" * 43
BANK_SCOPES = "consent.request credit.fetch ledger.read"
SUITE = ["ECDH-ES+A256KW", "A256GCM"]
PURPOSE = "loan_application"

Records = Mapping[str, Sequence[Mapping[str, object]]]


class MovedClock:
    """The machine's clock, moved on by what a test wants."""

    def __init__(self) -> None:
        self._moved = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._moved

    def advance(self, span: timedelta) -> None:
        self._moved += span


class FakeDataNode(datanode_pb2_grpc.DataNodeServiceServicer):
    """Answers what it was given for a number; it can be slow, refuse, or be held at a gate."""

    def __init__(self) -> None:
        self.records: dict[str, Records] = {}
        self.asked: list[datanode_pb2.ReadRecordsItem] = []
        self.calls = 0
        self.gate: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.seconds = 0.0
        self.refusal: ServiceError | None = None

    async def BatchReadRecords(
        self, request: datanode_pb2.BatchReadRecordsRequest, context: object
    ) -> datanode_pb2.BatchReadRecordsResponse:
        self.calls += 1

        async def one(item: datanode_pb2.ReadRecordsItem) -> datanode_pb2.ReadRecordsResult:
            assert request.credentials[item.context.credential_index].token
            self.asked.append(item)
            self.reached.set()
            if self.gate is not None:
                await self.gate.wait()
            await asyncio.sleep(self.seconds)
            if self.refusal is not None:
                raise self.refusal
            return datanode_pb2.ReadRecordsResult(answer=self._answer(item.query))

        results = await answer_inner_batch(request.items, datanode_pb2.ReadRecordsResult, one)
        return datanode_pb2.BatchReadRecordsResponse(results=results)

    async def ListResources(
        self, request: datanode_pb2.ListResourcesRequest, context: object
    ) -> datanode_pb2.ListResourcesResponse:
        raise NotImplementedError

    def _answer(self, query: datanode_pb2.ReadRecordsQuery) -> datanode_pb2.ReadRecordsAnswer:
        answer = datanode_pb2.ReadRecordsAnswer()
        for number, values in enumerate(self.records.get(query.subject.code, {}).get(query.resource, ())):
            record = answer.records.add()
            record.provenance.resource = query.resource
            record.provenance.record_version = f"{number + 1}.1"
            record.provenance.as_of.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
            # More than was asked for, as a careless source might: the service must not pass it on.
            for name, value in values.items():
                _put(record.fields[name], value)
        return answer


def _put(target: Value, value: object) -> None:
    match value:
        case None:
            target.null_value = 0  # type: ignore[assignment]  # NULL_VALUE
        case bool():
            target.bool_value = value
        case int() | float():
            target.number_value = value
        case _:
            target.string_value = str(value)


@dataclass
class Town:
    """The running service and the people who call it."""

    stub: pb_grpc.AgriCreditServiceAsyncStub
    datanode: FakeDataNode
    stop_datanode: Callable[[], Awaitable[object]]
    pool: asyncpg.Pool
    clock: MovedClock
    signer: TokenSigner
    city: Es256Keys
    bank_key: ECKey
    disclosure: Disclosure
    fetches: FetchDesk

    def machine(self, client: str = "rural-bank", scopes: str = BANK_SCOPES) -> context_pb2.Credential:
        """A machine's credential."""
        claims = {"client_id": client, "scope": scopes, "cnf": {"x5t#S256": THUMBPRINT}}
        return context_pb2.Credential(token=self._signed(claims), certificate_thumbprint=THUMBPRINT)

    def citizen(self, person: Subject) -> context_pb2.Credential:
        """A signed-in person's credential."""
        claims = {
            "client_id": "citizen",
            "scope": "citizen",
            "code_type": person.code_type,
            "code": person.code,
        }
        return context_pb2.Credential(token=self._signed(claims))

    def _signed(self, claims: Claims) -> str:
        now = int(self.clock().timestamp())
        common = {"iss": "onestop-issuer", "aud": "onestop", "iat": now, "exp": now + 300}
        return self.signer.sign({**common, "jti": str(uuid.uuid4()), **claims})

    async def ask(
        self,
        farmer: Subject,
        *,
        key: str = "",
        credential: context_pb2.Credential | None = None,
        items: Sequence[Item] = tuple(Item),
        purpose: str = PURPOSE,
        days: int = 90,
        uses: int = 10,
    ) -> pb.CreateConsentRequestResponse:
        """The bank asks a farmer."""
        query = pb.CreateConsentRequestQuery(
            farmer=subject_pb2.Subject(code_type=farmer.code_type, code=farmer.code),
            purpose_code=purpose,
            items=[item_number(item) for item in items],
            validity_days=days,
            max_uses=uses,
        )
        return await self.stub.CreateConsentRequest(
            pb.CreateConsentRequestRequest(
                credential=credential or self.machine(),
                context=context(context_pb2.BASIS_KIND_AGREEMENT, key=key or str(uuid.uuid4())),
                query=query,
            )
        )

    async def look(self, request_id: str, client: str = "rural-bank") -> pb.GetConsentRequestResponse:
        """A bank looks at a request."""
        return await self.stub.GetConsentRequest(
            pb.GetConsentRequestRequest(
                credential=self.machine(client),
                context=context(context_pb2.BASIS_KIND_AGREEMENT),
                id=request_id,
            )
        )

    async def list(self, farmer: Subject, size: int = 0, token: str = "") -> pb.ListConsentRequestsResponse:
        """A farmer looks at what she was asked."""
        return await self.stub.ListConsentRequests(
            pb.ListConsentRequestsRequest(
                credential=self.citizen(farmer),
                context=context(context_pb2.BASIS_KIND_HOLDER),
                page_size=size,
                page_token=token,
            )
        )

    async def grant(
        self,
        farmer: Subject,
        request: pb.ConsentRequest,
        *,
        key: str = "",
        items: Sequence[Item] = tuple(Item),
        digest: str = "",
    ) -> pb.GrantConsentResponse:
        """A farmer grants what she ticked."""
        return await self.stub.GrantConsent(
            pb.GrantConsentRequest(
                credential=self.citizen(farmer),
                context=context(context_pb2.BASIS_KIND_HOLDER, key=key or str(uuid.uuid4())),
                query=pb.GrantConsentQuery(
                    consent_request_id=request.id,
                    text_sha256=digest or request.text_sha256,
                    items=[item_number(item) for item in items],
                ),
            )
        )

    async def revoke(self, farmer: Subject, consent_id: str, *, key: str = "") -> pb.RevokeConsentResponse:
        """A farmer revokes."""
        return await self.stub.RevokeConsent(
            pb.RevokeConsentRequest(
                credential=self.citizen(farmer),
                context=context(context_pb2.BASIS_KIND_HOLDER, key=key or str(uuid.uuid4())),
                consent_id=consent_id,
            )
        )

    async def consented(self, farmer: Subject, *, items: Sequence[Item] = tuple(Item), uses: int = 10) -> str:
        """The id of a fresh consent."""
        asked = await self.ask(farmer, uses=uses)
        granted = await self.grant(farmer, asked.answer.consent_request, items=items)
        return granted.answer.consent.id

    async def fetch(
        self,
        consent_id: str,
        item: Item = Item.LAND_RIGHTS,
        *,
        key: str = "",
        purpose: str = PURPOSE,
        credential: context_pb2.Credential | None = None,
        seconds: float = 20.0,
        years: int = 0,
    ) -> dict[str, object]:
        """What the bank reads after decrypting and checking the signature. Raises the item's error."""
        said = context(context_pb2.BASIS_KIND_CONSENT, consent_id=consent_id, key=key)
        said.deadline.FromDatetime(self.clock() + timedelta(seconds=seconds))
        query = pb.FetchQuery(purpose_code=purpose, years=years)
        credentials = [credential or self.machine()]
        if item is Item.LAND_RIGHTS:
            land = await self.stub.BatchFetchLandRights(
                pb.BatchFetchLandRightsRequest(
                    credentials=credentials, items=[pb.FetchLandRightsItem(context=said, query=query)]
                )
            )
            return self.open(land.results[0])
        paid = await self.stub.BatchFetchSubsidies(
            pb.BatchFetchSubsidiesRequest(
                credentials=credentials, items=[pb.FetchSubsidiesItem(context=said, query=query)]
            )
        )
        return self.open(paid.results[0])

    def open(self, result: pb.FetchLandRightsResult | pb.FetchSubsidiesResult) -> dict[str, object]:
        """Decrypts with the bank's key, and checks the city's signature."""
        if result.HasField("error"):
            raise from_status(result.error)
        opened = jwe.decrypt_compact(result.answer.jwe, self.bank_key, SUITE)
        assert opened.plaintext is not None
        keys = KeySet.import_key_set(json.loads(self.city.jwks))
        payload = jws.deserialize_compact(opened.plaintext, keys, ["ES256"]).payload
        return cast(dict[str, object], json.loads(payload))

    async def uses(self, consent_id: str) -> int:
        """How many uses are counted."""
        used: int = await self.pool.fetchval(
            "SELECT uses FROM consent WHERE consent_id = $1", uuid.UUID(consent_id)
        )
        return used

    async def until_used(self, consent_id: str, uses: int) -> None:
        """Returns when so many uses are counted: what follows a caller who hung up goes on without it."""
        for _ in range(250):
            if await self.uses(consent_id) == uses:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"{await self.uses(consent_id)} uses are counted, and not {uses}")


def context(
    basis: context_pb2.BasisKind.ValueType, *, consent_id: str = "", key: str = ""
) -> context_pb2.RequestContext:
    """A request context as the gateway makes it."""
    return context_pb2.RequestContext(
        basis=context_pb2.Basis(kind=basis, consent_id=consent_id), request_id=key
    )


def item_number(item: Item) -> pb.ConsentItem.ValueType:
    return pb.ConsentItem.Value(f"CONSENT_ITEM_{item.value.upper()}")


async def error_of(call: object) -> RelayedError:
    """The error that a call or a fetch ends with."""
    try:
        await call  # type: ignore[misc]  # a coroutine or a call
    except grpc.aio.AioRpcError as failure:
        return from_rpc_error(failure, "agricredit")
    except RelayedError as failure:
        return failure
    raise AssertionError("it was not refused")


def refusal(kind: Kind, reason: str) -> RelayedError:
    """What the fake data node may refuse with."""
    return RelayedError("refused", relayed_kind=kind, relayed_reason=reason)


@asynccontextmanager
async def running_town(
    folder: Path,
    database: CityDatabase,
    pool: asyncpg.Pool,
    ledger: Ledger,
    bank_key: ECKey,
    *,
    source_seconds: float = 2.0,
    real_datanode: Callable[[ContextReader], datanode_pb2_grpc.DataNodeServiceServicer] | None = None,
) -> AsyncIterator[Town]:
    """The service on its own port, called by the gateway, calling the fake data node or a real one."""
    authority = Authority(folder / "pki")
    clock = MovedClock()
    signer = TokenSigner(Es256Keys(ECKey.generate_key("P-256")))
    city = Es256Keys(ECKey.generate_key("P-256"))

    async def issuer_keys() -> IssuerKeys:
        return IssuerKeys(signer.public_keys(), clock() + timedelta(minutes=5))

    def config(part: str, **peers: str) -> ServiceConfig:
        pair = authority.issue(part, "localhost")
        return ServiceConfig(
            mode=Mode.DEVELOPMENT,
            tls_ca=authority.root,
            tls_cert=pair.certificate,
            tls_key=pair.key,
            listen="127.0.0.1:0",
            database_dsn_file=database.dsn_file("agricredit"),
            keyring=database.keyring("agricredit"),
            **peers,  # type: ignore[arg-type]  # addresses by part
        )

    contexts = ContextReader(TokenVerifier(issuer_keys, clock), clock)
    datanode = FakeDataNode()
    answering = real_datanode(contexts) if real_datanode else datanode

    def register_datanode(server: grpc.aio.Server) -> Sequence[str]:
        datanode_pb2_grpc.add_DataNodeServiceServicer_to_server(answering, server)
        return ["onestop.datanode.v1.DataNodeService"]

    datanode_server, datanode_port, _ = build_server(config("datanode"), register_datanode)
    await datanode_server.start()
    own = config("agricredit", datanode=f"127.0.0.1:{datanode_port}")
    to_datanode = channel(own, "datanode")
    vault = await Vault.open(pool, Keyring.load(own.keyring))
    disclosure = Disclosure(
        ledger=ledger,
        replies=PgReplies(pool, vault, clock),
        present=AnswerPresenter(answer_to_pb),
        clock=clock,
    )
    store = PgUses(pool, vault, clock)
    consents = ConsentDesk(consents=store, disclosure=disclosure, clock=clock)
    fetches = FetchDesk(
        uses=store,
        registers=DataNode(to_datanode, clock),
        disclosure=disclosure,
        clock=clock,
        source_life=timedelta(seconds=source_seconds),
    )
    servicer = AgriCreditServicer(consents, fetches, contexts, Envelope(city))
    server, port, _ = build_server(own, partial(register, servicer))
    await server.start()
    pair = authority.issue("gateway")
    gateway = PeerConfig(
        mode=Mode.DEVELOPMENT,
        tls_ca=authority.root,
        tls_cert=pair.certificate,
        tls_key=pair.key,
        agricredit=f"127.0.0.1:{port}",
    )
    async with channel(gateway, "agricredit") as to_service:
        yield Town(
            stub=pb_grpc.AgriCreditServiceStub(to_service),
            datanode=datanode,
            stop_datanode=lambda: datanode_server.stop(None),
            pool=pool,
            clock=clock,
            signer=signer,
            city=city,
            bank_key=bank_key,
            disclosure=disclosure,
            fetches=fetches,
        )
    if datanode.gate is not None:
        datanode.gate.set()
    await server.stop(None)
    await fetches.drain()
    await disclosure.drain()
    await to_datanode.close()
    await datanode_server.stop(None)

"""The ledger as the other parts meet it: mutual TLS, the contract, a real database."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2
from onestop.common.v1 import context_pb2
from onestop.ledger.v1 import ledger_pb2 as pb
from onestop.ledger.v1 import ledger_pb2_grpc as pb_grpc
from structlog.testing import capture_logs

from core.clock import now
from core.config import Mode, PeerConfig, ServiceConfig
from core.context import ContextReader
from core.entries import Entry
from core.errors import RelayedError
from core.identity import Subject
from core.ledger import LedgerClient, item_of, receipt_of
from core.log import add_trace
from core.note import VerifierKey, open_checkpoint
from core.rpc import build_server, channel
from core.status import from_rpc_error, from_status
from core.trace import span
from services.ledger.rpc import SERVICE, LedgerServicer
from services.ledger.sequencer import State
from tests.component.gateway.pki import Authority
from tests.database import CityDatabase
from tests.fakes import FakeIssuer
from tests.store.ledger.conftest import SUBJECT, StartLedger, Town, disclosure, intent, outcome, proved


@dataclass
class Served:
    """A ledger that listens, and who may talk to it."""

    town: Town
    issuer: FakeIssuer
    channels: dict[str, grpc.aio.Channel]

    def stub(self, name: str) -> pb_grpc.LedgerServiceAsyncStub:
        return pb_grpc.LedgerServiceStub(self.channels[name])

    async def receipt(self, token: str, thumbprint: str, item_id: str) -> pb.GetReceiptResponse:
        """Asks as the gateway does, with a caller's token."""
        credential = context_pb2.Credential(token=token, certificate_thumbprint=thumbprint)
        request = pb.GetReceiptRequest(
            credential=credential, context=context_pb2.RequestContext(), id=item_id
        )
        try:
            return await self.stub("gateway").GetReceipt(request)
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "ledger") from error


@pytest.fixture
async def served(start: StartLedger, tmp_path: Path, fresh_database: CityDatabase) -> AsyncIterator[Served]:
    town, issuer = await start(), FakeIssuer(now)
    authority = Authority(tmp_path / "pki")
    pair = authority.issue("ledger")
    reader = ContextReader(issuer.verifier(), now)

    def register(server: grpc.aio.Server) -> Sequence[str]:
        servicer = LedgerServicer(town.desk, reader, town.public, {}, disclosures=town.disclosures)
        pb_grpc.add_LedgerServiceServicer_to_server(servicer, server)
        return [SERVICE]

    config = ServiceConfig(
        mode=Mode.DEVELOPMENT,
        tls_ca=authority.root,
        tls_cert=pair.certificate,
        tls_key=pair.key,
        listen="127.0.0.1:0",
        database_dsn_file=fresh_database.dsn_file("ledger"),
        keyring=fresh_database.keyring("ledger"),
    )
    server, port, _ = build_server(config, register)
    await server.start()
    channels = {}
    for name in ("licence", "eseal", "gateway"):
        mine = authority.issue(name)
        peer = PeerConfig(
            mode=Mode.DEVELOPMENT,
            tls_ca=authority.root,
            tls_cert=mine.certificate,
            tls_key=mine.key,
            ledger=f"127.0.0.1:{port}",
        )
        channels[name] = channel(peer, "ledger")
    yield Served(town, issuer, channels)
    for opened in channels.values():
        await opened.close()
    await server.stop(None)


async def append(served: Served, name: str, *items: pb.AppendItem) -> list[pb.AppendResult]:
    response = await served.stub(name).AppendBatch(pb.AppendBatchRequest(items=items))
    return list(response.results)


def reason(error: status_pb2.Status) -> str:
    return from_status(error).reason


async def test_part_appends_through_the_common_client(served: Served) -> None:
    client = LedgerClient(served.channels["licence"])

    receipt = await client.append(disclosure())

    assert proved(receipt).entry["recorder"] == "licence"


async def test_each_entry_is_told_in_the_log_under_the_trace_of_its_request(served: Served) -> None:
    traces = ["4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"]
    client = LedgerClient(served.channels["licence"])

    async def append(trace_id: str) -> None:
        with span("request", f"00-{trace_id}-00f067aa0ba902b7-01"):
            await client.append(disclosure())

    with capture_logs(processors=[add_trace]) as lines:
        await asyncio.gather(*map(append, traces))

    assert sorted((line["trace_id"], line["outcome"]) for line in lines) == sorted(
        (one, "ok") for one in traces
    )


async def test_recorder_is_the_name_in_the_certificate(served: Served) -> None:
    act = intent()
    end = outcome(act)
    await LedgerClient(served.channels["eseal"]).append(act)

    with pytest.raises(RelayedError) as refusal:
        await LedgerClient(served.channels["licence"]).append(end)
    receipt = await LedgerClient(served.channels["eseal"]).append(end)

    assert refusal.value.reason == "INTENT_UNKNOWN"
    assert proved(receipt).entry["recorder"] == "eseal"


async def test_open_intents_are_the_calling_part_s_own(served: Served) -> None:
    act = intent()
    eseal, licence = (LedgerClient(served.channels[name]) for name in ("eseal", "licence"))
    await eseal.append(act)

    assert await eseal.open_intents(now() + timedelta(seconds=1)) == [act]
    assert await licence.open_intents(now() + timedelta(seconds=1)) == []


async def test_each_item_of_a_batch_has_its_own_result(served: Served) -> None:
    def item(entry: Entry, **changes: object) -> pb.AppendItem:
        made = item_of(entry)
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    results = await append(
        served,
        "licence",
        item(disclosure()),
        item(disclosure(), method="No Such Method"),
        item(disclosure(), item_id="not a uuid"),
        item(outcome(intent()), intent_id="not a uuid"),
        item(disclosure(), kind=pb.ENTRY_KIND_UNSPECIFIED),
        item(disclosure(), answer_salt=b"short"),
        item(disclosure()),
    )

    reasons = [reason(one.error) if one.HasField("error") else "" for one in results]
    assert reasons == ["", *["REQUEST_INVALID"] * 5, ""]
    assert [receipt_of(results[place].receipt).index for place in (0, 6)] == [0, 1]
    assert [fault.field for fault in from_status(results[1].error).faults] == ["method"]
    assert [fault.field for fault in from_status(results[3].error).faults] == ["intent_id"]


async def test_batch_of_the_largest_size_is_appended(served: Served) -> None:
    results = await append(served, "licence", *(item_of(disclosure()) for _ in range(1024)))

    assert {one.receipt.tree_size for one in results} == {1024}
    for one in results[::100]:
        proved(receipt_of(one.receipt))


async def test_read_only_ledger_says_so_to_the_caller(served: Served) -> None:
    served.town.sequencer._refuse_all(State.READ_ONLY, "it has been rolled back")

    with pytest.raises(RelayedError) as refusal:
        await LedgerClient(served.channels["licence"]).append(disclosure())

    assert (refusal.value.reason, refusal.value.part) == ("LEDGER_READ_ONLY", "ledger")
    assert "rolled back" in refusal.value.message


async def test_receipt_goes_to_its_caller_and_its_holder(served: Served) -> None:
    entry = disclosure()
    mine = await LedgerClient(served.channels["licence"]).append(entry)
    bound = FakeIssuer.THUMBPRINT
    neighbour = Subject("111", "440299199001010037")

    platform = await served.receipt(
        served.issuer.machine("approval-platform", ["ledger.read"]), bound, mine.id
    )
    holder = await served.receipt(served.issuer.citizen(SUBJECT, "张三"), "", mine.id)

    assert receipt_of(platform.receipt) == receipt_of(holder.receipt) == mine
    for token, thumbprint, item_id, expected in (
        (served.issuer.machine("rural-bank", ["ledger.read"]), bound, mine.id, "RECEIPT_NOT_FOUND"),
        (served.issuer.citizen(neighbour, "李四"), "", mine.id, "RECEIPT_NOT_FOUND"),
        (
            served.issuer.machine("approval-platform", ["ledger.read"]),
            bound,
            str(uuid.uuid4()),
            "RECEIPT_NOT_FOUND",
        ),
        (served.issuer.machine("approval-platform", ["licence.read"]), bound, mine.id, "SCOPE_MISSING"),
        (served.issuer.machine("approval-platform", ["ledger.read"]), "B" * 43, mine.id, "TOKEN_INVALID"),
    ):
        with pytest.raises(RelayedError) as refusal:
            await served.receipt(token, thumbprint, item_id)
        assert refusal.value.reason == expected


async def test_one_of_several_holders_gets_the_receipt_without_what_would_prove_a_guess(
    served: Served,
) -> None:
    neighbour = Subject("111", "440299199001010037")
    entry = disclosure(further_subjects=(neighbour,))
    mine = await LedgerClient(served.channels["licence"]).append(entry)

    platform = await served.receipt(
        served.issuer.machine("approval-platform", ["ledger.read"]), FakeIssuer.THUMBPRINT, mine.id
    )

    assert platform.receipt.answer_salt == entry.answer_salt
    for one in (SUBJECT, neighbour):
        holder = await served.receipt(served.issuer.citizen(one, "张三"), "", mine.id)
        assert receipt_of(holder.receipt) == replace(mine, answer_salt=b"")
        assert proved(receipt_of(holder.receipt), None).index == mine.index


async def test_checkpoint_comes_with_the_key_that_proves_it(served: Served) -> None:
    receipt = await LedgerClient(served.channels["licence"]).append(disclosure())

    shown = await served.stub("gateway").GetCheckpoint(pb.GetCheckpointRequest())

    assert shown.checkpoint == receipt.checkpoint
    assert open_checkpoint(shown.checkpoint, VerifierKey.parse(shown.verifier_key)).size == 1


async def test_other_names_are_refused(served: Served) -> None:
    calls = (
        served.stub("gateway").AppendBatch(pb.AppendBatchRequest(items=[item_of(disclosure())])),
        served.stub("gateway").ListOpenIntents(pb.ListOpenIntentsRequest()),
        served.stub("licence").GetCheckpoint(pb.GetCheckpointRequest()),
        served.stub("eseal").GetReceipt(pb.GetReceiptRequest()),
        served.stub("licence").ListDisclosures(pb.ListDisclosuresRequest()),
    )
    for call in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call
        assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED

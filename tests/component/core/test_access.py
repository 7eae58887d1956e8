"""Every gRPC method, asked by every name: the table's combinations are admitted, all others refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2
from onestop.agricredit.v1 import agricredit_pb2_grpc
from onestop.autofill.v1 import autofill_pb2_grpc
from onestop.datanode.v1 import datanode_pb2_grpc
from onestop.eseal.v1 import bulk_pb2_grpc, eseal_pb2_grpc, remote_pb2_grpc, template_pb2_grpc
from onestop.issuer.v1 import issuer_pb2_grpc
from onestop.ledger.v1 import ledger_pb2_grpc
from onestop.licence.v1 import licence_pb2_grpc

from core.access import CALLERS
from core.config import PARTS, Mode, PeerConfig, ServiceConfig
from core.rpc import build_server, channel
from deploy.local.pki import make_pki

SERVICES = {
    "onestop.agricredit.v1.AgriCreditService": agricredit_pb2_grpc,
    "onestop.autofill.v1.AutofillService": autofill_pb2_grpc,
    "onestop.datanode.v1.DataNodeService": datanode_pb2_grpc,
    "onestop.eseal.v1.BulkSealService": bulk_pb2_grpc,
    "onestop.eseal.v1.EsealService": eseal_pb2_grpc,
    "onestop.eseal.v1.RemoteSigningService": remote_pb2_grpc,
    "onestop.eseal.v1.TemplateService": template_pb2_grpc,
    "onestop.issuer.v1.IssuerService": issuer_pb2_grpc,
    "onestop.ledger.v1.LedgerService": ledger_pb2_grpc,
    "onestop.licence.v1.LicenceService": licence_pb2_grpc,
}
NAMES = (*PARTS, "gateway", "idp", "supervisor", "approval-platform", "rural-bank")
SERVER = "licence"
ADMITTED = {grpc.StatusCode.INTERNAL, grpc.StatusCode.INVALID_ARGUMENT}
"""What an empty request to an empty servicer comes to, once the peer is let in."""


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PKI of every name."""
    folder = tmp_path_factory.mktemp("pki")
    make_pki(folder, (*PARTS, "gateway", "idp", "supervisor"))
    return folder


def service_config(pki: Path) -> ServiceConfig:
    return ServiceConfig(
        mode=Mode.DEVELOPMENT,
        listen="127.0.0.1:0",
        tls_ca=pki / "ca.crt",
        tls_cert=pki / f"{SERVER}.crt",
        tls_key=pki / f"{SERVER}.key",
        database_dsn_file=pki / "ca.crt",
        keyring=pki / "ca.crt",
    )


def peer(pki: Path, name: str, port: int) -> PeerConfig:
    return PeerConfig(
        tls_ca=pki / "ca.crt",
        tls_cert=pki / f"{name}.crt",
        tls_key=pki / f"{name}.key",
        licence=f"127.0.0.1:{port}",
        ledger=f"127.0.0.1:{port}",
    )


def register(server: grpc.aio.Server) -> list[str]:
    """Every service of the city in one server."""
    for name, module in SERVICES.items():
        short = name.rsplit(".", 1)[1]
        getattr(module, f"add_{short}Servicer_to_server")(getattr(module, f"{short}Servicer")(), server)
    return list(SERVICES)


@pytest.fixture
async def port(pki: Path) -> AsyncIterator[int]:
    """A running server with every method."""
    server, bound, health = build_server(service_config(pki), register)
    await server.start()
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    yield bound
    await server.stop(None)


async def ask(connected: grpc.aio.Channel, method: str) -> bytes:
    """An empty request to a method, by its name."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = connected.unary_unary(method, bytes, bytes)
    return await call(b"", timeout=5)


async def health_of(connected: grpc.aio.Channel) -> health_pb2.HealthCheckResponse:
    answer = await ask(connected, "/grpc.health.v1.Health/Check")
    return health_pb2.HealthCheckResponse.FromString(answer)


def methods() -> list[str]:
    pool = descriptor_pool.Default()
    found = []
    for name in SERVICES:
        service = pool.FindServiceByName(name)
        found += [f"/{name}/{method.name}" for method in service.methods]
    return found


def test_the_table_lists_every_method_of_the_contracts_and_none_that_is_gone() -> None:
    ours = {method for method in CALLERS if method.startswith("/onestop.")}

    assert ours == set(methods())
    assert all(CALLERS[method] for method in ours)


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_is_admitted_to_its_methods_and_refused_all_others(
    pki: Path, port: int, name: str
) -> None:
    async with channel(peer(pki, name, port), SERVER) as connected:

        async def admitted(method: str) -> bool:
            with pytest.raises(grpc.aio.AioRpcError) as refusal:
                await ask(connected, method)
            assert refusal.value.code() in ADMITTED | {grpc.StatusCode.PERMISSION_DENIED}
            return refusal.value.code() in ADMITTED

        answers = dict(zip(methods(), await asyncio.gather(*map(admitted, methods())), strict=True))

    assert answers == {method: name in CALLERS[method] for method in methods()}


async def test_health_is_answered_to_the_supervisor_and_not_to_outsiders(pki: Path, port: int) -> None:
    async with channel(peer(pki, "supervisor", port), SERVER) as connected:
        answer = await health_of(connected)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING

    async with channel(peer(pki, "rural-bank", port), SERVER) as connected:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await health_of(connected)
    assert refusal.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_server_with_another_parts_certificate_is_not_believed(pki: Path, port: int) -> None:
    async with channel(peer(pki, "gateway", port), "ledger") as connected:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await ask(connected, "/onestop.ledger.v1.LedgerService/GetCheckpoint")

    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_stranger_without_a_certificate_of_the_city_gets_no_connection(pki: Path, port: int) -> None:
    credentials = grpc.ssl_channel_credentials((pki / "ca.crt").read_bytes())
    options = [("grpc.ssl_target_name_override", SERVER)]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as connected:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await ask(connected, "/grpc.health.v1.Health/Check")

    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE

"""Certificates that parts must refuse, as servers and as clients: one fault of any kind is enough."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2

from core.config import Mode, PeerConfig, ServiceConfig
from core.rpc import build_server, channel
from tests.component.core.test_access import health_of, register
from tests.component.gateway.pki import Authority, Pair

CLIENT_FAULTS = (
    "expired",
    "not yet valid",
    "for servers only",
    "for neither end",
    "self-signed",
    "of another authority",
    "signed by a caller",
)
SERVER_FAULTS = (*CLIENT_FAULTS[:2], "for clients only", *CLIENT_FAULTS[3:], "of another name")
SERVER = "licence"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The city's."""
    return Authority(tmp_path_factory.mktemp("pki"))


def service(authority: Authority, pair: Pair) -> ServiceConfig:
    return ServiceConfig(
        mode=Mode.DEVELOPMENT,
        listen="127.0.0.1:0",
        tls_ca=authority.root,
        tls_cert=pair.certificate,
        tls_key=pair.key,
        database_dsn_file=authority.root,
        keyring=authority.root,
    )


def peer(authority: Authority, pair: Pair, port: int) -> PeerConfig:
    return PeerConfig(
        mode=Mode.DEVELOPMENT,
        tls_ca=authority.root,
        tls_cert=pair.certificate,
        tls_key=pair.key,
        licence=f"127.0.0.1:{port}",
    )


async def started(authority: Authority, pair: Pair) -> tuple[grpc.aio.Server, int]:
    server, port, health = build_server(service(authority, pair), register)
    await server.start()
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    return server, port


@pytest.fixture
async def port(authority: Authority) -> AsyncIterator[int]:
    """A part that serves under its right certificate."""
    server, bound = await started(authority, authority.issue(SERVER))
    yield bound
    await server.stop(None)


async def code_of(config: PeerConfig) -> grpc.StatusCode:
    """How a health check ends."""
    async with channel(config, SERVER) as connected:
        try:
            await health_of(connected)
        except grpc.aio.AioRpcError as error:
            return error.code()
    return grpc.StatusCode.OK


async def test_a_right_certificate_is_let_in(authority: Authority, port: int) -> None:
    assert await code_of(peer(authority, authority.issue("gateway"), port)) is grpc.StatusCode.OK


@pytest.mark.parametrize("fault", CLIENT_FAULTS)
async def test_a_part_lets_nobody_in_whose_certificate_is_wrong(
    authority: Authority, port: int, fault: str
) -> None:
    assert (
        await code_of(peer(authority, authority.faulty(fault, "gateway"), port))
        is grpc.StatusCode.UNAVAILABLE
    )


@pytest.mark.parametrize("fault", SERVER_FAULTS)
async def test_a_part_believes_no_server_whose_certificate_is_wrong(authority: Authority, fault: str) -> None:
    server, port = await started(authority, authority.faulty(fault, SERVER))

    try:
        code = await code_of(peer(authority, authority.issue("gateway"), port))
    finally:
        await server.stop(None)

    assert code is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_a_part_speaks_no_old_tls(authority: Authority, port: int, newest: ssl.TLSVersion) -> None:
    context = authority.issue("gateway").client_context(authority.root)
    right = await asyncio.to_thread(_handshake, context, port)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = newest

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.to_thread(_handshake, context, port)

    assert right in {"TLSv1.2", "TLSv1.3"}


def _handshake(context: ssl.SSLContext, port: int) -> str | None:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=SERVER) as secured,
    ):
        return secured.version()
